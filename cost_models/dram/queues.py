"""The request buffers: one list per bank, and the choice each bank makes from its list."""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, place_at, slot_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.source_batches import first_of_batch, priority
from archgym.cost_models.dram.waiting import bank_of
from archgym.cost_models.jit import apart, inlined


@inlined
def append(m: IntArray, slot: IntArray, b: int, s: int) -> None:
    """Put slot `s` at the end of bank `b`'s list; count it if it hits the open row."""
    p = bank_at(b)
    tail = m[p + c.B_TAIL]
    slot[slot_at(s) + c.S_NEXT] = -1
    slot[slot_at(s) + c.S_PREVIOUS] = tail
    if tail < 0:
        m[p + c.B_HEAD] = s
    else:
        slot[slot_at(tail) + c.S_NEXT] = s
    m[p + c.B_TAIL] = s
    m[p + c.B_COUNT] += 1
    if m[p + c.B_ROW] == slot[slot_at(s) + c.S_ROW]:
        m[p + c.B_HITS] += 1
        if m[p + c.B_FIRST] < 0:
            m[p + c.B_FIRST] = s


@inlined
def remove(m: IntArray, slot: IntArray, b: int, s: int) -> None:
    """Take slot `s`, a hit of the open row, out of bank `b`'s list."""
    p = bank_at(b)
    after = slot[slot_at(s) + c.S_NEXT]
    before = slot[slot_at(s) + c.S_PREVIOUS]
    if before < 0:
        m[p + c.B_HEAD] = after
    else:
        slot[slot_at(before) + c.S_NEXT] = after
    if after < 0:
        m[p + c.B_TAIL] = before
    else:
        slot[slot_at(after) + c.S_PREVIOUS] = before
    m[p + c.B_COUNT] -= 1
    m[p + c.B_HITS] -= 1
    if m[p + c.B_FIRST] == s:
        m[p + c.B_FIRST] = -1
        if m[p + c.B_HITS] > 0:
            row = m[p + c.B_ROW]
            while slot[slot_at(after) + c.S_ROW] != row:
                after = slot[slot_at(after) + c.S_NEXT]
            m[p + c.B_FIRST] = after


@inlined
def count_hits(m: IntArray, slot: IntArray, b: int) -> None:
    """Count the queued requests of the row just opened; the head of the list opened it."""
    p = bank_at(b)
    row = m[p + c.B_ROW]
    s = m[p + c.B_HEAD]
    hits = 0
    first = -1
    while s >= 0:
        if slot[slot_at(s) + c.S_ROW] == row:
            hits += 1
            if first < 0:
                first = s
        s = slot[slot_at(s) + c.S_NEXT]
    m[p + c.B_HITS] = hits
    m[p + c.B_FIRST] = first


@inlined
def first_of_direction(m: IntArray, slot: IntArray, b: int, write: int) -> int:
    """Oldest row hit of one direction that overtakes no hit of its address; else the oldest."""
    p = bank_at(b)
    first = m[p + c.B_FIRST]
    if slot[slot_at(first) + c.S_WRITE] == write:
        return int(first)
    row = m[p + c.B_ROW]
    s = first
    while s >= 0:
        cell = slot_at(s)
        if slot[cell + c.S_ROW] == row and slot[cell + c.S_WRITE] == write:
            older = first
            while older != s and (
                slot[slot_at(older) + c.S_ROW] != row
                or slot[slot_at(older) + c.S_COLUMN] != slot[cell + c.S_COLUMN]
            ):
                older = slot[slot_at(older) + c.S_NEXT]
            if older == s:
                return int(s)
        s = slot[cell + c.S_NEXT]
    return int(first)


@inlined
def oldest(m: IntArray, slot: IntArray, b: int) -> int:
    """Oldest request of bank `b`, where writes are drained of the direction served now; or -1."""
    s = m[bank_at(b) + c.B_HEAD]
    if m[c.Z_DRAINS]:
        while s >= 0 and slot[slot_at(s) + c.S_WRITE] != m[c.Z_WRITE_MODE]:
            s = slot[slot_at(s) + c.S_NEXT]
    return int(s)


@apart
def drained(m: IntArray, slot: IntArray, b: int) -> int:
    """Request that bank `b` serves in the direction served now, -1 without any.

    A row hit before the oldest, by the scheduler. Where an older request of the other direction has
    the same address, that one: a read returns what was written before it, and nothing else.
    """
    p = bank_at(b)
    s = oldest(m, slot, b)
    if s < 0:
        return -1
    row = m[p + c.B_ROW]
    if m[c.X_SCHEDULER] != c.SCHED_FIFO and m[c.OVERTAKEN + b] < m[c.Z_CAP]:
        write = m[c.Z_WRITE_MODE]
        hit = m[p + c.B_FIRST]
        while hit >= 0 and (
            slot[slot_at(hit) + c.S_ROW] != row or slot[slot_at(hit) + c.S_WRITE] != write
        ):
            hit = slot[slot_at(hit) + c.S_NEXT]
        if hit >= 0:
            s = hit
    return first_of_place(m, slot, b, s)


