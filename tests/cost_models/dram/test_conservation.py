"""What the simulator must keep: requests, order, energy, cycles, and bandwidth."""

import dataclasses
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    CONTROLLERS,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.generators import mixed, stream, uniform_random

DDR3, DDR4 = load_device("ddr3-1600-1gb-x8"), load_device("ddr4-2400-8gb-x8")
READS, WRITES = ("RD", "RDA"), ("WR", "WRA")
SCHEDULERS = CONTROLLERS["dramsys"][1].names


def variant(device, ranks=1, channels=1):
    """The device with other ranks and channels; lines go round channels, then bank groups."""
    o = device.organisation
    bits = {
        "row": o.rows.bit_length() - 1,
        "bank": o.banks_per_group.bit_length() - 1,
        "rank": ranks.bit_length() - 1,
        "column": 7,
        "bankgroup": o.bank_groups.bit_length() - 1,
        "channel": channels.bit_length() - 1,
    }
    text = " ".join(f"{name}:{width}" for name, width in bits.items())
    return dataclasses.replace(
        device,
        organisation=dataclasses.replace(o, ranks=ranks, channels=channels),
        mapping=f"{text} column:3 offset:3",
    )


DEVICES = [variant(d, r, c) for d in (DDR3, DDR4) for r, c in ((1, 1), (2, 1), (1, 2), (4, 2))]


def random_policies(rng, n):
    rows = np.zeros((n, len(CONTROLLERS["dramsys"])), np.int64)
    for index, field in enumerate(CONTROLLERS["dramsys"]):
        choices = range(len(field.names)) if field.names else (1, 2, 4, 8, 16, 64)
        rows[:, index] = rng.choice(list(choices), n)
    return rows


def random_trace(rng, seed, lines=None):
    """Requests at a random rate; few lines make many accesses of one address."""
    lines = int(rng.choice([128, 1024, 1 << 20])) if lines is None else lines
    return mixed(
        int(rng.integers(1, 600)),
        intensity_per_us=float(rng.choice([5, 30, 120, np.inf])),
        read_fraction=float(rng.choice([0, 0.3, 0.6, 1])),
        locality=float(rng.choice([0, 0.5, 0.9])),
        footprint_bytes=64 * lines,
        seed=seed,
    )


def accesses(commands):
    """(direction, place) of every RD and WR, in the order of issue per channel."""
    names = [COMMAND_NAMES[code] for code in commands.command.tolist()]
    fields = (
        commands.channel,
        commands.rank,
        commands.bankgroup,
        commands.bank,
        commands.row,
        commands.column,
    )
    places = zip(*(field.tolist() for field in fields), strict=True)
    return [
        (name in WRITES, place)
        for name, place in zip(names, places, strict=True)
        if name in READS + WRITES
    ]


def wanted(simulator):
    """The same for the requests of the trace."""
    place = simulator.mapping.decode(simulator.trace.address)
    fields = (place.channel, place.rank, place.bankgroup, place.bank, place.row, place.column)
    places = zip(*(field.tolist() for field in fields), strict=True)
    return list(zip(simulator.trace.is_write.tolist(), places, strict=True))


def by_place(requests):
    order = defaultdict(list)
    for is_write, place in requests:
        order[place].append(is_write)
    return order


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), device=st.sampled_from(DEVICES))
def test_every_request_is_served_once_and_in_order_per_address(seed, device):
    rng = np.random.default_rng(seed)
    simulator = DramSimulator(device, random_trace(rng, seed), threads=1)
    for policy in random_policies(rng, 2):
        served = accesses(simulator.command_trace(policy))
        assert Counter(served) == Counter(wanted(simulator))
        assert by_place(served) == by_place(wanted(simulator))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("device", DEVICES[:3], ids=["ddr3", "ddr3 x2 ranks", "ddr3 x2 channels"])
def test_reads_follow_the_writes_before_them(device, scheduler):
    """Eight lines of one row, all hits, reads and writes at random: where reordering is easiest."""
    rng = np.random.default_rng(5)
    count = 4000
    address = rng.integers(0, 8, count) * 64
    trace = Trace(np.zeros(count, np.int64), rng.random(count) < 0.5, address)
    simulator = DramSimulator(device, trace, threads=1)
    policy = policy_row(Scheduler=scheduler, RequestBufferSize=64)
    served = accesses(simulator.command_trace(policy))
    assert by_place(served) == by_place(wanted(simulator))
    reordered = served != wanted(simulator)
    assert reordered == (scheduler == "FrFcfsGrp" or device.organisation.channels > 1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), device=st.sampled_from(DEVICES))
