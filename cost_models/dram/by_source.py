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
from archgym.cost_models.dram.addresses import request_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.power import FloatArray
from archgym.cost_models.dram.quantile import clear, keep_largest, percentile, tail_of
from archgym.cost_models.jit import compiled


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


@compiled
def count_by_source(q: IntArray, parts: int, latency: IntArray, out: IntArray) -> None:
    """Fill `out` (sources, c.SOURCE_OUTPUTS) from the `latency` (requests, 2) of requests `q`.

    A line of `parts` requests counts once, with its last answer.
    """
    out[:, :] = 0
    for i in range(0, latency.shape[0], parts):
        request = request_at(i)
        if not q[request + c.Q_WRITE]:
            out[q[request + c.Q_SOURCE], c.OS_READS] += 1
            out[q[request + c.Q_SOURCE], c.OS_LATENCY] += latency[i : i + parts, 0].max()
    for source in range(out.shape[0]):
        if out[source, c.OS_READS] == 0:
            continue
        tail = tail_of(out[source, c.OS_READS])
        clear(tail)
        for i in range(0, latency.shape[0], parts):
            request = request_at(i)
            if q[request + c.Q_SOURCE] == source and not q[request + c.Q_WRITE]:
                keep_largest(tail, latency[i : i + parts, 0].max())
        out[source, c.OS_LATENCY_P99] = percentile(tail)
