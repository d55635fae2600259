"""Archives `.tar.zst` of results: written the same byte for byte, read without trusting them.

An archive holds regular files with plain relative names and nothing else: no links, devices,
folders, extended headers or second entries of a name. The reader below knows no other entry, so
that what an archive cannot say needs no defence.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_BLOCK = tarfile.BLOCKSIZE
_PART = r"[A-Za-z0-9=+_-][A-Za-z0-9._=+-]{0,149}"
_NAME = re.compile(rf"{_PART}(/{_PART}){{0,5}}")
_MAX_NAME = 400


@dataclass(frozen=True)
class Limits:
    """How much is read of an archive.

    Attributes:
        files: number of files.
        file_bytes: size of one file.
        total_bytes: size of all of it, uncompressed.
    """

    files: int = 100_000
    file_bytes: int = 256 * 2**20
    total_bytes: int = 4 * 2**30


def write_archive(file: Path, sources: Mapping[str, Path | bytes]) -> None:
    """Packs files, sorted by name, without times and owners.

    Args:
        file: to write; appears when it is whole.
        sources: per name in the archive a file, or content.

    Raises:
        ValueError: for a name that the reader would refuse.
    """
    import pyarrow

    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with (
            pyarrow.CompressedOutputStream(str(temporary), "zstd") as stream,
            tarfile.open(fileobj=_Pipe(stream), mode="w|", format=tarfile.GNU_FORMAT) as archive,
        ):
            for name in sorted(sources):
                _check_name(name)
                source = sources[name]
                content = source if isinstance(source, bytes) else source.read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


class _Pipe(io.RawIOBase):
    """A stream of Arrow as one of Python."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data))
        return len(data)


def _check_name(name: str) -> None:
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        raise ValueError(f"name {shown!r} is not a plain relative path")


class _Reader:
    """Uncompressed bytes of an archive, as many as the limit allows."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit

    def read(self, count: int) -> bytes:
        """Returns exactly `count` bytes; raises ValueError if there are fewer, or too many."""
        self._left -= count
        if self._left < 0:
            raise ValueError(f"holds more than {self._limit:,} bytes")
        data = bytes(self._stream.read(count))
        if len(data) < count:
            raise ValueError("is truncated")
        return data

    def rest(self) -> bytes:
        """Returns what follows, at most what padding may be."""
        return bytes(self._stream.read(tarfile.RECORDSIZE + 1))


def _entry(reader: _Reader) -> tarfile.TarInfo | None:
    """Reads one header; None at the end of the archive."""
    block = reader.read(_BLOCK)
    if block.count(0) == _BLOCK:
        rest = reader.read(_BLOCK) + reader.rest()
        if rest.count(0) < len(rest) or len(rest) > tarfile.RECORDSIZE:
            raise ValueError("holds data after its end")
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise ValueError(f"holds a damaged header ({error})") from None


def _content(reader: _Reader, size: int) -> bytes:
    data = reader.read(size)
    reader.read(-size % _BLOCK)
    return data


def entries(file: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of every file of an archive.

    Raises:
        ValueError: for anything that `write_archive` does not write, or that is beyond the limits.
    """
    import pyarrow

    try:
        source = pyarrow.OSFile(str(file))
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from None
    with source:
        try:
            with pyarrow.CompressedInputStream(source, "zstd") as stream:
                yield from _entries(_Reader(stream, limits.total_bytes), limits)
        except (OSError, pyarrow.ArrowException) as error:
            text = " ".join(str(error).split())
            raise ValueError(f"is not compressed with zstd, or is damaged ({text})") from None


def _entries(reader: _Reader, limits: Limits) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    long_name = None
    while (entry := _entry(reader)) is not None:
        name = entry.name if long_name is None else long_name
        if entry.type == tarfile.GNUTYPE_LONGNAME and long_name is None:
            long_name = _long_name(reader, entry.size)
            continue
        long_name = None
        _check_name(name)
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise ValueError(f"entry {name!r} is {_kind(entry)}, only regular files are read")
        if not 0 <= entry.size <= limits.file_bytes:
            raise ValueError(
                f"entry {name!r} has {entry.size:,} bytes, at most {limits.file_bytes:,} are read"
            )
        if name.casefold() in seen:
            raise ValueError(f"entry {name!r} is there twice")
        seen.add(name.casefold())
        if len(seen) > limits.files:
            raise ValueError(f"holds more than {limits.files:,} files")
        yield name, _content(reader, entry.size)
    if long_name is not None:
        raise ValueError("is truncated")


def _long_name(reader: _Reader, size: int) -> str:
    if not 0 < size <= _MAX_NAME + 1:
        raise ValueError(f"holds a name of {size:,} bytes, at most {_MAX_NAME} are read")
    return _content(reader, size).removesuffix(b"\0").decode("ascii", "backslashreplace")


def _kind(entry: tarfile.TarInfo) -> str:
    kinds = {"a link": entry.islnk() or entry.issym(), "a folder": entry.isdir()}
    kinds["a device"] = entry.isdev()
    return next((kind for kind, is_it in kinds.items() if is_it), f"of type {entry.type!r}")


@contextlib.contextmanager
def unpacked(file: Path, folder: Path, limits: Limits) -> Iterator[Path]:
    """Unpacks an archive beside a folder, which takes its place if the block ends without error.

    Args:
        file: the archive.
        folder: to make; it may be there if it is empty.
        limits: how much is read.

    Yields:
        The folder as it is for the duration of the block.

    Raises:
        ValueError: for an archive that is refused, or a folder that holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: is not an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        try:
            for name, content in entries(file, limits):
                _write(scratch / name, content)
            yield scratch
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        if folder.exists():
            folder.rmdir()
        scratch.chmod(0o755)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new: BinaryIO
        with path.open("xb") as new:
            new.write(content)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"entry {path.name!r} is both a file and a folder") from None
