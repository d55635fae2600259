"""A look-up table of sums for ternary weights, as a processing element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from archgym.cost_models.processing_elements.family import BoolArray, Family, FloatArray
from archgym.cost_models.processing_elements.formats import decoded
from archgym.cost_models.processing_elements.operands import OPERANDS, covers
from archgym.cost_models.processing_elements.ternary import (
    GROUP_SIZES,
    STYLES,
    TernaryCosts,
    TernaryDesigns,
    ternary_costs,
)

_INTEGERS = [name for name, each in OPERANDS.items() if not each.is_float]


class LutTernary(Family):
    """A table of the sums of a group of activations, read by several outputs.

    Activations are integers, or floats that fit into FP16. The table is built anew every cycle.

    Args:
        group_size: Activations of a table.
        fetchers: Outputs that read it.

    Raises:
        ValueError: For a group size without a synthesised selection, or fewer than 1 fetcher.
    """

    name = "lut-ternary"
    summary = "a table of sums of a group of activations, read by several outputs"
    source = "own synthesis; structure of Geens et al., ISPASS 2026, arXiv 2604.25183"
    depth = 256
    """Products of an exact sum, as in the other families."""

    def __init__(self, group_size: int = 4, fetchers: int = 16) -> None:
        if group_size not in GROUP_SIZES:
            allowed = ", ".join(map(str, GROUP_SIZES))
            raise ValueError(f"group_size: {group_size!r} is not one of {allowed}")
        if fetchers < 1:
            raise ValueError(f"fetchers: {fetchers!r} is below 1")
        self.inputs, self.outputs = group_size, fetchers
        self._design = TernaryDesigns(
            *(np.array([value]) for value in (STYLES.index("lut"), group_size, 1, fetchers, 1, 0))
        )

    def _costs(self, activation: str) -> TernaryCosts:
        return ternary_costs(self._design, self._adders(activation), self.depth)

    def _adders(self, activation: str) -> str:
        """The narrowest arithmetic that holds a format's values."""
        (name,) = decoded(activation).operands
        if not OPERANDS[name].is_float:
            return name
        fitting = [each for each in _INTEGERS[:7] if covers(each, name)]
        return fitting[0] if fitting else "fp16"

    def _reason(self, weight: str, activation: str) -> str:
        second = decoded(activation)
        if not decoded(weight).ternary:
            return "weights must be ternary"
        if len(second.operands) > 1 or not (
            second.operands[0] in _INTEGERS or covers("fp16", second.operands[0])
        ):
            return "activations must be integers or fit into fp16"
        return ""

    def _cycles(self, weight: str, activation: str) -> float:
        return 1.0

    def _energy_pj(self, weight: str, activation: str) -> float:
        costs = self._costs(activation)
        total = float(costs.cycle_pj[0] + costs.build_pj[0])
        return total / (self.inputs * self.outputs)

    def _areas(
        self, weights: tuple[str, ...], activations: tuple[str, ...], supported: BoolArray
    ) -> Callable[[BoolArray], FloatArray]:
        """Of the widest integers, and of FP16 beside them where both are used."""
        names = [self._adders(a) if supported[:, j].any() else ""
                 for j, a in enumerate(activations)]  # fmt: skip
        areas = np.array([float(self._costs(a).total_um2[0]) if name else 0.0
                          for name, a in zip(names, activations, strict=True)])  # fmt: skip
        is_float = np.array([name == "fp16" for name in names])

        def union(used: BoolArray) -> FloatArray:
            asked = used.any(axis=1) * areas
            largest = [np.max(asked * mask, axis=1, initial=0.0) for mask in (~is_float, is_float)]
            return np.asarray(largest[0] + largest[1])

        return union
