"""A two-level cache that turns a program's data accesses into the requests its memory sees.

Accesses that miss the last level fetch a line; dirty lines that the last level evicts are written
back. Both levels are write-back, write-allocate and replace the least recently used line (LRU). The
second level is neither inclusive nor exclusive of the first: a line evicted from it may stay in the
first, and a dirty line evicted from the first is written into the second without being fetched,
since all of it is new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.trace import LINE_BYTES

_EMPTY = -1


@dataclass(frozen=True)
class CacheLevel:
    """Size and associativity of one level with 64-byte lines.

    Attributes:
        size_bytes: Capacity in bytes.
        ways: Lines per set.

    Raises:
        ValueError: If the sets would not be a power of two in number.
    """

    size_bytes: int
    ways: int

    def __post_init__(self) -> None:
        if self.ways < 1 or self.size_bytes < 1 or self.size_bytes % (self.ways * LINE_BYTES):
            raise ValueError(
                f"size_bytes must be a positive multiple of ways x {LINE_BYTES}, "
                f"got size_bytes={self.size_bytes} with ways={self.ways}"
            )
        if self.sets & (self.sets - 1):
            raise ValueError(
                f"size_bytes / (ways x {LINE_BYTES}) must be a power of two, got {self.sets}"
            )

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.size_bytes // (self.ways * LINE_BYTES)


L1_DATA = CacheLevel(32 << 10, 8)
"""The first level of the shipped traces."""

L2 = CacheLevel(1 << 20, 16)
"""The second and last level of the shipped traces."""


class CacheFilter:
    """Two cache levels that keep their content from call to call, so that a stream can be chunked.

    Args:
        first: The level that the program accesses.
        last: The level whose misses and write-backs go to memory.
    """

    def __init__(self, first: CacheLevel = L1_DATA, last: CacheLevel = L2) -> None:
        self._first = np.full((first.sets, first.ways), _EMPTY, dtype=np.int64)
        self._last = np.full((last.sets, last.ways), _EMPTY, dtype=np.int64)

    def requests(
        self,
        instruction: NDArray[np.int64],
        is_write: NDArray[np.bool_],
        address: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
        """Pass accesses through the caches, in order.

        Args:
            instruction: int64 array `(n,)`, what each access is to be stamped with.
            is_write: bool array `(n,)`.
            address: int64 array `(n,)`, byte addresses.
            size: int64 array `(n,)`, bytes accessed; an access over a line's end is two.

        Returns:
            `(instruction, is_write, address)` of the memory requests, arrays `(m,)`: for each line
            fetched a read, for each dirty line evicted a write, stamped like the access that caused
            them; addresses are those of lines.
        """
        span = (address + np.maximum(size, 1) - 1) // LINE_BYTES - address // LINE_BYTES
        # An access of one line causes at most one fetch and two write-backs.
        room = 3 * int(np.sum(span + 1))
        out_instruction = np.empty(room, dtype=np.int64)
        out_line = np.empty(room, dtype=np.int64)
        out_write = np.empty(room, dtype=np.bool_)
        count = _filter(
            self._first,
            self._last,
            (instruction, is_write, address // LINE_BYTES, span),
            (out_instruction, out_write, out_line),
        )
        lines = out_line[:count] * LINE_BYTES
        return out_instruction[:count].copy(), out_write[:count].copy(), lines


class PageMapper:
    """Gives each virtual page the next physical frame of a seeded random order, at first touch.

    A program's virtual addresses spread over 2^47 bytes; the frames fill the memory of a device, as
    an operating system's would after a long uptime.

    Args:
        memory_bytes: Physical memory to draw frames from.
        seed: Seed of the order.
        page_bytes: Bytes of a page.
    """

    def __init__(self, memory_bytes: int = 1 << 30, seed: int = 0, page_bytes: int = 4096) -> None:
        if page_bytes < LINE_BYTES or memory_bytes < page_bytes or memory_bytes % page_bytes:
            raise ValueError(
                f"memory_bytes must be a positive multiple of page_bytes >= {LINE_BYTES}, "
                f"got memory_bytes={memory_bytes} with page_bytes={page_bytes}"
            )
        self.page_bytes = page_bytes
        self._frames = np.random.default_rng(seed).permutation(memory_bytes // page_bytes)
        self._frame_of: dict[int, int] = {}

    def physical(self, address: NDArray[np.int64]) -> NDArray[np.int64]:
        """Physical byte addresses `(n,)` of virtual ones.

        Raises:
            ValueError: If the program touches more pages than there are frames.
        """
        page, offset = np.divmod(address, self.page_bytes)
        distinct, first_use, inverse = np.unique(page, return_index=True, return_inverse=True)
        frames = np.empty(distinct.size, dtype=np.int64)
        for index in np.argsort(first_use):
            frames[index] = self._frame(int(distinct[index]))
        return frames[inverse] * self.page_bytes + offset

    def _frame(self, page: int) -> int:
        used = len(self._frame_of)
        frame = self._frame_of.get(page)
        if frame is None:
            if used == self._frames.size:
                raise ValueError(
                    f"the program touches more than {self._frames.size} pages of "
                    f"{self.page_bytes} bytes; give it more memory_bytes"
                )
            frame = self._frame_of[page] = int(self._frames[used])
        return frame


# A cache set is a row of lines, most recently used first; each entry is 2 x line + dirty.


@numba.njit(cache=True, nogil=True)
def _touch(entries, line, dirty):  # type: ignore[no-untyped-def]
    """Make a line the most recent of its set: (whether it was there, the entry evicted or -1)."""
    last = entries.size - 1
    way = 0
    while way < last and entries[way] >> 1 != line:
        way += 1
    hit = entries[way] != -1 and entries[way] >> 1 == line
    entry = entries[way]
    for index in range(way, 0, -1):
        entries[index] = entries[index - 1]
    if hit:
        entries[0] = entry | dirty
        return True, -1
    entries[0] = 2 * line + dirty
    return False, entry


@numba.njit(cache=True, nogil=True)
def _filter(first, last, accesses, out):  # type: ignore[no-untyped-def]
    """Run accesses through both levels; returns how many requests were written to `out`."""
    instruction, is_write, line_of, span = accesses
    out_instruction, out_write, out_line = out
    count = 0
    for access in range(line_of.size):
        for line in range(line_of[access], line_of[access] + span[access] + 1):
            hit, victim = _touch(
                first[line & (first.shape[0] - 1)], line, np.int64(is_write[access])
            )
            if hit:
                continue
            hit, evicted = _touch(last[line & (last.shape[0] - 1)], line, 0)
            if not hit:
                out_instruction[count], out_write[count], out_line[count] = (
                    instruction[access],
                    False,
                    line,
                )
                count += 1
            evicted_by_victim = np.int64(-1)
            if victim != -1 and victim & 1:
                old = victim >> 1
                _, evicted_by_victim = _touch(last[old & (last.shape[0] - 1)], old, 1)
            for entry in (evicted, evicted_by_victim):
                if entry != -1 and entry & 1:
                    out_instruction[count], out_write[count], out_line[count] = (
                        instruction[access],
                        True,
                        entry >> 1,
                    )
                    count += 1
    return count
