"""The refresh obligations that the timing checker holds a rank to.

DDR3 and DDR4 (JESD79-3F, JESD79-4), refresh and self-refresh commands: refreshes postponed and
pulled in, at most 16 within two intervals, self-refresh. LPDDR4 (JESD209-4) and DDR5 (JESD79-5)
have the same per bank, in as many parts as a round of REFpb or REFsb has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archgym.cost_models.dram.timing_rules import Command, Violation


@dataclass(frozen=True)
class Limits:
    """What a caller of the checker allows: see `timing_checker.check_commands`."""

    refresh: bool
    postponed: int
    pulled_in: int
    slack: int


class Refreshes:
    """Which refreshes the banks of a rank had, and how many intervals they are due for.

    Intervals do not count while the rank refreshes itself. Entering self-refresh counts as a
    refresh of every bank, since the device begins with one. What is left of the interval then is
    forgiven: an interval begins with the exit.
    """

    def __init__(self, interval: int, limits: Limits, banks: list[tuple[int, int]]) -> None:
        self.interval = interval
        self.limits = limits
        self.commands = dict.fromkeys(banks, 0)
        self.entries = 0  # of self-refresh
        self.last: dict[tuple[int, int], Command] = {}
        self.dense: dict[str, list[Command]] = {"REF": [], "REFpb": [], "REFsb": []}
        self.fewest = 0
        self.reported = 0
        # Since when intervals count, and whole and begun ones before that.
        self.start: int | None = 0
        self.whole = self.begun = 0
        self.exit: Command | None = None
        self.since_exit: set[tuple[int, int]] = set()

    def missed(self, rank: int, command: Command) -> Iterator[Violation]:
        """The k-th refresh of a bank (k = 1 ...) comes by (k + postponed) tREFI, plus the slack."""
        if self.start is None:
            return
        number = max(self.fewest + self.entries, self.reported) + 1
        due = number + self.limits.postponed - self.whole
        deadline = self.start + due * self.interval + self.limits.slack
        if command.cycle > deadline:
            self.reported = number
            bank = min(self.commands, key=lambda each: self.commands[each])
            text = (
                f"refresh {number} of bank group {bank[0]} bank {bank[1]} of rank {rank} by (its "
                f"number + {self.limits.postponed} postponed) tREFI + {self.limits.slack}"
            )
            last = self.last.get(bank)
            yield Violation("refresh_postponed", text, last, command, deadline, command.cycle)

    def ahead(
        self, command: Command, banks: list[tuple[int, int]], sets: int
    ) -> Iterator[Violation]:
        """No refresh comes too early, and no more of a bank than 16 within two intervals."""
        most = max(banks, key=lambda each: self.commands[each])
        # A rank's first may fall due anywhere in the first interval: ranks are spread over it.
        due = self.commands[most] - self.limits.pulled_in - self.begun
        earliest = (self.start or 0) + due * self.interval
        if self.start is not None and command.cycle < earliest:
            number = self.commands[most] + 1
            text = f"refresh {number} of a bank, {self.limits.pulled_in} pulled in"
            last = self.last.get(most)
            yield Violation("refresh_pulled_in", text, last, command, earliest, command.cycle)
        done, limit = self.dense[command.name], 16 * sets
        if len(done) >= limit and command.cycle - done[-limit].cycle < 2 * self.interval:
            spacing = command.cycle - done[-limit].cycle
            text = f"at most {limit} {command.name} of a rank within 2 tREFI"
            first = done[-limit]
            yield Violation("refresh_density", text, first, command, 2 * self.interval, spacing)

    def add(self, command: Command, banks: list[tuple[int, int]]) -> None:
        """Count a refresh of some banks."""
        for each in banks:
            self.commands[each] += 1
            self.last[each] = command
        self.since_exit.update(banks)
        self.fewest = min(self.commands.values())
        self.dense[command.name].append(command)

    def stop(self, command: Command) -> None:
        """Begin self-refresh."""
        passed = command.cycle - (self.start or 0)
        if self.start is not None:
            self.whole += passed // self.interval
            self.begun += -(-passed // self.interval)
        self.entries += 1
        self.start = None

    def go_on(self, command: Command) -> None:
        """End self-refresh."""
        self.start = command.cycle
        self.exit = command
        self.since_exit = set()

    def not_since_exit(self) -> Command | None:
        """The last exit, if a bank had no refresh since."""
        return self.exit if len(self.since_exit) < len(self.commands) else None
