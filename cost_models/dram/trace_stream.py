"""Describe and convert trace files of any length in one pass and bounded memory."""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.cells import MOST_SOURCES
from archgym.cost_models.dram.distinct import STANDARD_ERROR, DistinctCounter
from archgym.cost_models.dram.trace import LINE_BYTES, LOCALITY_WINDOW, REGION_BYTES
from archgym.cost_models.dram.trace_formats import (
    FORMATS,
    Columns,
    OpenTrace,
    csv_head,
    csv_rows,
    format_of_name,
    known_format,
    open_trace,
)

Listener = Callable[[int, int, int], None]
"""Called after each chunk with bytes of the file read, bytes in all, and requests so far."""

_INT64_MAX = int(np.iinfo(np.int64).max)
_GZIP_LEVEL = 6


class TraceStatistics:
    """Running totals over the chunks of a trace; the words are those of `Trace.features`."""

    def __init__(self) -> None:
        self.requests = 0
        self.reads = 0
        self.first_cycle = 0
        self.last_cycle = 0
        self.first_address = _INT64_MAX
        self.last_address = 0
        self.unaligned = 0
        self._gap_squares = 0.0
        self._sequential = 0
        self._same_region = 0
        self._near_region = 0
        self._lines = DistinctCounter()
        self._of_source = np.zeros(MOST_SOURCES, np.int64)
        # The last requests of the chunks before: what the first of the next are compared with.
        self._recent = np.empty(0, np.int64)

    def add(self, columns: Columns) -> None:
        """Account for the next chunk of requests."""
        cycle, is_write, address, source = columns
        if not cycle.size:
            return
        line = address // LINE_BYTES
        if self.requests:
            gaps = np.diff(cycle, prepend=self.last_cycle)
        else:
            self.first_cycle = int(cycle[0])
            gaps = np.diff(cycle)
        self._gap_squares += float(np.sum(np.square(gaps.astype(np.float64))))
        self._add_locality(line)
        self._lines.add(line)
        if source is not None:
            self._of_source += np.bincount(source, minlength=MOST_SOURCES)
        else:
            self._of_source[0] += cycle.size
        self.requests += cycle.size
        self.reads += cycle.size - int(np.count_nonzero(is_write))
        self.last_cycle = int(cycle[-1])
        self.first_address = min(self.first_address, int(address.min()))
        self.last_address = max(self.last_address, int(address.max()))
        self.unaligned += int(np.count_nonzero(address % LINE_BYTES))

    def _add_locality(self, line: NDArray[np.int64]) -> None:
        known = self._recent.size
        joined = np.concatenate((self._recent, line))
        step = np.diff(joined[max(known - 1, 0) :])
        self._sequential += int(np.count_nonzero((step == 0) | (step == 1)))
        region = joined // (REGION_BYTES // LINE_BYTES)
        near = np.zeros(joined.size, np.bool_)
        for lag in range(1, min(LOCALITY_WINDOW, joined.size - 1) + 1):
            near[lag:] |= region[lag:] == region[:-lag]
            if lag == 1:
                self._same_region += int(np.count_nonzero(near[known:]))
        self._near_region += int(np.count_nonzero(near[known:]))
        self._recent = joined[-LOCALITY_WINDOW:].copy()

    def to_dict(self, clock_ps: int | None) -> dict[str, Any]:
        """The totals with units in their names; `None` where a figure does not exist.

        Args:
            clock_ps: Period of the clock that the times count, or None if it is not known.
        """
        pairs = max(self.requests - 1, 1)
        cycles = self.last_cycle - self.first_cycle
        span_us = None if clock_ps is None else cycles * clock_ps * 1e-6
        rate = (self.requests - 1) / span_us if span_us and self.requests > 1 else None
        lines = self._lines
        return {
            "requests": self.requests,
            "reads": self.reads,
            "writes": self.requests - self.reads,
            "read_fraction": self.reads / self.requests if self.requests else None,
            "clock_ps": clock_ps,
            "first_cycle": self.first_cycle,
            "last_cycle": self.last_cycle,
            "span_us": span_us,
            "requests_per_us": rate,
            "offered_gb_per_s": None if rate is None else rate * LINE_BYTES * 1e-3,
            "burstiness": self._burstiness(pairs, cycles),
            "footprint_bytes": lines.count * LINE_BYTES,
            "footprint_standard_error": 0.0 if lines.is_exact else STANDARD_ERROR,
            "lowest_address": self.first_address if self.requests else None,
            "highest_address": self.last_address if self.requests else None,
            "unaligned_requests": self.unaligned,
            "sequential_fraction": self._sequential / pairs,
            "row_locality": self._same_region / pairs,
            "row_locality_window": self._near_region / pairs,
            "source_requests": np.trim_zeros(self._of_source, "b").tolist(),
        }

    def _burstiness(self, pairs: int, cycles: int) -> float:
        mean = cycles / pairs
        if mean == 0.0:
            return 0.0
        variation = math.sqrt(max(self._gap_squares / pairs - mean * mean, 0.0)) / mean
        return variation / (variation + 1.0)


