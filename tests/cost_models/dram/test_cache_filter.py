from collections import OrderedDict

import numpy as np
import pytest

from archgym.cost_models.dram.cache_filter import L1_DATA, L2, CacheFilter, CacheLevel, PageMapper

SMALL, LARGE = CacheLevel(4 * 2 * 64, 2), CacheLevel(8 * 4 * 64, 4)


def pass_through(caches, is_write, address, size=4):
    n = len(address)
    result = caches.requests(
        np.arange(n),
        np.array(is_write, dtype=bool),
        np.array(address, dtype=np.int64),
        np.full(n, size, dtype=np.int64),
    )
    return [column.tolist() for column in result]


class PlainLevel:
    """An LRU level in plain Python: {set: {line: dirty}}, least recent first."""

    def __init__(self, level):
        self.level = level
        self.content = [OrderedDict() for _ in range(level.sets)]

    def touch(self, line, dirty):
        lines = self.content[line % self.level.sets]
        if line in lines:
            lines[line] = lines[line] or dirty
            lines.move_to_end(line)
            return True, None
        victim = lines.popitem(last=False) if len(lines) == self.level.ways else None
        lines[line] = dirty
        return False, victim


def plain_filter(first, last, is_write, address, size):
    first, last, out = PlainLevel(first), PlainLevel(last), []
    for number, (write, start) in enumerate(zip(is_write, address, strict=True)):
        for line in range(start // 64, (start + size - 1) // 64 + 1):
            hit, victim = first.touch(line, bool(write))
            if hit:
                continue
            hit, evicted = last.touch(line, False)
            if not hit:
                out.append((number, False, line * 64))
            moved = last.touch(victim[0], True)[1] if victim and victim[1] else None
            out += [(number, True, each[0] * 64) for each in (evicted, moved) if each and each[1]]
    return [list(column) for column in zip(*out, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_plain_model_whatever_the_chunks(seed):
    rng = np.random.default_rng(seed)
    is_write = (rng.random(6000) < 0.4).tolist()
    address = rng.integers(0, 60 * 64, 6000).tolist()
    expected = plain_filter(SMALL, LARGE, is_write, address, 8)
    assert pass_through(CacheFilter(SMALL, LARGE), is_write, address, 8) == expected
    chunked = CacheFilter(SMALL, LARGE)
    parts = [
        pass_through(chunked, is_write[at : at + 700], address[at : at + 700], 8)
        for at in range(0, 6000, 700)
    ]
    for column in (1, 2):
        joined = [value for part in parts for value in part[column]]
        assert joined == expected[column]


def test_a_line_is_fetched_once_and_a_store_fetches_too():
    assert pass_through(CacheFilter(), [0, 1, 0], [130, 140, 191]) == [[0, 2], [0, 0], [128, 192]]


def test_what_fits_is_never_written_back():
    lines = list(range(0, L2.size_bytes // 2, 64))
    _, is_write, address = pass_through(CacheFilter(), [1] * 2 * len(lines), lines * 2)
    assert not any(is_write) and address == lines


def test_a_long_walk_of_stores_writes_every_line_back_but_those_cached():
    n = 100_000
    _, is_write, address = pass_through(CacheFilter(), [1] * n, [64 * i for i in range(n)])
    written = [line for line, write in zip(address, is_write, strict=True) if write]
    assert len(set(written)) == len(written)
    cached = (L1_DATA.size_bytes + L2.size_bytes) // 64
    assert n - cached <= len(written) <= n - L2.size_bytes // 64


@pytest.mark.parametrize(
    ("size", "ways", "message"),
    [
        (1000, 2, "positive multiple of ways x 64"),
        (3 * 64, 1, "power of two, got 3"),
        (64, 0, "with ways=0"),
    ],
)
def test_refuses_caches_that_do_not_exist(size, ways, message):
    with pytest.raises(ValueError, match=message):
        CacheLevel(size, ways)


def test_pages_keep_offsets_and_get_distinct_frames_in_order_of_touch():
    virtual = np.array([0x7FFF_0000_0123, 5 * 4096, 0x7FFF_0000_0FFF, 9 * 4096 + 7])
    physical = PageMapper(1 << 20, seed=3).physical(virtual)
    assert (physical % 4096).tolist() == [0x123, 0, 0xFFF, 7]
    frames = physical // 4096
    assert frames[0] == frames[2] and len(set(frames.tolist())) == 3 and frames.max() < 256
    one_by_one = PageMapper(1 << 20, seed=3)
    parts = [one_by_one.physical(virtual[at : at + 1])[0] for at in range(4)]
    assert parts == physical.tolist()
    assert PageMapper(1 << 20, seed=4).physical(virtual).tolist() != physical.tolist()


def test_pages_run_out():
    with pytest.raises(ValueError, match="touches more than 2 pages of 4096 bytes"):
        PageMapper(8192).physical(np.array([0, 4096, 8192]))
    with pytest.raises(ValueError, match="memory_bytes must be a positive multiple"):
        PageMapper(1000)
