"""Read and write request traces in the text formats of the field, gzip-compressed or not.

Each format is one regular expression that matches a whole line: it parses millions of lines per
minute at the speed of the regular expression engine, and a line that it does not match is malformed
by definition, so what is fast and what is exact cannot disagree. Files are read in blocks.
"""

from __future__ import annotations

import gzip
import io
import itertools
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.cells import MOST_SOURCES
from archgym.cost_models.dram.trace import LINE_BYTES, Trace

BLOCK_BYTES = 4 << 20
"""Bytes of text read and parsed at a time."""

_GZIP_MAGIC = b"\x1f\x8b"
_INT64_MAX = int(np.iinfo(np.int64).max)
_CSV_HEADER = re.compile(
    rb"[ \t]*cycle[ \t]*,[ \t]*rw[ \t]*,[ \t]*addr[ \t]*(?P<source>,[ \t]*source[ \t]*)?\r?",
    re.IGNORECASE,
)
_CSV_HEADERS = "'cycle,rw,addr' or 'cycle,rw,addr,source'"
_CSV_NOTE = re.compile(r"(clock_ps|max_outstanding_reads)=(\d+)")


@dataclass(frozen=True)
class TraceFormat:
    """One text format of request traces.

    Attributes:
        name: What `format=` of `load_trace` calls it.
        suffixes: File name endings, before `.gz`, that select it.
        expected: A well-formed line in words, for messages.
        line: Pattern of a whole request line with the groups `time` (absent: every request arrives
            at time 0), `write` or `read` (one of them is set), `addr`, and `length` and `source`
            where the format has them.
        hex_only: True if addresses are hexadecimal with or without a leading 0x.
    """

    name: str
    suffixes: tuple[str, ...]
    expected: str
    line: str
    hex_only: bool = False

    def pattern(self) -> re.Pattern[bytes]:
        """The pattern of one line: a request, a comment from `#` on, or nothing."""
        text = rf"^[ \t]*(?:{self.line}[ \t]*)?(?:#[^\n]*)?\r?$"
        return re.compile(text.encode(), re.MULTILINE)


_TIME = r"(?P<time>[0-9]{1,20})"
_HEX = r"0[xX][0-9a-fA-F]{1,20}"
_NUMBER = rf"(?P<addr>{_HEX}|[0-9]{{1,20}})"
_FORMATS = (
    TraceFormat(
        "csv",
        (".csv",),
        "'cycle,R|W,address' such as '120,R,0x4c0', after the header 'cycle,rw,addr'",
        rf"{_TIME}[ \t]*,[ \t]*(?:(?P<write>[Ww])|(?P<read>[Rr]))[ \t]*,[ \t]*{_NUMBER}",
    ),
    TraceFormat(
        "dramsys",
        (".stl",),
        "'cycle: read|write 0xADDRESS' such as '120: read 0x4C0', with '(bytes)' allowed before "
        "read|write and hexadecimal data after the address",
        rf"{_TIME}[ \t]*:[ \t]*(?:\((?P<length>[0-9]{{1,9}})\)[ \t]*)?"
        rf"(?:(?P<write>write)|(?P<read>read))[ \t]+(?P<addr>{_HEX})"
        r"(?:[ \t]+(?:0[xX])?[0-9a-fA-F]+)?",
    ),
    TraceFormat(
        "ramulator",
        (),
        "'LD|ST ADDRESS' or 'R|W ADDRESS' such as 'LD 0x4c0'",
        rf"(?:(?P<write>ST|W)|(?P<read>LD|R))[ \t]+{_NUMBER}",
    ),
    TraceFormat(
        "dramsim3",
        (),
        "'0xADDRESS READ|WRITE cycle' such as '0x4c0 READ 120'",
        r"(?P<addr>(?:0[xX])?[0-9a-fA-F]{1,20})[ \t]+(?:(?P<write>(?:WRITE|write|P_MEM_WR|BOFF))"
        rf"|(?P<read>(?:READ|read|P_MEM_RD|P_FETCH)))[ \t]+{_TIME}",
        hex_only=True,
    ),
)
FORMATS: dict[str, TraceFormat] = {each.name: each for each in _FORMATS}
"""The formats that `load_trace` reads, by name."""

_CSV_WITH_SOURCES = replace(
    FORMATS["csv"],
    expected="'cycle,R|W,address,source' such as '120,R,0x4c0,1', after the header "
    "'cycle,rw,addr,source'",
    line=rf"{FORMATS['csv'].line}[ \t]*,[ \t]*(?P<source>[0-9]{{1,20}})",
)


