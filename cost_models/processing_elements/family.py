"""What every family of processing elements answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pair = tuple[str, str]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class PairTable:
    """A family's figures for all pairs of some formats, for batches of designs.

    Attributes:
        weights: Formats, rows.
        activations: Formats, columns.
        supported: Which pairs the family can multiply `(W, A)`.
        macs_per_cycle: Of one element `(W, A)`, NaN where not supported.
        energy_pj_per_mac: `(W, A)`, NaN where not supported.
        area_um2: Takes which pairs each design uses, bool `(n, W, A)`, and returns the area of an
            element for them `(n,)`.
    """

    weights: tuple[str, ...]
    activations: tuple[str, ...]
    supported: BoolArray
    macs_per_cycle: FloatArray
    energy_pj_per_mac: FloatArray
    area_um2: Callable[[BoolArray], FloatArray]


class Family(ABC):
    """A kind of processing element; names of formats as in `archgym.cost_models.numerics`.

    Attributes:
        name: Of the family.
        summary: One line.
        source: Where its figures are from.
        inputs: Products that an element sums in a step, along the input channels.
        outputs: Outputs that it works on at once, along the output channels.
    """

    name: str
    summary: str
    source: str
    inputs: int = 1
    outputs: int = 1

    def supports(self, weight: str, activation: str) -> bool:
        """Whether an element can multiply a pair.

        Raises:
            ValueError: For an unknown format.
        """
        return self._reason(weight, activation) == ""

    def macs_per_cycle(self, weight: str, activation: str) -> float:
        """Multiply-accumulates of one element in a cycle.

        Raises:
            ValueError: For an unknown format, or a pair that is not supported.
        """
        self._require(weight, activation)
        return self.inputs * self.outputs / self._cycles(weight, activation)

    def energy_pj_per_mac(self, weight: str, activation: str) -> float:
        """Energy of a multiply-accumulate in pJ at 28 nm, before place and route.

        Raises:
            ValueError: For an unknown format, or a pair that is not supported.
        """
        self._require(weight, activation)
        return self._energy_pj(weight, activation)

    def area_um2(self, pairs: Iterable[Pair]) -> float:
        """Area of an element that can multiply all of some pairs, in um2 at 28 nm.

        Raises:
            ValueError: For no pair, an unknown format, or a pair that is not supported.
        """
        wanted = sorted(set(pairs))
        if not wanted:
            raise ValueError("pairs: there is none, at least one is needed")
        for weight, activation in wanted:
            self._require(weight, activation)
        table = self.table([w for w, _ in wanted], [a for _, a in wanted])
        used = np.eye(len(wanted), dtype=np.bool_)[None]
        return float(table.area_um2(used)[0])

    def table(self, weights: Iterable[str], activations: Iterable[str]) -> PairTable:
        """All pairs of some formats as arrays.

        Raises:
            ValueError: For an unknown format.
        """
        rows, columns = tuple(weights), tuple(activations)
        shape = (len(rows), len(columns))
        supported = np.array([[self.supports(w, a) for a in columns] for w in rows]).reshape(shape)
        rate, energy = np.full(shape, np.nan), np.full(shape, np.nan)
        for i, j in np.argwhere(supported):
            rate[i, j] = self.macs_per_cycle(rows[i], columns[j])
            energy[i, j] = self.energy_pj_per_mac(rows[i], columns[j])
        area = self._areas(rows, columns, supported)

        def checked(used: BoolArray) -> FloatArray:
            if np.any(used & ~supported):
                _, i, j = np.argwhere(used & ~supported)[0]
                self._require(rows[i], columns[j])
            return area(used)

        return PairTable(rows, columns, supported, rate, energy, checked)

    def _require(self, weight: str, activation: str) -> None:
        reason = self._reason(weight, activation)
        if reason:
            raise ValueError(
                f"family {self.name}: cannot multiply {weight!r} and {activation!r}, {reason}"
            )

    @abstractmethod
    def _reason(self, weight: str, activation: str) -> str:
        """Why a pair is not supported, empty where it is."""

    @abstractmethod
    def _cycles(self, weight: str, activation: str) -> float:
        """Cycles of a step, that is of `inputs` x `outputs` multiply-accumulates."""

    @abstractmethod
    def _energy_pj(self, weight: str, activation: str) -> float:
        """Energy of a multiply-accumulate of a supported pair."""

    @abstractmethod
    def _areas(
        self, weights: tuple[str, ...], activations: tuple[str, ...], supported: BoolArray
    ) -> Callable[[BoolArray], FloatArray]:
        """The function `area_um2` of a table, for pairs that are supported."""
