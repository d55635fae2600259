"""Checks a DRAM command trace against the timing and state rules of the JEDEC standards.

A second statement of the rules, for the simulator's own command traces and for those of others: it
shares no code with the simulator's kernels, knows nothing of controllers, and looks only at the
device and at the commands. It is written to be read, not to be fast (some 50,000 commands/s).

The spacings of two commands are the table `timing_rules.RULES`; bus, window, state and refresh
rules are methods here. `docs/cost_models/timing_checker.md` lists them all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from archgym.cost_models.dram.devices import DramDevice
from archgym.cost_models.dram.refresh_rules import Limits, Refreshes
from archgym.cost_models.dram.simulator import COMMAND_NAMES, CommandTrace
from archgym.cost_models.dram.timing_rules import (
    EARLIER,
    KINDS,
    NO_SLOT,
    RANK_WIDE,
    RULE_NAMES,
    RULES,
    SOME,
    Command,
    Rule,
    Violation,
    length,
    sum_of,
)

__all__ = [
    "RULES",
    "RULE_NAMES",
    "Command",
    "Rule",
    "Violation",
    "all_violations",
    "check_commands",
    "finishing_cycles",
]


def check_commands(
    device: DramDevice,
    commands: CommandTrace | Iterable[Command],
    *,
    refresh: bool = True,
    max_postponed: int | None = None,
    max_pulled_in: int | None = None,
    slack_cycles: int | None = None,
) -> Violation | None:
    """First violation of a command trace, in the order of the commands; None if there is none.

    Args:
        device: Organisation and timings to hold the commands to.
        commands: A simulator's command trace, or commands; per channel in order of issue. All
            banks are closed at first, and cycle 0 is when refresh intervals start to count.
        refresh: Whether refresh deadlines hold. Without it refreshes are still held to their
            timings.
        max_postponed: Refreshes of a bank that may be owed; by default those of the device.
        max_pulled_in: Refreshes that it may be ahead; by default the same.
        slack_cycles: How long after a deadline the refresh may come, since open rows finish first;
            by default `finishing_cycles(device)`.

    Raises:
        ValueError: If a command, its place or its row does not exist on the device, a channel's
            cycles go back, or a limit is negative.
    """
    limits = _limits(device, refresh, max_postponed, max_pulled_in, slack_cycles)
    return next(_violations(device, commands, limits), None)


def all_violations(
    device: DramDevice,
    commands: CommandTrace | Iterable[Command],
    *,
    refresh: bool = True,
    max_postponed: int | None = None,
    max_pulled_in: int | None = None,
    slack_cycles: int | None = None,
) -> list[Violation]:
    """Every violation of a command trace; arguments and errors of `check_commands`."""
    limits = _limits(device, refresh, max_postponed, max_pulled_in, slack_cycles)
    return list(_violations(device, commands, limits))


def finishing_cycles(device: DramDevice) -> int:
    """Cycles from the moment a rank or bank takes no more work to its refresh, at most.

    The row opened last must stay open for tRAS, or may be written first, which takes tRCD, the
    write and its recovery; then it is precharged. PREA and REF may wait for those of every other
    rank, and for a command that has the bus. REFpb and REFsb may besides wait for those of
    other banks, and for the distance from activations.
    """
    recovery = max(device.timing.tRAS, sum_of(device, ("tRCDWR", "tCWL", "BL/2", "tWR")))
    waits = 2 * device.organisation.ranks * length(device, "PRE") + length(device, "ACT") - 1
    o, t = device.organisation, device.timing
    if t.tRREFD is not None:
        waits += (t.tPBR2PBR or t.tRREFD) + t.tRRD_L + t.tFAW
        waits += o.ranks * o.bank_groups * length(device, "PRE")
    return recovery + t.value("tRPab") + waits


class _Event(NamedTuple):
    """A command, or the precharge within RDA or WRA, and the cycle at which it acts."""

    cycle: int
    command: Command


class _Channel:
    """What the commands of one channel so far forbid."""

    def __init__(self, device: DramDevice, limits: Limits) -> None:
        o = device.organisation
        self.device = device
        self.limits = limits
        rules = [rule.on(device) for rule in RULES]
        required = [(rule, rule.cycles(device)) for rule in rules if rule is not None]
        kinds = set(KINDS.values())
        self.required = {
            kind: [each for each in required if kind in each[0].later] for kind in kinds
        }
        # By bus: the row bus (or the only one) and the column bus.
        self.on_bus: list[Command | None] = [None, None]
        self.last: Command | None = None
        places = [(g, b) for g in range(o.bank_groups) for b in range(o.banks_per_group)]
        # Per rank and bank: the ACT or RDA, WRA, PRE ... that last opened or closed it.
        self.open = [dict.fromkeys(places, False) for _ in range(o.ranks)]
        self.opened: list[dict[tuple[int, int], Command]] = [{} for _ in range(o.ranks)]
        self.closed: list[dict[tuple[int, int], Command]] = [{} for _ in range(o.ranks)]
        # Per rank and kind: the latest event of each bank; REF stands under the bank (-1, -1).
        self.events: list[dict[str, dict[tuple[int, int], _Event]]] = [
            {kind: {} for kind in EARLIER} for _ in range(o.ranks)
        ]
        self.activates: list[deque[Command]] = [deque(maxlen=4) for _ in range(o.ranks)]
        self.bursts: list[_Event] = []
        self.down: list[Command | None] = [None] * o.ranks
        self.refreshes = [Refreshes(device.timing.tREFI, limits, places) for _ in range(o.ranks)]

    def check(self, command: Command) -> Iterator[Violation]:
        """Violations by one more command, which then takes effect."""
        yield from self._command_bus(command)
        yield from self._state(command)
        yield from self._spacings(command)
        yield from self._activation_window(command)
        yield from self._data_bus(command)
        if self.limits.refresh:
            yield from self._refresh_deadlines(command)
            yield from self._refreshes_ahead(command)
        self._apply(command)

    def _command_bus(self, command: Command) -> Iterator[Violation]:
        last = self.on_bus[self._bus(command)]
        if last is None or command.name in NO_SLOT:
            return
        busy, spacing = length(self.device, KINDS[last.name]), command.cycle - last.cycle
        if spacing < busy:
            text = "one command at a time on a bus"
            yield Violation("command_bus", text, last, command, busy, spacing)

    def _bus(self, command: Command) -> int:
        column = KINDS[command.name] in ("RD", "WR")
        return 1 if column and self.device.commands.buses == 2 else 0

    def _state(self, command: Command) -> Iterator[Violation]:
        rank, place = command.rank, (command.bankgroup, command.bank)
        opened, kind = self.opened[rank], KINDS[command.name]
        yield from self._power_state(command)
        if kind == "SRE" or kind == "REF" or kind in SOME:
            for each in self._banks(command):
                if self.open[rank][each]:
                    name = "refresh_with_open_row"
                    text = f"{kind} needs its banks closed"
                    if kind == "SRE":
                        name, text = f"self_{name}", "SRE needs all banks of the rank closed"
                    yield Violation(name, text, opened[each], command)
                    return
        elif kind == "ACT" and self.open[rank][place]:
            yield Violation("row_open", "ACT needs a closed bank", opened[place], command)
        elif kind in ("RD", "WR"):
            text = f"{command.name} needs its row open"
            if not self.open[rank][place]:
                yield Violation("row_closed", text, self.closed[rank].get(place), command)
            elif opened[place].row != command.row:
                yield Violation("row_wrong", text, opened[place], command)

    def _power_state(self, command: Command) -> Iterator[Violation]:
        """A rank in power-down or self-refresh takes its exit and nothing else."""
        entry, name = self.down[command.rank], command.name
        state = {"PDX": "PDE", "SRX": "SRE"}.get(name)
        if state != (None if entry is None else entry.name):
            where = "a rank that is awake" if entry is None else f"a rank after {entry.name}"
            yield Violation("power_state", f"{name} to {where}", entry, command)
        elif name == "SRE":
            text = "a refresh of every bank between SRX and the next SRE"
            exited = self.refreshes[command.rank].not_since_exit()
            if exited is not None:
                yield Violation("self_refresh_again", text, exited, command)

    def _banks(self, command: Command) -> list[tuple[int, int]]:
        """Banks that a command goes to."""
        o = self.device.organisation
        if command.name in RANK_WIDE:
            return list(self.open[command.rank])
        if command.name == "REFsb":
            return [(group, command.bank) for group in range(o.bank_groups)]
        if command.name != "REFpb":
            return [(command.bankgroup, command.bank)]
        # Those of one REFpb are evenly apart, counted through the bank groups.
        apart = o.bank_groups * o.banks_per_group // o.banks_per_refresh
        first = (command.bankgroup * o.banks_per_group + command.bank) % apart
        banks = range(first, o.bank_groups * o.banks_per_group, apart)
        return [divmod(bank, o.banks_per_group) for bank in banks]

    def _spacings(self, command: Command) -> Iterator[Violation]:
        kind = KINDS[command.name]
        banks = self._banks(command)
        for rule, required in self.required[kind]:
            event = self._latest(rule, command, banks)
            if event is None:
                continue
            longer = length(self.device, kind) - length(self.device, rule.earlier)
            spacing = command.cycle - event.cycle + longer
            if spacing < required:
                yield Violation(rule.name, str(rule), event.command, command, required, spacing)

    def _latest(self, rule: Rule, command: Command, banks: list[tuple[int, int]]) -> _Event | None:
        """Latest event from which the rule counts for the command, which goes to `banks`."""
        groups = {group for group, _ in banks}
        latest: _Event | None = None
        for (g, b), event in self.events[command.rank][rule.earlier].items():
            concerns = (
                rule.scope == "rank"
                or command.name in RANK_WIDE
                or (rule.scope == "bank" and (g, b) in banks)
                or (rule.scope == "bank group" and g in groups)
                or (rule.scope == "other group" and groups != {g})
            )
            if concerns and (latest is None or event.cycle > latest.cycle):
                latest = event
        return latest

    def _activation_window(self, command: Command) -> Iterator[Violation]:
        window = self.activates[command.rank]
        required = self.device.timing.tFAW
        if (command.name == "ACT" or command.name in SOME) and len(window) == 4:
            spacing = command.cycle - window[0].cycle
            spacing += length(self.device, command.name) - length(self.device, window[0].name)
            if spacing < required:
                text = "ACT to the fourth ACT, REFpb or REFsb after it in the rank, tFAW"
                yield Violation("tFAW", text, window[0], command, required, spacing)

    def _data_bus(self, command: Command) -> Iterator[Violation]:
        """Bursts never overlap, and those of two ranks are tRTRS apart."""
        if KINDS[command.name] not in ("RD", "WR"):
            return
        burst, gap = self.device.burst_cycles, self.device.timing.tRTRS
        start = self._data_start(command)
        own = self.device.organisation.data_buses > 1
        for event in self.bursts:
            if own and event.command.rank != command.rank:
                continue
            apart = max(start - event.cycle, event.cycle - start) - burst
            earlier = event.command
            pair = f"data of {KINDS[earlier.name]} and {KINDS[command.name]}"
            if apart < 0:
                text = f"{pair} at once, cycles between them"
                yield Violation("data_bus", text, earlier, command, 0, apart)
            elif apart < gap and earlier.rank != command.rank:
                text = f"{pair} of two ranks, cycles between them: tRTRS"
                yield Violation("tRTRS", text, earlier, command, gap, apart)

    def _data_start(self, command: Command) -> int:
        kind = KINDS[command.name]
        last = command.cycle + length(self.device, kind) - 1
        return last + sum_of(self.device, ("tCL", "tDQSCK") if kind == "RD" else ("tCWL",))

    def _refresh_deadlines(self, command: Command) -> Iterator[Violation]:
        for rank, refreshes in enumerate(self.refreshes):
            yield from refreshes.missed(rank, command)

    def _refreshes_ahead(self, command: Command) -> Iterator[Violation]:
        if command.name == "REF" or command.name in SOME:
            sets = len(self.open[0]) // len(self._banks(command))
            yield from self.refreshes[command.rank].ahead(command, self._banks(command), sets)

    def _apply(self, command: Command) -> None:
        rank, kind, place = command.rank, KINDS[command.name], (command.bankgroup, command.bank)
        self.last = command
        if kind in NO_SLOT or kind == "SRE":
            self._apply_state(command)
        if kind in NO_SLOT:
            return
        self.on_bus[self._bus(command)] = command
        if kind == "SRE":
            return
        if kind == "REF" or kind in SOME:
            banks = self._banks(command)
            self.refreshes[rank].add(command, banks)
            for each in [(-1, -1)] if kind == "REF" else banks:
                self.events[rank][kind][each] = _Event(command.cycle, command)
            if kind in SOME:
                self.activates[rank].append(command)
            return
        if kind == "PRE":
            self.events[rank]["PRE command"][(-1, -1)] = _Event(command.cycle, command)
            if command.name == "PREA":
                self.events[rank]["PREA"][(-1, -1)] = _Event(command.cycle, command)
            for each in self.open[rank] if command.name == "PREA" else (place,):
                self._close(command, each, command.cycle)
            return
        self.events[rank][kind][place] = _Event(command.cycle, command)
        if kind == "ACT":
            self.activates[rank].append(command)
            self.open[rank][place] = True
            self.opened[rank][place] = command
            return
        start = self._data_start(command)
        # Later bursts begin at the earliest when the faster of the two commands puts its data out.
        horizon = command.cycle + min(self.device.timing.tCL, self.device.timing.tCWL)
        reach = self.device.burst_cycles + self.device.timing.tRTRS
        self.bursts = [event for event in self.bursts if event.cycle + reach > horizon]
        self.bursts.append(_Event(start, command))
        if command.name in ("RDA", "WRA"):
            self._close(command, place, self._auto_precharge(command, place))

    def _apply_state(self, command: Command) -> None:
        rank, name = command.rank, command.name
        self.events[rank][name][(-1, -1)] = _Event(command.cycle, command)
        self.down[rank] = command if name in ("PDE", "SRE") else None
        if name == "SRE":
            self.refreshes[rank].stop(command)
        elif name == "SRX":
            self.refreshes[rank].go_on(command)

    def _auto_precharge(self, command: Command, place: tuple[int, int]) -> int:
        """Cycle at which a PRE would begin that does what that of an RDA or WRA does.

        After tRTP, or the write's recovery, but not before the row was open for tRAS.
        """
        terms = ("tRTP",) if command.name == "RDA" else ("tCWL", "BL/2", "tWR")
        precharge = length(self.device, "PRE")
        longer = length(self.device, KINDS[command.name]) - precharge
        start = command.cycle + sum_of(self.device, terms) + longer
        activate = self.events[command.rank]["ACT"].get(place)
        if activate is None:
            return start
        longer = length(self.device, "ACT") - precharge
        return max(start, activate.cycle + self.device.timing.tRAS + longer)

    def _close(self, command: Command, place: tuple[int, int], cycle: int) -> None:
        self.open[command.rank][place] = False
        self.closed[command.rank][place] = command
        self.events[command.rank]["PRE"][place] = _Event(cycle, command)


def _violations(
    device: DramDevice, commands: CommandTrace | Iterable[Command], limits: Limits
) -> Iterator[Violation]:
    channels = [_Channel(device, limits) for _ in range(device.organisation.channels)]
    for index, command in enumerate(_commands(commands)):
        _require_valid(device, command, index)
        channel = channels[command.channel]
        if channel.last is not None and command.cycle < channel.last.cycle:
            raise ValueError(
                f"command {index}: cycle is {command.cycle}, must not go back from "
                f"{channel.last.cycle} of channel {command.channel}"
            )
        yield from channel.check(command)


def _commands(commands: CommandTrace | Iterable[Command]) -> Iterable[Command]:
    if not isinstance(commands, CommandTrace):
        return commands
    names = (COMMAND_NAMES[code] for code in commands.command.tolist())
    arrays = (commands.rank, commands.bankgroup, commands.bank, commands.row, commands.channel)
    columns = (array.tolist() for array in arrays)
    rows = zip(commands.cycle.tolist(), names, *columns, strict=True)
    return map(Command._make, rows)


def _require_valid(device: DramDevice, command: Command, index: int) -> None:
    o = device.organisation
    if command.name not in KINDS:
        raise ValueError(
            f"command {index}: name is {command.name!r}, allowed are {', '.join(KINDS)}"
        )
    fields = [("channel", command.channel, o.channels), ("rank", command.rank, o.ranks)]
    for name, timing in (("REFpb", "tRFCpb"), ("REFsb", "tRFCsb")):
        if command.name == name and getattr(device.timing, timing) is None:
            raise ValueError(
                f"command {index}: name is {name!r}, but device {device.name!r} has no "
                f"timing.{timing}"
            )
    if command.name not in RANK_WIDE:
        if command.name != "REFsb":
            fields.append(("bankgroup", command.bankgroup, o.bank_groups))
        fields.append(("bank", command.bank, o.banks_per_group))
        if command.name not in ("PRE", *SOME):
            fields.append(("row", command.row, o.rows))
    for field, value, count in fields:
        if not 0 <= value < count:
            raise ValueError(
                f"command {index} ({command.name}): {field} is {value}, must be between 0 and "
                f"{count - 1}"
            )


def _limits(
    device: DramDevice,
    refresh: bool,
    max_postponed: int | None,
    max_pulled_in: int | None,
    slack_cycles: int | None,
) -> Limits:
    slack = finishing_cycles(device) if slack_cycles is None else slack_cycles
    postponed = device.movable_refreshes if max_postponed is None else max_postponed
    pulled_in = device.movable_refreshes if max_pulled_in is None else max_pulled_in
    for name, value in (
        ("max_postponed", postponed),
        ("max_pulled_in", pulled_in),
        ("slack_cycles", slack),
    ):
        if value < 0:
            raise ValueError(f"{name} is {value}, must be at least 0")
    return Limits(refresh, postponed, pulled_in, slack)
