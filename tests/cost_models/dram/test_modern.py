"""The `modern` controller: each feature against cases computed by hand, and what always holds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    CONTROLLERS,
    CommandTrace,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.timing_checker import check_commands

DDR3 = load_device("ddr3-1600-1gb-x8")
DDR4 = load_device("ddr4-2400-8gb-x8")
T3 = DDR3.timing
BURST = 4


def modern(**values):
    return policy_row("modern", **{"RefreshPolicy": "NoRefresh"} | values)


def trace_of(requests):
    cycles, kinds, addresses = zip(*requests, strict=True)
    writes = np.array([kind == "W" for kind in kinds], bool)
    return Trace(np.array(cycles, np.int64), writes, np.array(addresses, np.int64))


def ddr3_address(bank, row, column=0):
    return row << 16 | bank << 13 | column << 3


def commands(requests, policy):
    """Commands of a run on DDR3: (cycle, name, row, column)."""
    trace = DramSimulator(DDR3, trace_of(requests), controller="modern").command_trace(policy)
    names = [COMMAND_NAMES[code] for code in trace.command]
    columns = (trace.cycle.tolist(), names, trace.row.tolist(), trace.column.tolist())
    return list(zip(*columns, strict=True))


def accesses(requests, policy):
    return [
        (name, row, column)
        for _, name, row, column in commands(requests, policy)
        if name in ("RD", "WR", "RDA", "WRA")
    ]


def random_trace(seed, n=600, span=1 << 14, write_share=0.4, gap=6.0):
    rng = np.random.default_rng(seed)
    return Trace(
        np.cumsum(rng.geometric(1 / gap, n)) - 1,
        rng.random(n) < write_share,
        rng.integers(0, span // 64, n) * 64,
        source=rng.integers(0, 3, n),
    )


def random_policies(rng, n):
    fields = CONTROLLERS["modern"]
    rows = np.zeros((n, len(fields)), np.int64)
    for index, field in enumerate(fields):
        choices = range(len(field.names)) if field.names else (1, 2, 4, 8, 16, 64)
        rows[:, index] = rng.choice(list(choices), n)
    column = {field.name: index for index, field in enumerate(fields)}
    for name in ("RefreshMaxPostponed", "RefreshMaxPulledin"):
        rows[:, column[name]] = rng.choice([0, 1, 2, 4, 8], n)
    rows[:, column["RefreshPolicy"]] %= 2
    rows[:, column["WriteLowWatermark"]] = rng.integers(0, 50, n)
    rows[:, column["WriteHighWatermark"]] = rng.integers(50, 101, n)
    split = rows[:, column["SchedulerBuffer"]] == 1
    rows[:, column["WriteDrain"]] &= split
    rows[:, column["SelfRefreshIdle"]] = rows[:, column["PowerDownIdle"]] + 500
    most = 1 + rows[:, column["RefreshPolicy"]]
    rows[:, column["PowerDownPolicy"]] = np.minimum(rows[:, column["PowerDownPolicy"]], most)
    return rows


def test_defaults_are_the_dramsys_controller():
    trace = random_trace(0, span=1 << 22)
    rng = np.random.default_rng(0)
    few = random_policies(rng, 60)[:, :10]
    few[:, 0] %= 4
    few[:, 1] %= 3
    further = policy_row("modern")[10:]
    many = np.hstack([few, np.broadcast_to(further, (60, further.size))])
    old = DramSimulator(DDR4, trace).run(few)
    new = DramSimulator(DDR4, trace, controller="modern").run(many)
    for field in ("total_time_ns", "read_latency_ns", "energy_pj", "row_hits", "stall_cycles"):
        np.testing.assert_array_equal(getattr(old, field), getattr(new, field))


# One request of row 2 arrives behind one of row 1 and before seven more of row 1.
HITS_AND_A_CONFLICT = [
    (0, "R", ddr3_address(0, 1)),
    (0, "R", ddr3_address(0, 2)),
    *((0, "R", ddr3_address(0, 1, 8 * k)) for k in range(1, 8)),
]


@pytest.mark.parametrize(("cap", "before"), [(0, 8), (1, 2), (3, 4), (7, 8), (100, 8)])
def test_row_hit_cap_limits_what_overtakes(cap, before):
    rows = [row for _, row, _ in accesses(HITS_AND_A_CONFLICT, modern(RowHitCap=cap))]
    # The first access is itself the oldest; `cap` more overtake the request of row 2.
    assert rows == [1] * before + [2] + [1] * (8 - before)


def test_row_hit_cap_counts_anew_for_the_next_oldest():
    rows = [1, 2, 3, 1, 1, 2, 2]
    requests = [(0, "R", ddr3_address(0, row, 8 * k)) for k, row in enumerate(rows)]
    served = [row for _, row, _ in accesses(requests, modern(RowHitCap=1))]
    assert served == [1, 1, 2, 2, 3, 1, 2]


def drain(size, low, high, **values):
    return modern(
        SchedulerBuffer="ReadWrite",
        RequestBufferSize=size,
        WriteDrain="Watermark",
        WriteLowWatermark=low,
        WriteHighWatermark=high,
        **values,
    )


def test_reads_go_before_older_writes():
    requests = [(0, "R", 0), (0, "W", 64), (0, "W", 128), (0, "R", 192), (0, "R", 256)]
    mixed = modern(SchedulerBuffer="ReadWrite")
    assert "".join(name[0] for name, _, _ in accesses(requests, mixed)) == "RWWRR"
    drained = drain(8, 25, 75)
    assert "".join(name[0] for name, _, _ in accesses(requests, drained)) == "RRRWW"


def test_writes_drain_from_the_high_to_the_low_mark():
    reads = [(0, "R", 64 * k) for k in range(8)]
    writes = [(0, "W", 1024 + 64 * k) for k in range(4)]
    order = "".join(name[0] for name, _, _ in accesses(reads + writes, drain(8, 25, 50)))
    # Eight reads fill their buffer until the first goes in cycle tRCD = 10. The writes then come in
    # before the next read may go, and 4 = 50 % of 8 drain to 2 = 25 %.
    assert order == "R" + "WW" + "RRRRRRR" + "WW"


def test_a_read_returns_what_was_written_before_it():
    requests = [(0, "R", 64), (0, "W", 128), (0, "R", 128), (0, "R", 192)]
    served = accesses(requests, drain(8, 25, 75))
    assert [name for name, _, _ in served] == ["RD", "WR", "RD", "RD"]
    assert [column for _, _, column in served] == [8, 16, 16, 24]


def test_a_write_waits_for_older_reads_of_its_address():
    # Seven writes of another bank reach the high mark; then the write of bank 0 may not pass.
    requests = [(0, "R", ddr3_address(0, 1)), (0, "W", ddr3_address(0, 1))]
    requests += [(0, "W", ddr3_address(1, 1, 8 * k)) for k in range(7)]
    served = accesses(requests, drain(8, 10, 12))
    assert served.index(("RD", 1, 0)) < served.index(("WR", 1, 0))


def test_an_unused_row_times_out():
    requests = [(0, "R", ddr3_address(0, 1)), (500, "R", ddr3_address(0, 2))]
    policy = modern(PagePolicy="Timeout", RowTimeout=100)
    assert [each[:2] for each in commands(requests, policy)] == [
        (0, "ACT"),
        (T3.tRCD, "RD"),
        (T3.tRCD + 100, "PRE"),
        (500, "ACT"),
        (500 + T3.tRCD, "RD"),
    ]


def test_a_short_timeout_waits_until_the_row_may_close():
    requests = [(0, "R", ddr3_address(0, 1)), (500, "R", ddr3_address(0, 2))]
    policy = modern(PagePolicy="Timeout", RowTimeout=1)
    assert commands(requests, policy)[2][:2] == (T3.tRAS, "PRE")


def test_a_row_in_use_does_not_time_out():
    requests = [(90 * k, "R", ddr3_address(0, 1, 8 * k)) for k in range(5)]
    policy = modern(PagePolicy="Timeout", RowTimeout=100)
    assert [name for _, name, _, _ in commands(requests, policy)] == ["ACT", *["RD"] * 5]
    result = DramSimulator(DDR3, trace_of(requests), controller="modern").run(policy[None])
    assert (result.row_hits[0], result.row_misses[0], result.row_conflicts[0]) == (4, 1, 0)


def test_a_long_timeout_is_an_open_page():
    trace = random_trace(5, span=1 << 20)
    simulator = DramSimulator(DDR4, trace, controller="modern")
    policies = [policy_row("modern", PagePolicy="Timeout", RowTimeout=1 << 20)]
    policies.append(policy_row("modern", PagePolicy="Open"))
    result = simulator.run(np.stack(policies))
    assert result.n_act[0] == result.n_act[1]
    assert result.energy_pj[0] == result.energy_pj[1]
    assert result.total_time_ns[0] == result.total_time_ns[1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), device=st.sampled_from([DDR3, DDR4]))
def test_every_request_is_served_once_in_time_and_in_order(seed, device):
    rng = np.random.default_rng(seed)
    span = 1 << int(rng.integers(10, 24))
    trace = random_trace(seed, span=span, gap=float(rng.uniform(1, 60)))
    simulator = DramSimulator(device, trace, controller="modern", threads=1)
    policies = random_policies(rng, 6)
    result = simulator.run(policies)
    requests = trace.cycle.size
    assert (result.n_wr == trace.is_write.sum()).all()
    assert (result.n_rd == requests - trace.is_write.sum()).all()
    assert (result.row_hits + result.row_misses + result.row_conflicts == requests).all()
    cycles = np.rint(result.total_time_ns * 1000 / device.tCK_ps)
    assert (result.stall_cycles.sum(axis=1) == cycles).all()
    assert (result.stall_cycles >= 0).all()
    refresh = [field.name for field in CONTROLLERS["modern"]].index("RefreshPolicy")
    for policy in policies:
        served = simulator.command_trace(policy)
        limits = {"max_postponed": 64, "max_pulled_in": 64}
        # The checker knows no power-down, and a rank that refreshes itself keeps no deadlines.
        names = [COMMAND_NAMES[code] for code in served.command]
        awake = np.array([name not in ("SRE", "SRX", "PDE", "PDX") for name in names])
        parts = {f.name: getattr(served, f.name)[awake] for f in dataclasses.fields(served)}
        refreshed = policy[refresh] > 0 and "SRE" not in names
        violation = check_commands(device, CommandTrace(**parts), refresh=refreshed, **limits)
        assert violation is None or violation.name == "refresh_density", str(violation)
        assert directions_by_address(simulator, served) == wanted_by_address(simulator)


def directions_by_address(simulator, served):
    """For each place the reads and writes in the order of service."""
    order = {}
    is_access = np.isin(served.command, (1, 2, 5, 6))
    parts = (served.bankgroup, served.bank, served.row, served.column, served.command)
    for *place, command in zip(*(part[is_access].tolist() for part in parts), strict=True):
        order.setdefault(tuple(place), []).append(command in (2, 6))
    return order


def wanted_by_address(simulator):
    """For each place the reads and writes in the order of the trace."""
    order = {}
    place = simulator.mapping.decode(simulator.trace.address)
    parts = (place.bankgroup, place.bank, place.row, place.column, simulator.trace.is_write)
    for *where, write in zip(*(part.tolist() for part in parts), strict=True):
        order.setdefault(tuple(where), []).append(write)
    return order


def test_results_do_not_depend_on_order_or_threads():
    policies = random_policies(np.random.default_rng(1), 50)
    trace = random_trace(1, gap=20.0)
    one = DramSimulator(DDR4, trace, controller="modern", threads=1).run(policies)
    two = DramSimulator(DDR4, trace, controller="modern", threads=2).run(policies[::-1])
    for field in ("total_time_ns", "read_latency_ns", "energy_pj", "row_hits", "stall_cycles"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field)[::-1])


def test_write_drain_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="WriteDrain of design 0 is Watermark, needs"):
        policy_row("modern", WriteDrain="Watermark")
    with pytest.raises(ValueError, match="WriteLowWatermark of design 0 is 80, must be below"):
        drain(8, 80, 80)
