"""Quality of service: what the reads of each source wait for, and how much of it for the others.

A program's slowdown is commonly the time that its memory requests stall it among the others over
that alone in the same system (Mutlu and Moscibroda, MICRO 2007 and ISCA 2008). Traces have arrivals
and no core that stalls, so here it is a ratio of mean read latencies; and the system is that of one
reference design, as a design that is slow for a program alone would else seem fair. The largest
slowdown tells how unfair a design is (Das, Mutlu, Moscibroda and Das, MICRO 2009; Kim et al., HPCA
2010), the sum of the reciprocals, weighted speedup, what all get done together (Snavely and
Tullsen, ASPLOS 2000, of instructions per cycle).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.power import FloatArray
from archgym.cost_models.dram.quantile import clear, keep_largest, percentile, tail_length
from archgym.cost_models.jit import allocating, apart, inlined


@dataclass(frozen=True)
class SourceResult:
    """What n designs do to each source; see the fields of `DramResult` that begin with `source_`.

    Attributes:
        reads: int64 `(n, sources)`.
        latency_ns: Mean read latency `(n, sources)`; NaN without reads, as the following.
        latency_p99_ns: 99th percentile of the same.
        slowdown: Mean read latency over that alone on the reference design `(n, sources)`.
        fairness: Largest slowdown `(n,)`.
        weighted_speedup: Sum of 1 / slowdown over sources that read `(n,)`.
    """

    reads: IntArray
    latency_ns: FloatArray
    latency_p99_ns: FloatArray
    slowdown: FloatArray
    fairness: FloatArray
    weighted_speedup: FloatArray


def source_result(sources: IntArray, alone_ns: FloatArray | None, ns: float) -> SourceResult:
    """Latencies and slowdowns from counts.

    Args:
        sources: int64 `(n, sources, c.SOURCE_OUTPUTS)`.
        alone_ns: Mean read latency of each source alone `(sources,)`; None for a lone source, whose
            slowdown is 1.
        ns: Nanoseconds of a cycle.
    """
    reads = sources[:, :, c.OS_READS]
    some = reads > 0
    latency = np.full(reads.shape, np.nan)
    np.divide(sources[:, :, c.OS_LATENCY] * ns, reads, out=latency, where=some)
    slowdown = latency / (latency if alone_ns is None else alone_ns)
    speedup = np.where(some, 1.0 / slowdown, 0.0).sum(axis=1)
    return SourceResult(
        reads=reads.copy(),
        latency_ns=latency,
        latency_p99_ns=np.where(some, sources[:, :, c.OS_LATENCY_P99] * ns, np.nan),
        slowdown=slowdown,
        fairness=np.fmax.reduce(slowdown, axis=1),
        weighted_speedup=np.where(some.any(axis=1), speedup, np.nan),
    )


# Cells of a source's share: reads, the sum of their latencies, and the largest of these, see
# `quantile`. An array begins with the place of each share, and the end of the last.
_READS = 0
_LATENCY = 1
_TAIL = 2


@allocating
def shares_of(q: IntArray, parts: int, sources: int) -> IntArray:
    """Memory for what each source waits for, given requests `q`, `parts` to a line; none for 0."""
    reads = np.zeros(sources, np.int64)
    if sources > 0:
        for i in range(0, q.size, c.REQUEST_CELLS):
            reads[q[i + c.Q_SOURCE]] += 1 - q[i + c.Q_WRITE]
    size = sources + 1 if sources > 0 else 0
    for source in range(sources):
        size += _TAIL + tail_length(reads[source] // parts)
    shares = np.zeros(size, np.int64)
    place = sources + 1
    for source in range(sources):
        shares[source] = place
        place += _TAIL + tail_length(reads[source] // parts)
    if sources > 0:
        shares[sources] = place
    return shares


@inlined
def clear_shares(shares: IntArray, sources: int) -> None:
    """Forget all latencies."""
    for source in range(sources):
        place = shares[source]
        shares[place + _READS] = 0
        shares[place + _LATENCY] = 0
        clear(shares[place + _TAIL : shares[source + 1]])


@apart
def keep_share(shares: IntArray, source: int, latency: int) -> None:
    """Add the latency of a read to what its source waits for."""
    place = shares[source]
    shares[place + _READS] += 1
    shares[place + _LATENCY] += latency
    keep_largest(shares[place + _TAIL : shares[source + 1]], latency)


@inlined
def fill_shares(shares: IntArray, out: IntArray) -> None:
    """Fill `out` (sources, c.SOURCE_OUTPUTS)."""
    for source in range(out.shape[0]):
        place = shares[source]
        out[source, c.OS_READS] = shares[place + _READS]
        out[source, c.OS_LATENCY] = shares[place + _LATENCY]
        out[source, c.OS_LATENCY_P99] = percentile(shares[place + _TAIL : shares[source + 1]])
