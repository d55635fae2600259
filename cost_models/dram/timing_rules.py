"""The JEDEC rules that the timing checker holds commands to, as tables.

DDR3 (JESD79-3F), DDR4 (JESD79-4), DDR5 (JESD79-5), LPDDR4 (JESD209-4), LPDDR5 (JESD209-5), HBM2
(JESD235), HBM3 (JESD238) and GDDR6 (JESD250): the descriptions of the activate, precharge, read,
write, refresh, power-down and self-refresh commands, and the tables of AC timing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from archgym.cost_models.dram.devices import DramDevice
from archgym.cost_models.dram.timings import SAME_AS

KINDS: Final = {
    "ACT": "ACT",
    "RD": "RD",
    "RDA": "RD",
    "WR": "WR",
    "WRA": "WR",
    "PRE": "PRE",
    "PREA": "PRE",
    "REF": "REF",
    "REFpb": "REFpb",
    "REFsb": "REFsb",
    "SRE": "SRE",
    "SRX": "SRX",
    "PDE": "PDE",
    "PDX": "PDX",
}
"""Commands, and the kind that the rules see in each."""

RANK_WIDE: Final = ("PREA", "REF", "SRE", "SRX", "PDE", "PDX")
"""Commands to a whole rank."""

NO_SLOT: Final = ("SRX", "PDE", "PDX")
"""Changes of the clock enable signal, which take no slot of the command bus."""

SOME: Final = ("REFpb", "REFsb")
"""Refreshes of some banks."""

ANY: Final = ("ACT", "RD", "WR", "PRE", "REF", *SOME, "SRE")
"""All kinds that take a slot of the command bus."""

EARLIER: Final = (*ANY, *NO_SLOT, "PREA", "PRE command")
"""All kinds of earlier commands, see `Rule`."""


class Command(NamedTuple):
    """One DRAM command.

    PREA, REF, SRE, SRX, PDE and PDX go to a whole rank and leave bank group, bank and row out,
    REFsb goes to one bank of every bank group and leaves bank group and row out.

    Attributes:
        cycle: Memory-clock cycle of issue.
        name: ACT, RD, RDA, WR, WRA, PRE, PREA, REF, REFpb, REFsb, SRE and SRX (self-refresh entry
            and exit), PDE and PDX (power-down entry and exit).
        rank: Rank of the channel.
        bankgroup: Bank group of the rank.
        bank: Bank of the bank group.
        row: Row of ACT, and the row that RD, RDA, WR and WRA mean to access.
        channel: Channel.
    """

    cycle: int
    name: str
    rank: int = 0
    bankgroup: int = -1
    bank: int = -1
    row: int = -1
    channel: int = 0

    def __str__(self) -> str:
        place = f"channel {self.channel} rank {self.rank}"
        if self.name == "REFsb":
            place += f" bank {self.bank} of every bank group"
        elif self.name not in RANK_WIDE:
            place += f" bank group {self.bankgroup} bank {self.bank}"
        if self.name in ("ACT", "RD", "RDA", "WR", "WRA"):
            place += f" row {self.row}"
        return f"{self.name} at cycle {self.cycle} ({place})"


@dataclass(frozen=True)
class Rule:
    """Least spacing of two commands, from the last cycle of the one to the last of the other.

    Attributes:
        name: The constraint's name in the standard.
        earlier: Kind of the earlier command. RDA is an RD, WRA a WR, PREA a PRE of every bank; RDA
            and WRA are besides a PRE at the cycle at which their precharge begins. `PREA` is that
            command alone, `PRE command` a PRE or PREA.
        later: Kinds of the later command.
        scope: Where the later command goes, seen from the earlier one: `bank` (the same bank),
            `bank group` (the same one), `other group` (of the same rank) or `rank` (the same one).
            REFpb and REFsb go to all banks that they refresh.
        terms: Timings whose sum is the least spacing in cycles; `BL/2` is the length of a burst,
            `1` one cycle.
    """

    name: str
    earlier: str
    later: tuple[str, ...]
    scope: str
    terms: tuple[str, ...]

    def cycles(self, device: DramDevice) -> int:
        """Least spacing on a device, in memory-clock cycles."""
        return sum_of(device, self.terms)

    def on(self, device: DramDevice) -> Rule | None:
        """The rule as the device has it: under the name of the constraint that it states, or none.

        A device that does not tell writes from reads, or all banks from one, has the general rule.
        """
        if getattr(device.timing, self.name, 0) is not None:
            return self
        if self.name not in SAME_AS or self.earlier == "PREA":
            return None
        general = SAME_AS[self.name]
        terms = tuple(general if term == self.name else term for term in self.terms)
        return replace(self, name=general, terms=terms)

    def __str__(self) -> str:
        place = "another bank group" if self.scope == "other group" else f"the same {self.scope}"
        later = "any command" if self.later == ANY else " or ".join(self.later)
        return f"{self.earlier} to {later} of {place}, {' + '.join(self.terms)}"


RULES: Final = (
    Rule("tRCD", "ACT", ("RD",), "bank", ("tRCD",)),
    Rule("tRCDWR", "ACT", ("WR",), "bank", ("tRCDWR",)),
    Rule("tRAS", "ACT", ("PRE",), "bank", ("tRAS",)),
    Rule("tRC", "ACT", ("ACT",), "bank", ("tRC",)),
    Rule("tRC", "ACT", SOME, "bank", ("tRC",)),
    Rule("tRC", "ACT", ("REF",), "rank", ("tRC",)),
    Rule("tRRD_L", "ACT", ("ACT", *SOME), "bank group", ("tRRD_L",)),
    Rule("tRRD_S", "ACT", ("ACT", *SOME), "other group", ("tRRD_S",)),
    Rule("tRP", "PRE", ("ACT", *SOME), "bank", ("tRP",)),
    Rule("tRP", "PRE", ("REF", "SRE"), "rank", ("tRP",)),
    Rule("tRPab", "PREA", ("ACT", "REF", *SOME, "SRE"), "rank", ("tRPab",)),
    Rule("tPPD", "PRE command", ("PRE",), "rank", ("tPPD",)),
    Rule("tCCD_L", "RD", ("RD",), "bank group", ("tCCD_L",)),
    Rule("tCCD_S", "RD", ("RD",), "other group", ("tCCD_S",)),
    Rule("tCCD_L_WR", "WR", ("WR",), "bank group", ("tCCD_L_WR",)),
    Rule("tCCD_S", "WR", ("WR",), "other group", ("tCCD_S",)),
    Rule("tRTW", "RD", ("WR",), "rank", ("tRTW",)),
    Rule("tWTR_L", "WR", ("RD",), "bank group", ("tCWL", "BL/2", "tWTR_L")),
    Rule("tWTR_S", "WR", ("RD",), "other group", ("tCWL", "BL/2", "tWTR_S")),
    Rule("tRTP", "RD", ("PRE",), "bank", ("tRTP",)),
    Rule("tWR", "WR", ("PRE",), "bank", ("tCWL", "BL/2", "tWR")),
    Rule("tRFC", "REF", ANY, "rank", ("tRFC",)),
    Rule("tRFCpb", "REFpb", ("ACT", "PRE", *SOME), "bank", ("tRFCpb",)),
    Rule("tRFCpb", "REFpb", ("REF", "SRE"), "rank", ("tRFCpb",)),
    Rule("tRFCsb", "REFsb", ("ACT", "PRE", *SOME), "bank", ("tRFCsb",)),
    Rule("tRFCsb", "REFsb", ("REF", "SRE"), "rank", ("tRFCsb",)),
    *(Rule("tRREFD", each, ("ACT", *SOME), "rank", ("tRREFD",)) for each in SOME),
    *(Rule("tPBR2PBR", each, SOME, "rank", ("tPBR2PBR",)) for each in SOME),
    Rule("tACTPDEN", "ACT", ("PDE",), "rank", ("1",)),
    Rule("tPRPDEN", "PRE command", ("PDE",), "rank", ("1",)),
    *(Rule("tREFPDEN", each, ("PDE",), "rank", ("1",)) for each in ("REF", *SOME)),
    Rule("tRDPDEN", "RD", ("PDE", "SRE"), "rank", ("tCL", "tDQSCK", "BL/2", "1")),
    Rule("tWRPDEN", "WR", ("PDE", "SRE"), "rank", ("tCWL", "BL/2", "tWR")),
    Rule("tCKE", "PDE", ("PDX",), "rank", ("tCKE",)),
    Rule("tCKE", "PDX", ("PDE", "SRE"), "rank", ("tCKE",)),
    Rule("tXP", "PDX", ANY, "rank", ("tXP",)),
    Rule("tCKESR", "SRE", ("SRX",), "rank", ("tCKESR",)),
    Rule("tXS", "SRX", ("ACT", "PRE", "REF", *SOME, "PDE", "SRE"), "rank", ("tXS",)),
    Rule("tXSDLL", "SRX", ("RD", "WR"), "rank", ("tXSDLL",)),
)
"""Spacings of two commands; bus, window, state and refresh rules are those of the checker."""

RULE_NAMES: Final = (
    "command_bus",
    "row_open",
    "row_closed",
    "row_wrong",
    "refresh_with_open_row",
    "self_refresh_with_open_row",
    "self_refresh_again",
    "power_state",
    *dict.fromkeys(rule.name for rule in RULES),
    "tFAW",
    "data_bus",
    "tRTRS",
    "refresh_postponed",
    "refresh_pulled_in",
    "refresh_density",
)
"""Names of all rules."""


@dataclass(frozen=True)
class Violation:
    """A broken rule.

    Attributes:
        name: Name of the rule, one of `RULE_NAMES`.
        rule: The rule in words.
        earlier: The command that the rule counts from; None where there is none.
        later: The command that came too early (or, for a missed refresh deadline, the first command
            after the deadline).
        required: Least spacing in cycles; None for rules of state. `refresh_postponed`: the
            deadline's cycle. `refresh_pulled_in`: the first cycle allowed.
        spacing: Spacing found, in cycles; for the two just named the cycle found. Spacings of the
            table `RULES` count from the last cycle of a command to the last of the other.
    """

    name: str
    rule: str
    earlier: Command | None
    later: Command
    required: int | None = None
    spacing: int | None = None

    def __str__(self) -> str:
        found = "" if self.required is None else f" = {self.required}, found {self.spacing}"
        start = "" if self.earlier is None else f"{self.earlier}, then "
        return f"{self.name}: {self.rule}{found}: {start}{self.later}"


def length(device: DramDevice, kind: str) -> int:
    """Cycles that a command of some kind takes on its bus; all others are as long as PRE.

    Entries and exits end in the cycle at which they are given.
    """
    if kind in NO_SLOT:
        return 1
    return int(getattr(device.commands, kind if kind in ("ACT", "RD", "WR") else "PRE"))


def sum_of(device: DramDevice, terms: tuple[str, ...]) -> int:
    """Sum of timings of the device in cycles; `BL/2` is the length of a burst, `1` one cycle."""
    fixed = {"BL/2": device.burst_cycles, "1": 1}
    return sum(fixed[each] if each in fixed else device.timing.value(each) for each in terms)
