"""Elements with a multiplier per kind of operands: bit-parallel, and bit-serial in the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

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
_ROWS = 4096
"""Designs whose areas are found at once."""


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
        found: dict[Unit, int] = {}
        members = []
        for i, j in np.argwhere(supported):
            for unit, _, _ in self._parts(weights[i], activations[j]):
                members.append((i, j, found.setdefault(unit, len(found))))
        needs = np.zeros((*supported.shape, len(found)), np.bool_)
        for i, j, k in members:
            needs[i, j, k] = True
        union = _Union(tuple(found))
        bits = [
            np.array([float(decoded(name).bits) for name in names])
            for names in (weights, activations)
        ]

        def areas(used: BoolArray) -> FloatArray:
            n = len(used)
            asked = (
                used.reshape(n, supported.size).astype(np.float32) @ needs.reshape(-1, len(found))
            ) > 0
            stored = np.max(used.any(axis=2) * bits[0], axis=1, initial=0.0)
            stored += np.max(used.any(axis=1) * bits[1], axis=1, initial=0.0)
            return um2_per_nand2() * union.nand2(asked, stored)

        return areas


class _Union:
    """Area of an element with several multipliers.

    A multiplier that another one covers is left out, and one that nobody asked for is put in where
    it covers so many that the element shrinks. Sums share one integer adder, the widest, one of
    binary32 where there are floats, and one register; products are selected before the adder.

    Args:
        units: Multipliers that are asked for.
    """

    def __init__(self, units: tuple[Unit, ...]) -> None:
        general = multiplier("fp16", "fp16")
        units = units if general in units else (*units, general)
        # In tenths, as the table has them: sums of whole numbers do not depend on their order.
        self._tenths = np.rint(10 * np.array([unit.nand2 for unit in units]))
        self._float = np.array([is_float(unit) for unit in units])
        bits = np.array([accumulator_bits(unit) for unit in units])
        self._integer_bits = np.where(self._float, 0, bits)
        k = len(units)
        self._covered = np.zeros((k, k), np.float32)
        for i in range(k):
            for j in range(k):
                mutual = i > j and _covers(units[j], units[i])
                self._covered[i, j] = i != j and _covers(units[i], units[j]) and not mutual
        self._general = np.flatnonzero(self._covered.any(axis=1))
        self._widest_first = np.argsort(-self._integer_bits, kind="stable")

    def nand2(self, asked: BoolArray, stored_bits: FloatArray) -> FloatArray:
        """Areas in gate equivalents.

        Args:
            asked: Which multipliers each element needs `(n, k)`, in the order given.
            stored_bits: Of the widest operands `(n,)`.
        """
        parts = [self._nand2(asked[i : i + _ROWS]) for i in range(0, len(asked), _ROWS)]
        return np.concatenate([*parts, np.zeros(0)]) + FLIP_FLOP_NAND2 * stored_bits

    def _nand2(self, asked: BoolArray) -> FloatArray:
        """Areas without operand registers."""
        wanted = np.zeros((len(asked), len(self._tenths)), np.bool_)
        wanted[:, : asked.shape[1]] = asked
        kept = wanted & ~((wanted.astype(np.float32) @ self._covered) > 0)
        number = kept.astype(np.float32)
        tenths, count = kept @ self._tenths, kept.sum(axis=1)
        areas = self._sum(kept, tenths, count, np.zeros(len(kept)), np.zeros(len(kept)))
        # One more multiplier in place of those that it covers, each where it covers any.
        covered = self._covered[self._general]
        replaced = number @ covered.T
        idle = kept[:, self._general] | ((number @ self._covered[:, self._general]) > 0)
        rows, c = np.nonzero((replaced > 0) & ~idle)
        if len(rows):
            unit = self._general[c]
            saved = kept @ (covered * self._tenths).T
            other = self._sum(
                kept[rows] & (self._covered[unit] == 0),
                tenths[rows] - saved[rows, c] + self._tenths[unit],
                count[rows] - replaced[rows, c] + 1,
                self._integer_bits[unit],
                self._float[unit],
            )
            np.minimum.at(areas, rows, other)
        return areas

    def _sum(
        self,
        kept: BoolArray,
        tenths: FloatArray,
        count: FloatArray,
        integer_bits: FloatArray,
        is_float: FloatArray,
    ) -> FloatArray:
        """Multipliers, adders, selection and accumulator.

        Args:
            kept: Multipliers `(n, k)`, less one more.
            tenths: Area of all, in tenths of a gate equivalent `(n,)`.
            count: Number of all `(n,)`.
            integer_bits: Of the one more `(n,)`, 0 for a float and without one.
            is_float: Whether the one more has floats `(n,)`.
        """
        order = self._widest_first
        first = kept[:, order].argmax(axis=1)
        any_kept = kept[np.arange(len(kept)), order[first]]
        integer = np.maximum(any_kept * self._integer_bits[order[first]], integer_bits)
        floats = kept[:, self._float].any(axis=1) | (is_float > 0)
        adders = np.where(integer > 0, area_nand2("add", np.maximum(integer, 4)), 0.0)
        adders += floats * float_adder("fp32").nand2
        width = np.maximum(integer, 32 * floats)
        selection = np.maximum(count - 1, 0) * width * MUX2_NAND2
        return np.asarray(tenths / 10 + adders + selection + FLIP_FLOP_NAND2 * width)


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
