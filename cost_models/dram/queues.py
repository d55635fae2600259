"""The request buffers: one list per bank, and the choice each bank makes from its list."""

from __future__ import annotations

from numba import njit

from archgym.cost_models.dram.cells import (
    ACT,
    B_COMMAND,
    B_COUNT,
    B_EARLIEST,
    B_FIRST,
    B_HEAD,
    B_HITS,
    B_NEXT_ACT,
    B_NEXT_CAS,
    B_NEXT_PRE,
    B_NEXT_RDA,
    B_REQUEST,
    B_ROW,
    B_SHARED,
    B_SLOT,
    B_TAIL,
    BANK_CELLS,
    CLASSES,
    INF,
    PAGE_CLOSED,
    PAGE_CLOSED_ADAPTIVE,
    PAGE_OPEN_ADAPTIVE,
    PRE,
    RD,
    RDA,
    S_COLUMN,
    S_NEXT,
    S_PREVIOUS,
    S_REQUEST,
    S_ROW,
    S_WRITE,
    SCHED_FIFO,
    SCHED_FRFCFS_GRP,
    SLOT_CELLS,
    WR,
    WRA,
)


@njit(cache=True, nogil=True)
def append(bank, slot, b, s):  # type: ignore[no-untyped-def]
    """Put slot `s` at the end of bank `b`'s list; count it if it hits the open row."""
    p = b * BANK_CELLS
    tail = bank[p + B_TAIL]
    slot[s * SLOT_CELLS + S_NEXT] = -1
    slot[s * SLOT_CELLS + S_PREVIOUS] = tail
    if tail < 0:
        bank[p + B_HEAD] = s
    else:
        slot[tail * SLOT_CELLS + S_NEXT] = s
    bank[p + B_TAIL] = s
    bank[p + B_COUNT] += 1
    if bank[p + B_ROW] == slot[s * SLOT_CELLS + S_ROW]:
        bank[p + B_HITS] += 1
        if bank[p + B_FIRST] < 0:
            bank[p + B_FIRST] = s


@njit(cache=True, nogil=True)
def remove(bank, slot, b, s):  # type: ignore[no-untyped-def]
    """Take slot `s`, a hit of the open row, out of bank `b`'s list."""
    p = b * BANK_CELLS
    after = slot[s * SLOT_CELLS + S_NEXT]
    before = slot[s * SLOT_CELLS + S_PREVIOUS]
    if before < 0:
        bank[p + B_HEAD] = after
    else:
        slot[before * SLOT_CELLS + S_NEXT] = after
    if after < 0:
        bank[p + B_TAIL] = before
    else:
        slot[after * SLOT_CELLS + S_PREVIOUS] = before
    bank[p + B_COUNT] -= 1
    bank[p + B_HITS] -= 1
    if bank[p + B_FIRST] == s:
        bank[p + B_FIRST] = -1
        if bank[p + B_HITS] > 0:
            row = bank[p + B_ROW]
            while slot[after * SLOT_CELLS + S_ROW] != row:
                after = slot[after * SLOT_CELLS + S_NEXT]
            bank[p + B_FIRST] = after


@njit(cache=True, nogil=True)
def count_hits(bank, slot, b):  # type: ignore[no-untyped-def]
    """Count the queued requests of the row just opened; the head of the list opened it."""
    p = b * BANK_CELLS
    row = bank[p + B_ROW]
    s = bank[p + B_HEAD]
    hits = 0
    first = -1
    while s >= 0:
        if slot[s * SLOT_CELLS + S_ROW] == row:
            hits += 1
            if first < 0:
                first = s
        s = slot[s * SLOT_CELLS + S_NEXT]
    bank[p + B_HITS] = hits
    bank[p + B_FIRST] = first


@njit(cache=True, nogil=True)
def first_of_direction(bank, slot, b, write):  # type: ignore[no-untyped-def]
    """Oldest row hit of one direction that overtakes no hit of its address; else the oldest."""
    p = b * BANK_CELLS
    first = bank[p + B_FIRST]
    row = bank[p + B_ROW]
    s = first
    while s >= 0:
        cell = s * SLOT_CELLS
        if slot[cell + S_ROW] == row and slot[cell + S_WRITE] == write:
            older = first
            while older != s and (
                slot[older * SLOT_CELLS + S_ROW] != row
                or slot[older * SLOT_CELLS + S_COLUMN] != slot[cell + S_COLUMN]
            ):
                older = slot[older * SLOT_CELLS + S_NEXT]
            if older == s:
                return s
        s = slot[cell + S_NEXT]
    return first


@njit(cache=True, nogil=True)
def auto_precharge(bank, slot, b, page, scheduler):  # type: ignore[no-untyped-def]
    """Whether the access that bank `b` makes next closes the row, by the page policy."""
    if page == PAGE_CLOSED:
        return True
    if page != PAGE_OPEN_ADAPTIVE and page != PAGE_CLOSED_ADAPTIVE:
        return False
    p = b * BANK_CELLS
    waiting = bank[p + B_COUNT] >= 2
    if scheduler == SCHED_FIFO:
        further = False
        if waiting:
            second = slot[bank[p + B_HEAD] * SLOT_CELLS + S_NEXT]
            further = slot[second * SLOT_CELLS + S_ROW] == bank[p + B_ROW]
    else:
        further = bank[p + B_HITS] >= 2
    if page == PAGE_OPEN_ADAPTIVE:
        return waiting and not further
    return not further


@njit(cache=True, nogil=True)
def choose(bank, slot, b, g, page, scheduler, last_write):  # type: ignore[no-untyped-def]
    """Let bank `b` choose its request, the command for it, and the cycle its own timing allows."""
    p = b * BANK_CELLS
    if bank[p + B_COUNT] == 0:
        bank[p + B_EARLIEST] = INF
        return
    s = bank[p + B_HEAD]
    row = bank[p + B_ROW]
    if row < 0:
        command = ACT
        earliest = bank[p + B_NEXT_ACT]
    else:
        if scheduler != SCHED_FIFO and bank[p + B_HITS] > 0:
            s = bank[p + B_FIRST]
            if scheduler == SCHED_FRFCFS_GRP and slot[s * SLOT_CELLS + S_WRITE] != last_write:
                s = first_of_direction(bank, slot, b, last_write)
        if slot[s * SLOT_CELLS + S_ROW] != row:
            command = PRE
            earliest = bank[p + B_NEXT_PRE]
        else:
            earliest = bank[p + B_NEXT_CAS]
            write = slot[s * SLOT_CELLS + S_WRITE]
            command = WR if write else RD
            if auto_precharge(bank, slot, b, page, scheduler):
                command = WRA if write else RDA
                if not write:
                    earliest = max(earliest, bank[p + B_NEXT_RDA])
    bank[p + B_SLOT] = s
    bank[p + B_REQUEST] = slot[s * SLOT_CELLS + S_REQUEST]
    bank[p + B_COMMAND] = command
    bank[p + B_EARLIEST] = earliest
    bank[p + B_SHARED] = g * CLASSES + (command & 3)
