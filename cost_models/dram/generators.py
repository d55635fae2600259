"""Synthetic request traces: deterministic, each with one known property that a controller can use.

All generators return traces on a 1 ns clock, so that devices of every speed see the same arrivals
in time, and equal arguments give equal traces. Addresses are those of 64-byte lines within
`footprint_bytes` from address 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.trace import LINE_BYTES, REGION_BYTES, Trace

CLOCK_PS = 1000
"""Period of the clock that the generated arrival times count."""


def stream(
    n_requests: int = 10_000,
    *,
    intensity_per_us: float = 100.0,
    read_fraction: float = 1.0,
    footprint_bytes: int = 1 << 28,
    seed: int = 0,
) -> Trace:
    """Walk through memory line by line, like a copy: reads through one half, writes the other.

    Arrivals are evenly spaced. Reads and writes come in an order drawn at random; a trace of reads
    only or of writes only walks through the whole footprint. A walk at its end starts over.

    Args:
        n_requests: Number of requests.
        intensity_per_us: Requests per microsecond; `inf` lets all arrive at time 0.
        read_fraction: Probability of a read, 0 to 1.
        footprint_bytes: Bytes that the walk covers.
        seed: Seed of the order of reads and writes.

    Raises:
        ValueError: If an argument is out of its range.
    """
    lines = _check(n_requests, intensity_per_us, read_fraction, footprint_bytes, least_lines=2)
    is_write = _directions(np.random.default_rng(seed), n_requests, read_fraction)
    if is_write.any() and not is_write.all():
        half = lines // 2
        own = np.where(is_write, np.cumsum(is_write), np.cumsum(~is_write)) - 1
        line = own % half + np.where(is_write, half, 0)
    else:
        line = np.arange(n_requests) % lines
    return _trace("stream", _evenly(n_requests, intensity_per_us), is_write, line)


def uniform_random(
    n_requests: int = 10_000,
    *,
    intensity_per_us: float = 50.0,
    read_fraction: float = 1.0,
    footprint_bytes: int = 1 << 30,
    seed: int = 0,
) -> Trace:
    """Touch lines drawn uniformly, at random times (a Poisson process): no locality at all.

    Args:
        n_requests: Number of requests.
        intensity_per_us: Requests per microsecond; `inf` lets all arrive at time 0.
        read_fraction: Probability of a read, 0 to 1.
        footprint_bytes: Bytes to draw from.
        seed: Seed of lines, times and directions.

    Raises:
        ValueError: If an argument is out of its range.
    """
    lines = _check(n_requests, intensity_per_us, read_fraction, footprint_bytes)
    rng = np.random.default_rng(seed)
    line = rng.integers(lines, size=n_requests)
    is_write = _directions(rng, n_requests, read_fraction)
    return _trace("random", _poisson(rng, n_requests, intensity_per_us), is_write, line)


def strided(
    n_requests: int = 10_000,
    *,
    stride_bytes: int = 8192,
    intensity_per_us: float = 100.0,
    read_fraction: float = 1.0,
    footprint_bytes: int = 1 << 28,
    seed: int = 0,
) -> Trace:
    """Step through memory in a fixed stride, like a walk down the columns of a row-major matrix.

    At the end of the footprint the walk starts over one line further on (the next column). Arrivals
    are evenly spaced.

    Args:
        n_requests: Number of requests.
        stride_bytes: Bytes from one request to the next, a multiple of 64.
        intensity_per_us: Requests per microsecond; `inf` lets all arrive at time 0.
        read_fraction: Probability of a read, 0 to 1.
        footprint_bytes: Bytes that the walk covers; at least one stride.
        seed: Seed of the order of reads and writes.

    Raises:
        ValueError: If an argument is out of its range.
    """
    lines = _check(n_requests, intensity_per_us, read_fraction, footprint_bytes)
    if stride_bytes % LINE_BYTES or not LINE_BYTES <= stride_bytes <= footprint_bytes:
        raise ValueError(
            f"stride_bytes must be a multiple of {LINE_BYTES} up to footprint_bytes "
            f"({footprint_bytes}), got {stride_bytes}"
        )
    stride = stride_bytes // LINE_BYTES
    column, row = np.divmod(np.arange(n_requests), lines // stride)
    is_write = _directions(np.random.default_rng(seed), n_requests, read_fraction)
    line = (row * stride + column) % lines
    return _trace("strided", _evenly(n_requests, intensity_per_us), is_write, line)


def chase(n_requests: int = 10_000, *, footprint_bytes: int = 1 << 26, seed: int = 0) -> Trace:
    """Chase pointers through the lines of the footprint in random order, one read at a time.

    Each read gives the address of the next, so only one is ever outstanding and its latency is all
    that counts. No line repeats before all were read.

    Args:
        n_requests: Number of reads.
        footprint_bytes: Bytes that the pointers lead through.
        seed: Seed of the order.

    Raises:
        ValueError: If an argument is out of its range.
    """
    lines = _check(n_requests, math.inf, 1.0, footprint_bytes)
    visits = np.random.default_rng(seed).choice(lines, min(n_requests, lines), replace=False)
    line = np.resize(visits, n_requests)
    is_write = np.zeros(n_requests, dtype=np.bool_)
    cycle = np.zeros(n_requests, dtype=np.int64)
    return _trace("chase", cycle, is_write, line, max_outstanding_reads=1)


def mixed(
    n_requests: int = 10_000,
    *,
    intensity_per_us: float = 60.0,
    read_fraction: float = 0.7,
    locality: float = 0.5,
    n_streams: int = 4,
    footprint_bytes: int = 1 << 28,
    seed: int = 0,
) -> Trace:
    """Interleave streams that stay in their 8 KiB row for a while, at random times (Poisson).

    Each request belongs to a stream drawn uniformly. With probability `locality` it goes to a
    random line of that stream's row, else the stream moves to a random row first. Requests to one
    row have the other streams' requests between them: reordering finds them, serving in order does
    not.

    Args:
        n_requests: Number of requests.
        intensity_per_us: Requests per microsecond; `inf` lets all arrive at time 0.
        read_fraction: Probability of a read, 0 to 1.
        locality: Probability that a stream stays in its row, 0 to 1.
        n_streams: Number of streams, at least 1.
        footprint_bytes: Bytes that the rows are drawn from; at least one row of 8 KiB.
        seed: Seed of streams, rows, times and directions.

    Raises:
        ValueError: If an argument is out of its range.
    """
    lines = _check(
        n_requests,
        intensity_per_us,
        read_fraction,
        footprint_bytes,
        least_lines=REGION_BYTES // LINE_BYTES,
    )
    _check_fraction("locality", locality)
    if n_streams < 1:
        raise ValueError(f"n_streams must be at least 1, got {n_streams}")
    rng = np.random.default_rng(seed)
    lines_per_row = REGION_BYTES // LINE_BYTES
    owner = rng.integers(n_streams, size=n_requests)
    moves = rng.random(n_requests) >= locality
    fresh_row = rng.integers(lines // lines_per_row, size=n_requests)
    row = np.empty(n_requests, dtype=np.int64)
    for each in range(n_streams):
        mine = np.flatnonzero(owner == each)
        if mine.size:
            moves[mine[0]] = True
            last_move = np.maximum.accumulate(np.where(moves[mine], np.arange(mine.size), 0))
            row[mine] = fresh_row[mine][last_move]
    line = row * lines_per_row + rng.integers(lines_per_row, size=n_requests)
    is_write = _directions(rng, n_requests, read_fraction)
    return _trace("mixed", _poisson(rng, n_requests, intensity_per_us), is_write, line)


def _trace(
    name: str,
    cycle: NDArray[np.int64],
    is_write: NDArray[np.bool_],
    line: NDArray[np.int64],
    max_outstanding_reads: int | None = None,
) -> Trace:
    return Trace(cycle, is_write, line * LINE_BYTES, CLOCK_PS, name, max_outstanding_reads)


def _directions(rng: np.random.Generator, n: int, read_fraction: float) -> NDArray[np.bool_]:
    return rng.random(n) >= read_fraction


def _evenly(n: int, intensity_per_us: float) -> NDArray[np.int64]:
    """Arrival times in ns with equal gaps, rounded down to the clock."""
    cycle: NDArray[np.int64] = (np.arange(n) * (1000.0 / intensity_per_us)).astype(np.int64)
    return cycle


def _poisson(rng: np.random.Generator, n: int, intensity_per_us: float) -> NDArray[np.int64]:
    """Arrival times in ns with exponentially distributed gaps, rounded down to the clock."""
    gaps_ns = rng.exponential(1000.0 / intensity_per_us, n)
    cycle: NDArray[np.int64] = gaps_ns.cumsum().astype(np.int64)
    return cycle


def _check(
    n_requests: int,
    intensity_per_us: float,
    read_fraction: float,
    footprint_bytes: int,
    least_lines: int = 1,
) -> int:
    """Refuse arguments out of range; returns the lines of the footprint."""
    if n_requests < 0:
        raise ValueError(f"n_requests must be 0 or more, got {n_requests}")
    if not intensity_per_us > 0:
        raise ValueError(f"intensity_per_us must be positive, got {intensity_per_us}")
    _check_fraction("read_fraction", read_fraction)
    least = least_lines * LINE_BYTES
    if footprint_bytes < least or footprint_bytes % LINE_BYTES:
        raise ValueError(
            f"footprint_bytes must be a multiple of {LINE_BYTES} from {least} up, "
            f"got {footprint_bytes}"
        )
    return footprint_bytes // LINE_BYTES


def _check_fraction(field: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{field} must lie in 0..1, got {value}")
