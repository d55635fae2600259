"""Event-skipping kernel of the controllers `dramsys` and `modern`.

The first has ten parameters with the semantics of DRAMSys 4.0, the second more (`Z_` cells), whose
defaults change nothing.

The clock jumps from event to event: a command, the arrival of a request that has room, a refresh
that falls due. Between two events no state changes. Commands that are ready in a cycle go out
before a request of that cycle is stored, as in the event order of DRAMSys.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import (
    bank_at,
    limit_at,
    place_at,
    rank_at,
    request_at,
    slot_at,
)
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
)
from archgym.cost_models.dram.machine import (
    classify,
    drop,
    give_slot,
    record,
    take_slot,
)
from archgym.cost_models.dram.modern import (
    close_row,
    close_states,
    falls_asleep,
    find_timed_out,
    note,
    set_direction,
    start_more,
    unwanted,
    wake,
)
from archgym.cost_models.dram.partial_refresh import (
    held_back,
    issue_for_set,
    look_at_sets,
    refreshing,
    wanted_at,
)
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.queues import append, choose, choose_all, count_hits, oldest, remove
from archgym.cost_models.dram.refresh import first_trigger, look, refreshed, remember
from archgym.cost_models.dram.responses import (
    ByteArray,
    answer,
    answer_in_order,
    lacks_room,
    reads_before,
)
from archgym.cost_models.dram.source_batches import count_sources, ends_batch, tag
from archgym.cost_models.dram.waiting import (
    NOTHING,
    bank_of,
    cycle_of,
    enter,
    first,
    leave,
    rank_of_command,
)
from archgym.cost_models.jit import apart, inlined, woven


@inlined
def start(m: IntArray, q: IntArray, geometry: IntArray, policy: IntArray, more: bool) -> None:
    """Fill the cells of a controller with the parameters `policy`, for the requests `q`."""
    m[c.X_PAGE] = policy[c.P_PAGE]
    m[c.X_SCHEDULER] = policy[c.P_SCHEDULER]
    m[c.X_ORGANISATION] = policy[c.P_BUFFER]
    m[c.X_SIZE] = policy[c.P_BUFFER_SIZE]
    m[c.X_SLOTS] = slots_of(m)
    if policy[c.P_RESPONSE] == c.RESPONSE_REORDER or policy[c.P_ARBITER] == c.ARBITER_REORDER:
        m[c.X_IN_ORDER] = 1
    if policy[c.P_ARBITER] != c.ARBITER_SIMPLE:
        m[c.X_LIMITED] = 1
        m[c.X_MOST_ACTIVE] = policy[c.P_ACTIVE]
    m[c.X_MOST_POSTPONED] = policy[c.P_POSTPONED]
    m[c.X_MOST_PULLED_IN] = policy[c.P_PULLED_IN]
    sets = 1
    if more:
        start_more(m, geometry, policy)
        sets = m[c.Z_SETS]
        if m[c.X_SCHEDULER] == c.SCHED_BATCH:
            count_sources(m, q)
    if policy[c.P_REFRESH] != c.REFRESH_NONE:
        for r in range(m[c.X_RANKS]):
            trigger = first_trigger(m[c.T_REFI] // sets, r, m[c.X_RANKS])
            m[rank_at(r) + c.R_TRIGGER] = trigger
            m[c.X_LOOK] = min(m[c.X_LOOK], trigger)
    m[c.X_TRIGGER] = m[c.X_LOOK]
    m[c.X_ARRIVES] = q[c.Q_ARRIVAL] if q.size > 0 else c.INF
    m[c.X_SENT] = m[c.X_ARRIVES]


@inlined
def slots_of(m: IntArray) -> int:
    """Slots that the buffers may fill. Bankwise may pass its size by one, see `has_room`."""
    if m[c.X_ORGANISATION] == c.BUFFER_BANKWISE:
        return int(m[c.X_RANKS] * m[c.X_PER_RANK] * (m[c.X_SIZE] + 1))
    buffers = 2 if m[c.X_ORGANISATION] == c.BUFFER_READ_WRITE else 1
    return int(buffers * m[c.X_SIZE])


@inlined
def has_room(m: IntArray) -> bool:
    """Whether the buffers take one more request, by the buffer organisation."""
    if m[c.X_ORGANISATION] == c.BUFFER_BANKWISE:
        return bool(m[bank_at(m[c.X_LAST_HOME]) + c.B_COUNT] < m[c.X_SIZE])
    if m[c.X_ORGANISATION] == c.BUFFER_READ_WRITE:
        reads = m[c.X_QUEUED] - m[c.X_WRITES]
        return bool(m[c.X_WRITES] < m[c.X_SIZE] and reads < m[c.X_SIZE])
    return bool(m[c.X_QUEUED] < m[c.X_SIZE])


@inlined
def account(m: IntArray, out: IntArray, t: int, more: bool) -> None:
    """Book the cycles before `t` on what held the next command back."""
    cycles = t - m[c.X_ACCOUNTED]
    if cycles <= 0:
        return
    m[c.X_ACCOUNTED] = t
    reason = c.STALL_REFRESH if m[c.X_QUEUED] > 0 else c.STALL_EMPTY
    best = m[c.X_BEST]
    at = m[c.X_BEST_AT]
    if more and best <= c.TIMED:
        best = m[c.Z_HELD]
        at = m[c.Z_HELD_AT]
    if best >= 0:
        p = bank_at(best)
        k = place_at(m[p + c.B_PLACE])
        if more and m[rank_at(m[c.RANK_OF + best]) + c.R_AWAKE] >= at:
            reason = c.STALL_WAKE
        elif more and m[c.Z_PARTIAL] and refreshing(m, best, at):
            reason = c.STALL_REFRESH
        elif m[limit_at(m[k + c.W_LIMIT])] <= m[k + c.W_EARLIEST]:
            reason = c.STALL_BANK
        elif m[p + c.B_COMMAND] != c.ACT:
            reason = c.STALL_DATA_BUS
        elif m[rank_at(m[c.RANK_OF + best]) + c.R_REFRESH_END] < at:
            reason = c.STALL_ACTIVATION
    out[c.O_STALL + reason] += cycles


@inlined
def accept(
    m: IntArray,
    slot: IntArray,
    q: IntArray,
    commands: IntArray,
    out: IntArray,
    t: int,
    more: bool,
) -> None:
    """Store the next request and let its bank choose again."""
    account(m, out, t, more)
    i = m[c.X_ACCEPTED]
    s = take_slot(m, slot, q, i, t)
    b = q[request_at(i) + c.Q_HOME]
    write = q[request_at(i) + c.Q_WRITE]
    p = bank_at(b)
    if m[p + c.B_COUNT] == 0:
        enter(m, b)
        if more and m[c.Z_TIMEOUT] > 0 and m[p + c.B_ROW] >= 0:
            drop(m, c.IDLE_BASE, c.Z_IDLE, b)
    if more and m[c.Z_DOWN] > 0 and unwanted(m, rank_at(m[c.RANK_OF + b])):
        wake(m, commands, out, m[c.RANK_OF + b], t)
    append(m, slot, b, s)
    if more and m[c.X_SCHEDULER] == c.SCHED_BATCH:
        tag(m, slot, q, i, s)
    m[rank_at(m[c.RANK_OF + b]) + c.R_QUEUED] += 1
    m[c.X_QUEUED] += 1
    m[c.X_WRITES] += write
    m[c.X_LAST_HOME] = b
    m[c.X_ACCEPTED] = i + 1
    m[c.X_READS] += 1 - write
    m[c.X_STORED] = t
    m[c.X_TAKEN] = m[c.X_SENT] if m[c.X_LIMITED] else t
    m[c.X_ARRIVES] = c.INF
    m[c.X_SENDING] = request_at(i + 1) < q.size
    choose(m, slot, b, more)
    if more and m[c.Z_DRAINS]:
        set_direction(m, slot)


@inlined
def find_arrival(m: IntArray, q: IntArray, returns: IntArray) -> None:
    """Find when the next request reaches the controller, if what it waits for is known."""
    i = m[c.X_ACCEPTED]
    mask = returns.shape[1] - 1
    sent = max(q[request_at(i) + c.Q_ARRIVAL], m[c.X_TAKEN] + 1)
    reads = reads_before(m)
    if m[c.X_MOST_READS] > 0 and reads >= m[c.X_MOST_READS]:
        k = reads - m[c.X_MOST_READS]
        if k >= m[c.X_ANSWERED_READS]:
            return
        released = returns[1, k & mask] + 1
        sent = max(sent, released)
        # In a closed loop a request arrives when the answer it depends on lets it go.
        arrival = request_at(i) + c.Q_ARRIVAL
        q[arrival] = max(q[arrival], released)
    if m[c.X_LIMITED] and i >= m[c.X_MOST_ACTIVE]:
        k = i - m[c.X_MOST_ACTIVE]
        if k >= m[c.X_ANSWERED]:
            return
        sent = max(sent, returns[0, k & mask])
    m[c.X_SENT] = sent
    m[c.X_SENDING] = 0
    m[c.X_ARRIVES] = max(sent, m[c.X_STORED] + 1)


@inlined
def look_at_refreshes(m: IntArray, commands: IntArray, out: IntArray, t: int, more: bool) -> None:
    """Let the refresh managers that are due decide."""
    m[c.X_LOOK] = c.INF
    m[c.X_TRIGGER] = c.INF
    for r in range(m[c.X_RANKS]):
        q = rank_at(r)
        if t >= m[q + c.R_TRIGGER] or (more and m[c.Z_PARTIAL] and m[q + c.R_PULLING]):
            was = m[q + c.R_BLOCKED]
            unused = more and m[c.Z_DOWN] > 0 and unwanted(m, q)
            if more and m[c.Z_PARTIAL]:
                look_at_sets(m, r, t)
            else:
                look(m, r, t, m[c.T_REFI], m[c.X_MOST_POSTPONED], more)
            if unused and m[q + c.R_COMMAND]:
                wake(m, commands, out, r, t)
            if m[q + c.R_BLOCKED] > was:
                m[c.X_BLOCKED] += 1
                m[c.X_BLOCKED_AT] = t
        trigger = m[q + c.R_TRIGGER]
        m[c.X_LOOK] = min(m[c.X_LOOK], trigger)
        if more and m[c.Z_PARTIAL] and m[q + c.R_PULLING]:
            m[c.X_LOOK] = t
        if trigger > t:
            m[c.X_TRIGGER] = min(m[c.X_TRIGGER], trigger)


@inlined
def find_refresh(m: IntArray, floor: int, more: bool) -> None:
    """Find the first command that a refresh manager wants, not before `floor`."""
    for r in range(m[c.X_RANKS]):
        q = rank_at(r)
        if m[q + c.R_COMMAND]:
            index = c.R_NEXT_PREAB if m[q + c.R_COMMAND] == c.PREAB else c.R_NEXT_REF
            at = m[q + index]
            if more and m[c.Z_PARTIAL]:
                at = wanted_at(m, r)
            at = max(at, floor)
            if at < m[c.X_BEST_AT]:
                m[c.X_BEST_AT] = at
                m[c.X_BEST] = -2 - r


@apart
def first_unblocked(m: IntArray, t: int) -> int:
    """Like `first` while refreshes hold banks back.

    A command that is ready in the cycle that blocks its bank still goes out.
    """
    best = NOTHING
    for k in range(m[c.X_ACTIVE]):
        b = bank_of(m, k)
        at = cycle_of(m, k, t)
        if (
            m[rank_at(m[c.RANK_OF + b]) + c.R_BLOCKED] == 0
            or at <= m[c.X_BLOCKED_AT]
            or (m[c.Z_PARTIAL] and not held_back(m, b, at))
        ):
            best = min(best, rank_of_command(m, k, t))
    return best


@inlined
def find_command(m: IntArray, t: int, more: bool) -> None:
    """Find the next command: earliest first, oldest request among equals, refresh before all."""
    floor = max(m[c.X_BUS], t)
    m[c.X_BEST] = -1
    m[c.X_BEST_AT] = c.INF
    if t >= m[c.X_LOOK]:
        find_refresh(m, floor, more)
    order = first_unblocked(m, t) if m[c.X_BLOCKED] > 0 else first(m, t)
    cycles = order >> c.ORDER_BITS
    if cycles < c.FAR and t + cycles < m[c.X_BEST_AT]:
        m[c.X_BEST] = order & (c.MOST_BANKS - 1)
        m[c.X_BEST_AT] = t + cycles
    if m[c.X_BEST_AT] > t:
        m[c.X_BLOCKED_AT] = c.NEVER
    if more and m[c.Z_IDLE] > 0:
        find_timed_out(m, floor)


@inlined
def issue_refresh(
    m: IntArray, slot: IntArray, commands: IntArray, out: IntArray, r: int, t: int, more: bool
) -> None:
    """Issue what the refresh manager of rank `r` wants, PREA or REF for one."""
    q = rank_at(r)
    if more and m[c.Z_PARTIAL] and m[q + c.R_COMMAND] != c.PREAB:
        issue_for_set(m, commands, out, r, t)
        choose_all(m, slot, more)
        return
    if more and m[c.Z_DOWN] > 0:
        if m[q + c.R_COMMAND] == c.REFAB and falls_asleep(m, commands, out, r, t):
            return
        note(m, r, m[q + c.R_COMMAND], t)
    record(commands, out, t, m[q + c.R_COMMAND], r * m[c.X_PER_RANK], -1, -1)
    if m[q + c.R_COMMAND] == c.REFAB:
        out[c.O_REF] += 1
        m[c.X_BLOCKED] -= m[q + c.R_BLOCKED]
        after_refresh(m, q, t)
        refreshed(m, r, m[c.T_REFI], m[c.X_MOST_PULLED_IN])
        if more:
            remember(m, r, t)
    else:
        if more and m[c.Z_IDLE] > 0:
            for b in range(r * m[c.X_PER_RANK], (r + 1) * m[c.X_PER_RANK]):
                if m[bank_at(b) + c.B_ROW] >= 0 and m[bank_at(b) + c.B_COUNT] == 0:
                    drop(m, c.IDLE_BASE, c.Z_IDLE, b)
        after_precharge_all(m, out, r, t)
    choose_all(m, slot, more)


@inlined
def access(m: IntArray, slot: IntArray, out: IntArray, b: int, t: int, more: bool) -> int:
    """Read or write the request that bank `b` works on; return when its data is complete."""
    p = bank_at(b)
    q = rank_at(m[c.RANK_OF + b])
    s = m[p + c.B_SLOT]
    write = slot[slot_at(s) + c.S_WRITE]
    ready = t + m[c.T_BURST]
    if write:
        out[c.O_WR] += 1
        after_write(m, p, q, t)
        ready += m[c.T_CWL]
    else:
        out[c.O_RD] += 1
        after_read(m, p, q, t)
        ready += m[c.T_CL]
    if more and m[c.Z_CAP] < c.INF:
        m[c.OVERTAKEN + b] = 0 if s == oldest(m, slot, b) else m[c.OVERTAKEN + b] + 1
    remove(m, slot, b, s)
    if m[p + c.B_COMMAND] >= c.RDA:
        out[c.O_PRE] += 1
        out[c.O_AUTO_PRE] += 1
        # The precharge inside the access begins when a PRE could: after tRTP or tWR, and tRAS.
        after_precharge(m, p, q, m[p + c.B_NEXT_PRE])
    give_slot(m, slot, s)
    m[c.X_QUEUED] -= 1
    m[c.X_WRITES] -= write
    m[c.X_SERVED] += 1
    m[q + c.R_QUEUED] -= 1
    if m[p + c.B_COUNT] == 0:
        leave(m, b)
    if more and m[c.Z_TIMEOUT] > 0:
        m[c.USED + b] = t
        if m[p + c.B_COUNT] == 0:
            m[c.IDLE_BASE + m[c.Z_IDLE]] = b
            m[c.Z_IDLE] += 1
    if more and m[c.Z_DRAINS]:
        set_direction(m, slot)
    if write != m[c.X_LAST_WRITE]:
        m[c.X_LAST_WRITE] = write
        if m[c.X_SCHEDULER] == c.SCHED_FRFCFS_GRP:
            choose_all(m, slot, more)
    if more and m[c.X_SCHEDULER] == c.SCHED_BATCH and ends_batch(m, slot, s):
        choose_all(m, slot, more)
    return int(ready)


@inlined
def row_command(m: IntArray, slot: IntArray, out: IntArray, b: int, t: int, more: bool) -> None:
    """Activate or precharge bank `b` as it wants."""
    p = bank_at(b)
    q = rank_at(m[c.RANK_OF + b])
    if m[p + c.B_COMMAND] == c.ACT:
        out[c.O_ACT] += 1
        after_activate(m, p, q, t, slot[slot_at(m[p + c.B_SLOT]) + c.S_ROW])
        if m[c.X_SCHEDULER] != c.SCHED_FIFO or (more and m[c.Z_DRAINS]):
            count_hits(m, slot, b)
    else:
        out[c.O_PRE] += 1
        after_precharge(m, p, q, t)
        part_precharges(m, q, t)
    choose(m, slot, b, more)


@woven
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
    more: bool,
) -> bool:
    """Serve the requests `q`; return whether all are served, or `window` is full.

    `more`, a constant, compiles in the parameters that `modern` has beyond those of `dramsys`.
    """
    n = q.size // c.REQUEST_CELLS
    t = m[c.X_CLOCK]
    refresh_first = False
    while True:
        if m[c.X_ARRIVES] <= t and not refresh_first and has_room(m):
            if m[c.X_IN_ORDER] and lacks_room(window, m):
                m[c.X_CLOCK] = t
                return False
            accept(m, slot, q, commands, out, t, more)
        if m[c.X_SENDING]:
            find_arrival(m, q, returns)
        refresh_first = False
        if t >= m[c.X_LOOK]:
            look_at_refreshes(m, commands, out, t, more)
        find_command(m, t, more)
        now = min(m[c.X_BEST_AT], m[c.X_TRIGGER])
        if m[c.X_SERVED] == n and now >= out[c.O_CYCLES]:
            break
        if m[c.X_ARRIVES] < now and has_room(m):
            t = m[c.X_ARRIVES]
            continue
        t = now
        # The managers that fall due now see the banks as they were before a request of this cycle.
        refresh_first = now == m[c.X_TRIGGER]
        if refresh_first:
            continue
        account(m, out, t, more)
        b = m[c.X_BEST]
        if b < 0:
            occupy(m, out, c.PRE, t)
            if more and b <= c.TIMED:
                close_row(m, commands, out, c.TIMED - b, t)
            else:
                issue_refresh(m, slot, commands, out, -2 - b, t, more)
            continue
        command = m[bank_at(b) + c.B_COMMAND]
        occupy(m, out, command, t)
        s = m[bank_at(b) + c.B_SLOT]
        if more and m[c.Z_DOWN] > 0:
            note(m, m[c.RANK_OF + b], command, t)
        cell = slot_at(s)
        record(commands, out, t, command, b, slot[cell + c.S_ROW], slot[cell + c.S_COLUMN])
        classify(slot, out, s, command)
        if command == c.ACT or command == c.PRE:
            row_command(m, slot, out, b, t, more)
            continue
        i = slot[cell + c.S_REQUEST]
        accepted = slot[cell + c.S_ACCEPTED]
        ready = access(m, slot, out, b, t, more)
        choose(m, slot, b, more)
        if m[c.X_IN_ORDER]:
            answer_in_order(
                m, q, returns, lines, tail, shares, latency, out, window, i, accepted, ready
            )
        else:
            answer(m, q, returns, lines, tail, shares, latency, out, i, accepted, ready)
    close_books(m, out)
    if more and m[c.Z_DOWN] > 0:
        close_states(m, commands, out)
    return True


def serve_dramsys(
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
    """Run a `dramsys` design, see `serve`."""
    return serve(m, slot, q, returns, lines, tail, shares, latency, commands, out, window, False)


def serve_modern(
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
    """Run a `modern` design, see `serve`."""
    return serve(m, slot, q, returns, lines, tail, shares, latency, commands, out, window, True)