@inlined
def first_of_place(m: IntArray, slot: IntArray, b: int, s: int) -> int:
    """Oldest request of bank `b` with the address of the one in slot `s`, which may be itself."""
    older = m[bank_at(b) + c.B_HEAD]
    while older != s and (
        slot[slot_at(older) + c.S_ROW] != slot[slot_at(s) + c.S_ROW]
        or slot[slot_at(older) + c.S_COLUMN] != slot[slot_at(s) + c.S_COLUMN]
    ):
        older = slot[slot_at(older) + c.S_NEXT]
    return int(older)


@inlined
def auto_precharge(m: IntArray, slot: IntArray, b: int, more: bool) -> bool:
    """Whether the access that bank `b` makes next closes the row, by the page policy."""
    page = m[c.X_PAGE]
    if page == c.PAGE_CLOSED:
        return True
    if page != c.PAGE_OPEN_ADAPTIVE and page != c.PAGE_CLOSED_ADAPTIVE:
        return False
    p = bank_at(b)
    waiting = m[p + c.B_COUNT] >= 2
    if m[c.X_SCHEDULER] == c.SCHED_FIFO and not (more and m[c.Z_DRAINS]):
        further = False
        if waiting:
            second = slot[slot_at(m[p + c.B_HEAD]) + c.S_NEXT]
            further = slot[slot_at(second) + c.S_ROW] == m[p + c.B_ROW]
    else:
        further = m[p + c.B_HITS] >= 2
    if page == c.PAGE_OPEN_ADAPTIVE:
        return waiting and not further
    return not further


@inlined
def choose(m: IntArray, slot: IntArray, b: int, more: bool) -> None:
    """Let bank `b` choose its request, the command for it, and the cycle its own timing allows.

    `more`, a constant that is compiled in: whether the design has the parameters of `modern`.
    """
    p = bank_at(b)
    if m[p + c.B_COUNT] == 0:
        return
    k = place_at(m[p + c.B_PLACE])
    s = m[p + c.B_HEAD]
    row = m[p + c.B_ROW]
    scheduler = m[c.X_SCHEDULER]
    key = -1
    if more and scheduler == c.SCHED_BATCH and not m[c.Z_WRITE_MODE]:
        s = first_of_batch(m, slot, b)
        if s < 0:
            m[k + c.W_EARLIEST] = c.INF
            return
        key = priority(m, slot, s, row)
        s = first_of_place(m, slot, b, s)
    elif more and m[c.Z_DRAINS]:
        s = drained(m, slot, b)
        if s < 0:
            m[k + c.W_EARLIEST] = c.INF
            return
    elif (
        row >= 0
        and scheduler != c.SCHED_FIFO
        and m[p + c.B_HITS] > 0
        and not (more and m[c.OVERTAKEN + b] >= m[c.Z_CAP])
    ):
        s = m[p + c.B_FIRST]
        if scheduler == c.SCHED_FRFCFS_GRP:
            s = first_of_direction(m, slot, b, m[c.X_LAST_WRITE])
    if row < 0:
        command = c.ACT
        earliest = m[p + c.B_NEXT_ACT]
    elif slot[slot_at(s) + c.S_ROW] != row:
        command = c.PRE
        earliest = m[p + c.B_NEXT_PRE]
    else:
        earliest = m[p + c.B_NEXT_CAS]
        write = slot[slot_at(s) + c.S_WRITE]
        command = c.WR if write else c.RD
        if write:
            earliest += m[c.T_RCD_WR_MORE]
        if auto_precharge(m, slot, b, more):
            command = c.WRA if write else c.RDA
            if not write:
                earliest = max(earliest, m[p + c.B_NEXT_RDA])
    m[p + c.B_SLOT] = s
    m[p + c.B_COMMAND] = command
    age = key if more and key >= 0 else slot[slot_at(s) + c.S_REQUEST]
    m[k + c.W_ORDER] = (age << c.BANK_BITS) | b
    m[k + c.W_EARLIEST] = earliest
    m[k + c.W_LIMIT] = m[p + c.B_GROUP] + (command & 3)


@inlined
def choose_all(m: IntArray, slot: IntArray, more: bool) -> None:
    """Let every bank with requests choose again."""
    for k in range(m[c.X_ACTIVE]):
        choose(m, slot, bank_of(m, k), more)
