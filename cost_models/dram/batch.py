"""Batches of designs over the channels of a trace: the loops around the kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numba
import numpy as np

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram import dramsys, ramulator
from archgym.cost_models.dram.by_source import clear_shares, fill_shares, shares_of
from archgym.cost_models.dram.machine import banks_of, build, free_slots
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.quantile import clear, percentile, tail_of
from archgym.cost_models.dram.responses import ByteArray, doubled, lines_of, power_of_two
from archgym.cost_models.jit import allocating, compiled, forget_stale_kernels, inlined, kernel

forget_stale_kernels(Path(__file__).parent)

_ROW, _TABLE = numba.int64[::1], numba.int64[:, ::1]
_BYTES = numba.int8[::1]
_SERVE = numba.boolean(*(_ROW, _ROW, _ROW, _TABLE, _BYTES, _ROW, _ROW, _TABLE, _TABLE, _ROW, _ROW))
_KERNELS = {
    "dramsys": (c.DRAMSYS, dramsys.serve_dramsys),
    "modern": (c.MODERN, dramsys.serve_modern),
    "ramulator": (c.RAMULATOR, ramulator.serve),
}


@allocating
def latency_tail(q: IntArray, geometry: IntArray) -> IntArray:
    """Memory for the largest latencies of the reads among requests `q`."""
    reads = 0
    for i in range(c.Q_WRITE, q.size, c.REQUEST_CELLS):
        reads += 1 - q[i]
    reads //= geometry[c.G_PARTS]
    return tail_of(reads)


@inlined
def add_channel(totals: IntArray, out: IntArray) -> None:
    """Add one channel's counts to a design's; its cycles are those of the last to finish."""
    cycles = max(totals[c.O_CYCLES], out[c.O_CYCLES])
    for k in range(c.OUTPUTS):
        totals[k] += out[k]
        out[k] = 0
    totals[c.O_CYCLES] = cycles


@allocating
def prepare(
    controller: int,
    q: IntArray,
    most_reads: int,
    geometry: IntArray,
    tm: IntArray,
    policy: IntArray,
) -> tuple[IntArray, IntArray, IntArray, ByteArray, IntArray]:
    """Memory, slots, rings of answers, lines and window of one design, see `dramsys.serve`."""
    banks = banks_of(geometry)
    m = np.zeros(c.BANK_BASE + (2 * c.BANK_CELLS + c.MOST_RECENT) * banks, np.int64)
    build(m, geometry, tm, most_reads)
    if controller == c.RAMULATOR:
        ramulator.start(m, policy)
    else:
        dramsys.start(m, q, geometry, policy, controller == c.MODERN)
    slot = np.empty(m[c.X_SLOTS] * (c.SLOT_CELLS + 1), np.int64)
    free_slots(m, slot)
    returns = np.zeros((2, power_of_two(max(m[c.X_MOST_ACTIVE], most_reads))), np.int64)
    window = np.full(2048 if m[c.X_IN_ORDER] else 0, -1, np.int64)
    return m, slot, returns, lines_of(m, q), window


@compiled
def run_designs(
    serve: Callable[..., bool],
    controller: int,
    q: IntArray,
    starts: IntArray,
    most_reads: int,
    geometry: IntArray,
    tm: IntArray,
    policies: IntArray,
    latency: IntArray,
    commands: IntArray,
    outputs: IntArray,
    sources: IntArray,
) -> None:
    """Run designs `policies` of a controller, a code, one after another with its kernel `serve`.

    Requests `starts[k]` to `starts[k + 1]` of `q` are those of channel k. `outputs`
    (n, c.OUTPUTS) is filled. `latency` is `(0, 2)` or `(requests, 2)`, `commands` is empty or
    `(commands, 5)`; both hold what the last design did. `sources` (n, sources, c.SOURCE_OUTPUTS),
    without sources where that is not wanted.
    """
    tail = latency_tail(q, geometry)
    out = np.zeros(c.OUTPUTS, np.int64)
    shares = shares_of(q, geometry[c.G_PARTS], sources.shape[1])
    for d in range(policies.shape[0]):
        clear(tail)
        clear_shares(shares, sources.shape[1])
        outputs[d, :] = 0
        for k in range(starts.size - 1):
            a = starts[k]
            b = starts[k + 1]
            requests = q[a * c.REQUEST_CELLS : b * c.REQUEST_CELLS]
            if most_reads > 0:
                requests = requests.copy()  # the arrivals of a closed loop are this design's own
            m, slot, returns, lines, window = prepare(
                controller, requests, most_reads, geometry, tm, policies[d]
            )
            waits = latency[a:b]
            while not serve(
                m, slot, requests, returns, lines, tail, shares, waits, commands, out, window
            ):
                window = doubled(window, m[c.X_NEXT_ANSWER], m[c.X_ACCEPTED])
            add_channel(outputs[d], out)
        outputs[d, c.O_LATENCY_P99] = percentile(tail)
        fill_shares(shares, sources[d])


def batch_of(controller: str) -> Callable[..., None]:
    """`run_designs` without its first two arguments; compiles the controller's kernel if needed."""
    code, serve = _KERNELS[controller]
    served = kernel(serve, _SERVE, f"the DRAM controller {controller!r}")
    return partial(run_designs, served, code)
