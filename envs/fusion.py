"""Fused attention: which arrays, buffer, cascade, binding and tiling compute attention best."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.enumerated import EnumeratedModel, enumerate_designs
from archgym.environment import Environment, Option
from archgym.envs._fusion_model import METRICS, OBJECTIVES
from archgym.envs._fusion_plots import PLOTS
from archgym.envs._fusion_space import BASELINES, PLATFORMS
from archgym.table import Table, TableModel

if TYPE_CHECKING:
    from archgym.envs._fusion_model import FusedAttention

CONTEXTS = {f"{n}k": n * 1024 for n in (1, 4, 16, 64, 256)} | {"1m": 2**20}
_OF_A_TABLE = ("workload", "batch", "registers")


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    return tabulated(**options) if _has_file(options) else _model(options)


def _has_file(options: Mapping[str, Any]) -> bool:
    return str(options["fidelity"]).startswith("table:")


def _model(options: Mapping[str, Any]) -> FusedAttention:
    from archgym.cost_models.accelerator.fusion import sizes_of
    from archgym.cost_models.accelerator.fusion.presets import MODELS
    from archgym.envs._fusion_model import FusedAttention

    batch = options["batch"]
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise ValueError(f"batch: {batch!r} is not a whole number from 1")
    name, context = str(options["workload"]).split("-")
    heads, _, size, _ = next(each for key, each in MODELS.items() if key.lower() == name)
    sizes = sizes_of(
        batch=batch,
        heads=heads,
        queries=CONTEXTS[context],
        keys=CONTEXTS[context],
        key_size=size,
        value_size=size,
    )
    return FusedAttention(sizes, options["platform"], options["baseline"], options["registers"])


def tabulated(**options: Any) -> TableModel:
    """Returns the table of every design: the one that the option `fidelity` names, or made now.

    Args:
        **options: see `ENVIRONMENT.options`.

    Raises:
        ValueError: for a table that does not fit the task.
    """
    model = _model(options)
    same = {name: options[name] for name in _OF_A_TABLE}
    if not _has_file(options):
        name = f"computed for {options['workload']}"
        return EnumeratedModel(name, _all_designs(*same.values()), model)
    path = str(options["fidelity"]).removeprefix("table:")
    return TableModel(path, ENVIRONMENT.id, model.space, METRICS, model.default, same)


@functools.lru_cache(maxsize=2)
def _all_designs(workload: str, batch: int, registers: str) -> Table:
    """Every design, whichever is the default."""
    options = {"workload": workload, "batch": batch, "registers": registers}
    return enumerate_designs(_model({**options, "platform": "cloud", "baseline": "flat"}))


def workloads() -> dict[str, str]:
    """Returns `{name: description}`."""
    from archgym.cost_models.accelerator.fusion.presets import MODELS

    return {
        f"{name.lower()}-{text}": f"{name}: {heads} heads of {size}, self-attention of {n:,} tokens"
        for name, (heads, _, size, _) in MODELS.items()
        for text, n in CONTEXTS.items()
    }


ENVIRONMENT = Environment(
    id="Fusion-v0",
    summary="arrays, buffer, softmax cascade, binding and tiling of an attention accelerator",
    build=build,
    options={
        "workload": Option("bert-16k", "a model's attention at a context"),
        "batch": Option(64, "sequences"),
        "platform": Option("cloud", "resources of the default design", tuple(PLATFORMS)),
        "baseline": Option("flat", "the default design, which scores 0", BASELINES),
        "registers": Option(
            "component",
            "whose register files count as area, those of the component tables or of the sweep",
            ("component", "sweep"),
        ),
        "fidelity": Option(
            "model", "the model, or a table of every design", ("model",), ("table:", "proxy:")
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    tabulated=tabulated,
    plots=PLOTS,
)
