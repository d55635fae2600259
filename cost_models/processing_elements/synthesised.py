"""Elements with a multiplier per kind of operands: bit-parallel, and bit-serial in the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from archgym.cost_models.processing_elements.anchors import (
    element_nand2,
    is_float,
    pj_per_nand2,
    um2_per_nand2,
)
from archgym.cost_models.processing_elements.family import BoolArray, Family, FloatArray
from archgym.cost_models.processing_elements.formats import decoded, full_name
from archgym.cost_models.processing_elements.operands import OPERANDS, covers
from archgym.cost_models.processing_elements.synthesis import (
    FLIP_FLOP_NAND2,
    MUX2_NAND2,
    Unit,
    accumulator_bits,
    area_nand2,
    float_adder,
    multiplier,
    smallest_multiplier,
)

_TERM = "term"
_LEAST_ADDER_BITS = 4
"""Of the adders that were synthesised; a narrower one counts as that."""


class _Synthesised(Family):
    """One multiplier per kind of operands that a design uses, one accumulator for all."""

    def _multiplier(self, weight: str, activation: str) -> Unit:
        return smallest_multiplier(weight, activation)

    def _steps(self, name: str, weight: str) -> float:
        """Cycles of a product with an operand, the weight of a format."""
        return 1.0

    def _parts(self, weight: str, activation: str) -> list[tuple[Unit, float, float]]:
        """Multipliers of a pair, each with its share of the products and its cycles."""
        first, second = decoded(weight), decoded(activation)
        if len(first.operands) == len(second.operands):
            pairs = list(zip(first.operands, second.operands, first.shares, strict=True))
        else:
            pairs = [
                (w, a, p * q)
                for w, p in zip(first.operands, first.shares, strict=True)
                for a, q in zip(second.operands, second.shares, strict=True)
            ]
        return [(self._multiplier(w, a), share, self._steps(weight, w)) for w, a, share in pairs]

    def _reason(self, weight: str, activation: str) -> str:
        decoded(weight), decoded(activation)  # unknown names are the caller's errors
        try:
            self._parts(weight, activation)
        except ValueError as error:
            return str(error)
        return ""

    def _cycles(self, weight: str, activation: str) -> float:
        return sum(share * cycles for _, share, cycles in self._parts(weight, activation))

    def _energy_pj(self, weight: str, activation: str) -> float:
        bits = decoded(weight).bits + decoded(activation).bits
        return pj_per_nand2() * sum(
            share * cycles * element_nand2(unit, bits)
            for unit, share, cycles in self._parts(weight, activation)
        )

    def _areas(
        self, weights: tuple[str, ...], activations: tuple[str, ...], supported: BoolArray
    ) -> Callable[[BoolArray], FloatArray]:
        union = _Union(
            [
                [
                    [unit for unit, _, _ in self._parts(w, a)] if supported[i, j] else []
                    for j, a in enumerate(activations)
                ]
                for i, w in enumerate(weights)
            ],
            [np.array([decoded(x).bits for x in names], float) for names in (weights, activations)],
        )
        return lambda used: um2_per_nand2() * union.nand2(used)


class _Union:
    """Area of an element with several multipliers.

    A multiplier that another one covers is left out, and one that nobody asked for is put in where
    it covers so many that the element shrinks. Sums share one integer adder, the widest, one of
    binary32 where there are floats, and one register; products are selected before the adder.

    Args:
        needs: Multipliers of each pair of formats, in rows of the same first one.
        stored_bits: Of the first, and of the second formats.
    """

    def __init__(
        self, needs: Sequence[Sequence[Sequence[Unit]]], stored_bits: Sequence[FloatArray]
    ) -> None:
        every = [units for row in needs for units in row]
        units = list(dict.fromkeys([x for each in every for x in each]))
        general = multiplier("fp16", "fp16")
        units = units if general in units else [*units, general]
        units_of = np.full((len(every), max(map(len, every), default=0)), -1)
        for pair, each in enumerate(every):
            units_of[pair, : len(each)] = [units.index(unit) for unit in each]
        self._units_of = units_of.reshape(*map(len, stored_bits), units_of.shape[1])
        self._stored = (stored_bits[0], stored_bits[1])
        # In tenths, as the table has them: sums of whole numbers do not depend on their order.
        self._tenths = np.rint(10 * np.array([unit.nand2 for unit in units]))
        self._floats = np.array([is_float(unit) for unit in units])
        self._bits = np.where(self._floats, 0, [accumulator_bits(unit) for unit in units])
        self._covers = np.zeros((len(units), len(units)), np.bool_)
        for i, j in np.ndindex(*self._covers.shape):
            mutual = i > j and _covers(units[j], units[i])
            self._covers[i, j] = i != j and _covers(units[i], units[j]) and not mutual
        widths = np.maximum(np.arange(self._bits.max() + 1), _LEAST_ADDER_BITS)
        self._adders = area_nand2("add", widths)
        self._adders[0] = 0.0
        self._parts = np.array([float_adder("fp32").nand2, MUX2_NAND2, FLIP_FLOP_NAND2])

    def nand2(self, used: BoolArray) -> FloatArray:
        """Areas `(n,)` in gate equivalents, operand registers included, for pairs `(n, w, a)`."""
        from archgym.cost_models.processing_elements import kernels

        area = np.empty(len(used))
        kernels.union_nand2(
            np.ascontiguousarray(used),
            self._stored,
            self._units_of,
            self._tenths,
            self._bits,
            self._floats,
            self._covers,
            self._adders,
            self._parts,
            area,
        )
        return area


@functools.cache
def _covers(wide: Unit, narrow: Unit) -> bool:
    return any(
        covers(wide.first, first) and covers(wide.second, second)
        for first, second in ((narrow.first, narrow.second), (narrow.second, narrow.first))
    )


class BitParallel(_Synthesised):
    """A product per cycle, by a multiplier for each kind of operands that a design uses."""

    name = "bit-parallel"
    summary = "one product per cycle; a multiplier for each kind of operands that is used"
    source = "own synthesis, tools/synthesize_pes.py"


class BitSerial(_Synthesised):
    """Weights as radix-4 digits, one digit times the activation per cycle.

    Args:
        terms: Cycles of a weight by format, such as the mean number of digits that are not zero
            (`partial_products.mean_terms`); formats that are left out take one cycle per digit.

    Raises:
        ValueError: For an unknown format, or a number that is not above 0.
    """

    name = "bit-serial"
    summary = "one radix-4 digit of the weight per cycle; formats share it"
    source = "own synthesis, tools/synthesize_pes.py; digits as Booth recoding"

    def __init__(self, terms: Mapping[str, float] | None = None) -> None:
        self._terms = {full_name(name): value for name, value in (terms or {}).items()}
        for name, value in self._terms.items():
            if not value > 0:
                raise ValueError(f"terms: {value!r} of {name!r}, must be above 0")

    def _multiplier(self, weight: str, activation: str) -> Unit:
        operand, digit = OPERANDS[weight], OPERANDS[_TERM]
        highest = 2 * (operand.terms - 1) + (operand.significand % 2 or not operand.is_float)
        highest += operand.top - 1 if operand.is_float else 0
        if highest >= digit.top:
            raise ValueError(f"digits of {weight} reach 2^{highest}, the shifter 2^{digit.top - 1}")
        return smallest_multiplier(_TERM, activation)

    def _steps(self, name: str, weight: str) -> float:
        return self._terms.get(full_name(name), float(OPERANDS[weight].terms))
