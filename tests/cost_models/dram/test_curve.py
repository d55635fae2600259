"""Bandwidth-latency curves: limits, monotony, files, and published points."""

import csv
import importlib.util
import io
import math
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from archgym.cost_models.dram import AddressMapping, load_device
from archgym.cost_models.dram import curve as module
from archgym.cost_models.dram.curve import (
    KNEE_FACTOR,
    LOADS,
    CurvePoint,
    bandwidth_latency,
    measure,
    parse_policy,
    with_channels,
)
from archgym.cost_models.dram.curve_figure import CSV_HEADER, to_csv, to_svg

DDR4 = load_device("ddr4-3200-8gb-x8")


@pytest.fixture(scope="module")
def curves():
    return bandwidth_latency(DDR4, read_fractions=(0.5, 1.0), requests=5000)


def test_a_curve_per_pattern_and_fraction(curves):
    found = [(each.pattern, each.read_fraction) for each in curves]
    assert found == [("random", 0.5), ("random", 1.0), ("sequential", 0.5), ("sequential", 1.0)]


def test_limits(curves):
    t, ns = DDR4.timing, DDR4.tCK_ps / 1000
    least = (t.tRCD + t.tCL + DDR4.burst_cycles) * ns
    for each in curves:
        assert each.bus_gb_per_s == pytest.approx(25.6)
        # A closed row at best, a row conflict and a refresh in the way now and then at worst.
        assert least <= each.unloaded_latency_ns <= least + (t.tRP + 1) * ns + 20
        assert 0 < each.knee_gb_per_s <= each.peak_gb_per_s < each.bus_gb_per_s
        assert len(each.points) == len(LOADS) + 1
        for point in each.points[:-1]:
            assert point.latency_ns >= least
            assert point.latency_p99_ns >= point.latency_ns * 0.99
            # Random times and the drain at the end leave a little between offered and moved.
            assert point.bandwidth_gb_per_s == pytest.approx(point.offered_gb_per_s, rel=0.1)


def test_more_load_means_more_latency(curves):
    for each in curves:
        latency = [point.latency_ns for point in each.points[:-1]]
        # Steps between single points may be noise of one trace; from idle to full they are not.
        assert latency[0] < latency[6] < latency[-1]
        assert math.isnan(each.points[-1].latency_ns)


def test_sequential_and_read_only_traffic_peak_higher(curves):
    random_half, random_reads, half, reads = (each.peak_share for each in curves)
    assert random_half < half < reads
    assert random_reads < reads
    t = DDR4.timing
    assert reads < 1 - t.tRFC / t.tREFI


def test_equal_arguments_give_equal_curves():
    options = {"read_fractions": (1.0,), "patterns": ("random",), "requests": 500}
    heard = []
    first = bandwidth_latency(DDR4, **options, listener=lambda *facts: heard.append(facts))
    second = bandwidth_latency(DDR4, **options)
    assert to_csv(first) == to_csv(second)
    assert heard[-1] == (len(LOADS) + 2, len(LOADS) + 2)


def test_writes_only_have_no_latency():
    (only,) = bandwidth_latency(DDR4, read_fractions=(0.0,), patterns=("sequential",), requests=500)
    assert math.isnan(only.knee_gb_per_s)
    assert only.peak_gb_per_s > 0
    ElementTree.fromstring(to_svg([only], "writes"))


def test_knee_is_between_two_points():
    points = [CurvePoint(b, b, latency, 0) for b, latency in ((5.0, 60.0), (10.0, 140.0))]
    assert module._knee(points, 50.0, 20.0) == pytest.approx(7.5)  # 100 = 2 x 50, half way
    assert module._knee(points[:1], 50.0, 20.0) == 20.0
    assert KNEE_FACTOR == 2.0


