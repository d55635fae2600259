"""The memory of a kernel at cycle 0, and what both kernels do with it."""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, rank_at, request_at, slot_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.jit import inlined


@inlined
def banks_of(geometry: IntArray) -> int:
    """Banks of a channel."""
    return int(geometry[c.G_RANKS] * geometry[c.G_GROUPS] * geometry[c.G_BANKS])


@inlined
def build(m: IntArray, geometry: IntArray, tm: IntArray, most_reads: int) -> None:
    """Fill the memory `m`, zeros, with precharged banks and idle ranks; two lists per bank."""
    ranks = geometry[c.G_RANKS]
    groups = geometry[c.G_GROUPS]
    per_rank = groups * geometry[c.G_BANKS]
    banks = ranks * per_rank
    m[c.X_RANKS] = ranks
    m[c.X_GROUPS] = groups
    m[c.X_PER_RANK] = per_rank
    m[c.X_PARTS] = geometry[c.G_PARTS]
    m[c.X_MOST_READS] = most_reads
    m[c.X_BEST] = -1
    m[c.X_RESCAN] = 1
    m[c.X_BLOCKED_AT] = c.NEVER
    m[c.X_LAST_ANSWER] = -1
    m[c.X_LOOK] = c.INF
    m[c.X_TRIGGER] = c.INF
    for k in range(c.TIMINGS):
        m[c.TIMING_BASE + k] = tm[k]
    for r in range(ranks):
        q = rank_at(r)
        m[q + c.R_SHARED] = c.SHARED_BASE + r * groups * c.CLASSES
        m[q + c.R_TRIGGER] = c.INF
        for k in range(4):
            m[q + c.R_FAW + k] = c.NEVER
    for b in range(2 * banks):
        p = bank_at(b)
        m[p + c.B_ROW] = -1
        m[p + c.B_HEAD] = -1
        m[p + c.B_TAIL] = -1
        m[p + c.B_FIRST] = -1
        m[p + c.B_SLOT] = -1
        m[p + c.B_GROUP] = c.SHARED_BASE + b // geometry[c.G_BANKS] * c.CLASSES
    for b in range(banks):
        m[c.RANK_OF + b] = b // per_rank


@inlined
def free_slots(m: IntArray, slot: IntArray) -> None:
    """Make all slots free, each naming the next."""
    for s in range(m[c.X_SLOTS]):
        slot[slot_at(s) + c.S_NEXT] = s + 1


@inlined
def take_slot(m: IntArray, slot: IntArray, q: IntArray, i: int, t: int) -> int:
    """Fill a free slot with request `i`, accepted at `t`."""
    s = m[c.X_FREE]
    cell = slot_at(s)
    request = request_at(i)
    m[c.X_FREE] = slot[cell + c.S_NEXT]
    slot[cell + c.S_REQUEST] = i
    slot[cell + c.S_ROW] = q[request + c.Q_ROW]
    slot[cell + c.S_WRITE] = q[request + c.Q_WRITE]
    slot[cell + c.S_COLUMN] = q[request + c.Q_COLUMN]
    slot[cell + c.S_ACCEPTED] = t
    slot[cell + c.S_CLASSIFIED] = 0
    return int(s)


@inlined
def give_slot(m: IntArray, slot: IntArray, s: int) -> None:
    """Free slot `s`."""
    slot[slot_at(s) + c.S_NEXT] = m[c.X_FREE]
    m[c.X_FREE] = s


@inlined
def drop(m: IntArray, first: int, count: int, b: int) -> None:
    """Remove `b` from the unordered list of cells `first` that has its length in cell `count`."""
    i = first
    while m[i] != b:
        i += 1
    m[count] -= 1
    m[i] = m[first + m[count]]


@inlined
def record(
    commands: IntArray, out: IntArray, t: int, command: int, b: int, row: int, column: int
) -> None:
    """Append a command to the trace, where one is wanted."""
    k = out[c.O_COMMANDS]
    if k < commands.shape[0]:
        commands[k, 0] = t
        commands[k, 1] = command
        commands[k, 2] = b
        commands[k, 3] = row
        commands[k, 4] = column
    out[c.O_COMMANDS] = k + 1


@inlined
def classify(slot: IntArray, out: IntArray, s: int, command: int) -> None:
    """Count a request as hit, miss or conflict by its first command."""
    if slot[slot_at(s) + c.S_CLASSIFIED] == 0:
        slot[slot_at(s) + c.S_CLASSIFIED] = 1
        if command == c.ACT:
            out[c.O_MISSES] += 1
        elif command == c.PRE:
            out[c.O_CONFLICTS] += 1
        else:
            out[c.O_HITS] += 1