def load_trace(
    path: str | os.PathLike[str], *, clock_ps: int | None = None, format: str | None = None
) -> Trace:
    """Read a request trace from a text file, gzip-compressed (told by its first bytes) or not.

    Args:
        path: The file.
        clock_ps: Period in picoseconds of the clock that the file's times count. None: what the
            file says (only CSV files written by `save_trace` do), else the clock of the simulated
            device.
        format: One of `FORMATS`. None: by the file name's ending, else by the first line.

    Returns:
        The trace, named after the file. Formats without times (`ramulator`) give arrivals all 0:
        the requests are offered as fast as they are taken.

    Raises:
        ValueError: In one line: the file cannot be read, the format is unknown, a line is malformed
            (with its number and text), a time goes back, or the file holds no request. Only a CSV
            file with its header and nothing else counts as a trace of zero requests.
    """
    with open_trace(path, clock_ps=clock_ps, format=format) as opened:
        parts = list(opened.chunks)
    return Trace(
        cycle=np.concatenate([part.cycle for part in parts]),
        is_write=np.concatenate([part.is_write for part in parts]),
        address=np.concatenate([part.address for part in parts]),
        source=np.concatenate([part.source for part in parts if part.source is not None])
        if opened.has_sources
        else None,
        clock_ps=opened.clock_ps,
        name=opened.name,
        max_outstanding_reads=opened.max_outstanding_reads,
    )


class Columns(NamedTuple):
    """Consecutive requests: arrays of one length, see `Trace`; `source` None where it has none."""

    cycle: NDArray[np.int64]
    is_write: NDArray[np.bool_]
    address: NDArray[np.int64]
    source: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class OpenTrace:
    """A trace file that is being read, a chunk of requests at a time.

    Attributes:
        path: The file.
        format: Name of its format.
        compressed: True for a gzip file.
        clock_ps: As in `Trace`.
        max_outstanding_reads: As in `Trace`.
        has_sources: Whether the file says which source each request comes from.
        chunks: Requests in order, once; at least one chunk, which may be empty.
        raw: The file itself, whose position tells how far the reading is.
    """

    path: Path
    format: str
    compressed: bool
    clock_ps: int | None
    max_outstanding_reads: int | None
    has_sources: bool
    chunks: Iterator[Columns]
    raw: BinaryIO

    @property
    def name(self) -> str:
        """The file's name without its endings."""
        name = self.path.name.removesuffix(".gz")
        return name.rsplit(".", 1)[0] if "." in name.lstrip(".") else name


