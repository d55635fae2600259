"""A batch of designs over the channels of a trace: the loop around the kernel."""

from __future__ import annotations

import numpy as np
from numba import njit

from archgym.cost_models.dram.cells import O_CYCLES, O_LATENCY_P99, OUTPUTS
from archgym.cost_models.dram.dramsys import simulate
from archgym.cost_models.dram.quantile import tail_size


@njit(cache=True, nogil=True)
def simulate_batch(  # type: ignore[no-untyped-def]
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

    Requests `starts[k]` to `starts[k + 1]` are those of channel k. Counts and times of the channels
    are added up, the cycles are those of the last to finish. `latency` is empty or `(requests,)`,
    `commands` is empty or `(commands, 5)`; both hold what the last design did.
    """
    reads = 0
    for i in range(write.size):
        reads += 1 - write[i]
    heap = np.empty(1 + (tail_size(reads) if reads > 0 else 0), np.int64)
    out = np.empty(OUTPUTS, np.int64)
    for d in range(policies.shape[0]):
        heap[0] = 0
        outputs[d, :] = 0
        for k in range(starts.size - 1):
            a = starts[k]
            b = starts[k + 1]
            out[:] = 0
            simulate(
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
                latency[a:b] if latency.size > 0 else latency,
                commands,
                out,
            )
            cycles = max(outputs[d, O_CYCLES], out[O_CYCLES])
            outputs[d, :] += out
            outputs[d, O_CYCLES] = cycles
        if heap.size > 1:
            outputs[d, O_LATENCY_P99] = heap[1]
