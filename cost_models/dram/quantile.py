"""The exact 99th percentile of latencies that are seen once, in bounded memory."""

from __future__ import annotations

from archgym.cost_models.dram.jit import inlined
from archgym.cost_models.dram.policy import IntArray


@inlined
def tail_size(n: int) -> int:
    """Length of the top of `n` sorted values that begins with the 99th percentile (nearest rank).

    The nearest-rank percentile is the value number ceil(0.99 n) in ascending order.
    """
    return n - (99 * n + 99) // 100 + 1


@inlined
def keep_largest(heap: IntArray, value: int) -> None:
    """Offer `value` to a min-heap of the largest; cell 0 counts them, cell 1 is the least."""
    size = heap.size - 1
    used = heap[0]
    if used < size:
        heap[0] = used + 1
        i = used + 1
        while i > 1 and heap[i >> 1] > value:
            heap[i] = heap[i >> 1]
            i >>= 1
        heap[i] = value
    elif size > 0 and value > heap[1]:
        i = 1
        child = 2
        while child <= size:
            if child < size and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= value:
                break
            heap[i] = heap[child]
            i = child
            child = 2 * i
        heap[i] = value
