"""Several programs on one memory: traces merged by time into one trace with sources."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.cells import MOST_SOURCES
from archgym.cost_models.dram.trace import Trace

PAGE_BYTES = 4096
"""Bytes that stay together when the memory of programs is placed apart: a page frame."""


def merge_traces(
    traces: Sequence[Trace],
    *,
    capacity_bytes: int = 1 << 30,
    n_requests: int | None = None,
    name: str = "merged",
) -> Trace:
    """Run single-program traces side by side: the requests of trace k become those of source k.

    All begin at their own times; of requests at the same time that of the earlier trace comes
    first. No two traces share a page of memory: the first keeps its pages, and each later one
    moves those that are taken, or beyond the capacity, to the next free frames, in order.

    Args:
        traces: Traces with a clock each, or all without; of one source and without a limit of
            outstanding reads, which a merged trace cannot hold for one source alone.
        capacity_bytes: Bytes of memory that the pages of all must fit into; by default 1 GiB, the
            least that shipped devices have.
        n_requests: How many requests to keep, from the first; None: all.
        name: Name of the merged trace.

    Returns:
        The trace; its clock is the slowest that counts every arrival exactly.

    Raises:
        ValueError: If a trace cannot be merged, the pages do not fit, or there are fewer requests
            than wanted.
    """
    clock_ps = _common_clock(traces)
    places = _place_apart([trace.address for trace in traces], capacity_bytes)
    cycle = np.concatenate(
        [trace.cycle * ((trace.clock_ps or 1) // (clock_ps or 1)) for trace in traces]
    )
    source = np.repeat(np.arange(len(traces)), [trace.n_requests for trace in traces])
    if n_requests is not None and not 0 <= n_requests <= cycle.size:
        raise ValueError(f"n_requests must lie in 0..{cycle.size}, got {n_requests}")
    order = np.argsort(cycle, kind="stable")[:n_requests]
    return Trace(
        cycle=cycle[order],
        is_write=np.concatenate([trace.is_write for trace in traces])[order],
        address=np.concatenate(places)[order],
        clock_ps=clock_ps,
        name=name,
        source=source[order],
    )


def _common_clock(traces: Sequence[Trace]) -> int | None:
    """Greatest common divisor of the clocks; refuses traces that cannot be merged."""
    if not 1 <= len(traces) <= MOST_SOURCES:
        raise ValueError(f"traces must be 1 to {MOST_SOURCES} traces, got {len(traces)}")
    for trace in traces:
        if trace.n_sources > 1:
            raise ValueError(f"trace {trace.name!r} has {trace.n_sources} sources, must have one")
        if trace.max_outstanding_reads is not None:
            raise ValueError(
                f"trace {trace.name!r}: max_outstanding_reads is {trace.max_outstanding_reads}, "
                f"must be None in a trace to merge"
            )
    clocks = [trace.clock_ps for trace in traces if trace.clock_ps is not None]
    if not clocks:
        return None
    if len(clocks) < len(traces):
        unclocked = next(trace.name for trace in traces if trace.clock_ps is None)
        raise ValueError(f"trace {unclocked!r} has no clock_ps, which others to merge have")
    common = math.gcd(*clocks)
    for trace in traces:
        steps = (trace.clock_ps or common) // common
        if trace.n_requests and int(trace.cycle[-1]) > np.iinfo(np.int64).max // steps:
            raise ValueError(
                f"trace {trace.name!r}: time {trace.cycle[-1]} in cycles of {common} ps is above "
                f"2^63-1"
            )
    return common


def _place_apart(
    addresses: Sequence[NDArray[np.int64]], capacity_bytes: int
) -> list[NDArray[np.int64]]:
    """Addresses of which no two arrays share a page, all below `capacity_bytes`."""
    frames = capacity_bytes // PAGE_BYTES
    pages = [np.unique(address // PAGE_BYTES, return_inverse=True) for address in addresses]
    needed = sum(own.size for own, _ in pages)
    if needed > frames:
        raise ValueError(
            f"capacity_bytes is {capacity_bytes}, must be at least {needed * PAGE_BYTES} for "
            f"the {needed} pages of {PAGE_BYTES} bytes that the traces touch"
        )
    taken = np.zeros(frames, np.bool_)
    placed = []
    for address, (own, inverse) in zip(addresses, pages, strict=True):
        stays = own < frames
        stays[stays] = ~taken[own[stays]]
        frame = np.where(stays, own, 0)
        taken[own[stays]] = True
        frame[~stays] = _next_free(own[~stays], np.flatnonzero(~taken))
        taken[frame[~stays]] = True
        placed.append(frame[inverse] * PAGE_BYTES + address % PAGE_BYTES)
    return placed


def _next_free(wanted: NDArray[np.int64], free: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each page, in ascending order, the next free frame; from the start again at the end."""
    step = np.arange(wanted.size)
    index = np.maximum.accumulate(np.searchsorted(free, wanted) - step) + step
    beyond = index >= free.size
    unused = np.ones(free.size, np.bool_)
    unused[index[~beyond]] = False
    index[beyond] = np.flatnonzero(unused)[: np.count_nonzero(beyond)]
    return free[index]