def test_channels_multiply_the_peak_and_interleave_requests():
    device = with_channels(DDR4, 4)
    mapping = AddressMapping.parse(device.mapping)
    mapping.check(device)
    place = mapping.decode(np.arange(8) * 64)
    assert place.channel.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert device.peak_bandwidth_gb_per_s == pytest.approx(102.4)
    assert with_channels(DDR4, 1) is DDR4
    options = {"read_fractions": (1.0,), "patterns": ("random",), "requests": 3000}
    one, four = bandwidth_latency(DDR4, **options)[0], bandwidth_latency(device, **options)[0]
    assert four.peak_gb_per_s == pytest.approx(4 * one.peak_gb_per_s, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_fractions": (1.1,)}, "read_fractions must lie in 0..1, got 1.1"),
        ({"patterns": ("rnd",)}, "pattern must be one of random, sequential, got 'rnd'"),
        ({"streams": 0}, "streams must be at least 1, got 0"),
        ({"requests": 5}, "requests must be at least 100, got 5"),
        ({"policy": {"PagePolicy": "Opn"}}, "policy field PagePolicy is 'Opn'"),
        ({"controller": "none"}, "controller 'none' is unknown"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError) as error:
        bandwidth_latency(DDR4, **options)
    assert message in str(error.value)


def test_channels_out_of_range():
    with pytest.raises(ValueError, match="channels must be a power of two, got 3"):
        with_channels(DDR4, 3)
    with pytest.raises(ValueError, match="has 2 of its own"):
        with_channels(with_channels(DDR4, 2), 4)


def test_policies_are_read_from_texts():
    settings = ["PagePolicy=Closed", "RequestBufferSize=8"]
    assert parse_policy(settings, "dramsys") == {"PagePolicy": "Closed", "RequestBufferSize": 8}
    with pytest.raises(ValueError, match="'PagePolicy' is not KEY=VALUE"):
        parse_policy(["PagePolicy"], "dramsys")


def test_files(tmp_path, curves):
    found, written = measure(
        "ddr3-1600-4gb-x8", tmp_path / "a" / "b", read_fractions=(1.0,), requests=500, channels=2
    )
    assert [path.name for path in written] == ["curve.csv", "curve.svg"]
    assert sorted(path.name for path in written[0].parent.iterdir()) == ["curve.csv", "curve.svg"]
    rows = list(csv.DictReader(io.StringIO(written[0].read_text())))
    assert list(rows[0]) == CSV_HEADER.split(",")
    assert len(rows) == 2 * (len(LOADS) + 1)
    assert rows[len(LOADS)]["latency_ns"] == ""
    assert float(rows[0]["bandwidth_gb_per_s"]) == pytest.approx(
        found[0].points[0].bandwidth_gb_per_s, rel=1e-5
    )
    root = ElementTree.fromstring(written[1].read_text())
    lines = [each for each in root.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2
    assert "2 channels" in written[1].read_text()


def test_published_points_of_ddr5():
    """Ramulator 2 with 16 channels of DDR5-4800AN in "Cleaning up the Mess" (arXiv 2510.15744).

    The source of the published traffic, of which `benchmarks/ddr5_curve.py` prints more points.
    """
    path = Path(__file__).parents[3] / "benchmarks/ddr5_curve.py"
    spec = importlib.util.spec_from_file_location("ddr5_curve", path)
    bench = importlib.util.module_from_spec(spec)
    sys.modules["ddr5_curve"] = bench
    spec.loader.exec_module(bench)
    device = bench.channel_of_the_paper()
    assert 16 * device.peak_bandwidth_gb_per_s == pytest.approx(307.7, abs=0.1)
    for pace, gb_per_s, latency_ns in ((10_000, 35.7, 46.1), (11, 139.1, 53.4), (6, 222.9, 55.3)):
        bandwidth, latency = bench.Generator(device, pace, 1.0, 0).run(150)
        assert bandwidth == pytest.approx(gb_per_s, rel=0.1)
        assert latency == pytest.approx(latency_ns, rel=0.1)
