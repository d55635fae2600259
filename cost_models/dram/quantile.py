"""The exact 99th percentile of latencies that are seen once, in bounded memory.

The percentile is the least of the largest 1 %. Their number is known beforehand, so it is enough
to collect values above a threshold that this many values have reached, and to raise the threshold
when twice as many are there. An array of int64 holds the number collected, the threshold, and the
values.
"""

from __future__ import annotations

import numpy as np

from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.jit import allocating, apart, inlined

_COUNT = 0
_THRESHOLD = 1
_VALUES = 2


@inlined
def tail_size(n: int) -> int:
    """Length of the top of `n` sorted values that begins with the 99th percentile (nearest rank).

    The nearest-rank percentile is the value number ceil(0.99 n) in ascending order.
    """
    return n - (99 * n + 99) // 100 + 1


@inlined
def tail_length(n: int) -> int:
    """Cells for the largest of `n` values."""
    return _VALUES + 2 * (tail_size(n) if n > 0 else 0)


@allocating
def tail_of(n: int) -> IntArray:
    """Memory for the largest of `n` values, see `clear`."""
    return np.zeros(tail_length(n), np.int64)


@inlined
def clear(tail: IntArray) -> None:
    """Forget all values."""
    tail[_COUNT] = 0
    tail[_THRESHOLD] = -1


@inlined
def keep_largest(tail: IntArray, value: int) -> None:
    """Collect `value`, which is not negative, if it may be among the largest."""
    if value > tail[_THRESHOLD]:
        count = tail[_COUNT]
        tail[_VALUES + count] = value
        tail[_COUNT] = count + 1
        if _VALUES + count + 1 == tail.size:
            raise_threshold(tail)


@apart
def raise_threshold(tail: IntArray) -> None:
    """Raise the threshold to the least of the largest, and keep the values above it.

    Found by bisection: counting what reaches a value takes no branches, whatever the order.
    """
    size = (tail.size - _VALUES) // 2
    values = tail[_VALUES : _VALUES + tail[_COUNT]]
    least = tail[_THRESHOLD]
    most = np.int64(least)
    for k in range(values.size):
        most = max(most, values[k])
    while least < most:
        middle = least + (most - least + 1) // 2
        reached = 0
        for k in range(values.size):  # over indices: Numba turns this form into vectors
            reached += values[k] >= middle
        if reached >= size:
            least = middle
        else:
            most = middle - 1
    kept = 0
    for k in range(values.size):
        value = values[k]
        values[kept] = value
        kept += value > least
    tail[_COUNT] = kept
    tail[_THRESHOLD] = least


@inlined
def percentile(tail: IntArray) -> int:
    """The 99th percentile of all values, 0 without any."""
    if tail.size == _VALUES:
        return 0
    raise_threshold(tail)
    return int(tail[_THRESHOLD])