def test_energy_and_cycles_add_up(seed, device):
    rng = np.random.default_rng(seed)
    trace = random_trace(rng, seed)
    policies = random_policies(rng, 8)
    result = DramSimulator(device, trace, threads=1).run(policies)
    parts = [getattr(result.energy, field.name) for field in dataclasses.fields(result.energy)]
    assert all((part >= 0).all() for part in parts)
    np.testing.assert_allclose(sum(parts), result.energy_pj)
    np.testing.assert_allclose(result.energy_pj, result.power_mw * result.total_time_ns)
    bits = 8 * trace.n_requests * device.request_bytes
    np.testing.assert_allclose(result.energy_pj, result.energy_per_bit_pj * bits)
    cycles = np.rint(result.total_time_ns * 1000 / device.tCK_ps).astype(np.int64)
    assert (result.stall_cycles >= 0).all()
    # Each channel counts to its own last response, and the last of those is the total time.
    accounted, channels = result.stall_cycles.sum(axis=1), device.organisation.channels
    assert ((cycles <= accounted) & (accounted <= cycles * channels)).all()
    requests = np.full(len(policies), trace.n_requests)
    first = result.row_hits + result.row_misses + result.row_conflicts
    np.testing.assert_array_equal(first, requests)
    np.testing.assert_array_equal(result.n_rd + result.n_wr, requests)
    banks = device.banks_per_channel * device.organisation.channels
    assert ((result.n_act - result.n_pre >= 0) & (result.n_act - result.n_pre <= banks)).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 30), device=st.sampled_from(DEVICES))
def test_counts_are_those_of_the_commands(seed, device):
    rng = np.random.default_rng(seed)
    simulator = DramSimulator(device, random_trace(rng, seed), threads=1)
    policy = random_policies(rng, 1)
    result, commands = simulator.run(policy), simulator.command_trace(policy[0])
    names = Counter(COMMAND_NAMES[code] for code in commands.command.tolist())
    assert result.n_act[0] == names["ACT"]
    assert result.n_rd[0] == names["RD"] + names["RDA"]
    assert result.n_wr[0] == names["WR"] + names["WRA"]
    assert result.n_ref[0] == names["REF"]
    closed = names["PRE"] + names["RDA"] + names["WRA"]
    assert result.n_pre[0] == closed + result.n_pre_by_prea[0]
    assert result.stall_cycles[0, 0] == commands.cycle.size


@pytest.mark.parametrize("device", [DDR3, DDR4], ids=["DDR3", "DDR4"])
@pytest.mark.parametrize("generate", [stream, uniform_random])
def test_more_channels_never_lower_the_peak_bandwidth(device, generate):
    trace = generate(4000, intensity_per_us=np.inf, footprint_bytes=1 << 28)
    policies = np.vstack([policy_row(), random_policies(np.random.default_rng(4), 20)])
    bandwidths = np.array(
        [
            DramSimulator(variant(device, channels=n), trace, threads=1)
            .run(policies)
            .bandwidth_gb_per_s
            for n in (1, 2, 4)
        ]
    )
    assert (np.diff(bandwidths, axis=0) >= 0).all()
    assert bandwidths[2, 0] > 2.5 * bandwidths[0, 0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("page", CONTROLLERS["dramsys"][0].names)
def test_unloaded_read_takes_activate_access_and_burst(device, page):
    """Reads far apart, each of a bank that nothing else uses."""
    o, t = device.organisation, device.timing
    region = device.channel_bytes * o.columns * o.channels * o.bank_groups
    count = o.ranks * o.banks_per_group
    trace = Trace(np.arange(count) * 1000, np.zeros(count, bool), np.arange(count) * region)
    simulator = DramSimulator(device, trace)
    place = simulator.mapping.decode(trace.address)
    assert len(set(zip(place.rank.tolist(), place.bank.tolist(), strict=True))) == count
    latency = simulator.latencies(policy_row(PagePolicy=page, RefreshPolicy="NoRefresh"))
    cycles = t.tRCD + t.tCL + device.burst_cycles
    np.testing.assert_allclose(latency, cycles * device.tCK_ps / 1000)


@pytest.mark.parametrize("device", [variant(DDR3), variant(DDR4)], ids=["DDR3", "DDR4"])
@pytest.mark.parametrize("read_fraction", [0.0, 1.0])
def test_saturated_row_hits_fill_the_bus_but_for_refresh(device, read_fraction):
    trace = stream(
        40_000, intensity_per_us=np.inf, read_fraction=read_fraction, footprint_bytes=1 << 28
    )
    t = device.timing
    reachable = device.peak_bandwidth_gb_per_s * (1 - t.tRFC / t.tREFI)
    result = DramSimulator(device, trace).run(policy_row()[None])
    assert 0.95 * reachable <= result.bandwidth_gb_per_s[0] <= device.peak_bandwidth_gb_per_s


def test_a_low_watermark_that_writes_never_reach_is_refused():
    with pytest.raises(ValueError, match="WriteLowWatermark of design 0 is 0, must be between 1"):
        policy_row("ramulator", WriteLowWatermark=0)
