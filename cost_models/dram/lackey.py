"""Run a program under valgrind's lackey tool and read its data accesses as they happen."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux fcntl command; not in the fcntl module of every Python 3.11 build


@dataclass(frozen=True)
class Accesses:
    """A chunk of the data accesses of a program, in order.

    Attributes:
        instruction: int64 array `(n,)`: instructions executed before each access.
        is_write: bool array `(n,)`: stores and read-modify-writes.
        address: int64 array `(n,)`: virtual byte addresses.
        size: int64 array `(n,)`: bytes.
    """

    instruction: NDArray[np.int64]
    is_write: NDArray[np.bool_]
    address: NDArray[np.int64]
    size: NDArray[np.int64]


def valgrind_version() -> str:
    """Version of the valgrind that is installed.

    Raises:
        ValueError: If there is none.
    """
    path = shutil.which("valgrind")
    if path is None:
        raise ValueError("valgrind is not installed; recording needs it (apt-get install valgrind)")
    return subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()


def stream_accesses(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> Generator[Accesses, None, None]:
    """Run a program and yield its data accesses in chunks; closing the iterator ends the program.

    Args:
        command: Program and arguments. Only the process itself is traced, not its children.
        environment: Its whole environment; a fixed one makes recordings repeatable.
        folder: Its working directory.

    Raises:
        ValueError: If valgrind is missing or the program fails before the iterator is closed.
    """
    valgrind_version()
    if shutil.which(command[0]) is None:
        raise ValueError(f"program {command[0]!r} is not installed")
    read_end, write_end = os.pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115, closed below with the pipe
    process = subprocess.Popen(
        ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-fd={write_end}", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=(write_end,),
        env=dict(environment),
        cwd=folder,
    )
    os.close(write_end)
    try:
        yield from _parsed(_blocks(read_end))
        if process.wait():
            errors.seek(0)
            text = errors.read().decode(errors="replace").strip()
            last = text.splitlines()[-1] if text else "no message"
            raise ValueError(f"{command[0]} failed with status {process.returncode}: {last}")
    finally:
        process.kill()
        process.wait()
        os.close(read_end)
        errors.close()


def _blocks(read_end: int) -> Iterator[bytes]:
    """Blocks of whole lines from the pipe."""
    fcntl.fcntl(read_end, _F_SETPIPE_SZ, _PIPE_BYTES)
    rest = b""
    while data := os.read(read_end, _PIPE_BYTES):
        head, newline, rest = (rest + data).rpartition(b"\n")
        if newline:
            yield head + newline
        if len(data) < _PIPE_BYTES // 2:
            # Lackey writes line by line. A reader that waits in read() is woken for every one,
            # which makes the recording four times slower than letting the pipe fill.
            time.sleep(0.005)


def _parsed(blocks: Iterator[bytes]) -> Iterator[Accesses]:
    """Data accesses of each block; instructions are counted from the first block on."""
    instructions = 0
    for block in blocks:
        text = np.frombuffer(block, dtype=np.uint8)
        room = block.count(b"\n")
        numbers = np.empty((3, room), dtype=np.int64)
        is_write = np.empty(room, dtype=np.bool_)
        count, instructions = _parse(text, instructions, numbers, is_write)
        instruction, address, size = numbers[:, :count]
        yield Accesses(instruction, is_write[:count], address, size)


@numba.njit(cache=True, nogil=True)
def _parse(text, instructions, numbers, is_write):  # type: ignore[no-untyped-def]
    """Parse lines 'I  04001000,3' and ' S 1fff000768,8' (L load, S store, M both); skip others."""
    count = 0
    at = 0
    while at < text.size:
        kind = text[at + 1] if text[at] == 32 else text[at]
        if text[at] == 73 and text[at + 1] == 32:
            instructions += 1
        elif text[at] == 32 and (kind == 76 or kind == 83 or kind == 77):
            address = np.int64(0)
            size = np.int64(0)
            at += 3
            while text[at] != 44 and text[at] != 10:
                digit = np.int64(text[at])
                address = 16 * address + (digit - 48 if digit < 58 else (digit | 32) - 87)
                at += 1
            if text[at] == 44:
                at += 1
            while text[at] != 10:
                size = 10 * size + np.int64(text[at]) - 48
                at += 1
            numbers[0, count] = instructions
            numbers[1, count] = address
            numbers[2, count] = size
            is_write[count] = kind != 76
            count += 1
        while text[at] != 10:
            at += 1
        at += 1
    return count, instructions
