"""Accelerator for neural networks: which chip and dataflow serve a network, or several, best.

Spaces are kinds of chips, `spatial` and `systolic`; `small` is a part of `spatial`, and
`archgym2023-timeloop` is that of 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.environment import Environment, Fidelity, Option
from archgym.envs._accelerator_metrics import OBJECTIVES
from archgym.envs._accelerator_plots import PLOTS

if TYPE_CHECKING:
    from archgym.envs._accelerator_model import Accelerator, Maker
    from archgym.table import TableModel

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Batches that a design may choose where none is given."""

_LIMITS = {"most_area_mm2": "area_mm2", "most_power_w": "power_w"}

# CPU time of a design on ResNet-50 in microseconds, as printed by
# `python benchmarks/accelerator_environment.py`. SCALE-Sim's is extrapolated: 0.2 us for each of 3
# million multiply-accumulates in `python benchmarks/accelerator.py`, and ResNet-50 has 4 billion.
_COSTS = {
    "systolic": {"roofline": 4.6, "systolic": 22.0, "scalesim": 8.5e8},
    "spatial": {"roofline": 6.4, "loopnest": 700.0},
    "tabulated": {"table": 1.0, "roofline": 6.4, "loopnest": 700.0},
    "archgym2023-timeloop": {"loopnest": 18000.0},
}
_DOCS = {
    "table": "the answers of `loopnest`, looked up",
    "roofline": "lower bounds of time and traffic",
    "systolic": "fold by fold on a systolic array",
    "loopnest": "every product by its best mapping",
    "scalesim": "every product by SCALE-Sim, where the user has installed it",
}
_BASELINES = {
    "systolic": ("tpu-v1", "gemmini"),
    "spatial": ("nvdla", "eyeriss"),
    "small": ("nvdla",),
    "archgym2023-timeloop": ("eyeriss",),
}


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    fidelity = str(options["fidelity"])
    if fidelity == "table" or fidelity.startswith("table:"):
        return _looked_up(options)
    return _evaluated(options)


def _evaluated(options: Mapping[str, Any]) -> Accelerator:
    """Returns the cost model of a fidelity that evaluates designs."""
    from archgym.envs._accelerator_model import Accelerator

    for name in ("batch", "context", "least_bits"):
        if name == "least_bits" or options[name] is not None:
            _require_whole(name, options[name])
    _require_of_space("fidelity", options, tuple(_COSTS[_kind(options)]))
    _require_of_space("baseline", options, _BASELINES[options["space"]])
    makers, batches = _networks(options)
    return Accelerator(
        _template(options),
        makers,
        batches,
        fidelity=options["fidelity"],
        baseline=options["baseline"],
        combine=options["combine"],
        limits={
            metric: _positive(name, options[name])
            for name, metric in _LIMITS.items()
            if options[name] is not None
        },
    )


def tabulated(**options: Any) -> TableModel | None:
    """Returns the table that holds every design of a task, None where there is none.

    Raises:
        ValueError: for a table of the user that does not fit the task.
    """
    fidelity = str(options["fidelity"])
    model_options = {**options, "fidelity": "loopnest"}
    if fidelity.startswith("table:"):
        from archgym.table import TableModel

        model = _evaluated(model_options)
        path = Path(fidelity.removeprefix("table:"))
        own = {name: value for name, value in options.items() if name != "fidelity"}
        return TableModel(path, ENVIRONMENT.id, model.space, model.metrics, model.default, own)
    if fidelity not in ("loopnest", "table") or not _has_table(options):
        return None
    return _shipped_table(options["workload"])


@cache
def _shipped_table(workload: str) -> TableModel:
    """Returns a shipped table, which takes a second to unfold."""
    from archgym.envs._accelerator_tables import shipped_file, stored_model

    options = ENVIRONMENT.resolve({"workload": workload, "space": "small"})
    return stored_model(_evaluated(options), shipped_file(workload))


