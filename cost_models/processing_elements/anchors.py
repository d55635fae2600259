"""From gates to square micrometres and picojoules, at 28 nm."""

from __future__ import annotations

import functools

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.processing_elements.synthesis import (
    FLIP_FLOP_NAND2,
    Unit,
    accumulator_bits,
    area_nand2,
    float_adder,
    multiplier,
)

NODE_NM = 28

FP16_MULTIPLY_ADD_UM2 = 1968.7
"""Synthesised in 28 nm (Chen et al., BitMoD, HPCA 2025, hardware/PE_Area_Power.xlsx)."""


def registers_nand2(bits: float) -> float:
    """Area of flip-flops."""
    return FLIP_FLOP_NAND2 * bits


def adder_nand2(bits: int, is_float: bool) -> float:
    """Area of the adder of an accumulator: of integers, or of binary32."""
    return float_adder("fp32").nand2 if is_float else float(area_nand2("add", bits))


def is_float(unit: Unit) -> bool:
    """Whether a multiplier's products are binary32."""
    return unit.width == 32 and accumulator_bits(unit) == 32


def element_nand2(unit: Unit, operand_bits: float) -> float:
    """A multiplier with its accumulator and the registers of operands and sum."""
    bits = accumulator_bits(unit)
    return unit.nand2 + adder_nand2(bits, is_float(unit)) + registers_nand2(bits + operand_bits)


@functools.cache
def um2_per_nand2() -> float:
    """Area of a gate equivalent, wiring and sizing included.

    It makes the own FP16 multiply-add, which sums in binary32, as large as the published one.
    """
    return FP16_MULTIPLY_ADD_UM2 / element_nand2(multiplier("fp16", "fp16"), 32)


@functools.cache
def pj_per_nand2() -> float:
    """Energy per cycle of a gate equivalent that works.

    It makes the own INT8 multiplier take what Horowitz gives (ISSCC 2014, 0.2 pJ at 45 nm), scaled
    to 28 nm; that all logic switches alike is a model.
    """
    energy = constants()["int_multiply_energy"][8] * constants()["technology_energy"][NODE_NM]
    return energy / multiplier("int8", "int8").nand2
