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
from archgym.cost_models.dram.timing_checker import check_commands, finishing_cycles
from archgym.cost_models.dram.timings import DramCommands

EXPECTED = {  # GB/s: bytes of all data buses x data rate; GiB; tRFC and tREFI in ns
    "ddr3-1600-1gb-x8": (12.8, 1, 110, 7800),
    "ddr3-1600-4gb-x8": (12.8, 4, 260, 7800),
    "ddr3-1866-4gb-x8": (14.93, 4, 260, 7800),
    "ddr3-2133-4gb-x8": (17.07, 4, 260, 7800),
    "ddr4-2400-8gb-x8": (19.2, 8, 360, 7800),
    "ddr4-2666-8gb-x8": (21.33, 8, 350, 7800),
    "ddr4-2933-8gb-x8": (23.46, 8, 350, 7800),
    "ddr4-3200-8gb-x8": (25.6, 8, 350, 7800),
    "ddr5-4800-16gb-x8": (38.4, 16, 295, 3900),
    "ddr5-6400-16gb-x8": (51.2, 16, 295, 3900),
    "gddr6-14000-8gb-x16": (56, 1, 120, 1900),
    "hbm2-2000-4gb": (256, 4, 160, 3900),
    "hbm3-6400-4gb": (819.2, 8, 260, 3894),
    "lpddr4-3200-8gb-x16": (25.6, 4, 280, 3904),
    "lpddr5-6400-8gb-x16": (51.2, 4, 210, 3906),
}
DDR3_AND_4 = [name for name in EXPECTED if name.startswith(("ddr3", "ddr4"))]
# Latency of a read of an idle bank in cycles, worked out by hand from the standards' rule: the last
# cycle of ACT, tRCD, the read latency (and tDQSCK), the burst, and for a line of two accesses
# tCCD of the bank group.
UNLOADED = {
    "ddr5-4800-16gb-x8": 1 + 34 + 34 + 8,
    "ddr5-6400-16gb-x8": 1 + 46 + 46 + 8,
    "gddr6-14000-8gb-x16": 27 + 24 + 2 + 4,
    "hbm2-2000-4gb": 1 + 14 + 14 + 2 + 4,
    "hbm3-6400-4gb": 2 + 62 + 40 + 4 + 8,
    "lpddr4-3200-8gb-x16": 3 + 29 + (28 + 6) + 8 + 8,
    "lpddr5-6400-8gb-x16": 1 + 15 + 17 + 2 + 4,
}
MODERN = list(UNLOADED)


def test_every_preset_is_expected_here():
    assert set(EXPECTED) == set(device_names())


@pytest.mark.parametrize("name", device_names())
def test_every_figure_has_a_source(name):
    device = load_device(name)
    for figure in figure_names():
        assert len(device.source_of(figure)) > 10, figure
    supply = ("current_ma", "vdd_v") if device.energy is None else ("energy",)
    for section in ("organisation", "tCK_ps", "timing", *supply, "mapping"):
        assert section in device.sources, section
    assert "commands" in device.sources or device.commands == DramCommands()
    assert "rails" in device.sources or not device.rails


@pytest.mark.parametrize("name", device_names())
def test_peak_capacity_and_refresh(name):
    device = load_device(name)
    peak, gib, rfc_ns, refi_ns = EXPECTED[name]
    # Clocks in whole picoseconds: 0.312 ns for 3.2 GHz.
    assert device.peak_bandwidth_gb_per_s == pytest.approx(peak, rel=3e-3)
    assert device.capacity_bytes == gib << 30
    ns = device.tCK_ps / 1000
    # Whole cycles by the rounding rule of the standards: up, unless within 2.5 % of a cycle.
    assert rfc_ns * 0.9983 - 0.026 * ns <= device.timing.tRFC * ns <= rfc_ns + 1.001 * ns
    assert refi_ns - 1.001 * ns <= device.timing.tREFI * ns <= refi_ns * 1.0001 + ns


@pytest.mark.parametrize("name", DDR3_AND_4)
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
    cycles = UNLOADED.get(name, cycles)
    assert result.read_latency_ns[0] * 1000 / device.tCK_ps == pytest.approx(cycles)


@pytest.mark.parametrize("name", DDR3_AND_4)
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


