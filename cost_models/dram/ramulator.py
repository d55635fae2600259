"""Event-skipping kernel of Ramulator 2.1's generic DDR controller, as a compatibility policy.

Read and write buffers, write mode between two watermarks, an active buffer of requests whose row
was opened for them (they go first and protect their bank from PRE), a queue of refreshes that goes
before reads and writes, first-ready first-come-first-served among the rest. It repeats that
simulator's known deviations (see `docs/cost_models/dram.md`): a read answered out of the write
buffer waits for the reads before it, and no row is opened in any rank while a refresh waits.

In each tick the controller first takes at most one request, sent at the clock before, then issues
at most one command. Bank b has two lists: list b of its reads, list b + banks of its writes.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, limit_at, rank_at, request_at, slot_at
from archgym.cost_models.dram.bank_timing import (
    after_activate,
    after_precharge,
    after_precharge_all,
    after_read,
    after_refresh,
    after_write,
    close_books,
    occupy,
    part_precharges,
    raise_to,
)
from archgym.cost_models.dram.machine import (
    classify,
    drop,
    give_slot,
    record,
    take_slot,
)
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.queues import append, count_hits, remove
from archgym.cost_models.dram.responses import ByteArray, answer, reads_before
from archgym.cost_models.dram.row_cap import (
    count_access,
    forget_accesses,
    last_access,
    next_close,
    queue_closes,
    take_close,
)
from archgym.cost_models.jit import inlined


@inlined
def start(m: IntArray, policy: IntArray) -> None:
    """Fill the cells of a controller with the parameters `policy`."""
    m[c.Y_ROW_HIT_FIRST] = policy[c.RP_SCHEDULER] == c.RSCHED_FRFCFS_ROW_HIT
    m[c.Y_ROOM] = policy[c.RP_READS]
    m[c.Y_ROOM + 1] = policy[c.RP_WRITES]
    m[c.Y_LOW] = policy[c.RP_LOW]
    m[c.Y_HIGH] = policy[c.RP_HIGH]
    m[c.Y_ROW_CAP] = policy[c.RP_ROW_CAP]
    m[c.Y_DUE_AT] = c.INF
    m[c.X_TRIGGER] = m[c.T_REFI] if policy[c.RP_REFRESH] != c.REFRESH_NONE else c.INF
    m[c.X_TAKEN] = -1
    m[c.X_ARRIVES] = c.INF
    m[c.X_ACCOUNTED] = 1
    m[c.X_SLOTS] = m[c.Y_ROOM] + m[c.Y_ROOM + 1] + m[c.X_RANKS] * m[c.X_PER_RANK]


@inlined
def find_arrival(m: IntArray, q: IntArray, returns: IntArray) -> None:
    """Find the clock from which the next request may be sent, if what it waits for is known."""
    i = m[c.X_ACCEPTED]
    if request_at(i) >= q.size:
        return
    sent = max(q[request_at(i) + c.Q_ARRIVAL], m[c.X_TAKEN] + 1)
    reads = reads_before(m)
    if m[c.X_MOST_READS] > 0 and reads >= m[c.X_MOST_READS]:
        k = reads - m[c.X_MOST_READS]
        if k >= m[c.X_ANSWERED_READS]:
            return
        sent = max(sent, returns[1, k & (returns.shape[1] - 1)])
    m[c.X_ARRIVES] = sent


@inlined
def buffered(m: IntArray, slot: IntArray, k: int, row: int, column: int) -> bool:
    """Whether list `k` holds a request for this address."""
    s = m[bank_at(k) + c.B_HEAD]
    while s >= 0:
        cell = slot_at(s)
        if slot[cell + c.S_ROW] == row and slot[cell + c.S_COLUMN] == column:
            return True
        s = slot[cell + c.S_NEXT]
    return False


@inlined
def store(m: IntArray, slot: IntArray, q: IntArray, i: int, clock: int) -> bool:
    """Put request `i` into its buffer; false where that is full."""
    write = q[request_at(i) + c.Q_WRITE]
    if m[c.Y_BUFFERED + write] >= m[c.Y_ROOM + write]:
        return False
    b = q[request_at(i) + c.Q_HOME]
    k = b + write * m[c.X_RANKS] * m[c.X_PER_RANK]
    if m[bank_at(k) + c.B_COUNT] == 0:
        m[c.ACTIVE_BASE + write * c.MOST_BANKS + m[c.Y_BUSY + write]] = b
        m[c.Y_BUSY + write] += 1
    append(m, slot, k, take_slot(m, slot, q, i, clock))
    m[c.Y_BUFFERED + write] += 1
    m[c.X_RESCAN] = 1
    return True


@inlined
def send(
    m: IntArray,
    slot: IntArray,
    q: IntArray,
    returns: IntArray,
    lines: ByteArray,
    tail: IntArray,
    shares: IntArray,
    latency: IntArray,
    out: IntArray,
    clock: int,
) -> bool:
    """Send the next request at `clock`; false where its buffer is full."""
    i = m[c.X_ACCEPTED]
    cell = request_at(i)
    write = q[cell + c.Q_WRITE]
    writes = q[cell + c.Q_HOME] + m[c.X_RANKS] * m[c.X_PER_RANK]
    if buffered(m, slot, writes, q[cell + c.Q_ROW], q[cell + c.Q_COLUMN]):
        m[c.X_SERVED] += 1
        if write:
            out[c.O_COALESCED] += 1
            out[c.O_CYCLES] = max(out[c.O_CYCLES], clock)
            if latency.size > 0:
                latency[i, :] = clock - q[cell + c.Q_ARRIVAL]
        else:
            out[c.O_FORWARDED] += 1
            ready = max(m[c.X_LAST_ANSWER], clock + 1)
            answer(m, q, returns, lines, tail, shares, latency, out, i, clock, ready)
    elif not store(m, slot, q, i, clock):
        return False
    m[c.X_ACCEPTED] = i + 1
    m[c.X_READS] += 1 - write
    m[c.X_TAKEN] = clock
    m[c.X_ARRIVES] = c.INF
    return True


@inlined
def find_active(m: IntArray, slot: IntArray, t: int) -> None:
    """Find the first access of the active buffer: earliest, then oldest."""
    best_at = c.INF
    best_request = c.INF
    m[c.X_BEST] = -1
    for k in range(c.OPENED_BASE, c.OPENED_BASE + m[c.Y_OPENED]):
        p = bank_at(m[k])
        s = m[p + c.B_SLOT]
        command = c.RD + slot[slot_at(s) + c.S_WRITE]
        request = slot[slot_at(s) + c.S_REQUEST]
        own = m[p + c.B_NEXT_CAS]
        if command == c.WR:
            own += m[c.T_RCD_WR_MORE]
        at = max(max(own, m[limit_at(m[p + c.B_GROUP] + command)]), max(m[c.X_COLUMN_BUS], t))
        if at < best_at or (at == best_at and request < best_request):
            best_at = at
            best_request = request
            m[c.X_BEST] = s
            m[c.Y_COMMAND] = command
            m[c.Y_OWN] = own
    m[c.X_BEST_AT] = best_at


@inlined
def find_refresh(m: IntArray, t: int) -> None:
    """Find what the refresh at the head of the queue needs; it waits for active requests."""
    r = m[c.Y_REFRESHED] % m[c.X_RANKS]
    for k in range(c.OPENED_BASE, c.OPENED_BASE + m[c.Y_OPENED]):
        if m[c.RANK_OF + m[k]] == r:
            return
    q = rank_at(r)
    closed = m[q + c.R_OPEN] == 0
    at = max(m[q + c.R_NEXT_REF] if closed else m[q + c.R_NEXT_PREAB], max(m[c.X_BUS], t))
    if at < m[c.X_BEST_AT]:
        m[c.X_BEST_AT] = at
        m[c.X_BEST] = -1
        m[c.Y_COMMAND] = c.REFAB if closed else c.PREAB


@inlined
def find_close(m: IntArray, b: int, t: int) -> None:
    """Find when the PRE for bank `b` at the head of the queue can go; not before its access."""
    p = bank_at(b)
    if m[p + c.B_SLOT] >= 0:
        return
    own = max(m[p + c.B_NEXT_PRE], m[limit_at(m[p + c.B_GROUP] + c.PRE)])
    at = max(own, max(m[c.X_BUS], t))
    if at < m[c.X_BEST_AT]:
        m[c.X_BEST_AT] = at
        m[c.X_BEST] = -1
        m[c.Y_COMMAND] = c.PRE
        m[c.Y_OWN] = at


@inlined
def set_write_mode(m: IntArray) -> int:
    """Turn to writes above the high watermark or without reads, back below the low one."""
    writes = 100 * m[c.Y_BUFFERED + 1]
    room = m[c.Y_ROOM + 1]
    reads = m[c.Y_BUFFERED]
    if m[c.Y_WRITE_MODE]:
        m[c.Y_WRITE_MODE] = not (writes < m[c.Y_LOW] * room and reads > 0)
    else:
        m[c.Y_WRITE_MODE] = writes > m[c.Y_HIGH] * room or reads == 0
    return int(m[c.Y_WRITE_MODE])


@inlined
def conflicting(m: IntArray, slot: IntArray, p: int, x: int) -> int:
    """Oldest request of the list at `x` for another row than is open in the bank at `p`.

    -1 without any, where the bank is protected, or where an older hit goes first by policy.
    """
    if m[p + c.B_SLOT] >= 0 or m[x + c.B_COUNT] == m[x + c.B_HITS]:
        return -1
    s = m[x + c.B_HEAD]
    row = m[p + c.B_ROW]
    if m[c.Y_ROW_HIT_FIRST] and slot[slot_at(s) + c.S_ROW] == row:
        return -1
    while slot[slot_at(s) + c.S_ROW] == row:
        s = slot[slot_at(s) + c.S_NEXT]
    return int(s)


@inlined
def find_buffered(m: IntArray, slot: IntArray, t: int) -> None:
    """Find the first command of the buffer whose turn it is, before what was found so far."""
    w = set_write_mode(m)
    lists = w * m[c.X_RANKS] * m[c.X_PER_RANK]
    best_at = m[c.X_BEST_AT]
    # What the active buffer has goes before anything ready in the same cycle.
    best_request = -1
    best = m[c.X_BEST]
    command = m[c.Y_COMMAND]
    best_own = m[c.Y_OWN]
    first = c.ACTIVE_BASE + w * c.MOST_BANKS
    row_bus = max(m[c.X_BUS], t)
    column_bus = max(m[c.X_COLUMN_BUS], t)
    for k in range(first, first + m[c.Y_BUSY + w]):
        b = m[k]
        p = bank_at(b)
        x = bank_at(b + lists)
        s = m[x + c.B_FIRST]
        wanted = c.RD + w
        own = m[p + c.B_NEXT_CAS] + w * m[c.T_RCD_WR_MORE]
        bus = column_bus
        if m[p + c.B_ROW] < 0:
            s = m[x + c.B_HEAD]
            wanted = c.ACT
            own = m[p + c.B_NEXT_ACT]
            bus = row_bus
        if s >= 0:
            at = max(max(own, m[limit_at(m[p + c.B_GROUP] + wanted)]), bus)
            request = slot[slot_at(s) + c.S_REQUEST]
            if at < best_at or (at == best_at and request < best_request):
                best_at = at
                best_request = request
                best = s
                command = wanted
                best_own = own
        at = max(max(m[p + c.B_NEXT_PRE], m[limit_at(m[p + c.B_GROUP] + c.PRE)]), row_bus)
        if wanted != c.ACT and at <= best_at:
            s = conflicting(m, slot, p, x)
            if s >= 0:
                request = slot[slot_at(s) + c.S_REQUEST]
                if at < best_at or request < best_request:
                    best_at = at
                    best_request = request
                    best = s
                    command = c.PRE
                    best_own = at
    m[c.X_BEST_AT] = best_at
    m[c.X_BEST] = best
    m[c.Y_COMMAND] = command
    m[c.Y_OWN] = best_own


@inlined
def find_command(m: IntArray, slot: IntArray, t: int) -> None:
    """Find the command that goes next: of the active buffer, a refresh, a read or write."""
    m[c.X_RESCAN] = 0
    find_active(m, slot, t)
    b = next_close(m)
    if b >= 0:
        find_close(m, b, t)
    elif m[c.Y_REFRESHES] > 0:
        find_refresh(m, t)
    elif m[c.X_BEST_AT] > t:
        find_buffered(m, slot, t)


@inlined
def account(m: IntArray, out: IntArray, t: int) -> None:
    """Book the ticks before `t` on what held the next command back."""
    ticks = t - m[c.X_ACCOUNTED]
    if ticks <= 0:
        return
    m[c.X_ACCOUNTED] = t
    reason = c.STALL_EMPTY
    if m[c.Y_REFRESHES] > 0:
        reason = c.STALL_REFRESH
    elif m[c.X_BEST_AT] < c.INF:
        reason = c.STALL_BANK
        if m[c.Y_OWN] < m[c.X_BEST_AT]:
            reason = c.STALL_ACTIVATION if m[c.Y_COMMAND] == c.ACT else c.STALL_DATA_BUS
    out[c.O_STALL + reason] += ticks


@inlined
def set_row(m: IntArray, slot: IntArray, b: int, row: int) -> None:
    """Tell both lists of bank `b` which row is open."""
    banks = m[c.X_RANKS] * m[c.X_PER_RANK]
    for k in range(b, b + banks + 1, banks):
        p = bank_at(k)
        m[p + c.B_ROW] = row
        if row < 0:
            m[p + c.B_HITS] = 0
            m[p + c.B_FIRST] = -1
        else:
            count_hits(m, slot, k)


@inlined
def issue_refresh(m: IntArray, slot: IntArray, commands: IntArray, out: IntArray, t: int) -> None:
    """Issue the PREA or REF of the refresh at the head of the queue."""
    r = m[c.Y_REFRESHED] % m[c.X_RANKS]
    q = rank_at(r)
    per_rank = m[c.X_PER_RANK]
    record(commands, out, t, m[c.Y_COMMAND], r * per_rank, -1, -1)
    if m[c.Y_COMMAND] == c.REFAB:
        out[c.O_REF] += 1
        after_refresh(m, q, t)
        raise_to(m, q + c.R_NEXT_PREAB, t + m[c.T_RFC])
        m[c.Y_REFRESHES] -= 1
        m[c.Y_REFRESHED] += 1
        return
    after_precharge_all(m, out, r, t)
    for b in range(r * per_rank, (r + 1) * per_rank):
        set_row(m, slot, b, -1)
        forget_accesses(m, b)


@inlined
def issue_close(m: IntArray, slot: IntArray, commands: IntArray, out: IntArray, t: int) -> None:
    """Issue the PRE at the head of the queue, to a closed bank where a refresh closed it before."""
    b = next_close(m)
    p = bank_at(b)
    q = rank_at(m[c.RANK_OF + b])
    take_close(m)
    record(commands, out, t, c.PRE, b, -1, -1)
    if m[p + c.B_ROW] >= 0:
        out[c.O_PRE] += 1
        after_precharge(m, p, q, t)
        set_row(m, slot, b, -1)
        forget_accesses(m, b)
    else:
        raise_to(m, p + c.B_NEXT_ACT, t + m[c.T_RP])
        raise_to(m, q + c.R_NEXT_REF, t + m[c.T_RP_REF])
    part_precharges(m, q, t)


@inlined
def take_out(m: IntArray, slot: IntArray, b: int, s: int) -> None:
    """Take slot `s` out of its buffer."""
    write = slot[slot_at(s) + c.S_WRITE]
    k = b + write * m[c.X_RANKS] * m[c.X_PER_RANK]
    remove(m, slot, k, s)
    m[c.Y_BUFFERED + write] -= 1
    if m[bank_at(k) + c.B_COUNT] == 0:
        drop(m, c.ACTIVE_BASE + write * c.MOST_BANKS, c.Y_BUSY + write, b)


@inlined
def row_command(m: IntArray, slot: IntArray, out: IntArray, b: int, s: int, t: int) -> None:
    """Precharge bank `b`, or activate it and promote the request in slot `s`."""
    p = bank_at(b)
    q = rank_at(m[c.RANK_OF + b])
    if m[c.Y_COMMAND] == c.PRE:
        out[c.O_PRE] += 1
        after_precharge(m, p, q, t)
        part_precharges(m, q, t)
        set_row(m, slot, b, -1)
        forget_accesses(m, b)
        return
    row = slot[slot_at(s) + c.S_ROW]
    out[c.O_ACT] += 1
    after_activate(m, p, q, t, row)
    set_row(m, slot, b, row)
    take_out(m, slot, b, s)
    m[p + c.B_SLOT] = s
    m[c.OPENED_BASE + m[c.Y_OPENED]] = b
    m[c.Y_OPENED] += 1


@inlined
def access(m: IntArray, slot: IntArray, out: IntArray, b: int, s: int, t: int) -> None:
    """Read or write the request in slot `s` of bank `b`."""
    p = bank_at(b)
    q = rank_at(m[c.RANK_OF + b])
    last = last_access(m, b, s)
    if m[p + c.B_SLOT] == s:
        m[p + c.B_SLOT] = -1
        drop(m, c.OPENED_BASE, c.Y_OPENED, b)
    else:
        take_out(m, slot, b, s)
    m[c.X_SERVED] += 1
    give_slot(m, slot, s)
    before = m[q + c.R_NEXT_PREAB]
    if m[c.Y_COMMAND] == c.WR:
        out[c.O_WR] += 1
        after_write(m, p, q, t)
    else:
        out[c.O_RD] += 1
        after_read(m, p, q, t)
    if last:
        out[c.O_PRE] += 1
        out[c.O_AUTO_PRE] += 1
        # The precharge inside the access begins when a PRE could, and keeps no PREA back.
        m[q + c.R_NEXT_PREAB] = before
        after_precharge(m, p, q, m[p + c.B_NEXT_PRE])
        set_row(m, slot, b, -1)
        forget_accesses(m, b)
    else:
        count_access(m, b)


def serve(
    m: IntArray,
    slot: IntArray,
    q: IntArray,
    returns: IntArray,
    lines: ByteArray,
    tail: IntArray,
    shares: IntArray,
    latency: IntArray,
    commands: IntArray,
    out: IntArray,
    window: IntArray,
) -> bool:
    """Serve all requests of `q`; arguments and result as in `dramsys.serve`."""
    n = q.size // c.REQUEST_CELLS
    t = 1
    tick = 2 - m[c.T_BUSES]  # with two buses another command may go in the same cycle
    while m[c.X_SERVED] < n or (m[c.Y_DUE] + m[c.Y_CLOSES] > 0 and t <= out[c.O_CYCLES]):
        if m[c.X_ARRIVES] == c.INF:
            find_arrival(m, q, returns)
        # The tick in which the next request can be taken; unknown while its buffer is full.
        arrives = m[c.X_ARRIVES] + 1
        if arrives <= t:
            arrives = c.INF
            if send(m, slot, q, returns, lines, tail, shares, latency, out, t - 1):
                find_arrival(m, q, returns)
                arrives = m[c.X_ARRIVES] + 1
        if t >= m[c.X_TRIGGER]:
            m[c.X_TRIGGER] += m[c.T_REFI]
            m[c.Y_REFRESHES] += m[c.X_RANKS]
            m[c.X_RESCAN] = 1
        queue_closes(m, t)
        if m[c.X_RESCAN]:
            find_command(m, slot, t)
        if m[c.X_BEST_AT] > t:
            event = min(min(m[c.X_BEST_AT], m[c.X_TRIGGER]), min(arrives, m[c.Y_DUE_AT]))
            if m[c.X_SERVED] < n or m[c.Y_DUE] + m[c.Y_CLOSES] > 0:
                account(m, out, event)
                t = event
            continue
        occupy(m, out, m[c.Y_COMMAND], t)
        m[c.X_RESCAN] = 1
        s = m[c.X_BEST]
        if s < 0:
            if m[c.Y_COMMAND] == c.PRE:
                issue_close(m, slot, commands, out, t)
            else:
                issue_refresh(m, slot, commands, out, t)
            t += tick
            continue
        cell = slot_at(s)
        i = slot[cell + c.S_REQUEST]
        b = q[request_at(i) + c.Q_HOME]
        command = m[c.Y_COMMAND]
        shown = command
        if (command == c.RD or command == c.WR) and last_access(m, b, s):
            shown = command + c.RDA - c.RD
        record(commands, out, t, shown, b, slot[cell + c.S_ROW], slot[cell + c.S_COLUMN])
        classify(slot, out, s, command)
        if command == c.ACT or command == c.PRE:
            row_command(m, slot, out, b, s, t)
            t += tick
            continue
        accepted = slot[cell + c.S_ACCEPTED]
        access(m, slot, out, b, s, t)
        if command == c.RD:
            ready = max(m[c.X_LAST_ANSWER], t + m[c.T_CL] + m[c.T_BURST])
            answer(m, q, returns, lines, tail, shares, latency, out, i, accepted, ready)
        else:
            out[c.O_CYCLES] = max(out[c.O_CYCLES], t)
            if latency.size > 0:
                latency[i, 0] = t - q[request_at(i) + c.Q_ARRIVAL]
                latency[i, 1] = accepted - q[request_at(i) + c.Q_ARRIVAL]
        t += tick
    # Ticks count from 1, cycles from 0.
    m[c.X_ACCOUNTED] -= 1
    close_books(m, out)
    return True
