"""The timing checker on refreshes of some banks, power-down and self-refresh, and `modern`."""

import dataclasses
from collections import Counter

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
from archgym.cost_models.dram.timing_checker import (
    Command,
    all_violations,
    check_commands,
    finishing_cycles,
)
from archgym.cost_models.dram.timings import DramCommands


def variant(name, ranks=1, commands=None, paired=1, data_buses=1, **timings):
    """A preset with refreshes of some banks, other ranks, commands and timings."""
    device = load_device(name)
    t, o = device.timing, device.organisation
    some = {"tRFCpb": t.tRFC // 2, "tRFCsb": t.tRFC // 2 + 7, "tRREFD": 12, "tPBR2PBR": 40}
    banks = "bank:3" if o.bank_groups == 1 else "bank:2 bankgroup:2"
    return dataclasses.replace(
        device,
        organisation=dataclasses.replace(
            o, ranks=ranks, banks_per_refresh=paired, data_buses=data_buses
        ),
        commands=commands or DramCommands(),
        timing=dataclasses.replace(t, **some | timings),
        mapping=(
            f"row:{o.rows.bit_length() - 1} {banks} rank:{ranks.bit_length() - 1} column:10 "
            f"offset:3"
        ),
    )


DDR3, DDR4 = "ddr3-1600-1gb-x8", "ddr4-2400-8gb-x8"
DEVICE = variant(DDR4, 2, tRC=58)
T = DEVICE.timing
A, SAME_GROUP, OTHER_GROUP, OTHER_RANK = (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)


def at(cycle, name, place=A, row=0):
    return Command(cycle, name, *place, row)


def sb(cycle, bank=0):
    return Command(cycle, "REFsb", 0, -1, bank)


def pb(cycle, place=A):
    return Command(cycle, "REFpb", *place)


def names(device, commands, **options):
    return [violation.name for violation in all_violations(device, commands, **options)]


def moved(commands, cycles):
    return [*commands[:-1], commands[-1]._replace(cycle=commands[-1].cycle + cycles)]


LATE, BURST = 300, DEVICE.burst_cycles
OPENED = [at(0, "ACT")]
CLOSED = [*OPENED, at(T.tRAS, "PRE")]
SLEPT = [at(9, "SRE"), at(LATE, "SRX")]
WOKEN = [*OPENED, at(100, "PDE"), at(LATE, "PDX")]
ACTS = [at(4 * k, "ACT", (0, k, 0)) for k in range(4)]
# Commands of which the last comes one cycle too early.
SPACING = [
    *[
        (rule, [first, last._replace(cycle=9 + getattr(T, rule) - 1)])
        for rule, first in (("tRFCpb", pb(9)), ("tRFCsb", sb(9)))
        for last in (at(0, "ACT"), at(0, "PRE"), at(0, "PREA"), pb(0), sb(0), at(0, "REF"))
    ],
    ("tRFCpb", [pb(9), at(9 + T.tRFCpb - 1, "SRE")]),
    ("tRFCsb", [sb(9), at(9 + T.tRFCsb - 1, "ACT", OTHER_GROUP)]),
    ("tRREFD", [pb(9), at(9 + T.tRREFD - 1, "ACT", SAME_GROUP)]),
    ("tRREFD", [sb(9), at(9 + T.tRREFD - 1, "ACT", (0, 1, 1))]),
    ("tPBR2PBR", [pb(9), pb(9 + T.tPBR2PBR - 1, OTHER_GROUP)]),
    ("tPBR2PBR", [sb(9), sb(9 + T.tPBR2PBR - 1, 1)]),
    ("tRFC", [at(9, "REF"), pb(9 + T.tRFC - 1)]),
    ("tRFC", [at(9, "REF"), at(9 + T.tRFC - 1, "SRE")]),
    ("tRC", [*CLOSED, pb(T.tRC - 1)]),
    ("tRC", [at(0, "ACT", OTHER_GROUP), at(T.tRAS, "PRE", OTHER_GROUP), sb(T.tRC - 1)]),
    ("tRP", [*OPENED, at(LATE, "PRE"), pb(LATE + T.tRP - 1)]),
    ("tRP", [*OPENED, at(LATE, "PRE"), at(LATE + T.tRP - 1, "SRE")]),
    ("tRRD_L", [*OPENED, pb(T.tRRD_L - 1, SAME_GROUP)]),
    ("tRRD_L", [*OPENED, sb(T.tRRD_L - 1, 1)]),
    ("tRRD_S", [*OPENED, pb(T.tRRD_S - 1, OTHER_GROUP)]),
    ("tFAW", [*ACTS, pb(T.tFAW - 1, (0, 0, 1))]),
    (
        "tFAW",
        [
            pb(0, (0, 3, 3)),
            *[a._replace(cycle=a.cycle + 12) for a in ACTS[:3]],
            at(25, "ACT", SAME_GROUP),
        ],
    ),
    ("tACTPDEN", [*OPENED, at(0, "PDE")]),
    ("tPRPDEN", [*OPENED, at(LATE, "PRE"), at(LATE, "PDE")]),
    ("tPRPDEN", [*OPENED, at(LATE, "PREA"), at(LATE, "PDE")]),
    ("tREFPDEN", [at(9, "REF"), at(9, "PDE")]),
    ("tREFPDEN", [pb(9), at(9, "PDE")]),
    ("tREFPDEN", [sb(9), at(9, "PDE")]),
    ("tRDPDEN", [*OPENED, at(LATE, "RD"), at(LATE + T.tCL + BURST, "PDE")]),
    ("tRDPDEN", [*OPENED, at(LATE, "RDA"), at(LATE + T.tCL + BURST, "PDE")]),
    ("tWRPDEN", [*OPENED, at(LATE, "WR"), at(LATE + T.tCWL + BURST + T.tWR - 1, "PDE")]),
    ("tCKE", [at(9, "PDE"), at(9 + T.tCKE - 1, "PDX")]),
    ("tCKE", [*WOKEN, at(LATE + T.tCKE - 1, "PDE")]),
    *[
        ("tXP", [*WOKEN, last._replace(cycle=LATE + T.tXP - 1)])
        for last in (
            at(0, "RD"),
            at(0, "WRA"),
            at(0, "PRE"),
            at(0, "ACT", OTHER_GROUP),
            pb(0, SAME_GROUP),
        )
    ],
    ("tXP", [at(9, "PDE"), at(LATE, "PDX"), at(LATE + T.tXP - 1, "REF")]),
    ("tXP", [at(9, "PDE"), at(LATE, "PDX"), at(LATE + T.tXP - 1, "SRE")]),
    ("tCKESR", [at(9, "SRE"), at(9 + T.tCKESR - 1, "SRX")]),
    *[
        ("tXS", [*SLEPT, last._replace(cycle=LATE + T.tXS - 1)])
        for last in (at(0, "ACT"), at(0, "PREA"), at(0, "REF"), pb(0), sb(0), at(0, "PDE"))
    ],
    ("tXSDLL", [*SLEPT, at(LATE + T.tXS, "ACT"), at(LATE + T.tXSDLL - 1, "RD")]),
    ("tXSDLL", [*SLEPT, at(LATE + T.tXS, "ACT"), at(LATE + T.tXSDLL - 1, "WR")]),
]


@pytest.mark.parametrize(("rule", "commands"), SPACING)
def test_a_cycle_too_early_is_found_and_on_time_is_not(rule, commands):
    assert names(DEVICE, commands) == [rule]
    assert names(DEVICE, moved(commands, 1)) == []
    other = [*commands[:-1], commands[-1]._replace(rank=1)]
    if commands[-1].name in ("SRE", "PREA", "REF", "REFpb", "REFsb"):
        assert names(DEVICE, other) == []


ROUND = [pb(1000 + 200 * k, (0, k // 4, k % 4)) for k in range(16)]
STATE = [
    ("refresh_with_open_row", [*OPENED, pb(LATE)], [*OPENED, pb(LATE, SAME_GROUP)]),
    (
        "refresh_with_open_row",
        [at(0, "ACT", OTHER_GROUP), sb(LATE)],
        [at(0, "ACT", OTHER_GROUP), sb(LATE, 1)],
    ),
    ("self_refresh_with_open_row", [*OPENED, at(LATE, "SRE")], [*CLOSED, at(LATE, "SRE")]),
    (
        "self_refresh_again",
        [*SLEPT, at(9000, "SRE")],
        [*SLEPT, at(LATE + T.tXS, "REF"), at(9000, "SRE")],
    ),
    (
        "self_refresh_again",
        [*SLEPT, *ROUND[:15], at(9000, "SRE")],
        [*SLEPT, *ROUND, at(9000, "SRE")],
    ),
    ("power_state", [at(9, "PDE"), at(LATE, "ACT")], [at(9, "PDE"), at(LATE, "ACT", OTHER_RANK)]),
    ("power_state", [at(9, "SRE"), at(LATE, "REF")], [at(9, "SRE"), at(LATE, "REF", OTHER_RANK)]),
    ("power_state", [at(9, "PDE"), at(LATE, "SRX")], [at(9, "PDE"), at(LATE, "PDX")]),
    ("power_state", [at(9, "SRE"), at(LATE, "PDX")], [at(9, "SRE"), at(LATE, "SRX")]),
    ("power_state", [at(9, "PDE"), at(LATE, "PDE")], [at(9, "PDE")]),
    ("power_state", [at(LATE, "PDX")], [at(LATE, "PDE")]),
]


@pytest.mark.parametrize(("rule", "bad", "good"), STATE)
def test_rules_of_state(rule, bad, good):
    assert names(DEVICE, bad) == [rule]
    assert names(DEVICE, good) == []


def test_exits_take_no_slot_of_the_bus():
    commands = [at(9, "PDE"), at(9, "ACT", OTHER_RANK), at(60, "PDX"), at(60, "RD", OTHER_RANK)]
    assert names(DEVICE, commands) == []
    assert names(DEVICE, [at(9, "SRE"), at(9, "ACT", OTHER_RANK)]) == ["command_bus"]


def test_pairs_of_banks_are_refreshed_together():
    device = variant(DDR4, paired=2)
    commands = [pb(9), at(9 + T.tRFCpb - 1, "ACT", (0, 2, 0))]
    assert names(device, commands) == ["tRFCpb"]
    assert names(variant(DDR4), commands) == []
    assert names(device, [at(0, "ACT", (0, 2, 0)), pb(LATE)]) == ["refresh_with_open_row"]


@pytest.mark.parametrize("postponed", [0, 3])
def test_every_bank_has_its_deadline(postponed):
    device = variant(DDR4)
    t = device.timing
    deadline = (1 + postponed) * t.tREFI + finishing_cycles(device)
    commands = [*ROUND[:15], ROUND[15]._replace(cycle=deadline)]
    options = {"max_postponed": postponed}
    assert names(device, commands, **options) == []
    assert names(device, moved(commands, 1), **options) == ["refresh_postponed"]
    assert names(device, moved(commands, 1), refresh=False) == []
    # One REF, or one round of REFsb, is as good.
    assert names(device, [at(99, "REF"), at(deadline + 1, "PRE")], **options) == []
    same = [sb(1000 + 300 * k, k) for k in range(4)]
    assert names(device, [*same, at(deadline + 1, "PRE")], **options) == []
    assert names(device, [*same[:3], at(deadline + 1, "PRE")], **options) == ["refresh_postponed"]


def test_a_bank_is_not_refreshed_too_early():
    commands = [*ROUND, pb(T.tREFI - 1)]
    assert names(DEVICE, commands, max_pulled_in=0) == ["refresh_pulled_in"]
    assert names(DEVICE, moved(commands, 1), max_pulled_in=0) == []
    assert names(DEVICE, commands, max_pulled_in=1) == []


def test_sixteen_rounds_in_two_intervals():
    device = variant(DDR4, tRFCpb=150, tPBR2PBR=None)
    banks = [(0, k // 4, k % 4) for k in range(16)]
    commands = [pb(12 * k, banks[k % 16]) for k in range(256)] + [pb(2 * T.tREFI - 1)]
    assert names(device, commands, max_pulled_in=99) == ["refresh_density"]
    assert names(device, moved(commands, 1), max_pulled_in=99) == []


def test_no_refresh_falls_due_in_self_refresh():
    device = variant(DDR4)
    woken = 100 * T.tREFI
    commands = [at(10, "SRE"), at(woken, "SRX")]
    # Entering counts as a refresh, so the second is due two intervals after the exit.
    deadline = woken + 2 * T.tREFI + finishing_cycles(device)
    options = {"max_postponed": 0, "max_pulled_in": 0}
    assert names(device, [*commands, at(deadline, "REF")], **options) == []
    assert names(device, [*commands, at(deadline + 1, "REF")], **options) == ["refresh_postponed"]
    # The interval of the entry and that of the exit both allow one.
    soon = [*commands, at(woken + T.tXS, "REF"), at(woken + T.tXS + T.tRFC, "REF")]
    early = [*soon, at(woken + T.tREFI - 1, "REF")]
    assert names(device, early, **options) == ["refresh_pulled_in"]
    assert names(device, moved(early, 1), **options) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (pb(0), "command 0: name is 'REFpb', but device 'ddr4-2400-8gb-x8' has no timing.tRFCpb"),
        (sb(0), "command 0: name is 'REFsb', but device 'ddr4-2400-8gb-x8' has no timing.tRFCsb"),
    ],
)
def test_refreshes_that_the_device_has_not(command, message):
    with pytest.raises(ValueError) as error:
        check_commands(load_device(DDR4), [command])
    assert str(error.value) == message
    with pytest.raises(ValueError, match="bank is 4, must be between 0 and 3"):
        check_commands(DEVICE, [sb(0, 4)])


LONG = DramCommands(ACT=4, RD=2, WR=3, PRE=2)
MORE = {"tRCDWR": 12, "tCCD_L_WR": 14, "tRPab": 20, "tPPD": 5, "tDQSCK": 2, "tRTW": 14}
DEVICES = [variant(name, ranks) for name in (DDR3, DDR4) for ranks in (1, 2, 4)]
DEVICES += [variant(DDR4, 2, LONG, tRC=75, **MORE), variant(DDR4, paired=2, tREFI=4000)]
DEVICES += [variant(DDR4, 2, DramCommands(ACT=2, buses=2), 1, 2, tRCDWR=9, tPPD=4)]
# Few cycles per refresh: of the banks several are overdue at once.
DEVICES += [variant(DDR4, 1, tREFI=1200, tRFCpb=150, tRFC=300, tRREFD=8, tPBR2PBR=30)]


def modern_policy(rng):
    """A random design that power-down, refresh and row policies make hard."""
    policy = {}
    for field in CONTROLLERS["modern"]:
        value = rng.integers(0, len(field.names)) if field.names else rng.choice([1, 2, 8, 32])
        policy[field.name] = field.names[value] if field.names else int(value)
    policy |= {
        "RefreshMaxPostponed": int(rng.choice([0, 0, 1, 3, 8])),
        "RefreshMaxPulledin": int(rng.choice([0, 0, 1, 3, 8])),
        "WriteLowWatermark": 10,
        "WriteHighWatermark": int(rng.choice([30, 80])),
        "RowTimeout": int(rng.choice([1, 50, 400])),
        "PowerDownIdle": int(rng.choice([1, 2, 10, 100])),
        "SelfRefreshIdle": int(rng.choice([101, 3000, 15_000])),
    }
    if policy["SchedulerBuffer"] != "ReadWrite":
        policy["WriteDrain"] = "Mixed"
    if policy["RefreshPolicy"] == "NoRefresh" and policy["PowerDownPolicy"] == "SelfRefresh":
        policy["PowerDownPolicy"] = "PowerDown"
    return policy


def trace_with_pauses(rng):
    n = int(rng.integers(100, 700))
    shares = rng.dirichlet([4, 2, 1, 0.5, 0.2])
    gaps = rng.choice([1, 5, 60, 900, 20_000], n, p=shares)
    span = 1 << int(rng.integers(8, 20))
    return Trace(np.cumsum(gaps), rng.random(n) < 0.4, rng.integers(0, span, n) * 64)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 1 << 30), device=st.sampled_from(DEVICES))
def test_the_controller_modern_breaks_no_rule(seed, device):
    rng = np.random.default_rng(seed)
    trace = trace_with_pauses(rng)
    simulator = DramSimulator(device, trace, controller="modern", threads=1)
    policy = modern_policy(rng)
    row = policy_row("modern", **policy)
    commands = simulator.command_trace(row)
    found = all_violations(
        device,
        commands,
        refresh=policy["RefreshPolicy"] != "NoRefresh",
        max_postponed=policy["RefreshMaxPostponed"],
        max_pulled_in=policy["RefreshMaxPulledin"],
    )
    assert not found, str(found[0])
    result = simulator.run(row[None])
    kinds = Counter(COMMAND_NAMES[code] for code in commands.command.tolist())
    assert result.n_ref[0] == kinds["REF"]
    assert result.n_ref_pb[0] == kinds["REFpb"]
    assert result.n_ref_sb[0] == kinds["REFsb"]
    assert result.n_rd[0] + result.n_wr[0] == trace.n_requests
    assert result.stall_cycles.min() >= 0
    assert result.stall_cycles.sum() == round(result.total_time_ns[0] * 1000 / device.tCK_ps)
    parts = [getattr(result.energy, each.name) for each in dataclasses.fields(result.energy)]
    assert min(part[0] for part in parts) >= 0
    np.testing.assert_allclose(sum(parts), result.energy_pj)


@pytest.mark.parametrize("name", [DDR3, DDR4])
@pytest.mark.parametrize("refresh", ["AllBank", "PerBank", "SameBank"])
def test_refreshes_are_never_too_dense(name, refresh):
    """Work for ten intervals, then none for three: `dramsys` would refresh 17 times in a row."""
    device = variant(name)
    interval = device.timing.tREFI
    arrival = np.append(np.arange(0, 10 * interval, 20), 13 * interval)
    address = np.random.default_rng(1).integers(0, 1 << 20, arrival.size) * 64
    trace = Trace(arrival, np.zeros(arrival.size, bool), address)
    limits = {"RefreshMaxPostponed": 8, "RefreshMaxPulledin": 8}
    simulator = DramSimulator(device, trace, controller="modern", threads=1)
    policy = policy_row("modern", RefreshPolicy=refresh, **limits)
    commands = simulator.command_trace(policy)
    assert names(device, commands) == []
    issued = sum(COMMAND_NAMES[code].startswith("REF") for code in commands.command.tolist())
    assert issued >= 12 * device.refresh_sets(refresh)


@pytest.fixture(scope="module")
def modern_commands():
    """Command traces of `modern` under bursts and pauses, in each kind of refresh and state."""
    rng = np.random.default_rng(3)
    gaps = rng.choice([1, 40, 700, 30_000], 3000, p=[0.9, 0.07, 0.025, 0.005])
    address = rng.integers(0, 1 << 12, gaps.size) * (1 << 13)
    trace = Trace(np.cumsum(gaps), rng.random(gaps.size) < 0.3, address)
    simulator = DramSimulator(variant(DDR4), trace, controller="modern", threads=1)
    states = {"PowerDownIdle": 1, "SelfRefreshIdle": 3000}
    return [
        simulator.command_trace(
            policy_row("modern", RefreshPolicy=refresh, PowerDownPolicy=state, **states)
        )
        for refresh in ("AllBank", "PerBank", "SameBank")
        for state in ("PowerDown", "SelfRefresh")
    ]


TIGHT = ["tRFCpb", "tRFCsb", "tRREFD", "tPBR2PBR", "tCKE", "tXP", "tXS", "tXSDLL"]


@pytest.mark.parametrize("name", TIGHT)
def test_modern_uses_every_cycle_that_a_rule_leaves(modern_commands, name):
    """Against a device that needs one cycle more, the same commands break that very rule."""
    slower = variant(DDR4, **{name: getattr(variant(DDR4).timing, name) + 1})
    found = [each for commands in modern_commands for each in all_violations(slower, commands)]
    assert {violation.name for violation in found} == {name}
