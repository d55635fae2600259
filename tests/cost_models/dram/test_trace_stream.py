"""One pass over trace files of any length: statistics, conversion, distinct counts."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.dram import trace_formats
from archgym.cost_models.dram.distinct import STANDARD_ERROR, DistinctCounter
from archgym.cost_models.dram.generators import mixed
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import (
    FORMATS,
    Columns,
    load_trace,
    open_trace,
    save_trace,
)
from archgym.cost_models.dram.trace_stream import TraceStatistics, convert_trace, trace_info
from archgym.cost_models.dram.workloads import load_workload, workload_names


@pytest.fixture
def small_blocks(monkeypatch):
    """Files are read in many small blocks, so that every boundary is met."""
    monkeypatch.setattr(trace_formats, "BLOCK_BYTES", 97)


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("cycle", "is_write", "address")
    )


@pytest.mark.parametrize("name", workload_names())
def test_statistics_are_those_of_the_whole_trace(name):
    trace = load_workload(name)
    statistics = TraceStatistics()
    for start in range(0, trace.n_requests, 777):
        part = slice(start, start + 777)
        source = None if trace.source is None else trace.source[part]
        columns = Columns(trace.cycle[part], trace.is_write[part], trace.address[part], source)
        statistics.add(columns)
    told = statistics.to_dict(trace.clock_ps)
    features = trace.features()
    for key in ("burstiness", "sequential_fraction", "row_locality", "row_locality_window"):
        assert told[key] == pytest.approx(features[key], abs=1e-12), key
    assert told["requests"] == trace.n_requests
    assert told["reads"] == trace.n_reads
    assert told["footprint_bytes"] == trace.footprint_bytes
    assert told["footprint_standard_error"] == 0.0
    rate = trace.requests_per_us()
    assert told["requests_per_us"] == (None if np.isinf(rate) else pytest.approx(rate))


@given(cuts=st.lists(st.integers(0, 60), max_size=8), seed=st.integers(0, 99))
def test_statistics_do_not_depend_on_the_chunks(cuts, seed):
    trace = mixed(60, footprint_bytes=1 << 16, seed=seed)
    columns = Columns(trace.cycle, trace.is_write, trace.address, trace.address // 64 % 3)
    whole, pieces = TraceStatistics(), TraceStatistics()
    whole.add(columns)
    for part in zip(*(np.split(column, sorted(cuts)) for column in columns), strict=True):
        pieces.add(Columns(*part))
    first, second = whole.to_dict(1000), pieces.to_dict(1000)
    assert first.pop("burstiness") == pytest.approx(second.pop("burstiness"))
    assert first == second


def test_info_of_a_file(tmp_path, small_blocks):
    path = tmp_path / "sort.csv.gz"
    save_trace(load_workload("sort"), path)
    heard = []
    told = trace_info(path, listener=lambda *facts: heard.append(facts))
    assert (told["format"], told["compressed"], told["clock_ps"]) == ("csv", True, 1000)
    assert told["requests"] == 10_000 == heard[-1][2]
    assert heard[-1][0] == heard[-1][1] == path.stat().st_size == told["file_bytes"]


def test_info_without_clock_requests_or_alignment(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("cycle,rw,addr\n")
    told = trace_info(path)
    assert told["requests"] == 0
    assert told["read_fraction"] is told["lowest_address"] is told["span_us"] is None
    path.write_text("cycle,rw,addr\n5,R,100\n7,W,65\n")
    told = trace_info(path)
    assert (told["unaligned_requests"], told["span_us"], told["footprint_bytes"]) == (2, None, 64)
    assert trace_info(path, clock_ps=500)["span_us"] == pytest.approx(1e-3)


@pytest.mark.parametrize("target", sorted(FORMATS))
@pytest.mark.parametrize("compress", [False, True])
def test_conversion_keeps_every_request(tmp_path, small_blocks, target, compress):
    trace = mixed(500, seed=3)
    source, path = tmp_path / "in.csv", tmp_path / ("out.txt.gz" if compress else "out.txt")
    save_trace(trace, source)
    done = convert_trace(source, path, format=target, drop_times=True)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") is compress
    back = load_trace(path, format=target)
    assert done.requests == back.n_requests == 500
    if target == "ramulator":
        assert done.lost == ("times",)
        back = Trace(trace.cycle, back.is_write, back.address)
    assert same(back, trace)
    assert back.clock_ps == (1000 if target == "csv" else None)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_conversion_of_times_rounds_up_exactly(tmp_path):
    source, path = tmp_path / "in.stl", tmp_path / "out.csv"
    source.write_text("0: read 0x0\n1: read 0x40\n5: write 0x80\n3000000001: read 0x0\n")
    convert_trace(source, path, source_clock_ps=1000, clock_ps=1250)
    trace = load_trace(path)
    assert trace.cycle.tolist() == [0, 1, 4, 2400000001]
    assert trace.clock_ps == 1250


def test_conversion_keeps_the_limit_of_reads_or_says_so(tmp_path):
    source = tmp_path / "in.csv"
    save_trace(load_workload("chase"), source)
    convert_trace(source, tmp_path / "out.csv.gz")
    assert load_trace(tmp_path / "out.csv.gz").max_outstanding_reads == 1
    done = convert_trace(source, tmp_path / "out.stl")
    assert done.lost == ("clock_ps=1000", "max_outstanding_reads=1")
    # All arrivals are 0, so there are no times to lose.
    convert_trace(source, tmp_path / "out.txt", format="ramulator")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "cvs"}, "format must be one of csv, dramsys, ramulator, dramsim3, got 'cvs'"),
        ({}, "its ending tells no format to write"),
        ({"format": "csv", "clock_ps": 0}, "clock_ps must be at least 1, got 0"),
        ({"format": "csv", "clock_ps": 5}, "the clock of its times is not known"),
        ({"format": "ramulator"}, "format ramulator holds no times"),
        ({"format": "csv", "source_clock_ps": 10**18, "clock_ps": 1}, "is above 2^63-1"),
    ],
)
def test_conversions_that_are_refused_leave_nothing(tmp_path, options, message):
    source = tmp_path / "in.stl"
    source.write_text("0: read 0x0\n50: read 0x40\n")
    with pytest.raises(ValueError) as error:
        convert_trace(source, tmp_path / "out.txt", **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.stl"]


def test_a_broken_source_leaves_an_older_target_alone(tmp_path, small_blocks):
    source, path = tmp_path / "in.stl", tmp_path / "out.csv.gz"
    source.write_text("0: read 0x0\n" * 100 + "oops\n")
    path.write_bytes(gzip.compress(b"old"))
    with pytest.raises(ValueError, match="line 101: 'oops' is malformed"):
        convert_trace(source, path)
    assert gzip.decompress(path.read_bytes()) == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_target_that_cannot_be_written(tmp_path):
    source = tmp_path / "in.stl"
    source.write_text("0: read 0x0\n")
    with pytest.raises(ValueError, match=r"out.csv: cannot write the trace: No such file"):
        convert_trace(source, tmp_path / "none" / "out.csv")


def test_a_trace_is_converted_onto_itself(tmp_path):
    path = tmp_path / "t.csv"
    save_trace(load_workload("sort"), path)
    convert_trace(path, path, clock_ps=500)
    assert load_trace(path).cycle.tolist() == (load_workload("sort").cycle * 2).tolist()


def test_chunks_are_those_of_the_whole(tmp_path, small_blocks):
    path = tmp_path / "t.csv"
    save_trace(load_workload("sort"), path)
    with open_trace(path) as opened:
        chunks = list(opened.chunks)
    assert len(chunks) > 100
    assert opened.name == "t"
    assert np.array_equal(np.concatenate([c[2] for c in chunks]), load_workload("sort").address)


def test_a_file_without_lines_is_refused_before_it_fills_the_memory(tmp_path, small_blocks):
    path = tmp_path / "t.csv"
    path.write_bytes(b"cycle,rw,addr\n" + b"1" * 1000)
    with pytest.raises(ValueError, match="a line is longer than 97 bytes; not a trace"):
        trace_info(path)


@pytest.mark.parametrize("distinct", [200_000, 1_000_000, 3_000_000])
@pytest.mark.parametrize("stride", [1, 64, 12345])
def test_distinct_counts_beyond_the_exact_limit(distinct, stride):
    counter = DistinctCounter(exact_limit=1000)
    values = np.arange(distinct, dtype=np.int64) * stride
    for part in np.array_split(values, 7):
        counter.add(part)
        counter.add(part[::3])
    assert not counter.is_exact
    if distinct > 5 * 65536:  # below, HyperLogLog is biased; the default limit lies above
        assert counter.count == pytest.approx(distinct, rel=4 * STANDARD_ERROR)


def test_distinct_counts_are_exact_up_to_the_limit():
    counter = DistinctCounter(exact_limit=1000)
    counter.add(np.arange(999))
    counter.add(np.arange(1000))
    assert counter.is_exact
    assert counter.count == 1000
    counter.add(np.array([1000]))
    assert not counter.is_exact
