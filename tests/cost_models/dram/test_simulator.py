"""The simulator against cases computed by hand, and what must hold for every design."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    CONTROLLERS,
    AddressMapping,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)

DDR3 = load_device("ddr3-1600-1gb-x8")
DDR4 = load_device("ddr4-2400-8gb-x8")
T3 = DDR3.timing
T4 = DDR4.timing
BURST = 4
QUIET = policy_row(RefreshPolicy="NoRefresh")
RAMULATOR = policy_row("ramulator")


def trace_of(requests, max_outstanding_reads=None):
    """Trace of (cycle, "R" or "W", address) in device cycles."""
    cycles, kinds, addresses = zip(*requests, strict=True) if requests else ((), (), ())
    return Trace(
        np.array(cycles, np.int64),
        np.array([kind == "W" for kind in kinds], bool),
        np.array(addresses, np.int64),
        max_outstanding_reads=max_outstanding_reads,
    )


def ddr3_address(bank, row, column=0):
    return row << 16 | bank << 13 | column << 3


def commands(device, requests, policy=QUIET, **options):
    trace = DramSimulator(device, trace_of(requests), **options).command_trace(policy)
    names = [COMMAND_NAMES[code] for code in trace.command]
    return list(zip(trace.cycle.tolist(), names, trace.bank.tolist(), strict=True))


def random_trace(seed, n=600, span=1 << 22, write_share=0.4, gap=6.0):
    rng = np.random.default_rng(seed)
    return Trace(
        np.cumsum(rng.geometric(1 / gap, n)) - 1,
        rng.random(n) < write_share,
        rng.integers(0, span // 64, n) * 64,
    )


def random_policies(rng, n):
    rows = np.zeros((n, 10), np.int64)
    for index, field in enumerate(CONTROLLERS["dramsys"]):
        choices = range(len(field.names)) if field.names else (1, 2, 4, 8, 16, 64)
        rows[:, index] = rng.choice(list(choices), n)
    return rows


def test_single_read_takes_activate_read_and_burst():
    result = DramSimulator(DDR3, trace_of([(5, "R", 0)])).run(QUIET[None])
    cycles = T3.tRCD + T3.tCL + BURST
    assert result.read_latency_ns[0] == cycles * 1.25
    assert result.read_latency_p99_ns[0] == cycles * 1.25
    assert result.total_time_ns[0] == (5 + cycles) * 1.25
    assert (result.n_act[0], result.n_pre[0], result.n_rd[0], result.n_wr[0]) == (1, 0, 1, 0)
    assert (result.row_hits[0], result.row_misses[0], result.row_conflicts[0]) == (0, 1, 0)


def test_row_hits_follow_each_other_by_ccd():
    requests = [(0, "R", ddr3_address(0, 1, 8 * k)) for k in range(4)]
    reads = [cycle for cycle, name, _ in commands(DDR3, requests) if name == "RD"]
    assert reads == [T3.tRCD + k * T3.tCCD_S for k in range(4)]


def test_bank_group_spacing():
    same = [(0, "R", 0), (0, "R", 64)]
    other = [(0, "R", 0), (0, "R", 1 << 13)]  # bank group 1
    assert [c for c, name, _ in commands(DDR4, same) if name == "RD"] == [16, 16 + T4.tCCD_L]
    assert commands(DDR4, other)[1] == (T4.tRRD_S, "ACT", 0)


def test_row_conflict_precharges_and_activates():
    requests = [(0, "R", ddr3_address(0, 1)), (60, "R", ddr3_address(0, 2))]
    assert commands(DDR3, requests) == [
        (0, "ACT", 0),
        (10, "RD", 0),
        (60, "PRE", 0),
        (60 + T3.tRP, "ACT", 0),
        (60 + T3.tRP + T3.tRCD, "RD", 0),
    ]


def test_fifth_activate_waits_for_the_four_activate_window():
    requests = [(0, "R", ddr3_address(bank, 0)) for bank in range(5)]
    acts = [cycle for cycle, name, _ in commands(DDR3, requests) if name == "ACT"]
    # tRRD apart, but the older read of bank 0 has the command bus in cycle 10; then tFAW.
    assert acts == [0, T3.tRRD_S, 11, 11 + T3.tRRD_S, T3.tFAW]


def test_write_to_read_turnaround():
    requests = [(0, "W", ddr3_address(0, 0)), (1, "R", ddr3_address(0, 0, 8))]
    issued = {name: cycle for cycle, name, _ in commands(DDR3, requests)}
    assert issued["RD"] - issued["WR"] == T3.tCWL + BURST + T3.tWTR_S


def test_read_to_write_turnaround():
    requests = [(0, "R", ddr3_address(0, 0)), (1, "W", ddr3_address(0, 0, 8))]
    issued = {name: cycle for cycle, name, _ in commands(DDR3, requests)}
    assert issued["WR"] - issued["RD"] == T3.tRTW


def test_closed_page_precharges_by_itself():
    policy = policy_row(RefreshPolicy="NoRefresh", PagePolicy="Closed")
    requests = [(0, "R", ddr3_address(0, 1)), (100, "R", ddr3_address(0, 1))]
    names = [name for _, name, _ in commands(DDR3, requests, policy)]
    assert names == ["ACT", "RDA", "ACT", "RDA"]


def test_refresh_keeps_banks_closed_for_rfc():
    requests = [(0, "R", 0), (T3.tREFI + 1, "R", 0)]
    policy = policy_row(RefreshMaxPostponed=0)
    assert commands(DDR3, requests, policy)[2:] == [
        (T3.tREFI, "PREA", -1),
        (T3.tREFI + T3.tRP, "REF", -1),
        (T3.tREFI + T3.tRP + T3.tRFC, "ACT", 0),
        (T3.tREFI + T3.tRP + T3.tRFC + T3.tRCD, "RD", 0),
    ]


def two_ranks():
    device = dataclasses.replace(DDR3, organisation=dataclasses.replace(DDR3.organisation, ranks=2))
    return device, AddressMapping.parse("rank:1 row:14 bank:3 column:10 offset:3")


@pytest.mark.parametrize(
    ("first", "second", "gap"),
    [
        ("R", "R", BURST + T3.tRTRS),
        ("W", "W", BURST + T3.tRTRS),
        ("R", "W", T3.tCL + BURST + T3.tRTRS - T3.tCWL),
        ("W", "R", T3.tCWL + BURST + T3.tRTRS - T3.tCL),
    ],
)
def test_ranks_hand_the_data_bus_over(first, second, gap):
    device, mapping = two_ranks()
    # Rows of both ranks are opened long before; the last two requests only need the bus.
    requests = [(0, "R", 0), (0, "R", 1 << 30), (200, first, 64), (200, second, (1 << 30) + 64)]
    trace = DramSimulator(device, trace_of(requests), mapping=mapping).command_trace(QUIET)
    assert trace.rank[-2:].tolist() == [0, 1]
    assert trace.cycle[-1] - trace.cycle[-2] == gap


def test_ranks_refresh_apart():
    device, mapping = two_ranks()
    requests = [(0, "R", 0), (20000, "R", 0)]
    trace = DramSimulator(device, trace_of(requests), mapping=mapping).command_trace(policy_row())
    first = {rank: trace.cycle[(trace.rank == rank) & (trace.command == 11)][0] for rank in (0, 1)}
    assert first[0] != first[1]


def test_one_outstanding_read_serialises():
    requests = [(0, "R", 64 * k) for k in range(3)]
    result = DramSimulator(DDR3, trace_of(requests, 1)).run(QUIET[None])
    hit = T3.tCL + BURST
    # The answer is seen at the end of the burst; the next request leaves a cycle later.
    assert result.total_time_ns[0] / 1.25 == T3.tRCD + hit + 2 * (1 + hit)


def test_arbiter_limits_requests_in_flight():
    requests = [(0, "R", 64 * k) for k in range(3)]
    policy = policy_row(RefreshPolicy="NoRefresh", Arbiter="Fifo", MaxActiveTransactions=1)
    result = DramSimulator(DDR3, trace_of(requests)).run(policy[None])
    assert result.total_time_ns[0] / 1.25 == T3.tRCD + 3 * (T3.tCL + BURST)


def test_empty_trace():
    for controller, policy in (("dramsys", QUIET), ("ramulator", RAMULATOR)):
        simulator = DramSimulator(DDR3, trace_of([]), controller=controller)
        result = simulator.run(policy[None])
        assert result.total_time_ns[0] == 0
        assert result.power_mw[0] == 0
        assert result.energy_pj[0] == 0
        assert result.bandwidth_gb_per_s[0] == 0
        assert np.isnan(result.read_latency_ns[0])
        assert np.isnan(result.energy_per_bit_pj[0])
        assert simulator.latencies(policy).size == 0
        assert simulator.command_trace(policy).cycle.size == 0


def test_all_writes_have_no_read_latency():
    requests = [(4 * k, "W", 64 * k) for k in range(200)]
    for controller, policy in (("dramsys", QUIET), ("ramulator", RAMULATOR)):
        result = DramSimulator(DDR4, trace_of(requests), controller=controller).run(policy[None])
        assert result.n_wr[0] == 200
        assert np.isnan(result.read_latency_ns[0])
        assert np.isnan(result.read_latency_p99_ns[0])
        assert result.total_time_ns[0] > 0


def test_trace_clock_rounds_arrivals_up():
    trace = Trace(np.array([1]), np.array([False]), np.array([0]), clock_ps=1300)
    result = DramSimulator(DDR3, trace).run(QUIET[None])
    assert result.total_time_ns[0] / 1.25 == 2 + T3.tRCD + T3.tCL + BURST


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), device=st.sampled_from([DDR3, DDR4]))
def test_every_request_is_served_once(seed, device):
    rng = np.random.default_rng(seed)
    trace = random_trace(seed, span=1 << int(rng.integers(12, 26)), gap=float(rng.uniform(1, 20)))
    simulator = DramSimulator(device, trace, threads=1)
    policies = random_policies(rng, 6)
    result = simulator.run(policies)
    requests = trace.cycle.size
    assert (result.n_wr == trace.is_write.sum()).all()
    assert (result.n_rd == requests - trace.is_write.sum()).all()
    assert (result.row_hits + result.row_misses + result.row_conflicts == requests).all()
    assert (result.n_act >= result.n_pre).all()
    cycles = np.rint(result.total_time_ns * 1000 / device.tCK_ps)
    assert (result.stall_cycles.sum(axis=1) == cycles).all()
    assert (result.stall_cycles >= 0).all()
    for row in range(2):
        latencies = simulator.latencies(policies[row])
        reads = latencies[~trace.is_write]
        least = (device.timing.tCL + BURST) * device.tCK_ps / 1000
        assert reads.min() >= least - 1e-9
        assert reads.mean() == pytest.approx(result.read_latency_ns[row])
        k = int(np.ceil(0.99 * reads.size)) - 1
        assert np.sort(reads)[k] == pytest.approx(result.read_latency_p99_ns[row])
        served = simulator.command_trace(policies[row])
        assert (np.diff(served.cycle) > 0).all()
        places = np.stack([served.bankgroup, served.bank, served.row, served.column])
        is_access = np.isin(served.command, (1, 2, 5, 6))
        decoded = simulator.mapping.decode(trace.address)
        wanted = np.stack([decoded.bankgroup, decoded.bank, decoded.row, decoded.column])
        assert sorted(map(tuple, places[:, is_access].T)) == sorted(map(tuple, wanted.T))


def test_energy_parts_sum_to_the_total():
    result = DramSimulator(DDR4, random_trace(3)).run(random_policies(np.random.default_rng(3), 40))
    parts = [getattr(result.energy, f.name) for f in dataclasses.fields(result.energy)]
    assert all((part >= 0).all() for part in parts)
    np.testing.assert_allclose(sum(parts), result.energy_pj)
    np.testing.assert_allclose(result.energy_pj / result.total_time_ns, result.power_mw)


def test_energy_of_one_read_by_hand():
    result = DramSimulator(DDR3, trace_of([(0, "R", 0)])).run(QUIET[None])
    i = DDR3.current_ma
    charge = DDR3.vdd_v * 1.25 * 8
    assert result.energy.activate[0] == pytest.approx((i.IDD0 - i.IDD3N) * T3.tRAS * charge)
    assert result.energy.read[0] == pytest.approx((i.IDD4R - i.IDD3N) * BURST * charge)
    assert result.energy.active_standby[0] == pytest.approx(i.IDD3N * 24 * charge)
    assert result.energy.refresh[0] == result.energy.write[0] == 0


def test_results_do_not_depend_on_order_or_threads():
    policies = random_policies(np.random.default_rng(1), 50)
    trace = random_trace(1)
    one = DramSimulator(DDR4, trace, threads=1).run(policies)
    two = DramSimulator(DDR4, trace, threads=2).run(policies[::-1])
    for field in ("total_time_ns", "read_latency_ns", "energy_pj", "row_hits", "stall_cycles"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field)[::-1])


def test_two_channels_share_the_load():
    wide = dataclasses.replace(
        DDR4, organisation=dataclasses.replace(DDR4.organisation, channels=2)
    )
    mapping = AddressMapping.parse("row:16 bank:2 bankgroup:2 column:7 channel:1 column:3 offset:3")
    trace = dataclasses.replace(random_trace(7), cycle=np.zeros(600, np.int64))
    narrow = DramSimulator(DDR4, trace).run(QUIET[None])
    result = DramSimulator(wide, trace, mapping=mapping).run(QUIET[None])
    assert result.n_rd[0] + result.n_wr[0] == 600
    assert result.total_time_ns[0] < narrow.total_time_ns[0]
    served = DramSimulator(wide, trace, mapping=mapping).command_trace(QUIET)
    accesses = served.channel[np.isin(served.command, (1, 2))]
    assert np.bincount(accesses).tolist() == [
        int((mapping.decode(trace.address).channel == channel).sum()) for channel in (0, 1)
    ]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_ramulator_controller_serves_every_request(seed):
    trace = random_trace(seed, span=1 << 16)
    result = DramSimulator(DDR4, trace, controller="ramulator").run(RAMULATOR[None])
    assert result.n_wr[0] + result.n_coalesced[0] == trace.is_write.sum()
    assert result.n_rd[0] + result.n_forwarded[0] == (~trace.is_write).sum()
    cycles = round(result.total_time_ns[0] * 1000 / DDR4.tCK_ps)
    assert result.stall_cycles.sum() == cycles


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        (np.zeros((2, 9), np.int64), "must be (n, 10)"),
        (np.zeros((1, 10)), "must be integers"),
        (np.zeros((1, 10), np.int64), "RequestBufferSize of design 0 is 0"),
        ({"PagePolicyy": [1]}, "did you mean 'PagePolicy'"),
        ({"PagePolicy": [1]}, "Scheduler is missing"),
    ],
)
def test_bad_policies_are_refused(policies, message):
    with pytest.raises(ValueError) as error:
        DramSimulator(DDR3, trace_of([(0, "R", 0)])).run(policies)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_arguments_are_refused():
    trace = trace_of([(0, "R", 0), (1, "R", 1 << 30)])
    with pytest.raises(ValueError, match=r"request 1 is beyond the capacity .* 1073741824 bytes"):
        DramSimulator(DDR3, trace)
    good = trace_of([(0, "R", 0)])
    with pytest.raises(ValueError, match="did you mean 'ramulator'"):
        DramSimulator(DDR3, good, controller="ramulater")
    with pytest.raises(ValueError, match="threads is 0"):
        DramSimulator(DDR3, good, threads=0)
    with pytest.raises(ValueError, match="holds 2 designs"):
        DramSimulator(DDR3, good).latencies(np.stack([QUIET, QUIET]))
    with pytest.raises(ValueError, match="did you mean 'FrFcfs'"):
        policy_row(Scheduler="FrFcf")
    with pytest.raises(ValueError, match="must be an integer"):
        policy_row(RequestBufferSize="many")
