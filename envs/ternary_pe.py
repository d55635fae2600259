"""Ternary weights: look-up tables, selected sums or multipliers, for a network's matrices."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.enumerated import EnumeratedModel, enumerate_designs
from archgym.environment import Environment, Option
from archgym.envs._ternary_model import METRICS, OBJECTIVES, Matrix
from archgym.errors import unknown
from archgym.table import Table, TableModel

if TYPE_CHECKING:
    from archgym.envs._ternary_model import TernaryPe

_OF_A_TABLE = ("workload", "activation")


def _decoder(layers: int, hidden: int, wide: int, kv: int) -> tuple[Matrix, ...]:
    """Matrices (outputs, inputs, number) of a decoder with a gated feed-forward network."""
    return (
        (hidden, hidden, 2 * layers),
        (kv, hidden, 2 * layers),
        (wide, hidden, 2 * layers),
        (hidden, wide, layers),
    )


# Sizes of the models' configurations (BitNet b1.58: Ma et al., arXiv 2402.17764 and 2504.12285).
_WORKLOADS: Mapping[str, tuple[str, tuple[Matrix, ...]]] = {
    "bitnet-2b4t": ("BitNet b1.58 2B4T, 30 layers of 2560", _decoder(30, 2560, 6912, 640)),
    "bitnet-large": ("bitnet_b1_58-large, 24 layers of 1536", _decoder(24, 1536, 4096, 1536)),
    "bitnet-3b": ("bitnet_b1_58-3B, 26 layers of 3200", _decoder(26, 3200, 8640, 3200)),
    "square-1024": ("one matrix of 1024 x 1024", ((1024, 1024, 1),)),
}


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    return tabulated(**options) if _has_file(options) else _model(options)


def _has_file(options: Mapping[str, Any]) -> bool:
    return str(options["fidelity"]).startswith("table:")


def _model(options: Mapping[str, Any]) -> TernaryPe:
    from archgym.envs._ternary_model import TernaryPe

    if options["workload"] not in _WORKLOADS:
        raise unknown(f"{ENVIRONMENT.id}: workload", options["workload"], _WORKLOADS)
    return TernaryPe(_WORKLOADS[options["workload"]][1], options["activation"])


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
        return EnumeratedModel(name, _all_designs(**same), model)
    path = str(options["fidelity"]).removeprefix("table:")
    return TableModel(path, ENVIRONMENT.id, model.space, METRICS, model.default, same)


@functools.lru_cache(maxsize=4)
def _all_designs(workload: str, activation: str) -> Table:
    return enumerate_designs(_model({"workload": workload, "activation": activation}))


def workloads() -> dict[str, str]:
    """Returns `{name: description}`."""
    return {name: text for name, (text, _) in _WORKLOADS.items()}


ENVIRONMENT = Environment(
    id="TernaryPe-v0",
    summary="look-up tables, adders or multipliers for networks with ternary weights",
    build=build,
    options={
        "workload": Option("bitnet-2b4t", "a network with ternary weights"),
        "activation": Option(
            "int8", "number format of activations", ("int4", "int6", "int8", "fp16")
        ),
        "fidelity": Option(
            "model", "the model, or a table of every design", ("model",), ("table:", "proxy:")
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    tabulated=tabulated,
)
