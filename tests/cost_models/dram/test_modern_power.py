"""Power-down and self-refresh of the `modern` controller."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    STALL_REASONS,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.timing_checker import Command, check_commands

DDR3 = load_device("ddr3-1600-1gb-x8")
DDR4 = load_device("ddr4-2400-8gb-x8")
T = DDR3.timing
BURST = 4
STATES = ("SRE", "SRX", "PDE", "PDX")
# A read at cycle 0 issues its RD at tRCD; its data ends tCL + BURST later.
RD = T.tRCD


def simulator_of(cycles, device=DDR3, rows=None):
    rows = range(len(cycles)) if rows is None else rows
    addresses = np.array([row << 16 for row in rows], np.int64)
    trace = Trace(np.array(cycles, np.int64), np.zeros(len(cycles), bool), addresses)
    return DramSimulator(device, trace, controller="modern")


def commands(simulator, policy):
    trace = simulator.command_trace(policy)
    return [
        (cycle, COMMAND_NAMES[code])
        for cycle, code in zip(trace.cycle.tolist(), trace.command.tolist(), strict=True)
    ]


def quiet(**values):
    return policy_row("modern", RefreshPolicy="NoRefresh", PowerDownPolicy="PowerDown", **values)


def test_active_power_down_by_hand():
    simulator = simulator_of([0, 400], rows=[0, 0])
    policy = quiet(PowerDownIdle=100)
    assert commands(simulator, policy) == [
        (0, "ACT"),
        (RD, "RD"),
        (RD + 100, "PDE"),
        (400, "PDX"),
        (400 + T.tXP, "RD"),
    ]
    result = simulator.run(policy[None])
    down = 400 - (RD + 100)
    end = 400 + T.tXP + T.tCL + BURST
    assert result.active_power_down_cycles[0] == down
    assert result.precharge_power_down_cycles[0] == result.self_refresh_cycles[0] == 0
    assert result.total_time_ns[0] == end * 1.25
    charge = DDR3.vdd_v * 1.25 * 8
    i = DDR3.current_ma
    assert result.energy.power_down[0] == pytest.approx(down * i.IDD3P1 * charge)
    assert result.energy.active_standby[0] == pytest.approx((end - down) * i.IDD3N * charge)
    assert result.energy.precharge_standby[0] == 0
    assert result.stall_cycles[0, STALL_REASONS.index("wake")] == T.tXP


def test_precharge_power_down_by_hand():
    simulator = simulator_of([0, 400])
    policy = quiet(PowerDownIdle=100, PagePolicy="Closed")
    assert commands(simulator, policy) == [
        (0, "ACT"),
        (RD, "RDA"),
        (RD + 100, "PDE"),
        (400, "PDX"),
        (400 + T.tXP, "ACT"),
        (400 + T.tXP + T.tRCD, "RDA"),
    ]
    result = simulator.run(policy[None])
    down = 400 - (RD + 100)
    assert result.precharge_power_down_cycles[0] == down
    assert result.active_power_down_cycles[0] == 0
    charge = DDR3.vdd_v * 1.25 * 8
    assert result.energy.power_down[0] == pytest.approx(down * DDR3.current_ma.IDD2P1 * charge)


def test_power_down_waits_for_data_and_lasts_for_tcke():
    first = RD + T.tCL + BURST + 1
    arrives = first + 1
    simulator = simulator_of([0, arrives], rows=[0, 0])
    assert commands(simulator, quiet(PowerDownIdle=1))[2:] == [
        (first, "PDE"),
        (first + T.tCKE, "PDX"),
        (first + T.tCKE + T.tXP, "RD"),
    ]


def test_a_request_before_the_threshold_finds_the_rank_awake():
    simulator = simulator_of([0, RD + 100], rows=[0, 0])
    policies = np.stack([quiet(PowerDownIdle=100), policy_row("modern", RefreshPolicy="NoRefresh")])
    result = simulator.run(policies)
    assert result.total_time_ns[0] == result.total_time_ns[1]
    assert result.active_power_down_cycles[0] == 0


def test_the_wait_for_the_last_data_is_no_power_down():
    result = simulator_of([0]).run(quiet(PowerDownIdle=1)[None])
    assert result.active_power_down_cycles[0] == 0
    assert result.total_time_ns[0] == (RD + T.tCL + BURST) * 1.25


def test_a_refresh_wakes_the_rank_and_it_powers_down_again():
    simulator = simulator_of([0, T.tREFI + 1000])
    policy = policy_row("modern", PowerDownPolicy="PowerDown", RefreshMaxPulledin=0)
    due = T.tREFI
    closed = due + T.tXP
    refreshed = closed + T.tRP
    assert commands(simulator, policy)[2:] == [
        (RD + 64, "PDE"),
        (due, "PDX"),
        (closed, "PREA"),
        (refreshed, "REF"),
        (refreshed + T.tRFC + max(0, 64 - T.tRFC), "PDE"),
        (T.tREFI + 1000, "PDX"),
        (T.tREFI + 1000 + T.tXP, "ACT"),
        (T.tREFI + 1000 + T.tXP + T.tRCD, "RD"),
    ]


def asleep(**values):
    return policy_row("modern", PowerDownPolicy="SelfRefresh", RefreshMaxPulledin=0, **values)


def test_self_refresh_by_hand():
    wanted = 5 * T.tREFI
    simulator = simulator_of([0, wanted])
    policy = asleep(PowerDownIdle=100, SelfRefreshIdle=1000)
    entered = T.tREFI + T.tXP + T.tRP
    assert commands(simulator, policy)[2:] == [
        (RD + 100, "PDE"),
        (T.tREFI, "PDX"),
        (T.tREFI + T.tXP, "PREA"),
        (entered, "SRE"),
        (wanted, "SRX"),
        (wanted + T.tXS, "ACT"),
        (wanted + T.tXSDLL, "RD"),
    ]
    result = simulator.run(policy[None])
    assert result.n_ref[0] == 0
    assert result.self_refresh_cycles[0] == wanted - entered
    charge = DDR3.vdd_v * 1.25 * 8
    asleep_pj = (wanted - entered) * DDR3.current_ma.IDD6 * charge
    assert result.energy.self_refresh[0] == pytest.approx(asleep_pj)


def test_refresh_goes_on_after_self_refresh():
    wanted = 5 * T.tREFI
    simulator = simulator_of([0, wanted, wanted + T.tREFI + 2000])
    issued = commands(simulator, asleep(PowerDownIdle=100, SelfRefreshIdle=6000))
    exits = [cycle for cycle, name in issued if name == "SRX"]
    refreshes = [cycle for cycle, name in issued if name == "REF" and cycle > exits[0]]
    assert exits == [wanted]
    # One interval after the exit, after waking up and closing the row.
    assert refreshes == [wanted + T.tREFI + T.tXP + T.tRP]


def test_self_refresh_waits_for_its_own_threshold():
    result = simulator_of([0, 5 * T.tREFI]).run(
        np.stack([asleep(SelfRefreshIdle=limit) for limit in (1000, 2 * T.tREFI, 10 * T.tREFI)])
    )
    assert result.n_ref.tolist() == [0, 2, 4]
    assert result.self_refresh_cycles[0] > result.self_refresh_cycles[1] > 0
    assert result.self_refresh_cycles[2] == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), device=st.sampled_from([DDR3, DDR4]))
def test_states_keep_the_rules(seed, device):
    rng = np.random.default_rng(seed)
    n = 300
    gaps = rng.choice([1, 5, 60, 900, 20_000], n, p=[0.3, 0.3, 0.2, 0.18, 0.02])
    trace = Trace(np.cumsum(gaps), rng.random(n) < 0.4, rng.integers(0, 1 << 14, n) * 64)
    simulator = DramSimulator(device, trace, controller="modern", threads=1)
    policy = policy_row(
        "modern",
        PagePolicy=str(rng.choice(["Open", "OpenAdaptive", "Closed", "ClosedAdaptive", "Timeout"])),
        RowTimeout=int(rng.integers(1, 300)),
        RefreshMaxPostponed=int(rng.integers(0, 9)),
        RefreshMaxPulledin=int(rng.integers(0, 9)),
        PowerDownPolicy=str(rng.choice(["PowerDown", "SelfRefresh"])),
        PowerDownIdle=int(rng.choice([1, 2, 10, 100])),
        SelfRefreshIdle=int(rng.choice([101, 3000, 15_000])),
    )
    result = simulator.run(policy[None])
    cycles = round(result.total_time_ns[0] * 1000 / device.tCK_ps)
    assert result.n_wr[0] == trace.is_write.sum()
    assert result.n_rd[0] == n - trace.is_write.sum()
    assert result.stall_cycles.sum() == cycles
    assert result.energy.precharge_standby[0] >= 0
    assert result.energy.active_standby[0] >= 0
    parts = [getattr(result.energy, name) for name in vars(result.energy)]
    np.testing.assert_allclose(sum(parts), result.energy_pj)
    served = simulator.command_trace(policy)
    names = [COMMAND_NAMES[code] for code in served.command]
    check_states(device.timing, served.cycle.tolist(), names, result, cycles)
    rows = zip(
        served.cycle.tolist(),
        names,
        served.rank,
        served.bankgroup,
        served.bank,
        served.row,
        strict=True,
    )
    plain = [Command(*row) for row in rows if row[1] not in STATES]
    # Only ranks that never refresh themselves have all deadlines to keep.
    violation = check_commands(device, plain, refresh="SRE" not in names)
    assert violation is None, str(violation)


def check_states(t, cycle, names, result, end):
    """Nothing is issued in a state or before its exit time; the cycles in states add up."""
    total = {"PDE": 0, "SRE": 0}
    state, since, awake, awake_access = None, 0, 0, 0
    for now, name in zip(cycle, names, strict=True):
        if name in ("PDE", "SRE"):
            assert state is None
            assert now >= awake
            state, since = name, now
        elif name in ("PDX", "SRX"):
            assert state == ("PDE" if name == "PDX" else "SRE")
            assert now - since >= (t.tCKE if name == "PDX" else t.tCKESR)
            total[state] += min(now, end) - since
            awake = now + (t.tXP if name == "PDX" else t.tXS)
            awake_access = max(awake_access, now + (t.tXP if name == "PDX" else t.tXSDLL))
            state = None
        else:
            assert state is None
            assert now >= awake
            assert name not in ("RD", "RDA", "WR", "WRA") or now >= awake_access
    if state is not None:
        total[state] += max(0, end - since)
    down = result.active_power_down_cycles[0] + result.precharge_power_down_cycles[0]
    assert total["PDE"] == down
    assert total["SRE"] == result.self_refresh_cycles[0]


def test_sleeping_saves_energy_on_an_idle_trace():
    simulator = simulator_of([0, 40 * T.tREFI])
    policies = [policy_row("modern"), policy_row("modern", PowerDownPolicy="PowerDown"), asleep()]
    policies[2] = asleep(SelfRefreshIdle=3 * T.tREFI)
    energy = simulator.run(np.stack(policies)).energy_pj
    assert energy[0] > energy[1] > energy[2]


def test_self_refresh_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="is SelfRefresh, needs a RefreshPolicy"):
        policy_row("modern", PowerDownPolicy="SelfRefresh", RefreshPolicy="NoRefresh")
    with pytest.raises(ValueError, match="SelfRefreshIdle of design 0 is 64, must be above"):
        asleep(SelfRefreshIdle=64)
