"""Count distinct 64-bit integers of a long stream in bounded memory.

Exact while there are few; beyond that HyperLogLog (Flajolet, Fusy, Gandouet and Meunier,
"HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", AofA 2007) with a
64-bit hash, so that no correction for large counts is needed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_INDEX_BITS = 16
_REGISTERS = 1 << _INDEX_BITS
_VALUE_BITS = 64 - _INDEX_BITS

STANDARD_ERROR = 1.04 / math.sqrt(_REGISTERS)
"""Relative standard error of an estimate: 0.41 % with 65,536 registers (theorem 1)."""

EXACT_LIMIT = 1 << 20
"""Up to so many distinct values the count is exact: far above the range where HyperLogLog is
biased (5/2 registers)."""


class DistinctCounter:
    """Counts the distinct values added so far.

    Args:
        exact_limit: Largest count that is kept exactly.
    """

    def __init__(self, exact_limit: int = EXACT_LIMIT) -> None:
        self._limit = exact_limit
        self._values: NDArray[np.int64] | None = np.empty(0, np.int64)
        self._registers = np.zeros(_REGISTERS, np.int64)

    @property
    def is_exact(self) -> bool:
        """Whether `count` is exact; else it has a relative standard error of `STANDARD_ERROR`."""
        return self._values is not None

    def add(self, values: NDArray[np.int64]) -> None:
        """Add values, an int64 array of any length."""
        if self._values is None:
            self._estimate(np.unique(values))
            return
        merged = np.union1d(self._values, values)
        if merged.size <= self._limit:
            self._values = merged
        else:
            self._values = None
            self._estimate(merged)

    def _estimate(self, values: NDArray[np.int64]) -> None:
        hashed = _mixed(values)
        index = (hashed >> np.uint64(_VALUE_BITS)).astype(np.int64)
        rest = hashed & np.uint64((1 << _VALUE_BITS) - 1)
        # Below 2^53 a float holds the integer exactly, so its exponent is the bit length.
        bits = np.frexp(rest.astype(np.float64))[1]
        np.maximum.at(self._registers, index, _VALUE_BITS + 1 - bits)

    @property
    def count(self) -> int:
        """Number of distinct values."""
        if self._values is not None:
            return int(self._values.size)
        alpha = 0.7213 / (1.0 + 1.079 / _REGISTERS)
        return round(alpha * _REGISTERS**2 / float(np.sum(2.0**-self._registers)))


def _mixed(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A 64-bit hash of each value: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014)."""
    x = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
