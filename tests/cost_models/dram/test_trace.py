import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.dram.trace import Trace


def make(cycle, write, address, **options):
    return Trace(np.array(cycle), np.array(write, dtype=bool), np.array(address), **options)


def test_counts_and_rates():
    trace = make([0, 10, 20, 30], [0, 1, 0, 0], [0, 64, 70, 8192], clock_ps=500)
    assert (trace.n_requests, trace.n_reads, trace.read_fraction) == (4, 3, 0.75)
    assert trace.footprint_bytes == 3 * 64
    assert trace.requests_per_us() == pytest.approx(3 / 0.015)


def test_rate_of_a_trace_without_clock_is_that_of_the_device():
    trace = make([0, 100], [0, 0], [0, 64])
    assert trace.requests_per_us(1250) == pytest.approx(8.0)


def test_features_of_a_known_trace():
    trace = make([0, 10, 20, 30, 40], [0] * 5, [0, 64, 128, 64 * 256, 0], clock_ps=1000)
    features = trace.features()
    assert features["intensity"] == pytest.approx(0.5)
    assert features["burstiness"] == 0.0
    assert features["sequential_fraction"] == 0.5
    assert features["row_locality"] == 0.5
    assert features["row_locality_window"] == 0.75
    assert features["footprint"] == pytest.approx(2 / 32)
    assert features["dependence"] == 0.0


def test_burstiness_of_poisson_gaps_is_a_half():
    gaps = np.random.default_rng(0).exponential(1000.0, 50_000)
    trace = make(np.cumsum(gaps).astype(np.int64), [0] * 50_000, [0] * 50_000)
    assert trace.features()["burstiness"] == pytest.approx(0.5, abs=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 2**40), st.booleans(), st.integers(0, 2**62)), max_size=30),
    st.sampled_from([None, 1, 1250]),
)
def test_features_are_finite_and_within_0_and_1(requests, clock_ps):
    times = sorted(time for time, _, _ in requests)
    trace = make(
        np.array(times, dtype=np.int64),
        [write for _, write, _ in requests],
        np.array([address for _, _, address in requests], dtype=np.int64),
        clock_ps=clock_ps,
    )
    for name, value in trace.features().items():
        assert math.isfinite(value) and 0.0 <= value <= 1.0, name


def test_same_features_for_every_length_of_trace():
    lengths = [make(range(n), [0] * n, range(n)) for n in (1, 2, 50)]
    assert len({tuple(trace.features()) for trace in lengths}) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cycle": [5, 4]}, "cycle goes back from 5 to 4 at request 1"),
        ({"cycle": [-1, 4]}, "cycle must lie in .*, got -1 at request 0"),
        ({"address": [0, -64]}, "address must lie in .*, got -64 at request 1"),
        ({"address": [0.5, 1.0]}, "address must be a one-dimensional integer array"),
        ({"cycle": [1]}, r"must have one length, got \(1, 2, 2\)"),
        ({"clock_ps": 0}, "clock_ps must be a positive integer or None, got 0"),
        ({"max_outstanding_reads": 0}, "max_outstanding_reads must be a positive integer"),
    ],
)
def test_refuses_what_is_not_a_trace(changes, message):
    fields = {"cycle": [0, 1], "write": [0, 1], "address": [0, 64], **changes}
    with pytest.raises(ValueError, match=message):
        make(**fields)


def test_refuses_directions_that_are_not_bools():
    with pytest.raises(ValueError, match="is_write must be a one-dimensional bool array"):
        Trace(np.array([0]), np.array([1]), np.array([0]))


def test_is_sealed_and_takes_no_part_in_the_callers_arrays():
    cycle = np.array([0, 1])
    trace = make(cycle, [0, 0], [0, 0])
    again = Trace(cycle, np.zeros(2, bool), np.zeros(2, np.int64))
    cycle[0] = 99
    assert trace.cycle[0] == 0 and again.cycle[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        again.address[0] = 1


def test_survives_pickling_sealed():
    trace = make([0, 1], [0, 1], [0, 64], clock_ps=7, name="x", max_outstanding_reads=3)
    copy = pickle.loads(pickle.dumps(trace))
    assert np.array_equal(copy.cycle, trace.cycle) and not copy.cycle.flags.writeable
    assert (copy.clock_ps, copy.name, copy.max_outstanding_reads) == (7, "x", 3)


def test_arrivals_are_the_next_edge_of_another_clock():
    trace = make([0, 1, 2, 3, 5], [0] * 5, [0] * 5, clock_ps=1000)
    assert trace.arrivals(1250).tolist() == [0, 1, 2, 3, 4]
    assert trace.arrivals(500).tolist() == [0, 2, 4, 6, 10]
    assert trace.arrivals(1000) is trace.cycle


def test_arrivals_on_an_edge_stay_there_when_the_period_is_rounded():
    cycle = np.arange(0, 3_000_000, 3)
    third = 10_000 / 3  # 3,333.3... ps: every 10 ns is the third edge
    trace = Trace(cycle * 10, np.zeros(cycle.size, bool), cycle, clock_ps=1000)
    assert np.array_equal(trace.arrivals(third), cycle * 3)


def test_arrivals_of_a_trace_without_clock_are_the_devices():
    assert make([0, 7], [0, 0], [0, 0]).arrivals(833.0).tolist() == [0, 7]


@pytest.mark.parametrize("clock_ps", [0.0, -1.0, math.nan, math.inf])
def test_arrivals_refuses_a_clock_that_is_none(clock_ps):
    with pytest.raises(ValueError, match="clock_ps must be positive and finite"):
        make([0], [0], [0]).arrivals(clock_ps)
