import zlib

import numpy as np
import pytest

from archgym.cost_models.dram import generators
from archgym.cost_models.dram.trace import REGION_BYTES

ALL = [
    generators.stream,
    generators.uniform_random,
    generators.strided,
    generators.chase,
    generators.mixed,
]


def digest(trace):
    arrays = (trace.cycle, trace.is_write, trace.address)
    return zlib.crc32(b"".join(array.tobytes() for array in arrays))


@pytest.mark.parametrize("generate", ALL)
def test_same_seed_same_trace_other_seed_other_trace(generate):
    options = {} if generate is generators.chase else {"read_fraction": 0.5}
    assert digest(generate(500, seed=3, **options)) == digest(generate(500, seed=3, **options))
    assert digest(generate(500, seed=3, **options)) != digest(generate(500, seed=4, **options))


@pytest.mark.parametrize("generate", ALL)
@pytest.mark.parametrize("n", [0, 1, 3000])
def test_length_alignment_clock_and_footprint(generate, n):
    trace = generate(n, footprint_bytes=1 << 16, seed=1)
    assert trace.n_requests == n and trace.clock_ps == 1000
    assert (trace.address % 64 == 0).all() and (trace.address < 1 << 16).all()


@pytest.mark.parametrize("generate", [each for each in ALL if each is not generators.chase])
def test_intensity_and_read_fraction(generate):
    trace = generate(20_000, intensity_per_us=75.0, read_fraction=0.8, seed=0)
    assert trace.requests_per_us() == pytest.approx(75.0, rel=0.03)
    assert trace.read_fraction == pytest.approx(0.8, abs=0.01)
    assert generate(100, read_fraction=0.0).n_reads == 0
    assert generate(100, read_fraction=1.0).n_reads == 100
    assert not generate(100, intensity_per_us=np.inf).cycle.any()


def test_stream_walks_on_in_both_directions():
    trace = generators.stream(1000, read_fraction=0.6, footprint_bytes=1 << 14)
    for address in (trace.address[trace.is_write], trace.address[~trace.is_write]):
        assert set(np.diff(address)) == {64, 64 - (1 << 13)}
    assert not set(trace.address[trace.is_write]) & set(trace.address[~trace.is_write])
    reads = generators.stream(1000, footprint_bytes=1 << 14)
    assert np.unique(reads.address).size == 256


def test_strided_visits_every_line_before_any_again():
    trace = generators.strided(256, stride_bytes=512, footprint_bytes=256 * 64)
    assert np.unique(trace.address).size == 256
    assert (np.diff(trace.address)[:31] == 512).all()
    assert trace.address[32] == 64


def test_chase_repeats_no_line_before_all_were_read():
    trace = generators.chase(512, footprint_bytes=256 * 64, seed=2)
    assert np.array_equal(trace.address[:256], trace.address[256:])
    assert np.unique(trace.address[:256]).size == 256
    assert trace.max_outstanding_reads == 1 and not trace.cycle.any()


@pytest.mark.parametrize("locality", [0.0, 0.4, 0.9])
def test_mixed_stays_in_the_row_as_often_as_asked(locality):
    trace = generators.mixed(20_000, locality=locality, n_streams=1, footprint_bytes=1 << 30)
    row = trace.address // REGION_BYTES
    assert np.mean(row[1:] == row[:-1]) == pytest.approx(locality, abs=0.015)


def test_mixed_streams_hide_locality_from_neighbours_but_not_from_a_window():
    features = generators.mixed(20_000, locality=0.8, n_streams=8).features()
    assert features["row_locality"] == pytest.approx(0.1, abs=0.02)
    assert features["row_locality_window"] > 0.6


@pytest.mark.parametrize(
    ("generate", "options", "message"),
    [
        (generators.stream, {"n_requests": -1}, "n_requests must be 0 or more, got -1"),
        (generators.stream, {"intensity_per_us": 0.0}, "intensity_per_us must be positive"),
        (generators.stream, {"intensity_per_us": np.nan}, "intensity_per_us must be positive"),
        (generators.stream, {"footprint_bytes": 64}, "multiple of 64 from 128 up, got 64"),
        (generators.chase, {"footprint_bytes": 100}, "multiple of 64 from 64 up, got 100"),
        (generators.mixed, {"read_fraction": 1.1}, "read_fraction must lie in 0..1, got 1.1"),
        (generators.mixed, {"locality": -0.1}, "locality must lie in 0..1, got -0.1"),
        (generators.mixed, {"n_streams": 0}, "n_streams must be at least 1, got 0"),
        (generators.mixed, {"footprint_bytes": 4096}, "multiple of 64 from 8192 up, got 4096"),
        (generators.strided, {"stride_bytes": 100}, "stride_bytes must be a multiple of 64"),
        (
            generators.strided,
            {"stride_bytes": 8192, "footprint_bytes": 4096},
            r"up to footprint_bytes \(4096\), got 8192",
        ),
    ],
)
def test_refuses_arguments_out_of_range(generate, options, message):
    with pytest.raises(ValueError, match=message):
        generate(**options)
