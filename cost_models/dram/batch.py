"""Batches of designs over the channels of a trace: the loops around the two kernels."""

from __future__ import annotations

import numpy as np
from numba import njit

from archgym.cost_models.dram import dramsys, ramulator
from archgym.cost_models.dram.cells import O_CYCLES, O_LATENCY_P99, OUTPUTS
from archgym.cost_models.dram.quantile import tail_size

_dramsys = dramsys.simulate
_ramulator = ramulator.simulate


@njit(cache=True, nogil=True)
def latency_heap(write):  # type: ignore[no-untyped-def]
    """An empty heap for the largest latencies of the reads among `write`."""
    reads = 0
    for i in range(write.size):
        reads += 1 - write[i]
    return np.zeros(1 + (tail_size(reads) if reads > 0 else 0), np.int64)


@njit(cache=True, nogil=True)
def add_channel(totals, out):  # type: ignore[no-untyped-def]
    """Add one channel's counts to a design's; its cycles are those of the last to finish."""
    cycles = max(totals[O_CYCLES], out[O_CYCLES])
    for k in range(OUTPUTS):
        totals[k] += out[k]
        out[k] = 0
    totals[O_CYCLES] = cycles


@njit(cache=True, nogil=True)
def dramsys_batch(  # type: ignore[no-untyped-def]
    arrival,
    home,
    row,
    column,
    write,
    starts,
    most_reads,
    geometry,
    tm,
    policies,
    latency,
    commands,
    outputs,
):
    """Run designs `policies` (n, 10) one after another and fill `outputs` (n, OUTPUTS).

    Requests `starts[k]` to `starts[k + 1]` are those of channel k. `latency` is empty or
    `(requests,)`, `commands` is empty or `(commands, 5)`; both hold what the last design did.
    """
    heap = latency_heap(write)
    out = np.zeros(OUTPUTS, np.int64)
    for d in range(policies.shape[0]):
        heap[0] = 0
        outputs[d, :] = 0
        for k in range(starts.size - 1):
            a = starts[k]
            b = starts[k + 1]
            _dramsys(
                arrival[a:b],
                home[a:b],
                row[a:b],
                column[a:b],
                write[a:b],
                most_reads,
                geometry,
                tm,
                policies[d],
                heap,
                latency[a:b],
                commands,
                out,
            )
            add_channel(outputs[d], out)
        if heap.size > 1:
            outputs[d, O_LATENCY_P99] = heap[1]


@njit(cache=True, nogil=True)
def ramulator_batch(  # type: ignore[no-untyped-def]
    arrival,
    home,
    row,
    column,
    write,
    starts,
    most_reads,
    geometry,
    tm,
    policies,
    latency,
    commands,
    outputs,
):
    """Like `dramsys_batch`, for designs (n, 6) of the `ramulator` controller."""
    heap = latency_heap(write)
    out = np.zeros(OUTPUTS, np.int64)
    for d in range(policies.shape[0]):
        heap[0] = 0
        outputs[d, :] = 0
        for k in range(starts.size - 1):
            a = starts[k]
            b = starts[k + 1]
            _ramulator(
                arrival[a:b],
                home[a:b],
                row[a:b],
                column[a:b],
                write[a:b],
                most_reads,
                geometry,
                tm,
                policies[d],
                heap,
                latency[a:b],
                commands,
                out,
            )
            add_channel(outputs[d], out)
        if heap.size > 1:
            outputs[d, O_LATENCY_P99] = heap[1]
