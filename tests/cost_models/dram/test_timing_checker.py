"""The timing checker: every rule by hand, then the simulator's own command traces."""

import ast
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    CONTROLLERS,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
    refresh_rules,
    timing_checker,
    timing_rules,
)
from archgym.cost_models.dram.generators import mixed
from archgym.cost_models.dram.timing_checker import (
    RULE_NAMES,
    Command,
    all_violations,
    check_commands,
    finishing_cycles,
)
from archgym.cost_models.dram.timings import DramCommands


def variant(name, ranks=1, channels=1, commands=None, data_buses=1, **timings):
    """A preset with other ranks, channels, commands and timings; lines go round the channels."""
    device = load_device(name)
    banks = "bank:3" if device.organisation.bank_groups == 1 else "bank:2 bankgroup:2"
    return dataclasses.replace(
        device,
        organisation=dataclasses.replace(
            device.organisation, ranks=ranks, channels=channels, data_buses=data_buses
        ),
        commands=commands or DramCommands(),
        timing=dataclasses.replace(device.timing, **timings),
        mapping=(
            f"row:{device.organisation.rows.bit_length() - 1} {banks} rank:{ranks.bit_length() - 1}"
            f" column:7 channel:{channels.bit_length() - 1} column:3 offset:3"
        ),
    )


DDR3, DDR4 = "ddr3-1600-1gb-x8", "ddr4-2400-8gb-x8"
# Timings at which no rule follows from others, so that each can be broken alone.
ALONE = {
    DDR3: variant(DDR3, 2, 2, tRC=41, tCCD_S=5, tCCD_L=5),
    DDR4: variant(DDR4, 2, 2, tRC=58, tCCD_S=5, tCCD_L=6),
}
# What LPDDR4 and DDR5 have beside: long commands, and timings that DDR4 does not tell apart.
MORE = {"tRCDWR": 12, "tCCD_L_WR": 14, "tRPab": 20, "tPPD": 5, "tDQSCK": 2, "tRTW": 14}
LONG = DramCommands(ACT=4, RD=2, WR=3, PRE=2)
LONGER = variant(DDR4, 2, 2, LONG, tRC=75, tCCD_S=5, tCCD_L=6, **MORE)
# What HBM has: two command buses, and a data bus per pseudo-channel.
TWO_BUSES = DramCommands(ACT=2, buses=2)
PSEUDO = variant(DDR4, 2, 1, TWO_BUSES, data_buses=2)
A, SAME_GROUP, OTHER_GROUP, OTHER_RANK = (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)


def at(cycle, name, place=A, row=0):
    return Command(cycle, name, *place, row)


