"""Areas and depths of arithmetic units, from own synthesis (`tools/synthesize_pes.py`)."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.processing_elements.operands import OPERANDS, covers

FLIP_FLOP_NAND2 = 17 / 3
"""A D flip-flop over a two-input NAND: 17 sites to 3 (Nangate 45 nm Open Cell Library, LEF)."""

MUX2_NAND2 = 7 / 3
"""A two-input multiplexer over a two-input NAND, likewise."""

GUARD_BITS = 8
"""Sums of 256 products are exact; longer ones are sums of these, outside the element."""

_FILE = Path(__file__).with_name("synthesis.csv")


@dataclass(frozen=True)
class Unit:
    """A synthesised unit.

    Attributes:
        kind: `multiply`, `add`, `negate` or `select`.
        first: Operand, width or number of entries.
        second: Of a product, the second operand.
        width: Bits of the result.
        gates: Simple gates.
        nand2: Area in two-input NANDs.
        levels: Depth in gates, exclusive ors and multiplexers counted twice.
        check: `exhaustive` or `drawn` vectors were compared with Python.
        vectors: How many.
    """

    kind: str
    first: str
    second: str
    width: int
    gates: int
    nand2: float
    levels: int
    check: str
    vectors: int


@functools.cache
def units() -> tuple[Unit, ...]:
    """Every row of the table."""
    with _FILE.open(newline="", encoding="utf-8") as file:
        file.readline()
        return tuple(
            Unit(
                row["kind"],
                row["first"],
                row["second"],
                int(row["width"]),
                int(row["gates"]),
                float(row["nand2_equivalents"]),
                int(row["levels"]),
                row["check"],
                int(row["vectors"]),
            )
            for row in csv.DictReader(file)
        )


def provenance() -> str:
    """With which yosys, by what and when the table was made."""
    with _FILE.open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()


@functools.cache
def _multipliers() -> dict[tuple[str, str], Unit]:
    return {(u.first, u.second): u for u in units() if u.kind == "multiply"}


@functools.cache
def multiplier(weight: str, activation: str) -> Unit:
    """The synthesised multiplier of two operands.

    Args:
        weight: Name of an operand.
        activation: Name of an operand.

    Raises:
        ValueError: If there is none.
    """
    if (weight, activation) not in _multipliers():
        raise ValueError(f"there is no multiplier for {weight} and {activation}")
    return _multipliers()[weight, activation]


@functools.cache
def smallest_multiplier(weight: str, activation: str) -> Unit:
    """The smallest synthesised multiplier that covers two operands, sides exchanged if need be.

    Args:
        weight: Name of an operand.
        activation: Name of an operand.

    Raises:
        ValueError: If there is none.
    """
    fitting = [
        unit
        for unit in _multipliers().values()
        for first, second in ((weight, activation), (activation, weight))
        if covers(unit.first, first) and covers(unit.second, second)
    ]
    if not fitting:
        raise ValueError(f"there is no multiplier for {weight} and {activation}")
    return min(fitting, key=lambda unit: unit.nand2)


@functools.cache
def _by_width(kind: str) -> NDArray[np.float64]:
    """Widths, areas and depths (3, k) of units of a kind, by width."""
    key = "first" if kind == "select" else "width"
    rows = sorted(
        (float(getattr(unit, key)), unit.nand2, float(unit.levels))
        for unit in units()
        if unit.kind == kind and not unit.first.startswith("fp")
    )
    return np.array(rows).T


def _interpolated(kind: str, at: ArrayLike, row: int) -> NDArray[np.float64]:
    table = _by_width(kind)
    asked = np.asarray(at, np.float64)
    if np.any((asked < table[0, 0]) | (asked > table[0, -1])):
        wrong = asked[(asked < table[0, 0]) | (asked > table[0, -1])].flat[0]
        raise ValueError(
            f"{kind}: {wrong:g} is outside of what was synthesised, "
            f"{table[0, 0]:g} to {table[0, -1]:g}"
        )
    return np.asarray(np.interp(asked, table[0], table[row]))


def area_nand2(kind: str, at: ArrayLike) -> NDArray[np.float64]:
    """Area of integer units, linear between the widths that were synthesised.

    Args:
        kind: `add`, `negate`, or `select` (of one bit).
        at: Bits, for `select` entries `(n,)`.

    Raises:
        ValueError: Outside of what was synthesised.
    """
    return _interpolated(kind, at, 1)


def depth_levels(kind: str, at: ArrayLike) -> NDArray[np.float64]:
    """Depth of integer units, likewise."""
    return _interpolated(kind, at, 2)


@functools.cache
def float_adder(name: str) -> Unit:
    """The adder of `fp16` or `fp32`."""
    return next(u for u in units() if u.kind == "add" and u.first == name)


def accumulator_bits(unit: Unit) -> int:
    """Bits in which the products of a multiplier are summed: exact, or 32 of a float."""
    first, second = OPERANDS[unit.first], OPERANDS[unit.second]
    return 32 if first.is_wide or second.is_wide else unit.width + GUARD_BITS
