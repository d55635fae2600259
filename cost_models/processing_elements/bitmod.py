"""BitMoD's bit-serial processing element, with the figures that its authors publish."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from archgym.cost_models.processing_elements.family import BoolArray, Family, FloatArray
from archgym.cost_models.processing_elements.formats import decoded, full_name
from archgym.cost_models.processing_elements.operands import OPERANDS

AREA_UM2 = 1507.7
"""Of an element at 28 nm (bitmod_sim/test_bitmod.py; 1793.7 in hardware/PE_Area_Power.xlsx)."""

ENERGY_PJ_PER_CYCLE = 0.56
"""Of an element (bitmod_sim/test_bitmod.py; 0.586 in hardware/PE_Area_Power.xlsx)."""

_WEIGHTS = (
    "bitmod4", "bitmod3", "fp4", "fp3", "fp6-e2m3", "fp6-e3m2",
    *(f"int{bits}{zero}" for bits in range(8, 2, -1) for zero in ("", "-asym")),
)  # fmt: skip


class BitMod(Family):
    """Four weights at a time, one term of each per cycle, with FP16 activations.

    A weight of b bits takes ceil(b / 2) cycles: Booth digits of integers, the two powers of two of
    the extended FP4 and FP3 values. An asymmetric one takes a bit more.
    """

    name = "bitmod"
    summary = "the published bit-serial element: four weights of any format times FP16 activations"
    source = "Chen et al., BitMoD, HPCA 2025, arXiv 2411.11745; subject to a patent application"
    inputs = 4

    def _reason(self, weight: str, activation: str) -> str:
        decoded(weight)
        if full_name(activation) != "fp16":
            return "activations must be fp16"
        if full_name(weight) not in _WEIGHTS:
            return f"weights must be one of {', '.join(_WEIGHTS)}"
        return ""

    def _cycles(self, weight: str, activation: str) -> float:
        name = full_name(weight)
        if name.startswith("int"):
            return float(OPERANDS[decoded(name).operands[0]].terms)
        return float(-(-decoded(name).bits // 2))

    def _energy_pj(self, weight: str, activation: str) -> float:
        return ENERGY_PJ_PER_CYCLE * self._cycles(weight, activation) / self.inputs

    def _areas(
        self, weights: tuple[str, ...], activations: tuple[str, ...], supported: BoolArray
    ) -> Callable[[BoolArray], FloatArray]:
        return lambda used: np.full(len(used), AREA_UM2)