def saturating(device, lines, write, read_fraction=None):
    """Consecutive lines, all there from the start."""
    rng = np.random.default_rng(0)
    writes = np.full(lines, write) if read_fraction is None else rng.random(lines) >= read_fraction
    address = np.arange(lines) * 64 % device.capacity_bytes
    return Trace(np.zeros(lines, int), writes, address)


def share_of_the_bus(device, trace, controller="dramsys", **policy):
    simulator = DramSimulator(device, trace, controller=controller, threads=1)
    result = simulator.run([policy_row(controller, **policy)])
    return result.bandwidth_gb_per_s[0] / device.peak_bandwidth_gb_per_s


@pytest.mark.parametrize("write", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("name", MODERN)
def test_a_stream_comes_within_a_percent_of_the_bus(name, write):
    device = load_device(name)
    o, t = device.organisation, device.timing
    per_bus = 6 * t.tREFI // (device.burst_cycles * max(1, 64 // device.request_bytes))
    trace = saturating(device, per_bus * o.channels * o.data_buses, write)
    # A buffer of 64: two pseudo-channels share it.
    exact = {"RefreshMaxPostponed": 0, "RefreshMaxPulledin": 0, "RequestBufferSize": 64}
    free = share_of_the_bus(device, trace, RefreshPolicy="NoRefresh", **exact)
    assert 0.99 < free <= 1
    refreshed = share_of_the_bus(device, trace, **exact)
    # Rows close and open around a refresh; it blocks the other pseudo-channel's requests, too.
    lost = {1: 0.02, 2: 0.09}[o.data_buses]
    assert 1 - t.tRFC / t.tREFI - lost < refreshed / free < 1 - t.tRFC / t.tREFI + 0.001


@pytest.mark.parametrize("controller", ["dramsys", "ramulator"])
@pytest.mark.parametrize("name", ["ddr5-4800-16gb-x8", "hbm2-2000-4gb", "lpddr5-6400-8gb-x16"])
def test_more_channels_never_lower_the_bandwidth(name, controller):
    """Of the same lines, spread over 1, 2, 4 ... channels: reads, writes, and both."""
    preset = load_device(name)
    for share in (1.0, 0.0, 0.5):
        rates = []
        for channels in (1, 2, 4):
            low = preset.mapping.split()[-2:]
            rest = [part for part in preset.mapping.split()[:-2] if "channel" not in part]
            bits = f"channel:{channels.bit_length() - 1}"
            device = dataclasses.replace(
                preset,
                organisation=dataclasses.replace(preset.organisation, channels=channels),
                mapping=" ".join([*rest, bits, *low]),
            )
            trace = saturating(device, 12_000, False, share)
            rates.append(share_of_the_bus(device, trace, controller) * channels)
        assert rates == sorted(rates)
        assert rates[2] > 3 * rates[0]


@pytest.mark.parametrize("name", MODERN)
def test_energy_per_bit_is_plausible(name):
    """Of a stream of reads, the interface left out: between 1 and 15 pJ."""
    device = load_device(name)
    trace = saturating(device, 20_000, False)
    result = DramSimulator(device, trace, threads=1).run([policy_row()])
    assert 1 < result.energy_per_bit_pj[0] < 15


@pytest.mark.parametrize("controller", ["dramsys", "modern", "ramulator"])
@pytest.mark.parametrize("name", MODERN)
def test_presets_keep_the_rules_of_their_standard(name, controller):
    """Random traffic of every mix; the checker is a second statement of the rules."""
    device = load_device(name)
    lines = 3000
    for seed, share in enumerate((1.0, 0.5, 0.1)):
        rng = np.random.default_rng(seed)
        hot = rng.integers(0, 1 << 24, lines) // 64 * 64
        address = np.where(rng.random(lines) < 0.5, hot, np.arange(lines) * 64)
        cycle = np.sort(rng.integers(0, 3 * device.timing.tREFI, lines))
        trace = Trace(cycle, rng.random(lines) >= share, address)
        simulator = DramSimulator(device, trace, controller=controller, threads=1)
        policy = {} if controller == "ramulator" else {"PagePolicy": "OpenAdaptive"}
        commands = simulator.command_trace(policy_row(controller, **policy))
        slack = finishing_cycles(device) * device.organisation.ranks
        found = check_commands(device, commands, slack_cycles=slack)
        assert found is None, str(found)


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
