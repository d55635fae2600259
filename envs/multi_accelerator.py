"""Several sub-accelerators for several networks at once: dataflows, PEs and bandwidth of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.environment import Environment, Option
from archgym.envs._multi_accelerator_metrics import (
    BANDWIDTHS,
    BASELINES,
    METRICS,
    OBJECTIVES,
    PES,
)
from archgym.envs._multi_accelerator_plots import PLOTS
from archgym.table import TableModel

if TYPE_CHECKING:
    from archgym.envs._multi_accelerator_model import MultiAccelerator

_OF_A_TABLE = ("workload", "accelerators", "most_pes", "most_bandwidth_gb_per_s")


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments.

    Raises:
        ValueError: for a limit that the default design breaks, or a table that does not fit.
    """
    return tabulated(**options) or _model(options)


def tabulated(**options: Any) -> TableModel | None:
    """Returns the table that the option `fidelity` names, None where it names none.

    Args:
        **options: see `ENVIRONMENT.options`.

    Raises:
        ValueError: for a table that does not fit the task.
    """
    path = str(options["fidelity"]).removeprefix("table:")
    if path == options["fidelity"]:
        return None
    model, same = _model(options), {name: options[name] for name in _OF_A_TABLE}
    return TableModel(path, ENVIRONMENT.id, model.space, METRICS, model.default, same)


def _model(options: Mapping[str, Any]) -> MultiAccelerator:
    from archgym.cost_models.accelerator.networks import load_network, network_names
    from archgym.cost_models.accelerator.networks.small import make_small
    from archgym.envs._multi_accelerator_model import MultiAccelerator

    for name, least in (("most_pes", PES[0]), ("most_bandwidth_gb_per_s", BANDWIDTHS[0])):
        value = options[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: {value!r} is not a whole number from {least}")
    names = str(options["workload"]).split("+")
    shipped = network_names()
    return MultiAccelerator(
        [load_network(name) if name in shipped else make_small(name) for name in names],
        options["accelerators"],
        options["baseline"],
        options["most_pes"],
        options["most_bandwidth_gb_per_s"],
    )


def workloads() -> dict[str, str]:
    """Returns `{name: description}` of the networks; several are joined by `+`."""
    from archgym.cost_models.accelerator.networks import network_entry, network_names
    from archgym.cost_models.accelerator.networks.small import small_networks

    return small_networks() | {name: network_entry(name).summary for name in network_names()}


ENVIRONMENT = Environment(
    id="MultiAccelerator-v0",
    summary="sub-accelerators with dataflows of their own for several networks at once",
    build=build,
    options={
        "workload": Option(
            "resnet9-cifar10-w16+unet-nuclei-h3-w4",
            "networks that run at once, joined by `+`; a name may stand twice",
        ),
        "accelerators": Option(2, "sub-accelerators at most", (2, 3, 4)),
        "baseline": Option("nasaic", "the default design, which scores 0", tuple(BASELINES)),
        "most_pes": Option(4096, "processing elements in all"),
        "most_bandwidth_gb_per_s": Option(64, "bandwidth of the networks on the chip in all"),
        "fidelity": Option(
            "model", "the model, or a table of every design", ("model",), ("table:", "proxy:")
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    tabulated=tabulated,
    joins_workloads=True,
    plots=PLOTS,
)
