"""Timing constraints and command lengths of a DRAM device, and what the kernels make of them.

Standards count a constraint from the last clock of one command to the last clock of the other. The
kernels count from first clocks, so the vectors here hold first-to-first spacings: the constraint,
plus the length of the earlier command, less that of the later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram import cells as c

SAME_AS: Final = {"tRCDWR": "tRCD", "tCCD_L_WR": "tCCD_L", "tRPab": "tRP"}
"""Constraints that only some standards tell apart, and the one that stands for each elsewhere."""

_OWN: Final = {"tDQSCK": 0, "tPPD": 1}

# The search for the next command tells cycles apart up to c.FAR ahead; a command waits for the sum
# of a few constraints.
_MOST_CYCLES: Final = c.FAR // 8


@dataclass(frozen=True)
class DramTiming:
    """Timing constraints in memory-clock cycles, named as in JEDEC standards.

    `_S` rules hold between bank groups, `_L` rules within one. `tRTW` is RD to WR within a rank,
    `tRTRS` the gap that the data bus needs between bursts of two ranks. Those that only some
    standards have may be None: `value` then gives the figure that stands for it.

    Attributes:
        tRCDWR: ACT to WR, where it is not that to RD (HBM, GDDR6); None: tRCD.
        tCCD_L_WR: WR to WR of a bank group, where it is not that of reads (DDR5); None: tCCD_L.
        tRPab: PREA to ACT, where it is not that of one bank (LPDDR); None: tRP.
        tDQSCK: Delay of read data after tCL (LPDDR4); None: 0.
        tPPD: PRE or PREA to the next in the rank; None: 1.
        tRFCpb: Cycle of a per-bank refresh; None: the device has none.
        tRFCsb: Cycle of a same-bank refresh (one bank of every group); None: the device has none.
        tRREFD: From one of either to an ACT or a refresh of another bank.
        tPBR2PBR: From one to the next, where that is more than tRREFD.
    """

    tCL: int
    tCWL: int
    tRCD: int
    tRP: int
    tRAS: int
    tRC: int
    tRTP: int
    tWR: int
    tCCD_S: int
    tCCD_L: int
    tRRD_S: int
    tRRD_L: int
    tWTR_S: int
    tWTR_L: int
    tFAW: int
    tRTW: int
    tRTRS: int
    tRFC: int
    tREFI: int
    tCKE: int
    tCKESR: int
    tXP: int
    tXPDLL: int
    tXS: int
    tXSDLL: int
    tRCDWR: int | None = None
    tCCD_L_WR: int | None = None
    tRPab: int | None = None
    tDQSCK: int | None = None
    tPPD: int | None = None
    tRFCpb: int | None = None
    tRFCsb: int | None = None
    tRREFD: int | None = None
    tPBR2PBR: int | None = None

    def value(self, name: str) -> int:
        """A constraint in cycles; where it is None, the one that stands for it."""
        own = getattr(self, name)
        if own is None:
            own = _OWN[name] if name in _OWN else getattr(self, SAME_AS[name])
        return int(own)


@dataclass(frozen=True)
class DramCommands:
    """How commands go to the device: their lengths in memory-clock cycles, and the buses.

    Attributes:
        ACT: Length of ACT (LPDDR: ACT-1 and ACT-2, one right after the other).
        RD: Length of RD and RDA (LPDDR4: RD-1 and CAS-2).
        WR: Length of WR and WRA.
        PRE: Length of PRE, PREA, REF, REFpb, REFsb and SRE.
        buses: 1, or 2 where RD and WR have a bus of their own (HBM).
    """

    ACT: int = 1
    RD: int = 1
    WR: int = 1
    PRE: int = 1
    buses: int = 1


def impossible(t: DramTiming, commands: DramCommands, burst: int) -> str | None:
    """The first impossible figure and the rule it breaks, in one line; None if there is none.

    Args:
        t: Constraints.
        commands: Lengths of the commands.
        burst: Cycles of a burst on the data bus.
    """
    for name, value, rule, least in _least(t, commands, burst):
        if value < least:
            return f"{name} is {value}, must be at least {rule} = {least}"
    for each in fields(t):
        own = getattr(t, each.name)
        if own is not None and own > _MOST_CYCLES and each.name != "tREFI":
            return f"timing.{each.name} is {own}, must be at most {_MOST_CYCLES}"
    for name, value, rule, most in (
        ("ACT", commands.ACT, "timing.tRRD_S", t.tRRD_S),
        ("RD", commands.RD, "timing.tCCD_S", t.tCCD_S),
        ("WR", commands.WR, "timing.tCCD_S", t.tCCD_S),
        ("PRE", commands.PRE, "timing.tRP", t.tRP),
        ("buses", commands.buses, "the row bus and the column bus", 2),
    ):
        if value > most:
            return f"commands.{name} is {value}, must be at most {rule} = {most}"
    return None


def _least(
    t: DramTiming, commands: DramCommands, burst: int
) -> Iterator[tuple[str, int, str, int]]:
    """Figures, their values, and the rule and value that they must reach."""
    data = t.tCL + t.value("tDQSCK") + burst - t.tCWL
    delay = " + tDQSCK" if t.tDQSCK else ""
    yield "timing.tRC", t.tRC, "tRAS + tRP", t.tRAS + t.tRP
    yield "timing.tRAS", t.tRAS, "tRCD", t.tRCD
    yield "timing.tRAS", t.tRAS, "tRCDWR", t.value("tRCDWR")
    yield "timing.tCCD_S", t.tCCD_S, "the burst", burst
    yield "timing.tCCD_L", t.tCCD_L, "tCCD_S", t.tCCD_S
    yield "timing.tCCD_L_WR", t.value("tCCD_L_WR"), "tCCD_S", t.tCCD_S
    yield "timing.tRRD_L", t.tRRD_L, "tRRD_S", t.tRRD_S
    yield "timing.tWTR_L", t.tWTR_L, "tWTR_S", t.tWTR_S
    yield "timing.tFAW", t.tFAW, "tRRD_S", t.tRRD_S
    yield "timing.tRTW", t.tRTW, f"tCL{delay} + burst - tCWL", data
    yield "timing.tRPab", t.value("tRPab"), "tRP", t.tRP
    yield "timing.tREFI", t.tREFI, "tRFC + tRP + 1", t.tRFC + t.tRP + 1


def timing_vector(
    t: DramTiming, commands: DramCommands, burst: int, own_data_bus: bool
) -> NDArray[np.int64]:
    """The kernels' timing vector, in the order of `cells`.

    Args:
        t: Constraints.
        commands: Lengths of the commands.
        burst: Cycles of a burst on the data bus.
        own_data_bus: Whether every rank has a data bus to itself.
    """
    vector = np.zeros(c.TIMINGS, np.int64)
    lengths = {each.name: getattr(commands, each.name) for each in fields(commands)}

    def spacing(earlier: str, later: str, cycles: int) -> int:
        return cycles + int(lengths[earlier]) - int(lengths[later])

    read_data = t.tCL + t.value("tDQSCK")
    rcd_rd = spacing("ACT", "RD", t.tRCD)
    for index, value in (
        (c.T_CL, read_data + commands.RD - 1),
        (c.T_CWL, t.tCWL + commands.WR - 1),
        (c.T_BURST, burst),
        (c.T_RCD, rcd_rd),
        (c.T_RCD_WR_MORE, spacing("ACT", "WR", t.value("tRCDWR")) - rcd_rd),
        (c.T_RP, spacing("PRE", "ACT", t.tRP)),
        (c.T_RP_REF, t.tRP),
        (c.T_RPAB, spacing("PRE", "ACT", t.value("tRPab"))),
        (c.T_RPAB_REF, t.value("tRPab")),
        (c.T_PPD, t.value("tPPD")),
        (c.T_RAS, spacing("ACT", "PRE", t.tRAS)),
        (c.T_RC, t.tRC),
        (c.T_RC_REF, spacing("ACT", "PRE", t.tRC)),
        (c.T_RTP, spacing("RD", "PRE", t.tRTP)),
        (c.T_WR_PRE, spacing("WR", "PRE", t.tCWL + burst + t.tWR)),
        (c.T_CCD_S, t.tCCD_S),
        (c.T_CCD_L, t.tCCD_L),
        (c.T_CCD_L_WR, t.value("tCCD_L_WR")),
        (c.T_RRD_S, t.tRRD_S),
        (c.T_RRD_L, t.tRRD_L),
        (c.T_WR_RD_S, spacing("WR", "RD", t.tCWL + burst + t.tWTR_S)),
        (c.T_WR_RD_L, spacing("WR", "RD", t.tCWL + burst + t.tWTR_L)),
        (c.T_RD_WR, spacing("RD", "WR", t.tRTW)),
        (c.T_FAW, t.tFAW),
        (c.T_RFC, t.tRFC),
        (c.T_RFC_ACT, spacing("PRE", "ACT", t.tRFC)),
        (c.T_REFI, t.tREFI),
        (c.T_CKE, t.tCKE),
        (c.T_CKESR, t.tCKESR),
        (c.T_XP, t.tXP),
        (c.T_XS, t.tXS),
        (c.T_XSDLL, t.tXSDLL),
        (c.T_LENGTH + c.ACT, commands.ACT),
        (c.T_LENGTH + c.RD, commands.RD),
        (c.T_LENGTH + c.WR, commands.WR),
        (c.T_LENGTH + c.PRE, commands.PRE),
        (c.T_BUSES, commands.buses),
        (c.T_RFC_PB, t.tRFCpb or 0),
        (c.T_RFC_SB, t.tRFCsb or 0),
        (c.T_RREFD, t.tRREFD or 0),
        (c.T_PBR2PBR, t.tPBR2PBR or t.tRREFD or 0),
    ):
        vector[index - c.TIMING_BASE] = value
    if own_data_bus:
        return vector
    for index, value in (
        (c.T_RD_RD_RANK, burst + t.tRTRS),
        (c.T_RD_WR_RANK, spacing("RD", "WR", read_data + burst + t.tRTRS - t.tCWL)),
        (c.T_WR_RD_RANK, spacing("WR", "RD", t.tCWL + burst + t.tRTRS - read_data)),
        (c.T_WR_WR_RANK, burst + t.tRTRS),
    ):
        vector[index - c.TIMING_BASE] = value
    return vector
