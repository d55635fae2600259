"""Engines for ternary weights: look-up tables, sums of selected activations, multipliers.

The structure of the tables is that of Geens et al., Hardware Generation and Exploration of Lookup
Table-Based Accelerators for 1.58-bit LLM Inference, ISPASS 2026 (arXiv 2604.25183); the areas are
from own synthesis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.processing_elements.anchors import pj_per_nand2, um2_per_nand2
from archgym.cost_models.processing_elements.operands import OPERANDS
from archgym.cost_models.processing_elements.synthesis import (
    FLIP_FLOP_NAND2,
    MUX2_NAND2,
    area_nand2,
    depth_levels,
    float_adder,
    multiplier,
)

STYLES = ("lut", "adders", "multipliers")
PIPELINES = ("none", "parts", "adders")
GROUP_SIZES = (3, 4, 5, 6, 7)
"""For which the selection of an entry was synthesised."""

LEVEL_PS = 14.0
"""Delay of a gate level at 28 nm, that of an inverter driving four: 0.5 ps per nm of drawn gate
length at slow corners (Ho, Mai and Horowitz, The future of wires, Proc. IEEE 2001); factor 2."""

REGISTER_LEVELS = 4.0
"""Set-up and output delay of a flip-flop, in such delays; an assumption."""

_AND_NAND2, _XOR_NAND2 = 4 / 3, 2.0
_CARRY_NAND2 = 14 / 3
"""A full instead of a half adder, for the carry of a changed sign: XOR, two AND or OR more."""

FloatArray = NDArray[np.float64]


def lut_entries(group_size: ArrayLike) -> NDArray[np.int64]:
    """Sums of ternary multiples of a group of activations, up to the sign and without zero."""
    return (3 ** np.asarray(group_size, np.int64) - 1) // 2


def lut_adders(group_size: ArrayLike) -> NDArray[np.int64]:
    """Adders that make a table: one per entry of two or more terms, the fewest there can be."""
    return lut_entries(group_size) - np.asarray(group_size, np.int64)


@dataclass(frozen=True)
class TernaryDesigns:
    """Engines, arrays `(n,)`.

    Attributes:
        style: Index into `STYLES`.
        group_size: Activations of a table; 1 without tables.
        lanes: Tables, or single activations, that work at once; a tile has `lanes * group_size`
            inputs.
        fetchers: Outputs of a tile, each of which reads every table.
        reuse: Tiles of outputs for which the same activations stay.
        pipeline: Index into `PIPELINES`: no registers inside, after tables and the sums of a tile,
            or after every adder.
    """

    style: NDArray[np.int64]
    group_size: NDArray[np.int64]
    lanes: NDArray[np.int64]
    fetchers: NDArray[np.int64]
    reuse: NDArray[np.int64]
    pipeline: NDArray[np.int64]

    @property
    def inputs(self) -> NDArray[np.int64]:
        """Inputs of a tile."""
        return self.lanes * self.group_size


@dataclass(frozen=True)
class TernaryCosts:
    """Costs of engines `(n,)`, parts by name.

    Attributes:
        area_um2: At 28 nm: `build`, `read`, `reduce`, `accumulate`, `registers`.
        cycle_pj: Energy of a tile, those parts that work every cycle.
        build_pj: Energy when the activations change.
        period_ps: Of the clock.
    """

    area_um2: dict[str, FloatArray]
    cycle_pj: FloatArray
    build_pj: FloatArray
    period_ps: FloatArray

    @property
    def total_um2(self) -> FloatArray:
        """Area of all parts `(n,)`."""
        return np.asarray(np.sum(list(self.area_um2.values()), axis=0))


@dataclass(frozen=True)
class _Arithmetic:
    """Areas and depths for a type of activations, arrays that follow the designs."""

    entry: FloatArray  # bits of a table's entry
    total: FloatArray  # bits of a tile's sum
    sum: FloatArray  # bits of an accumulator
    is_float: bool

    def adder(self, bits: FloatArray) -> FloatArray:
        if self.is_float:
            return np.full(len(bits), float_adder("fp16").nand2)
        return area_nand2("add", np.maximum(bits, 4))

    def adder_levels(self, bits: FloatArray) -> FloatArray:
        if self.is_float:
            return np.full(len(bits), float(float_adder("fp16").levels))
        return depth_levels("add", np.maximum(bits, 4))

    def sign(self, bits: FloatArray) -> FloatArray:
        """Area of changing the sign: a bit of a float, else all bits and a carry of the sum."""
        if self.is_float:
            return np.full(len(bits), _XOR_NAND2)
        return np.asarray(_XOR_NAND2 * bits + _CARRY_NAND2)


_SIGN_LEVELS = 2.0


def _arithmetic(designs: TernaryDesigns, activation: str, depth: int) -> tuple[_Arithmetic, int]:
    operand = OPERANDS.get(activation)
    if operand is None or (operand.is_float and activation != "fp16"):
        allowed = ", ".join([n for n, o in OPERANDS.items() if not o.is_float] + ["fp16"])
        raise ValueError(f"activation: {activation!r} is not one of {allowed}")
    n = len(designs.style)
    if operand.is_float:
        same = np.full(n, float(operand.bits))
        return _Arithmetic(same, same, same, True), operand.bits
    entry = operand.bits + np.ceil(np.log2(designs.group_size))
    total = operand.bits + np.ceil(np.log2(designs.inputs))
    longest = np.maximum(depth, designs.inputs)
    return _Arithmetic(entry, total, operand.bits + np.ceil(np.log2(longest)), False), operand.bits


def ternary_costs(designs: TernaryDesigns, activation: str, depth: int) -> TernaryCosts:
    """Area, energies and clock of engines.

    - `lut`: tables of all sums of a group, built by `lut_adders` adders; each fetcher selects an
      entry of each table, changes its sign or makes it zero.
    - `adders`: each fetcher changes the sign of each activation or makes it zero.
    - `multipliers`: as `adders`, with a multiplier of two-bit weights.

    Then an adder tree and an accumulator per fetcher. Tables are built once for `reuse` tiles;
    accumulators then hold as many sums. Integers grow as sums need; FP16 is added in FP16.

    Args:
        designs: Engines.
        activation: Integer operand, such as `int8`, or `fp16`.
        depth: Longest sum, in activations.

    Raises:
        ValueError: For an activation or group size that is not known.
    """
    group, lanes = designs.group_size, designs.lanes
    lut = designs.style == STYLES.index("lut")
    if np.any(lut & ~np.isin(group, GROUP_SIZES)):
        raise ValueError(f"group_size: must be one of {', '.join(map(str, GROUP_SIZES))}")
    kind, bits = _arithmetic(designs, activation, depth)
    entries = lut_entries(np.where(lut, group, 3))
    reads = lanes * designs.fetchers
    build = np.where(lut, lanes * lut_adders(np.where(lut, group, 3)), 0) * kind.adder(kind.entry)
    read = reads * np.where(lut, _lookup(kind, entries), _selected(kind, designs, activation, bits))
    reduce = (lanes - 1) * designs.fetchers * kind.adder(kind.total)
    several = designs.reuse > 1
    held = np.where(
        several, area_nand2("select", np.maximum(designs.reuse, 2)) + designs.reuse * MUX2_NAND2, 0
    )
    accumulate = designs.fetchers * (kind.adder(kind.sum) + kind.sum * held)
    weight_bits = np.where(lut, np.ceil(group * np.log2(3)), 2.0)
    held_entries = np.where(lut, lanes * entries * kind.entry, 0.0) * _entry_stages(designs)
    held_sums = designs.fetchers * kind.total * _sum_registers(designs)
    outside = designs.inputs * bits + reads * weight_bits
    sums = designs.fetchers * designs.reuse * kind.sum
    registers = FLIP_FLOP_NAND2 * (outside + sums + held_entries + held_sums)
    parts = {"build": build, "read": read, "reduce": reduce, "accumulate": accumulate,
             "registers": registers}  # fmt: skip
    # Registers of activations and entries change with the activations, the others every cycle;
    # of the sums that are held, one per fetcher.
    slow = FLIP_FLOP_NAND2 * (designs.inputs * bits + held_entries)
    idle = FLIP_FLOP_NAND2 * designs.fetchers * (designs.reuse - 1) * kind.sum
    fast = read + reduce + accumulate + registers - slow - idle
    return TernaryCosts(
        {name: np.asarray(value * um2_per_nand2(), np.float64) for name, value in parts.items()},
        np.asarray(fast * pj_per_nand2()),
        np.asarray((build + slow) * pj_per_nand2()),
        _period_ps(designs, kind, entries, activation),
    )


def _entry_stages(designs: TernaryDesigns) -> FloatArray:
    """How often an entry of a table is registered on its way."""
    levels = np.ceil(np.log2(designs.group_size))
    return np.choose(designs.pipeline, [0.0 * levels, np.ones_like(levels), levels])


def _sum_registers(designs: TernaryDesigns) -> FloatArray:
    """Registers in the adder tree of an output."""
    one = np.ones(len(designs.lanes))
    return np.choose(designs.pipeline, [0.0 * one, one, np.maximum(designs.lanes - 1.0, 1.0)])


def _lookup(kind: _Arithmetic, entries: NDArray[np.int64]) -> FloatArray:
    """Area of a read: selection, zero and sign of an entry."""
    each = area_nand2("select", entries) + _AND_NAND2
    return np.asarray(kind.entry * each + kind.sign(kind.entry))


def _selected(kind: _Arithmetic, designs: TernaryDesigns, activation: str, bits: int) -> FloatArray:
    """Area of a product without tables: zero and sign, or a multiplier."""
    width = np.full(len(designs.style), float(bits))
    plain = _AND_NAND2 * width + kind.sign(width)
    # Products of FP16 are made as binary32 and rounded by dropping bits, since they are exact.
    product = multiplier("int2", activation).nand2
    return np.where(designs.style == STYLES.index("multipliers"), product, plain)


def _period_ps(
    designs: TernaryDesigns,
    kind: _Arithmetic,
    entries: NDArray[np.int64],
    activation: str,
) -> FloatArray:
    """Clock period: all of a tile, the longest of its three parts, or of its units."""
    lut = designs.style == STYLES.index("lut")
    grown = np.ceil(np.log2(designs.group_size))
    add_entry, add_total = kind.adder_levels(kind.entry), kind.adder_levels(kind.total)
    build = np.where(lut, grown * add_entry, 0.0)
    product = np.where(
        designs.style == STYLES.index("multipliers"),
        multiplier("int2", activation).levels,
        1 + _SIGN_LEVELS,
    )
    looked_up = depth_levels("select", entries) + 1 + _SIGN_LEVELS
    read = np.where(lut, looked_up, product)
    tree = np.ceil(np.log2(designs.lanes)) * add_total
    held = np.where(
        designs.reuse > 1, depth_levels("select", np.maximum(designs.reuse, 2)) + 2, 0.0
    )
    last = kind.adder_levels(kind.sum) + held
    each = np.stack([np.where(lut, add_entry, 0.0), read, np.where(tree > 0, add_total, 0), last])
    periods = [
        build + read + tree + last,
        np.stack([build, read + tree, last]).max(axis=0),
        each.max(axis=0),
    ]
    levels = np.choose(designs.pipeline, periods) + REGISTER_LEVELS
    return np.asarray(levels * LEVEL_PS)


def tiles(designs: TernaryDesigns, rows: int, columns: int) -> tuple[FloatArray, FloatArray]:
    """Cycles, and how often activations change, for a vector times a ternary matrix.

    Args:
        designs: Engines.
        rows: Outputs.
        columns: Inputs.

    Returns:
        Two arrays `(n,)`.
    """
    steps = np.ceil(columns / designs.inputs)
    cycles = steps * np.ceil(rows / designs.fetchers)
    changes = steps * np.ceil(rows / (designs.fetchers * designs.reuse))
    return cycles, changes
