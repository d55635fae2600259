import numpy as np
import pytest

from archgym.cost_models.dram.workloads import (
    load_workload,
    recorded_metadata,
    workload_names,
    workloads,
)


def test_names_are_unique_and_described_in_one_line():
    assert len(set(workload_names())) == len(workload_names())
    for workload in workloads():
        assert workload.description and "\n" not in workload.description
    assert sum(workload.kind == "recorded" for workload in workloads()) >= 5


@pytest.mark.parametrize("name", workload_names())
def test_every_workload_loads_and_fits_a_gibibyte(name):
    trace = load_workload(name)
    assert trace.name == name
    assert trace.n_requests == 10_000 and trace.clock_ps == 1000
    assert trace.address.max() < 1 << 30 and (trace.address % 64 == 0).all()
    assert trace.cycle[0] < 1000


@pytest.mark.parametrize("name", recorded_metadata())
def test_recorded_traces_are_what_their_description_says(name):
    trace, facts = load_workload(name), recorded_metadata()[name]
    assert (trace.n_requests, trace.n_reads) == (facts["n"], facts["reads"])
    assert trace.footprint_bytes == facts["footprint_bytes"]
    assert trace.requests_per_us() == pytest.approx(facts["requests_per_us"], abs=0.06)
    assert trace.clock_ps == facts["clock_ps"]


def test_synthetic_workloads_do_not_change():
    facts = {
        workload.name: (
            int(load_workload(workload.name).cycle[-1]),
            load_workload(workload.name).n_reads,
            int(np.sum(load_workload(workload.name).address // 64)),
        )
        for workload in workloads()
        if workload.kind == "synthetic"
    }
    assert facts == {
        "stream": (66660, 6640, 7074115320),
        "random": (165414, 8968, 83935027394),
        "strided": (124987, 7527, 3249675000),
        "chase": (0, 10000, 5244994213),
        "mixed": (142512, 7041, 21135874160),
        "mixed-light": (997330, 7008, 21212271322),
        "mixed-heavy": (55235, 5906, 21453691221),
    }


@pytest.mark.parametrize("name", [each.name for each in workloads() if each.kind == "mix"])
def test_a_mix_is_of_programs_that_all_run_to_its_end(name):
    trace = load_workload(name)
    pages = [set((trace.of_source(s).address // 4096).tolist()) for s in range(trace.n_sources)]
    assert len(set.union(*pages)) == sum(map(len, pages))
    for source in range(trace.n_sources):
        assert trace.of_source(source).cycle[-1] > 0.97 * trace.cycle[-1]
        assert trace.of_source(source).n_requests >= 1000


def test_mixes_do_not_change():
    facts = {
        workload.name: (
            int(load_workload(workload.name).cycle[-1]),
            np.bincount(load_workload(workload.name).source).tolist(),
            int(np.sum(load_workload(workload.name).address // 64)),
        )
        for workload in workloads()
        if workload.kind == "mix"
    }
    assert facts == {
        "mix-sort-gcc": (132922, [7143, 2857], 82181910109),
        "mix-numpy-awk": (98984, [7005, 2995], 85571324036),
        "mix-four": (110128, [3024, 2279, 2582, 2115], 85286966681),
        "mix-stream-random": (79920, [7993, 2007], 22769592923),
    }


def test_a_named_workload_is_built_once():
    assert load_workload("chase") is load_workload("chase")


def test_a_file_is_a_workload(tmp_path):
    path = tmp_path / "own.stl"
    path.write_text("3: read 0x40\n")
    trace = load_workload(f"file:{path}", clock_ps=1250)
    assert (trace.name, trace.clock_ps, trace.n_requests) == ("own", 1250, 1)
    assert load_workload(f"file:{path}").clock_ps is None
    with pytest.raises(ValueError, match=r"line 1: .* is malformed; expected .LD"):
        load_workload(f"file:{path}", format="ramulator")


def test_unknown_names_and_misplaced_options_are_refused():
    with pytest.raises(ValueError, match=r"got 'strem'; did you mean 'stream'\?"):
        load_workload("strem")
    with pytest.raises(ValueError, match="clock_ps is for file:PATH workloads; 'stream' has its"):
        load_workload("stream", clock_ps=1250)
