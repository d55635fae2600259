import gzip
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import trace_formats
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import load_trace, save_trace

# The same three requests in every format.
TEXTS = {
    "a.csv": "cycle,rw,addr\n0,R,64\n5,W,0x80\n5,r,4294967296\n",
    "a.stl": "# a comment\n0: read 0x40\n\n5:\t(64)\twrite\t0x80 0xBEEF\n5: read 0x100000000\n",
    "dramsim3.trc": "0x40 READ 0\n80 WRITE 5\n0x100000000 P_MEM_RD 5\n",
}
UNTIMED = {
    "loadstore.trace": "LD 0x40\nST 128\nLD 4294967296\n",
    "readwrite.trace": "R 64\nW 0x80\nR 0x100000000\n",
}


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def columns(trace):
    return trace.cycle.tolist(), trace.is_write.tolist(), trace.address.tolist()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_reads_timed_formats(tmp_path, name, packed, line_end):
    path = write(tmp_path, name, TEXTS[name].replace("\n", line_end))
    if packed:  # told by content: the name does not say so
        path.write_bytes(gzip.compress(path.read_bytes()))
    trace = load_trace(path)
    assert columns(trace) == ([0, 5, 5], [False, True, False], [64, 128, 2**32])
    assert trace.name == name.split(".")[0]
    assert trace.clock_ps is None
    assert load_trace(path, clock_ps=1250).clock_ps == 1250


@pytest.mark.parametrize("name", UNTIMED)
def test_formats_without_times_arrive_at_once(tmp_path, name):
    trace = load_trace(write(tmp_path, name, UNTIMED[name]))
    assert columns(trace) == ([0, 0, 0], [False, True, False], [64, 128, 2**32])


def test_last_line_needs_no_newline_and_suffix_gz_is_no_part_of_the_name(tmp_path):
    path = tmp_path / "b.stl.gz"
    path.write_bytes(gzip.compress(b"1: write 0x40"))
    trace = load_trace(path)
    assert columns(trace) == ([1], [True], [64]) and trace.name == "b"


