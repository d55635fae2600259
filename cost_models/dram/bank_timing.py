"""What an issued command does to the earliest cycles of later commands.

Per bank the kernel keeps the first cycle of the next ACT, RD/WR and PRE that the bank's own rules
allow (tRC, tRCD, tRAS, tRTP, tWR, tRP); `shared`, indexed by bank group of the channel and timing
class (ACT, RD, WR, PRE), keeps what the rank's rules (tRRD, tFAW, tRFC), the bank group's rules
(tCCD_L, tWTR_L, tRRD_L) and the data bus between ranks (tRTRS) allow. A command is legal from the
maximum of the two and of the cycle after the last command. Rules: JESD79-3F and JESD79-4,
command timing sections; the rank-switch rules are those of the shared data bus.
"""

from __future__ import annotations

from numba import njit

from archgym.cost_models.dram.cells import (
    ACT,
    B_ACT_AT,
    B_FIRST,
    B_HITS,
    B_NEXT_ACT,
    B_NEXT_CAS,
    B_NEXT_PRE,
    B_NEXT_RDA,
    B_ROW,
    BANK_CELLS,
    CLASSES,
    R_ACTIVE_FROM,
    R_ACTIVE_SUM,
    R_ACTIVE_TO,
    R_FAW,
    R_FAW_HEAD,
    R_NEXT_PREAB,
    R_NEXT_REF,
    R_OPEN,
    R_REFRESH_END,
    RANK_CELLS,
    RD,
    T_CCD_L,
    T_CCD_S,
    T_FAW,
    T_RAS,
    T_RC,
    T_RCD,
    T_RD_RD_RANK,
    T_RD_WR,
    T_RD_WR_RANK,
    T_RFC,
    T_RP,
    T_RRD_L,
    T_RRD_S,
    T_RTP,
    T_WR_PRE,
    T_WR_RD_L,
    T_WR_RD_RANK,
    T_WR_RD_S,
    T_WR_WR_RANK,
    WR,
)


@njit(cache=True, nogil=True)
def raise_to(cells, index, cycle):  # type: ignore[no-untyped-def]
    """Move an earliest cycle later, never earlier."""
    if cells[index] < cycle:
        cells[index] = cycle


@njit(cache=True, nogil=True)
def after_activate(bank, rank, shared, tm, groups, b, r, g, t, row):  # type: ignore[no-untyped-def]
    """Open `row` of bank `b` at cycle `t`."""
    p = b * BANK_CELLS
    bank[p + B_ROW] = row
    bank[p + B_ACT_AT] = t
    bank[p + B_NEXT_CAS] = t + tm[T_RCD]
    bank[p + B_NEXT_RDA] = t
    raise_to(bank, p + B_NEXT_ACT, t + tm[T_RC])
    raise_to(bank, p + B_NEXT_PRE, t + tm[T_RAS])
    q = r * RANK_CELLS
    raise_to(rank, q + R_NEXT_PREAB, t + tm[T_RAS])
    raise_to(rank, q + R_NEXT_REF, t + tm[T_RC])
    head = rank[q + R_FAW_HEAD]
    rank[q + R_FAW + head] = t
    head = (head + 1) & 3
    rank[q + R_FAW_HEAD] = head
    limit = max(t + tm[T_RRD_S], rank[q + R_FAW + head] + tm[T_FAW])
    for other in range(r * groups, (r + 1) * groups):
        raise_to(shared, other * CLASSES + ACT, limit)
    raise_to(shared, g * CLASSES + ACT, t + tm[T_RRD_L])
    if rank[q + R_OPEN] == 0 and t >= rank[q + R_ACTIVE_TO]:
        rank[q + R_ACTIVE_SUM] += rank[q + R_ACTIVE_TO] - rank[q + R_ACTIVE_FROM]
        rank[q + R_ACTIVE_FROM] = t
    rank[q + R_OPEN] += 1


