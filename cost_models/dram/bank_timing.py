"""What an issued command does to the earliest cycles of later commands.

Per bank the kernel keeps the first cycle of the next ACT, RD/WR and PRE that the bank's own rules
allow (tRC, tRCD, tRAS, tRTP, tWR, tRP); per bank group and timing class (ACT, RD, WR) a shared
limit of what the rank's rules (tRRD, tFAW, tRFC), the bank group's rules (tCCD_L, tWTR_L, tRRD_L)
and the data bus between ranks (tRTRS) allow. A command is legal from the maximum of the two and of
the first cycle at which its command bus is free. Cycles are those in which commands begin, see
`timings`. Rules: JESD79-3F and JESD79-4, command timing sections; the rank-switch rules are those
of the shared data bus.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, limit_at, rank_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.jit import inlined


@inlined
def raise_to(m: IntArray, index: int, cycle: int) -> None:
    """Move an earliest cycle later, never earlier."""
    if m[index] < cycle:
        m[index] = cycle


@inlined
def raise_rank(m: IntArray, q: int, timing_class: int, cycle: int) -> None:
    """Raise the shared limits of one class in all bank groups of the rank with cells at `q`."""
    first = limit_at(m[q + c.R_SHARED]) + timing_class
    for k in range(m[c.X_GROUPS]):
        raise_to(m, first + k * c.CLASSES, cycle)


@inlined
def raise_other_ranks(m: IntArray, q: int, timing_class: int, cycle: int) -> None:
    """Raise the shared limits of one class in all ranks but the one with cells at `q`."""
    for r in range(m[c.X_RANKS]):
        if rank_at(r) != q:
            raise_rank(m, rank_at(r), timing_class, cycle)


@inlined
def after_activate(m: IntArray, p: int, q: int, t: int, row: int) -> None:
    """Open `row` of the bank with cells at `p`, of the rank with cells at `q`, at cycle `t`."""
    m[p + c.B_ROW] = row
    m[p + c.B_NEXT_CAS] = t + m[c.T_RCD]
    m[p + c.B_NEXT_RDA] = t
    raise_to(m, p + c.B_NEXT_ACT, t + m[c.T_RC])
    raise_to(m, p + c.B_NEXT_PRE, t + m[c.T_RAS])
    raise_to(m, q + c.R_NEXT_PREAB, t + m[c.T_RAS])
    raise_to(m, q + c.R_NEXT_REF, t + m[c.T_RC_REF])
    count_activation(m, q, t)
    raise_to(m, limit_at(m[p + c.B_GROUP]) + c.ACT, t + m[c.T_RRD_L])
    begin_active(m, q, t)
    m[q + c.R_OPEN] += 1


@inlined
def count_activation(m: IntArray, q: int, t: int) -> None:
    """Keep the next activation of the rank with cells at `q` apart: tRRD_S, tFAW of the fourth."""
    head = m[q + c.R_FAW_HEAD]
    m[q + c.R_FAW + head] = t
    head = (head + 1) & 3
    m[q + c.R_FAW_HEAD] = head
    window = m[q + c.R_FAW + head] + m[c.T_FAW]
    raise_rank(m, q, c.ACT, max(t + m[c.T_RRD_S], window))


@inlined
def begin_active(m: IntArray, q: int, t: int) -> None:
    """Begin a stretch of active standby at cycle `t`, unless one lasts."""
    if m[q + c.R_OPEN] == 0 and t >= m[q + c.R_ACTIVE_TO]:
        m[q + c.R_ACTIVE_SUM] += m[q + c.R_ACTIVE_TO] - m[q + c.R_ACTIVE_FROM]
        m[q + c.R_ACTIVE_FROM] = t


@inlined
def after_read(m: IntArray, p: int, q: int, t: int) -> None:
    """Book the data bus for a read at cycle `t`."""
    raise_to(m, p + c.B_NEXT_PRE, t + m[c.T_RTP])
    raise_to(m, q + c.R_NEXT_PREAB, t + m[c.T_RTP])
    if m[c.X_RANKS] > 1:
        raise_other_ranks(m, q, c.RD, t + m[c.T_RD_RD_RANK])
        raise_other_ranks(m, q, c.WR, t + m[c.T_RD_WR_RANK])
    raise_rank(m, q, c.RD, t + m[c.T_CCD_S])
    raise_rank(m, q, c.WR, t + m[c.T_RD_WR])
    raise_to(m, limit_at(m[p + c.B_GROUP]) + c.RD, t + m[c.T_CCD_L])


@inlined
def after_write(m: IntArray, p: int, q: int, t: int) -> None:
    """Book the data bus for a write at cycle `t`."""
    raise_to(m, p + c.B_NEXT_PRE, t + m[c.T_WR_PRE])
    m[p + c.B_NEXT_RDA] = t + m[c.T_WR_PRE] - m[c.T_RTP]
    raise_to(m, q + c.R_NEXT_PREAB, t + m[c.T_WR_PRE])
    if m[c.X_RANKS] > 1:
        raise_other_ranks(m, q, c.RD, t + m[c.T_WR_RD_RANK])
        raise_other_ranks(m, q, c.WR, t + m[c.T_WR_WR_RANK])
    raise_rank(m, q, c.RD, t + m[c.T_WR_RD_S])
    raise_rank(m, q, c.WR, t + m[c.T_CCD_S])
    raise_to(m, limit_at(m[p + c.B_GROUP]) + c.RD, t + m[c.T_WR_RD_L])
    raise_to(m, limit_at(m[p + c.B_GROUP]) + c.WR, t + m[c.T_CCD_L_WR])


@inlined
def after_precharge(m: IntArray, p: int, q: int, t: int) -> None:
    """Close a bank; its precharge begins at cycle `t`, by PRE or inside RDA and WRA."""
    m[p + c.B_ROW] = -1
    m[p + c.B_HITS] = 0
    m[p + c.B_FIRST] = -1
    raise_to(m, p + c.B_NEXT_ACT, t + m[c.T_RP])
    raise_to(m, q + c.R_NEXT_REF, t + m[c.T_RP_REF])
    m[q + c.R_OPEN] -= 1
    raise_to(m, q + c.R_ACTIVE_TO, t)


@inlined
def part_precharges(m: IntArray, q: int, t: int) -> None:
    """Keep the next PRE of a rank tPPD away from a PRE or PREA at cycle `t`."""
    if m[c.T_PPD] > m[c.T_LENGTH + c.PRE]:
        raise_rank(m, q, c.PRE, t + m[c.T_PPD])
        raise_to(m, q + c.R_NEXT_PREAB, t + m[c.T_PPD])


@inlined
def after_precharge_all(m: IntArray, out: IntArray, r: int, t: int) -> None:
    """Close every bank of rank `r` at cycle `t` and count them."""
    q = rank_at(r)
    out[c.O_PREAB] += 1
    for b in range(r * m[c.X_PER_RANK], (r + 1) * m[c.X_PER_RANK]):
        p = bank_at(b)
        if m[p + c.B_ROW] >= 0:
            out[c.O_PRE] += 1
            out[c.O_PREAB_BANKS] += 1
            after_precharge(m, p, q, t)
        raise_to(m, p + c.B_NEXT_ACT, t + m[c.T_RPAB])
    raise_to(m, q + c.R_NEXT_REF, t + m[c.T_RPAB_REF])
    part_precharges(m, q, t)


@inlined
def after_refresh(m: IntArray, q: int, t: int) -> None:
    """Keep a rank, all banks precharged, busy for tRFC from cycle `t`.

    The refresh ends with a precharge; until then the rank draws active standby current, as in
    DRAMPower 4.
    """
    begin_active(m, q, t)
    raise_to(m, q + c.R_ACTIVE_TO, t + m[c.T_RFC] - m[c.T_RP_REF])
    m[q + c.R_NEXT_REF] = t + m[c.T_RFC]
    m[q + c.R_REFRESH_END] = t + m[c.T_RFC]
    raise_rank(m, q, c.ACT, t + m[c.T_RFC_ACT])


@inlined
def occupy(m: IntArray, out: IntArray, command: int, t: int) -> None:
    """Keep the command bus busy with a command at cycle `t`, and book its cycles."""
    timing_class = command & (c.CLASSES - 1)
    until = t + m[c.T_LENGTH + timing_class]
    row_command = timing_class == c.ACT or timing_class == c.PRE
    if m[c.T_BUSES] == 1 or row_command:
        m[c.X_BUS] = until
    if m[c.T_BUSES] == 1 or not row_command:
        m[c.X_COLUMN_BUS] = until
    if until > m[c.X_ACCOUNTED]:
        out[c.O_STALL + c.STALL_COMMAND] += until - max(t, m[c.X_ACCOUNTED])
        m[c.X_ACCOUNTED] = until


@inlined
def close_books(m: IntArray, out: IntArray) -> None:
    """Book the cycles after the last command, and the active standby time of every rank."""
    end = out[c.O_CYCLES]
    if end > m[c.X_ACCOUNTED]:
        out[c.O_STALL + c.STALL_EMPTY] += end - m[c.X_ACCOUNTED]
    else:
        out[c.O_STALL + c.STALL_COMMAND] -= m[c.X_ACCOUNTED] - end
    for r in range(m[c.X_RANKS]):
        q = rank_at(r)
        to = m[q + c.R_ACTIVE_TO]
        if m[q + c.R_OPEN] > 0 or to > end:
            to = end
        out[c.O_ACTIVE] += m[q + c.R_ACTIVE_SUM] + to - m[q + c.R_ACTIVE_FROM]