def _has_table(options: Mapping[str, Any]) -> bool:
    """Whether a table is shipped for the options, whatever the fidelity."""
    if options["space"] != "small":
        return False
    from archgym.envs._accelerator_tables import shipped

    usual = {"space": "small"}
    same = all(
        options[name] in (option.default_with(usual), usual.get(name))
        for name, option in ENVIRONMENT.options.items()
        if name not in ("workload", "fidelity", "batch")
    )
    return same and options["batch"] in (None, 1) and options["workload"] in shipped()


def _looked_up(options: Mapping[str, Any]) -> CostModel:
    """Returns the cost model of a fidelity that is a table.

    Raises:
        ValueError: where no table is shipped, naming those that are.
    """
    model = tabulated(**options)
    if model is None:
        from archgym.envs._accelerator_tables import shipped

        raise ValueError(
            f"fidelity: no table is shipped for workload {options['workload']!r} with these "
            f"options; with space 'small' and defaults there are {', '.join(shipped()) or 'none'};"
            f" make your own with `archgym tabulate {ENVIRONMENT.id}` and give it as "
            f"fidelity=table:PATH"
        )
    return model


def _template(options: Mapping[str, Any]) -> Any:
    """Returns the kind of chip of a task's space."""
    from archgym.envs._accelerator_2023 import TIMELOOP, TimeloopTemplate
    from archgym.envs._accelerator_spatial import SMALL, SpatialTemplate
    from archgym.envs._accelerator_systolic import SystolicTemplate

    common = (options["node_nm"], options["word_bytes"], options["least_bits"])
    if options["space"] == "systolic":
        return SystolicTemplate(*common, options["fidelity"])
    if options["space"] == TIMELOOP:
        return TimeloopTemplate(options["node_nm"], options["least_bits"], options["mapping"])
    narrow = SMALL if options["space"] == "small" else None
    return SpatialTemplate(*common, options["mapping"], narrow)


def _kind(options: Mapping[str, Any]) -> str:
    """Returns the kind of chip: `small` is a part of `spatial`."""
    return "spatial" if options["space"] == "small" else str(options["space"])