@contextmanager
def open_trace(
    path: str | os.PathLike[str], *, clock_ps: int | None = None, format: str | None = None
) -> Iterator[OpenTrace]:
    """Open a trace file of any length to read it in chunks, in bounded memory.

    Args:
        path: The file.
        clock_ps: As in `load_trace`.
        format: As in `load_trace`.

    Yields:
        The open trace.

    Raises:
        ValueError: As `load_trace`, at the chunk in which the error stands.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if compressed else raw
            blocks = _blocks(stream, path)
            first = next(blocks, b"")
            chosen = _choose_format(first, path, format)
            notes: dict[str, int] = {}
            next_line = 1
            if chosen.name == "csv":
                header = _strip_csv_header(first, path)
                first, next_line, notes = header.rest, header.next_line, header.notes
                chosen = _CSV_WITH_SOURCES if header.has_sources else chosen
            parser = _LineParser(path, chosen, next_line)
            yield OpenTrace(
                path=path,
                format=chosen.name,
                compressed=compressed,
                clock_ps=notes.get("clock_ps") if clock_ps is None else clock_ps,
                max_outstanding_reads=notes.get("max_outstanding_reads"),
                has_sources="source" in parser.column,
                chunks=_parsed(parser, itertools.chain([first], blocks)),
                raw=raw,
            )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a complete gzip file ({error})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot read the trace: {error.strerror or error}") from error


def save_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace as CSV, compressed if the name ends in `.gz`; equal traces give equal bytes.

    The first line is a comment with the clock and the limit of outstanding reads where the trace
    has them, so that `load_trace` gives the same trace back. The file appears under its name only
    when it is complete.

    Args:
        trace: The trace to write.
        path: Where to; ends in `.csv` or `.csv.gz`.

    Raises:
        ValueError: If the name has another ending or the file cannot be written.
    """
    path = Path(path)
    require_csv(path)
    columns = Columns(trace.cycle, trace.is_write, trace.address, trace.source)
    has_sources = trace.source is not None
    data = csv_head(trace.clock_ps, trace.max_outstanding_reads, has_sources) + csv_rows(columns)
    if path.suffix == ".gz":
        data = gzip.compress(data, compresslevel=9, mtime=0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ValueError(f"{path}: cannot write the trace: {error.strerror or error}") from error


def require_csv(path: Path) -> None:
    """Raise ValueError unless `save_trace` writes files of this name."""
    if not path.name.endswith((".csv", ".csv.gz")):
        raise ValueError(f"path must end in .csv or .csv.gz, got {str(path)!r}")


def csv_head(clock_ps: int | None, max_outstanding_reads: int | None, has_sources: bool) -> bytes:
    """The first lines of a CSV trace: what the columns cannot hold, and their names."""
    notes = {"clock_ps": clock_ps, "max_outstanding_reads": max_outstanding_reads}
    note = " ".join(f"{key}={value}" for key, value in notes.items() if value is not None)
    header = "cycle,rw,addr,source\n" if has_sources else "cycle,rw,addr\n"
    return ((f"# {note}\n" if note else "") + header).encode()


def csv_rows(columns: Columns) -> bytes:
    """Requests as lines of a CSV trace."""
    times, writes, places = (column.tolist() for column in columns[:3])
    rows = zip(times, writes, places, strict=True)
    lines = [f"{time},{'W' if write else 'R'},{place}" for time, write, place in rows]
    if columns.source is not None:
        lines = [f"{line},{s}" for line, s in zip(lines, columns.source.tolist(), strict=True)]
    return "".join([f"{line}\n" for line in lines]).encode()


def _parsed(parser: _LineParser, blocks: Iterator[bytes]) -> Iterator[Columns]:
    """Requests of each block; refuses a file without one, except CSV with its header."""
    empty = True
    for block in blocks:
        columns = parser.parse(block)
        empty = empty and not columns[0].size
        yield columns
    if empty and parser.format.name != "csv":
        raise ValueError(
            f"{parser.path}: holds no request; expected lines of {parser.format.expected}"
        )


def _blocks(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """Blocks of whole lines; every block but the last ends with a newline."""
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        head, newline, rest_new = (rest + chunk).rpartition(b"\n")
        rest = rest_new
        if newline:
            yield head + newline
        if len(rest) > BLOCK_BYTES:
            raise ValueError(f"{path}: a line is longer than {BLOCK_BYTES} bytes; not a trace")
    if rest:
        yield rest


def known_format(name: str) -> TraceFormat:
    """The format of a name; ValueError, with the closest, if there is none."""
    if name not in FORMATS:
        close = get_close_matches(name, FORMATS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {name!r}{hint}")
    return FORMATS[name]


def format_of_name(path: Path) -> str | None:
    """Name of the format that a file's ending selects, or None."""
    name = path.name.removesuffix(".gz")
    for each in FORMATS.values():
        if name.endswith(each.suffixes):
            return each.name
    return None


def _choose_format(head: bytes, path: Path, format: str | None) -> TraceFormat:
    """The format asked for, that of the file's ending, or the one that fits the first line."""
    known = ", ".join(FORMATS)
    if format is not None:
        return known_format(format)
    named = format_of_name(path)
    if named is not None:
        return FORMATS[named]
    lines = head.split(b"\n", 1001)[:1000]
    number, line = next(
        ((i, text) for i, text in enumerate(lines, 1) if text.split(b"#")[0].strip()), (0, b"")
    )
    if number == 0:
        raise ValueError(f"{path}: holds no request, so its format cannot be told; known: {known}")
    if _CSV_HEADER.fullmatch(line):
        return FORMATS["csv"]
    for each in FORMATS.values():
        if each.name != "csv" and each.pattern().fullmatch(line):
            return each
    raise ValueError(
        f"{path}, line {number}: {_shown(line)} is of no known trace format; known: {known}"
    )


class _CsvHeader(NamedTuple):
    """What the header of a CSV file says, and the block after it."""

    rest: bytes
    next_line: int
    notes: dict[str, int]
    has_sources: bool


def _strip_csv_header(block: bytes, path: Path) -> _CsvHeader:
    """Take the CSV header and the notes before it off the first block."""
    notes: dict[str, int] = {}
    number = 0
    while block:
        number += 1
        line, _, block = block.partition(b"\n")
        if header := _CSV_HEADER.fullmatch(line):
            return _CsvHeader(block, number + 1, notes, header["source"] is not None)
        if line.lstrip().startswith(b"#"):
            found = _CSV_NOTE.findall(line.decode("utf-8", "replace"))
            notes.update((key, int(value)) for key, value in found)
        elif line.strip():
            raise ValueError(
                f"{path}, line {number}: {_shown(line)}; expected the header {_CSV_HEADERS}"
            )
    raise ValueError(f"{path}: expected the header {_CSV_HEADERS}, found none")


class _LineParser:
    """Parses blocks of whole lines in turn, and knows where in the file it stands."""

    def __init__(self, path: Path, chosen: TraceFormat, next_line: int) -> None:
        self.path = path
        self.format = chosen
        self.pattern = chosen.pattern()
        self.column = {key: index - 1 for key, index in self.pattern.groupindex.items()}
        self.next_line = next_line
        self.last_time = 0

    def parse(self, block: bytes) -> Columns:
        """The requests in a block."""
        text = block.removesuffix(b"\n")
        found = self.pattern.findall(text)
        if len(found) != text.count(b"\n") + 1:
            self._raise_malformed(text)
        column = self.column
        # Blank lines and comments match with every group empty.
        hits = [
            (line, row) for line, row in enumerate(found, self.next_line) if row[column["addr"]]
        ]
        lines = [line for line, _ in hits]
        if "length" in column:
            self._check_lengths(lines, [row[column["length"]] for _, row in hits])
        base = 16 if self.format.hex_only else 10
        address = [_integer(row[column["addr"]], base) for _, row in hits]
        time = (
            [int(row[column["time"]]) for _, row in hits] if "time" in column else [0] * len(hits)
        )
        is_write = [row[column["write"]] != b"" for _, row in hits]
        source = None
        if "source" in column:
            sources = [int(row[column["source"]]) for _, row in hits]
            self._check_range("source", lines, sources, MOST_SOURCES - 1)
            source = np.array(sources, np.int64)
        self._check_range("address", lines, address, _INT64_MAX)
        self._check_range("time", lines, time, _INT64_MAX)
        self._check_order(lines, time)
        self.next_line += block.count(b"\n")
        return Columns(
            np.array(time, np.int64),
            np.array(is_write, np.bool_),
            np.array(address, np.int64),
            source,
        )

    def _raise_malformed(self, text: bytes) -> NoReturn:
        """Find the first line that the pattern refuses and say so."""
        number, line = next(
            (number, line)
            for number, line in enumerate(text.split(b"\n"), self.next_line)
            if not self.pattern.fullmatch(line)
        )
        raise ValueError(
            f"{self.path}, line {number}: {_shown(line)} is malformed; "
            f"expected {self.format.expected}"
        )

    def _check_lengths(self, lines: list[int], lengths: list[bytes]) -> None:
        for line, length in zip(lines, lengths, strict=True):
            if length and not 1 <= int(length) <= LINE_BYTES:
                raise ValueError(
                    f"{self.path}, line {line}: a request of {int(length)} bytes; "
                    f"expected 1 to {LINE_BYTES}"
                )

    def _check_range(self, what: str, lines: list[int], values: list[int], most: int) -> None:
        if max(values, default=0) > most:
            line, value = next(pair for pair in zip(lines, values, strict=True) if pair[1] > most)
            limit = "2^63-1" if most == _INT64_MAX else str(most)
            raise ValueError(f"{self.path}, line {line}: {what} {value} is above {limit}")

    def _check_order(self, lines: list[int], times: list[int]) -> None:
        before = self.last_time
        for line, time in zip(lines, times, strict=True):
            if time < before:
                raise ValueError(
                    f"{self.path}, line {line}: time goes back from {before} to {time}"
                )
            before = time
        self.last_time = before


def _integer(text: bytes, base: int) -> int:
    """The number that digits stand for; a leading 0x makes them hexadecimal."""
    return int(text, 16 if text[1:2] in (b"x", b"X") else base)


def _shown(line: bytes) -> str:
    """A line of a file as it may stand in a message: printable, quoted, not too long."""
    text = line.decode("utf-8", "backslashreplace").strip("\r")
    return repr(text if len(text) <= 60 else text[:57] + "...")