def spacing_cases(device):
    """Commands of which the last comes one cycle too early: (rule, commands)."""
    t, burst = device.timing, device.burst_cycles
    late = 2 * t.tRC
    write = t.tCWL + burst
    data = {"RD": t.tCL, "WR": t.tCWL}
    opened = [at(0, "ACT")]
    both = [*opened, at(late // 2, "ACT", SAME_GROUP)]
    yield "tRCD", [*opened, at(t.tRCD - 1, "RD")]
    yield "tRCD", [*opened, at(t.tRCD - 1, "WRA")]
    yield "tRAS", [*opened, at(t.tRAS - 1, "PRE")]
    yield "tRAS", [*opened, at(t.tRAS - 1, "PREA")]
    yield "tRC", [*opened, at(t.tRAS, "PRE"), at(t.tRC - 1, "ACT")]
    yield "tRC", [*opened, at(t.tRAS, "PRE"), at(t.tRC - 1, "REF")]
    yield "tRRD_L", [*opened, at(t.tRRD_L - 1, "ACT", SAME_GROUP)]
    yield "tRP", [*opened, at(late, "PRE"), at(late + t.tRP - 1, "ACT")]
    yield "tRP", [*opened, at(late, "PREA"), at(late + t.tRP - 1, "ACT")]
    yield "tRP", [*opened, at(late, "PREA"), at(late + t.tRP - 1, "REF")]
    yield "tRP", [*opened, at(late, "RDA"), at(late + t.tRTP + t.tRP - 1, "ACT")]
    yield "tRP", [*opened, at(late, "WRA"), at(late + write + t.tWR + t.tRP - 1, "REF")]
    for kind in ("RD", "WR"):
        yield "tCCD_L", [*both, at(late, kind), at(late + t.tCCD_L - 1, kind, SAME_GROUP)]
    yield "tRTW", [*both, at(late, "RD"), at(late + t.tRTW - 1, "WR", SAME_GROUP)]
    yield "tWTR_L", [*both, at(late, "WR"), at(late + write + t.tWTR_L - 1, "RD", SAME_GROUP)]
    yield "tRTP", [*opened, at(late, "RD"), at(late + t.tRTP - 1, "PRE")]
    yield "tRTP", [*opened, at(late, "RDA"), at(late + t.tRTP - 1, "PREA")]
    yield "tWR", [*opened, at(late, "WR"), at(late + write + t.tWR - 1, "PRE")]
    for last in ("ACT", "REF", "PRE", "PREA"):
        yield "tRFC", [at(9, "REF"), at(9 + t.tRFC - 1, last)]
    ranks = [*opened, at(1, "ACT", OTHER_RANK)]
    for first in data:
        for then in data:
            gap = data[first] + burst + t.tRTRS - data[then]
            yield "tRTRS", [*ranks, at(late, first), at(late + gap - 1, then, OTHER_RANK)]
    yield "command_bus", [*opened, at(0, "ACT", OTHER_RANK)]
    groups = device.organisation.bank_groups
    banks = [(0, k % groups, k // groups) for k in range(5)]
    acts = [at(k * t.tRRD_L, "ACT", bank) for k, bank in enumerate(banks[:4])]
    wide = t.tFAW - 1
    if acts[-1].cycle + t.tRRD_L <= wide:
        yield "tFAW", [*acts, at(wide, "ACT", banks[4])]
    if groups > 1:
        both = [*opened, at(late // 2, "ACT", OTHER_GROUP)]
        yield "tRRD_S", [*opened, at(t.tRRD_S - 1, "ACT", OTHER_GROUP)]
        for kind in ("RD", "WR"):
            yield "tCCD_S", [*both, at(late, kind), at(late + t.tCCD_S - 1, kind, OTHER_GROUP)]
        yield "tRTW", [*both, at(late, "RD"), at(late + t.tRTW - 1, "WR", OTHER_GROUP)]
        yield "tWTR_S", [*both, at(late, "WR"), at(late + write + t.tWTR_S - 1, "RD", OTHER_GROUP)]


SPACING = [(device, *case) for device in ALONE.values() for case in spacing_cases(device)]
# Four ACTs at tRRD leave no room for tFAW to bind alone on these presets: relax tRRD.
for _name in ALONE:
    _device = variant(_name, 2, tFAW=40, tRRD_S=4, tRRD_L=4)
    _acts = [at(4 * k, "ACT", (0, 0, k)) for k in range(4)]
    _fifth = (0, 0, 4) if _device.organisation.bank_groups == 1 else OTHER_GROUP
    SPACING.append((_device, "tFAW", [*_acts, at(39, "ACT", _fifth)]))


def longer_cases(t, burst):
    """The like for a device with long commands: spacings count from last cycle to last cycle."""
    late, write = 200, t.tCWL + burst
    opened = [at(0, "ACT")]
    both = [*opened, at(100, "ACT", SAME_GROUP)]
    yield "tRCD", [*opened, at(t.tRCD + 4 - 2 - 1, "RD")]
    yield "tRCDWR", [*opened, at(12 + 4 - 3 - 1, "WR")]
    yield "tRAS", [*opened, at(t.tRAS + 4 - 2 - 1, "PRE")]
    yield "tCCD_L", [*both, at(late, "RD"), at(late + t.tCCD_L - 1, "RD", SAME_GROUP)]
    yield "tCCD_L_WR", [*both, at(late, "WR"), at(late + 14 - 1, "WR", SAME_GROUP)]
    yield "tRP", [*opened, at(late, "PRE"), at(late + t.tRP + 2 - 4 - 1, "ACT")]
    yield "tRPab", [*opened, at(late, "PREA"), at(late + 20 + 2 - 4 - 1, "ACT")]
    yield "tRPab", [*opened, at(late, "PREA"), at(late + 20 - 1, "REF")]
    for then in ("PRE", "PREA"):
        yield "tPPD", [*both, at(late, "PRE"), at(late + 5 - 1, then, SAME_GROUP)]
    yield "tRTP", [*opened, at(late, "RD"), at(late + t.tRTP + 2 - 2 - 1, "PRE")]
    yield "tRP", [*opened, at(late, "RDA"), at(late + t.tRTP + t.tRP + 2 - 4 - 1, "ACT")]
    yield "tWR", [*opened, at(late, "WR"), at(late + write + t.tWR + 3 - 2 - 1, "PRE")]
    yield "tRTW", [*both, at(late, "RD"), at(late + t.tRTW + 2 - 3 - 1, "WR", SAME_GROUP)]
    yield "tWTR_L", [*both, at(late, "WR"), at(late + write + t.tWTR_L + 3 - 2 - 1, "RD")]
    yield "tRFC", [at(9, "REF"), at(9 + t.tRFC + 2 - 4 - 1, "ACT")]
    ranks = [*opened, at(4, "ACT", OTHER_RANK)]
    yield (
        "tRTRS",
        [*ranks, at(late, "RD"), at(late + 2 + 16 + 2 + 4 + 2 - 3 - 12 - 1, "WR", OTHER_RANK)],
    )
    yield "tRTRS", [*ranks, at(late, "WR"), at(late + burst + t.tRTRS - 1, "WR", OTHER_RANK)]
    yield "command_bus", [*opened, at(3, "ACT", OTHER_RANK)]
    yield "command_bus", [*opened, at(late, "WR"), at(late + 2, "ACT", OTHER_RANK)]
    yield "command_bus", [*opened, at(late, "PREA"), at(late + 1, "ACT", OTHER_RANK)]


for _case in longer_cases(LONGER.timing, LONGER.burst_cycles):
    SPACING.append((LONGER, *_case))
SPACING.append((PSEUDO, "command_bus", [at(0, "ACT"), at(1, "ACT", OTHER_RANK)]))
_ranks = [at(0, "ACT"), at(2, "ACT", OTHER_RANK)]
SPACING.append((PSEUDO, "command_bus", [*_ranks, at(99, "RD"), at(99, "RD", OTHER_RANK)]))


def test_two_buses_and_pseudo_channels_work_at_once():
    commands = [*_ranks, at(99, "RD"), at(99, "PRE", OTHER_RANK), at(120, "ACT", OTHER_RANK)]
    assert check_commands(PSEUDO, commands) is None
    assert names(variant(DDR4, 2), commands) == ["command_bus"]
    commands = [*_ranks, at(99, "RD"), at(100, "RD", OTHER_RANK)]
    assert check_commands(PSEUDO, commands) is None
    assert names(variant(DDR4, 2), commands) == ["data_bus"]


def names(device, commands, **options):
    return [violation.name for violation in all_violations(device, commands, **options)]


def moved(commands, cycles):
    """The commands with the last one moved."""
    return [*commands[:-1], commands[-1]._replace(cycle=commands[-1].cycle + cycles)]


@pytest.mark.parametrize(("device", "rule", "commands"), SPACING)
def test_a_cycle_too_early_is_found_and_on_time_is_not(device, rule, commands):
    assert names(device, commands) == [rule]
    found = check_commands(device, commands)
    assert found.name == rule and found.later == commands[-1]
    assert found.required == found.spacing + 1
    assert check_commands(device, moved(commands, 1)) is None
    elsewhere = [*commands[:-1], commands[-1]._replace(channel=1)]
    if device.organisation.channels > 1 and rule in ("tRTRS", "command_bus"):
        assert rule not in names(device, elsewhere)


OPEN, LATE = at(0, "ACT", row=7), 300
STATE = [
    ("row_open", [OPEN, at(LATE, "ACT")], [OPEN, at(100, "PRE"), at(LATE, "ACT")]),
    ("row_open", [OPEN, at(LATE, "ACT", row=7)], [OPEN, at(100, "RDA", row=7), at(LATE, "ACT")]),
    ("row_closed", [at(LATE, "RD")], [at(0, "ACT"), at(LATE, "RD")]),
    ("row_closed", [OPEN, at(100, "PREA"), at(LATE, "WR", row=7)], [OPEN, at(LATE, "WR", row=7)]),
    (
        "row_closed",
        [OPEN, at(100, "WRA", row=7), at(LATE, "RD", row=7)],
        [OPEN, at(100, "WR", row=7), at(LATE, "RD", row=7)],
    ),
    ("row_wrong", [OPEN, at(LATE, "RDA", row=6)], [OPEN, at(LATE, "RDA", row=7)]),
    (
        "refresh_with_open_row",
        [OPEN, at(60, "ACT", SAME_GROUP), at(100, "PRE"), at(LATE, "REF")],
        [OPEN, at(60, "ACT", SAME_GROUP), at(100, "PREA"), at(LATE, "REF")],
    ),
]


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize(("rule", "bad", "good"), STATE)
def test_rules_of_state(name, rule, bad, good):
    assert names(ALONE[name], bad) == [rule]
    assert check_commands(ALONE[name], good) is None


@pytest.mark.parametrize("name", ALONE)
def test_two_bursts_at_once(name):
    device = ALONE[name]
    commands = [at(0, "ACT"), at(1, "ACT", OTHER_RANK), at(100, "RD")]
    commands.append(at(100 + device.burst_cycles - 1, "RD", OTHER_RANK))
    assert names(device, commands) == ["data_bus"]
    assert names(device, moved(commands, 1)) == ["tRTRS"]
    assert names(device, moved(commands, 1 + device.timing.tRTRS)) == []


@pytest.mark.parametrize("name", ALONE)
def test_auto_precharge_waits_for_an_early_access(name):
    """An RDA right after its ACT precharges only when the row was open for tRAS."""
    device = variant(name)
    t = device.timing
    commands = [at(0, "ACT"), at(t.tRCD, "RDA"), at(t.tRAS + t.tRP - 1, "ACT")]
    assert set(names(device, commands)) == {"tRP", "tRC"}
    assert names(device, moved(commands, 1)) == []


REFRESH = [
    ("refresh_postponed", 0, 8),
    ("refresh_postponed", 8, 8),
    ("refresh_pulled_in", 8, 0),
    ("refresh_pulled_in", 8, 3),
]


@pytest.mark.parametrize(("rule", "postponed", "pulled_in"), REFRESH)
@pytest.mark.parametrize("name", ALONE)
def test_refreshes_are_neither_late_nor_early(name, rule, postponed, pulled_in):
    device = variant(name)
    t = device.timing
    options = {"max_postponed": postponed, "max_pulled_in": pulled_in}
    if rule == "refresh_postponed":
        deadline = (1 + postponed) * t.tREFI + finishing_cycles(device)
        for last in (at(deadline + 1, "REF"), at(deadline + 1, "ACT")):
            assert names(device, [last], **options) == [rule]
            assert names(device, [last], refresh=False, **options) == []
            assert names(device, [last], **options, slack_cycles=9999) == []
        assert names(device, [at(deadline, "REF")], **options) == []
    else:
        early = [at(9 + k * t.tRFC, "REF") for k in range(pulled_in + 1)]
        commands = [*early, at(t.tREFI - 1, "REF")]
        assert names(device, commands, **options) == [rule]
        assert names(device, moved(commands, 1), **options) == []


@pytest.mark.parametrize("name", ALONE)
def test_sixteen_refreshes_in_two_intervals(name):
    device = variant(name)
    t = device.timing
    commands = [at(k * t.tRFC, "REF") for k in range(16)] + [at(2 * t.tREFI - 1, "REF")]
    assert names(device, commands, max_pulled_in=99) == ["refresh_density"]
    assert names(device, moved(commands, 1), max_pulled_in=99) == []


# Rules of refreshes of some banks, power-down and self-refresh, see test_checker_states.
ELSEWHERE = {"tRFCpb", "tRFCsb", "tRREFD", "tPBR2PBR", "tCKE", "tXP", "tCKESR", "tXS", "tXSDLL"}
ELSEWHERE |= {f"t{kind}PDEN" for kind in ("ACT", "PR", "REF", "RD", "WR")}
ELSEWHERE |= {"self_refresh_with_open_row", "self_refresh_again", "power_state"}


def test_every_rule_has_a_case():
    cases = {rule for _, rule, _ in SPACING} | {rule for rule, *_ in (*STATE, *REFRESH)}
    assert cases | {"data_bus", "refresh_density"} | ELSEWHERE == set(RULE_NAMES)


def test_message_names_rule_cycles_and_commands():
    device = ALONE[DDR4]
    text = str(check_commands(device, [at(0, "ACT", row=5), at(15, "RD", row=5)]))
    assert text == (
        "tRCD: ACT to RD of the same bank, tRCD = 16, found 15: ACT at cycle 0 (channel 0 "
        "rank 0 bank group 0 bank 0 row 5), then RD at cycle 15 (channel 0 rank 0 bank group 0 "
        "bank 0 row 5)"
    )


@pytest.mark.parametrize(
    ("commands", "options", "message"),
    [
        ([at(0, "NOP")], {}, "command 0: name is 'NOP', allowed are ACT, RD"),
        ([at(5, "REF"), at(4, "REF")], {}, "command 1: cycle is 4, must not go back from 5"),
        ([at(0, "ACT", (2, 0, 0))], {}, "command 0 (ACT): rank is 2, must be between 0 and 1"),
        ([at(0, "PRE", (0, 0, 4))], {}, "bank is 4, must be between 0 and 3"),
        ([at(0, "ACT", row=1 << 16)], {}, "row is 65536"),
        ([at(0, "REF")._replace(channel=2)], {}, "channel is 2"),
        ([], {"max_postponed": -1}, "max_postponed is -1, must be at least 0"),
    ],
)
def test_bad_commands_are_refused(commands, options, message):
    with pytest.raises(ValueError) as error:
        check_commands(ALONE[DDR4], commands, **options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_checker_shares_no_code_with_the_kernels():
    """Of ours it knows the device, and from the simulator only the format of its commands."""
    imported = set()
    for module in (timing_checker, timing_rules, refresh_rules):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {(alias.name, "") for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.module.endswith("_rules"):
                imported |= {(node.module, alias.name) for alias in node.names}
    package = "archgym.cost_models.dram"
    assert {each for each in imported if each[0].startswith(("archgym", "num"))} == {
        (f"{package}.devices", "DramDevice"),
        (f"{package}.simulator", "COMMAND_NAMES"),
        (f"{package}.simulator", "CommandTrace"),
        (f"{package}.timings", "SAME_AS"),
    }


def random_trace(rng, seed):
    return mixed(
        int(rng.integers(200, 900)),
        intensity_per_us=float(rng.choice([1, 5, 20, 60, 150, np.inf])),
        read_fraction=float(rng.choice([0, 0.3, 0.5, 0.7, 1])),
        locality=float(rng.choice([0, 0.5, 0.9])),
        n_streams=int(rng.integers(1, 9)),
        footprint_bytes=1 << int(rng.integers(13, 29)),
        seed=seed,
    )


def random_policy(rng, controller):
    row = []
    for field in CONTROLLERS[controller]:
        low, high = field.limits
        if field.names or "Watermark" in field.name:
            row.append(int(rng.integers(low, high + 1)))
        else:
            row.append(int(rng.choice([max(low, k) for k in (0, 1, 2, 4, 8, 32)])))
    return dict(zip([field.name for field in CONTROLLERS[controller]], row, strict=True))


# Refreshes postponed and pulled in that together come close to 16 within two intervals.
MANY = 14
DEVICES = [variant(name, r, c) for name in ALONE for r in (1, 2, 4) for c in (1, 2)]
DEVICES += [variant(DDR4, r, 1, LONG, **MORE) for r in (1, 2)]
DEVICES += [variant(DDR4, r, 1, TWO_BUSES, r, tRCDWR=9, tPPD=4) for r in (1, 2)]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 30), device=st.sampled_from(DEVICES))
def test_default_controller_breaks_no_rule(seed, device):
    """Random designs, devices and traces; refreshes are held to the design's own limits."""
    rng = np.random.default_rng(seed)
    simulator = DramSimulator(device, random_trace(rng, seed), threads=1)
    policy = random_policy(rng, "dramsys")
    found = all_violations(
        device,
        simulator.command_trace(policy),
        refresh=bool(policy["RefreshPolicy"]),
        max_postponed=policy["RefreshMaxPostponed"],
        max_pulled_in=policy["RefreshMaxPulledin"],
    )
    if policy["RefreshMaxPostponed"] + policy["RefreshMaxPulledin"] >= MANY:
        found = [violation for violation in found if violation.name != "refresh_density"]
    assert not found, str(found[0])


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize(("postponed", "pulled_in"), [(8, 4), (4, 8), (8, 8)])
def test_only_postponing_and_pulling_in_by_eight_refreshes_too_densely(name, postponed, pulled_in):
    """Work for ten intervals, then none for three: all owed refreshes, then all that may be early.

    DRAMSys, whose rules the controller follows, knows no limit on the number in two intervals.
    """
    device = variant(name)
    interval = device.timing.tREFI
    arrival = np.append(np.arange(0, 10 * interval, 40), 13 * interval)
    address = np.random.default_rng(1).integers(0, 1 << 20, arrival.size) * 64
    trace = Trace(arrival, np.zeros(arrival.size, bool), address)
    policy = policy_row(RefreshMaxPostponed=postponed, RefreshMaxPulledin=pulled_in)
    commands = DramSimulator(device, trace).command_trace(policy)
    found = names(device, commands, max_postponed=postponed, max_pulled_in=pulled_in)
    assert set(found) == ({"refresh_density"} if postponed + pulled_in >= MANY else set())


def ramulator_violations(seed, device):
    rng = np.random.default_rng(seed)
    simulator = DramSimulator(device, random_trace(rng, seed), controller="ramulator", threads=1)
    policy = random_policy(rng, "ramulator")
    # It refreshes its ranks one after another, and goes on with requests to open rows meanwhile.
    waiting = policy["ReadBufferSize"] + policy["WriteBufferSize"]
    open_rows = device.timing.tRTW + waiting * device.timing.tCCD_L
    found = all_violations(
        device,
        simulator.command_trace(policy),
        refresh=bool(policy["RefreshPolicy"]),
        max_postponed=0,
        max_pulled_in=0,
        slack_cycles=finishing_cycles(device) * device.organisation.ranks + open_rows,
    )
    return [each for each in found if not repeats_ramulator(each, policy)]


def repeats_ramulator(each, policy):
    """Whether Ramulator breaks the rule in the same way, as docs/cost_models/dram.md says.

    With RowAccessCap a PRE that waits behind a refresh comes although the bank is closed by then
    (see row_cap.py). A PREA does not wait for the precharge within RDA and WRA.
    """
    capped = policy["RowAccessCap"] and each.name == "tRFC" and each.later.name == "PRE"
    within = each.name in ("tRTP", "tWR") and each.later.name == "PREA"
    return capped or (within and each.earlier.name in ("RDA", "WRA"))


def test_a_prea_of_the_ramulator_controller_does_not_wait_for_the_precharge_within_a_write():
    device = variant(DDR3, 2, 2)
    rng = np.random.default_rng(1260)
    simulator = DramSimulator(device, random_trace(rng, 1260), controller="ramulator", threads=1)
    found = all_violations(device, simulator.command_trace(random_policy(rng, "ramulator")))
    within = [each for each in found if each.name == "tWR"]
    assert within
    assert {(each.earlier.name, each.later.name) for each in within} == {("WRA", "PREA")}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), device=st.sampled_from(DEVICES))
def test_ramulator_controller_breaks_only_the_data_bus_between_ranks(seed, device):
    found = ramulator_violations(seed, device)
    if device.organisation.ranks == 1 or device.organisation.data_buses > 1:
        assert not found, str(found[0])
    for each in found:
        assert each.name in ("data_bus", "tRTRS"), str(each)
        assert each.earlier.rank != each.later.rank
        assert (each.earlier.name[:2], each.later.name[:2]) in (("RD", "WR"), ("WR", "WR"))


def test_known_data_bus_error_of_the_ramulator_controller_is_found():
    """DDR4-2400: RD to WR of another rank after 6 cycles, where the data bus needs 10."""
    device = variant(DDR4, 2)
    trace = mixed(2000, intensity_per_us=np.inf, read_fraction=0.6, locality=0.0, seed=1)
    commands = DramSimulator(device, trace, controller="ramulator").command_trace(
        policy_row("ramulator")
    )
    pairs = Counter(
        (each.name, each.earlier.name, each.later.name, each.later.cycle - each.earlier.cycle)
        for each in all_violations(device, commands)
    )
    assert {key[:3] for key in pairs} == {("data_bus", "RD", "WR"), ("tRTRS", "WR", "WR")}
    assert min(gap for _, first, _, gap in pairs if first == "RD") == 6
    assert min(gap for _, first, _, gap in pairs if first == "WR") == device.burst_cycles
    assert max(pairs.values()) > 50


TIGHTER = [name for name in RULE_NAMES if name.startswith("t") and name not in ELSEWHERE]


@pytest.fixture(scope="module")
def busy_commands():
    """Commands of a busy DDR4 device of two ranks, as (cycle, name, place)."""
    device = variant(DDR4, 2)
    trace = mixed(3000, intensity_per_us=np.inf, read_fraction=0.6, locality=0.6, seed=2)
    return DramSimulator(device, trace).command_trace(policy_row(RefreshMaxPostponed=0))


@pytest.mark.parametrize("name", TIGHTER)
def test_simulator_uses_every_cycle_that_a_rule_leaves(busy_commands, name):
    """Against a device that needs one cycle more, the same commands break that very rule."""
    t = variant(DDR4).timing
    slower = {name: t.value(name) + 1}
    if name in ("tRAS", "tRP"):
        slower["tRC"] = t.tRC + 1
    found = all_violations(variant(DDR4, 2, **slower), busy_commands)
    assert name in {violation.name for violation in found}
