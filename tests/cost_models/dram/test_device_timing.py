"""Timings that only some standards have: each shows in the commands, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from archgym.cost_models.dram import DramDevice, DramSimulator, Trace, load_device, policy_row
from archgym.cost_models.dram.mapping import AddressMapping
from archgym.cost_models.dram.timings import DramCommands

DDR4 = load_device("ddr4-2400-8gb-x8")
CONTROLLERS = ("dramsys", "modern", "ramulator")


def _device(commands: DramCommands | None = None, **timing: int) -> DramDevice:
    return replace(DDR4, timing=replace(DDR4.timing, **timing), commands=commands or DramCommands())


def _address(row: int = 0, bank: int = 0, group: int = 0, column: int = 0) -> int:
    return ((((row << 2) + bank) << 2) + group << 10 | column) << 3


def _trace(*requests: tuple[int, bool, int], **keywords: Any) -> Trace:
    cycle, write, address = zip(*requests, strict=True)
    return Trace(np.array(cycle), np.array(write), np.array(address), **keywords)


def _commands(device: DramDevice, trace: Trace, controller: str) -> list[tuple[str, int, int]]:
    """Name, cycle and bank group of each command."""
    from archgym.cost_models.dram import COMMAND_NAMES

    simulator = DramSimulator(device, trace, controller=controller)
    commands = simulator.command_trace(policy_row(controller))
    names = [COMMAND_NAMES[code] for code in commands.command.tolist()]
    return list(zip(names, commands.cycle.tolist(), commands.bankgroup.tolist(), strict=True))


def _cycles(device: DramDevice, trace: Trace, controller: str) -> list[int]:
    """Latencies in memory cycles."""
    simulator = DramSimulator(device, trace, controller=controller)
    ns = simulator.latencies(policy_row(controller))
    return np.rint(ns * 1000.0 / device.tCK_ps).astype(int).tolist()


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_lone_read_takes_its_commands_and_latencies(controller: str) -> None:
    device = _device(DramCommands(ACT=4, RD=3, WR=2, PRE=2), tDQSCK=5, tRTW=15)
    t = device.timing
    formula = (4 - 1) + t.tRCD + t.tCL + 5 + device.burst_cycles
    start = 1 if controller == "ramulator" else 0
    assert _cycles(device, _trace((0, False, 0)), controller) == [start + formula]


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_rcd_of_writes_differs_from_that_of_reads(controller: str) -> None:
    device = _device(tRCDWR=9)
    (_, act, _), (_, write, _) = _commands(device, _trace((0, True, 0)), controller)[:2]
    assert write - act == 9
    (_, act, _), (_, read, _) = _commands(device, _trace((0, False, 0)), controller)[:2]
    assert read - act == device.timing.tRCD


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_writes_of_a_bank_group_are_further_apart_than_reads(controller: str) -> None:
    device = _device(tCCD_L_WR=20)
    for write, gap in ((True, 20), (False, device.timing.tCCD_L)):
        trace = _trace((0, write, 0), (0, write, _address(column=8)))
        accesses = [at for name, at, _ in _commands(device, trace, controller) if name[0] in "RW"]
        assert accesses[1] - accesses[0] == gap


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_refresh_waits_trpab_for_the_precharge_of_all_banks(controller: str) -> None:
    device = _device(tRPab=DDR4.timing.tRP + 7)
    late = device.timing.tREFI + 2 * device.timing.tRFC
    commands = _commands(device, _trace((0, False, 0), (late, False, 0)), controller)
    at = {name: cycle for name, cycle, _ in reversed(commands)}
    assert at["REF"] - at["PREA"] == DDR4.timing.tRP + 7


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_precharges_keep_tppd(controller: str) -> None:
    device = _device(tPPD=11)
    places = [_address(row, 0, group) for row in (0, 1) for group in range(4)]
    commands = _commands(device, _trace(*((0, False, place) for place in places)), controller)
    precharges = [cycle for name, cycle, _ in commands if name == "PRE"]
    assert len(precharges) == 4
    assert min(np.diff(precharges)) >= 11


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_command_keeps_its_bus_for_its_length(controller: str) -> None:
    lengths = {"ACT": 4, "RD": 3, "PRE": 2}
    device = _device(DramCommands(ACT=4, RD=3, WR=2, PRE=2))
    rng = np.random.default_rng(0)
    trace = Trace(np.zeros(400, int), np.zeros(400, bool), rng.integers(1 << 32, size=400) & ~63)
    commands = _commands(device, trace, controller)
    for (name, at, _), (_, after, _) in pairwise(commands):
        assert after - at >= lengths.get(name, 2)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_two_buses_carry_a_row_and_a_column_command_at_once(controller: str) -> None:
    rng = np.random.default_rng(0)
    trace = Trace(np.zeros(400, int), np.zeros(400, bool), rng.integers(1 << 32, size=400) & ~63)
    names = [
        {name[:3] for name, at, _ in group}
        for group in _by_cycle(
            _commands(_device(DramCommands(buses=2), tRCD=18), trace, controller)
        )
    ]
    assert any(len(group) == 2 for group in names)
    assert all(len(group & {"RD", "WR"}) <= 1 and len(group) <= 2 for group in names)


def _by_cycle(commands: list[tuple[str, int, int]]) -> list[list[tuple[str, int, int]]]:
    groups: dict[int, list[tuple[str, int, int]]] = {}
    for command in commands:
        groups.setdefault(command[1], []).append(command)
    return list(groups.values())


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_stall_cycles_add_up_with_long_commands_and_two_buses(controller: str) -> None:
    rng = np.random.default_rng(1)
    write = rng.random(500) < 0.5
    trace = Trace(np.arange(500) * 3, write, rng.integers(1 << 32, size=500) & ~63)
    for commands in (DramCommands(4, 3, 2, 2), DramCommands(2, 1, 1, 1, 2)):
        device = _device(commands)
        result = DramSimulator(device, trace, controller=controller).run(
            policy_row(controller)[np.newaxis]
        )
        cycles = np.rint(result.total_time_ns * 1000.0 / device.tCK_ps)
        assert result.stall_cycles.sum(axis=1).tolist() == cycles.tolist()
        assert (result.stall_cycles >= 0).all()


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_pseudo_channels_move_data_at_once(controller: str) -> None:
    organisation = replace(DDR4.organisation, ranks=2)
    mapping = "row:16 bank:2 column:7 bankgroup:2 rank:1 column:3 offset:3"
    shared = replace(DDR4, organisation=organisation, mapping=mapping)
    commands = DramCommands(buses=2)
    own = replace(shared, organisation=replace(organisation, data_buses=2), commands=commands)
    trace = Trace(np.zeros(20_000, int), np.zeros(20_000, bool), np.arange(20_000) * 64)
    rates = [
        DramSimulator(device, trace, controller=controller)
        .run(policy_row(controller)[np.newaxis])
        .bandwidth_gb_per_s[0]
        for device in (shared, own)
    ]
    assert own.peak_bandwidth_gb_per_s == 2 * shared.peak_bandwidth_gb_per_s
    assert rates[0] < shared.peak_bandwidth_gb_per_s < 0.6 * rates[1] * 2
    assert rates[1] > 0.9 * own.peak_bandwidth_gb_per_s


def _half() -> DramDevice:
    """Accesses of 32 bytes: a line of 64 takes two."""
    organisation = replace(DDR4.organisation, devices_per_rank=4)
    mapping = "row:16 bank:2 bankgroup:2 rank:0 column:10 offset:2"
    return replace(DDR4, organisation=organisation, mapping=mapping)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_line_is_read_when_its_last_part_is(controller: str) -> None:
    device, start = _half(), 1 if controller == "ramulator" else 0
    t = device.timing
    alone = t.tRCD + t.tCL + device.burst_cycles
    trace = _trace((0, False, 64))
    simulator = DramSimulator(device, trace, controller=controller)
    assert simulator.accesses_per_request == 2
    assert _cycles(device, trace, controller) == [start + alone + t.tCCD_L]
    result = simulator.run(policy_row(controller)[np.newaxis])
    assert (result.n_rd[0], result.n_act[0]) == (2, 1)
    time_ns = result.total_time_ns[0]
    assert result.bandwidth_gb_per_s[0] == pytest.approx(64 / time_ns)
    assert result.read_latency_ns[0] == simulator.latencies(policy_row(controller))[0]
    assert result.read_latency_p99_ns[0] == result.read_latency_ns[0]


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_mean_and_tail_of_split_reads_are_those_of_the_lines(controller: str) -> None:
    rng = np.random.default_rng(2)
    n = 700
    trace = Trace(
        np.sort(rng.integers(20_000, size=n)), rng.random(n) < 0.4, rng.integers(1 << 31, size=n)
    )
    simulator = DramSimulator(_half(), trace, controller=controller)
    row = policy_row(controller)
    result, latency = simulator.run(row[np.newaxis]), simulator.latencies(row)
    reads = latency[~trace.is_write]
    assert result.read_latency_ns[0] == pytest.approx(reads.mean())
    tail = np.quantile(reads, 0.99, method="inverted_cdf")
    assert result.read_latency_p99_ns[0] == pytest.approx(tail)
    served = result.n_rd[0] + result.n_wr[0] + result.n_forwarded[0] + result.n_coalesced[0]
    assert served == 2 * n


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_chase_waits_for_whole_lines(controller: str) -> None:
    rng = np.random.default_rng(3)
    n = 50
    address = rng.integers(1 << 31, size=n)
    trace = Trace(np.zeros(n, int), np.zeros(n, bool), address, max_outstanding_reads=1)
    device = _half()
    t = device.timing
    alone = t.tRCD + t.tCL + device.burst_cycles + t.tCCD_L
    total = DramSimulator(device, trace, controller=controller).run(
        policy_row(controller)[np.newaxis]
    )
    assert total.total_time_ns[0] * 1000 / device.tCK_ps >= n * alone


def test_a_line_may_be_asked_for_whole_or_in_two_requests() -> None:
    device = _half()
    whole = _trace((0, False, 0))
    halves = _trace((0, False, 0), (0, False, 32))
    row = policy_row()[np.newaxis]
    first = DramSimulator(device, whole).run(row)
    second = DramSimulator(device, halves, line_bytes=32).run(row)
    assert first.total_time_ns[0] == second.total_time_ns[0]
    assert first.energy_pj[0] == second.energy_pj[0]


def test_a_line_lies_in_one_channel() -> None:
    organisation = replace(_half().organisation, channels=2)
    split = "row:16 bank:2 bankgroup:2 column:7 channel:1 column:3 offset:2"
    device = replace(_half(), organisation=organisation, mapping=split)
    with pytest.raises(ValueError, match="field channel begins at bit 5, must not split a line"):
        DramSimulator(device, _trace((0, False, 0)))
    DramSimulator(device, _trace((0, False, 0)), line_bytes=32)
    with pytest.raises(ValueError, match="line_bytes is 48, must be a power of two"):
        DramSimulator(device, _trace((0, False, 0)), line_bytes=48)
    AddressMapping.parse(split).check(device)


@pytest.mark.parametrize(
    ("commands", "timing", "message"),
    [
        ({}, {"tRCDWR": 40}, r"timing.tRAS is 39, must be at least tRCDWR = 40"),
        ({}, {"tCCD_L_WR": 3}, r"timing.tCCD_L_WR is 3, must be at least tCCD_S = 4"),
        ({}, {"tRPab": 15}, r"timing.tRPab is 15, must be at least tRP = 16"),
        ({}, {"tDQSCK": 9}, r"timing.tRTW is 10, must be at least tCL \+ tDQSCK \+ burst - tCWL"),
        ({}, {"tXSDLL": 16384}, r"timing.tXSDLL is 16384, must be at most 16383"),
        ({}, {"tPPD": 0}, r"timing.tPPD is 0, must be an integer of at least 1"),
        ({"ACT": 5}, {}, r"commands.ACT is 5, must be at most timing.tRRD_S = 4"),
        ({"RD": 5}, {}, r"commands.RD is 5, must be at most timing.tCCD_S = 4"),
        ({"WR": 5}, {}, r"commands.WR is 5, must be at most timing.tCCD_S = 4"),
        ({"PRE": 17}, {}, r"commands.PRE is 17, must be at most timing.tRP = 16"),
        ({"PRE": 0}, {}, r"commands.PRE is 0, must be an integer of at least 1"),
        ({"buses": 3}, {}, r"commands.buses is 3, must be at most the row bus and the column bus"),
    ],
)
def test_impossible_figures_are_refused_in_one_line(
    commands: dict[str, int], timing: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _device(DramCommands(**commands), **timing)
    assert "\n" not in str(caught.value)


def test_data_buses_are_one_or_one_per_rank() -> None:
    with pytest.raises(ValueError, match=r"organisation\.data_buses is 2, must be 1 or ranks = 1"):
        replace(DDR4, organisation=replace(DDR4.organisation, data_buses=2))


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_what_requests_wait_before_full_buffers(controller: str) -> None:
    """Requests all there from the start: as many as fit enter one per cycle, the rest wait."""
    n = 100
    address = np.random.default_rng(4).integers(1 << 32, size=n) & ~63
    simulator = DramSimulator(
        DDR4, _trace(*((0, False, a) for a in address)), controller=controller
    )
    row = policy_row(controller)
    ns = DDR4.tCK_ps / 1000.0
    delays = np.rint(simulator.accept_delays(row) / ns)
    assert (delays[:32] == np.arange(32)).all() and (delays[40:] > np.arange(40, n)).all()
    result = simulator.run(row[np.newaxis])
    mean = (simulator.latencies(row) - simulator.accept_delays(row)).mean()
    assert result.read_latency_from_accept_ns[0] == pytest.approx(mean)