def test_format_can_be_said(tmp_path):
    path = write(tmp_path, "a.csv", UNTIMED["loadstore.trace"])
    assert load_trace(path, format="ramulator").n_requests == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.csv",
            "cycle,rw,addr\n0,R,64\n1,X,64\n",
            "line 3: '1,X,64' is malformed; expected 'cyc",
        ),
        ("a.csv", "cycle,rw,addr\n0,R\n", "line 2: '0,R' is malformed"),
        ("a.csv", "cycle,rw,addr\n0,R,64,9\n", "line 2: '0,R,64,9' is malformed"),
        ("a.csv", "cycle,rw,addr\n-1,R,64\n", "line 2: '-1,R,64' is malformed"),
        ("a.csv", "cycle,rw,addr\n1.5,R,64\n", "line 2: '1.5,R,64' is malformed"),
        ("a.csv", "cycle,rw,addr\n0,R,6_4\n", "line 2: '0,R,6_4' is malformed"),
        ("a.csv", "0,R,64\n", "line 1: '0,R,64'; expected the header 'cycle,rw,addr'"),
        ("a.csv", "", "expected the header 'cycle,rw,addr' or 'cycle,rw,addr,source', found none"),
        ("a.csv", "cycle,rw,addr\n9,R,64\n\n8,R,64\n", "line 4: time goes back from 9 to 8"),
        ("a.csv", "cycle,rw,addr\n0,R,0x8000000000000000\n", "line 2: address 9223372036854775808"),
        (
            "a.csv",
            "cycle,rw,addr\n9223372036854775808,R,0\n",
            "line 2: time 9223372036854775808 is",
        ),
        ("a.csv", "cycle,rw,addr\n" + "9" * 99 + ",R,0\n", r"line 2: '9{57}\.\.\.' is malformed"),
        ("a.stl", "0: read 64\n", "line 1: '0: read 64' is malformed; expected 'cycle: read|write"),
        (
            "a.stl",
            "0: read 0x40\n1: (128) read 0x40\n",
            "line 2: a request of 128 bytes; expected 1",
        ),
        ("a.stl", "# nothing\n", "holds no request; expected lines of 'cycle: read|write"),
        (
            "a.trace",
            "LD 0x40\nLD 0x40 0x80\n",
            "line 2: 'LD 0x40 0x80' is malformed; expected 'LD|",
        ),
        ("a.trace", "R 0,0,1,2,3,4\n", "line 1: 'R 0,0,1,2,3,4' is of no known trace format"),
        ("a.trace", "0x40 READ 3\n0x40 FETCH 4\n", "line 2: '0x40 FETCH 4' is malformed; expected"),
        ("a.trace", "hello\n", "'hello' is of no known trace format; known: csv, dramsys, ramul"),
        ("a.trace", "", "holds no request, so its format cannot be told"),
        ("a.trace", "\xff\x00\n", "line 1: .* is of no known trace format"),
    ],
)
def test_says_in_one_line_where_a_file_is_wrong(tmp_path, name, text, message):
    path = write(tmp_path, name, text)
    pattern = message.replace("|", r"\|")
    with pytest.raises(ValueError, match=pattern) as caught:
        load_trace(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_errors_beyond_the_first_block_know_their_line(tmp_path, monkeypatch):
    monkeypatch.setattr(trace_formats, "BLOCK_BYTES", 64)
    good = "cycle,rw,addr\n" + "".join(f"{i},R,{64 * i}\n" for i in range(500))
    path = write(tmp_path, "a.csv", good)
    assert columns(load_trace(path))[2] == [64 * i for i in range(500)]
    with pytest.raises(ValueError, match="line 502: 'oops' is malformed"):
        load_trace(write(tmp_path, "b.csv", good + "oops\n"))
    with pytest.raises(ValueError, match="line 502: time goes back from 499 to 3"):
        load_trace(write(tmp_path, "c.csv", good + "3,R,0\n"))


def test_header_alone_is_a_trace_of_no_requests(tmp_path):
    trace = load_trace(write(tmp_path, "a.csv", "cycle,rw,addr\n"))
    assert trace.n_requests == 0 and trace.cycle.dtype == np.int64


def test_unknown_format_names_the_closest(tmp_path):
    with pytest.raises(ValueError, match=r"must be one of csv, .*; did you mean .ramulator."):
        load_trace(write(tmp_path, "a.csv", ""), format="ramulater")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="cannot read the trace: No such file"):
        load_trace(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="cannot read the trace: Is a directory"):
        load_trace(tmp_path)
    whole = gzip.compress(("cycle,rw,addr\n" + "0,R,64\n" * 5000).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a complete gzip file"):
        load_trace(tmp_path / "cut.csv.gz")


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2**63 - 1), st.booleans(), st.integers(0, 2**63 - 1))),
    st.sampled_from([None, 1250]),
    st.sampled_from([None, 1]),
    st.sampled_from(["t.csv", "t.csv.gz"]),
)
def test_saving_and_loading_gives_the_trace_back(
    tmp_path_factory, requests, clock_ps, outstanding, name
):
    trace = Trace(
        np.array(sorted(time for time, _, _ in requests), dtype=np.int64),
        np.array([write for _, write, _ in requests], dtype=bool),
        np.array([address for _, _, address in requests], dtype=np.int64),
        clock_ps,
        "t",
        outstanding,
    )
    path = tmp_path_factory.mktemp("saved") / name
    save_trace(trace, path)
    again = load_trace(path)
    assert columns(again) == columns(trace)
    assert (again.clock_ps, again.max_outstanding_reads, again.name) == (clock_ps, outstanding, "t")
    first = path.read_bytes()
    save_trace(again, path)
    assert path.read_bytes() == first
    assert [each.name for each in path.parent.iterdir()] == [name]


def test_refuses_to_save_under_another_ending(tmp_path):
    trace = load_trace(write(tmp_path, "a.csv", "cycle,rw,addr\n"))
    with pytest.raises(ValueError, match=re.escape("path must end in .csv or .csv.gz")):
        save_trace(trace, tmp_path / "a.stl")
    with pytest.raises(ValueError, match="cannot write the trace: No such file"):
        save_trace(trace, tmp_path / "no" / "a.csv")


def test_reads_the_reference_traces(reference_dir):
    folder = reference_dir / "dram"
    described = json.loads((folder / "traces.json").read_text())
    for path in sorted((folder / "traces").glob("*.csv.gz")):
        trace = load_trace(path)
        facts = described[trace.name]
        assert (trace.n_requests, trace.n_reads) == (facts["n"], facts["n_reads"]), path.name
        assert trace.cycle[-1] == facts["last_arrival"], path.name
    for path in sorted((folder / "traces").glob("*.stl")):
        assert load_trace(path).n_requests == 10_000
