"""Data on its way back: when each request is answered, and what its latency adds to the figures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import request_at
from archgym.cost_models.dram.by_source import keep_share
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.quantile import keep_largest
from archgym.cost_models.jit import allocating, inlined

ByteArray = npt.NDArray[np.int8]


@inlined
def power_of_two(n: int) -> int:
    """Smallest power of two above `n`."""
    size = 1
    while size <= n:
        size *= 2
    return size


@allocating
def lines_of(m: IntArray, q: IntArray) -> ByteArray:
    """Parts answered so far of each line; empty where a line is one request."""
    parts = m[c.X_PARTS]
    return np.zeros(q.size // c.REQUEST_CELLS // parts if parts > 1 else 0, np.int8)


@inlined
def reads_before(m: IntArray) -> int:
    """Reads of the trace, whole lines, accepted before the next request."""
    parts = m[c.X_PARTS]
    return int(m[c.X_READS] if parts == 1 else m[c.X_READS] // parts)


@inlined
def answer(
    m: IntArray,
    q: IntArray,
    returns: IntArray,
    lines: ByteArray,
    tail: IntArray,
    shares: IntArray,
    latency: IntArray,
    out: IntArray,
    i: int,
    accepted: int,
    cycle: int,
) -> None:
    """Answer request `i`, accepted at `accepted`, at `cycle`; answers come in order of cycle.

    `returns` is `(2, a power of two)`: rings of the cycles of the last answers, and of those to
    reads. `lines` counts the parts answered of each line, where a line takes several requests: a
    read counts once, with its last part. `tail` keeps the largest read latencies, see `quantile`,
    `shares` those of each source where there are several, see `by_source`.
    `latency` holds what each request waited until its answer, and until it was accepted; empty
    where not wanted.
    """
    mask = returns.shape[1] - 1
    returns[0, m[c.X_ANSWERED] & mask] = cycle
    m[c.X_ANSWERED] += 1
    m[c.X_LAST_ANSWER] = cycle
    out[c.O_CYCLES] = max(out[c.O_CYCLES], cycle)
    waited = cycle - q[request_at(i) + c.Q_ARRIVAL]
    if latency.size > 0:
        latency[i, 0] = waited
        latency[i, 1] = accepted - q[request_at(i) + c.Q_ARRIVAL]
    if m[c.X_PARTS] > 1:
        line = i // m[c.X_PARTS]
        lines[line] += 1
        if lines[line] < m[c.X_PARTS]:
            return
    if not q[request_at(i) + c.Q_WRITE]:
        returns[1, m[c.X_ANSWERED_READS] & mask] = cycle
        m[c.X_ANSWERED_READS] += 1
        out[c.O_READS] += 1
        out[c.O_LATENCY] += waited
        out[c.O_LATENCY_ACCEPTED] += cycle - accepted
        keep_largest(tail, waited)
        if shares.size > 0:
            keep_share(shares, q[request_at(i) + c.Q_SOURCE], waited)


@inlined
def answer_in_order(
    m: IntArray,
    q: IntArray,
    returns: IntArray,
    lines: ByteArray,
    tail: IntArray,
    shares: IntArray,
    latency: IntArray,
    out: IntArray,
    window: IntArray,
    i: int,
    accepted: int,
    cycle: int,
) -> None:
    """Hold the data of request `i`, ready at `cycle`, until all requests before it are answered.

    `window` is a ring of (ready cycle, acceptance cycle) pairs, ready cycle -1 where data is not
    ready. Answers leave in request order, at most one per cycle.
    """
    mask = (window.size >> 1) - 1
    window[2 * (i & mask)] = cycle
    window[2 * (i & mask) + 1] = accepted
    head = m[c.X_NEXT_ANSWER]
    while window[2 * (head & mask)] >= 0:
        ready = max(window[2 * (head & mask)], m[c.X_LAST_ANSWER] + 1)
        since = window[2 * (head & mask) + 1]
        answer(m, q, returns, lines, tail, shares, latency, out, head, since, ready)
        window[2 * (head & mask)] = -1
        head += 1
    m[c.X_NEXT_ANSWER] = head


@inlined
def lacks_room(window: IntArray, m: IntArray) -> bool:
    """Whether the ring of answers that wait for earlier ones has no place for the next request."""
    waiting = m[c.X_ACCEPTED] - m[c.X_NEXT_ANSWER]
    return bool(2 * (waiting + 2) > window.size)


@allocating
def doubled(window: IntArray, head: int, accepted: int) -> IntArray:
    """The ring of answers that wait for earlier ones, with twice the places."""
    grown = np.full(2 * window.size, -1, np.int64)
    for k in range(head, accepted):
        old = 2 * (k & ((window.size >> 1) - 1))
        new = 2 * (k & (window.size - 1))
        grown[new] = window[old]
        grown[new + 1] = window[old + 1]
    return grown
