"""Batches of designs over the channels of a trace: the loops around the kernels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram import dramsys, ramulator
from archgym.cost_models.dram.by_source import count_by_source
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.quantile import clear, percentile, tail_of
from archgym.cost_models.jit import allocating, compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

_dramsys = dramsys.simulate
_modern = dramsys.simulate_modern
_ramulator = ramulator.simulate


@allocating
def latency_tail(q: IntArray, geometry: IntArray) -> IntArray:
    """Memory for the largest latencies of the reads among requests `q`."""
    reads = 0
    for i in range(c.Q_WRITE, q.size, c.REQUEST_CELLS):
        reads += 1 - q[i]
    reads //= geometry[c.G_PARTS]
    return tail_of(reads)


@allocating
def latency_cells(q: IntArray, latency: IntArray, sources: IntArray) -> IntArray:
    """`latency`, or room for the latency of every request where sources are told apart."""
    if sources.shape[1] > 0 and latency.size == 0:
        return np.zeros((q.size // c.REQUEST_CELLS, 2), np.int64)
    return latency


@inlined
def add_channel(totals: IntArray, out: IntArray) -> None:
    """Add one channel's counts to a design's; its cycles are those of the last to finish."""
    cycles = max(totals[c.O_CYCLES], out[c.O_CYCLES])
    for k in range(c.OUTPUTS):
        totals[k] += out[k]
        out[k] = 0
    totals[c.O_CYCLES] = cycles


@allocating
def run_designs(
    kernel: Callable[..., None],
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
    """Run designs `policies` one after another with `kernel` and fill `outputs` (n, c.OUTPUTS).

    Requests `starts[k]` to `starts[k + 1]` of `q` are those of channel k. `latency` is `(0, 2)`
    or `(requests, 2)`, `commands` is empty or `(commands, 5)`; both hold what the last design did.
    `sources` (n, sources, c.SOURCE_OUTPUTS), without sources where that is not wanted.
    """
    tail = latency_tail(q, geometry)
    out = np.zeros(c.OUTPUTS, np.int64)
    latency = latency_cells(q, latency, sources)
    for d in range(policies.shape[0]):
        clear(tail)
        outputs[d, :] = 0
        for k in range(starts.size - 1):
            a = starts[k]
            b = starts[k + 1]
            kernel(
                q[a * c.REQUEST_CELLS : b * c.REQUEST_CELLS],
                most_reads,
                geometry,
                tm,
                policies[d],
                tail,
                latency[a:b],
                commands,
                out,
            )
            add_channel(outputs[d], out)
        outputs[d, c.O_LATENCY_P99] = percentile(tail)
        if sources.shape[1] > 0:
            count_by_source(q, geometry[c.G_PARTS], latency, sources[d])


@compiled
def dramsys_batch(
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
    """Run designs (n, 10) of the `dramsys` controller, see `run_designs`."""
    run_designs(
        _dramsys, q, starts, most_reads, geometry, tm, policies, latency, commands, outputs, sources
    )


@compiled
def modern_batch(
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
    """Run designs (n, c.POLICIES) of the `modern` controller, see `run_designs`."""
    run_designs(
        _modern, q, starts, most_reads, geometry, tm, policies, latency, commands, outputs, sources
    )


@compiled
def ramulator_batch(
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
    """Run designs (n, c.RAMULATOR_POLICIES) of the `ramulator` controller, see `run_designs`."""
    run_designs(
        _ramulator,
        q,
        starts,
        most_reads,
        geometry,
        tm,
        policies,
        latency,
        commands,
        outputs,
        sources,
    )
