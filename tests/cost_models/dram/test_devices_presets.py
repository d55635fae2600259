"""Every device preset: sources, and what the simulator makes of its figures."""

import dataclasses
import math

import numpy as np
import pytest
import yaml

from archgym.cost_models.dram import (
    AddressMapping,
    DramSimulator,
    Trace,
    device_names,
    load_device,
    policy_row,
)
from archgym.cost_models.dram import devices as module
from archgym.cost_models.dram.devices import figure_names
from archgym.cost_models.dram.generators import stream

EXPECTED = {  # GB/s of the channel: 8 bytes x data rate; GiB: 8 devices; tRFC and tREFI in ns
    "ddr3-1600-1gb-x8": (12.8, 1, 110, 7800),
    "ddr3-1600-4gb-x8": (12.8, 4, 260, 7800),
    "ddr3-1866-4gb-x8": (14.93, 4, 260, 7800),
    "ddr3-2133-4gb-x8": (17.07, 4, 260, 7800),
    "ddr4-2400-8gb-x8": (19.2, 8, 360, 7800),
    "ddr4-2666-8gb-x8": (21.33, 8, 350, 7800),
    "ddr4-2933-8gb-x8": (23.46, 8, 350, 7800),
    "ddr4-3200-8gb-x8": (25.6, 8, 350, 7800),
}


def test_every_preset_is_expected_here():
    assert set(EXPECTED) == set(device_names())


@pytest.mark.parametrize("name", device_names())
def test_every_figure_has_a_source(name):
    device = load_device(name)
    for figure in figure_names():
        assert len(device.source_of(figure)) > 10, figure
    for section in ("organisation", "tCK_ps", "timing", "current_ma", "vdd_v", "mapping"):
        assert section in device.sources, section


@pytest.mark.parametrize("name", device_names())
def test_peak_capacity_and_refresh(name):
    device = load_device(name)
    peak, gib, rfc_ns, refi_ns = EXPECTED[name]
    assert device.peak_bandwidth_gb_per_s == pytest.approx(peak, rel=1e-3)
    assert device.capacity_bytes == gib << 30
    ns = device.tCK_ps / 1000
    # Whole cycles by the rounding rule of the standards: up, unless within 2.5 % of a cycle.
    assert rfc_ns - 0.026 * ns <= device.timing.tRFC * ns <= rfc_ns + 1.001 * ns
    assert refi_ns - 1.001 * ns <= device.timing.tREFI * ns <= refi_ns * 1.0001 + ns


@pytest.mark.parametrize("name", device_names())
def test_speed_bin_in_ns(name):
    device = load_device(name)
    t, ns = device.timing, device.tCK_ps / 1000
    assert t.tRC == t.tRAS + t.tRP
    assert 12.4 < t.tCL * ns < 14.4
    assert t.tCL == t.tRCD == t.tRP
    assert 32 - 0.1 <= t.tRAS * ns < 36
    assert 14.9 <= t.tWR * ns < 16
    assert 7.4 <= t.tRTP * ns < 8.5
    assert t.tXS >= t.tRFC


@pytest.mark.parametrize("name", device_names())
def test_unloaded_latency(name):
    device = load_device(name)
    one = Trace(np.array([0]), np.array([False]), np.array([0]))
    result = DramSimulator(device, one, threads=1).run([policy_row(RefreshPolicy="NoRefresh")])
    cycles = device.timing.tRCD + device.timing.tCL + device.burst_cycles
    assert result.read_latency_ns[0] * 1000 / device.tCK_ps == pytest.approx(cycles)


@pytest.mark.parametrize("name", device_names())
def test_streaming_reaches_the_bus_less_refresh(name):
    device = load_device(name)
    trace = stream(20_000, intensity_per_us=math.inf, footprint_bytes=1 << 24)
    # One row after another in bank groups that take turns, so that only refresh interrupts.
    o = device.organisation
    groups = o.bank_groups.bit_length() - 1
    bits = device.mapping.split()
    fields = {part.split(":")[0]: int(part.split(":")[1]) for part in bits}
    mapping = AddressMapping.parse(
        f"row:{fields['row']} bank:{fields['bank']} column:{fields['column'] - 3} "
        f"bankgroup:{groups} column:3 offset:3"
    )
    simulator = DramSimulator(device, trace, mapping=mapping, threads=1)
    exact = {"RefreshMaxPostponed": 0, "RefreshMaxPulledin": 0}
    rows = [policy_row(RefreshPolicy=refresh, **exact) for refresh in ("NoRefresh", "AllBank")]
    result = simulator.run(rows)
    free, refreshed = result.total_time_ns
    peak_ns = trace.n_requests * device.request_bytes / device.peak_bandwidth_gb_per_s
    assert peak_ns <= free <= 1.03 * peak_ns
    t, cycle_ns = device.timing, device.tCK_ps / 1000
    assert result.n_ref[1] == int(refreshed / cycle_ns / t.tREFI)
    # Each refresh costs tRFC, and the closing and opening of the rows around it.
    each = (refreshed - free) / cycle_ns / result.n_ref[1]
    assert t.tRFC < each < t.tRFC + t.tRTP + t.tRP + t.tRCD + t.tCL + 2 * t.tRC


def test_faster_bins_are_faster_and_longer_in_cycles():
    for family in ("ddr3", "ddr4"):
        bins = [load_device(n) for n in device_names() if n.startswith(family) and "1gb" not in n]
        bandwidths = [device.peak_bandwidth_gb_per_s for device in bins]
        assert bandwidths == sorted(bandwidths)
        for key in ("tCL", "tRAS", "tWR", "tRTP", "tCKE"):
            values = [getattr(device.timing, key) for device in bins]
            assert values == sorted(values), key


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"timing.tRFCC": "x"}, "sources names no figure 'timing.tRFCC'; did you mean"),
        ({"timing": ""}, "sources.timing is '', must be text"),
        ({"timing": 3}, "sources.timing is 3, must be text"),
        ([1], "sources is [1], must be a mapping"),
    ],
)
def test_bad_sources(tmp_path, sources, message):
    data = yaml.safe_load((module._FOLDER / "ddr3-1600-1gb-x8.yaml").read_text())
    data["sources"] = sources
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ValueError) as error:
        load_device(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_sources_fall_back_from_field_to_section_to_device(tmp_path):
    data = yaml.safe_load((module._FOLDER / "ddr3-1600-1gb-x8.yaml").read_text())
    data.pop("sources")
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(data))
    device = load_device(path)
    assert device.source_of("timing.tRFC") == device.source
    device = dataclasses.replace(device, sources={"timing": "a", "timing.tRFC": "b"})
    assert device.source_of("timing.tRFC") == "b"
    assert device.source_of("timing.tRC") == "a"
    with pytest.raises(ValueError, match=r"has no figure 'timing.tRFCC'"):
        device.source_of("timing.tRFCC")