@njit(cache=True, nogil=True)
def after_read(bank, rank, shared, tm, groups, ranks, b, r, g, t):  # type: ignore[no-untyped-def]
    """Book the data bus for a read of bank `b` at cycle `t`."""
    raise_to(bank, b * BANK_CELLS + B_NEXT_PRE, t + tm[T_RTP])
    raise_to(rank, r * RANK_CELLS + R_NEXT_PREAB, t + tm[T_RTP])
    for other in range(ranks):
        if other != r:
            for og in range(other * groups, (other + 1) * groups):
                raise_to(shared, og * CLASSES + RD, t + tm[T_RD_RD_RANK])
                raise_to(shared, og * CLASSES + WR, t + tm[T_RD_WR_RANK])
    for other in range(r * groups, (r + 1) * groups):
        raise_to(shared, other * CLASSES + RD, t + tm[T_CCD_S])
        raise_to(shared, other * CLASSES + WR, t + tm[T_RD_WR])
    raise_to(shared, g * CLASSES + RD, t + tm[T_CCD_L])


@njit(cache=True, nogil=True)
def after_write(bank, rank, shared, tm, groups, ranks, b, r, g, t):  # type: ignore[no-untyped-def]
    """Book the data bus for a write to bank `b` at cycle `t`."""
    p = b * BANK_CELLS
    raise_to(bank, p + B_NEXT_PRE, t + tm[T_WR_PRE])
    bank[p + B_NEXT_RDA] = t + tm[T_WR_PRE] - tm[T_RTP]
    raise_to(rank, r * RANK_CELLS + R_NEXT_PREAB, t + tm[T_WR_PRE])
    for other in range(ranks):
        if other != r:
            for og in range(other * groups, (other + 1) * groups):
                raise_to(shared, og * CLASSES + RD, t + tm[T_WR_RD_RANK])
                raise_to(shared, og * CLASSES + WR, t + tm[T_WR_WR_RANK])
    for other in range(r * groups, (r + 1) * groups):
        raise_to(shared, other * CLASSES + RD, t + tm[T_WR_RD_S])
        raise_to(shared, other * CLASSES + WR, t + tm[T_CCD_S])
    raise_to(shared, g * CLASSES + RD, t + tm[T_WR_RD_L])
    raise_to(shared, g * CLASSES + WR, t + tm[T_CCD_L])


@njit(cache=True, nogil=True)
def after_precharge(bank, rank, tm, b, r, t):  # type: ignore[no-untyped-def]
    """Close bank `b`; its precharge begins at cycle `t`, by PRE or inside RDA and WRA."""
    p = b * BANK_CELLS
    bank[p + B_ROW] = -1
    bank[p + B_HITS] = 0
    bank[p + B_FIRST] = -1
    raise_to(bank, p + B_NEXT_ACT, t + tm[T_RP])
    q = r * RANK_CELLS
    raise_to(rank, q + R_NEXT_REF, t + tm[T_RP])
    rank[q + R_OPEN] -= 1
    raise_to(rank, q + R_ACTIVE_TO, t)


@njit(cache=True, nogil=True)
def after_refresh(rank, shared, tm, groups, r, t):  # type: ignore[no-untyped-def]
    """Keep rank `r`, all banks precharged, busy for tRFC from cycle `t`.

    The refresh ends with a precharge; until then the rank draws active standby current, as in
    DRAMPower 4.
    """
    q = r * RANK_CELLS
    if t >= rank[q + R_ACTIVE_TO]:
        rank[q + R_ACTIVE_SUM] += rank[q + R_ACTIVE_TO] - rank[q + R_ACTIVE_FROM]
        rank[q + R_ACTIVE_FROM] = t
    raise_to(rank, q + R_ACTIVE_TO, t + tm[T_RFC] - tm[T_RP])
    rank[q + R_NEXT_REF] = t + tm[T_RFC]
    rank[q + R_REFRESH_END] = t + tm[T_RFC]
    for other in range(r * groups, (r + 1) * groups):
        raise_to(shared, other * CLASSES + ACT, t + tm[T_RFC])


@njit(cache=True, nogil=True)
def auto_precharge_cycle(bank, tm, b, is_write, t):  # type: ignore[no-untyped-def]
    """Cycle at which an RDA or WRA issued at `t` begins its precharge."""
    earliest = bank[b * BANK_CELLS + B_ACT_AT] + tm[T_RAS]
    if is_write:
        return max(earliest, t + tm[T_WR_PRE])
    return max(earliest, t + tm[T_RTP])