def trace_info(
    path: str | os.PathLike[str],
    *,
    clock_ps: int | None = None,
    format: str | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Describe a trace file in one pass.

    Args:
        path: The file, of a format of `load_trace`.
        clock_ps: As in `load_trace`.
        format: As in `load_trace`.
        listener: Told how far the reading is.

    Returns:
        Facts of the file (`format`, `compressed`, `file_bytes`, `max_outstanding_reads`) and those
        of `TraceStatistics.to_dict`. The footprint is exact up to 2^20 distinct lines, beyond
        that an estimate; `footprint_standard_error` is its relative standard error.
        `source_requests` counts the requests of source 0, 1 ...

    Raises:
        ValueError: As `load_trace`.
    """
    statistics = TraceStatistics()
    with open_trace(path, clock_ps=clock_ps, format=format) as opened:
        for columns in _watched(opened, listener):
            statistics.add(columns)
    return {
        "path": str(path),
        "format": opened.format,
        "compressed": opened.compressed,
        "file_bytes": opened.path.stat().st_size,
        "max_outstanding_reads": opened.max_outstanding_reads,
        **statistics.to_dict(opened.clock_ps),
    }


@dataclass(frozen=True)
class Conversion:
    """What `convert_trace` wrote.

    Attributes:
        requests: Number of requests.
        format: Format of the file written.
        clock_ps: Period of the clock that its times count; None: that of the simulated device.
        lost: What the format cannot hold and the file read had, in words; empty if nothing.
    """

    requests: int
    format: str
    clock_ps: int | None
    lost: tuple[str, ...]


def convert_trace(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    clock_ps: int | None = None,
    source_format: str | None = None,
    source_clock_ps: int | None = None,
    drop_times: bool = False,
    listener: Listener | None = None,
) -> Conversion:
    """Write a trace file in another format, or with the times of another clock.

    The file appears under its name only when it is complete; it is compressed if the name ends in
    `.gz`. A time becomes the first edge of the new clock that is not before it.

    Args:
        source: File to read.
        target: File to write.
        format: Format to write, one of `FORMATS`; None: by the ending of the name.
        clock_ps: Period in picoseconds of the clock to write times in; None: leave them as they
            are.
        source_format: As `format` of `load_trace`.
        source_clock_ps: As `clock_ps` of `load_trace`.
        drop_times: Allow a format without times for a trace that has some.
        listener: Told how far the reading is.

    Returns:
        What was written.

    Raises:
        ValueError: If a file cannot be read or written, the format to write is unknown or cannot be
            told, a clock is not positive, times are to be converted from a clock that is not known,
            or the format has no times and the trace does.
    """
    path = Path(target)
    chosen = _target_format(path, format)
    for name, period in (("clock_ps", clock_ps), ("source_clock_ps", source_clock_ps)):
        if period is not None and period < 1:
            raise ValueError(f"{name} must be at least 1, got {period}")
    requests = 0
    with open_trace(source, clock_ps=source_clock_ps, format=source_format) as opened:
        if clock_ps is not None and opened.clock_ps is None:
            raise ValueError(
                f"{opened.path}: the clock of its times is not known, so they cannot be converted "
                f"to one of {clock_ps} ps; give source_clock_ps"
            )
        written_clock = opened.clock_ps if clock_ps is None else clock_ps
        with _replacing(path) as write:
            if chosen == "csv":
                limit = opened.max_outstanding_reads
                write(csv_head(written_clock, limit, opened.has_sources))
            for columns in _watched(opened, listener):
                times = _rescaled(columns.cycle, opened.clock_ps, written_clock, opened.path)
                if chosen == "ramulator" and not drop_times and times.size and times[-1] > 0:
                    raise ValueError(
                        f"{path}: format ramulator holds no times, and {opened.path} has some; "
                        f"give drop_times to leave them out"
                    )
                write(_rows(chosen, columns._replace(cycle=times)))
                requests += times.size
    return Conversion(requests, chosen, written_clock, _lost(chosen, opened, written_clock))


def _target_format(path: Path, format: str | None) -> str:
    if format is not None:
        return known_format(format).name
    chosen = format_of_name(path)
    if chosen is None:
        known = ", ".join(FORMATS)
        raise ValueError(f"{path}: its ending tells no format to write; give one of {known}")
    return chosen


def _watched(opened: OpenTrace, listener: Listener | None) -> Iterator[Columns]:
    """The chunks of a trace, telling the listener after each."""
    total = opened.path.stat().st_size
    requests = 0
    for columns in opened.chunks:
        yield columns
        requests += columns[0].size
        if listener is not None:
            listener(opened.raw.tell(), total, requests)


@contextmanager
def _replacing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Gives a function that writes to a file which takes its name when the block has ended well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        raw = _attempt(path, lambda: temporary.open("wb"))
        stream: BinaryIO | gzip.GzipFile = raw
        if path.suffix == ".gz":
            stream = gzip.GzipFile(
                filename="", mode="wb", fileobj=raw, compresslevel=_GZIP_LEVEL, mtime=0
            )

        def write(data: bytes) -> None:
            _attempt(path, lambda: stream.write(data))

        try:
            yield write
            _attempt(path, stream.close)
            _attempt(path, raw.close)
        finally:
            # After a failure: nothing may be flushed later, when the objects are collected.
            with suppress(OSError):
                stream.close()
            with suppress(OSError):
                raw.close()
        _attempt(path, lambda: temporary.replace(path))
    finally:
        temporary.unlink(missing_ok=True)


def _attempt(path: Path, action: Callable[[], Any]) -> Any:
    """What the action returns; its OSError becomes a ValueError that names the file written."""
    try:
        return action()
    except OSError as error:
        raise ValueError(f"{path}: cannot write the trace: {error.strerror or error}") from error


def _rescaled(
    cycle: NDArray[np.int64], from_ps: int | None, to_ps: int | None, path: Path
) -> NDArray[np.int64]:
    """Times in cycles of another clock, rounded up, exactly."""
    if from_ps is None or to_ps is None or from_ps == to_ps or not cycle.size:
        return cycle
    if int(cycle[-1]) > _INT64_MAX // from_ps:
        raise ValueError(f"{path}: time {int(cycle[-1])} in units of {from_ps} ps is above 2^63-1")
    scaled: NDArray[np.int64] = -(-(cycle * from_ps) // to_ps)
    return scaled


def _rows(format: str, columns: Columns) -> bytes:
    if format == "csv":
        return csv_rows(columns)
    times, writes, places = (column.tolist() for column in columns[:3])
    rows = zip(times, writes, places, strict=True)
    if format == "dramsys":
        lines = [
            f"{time}: {'write' if write else 'read'} {place:#x}\n" for time, write, place in rows
        ]
    elif format == "ramulator":
        lines = [f"{'ST' if write else 'LD'} {place:#x}\n" for _, write, place in rows]
    else:
        lines = [
            f"{place:#x} {'WRITE' if write else 'READ'} {time}\n" for time, write, place in rows
        ]
    return "".join(lines).encode()


def _lost(format: str, opened: OpenTrace, clock_ps: int | None) -> tuple[str, ...]:
    if format == "csv":
        return ()
    lost = []
    if format == "ramulator":
        lost.append("times")
    elif clock_ps is not None:
        lost.append(f"clock_ps={clock_ps}")
    if opened.max_outstanding_reads is not None:
        lost.append(f"max_outstanding_reads={opened.max_outstanding_reads}")
    if opened.has_sources:
        lost.append("sources")
    return tuple(lost)