def _require_of_space(name: str, options: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Raises ValueError unless an option is one of those that a space has."""
    if options[name] not in allowed:
        raise ValueError(
            f"{name}: {options[name]!r} is not for space {options['space']!r}, allowed: "
            f"{', '.join(allowed)}"
        )


def fidelities(**options: Any) -> tuple[Fidelity, ...]:
    """Returns the fidelities of a task, the cheapest first; see `ENVIRONMENT.options`."""
    costs = _COSTS["tabulated" if _has_table(options) else _kind(options)]
    own = options["fidelity"]
    exact = ("table", "loopnest") if own in ("table", "loopnest") else (own,)
    # Beside `roofline` as a task's own fidelity, the table would answer another question. What a
    # user has to install is offered to those only who ask for it.
    hidden = {"table"} if own == "roofline" else set()
    hidden |= {"scalesim"} - {own}
    return tuple(
        Fidelity(name, _DOCS[name], cost, name in exact)
        for name, cost in costs.items()
        if name not in hidden
    )


def workloads() -> dict[str, str]:
    """Returns `{name: description}` of the shipped networks."""
    from archgym.cost_models.accelerator.networks import network_entry, network_names

    return {name: network_entry(name).summary for name in network_names()}


def _networks(options: Mapping[str, Any]) -> tuple[dict[str, Maker], tuple[int, ...]]:
    """Returns the networks of a task by name, each to be made for a batch, and the batches.

    Raises:
        ValueError: for an option that none of the networks has, or a network named twice.
    """
    workload, batch = str(options["workload"]), options["batch"]
    if workload.startswith("file:"):
        for name in ("batch", "context", "stage"):
            if options[name] is not None:
                raise ValueError(f"{name}: {options[name]!r} is given, but {workload} has its own")
        return {workload: _from_file(workload.removeprefix("file:"))}, (1,)
    if options["space"] == "small":
        _require_small(options)
    if options["space"] in ("small", "archgym2023-timeloop"):
        batch = batch or 1
    names = workload.split("+")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"workload: {workload!r} names {name!r} twice")
    return _from_names(names, options), BATCHES if batch is None else (batch,)


def _require_small(options: Mapping[str, Any]) -> None:
    """Raises ValueError for options that would change what the space `small` fixes."""
    for name, only in (("batch", (None, 1)), ("least_bits", (8,))):
        if options[name] not in only:
            raise ValueError(
                f"{name}: {options[name]!r} is not for space 'small', it has {only[-1]}"
            )


def _from_file(path: str) -> Maker:
    """A network of an ONNX file, whose batch is its own."""
    from archgym.cost_models.accelerator.onnx_import import load_onnx

    network = load_onnx(Path(path))
    return lambda batch: network


def _from_names(names: list[str], options: Mapping[str, Any]) -> dict[str, Maker]:
    """Shipped networks; context and stage are for those that have one."""
    from archgym.cost_models.accelerator.networks import load_network, network_entry

    entries = {name: network_entry(name) for name in names}
    context, stage = options["context"], options["stage"]
    if context is not None and not any(entry.context for entry in entries.values()):
        raise ValueError(f"context: {context} is given, but {'+'.join(names)} has no context")
    stages = sorted({each for entry in entries.values() for each in entry.stages})
    if stage is not None and stage not in stages:
        allowed = ", ".join(stages) or "none"
        raise ValueError(f"stage: {stage!r} is not of {'+'.join(names)}, allowed: {allowed}")

    def maker(name: str) -> Maker:
        own_context = context if entries[name].context else None
        own_stage = stage if stage in entries[name].stages else None
        return lambda batch: load_network(name, batch, own_context, own_stage)

    return {name: maker(name) for name in names}


def _require_whole(name: str, value: object) -> None:
    """Raises ValueError unless an option is a whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: {value!r} is not a whole number from 1")


def _positive(name: str, value: object) -> float:
    """Returns a positive number.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        if isfinite(number) and number > 0:
            return number
    raise ValueError(f"{name}: {value!r} is not a positive number")


ENVIRONMENT = Environment(
    id="Accelerator-v0",
    summary="array, buffers, DRAM, formats and dataflow of an accelerator for neural networks",
    build=build,
    options={
        "workload": Option(
            "resnet50", "a shipped network, several joined by `+`, or file:PATH of an ONNX file"
        ),
        "space": Option(
            "spatial",
            "a spatial array with register files, a few of those designs, or a systolic array",
            ("spatial", "small", "systolic", "archgym2023-timeloop"),
        ),
        "batch": Option(None, "inferences that run together; none: chosen by the design"),
        "context": Option(None, "tokens per sequence; none: each network's own"),
        "stage": Option(None, "prefill or decode of language models; none: each network's first"),
        "combine": Option("geomean", "how several networks make one figure", ("geomean", "sum")),
        "baseline": Option(
            "nvdla",
            "the default design, which scores 0",
            ("nvdla", "eyeriss", "tpu-v1", "gemmini"),
            default_for={
                ("space", "systolic"): "tpu-v1",
                ("space", "archgym2023-timeloop"): "eyeriss",
            },
        ),
        "mapping": Option(
            "edp",
            "what the mapping of a product makes small, where there are mappings",
            ("edp", "latency", "energy", "dram-traffic"),
        ),
        "node_nm": Option(
            22,
            "process, of those that memories are known for",
            (65, 45, 32, 22),
            default_for={("space", "archgym2023-timeloop"): 45},
        ),
        "word_bytes": Option(8, "width of an access to a memory; 32 at 45 and 22 nm", (8, 32)),
        "least_bits": Option(8, "of number formats: what the networks need to stay accurate"),
        "most_area_mm2": Option(None, "area above which designs are infeasible"),
        "most_power_w": Option(None, "average power above which designs are infeasible"),
        "fidelity": Option(
            "loopnest",
            "best mappings, folds on a systolic array, lower bounds, a table of every design, or "
            "SCALE-Sim where installed (space systolic)",
            ("loopnest", "systolic", "roofline", "table", "scalesim"),
            prefixes=("table:",),
            default_for={("space", "systolic"): "systolic"},
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    joins_workloads=True,
    tabulated=tabulated,
    plots=PLOTS,
    fidelities=fidelities,
)
