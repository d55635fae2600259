"""The memory request trace: what a DRAM controller is asked to serve, and when.

A `Trace` is three arrays of one length: arrival time, direction and byte address; where several
programs share the memory, a fourth says which of them asks. Arrival times count cycles of the
trace's own clock, so that one trace means the same moments to devices of every speed; a trace
without a clock of its own counts cycles of whatever device serves it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.cells import MOST_SOURCES

LINE_BYTES = 64
"""Bytes of one request: a cache line, and one burst of a 64-bit channel at burst length 8."""

REGION_BYTES = 8192
"""Bytes that stand for a DRAM row in `Trace.features`: eight x8 devices with pages of 1 KiB."""

LOCALITY_WINDOW = 16
"""Earlier requests that the windowed row locality looks back at: half of a usual request queue."""

_INT64_MAX = int(np.iinfo(np.int64).max)

# A request per 10 ns is 6.4 GB/s: half of what a DDR3-1600 channel can carry.
_HALF_INTENSITY_PER_US = 100.0
# 2^32 lines are 256 GiB, more distinct lines than a trace has requests.
_LOG2_LINES_FULL_SCALE = 32.0


@dataclass(frozen=True, eq=False)
class Trace:
    """Memory requests in order of arrival. Immutable: the arrays are read-only.

    Attributes:
        cycle: int64 array `(n,)`, arrival times in cycles of the trace's clock; never decreasing.
        is_write: bool array `(n,)`, true for a write.
        address: int64 array `(n,)`, byte addresses.
        clock_ps: Period of the trace's clock in picoseconds, or None when the cycles are those of
            the simulated device's memory clock.
        name: What messages and reports call the trace.
        max_outstanding_reads: Most reads that may wait for data at once (1: a pointer chase, where
            each address comes out of the read before), or None for an open loop of arrivals. The
            limit holds for all sources together.
        source: int64 array `(n,)`, the program or core that each request comes from, 0 to 63, or
            None: all come from source 0.

    Raises:
        ValueError: If an array has a wrong shape or type, a time goes back, or a number is
            negative or too large.
    """

    cycle: NDArray[np.int64]
    is_write: NDArray[np.bool_]
    address: NDArray[np.int64]
    clock_ps: int | None = None
    name: str = "trace"
    max_outstanding_reads: int | None = None
    source: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for field in ("cycle", "address"):
            object.__setattr__(self, field, self._integers(field, _INT64_MAX))
        if self.source is not None:
            object.__setattr__(self, "source", self._integers("source", MOST_SOURCES - 1))
        writes = np.asarray(self.is_write)
        if writes.dtype != np.bool_ or writes.ndim != 1:
            raise ValueError(
                f"trace {self.name!r}: is_write must be a one-dimensional bool array, "
                f"got {writes.dtype} of shape {writes.shape}"
            )
        object.__setattr__(self, "is_write", _read_only(writes))
        lengths = {"cycle": self.cycle.size, "is_write": writes.size, "address": self.address.size}
        if self.source is not None:
            lengths["source"] = self.source.size
        if len(set(lengths.values())) != 1:
            *names, last = lengths
            raise ValueError(
                f"trace {self.name!r}: {', '.join(names)} and {last} must have one length, "
                f"got {tuple(lengths.values())}"
            )
        back = np.flatnonzero(np.diff(self.cycle) < 0)
        if back.size:
            index = int(back[0]) + 1
            raise ValueError(
                f"trace {self.name!r}: cycle goes back from {self.cycle[index - 1]} "
                f"to {self.cycle[index]} at request {index}"
            )
        for field in ("clock_ps", "max_outstanding_reads"):
            value = getattr(self, field)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(
                    f"trace {self.name!r}: {field} must be a positive integer or None, "
                    f"got {value!r}"
                )

    def _integers(self, field: str, most: int) -> NDArray[np.int64]:
        """The field as a read-only int64 vector of 0 to `most`; refuses what does not fit."""
        values = np.asarray(getattr(self, field))
        if values.ndim != 1 or not (np.issubdtype(values.dtype, np.integer) or values.size == 0):
            raise ValueError(
                f"trace {self.name!r}: {field} must be a one-dimensional integer array, "
                f"got {values.dtype} of shape {values.shape}"
            )
        if values.size and (values.min() < 0 or values.max() > most):
            index = int(np.flatnonzero((values < 0) | (values > most))[0])
            limit = "2^63-1" if most == _INT64_MAX else str(most)
            raise ValueError(
                f"trace {self.name!r}: {field} must lie in 0..{limit}, "
                f"got {values[index]} at request {index}"
            )
        return _read_only(values.astype(np.int64, copy=False))

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled arrays are writable: going through the constructor seals them again.
        fields = (self.cycle, self.is_write, self.address, self.clock_ps, self.name)
        return Trace, (*fields, self.max_outstanding_reads, self.source)

    @property
    def n_requests(self) -> int:
        """Number of requests."""
        return int(self.cycle.size)

    @property
    def n_reads(self) -> int:
        """Number of reads."""
        return self.n_requests - int(np.count_nonzero(self.is_write))

    @property
    def n_sources(self) -> int:
        """Number of sources: one more than the largest id, at least 1."""
        return 1 + (int(self.source.max()) if self.source is not None and self.n_requests else 0)

    def of_source(self, source: int) -> Trace:
        """The requests of one source, at their times, as a trace that has no other.

        Raises:
            ValueError: If the trace has no such source.
        """
        if not 0 <= source < self.n_sources:
            raise ValueError(
                f"trace {self.name!r}: source must lie in 0..{self.n_sources - 1}, got {source}"
            )
        if self.source is None:
            return self
        own = self.source == source
        return replace(
            self,
            cycle=self.cycle[own],
            is_write=self.is_write[own],
            address=self.address[own],
            source=None,
        )

    def first(self, n: int) -> Trace:
        """The first `n` requests as a trace, all if there are fewer."""
        return replace(
            self,
            cycle=self.cycle[:n],
            is_write=self.is_write[:n],
            address=self.address[:n],
            source=None if self.source is None else self.source[:n],
        )

    @property
    def read_fraction(self) -> float:
        """Reads per request; 0 for a trace without requests."""
        return self.n_reads / self.n_requests if self.n_requests else 0.0

    @property
    def footprint_bytes(self) -> int:
        """Bytes of the distinct 64-byte lines that the trace touches."""
        return int(np.unique(self.address // LINE_BYTES).size) * LINE_BYTES

    def arrivals(self, clock_ps: float) -> NDArray[np.int64]:
        """Arrival times in cycles of another clock: the first edge not before the arrival.

        Args:
            clock_ps: Period of that clock in picoseconds; may be fractional (DDR4-2400: 833.33).

        Returns:
            int64 array `(n,)`. `cycle` itself if the trace has no clock of its own. A time at most
            a millionth of a cycle after an edge counts as on it, so that periods rounded in binary
            (a third of a nanosecond) do not push an arrival to the next edge.

        Raises:
            ValueError: If `clock_ps` is not positive and finite.
        """
        if not (np.isfinite(clock_ps) and clock_ps > 0):
            raise ValueError(f"clock_ps must be positive and finite, got {clock_ps!r}")
        if self.clock_ps is None or self.clock_ps == clock_ps:
            return self.cycle
        cycles = self.cycle.astype(np.float64) * self.clock_ps / clock_ps
        return _read_only(np.ceil(cycles - 1e-6).astype(np.int64))

    def requests_per_us(self, device_clock_ps: float = 1000.0) -> float:
        """Mean rate of arrival, (n - 1) / (last - first arrival), in requests per microsecond.

        Args:
            device_clock_ps: Clock period in picoseconds of a trace that has none of its own.

        Returns:
            The rate; `inf` if several requests all arrive at once, 0 for fewer than two requests.
        """
        if self.n_requests < 2:
            return 0.0
        clock_ps = device_clock_ps if self.clock_ps is None else self.clock_ps
        span_us = float(self.cycle[-1] - self.cycle[0]) * clock_ps * 1e-6
        return (self.n_requests - 1) / span_us if span_us else float("inf")

    def features(self, device_clock_ps: float = 1000.0) -> dict[str, float]:
        """Describe the workload in numbers between 0 and 1, fit for a learner's observation.

        - `read_fraction`: reads per request.
        - `intensity`: r / (r + 100) for r requests per microsecond: a logistic curve over log r
          with its middle at 6.4 GB/s; 1 when all requests arrive at once.
        - `burstiness`: c / (c + 1) for c the coefficient of variation of the gaps between arrivals:
          0 for equal gaps, 1/2 for a Poisson process, towards 1 for bursts.
        - `sequential_fraction`: share of requests, from the second on, to the 64-byte line of the
          request before or the line after it.
        - `row_locality`: share of requests, from the second on, to the 8 KiB region of the request
          before.
        - `row_locality_window`: the same for any of the 16 requests before: what a reordering
          scheduler could turn into row hits.
        - `footprint`: log2(distinct 64-byte lines) / 32.
        - `dependence`: 1 / `max_outstanding_reads`; 0 for an open loop.

        Args:
            device_clock_ps: Clock period in picoseconds of a trace that has none of its own.

        Returns:
            The features in the order above; finite for any trace, including none or one request.
        """
        rate = self.requests_per_us(device_clock_ps)
        saturated = np.isinf(rate)
        lines = self.footprint_bytes // LINE_BYTES
        region = self.address // REGION_BYTES
        step = np.diff(self.address // LINE_BYTES)
        return {
            "read_fraction": self.read_fraction,
            "intensity": 1.0 if saturated else rate / (rate + _HALF_INTENSITY_PER_US),
            "burstiness": _burstiness(np.diff(self.cycle)),
            "sequential_fraction": float(np.mean((step == 0) | (step == 1))) if step.size else 0.0,
            "row_locality": _reuse_fraction(region, 1),
            "row_locality_window": _reuse_fraction(region, LOCALITY_WINDOW),
            "footprint": float(np.log2(max(lines, 1))) / _LOG2_LINES_FULL_SCALE,
            "dependence": 1.0 / self.max_outstanding_reads if self.max_outstanding_reads else 0.0,
        }


_Array = TypeVar("_Array", bound=NDArray[Any])


def _read_only(values: _Array) -> _Array:
    """The array itself if nobody can write to it, else a sealed copy."""
    if values.flags.writeable or values.base is not None or not values.flags.c_contiguous:
        values = values.copy()
        values.flags.writeable = False
    return values


def _burstiness(gaps: NDArray[np.int64]) -> float:
    """Squash the coefficient of variation c of the gaps to c / (c + 1); 0 if there is no gap."""
    mean = float(gaps.mean()) if gaps.size else 0.0
    if mean == 0.0:
        return 0.0
    variation = float(gaps.std()) / mean
    return variation / (variation + 1.0)


def _reuse_fraction(region: NDArray[np.int64], window: int) -> float:
    """Share of requests, from the second on, to a region of one of the `window` before."""
    if region.size < 2:
        return 0.0
    reused = np.zeros(region.size, dtype=np.bool_)
    for lag in range(1, min(window, region.size - 1) + 1):
        reused[lag:] |= region[lag:] == region[:-lag]
    return float(np.count_nonzero(reused)) / (region.size - 1)
