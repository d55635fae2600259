"""Traces of several programs on one memory, and the sources of requests."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.dram.generators import chase, mixed, stream, uniform_random
from archgym.cost_models.dram.merge import PAGE_BYTES, merge_traces
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import load_trace, save_trace
from archgym.cost_models.dram.trace_stream import convert_trace, trace_info


def small(cycles, addresses, **fields):
    cycles = np.array(cycles, np.int64)
    return Trace(cycles, cycles % 2 == 1, np.array(addresses, np.int64), **fields)


def test_requests_come_in_the_order_of_time_and_of_traces():
    slow = small([0, 3, 4], [0, 64, 128], clock_ps=1000)
    fast = small([0, 4, 5], [4096, 8192, 4096], clock_ps=750)
    merged = merge_traces([slow, fast], name="both")
    assert (merged.clock_ps, merged.name, merged.n_sources) == (250, "both", 2)
    assert merged.cycle.tolist() == [0, 0, 12, 12, 15, 16]
    assert merged.source.tolist() == [0, 1, 0, 1, 1, 0]
    assert merged.address.tolist() == [0, 4096, 64, 8192, 4096, 128]
    assert merged.is_write.tolist() == [False, False, True, False, True, False]


@given(seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4), span=st.integers(13, 22))
def test_every_source_keeps_its_requests_and_pages_of_its_own(seeds, span):
    parts = [mixed(80, footprint_bytes=1 << span, seed=seed) for seed in seeds]
    merged = merge_traces(parts, capacity_bytes=(1 << span) * len(seeds))
    assert merged.n_requests == 80 * len(parts)
    owner = {}
    for source, part in enumerate(parts):
        own = merged.of_source(source)
        np.testing.assert_array_equal(own.cycle, part.cycle)
        np.testing.assert_array_equal(own.is_write, part.is_write)
        np.testing.assert_array_equal(own.address % PAGE_BYTES, part.address % PAGE_BYTES)
        before, after = part.address // PAGE_BYTES, own.address // PAGE_BYTES
        moved = dict(zip(before.tolist(), after.tolist(), strict=True))
        assert [moved[page] for page in before.tolist()] == after.tolist()
        for page in set(moved.values()):
            assert owner.setdefault(int(page), source) == source
    assert merged.address.max() < (1 << span) * len(seeds)


def test_pages_that_are_taken_move_on_in_order():
    walk = stream(4 * 64, footprint_bytes=4 * PAGE_BYTES)
    merged = merge_traces(
        [walk, walk, small([0], [9 * PAGE_BYTES], clock_ps=1000)], capacity_bytes=1 << 16
    )
    np.testing.assert_array_equal(merged.of_source(1).address, walk.address + 4 * PAGE_BYTES)
    assert merged.of_source(2).address.tolist() == [9 * PAGE_BYTES]


def test_memory_is_filled_to_the_last_page_and_not_beyond():
    walk = stream(4 * 64, footprint_bytes=4 * PAGE_BYTES)
    last = small([0, 1], [7 * PAGE_BYTES, 100 * PAGE_BYTES], clock_ps=1000)
    full = merge_traces([last, walk, walk], capacity_bytes=10 * PAGE_BYTES)
    assert sorted(set((full.address // PAGE_BYTES).tolist())) == list(range(10))
    with pytest.raises(ValueError) as error:
        merge_traces([last, walk, walk], capacity_bytes=10 * PAGE_BYTES - 1)
    assert str(error.value) == (
        "capacity_bytes is 40959, must be at least 40960 for the 10 pages of 4096 bytes that "
        "the traces touch"
    )


@pytest.mark.parametrize(
    ("traces", "options", "message"),
    [
        ([], {}, "traces must be 1 to 64 traces, got 0"),
        ([chase(10)], {}, "trace 'chase': max_outstanding_reads is 1, must be None in a trace"),
        ([small([0], [0]), stream(5)], {}, "trace 'trace' has no clock_ps, which others to merge"),
        (
            [small([0, 0], [0, 0], source=np.array([0, 1]))],
            {},
            "trace 'trace' has 2 sources, must have one",
        ),
        ([stream(5)], {"n_requests": 6}, "n_requests must lie in 0..5, got 6"),
        (
            [small([2**60], [0], clock_ps=999), small([0], [0], clock_ps=1000)],
            {},
            "in cycles of 1 ps is above 2^63-1",
        ),
    ],
)
def test_traces_that_cannot_be_merged_are_refused_in_one_line(traces, options, message):
    with pytest.raises(ValueError) as error:
        merge_traces(traces, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_trace_knows_its_sources():
    trace = small([0, 1, 2], [0, 64, 128], source=np.array([0, 2, 0]))
    assert trace.n_sources == 3
    assert trace.of_source(0).address.tolist() == [0, 128]
    assert trace.of_source(0).source is None
    assert trace.of_source(1).n_requests == 0
    assert not trace.source.flags.writeable
    again = pickle.loads(pickle.dumps(trace))
    assert again.source.tolist() == [0, 2, 0] and not again.source.flags.writeable
    alone = small([0], [0])
    assert alone.n_sources == 1 and alone.of_source(0) is alone
    assert small([], [], source=np.array([], int)).n_sources == 1
    with pytest.raises(ValueError, match=r"source must lie in 0..2, got 3"):
        trace.of_source(3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([0, 64], "source must lie in 0..63, got 64 at request 1"),
        ([-1, 0], "source must lie in 0..63, got -1 at request 0"),
        ([0], r"cycle, is_write, address and source must have one length, got \(2, 2, 2, 1\)"),
        ([0.0, 1.0], "source must be a one-dimensional integer array, got float64"),
    ],
)
def test_sources_that_make_no_sense_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        small([0, 1], [0, 64], source=np.array(source))


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_files_keep_sources(tmp_path, ending):
    merged = merge_traces([mixed(50, seed=1), uniform_random(30)])
    path, copy = tmp_path / f"in.{ending}", tmp_path / "out.csv"
    save_trace(merged, path)
    done = convert_trace(path, copy, clock_ps=500)
    assert done.lost == ()
    for trace in (load_trace(path), load_trace(copy)):
        np.testing.assert_array_equal(trace.source, merged.source)
        np.testing.assert_array_equal(trace.address, merged.address)
    assert trace_info(copy)["source_requests"] == [50, 30]
    assert convert_trace(path, tmp_path / "out.stl").lost == ("clock_ps=1000", "sources")
    single = tmp_path / "single.csv"
    save_trace(mixed(5), single)
    assert load_trace(single).source is None
    assert trace_info(single)["source_requests"] == [5]


def test_a_file_with_a_wrong_source_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    for line, message in (
        ("1,R,64,64", "line 2: source 64 is above 63"),
        ("1,R,64", r"line 2: '1,R,64' is malformed; expected 'cycle,R\|W,address,source' such as"),
    ):
        path.write_text(f"cycle,rw,addr,source\n{line}\n")
        with pytest.raises(ValueError, match=message):
            load_trace(path)
    path.write_text("cycle,rw,addr\n1,R,64,0\n")
    with pytest.raises(ValueError, match="line 2: '1,R,64,0' is malformed"):
        load_trace(path)
