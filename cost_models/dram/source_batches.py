"""Batch scheduling by source: no program waits for more than a batch of another's requests.

Parallelism-aware batch scheduling (Mutlu and Moscibroda, ISCA 2008, sections 4.1 to 4.3). When no
marked request is left, up to BatchCap of the oldest requests of each source and bank are marked.
Marked requests go first, among them row hits, then those of the source of the higher rank, then the
oldest. Rank is shortest job first: a source ranks higher the fewer marked requests it has in the
bank where it has most, then in all banks; then by its number, where the paper draws lots.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, request_at, slot_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.waiting import bank_of
from archgym.cost_models.jit import apart, inlined

# A request's priority, least first: two bits and a rank above its place in the trace.
_RANK_SHIFT = c.REQUEST_BITS
_NO_HIT = 1 << (_RANK_SHIFT + 6)
_UNMARKED = 1 << (_RANK_SHIFT + 7)


@inlined
def count_sources(m: IntArray, q: IntArray) -> None:
    """Note how many sources the requests have, and where the tags of their slots are."""
    m[c.Z_TAGS] = m[c.X_SLOTS] * c.SLOT_CELLS
    for i in range(c.Q_SOURCE, q.size, c.REQUEST_CELLS):
        m[c.Z_SOURCES] = max(m[c.Z_SOURCES], q[i] + 1)


@apart
def tag(m: IntArray, slot: IntArray, q: IntArray, i: int, s: int) -> None:
    """Note the source of request `i`, just stored in slot `s`; it is a batch if there is none."""
    slot[m[c.Z_TAGS] + s] = q[request_at(i) + c.Q_SOURCE]
    if m[c.Z_MARKED] == 0:
        form_batch(m, slot)


@apart
def ends_batch(m: IntArray, slot: IntArray, s: int) -> bool:
    """Whether the request in slot `s`, just served, was the last of its batch; form the next."""
    if slot[m[c.Z_TAGS] + s] < c.MOST_SOURCES:
        return False
    m[c.Z_MARKED] -= 1
    if m[c.Z_MARKED] > 0:
        return False
    form_batch(m, slot)
    return True


@apart
def form_batch(m: IntArray, slot: IntArray) -> None:
    """Mark the oldest requests of each source and bank, and rank the sources.

    Where writes are drained they are in no batch.
    """
    sources = m[c.Z_SOURCES]
    for source in range(sources):
        m[c.BATCH_MOST + source] = 0
        m[c.BATCH_TOTAL + source] = 0
    for k in range(m[c.X_ACTIVE]):
        for source in range(sources):
            m[c.BATCH_COUNT + source] = 0
        s = m[bank_at(bank_of(m, k)) + c.B_HEAD]
        while s >= 0:
            source = slot[m[c.Z_TAGS] + s]
            drained = m[c.Z_DRAINS] and slot[slot_at(s) + c.S_WRITE]
            if not drained and m[c.BATCH_COUNT + source] < m[c.Z_BATCH_CAP]:
                slot[m[c.Z_TAGS] + s] = source + c.MOST_SOURCES
                m[c.Z_MARKED] += 1
                m[c.BATCH_COUNT + source] += 1
                m[c.BATCH_TOTAL + source] += 1
                load = m[c.BATCH_COUNT + source]
                m[c.BATCH_MOST + source] = max(m[c.BATCH_MOST + source], load)
            s = slot[slot_at(s) + c.S_NEXT]
    for source in range(sources):
        m[c.BATCH_RANK + source] = 0
        for other in range(sources):
            if ranks_before(m, other, source):
                m[c.BATCH_RANK + source] += 1


@inlined
def ranks_before(m: IntArray, source: int, other: int) -> bool:
    """Whether one source's job in this batch is shorter than another's."""
    most = m[c.BATCH_MOST + source] - m[c.BATCH_MOST + other]
    total = m[c.BATCH_TOTAL + source] - m[c.BATCH_TOTAL + other]
    return bool(most < 0 or (most == 0 and (total < 0 or (total == 0 and source < other))))


@inlined
def priority(m: IntArray, slot: IntArray, s: int, row: int) -> int:
    """Priority, least first, of the request in slot `s` of a bank with open row `row`."""
    tagged = slot[m[c.Z_TAGS] + s]
    key = slot[slot_at(s) + c.S_REQUEST]
    key += m[c.BATCH_RANK + (tagged & (c.MOST_SOURCES - 1))] << _RANK_SHIFT
    if slot[slot_at(s) + c.S_ROW] != row:
        key += _NO_HIT
    if tagged < c.MOST_SOURCES:
        key += _UNMARKED
    return int(key)


@apart
def first_of_batch(m: IntArray, slot: IntArray, b: int) -> int:
    """Request of bank `b` that goes first, -1 without any; a read where writes are drained."""
    p = bank_at(b)
    best = -1
    best_key = c.INF
    s = m[p + c.B_HEAD]
    while s >= 0:
        if not (m[c.Z_DRAINS] and slot[slot_at(s) + c.S_WRITE]):
            key = priority(m, slot, s, m[p + c.B_ROW])
            if key < best_key:
                best = s
                best_key = key
        s = slot[slot_at(s) + c.S_NEXT]
    return int(best)
