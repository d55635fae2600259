"""Event-skipping kernel of the ten-parameter controller, with the semantics of DRAMSys 4.0."""

from __future__ import annotations

import numpy as np
from numba import njit

from archgym.cost_models.dram.bank_timing import (
    after_activate,
    after_precharge,
    after_read,
    after_refresh,
    after_write,
    auto_precharge_cycle,
    raise_to,
)
from archgym.cost_models.dram.cells import (
    A_ACTIVE_RETURNS,
    A_NEXT_IN_ORDER,
    A_READ_RETURNS,
    ACT,
    ANSWERS,
    ARBITER_REORDER,
    ARBITER_SIMPLE,
    B_COMMAND,
    B_COUNT,
    B_EARLIEST,
    B_FIRST,
    B_HEAD,
    B_NEXT_ACT,
    B_REQUEST,
    B_ROW,
    B_SHARED,
    B_SLOT,
    B_TAIL,
    BANK_CELLS,
    BUFFER_BANKWISE,
    BUFFER_READ_WRITE,
    CLASSES,
    G_BANKS,
    G_GROUPS,
    G_RANKS,
    INF,
    NEVER,
    O_ACT,
    O_ACTIVE,
    O_AUTO_PRE,
    O_COMMANDS,
    O_CONFLICTS,
    O_CYCLES,
    O_HITS,
    O_MISSES,
    O_PRE,
    O_PREAB,
    O_PREAB_BANKS,
    O_RD,
    O_REF,
    O_STALL,
    O_WR,
    P_ACTIVE,
    P_ARBITER,
    P_BUFFER,
    P_BUFFER_SIZE,
    P_PAGE,
    P_POSTPONED,
    P_PULLED_IN,
    P_REFRESH,
    P_RESPONSE,
    P_SCHEDULER,
    PRE,
    PREAB,
    R_ACTIVE_FROM,
    R_ACTIVE_SUM,
    R_ACTIVE_TO,
    R_BLOCKED,
    R_COMMAND,
    R_FAW,
    R_NEXT_PREAB,
    R_NEXT_REF,
    R_OPEN,
    R_QUEUED,
    R_REFRESH_END,
    R_TRIGGER,
    RANK_CELLS,
    RD,
    REFAB,
    REFRESH_NONE,
    RESPONSE_REORDER,
    S_ACCEPTED,
    S_CLASSIFIED,
    S_COLUMN,
    S_NEXT,
    S_REQUEST,
    S_ROW,
    S_WRITE,
    SCHED_FIFO,
    SCHED_FRFCFS_GRP,
    SLOT_CELLS,
    STALL_ACTIVATION,
    STALL_BANK,
    STALL_COMMAND,
    STALL_DATA_BUS,
    STALL_EMPTY,
    STALL_REFRESH,
    T_BURST,
    T_CL,
    T_CWL,
    T_REFI,
    T_RP,
)
from archgym.cost_models.dram.queues import append, choose, count_hits, remove
from archgym.cost_models.dram.refresh import first_trigger, look, refreshed
from archgym.cost_models.dram.responses import answer, answer_in_order


@njit(cache=True, nogil=True)
def power_of_two(n):  # type: ignore[no-untyped-def]
    """Smallest power of two above `n`."""
    size = 1
    while size <= n:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def has_room(bank, organisation, size, last_home, total, writes):  # type: ignore[no-untyped-def]
    """Whether the buffers take one more request, by the buffer organisation."""
    if organisation == BUFFER_BANKWISE:
        return bank[last_home * BANK_CELLS + B_COUNT] < size
    if organisation == BUFFER_READ_WRITE:
        return writes < size and total - writes < size
    return total < size


@njit(cache=True, nogil=True)
def record(commands, out, t, command, b, row, column):  # type: ignore[no-untyped-def]
    """Append a command to the trace, where one is wanted."""
    k = out[O_COMMANDS]
    if k < commands.shape[0]:
        commands[k, 0] = t
        commands[k, 1] = command
        commands[k, 2] = b
        commands[k, 3] = row
        commands[k, 4] = column
    out[O_COMMANDS] = k + 1


@njit(cache=True, nogil=True)
def simulate(  # type: ignore[no-untyped-def]
    arrival,
    home,
    row,
    column,
    write,
    most_reads,
    geometry,
    tm,
    policy,
    heap,
    latency,
    commands,
    out,
):
    """Run one design over a trace."""
    n = arrival.size
    ranks = geometry[G_RANKS]
    groups = geometry[G_GROUPS]
    per_group = geometry[G_BANKS]
    per_rank = groups * per_group
    banks = ranks * per_rank

    page = policy[P_PAGE]
    scheduler = policy[P_SCHEDULER]
    organisation = policy[P_BUFFER]
    size = policy[P_BUFFER_SIZE]
    in_order = policy[P_RESPONSE] == RESPONSE_REORDER or policy[P_ARBITER] == ARBITER_REORDER
    limited = policy[P_ARBITER] != ARBITER_SIMPLE
    most_active = policy[P_ACTIVE]
    most_postponed = policy[P_POSTPONED]
    most_pulled = policy[P_PULLED_IN]
    interval = tm[T_REFI]

    bank = np.zeros(banks * BANK_CELLS, np.int64)
    for b in range(banks):
        p = b * BANK_CELLS
        bank[p + B_ROW] = -1
        bank[p + B_HEAD] = -1
        bank[p + B_TAIL] = -1
        bank[p + B_FIRST] = -1
        bank[p + B_EARLIEST] = INF
    rank = np.zeros(ranks * RANK_CELLS, np.int64)
    for r in range(ranks):
        q = r * RANK_CELLS
        for k in range(4):
            rank[q + R_FAW + k] = NEVER
        rank[q + R_TRIGGER] = INF
        if policy[P_REFRESH] != REFRESH_NONE:
            rank[q + R_TRIGGER] = first_trigger(interval, r, ranks)
    shared = np.zeros(ranks * groups * CLASSES, np.int64)
    active = np.zeros(banks, np.int64)
    active_count = 0

    if organisation == BUFFER_BANKWISE:
        slots = banks * (size + 1)
    elif organisation == BUFFER_READ_WRITE:
        slots = 2 * size
    else:
        slots = size
    slot = np.empty(slots * SLOT_CELLS, np.int64)
    for s in range(slots):
        slot[s * SLOT_CELLS + S_NEXT] = s + 1
    free = 0

    answers = np.zeros(ANSWERS, np.int64)
    returns = np.zeros(power_of_two(most_active if limited else 0), np.int64)
    read_returns = np.zeros(power_of_two(most_reads), np.int64)
    window = np.full(2 * (1024 if in_order else 0), -1, np.int64)

    total = 0  # requests in the buffers
    writes = 0  # writes among them
    last_home = 0
    last_write = 0
    accepted = 0  # requests accepted so far
    reads_sent = 0
    end_req = -1  # arbiter's handshake with the player for the last request
    last_accept = -1
    served = 0
    t = 0
    bus = 0  # first cycle with a free command bus
    best = -1  # bank with the next command; -2-r: refresh manager of rank r
    best_at = INF
    reason = STALL_EMPTY
    accounted = 0
    arrives = INF
    if n > 0:
        arrives = arrival[0]
    sent = arrives
    sending = False  # the next request's arrival is still to be found
    refresh_first = False
    blocked = 0  # ranks whose banks are held back for a refresh
    blocked_at = NEVER
    rescan = True

    while True:
        # 1. Accept the next request, if it is there and there is room for it.
        if arrives <= t and not refresh_first:  # noqa: SIM102, the buffers are looked at last
            if has_room(bank, organisation, size, last_home, total, writes):
                if t > accounted:
                    out[O_STALL + reason] += t - accounted
                    accounted = t
                i = accepted
                s = free
                free = slot[s * SLOT_CELLS + S_NEXT]
                b = home[i]
                slot[s * SLOT_CELLS + S_REQUEST] = i
                slot[s * SLOT_CELLS + S_ROW] = row[i]
                slot[s * SLOT_CELLS + S_WRITE] = write[i]
                slot[s * SLOT_CELLS + S_COLUMN] = column[i]
                slot[s * SLOT_CELLS + S_ACCEPTED] = t
                slot[s * SLOT_CELLS + S_CLASSIFIED] = 0
                if bank[b * BANK_CELLS + B_COUNT] == 0:
                    active[active_count] = b
                    active_count += 1
                append(bank, slot, b, s)
                total += 1
                writes += write[i]
                last_home = b
                r = b // per_rank
                rank[r * RANK_CELLS + R_QUEUED] += 1
                choose(bank, slot, b, b // per_group, page, scheduler, last_write)
                rescan = True
                accepted += 1
                if not write[i]:
                    reads_sent += 1
                if in_order and 2 * (accepted - answers[A_NEXT_IN_ORDER] + 1) > window.size:
                    grown = np.full(2 * window.size, -1, np.int64)
                    for k in range(answers[A_NEXT_IN_ORDER], accepted):
                        x = 2 * (k & ((window.size >> 1) - 1))
                        y = 2 * (k & (window.size - 1))
                        grown[y] = window[x]
                        grown[y + 1] = window[x + 1]
                    window = grown
                last_accept = t
                end_req = sent if limited else t
                arrives = INF
                sending = accepted < n
        # The cycle at which the next request reaches the controller, once it can be known.
        if sending:
            sent = max(arrival[accepted], end_req + 1)
            sending = False
            if most_reads > 0 and reads_sent >= most_reads:
                k = reads_sent - most_reads
                if k < answers[A_READ_RETURNS]:
                    sent = max(sent, read_returns[k & (read_returns.size - 1)] + 1)
                else:
                    sending = True
            if limited and accepted >= most_active:
                k = accepted - most_active
                if k < answers[A_ACTIVE_RETURNS]:
                    sent = max(sent, returns[k & (returns.size - 1)])
                else:
                    sending = True
            if not sending:
                arrives = max(sent, last_accept + 1)

        # 2. Refresh managers that are due.
        refresh_first = False
        next_trigger = INF
        for r in range(ranks):
            q = r * RANK_CELLS
            if t >= rank[q + R_TRIGGER]:
                was = rank[q + R_BLOCKED]
                look(rank, r, t, interval, most_postponed)
                rescan = True
                if rank[q + R_BLOCKED] > was:
                    blocked += 1
                    blocked_at = t
            if rank[q + R_TRIGGER] > t:
                next_trigger = min(next_trigger, rank[q + R_TRIGGER])

        # 3. The next command: earliest first, oldest request among equals, refresh before all.
        if rescan:
            best = -1
            best_at = INF
            best_id = n
            free_bus = max(bus, t)
            for r in range(ranks):
                q = r * RANK_CELLS
                if rank[q + R_COMMAND]:
                    at = rank[q + R_NEXT_REF]
                    if rank[q + R_COMMAND] == PREAB:
                        at = rank[q + R_NEXT_PREAB]
                    at = max(at, free_bus)
                    if at < best_at:
                        best_at = at
                        best = -2 - r
                        best_id = -1
            for k in range(active_count):
                b = active[k]
                p = b * BANK_CELLS
                at = max(max(bank[p + B_EARLIEST], shared[bank[p + B_SHARED]]), free_bus)
                if at < best_at or (at == best_at and bank[p + B_REQUEST] < best_id):
                    # A command that is ready in the cycle that blocks its bank still goes out.
                    if (
                        blocked > 0
                        and at > blocked_at
                        and rank[b // per_rank * RANK_CELLS + R_BLOCKED]
                    ):
                        continue
                    best_at = at
                    best = b
                    best_id = bank[p + B_REQUEST]
            if best_at > t:
                blocked_at = NEVER
            rescan = False
            reason = STALL_REFRESH if total > 0 else STALL_EMPTY
            if best >= 0:
                p = best * BANK_CELLS
                klass = bank[p + B_COMMAND] & 3
                if shared[bank[p + B_SHARED]] <= bank[p + B_EARLIEST]:
                    reason = STALL_BANK
                elif klass != ACT:
                    reason = STALL_DATA_BUS
                elif rank[best // per_rank * RANK_CELLS + R_REFRESH_END] < best_at:
                    reason = STALL_ACTIVATION

        # 4. Go to the next event.
        waiting = arrives
        if waiting < INF and not has_room(bank, organisation, size, last_home, total, writes):
            waiting = INF
        now = min(best_at, next_trigger)
        if served == n and now >= out[O_CYCLES]:
            break
        if waiting < now:
            t = waiting
            continue
        t = now
        refresh_first = now == next_trigger
        if refresh_first:
            continue

        # 5. Issue.
        if t > accounted:
            out[O_STALL + reason] += t - accounted
        if t >= accounted:
            accounted = t + 1
        out[O_STALL + STALL_COMMAND] += 1
        bus = t + 1
        if best < 0:
            r = -2 - best
            q = r * RANK_CELLS
            if rank[q + R_COMMAND] == PREAB:
                record(commands, out, t, PREAB, r * per_rank, -1, -1)
                out[O_PREAB] += 1
                for b in range(r * per_rank, (r + 1) * per_rank):
                    if bank[b * BANK_CELLS + B_ROW] >= 0:
                        out[O_PRE] += 1
                        out[O_PREAB_BANKS] += 1
                        after_precharge(bank, rank, tm, b, r, t)
                    else:
                        raise_to(bank, b * BANK_CELLS + B_NEXT_ACT, t + tm[T_RP])
                rank[q + R_NEXT_REF] = max(rank[q + R_NEXT_REF], t + tm[T_RP])
            else:
                record(commands, out, t, REFAB, r * per_rank, -1, -1)
                out[O_REF] += 1
                blocked -= rank[q + R_BLOCKED]
                after_refresh(rank, shared, tm, groups, r, t)
                refreshed(rank, r, interval, most_pulled)
            for k in range(active_count):
                b = active[k]
                choose(bank, slot, b, b // per_group, page, scheduler, last_write)
        else:
            b = best
            p = b * BANK_CELLS
            g = b // per_group
            r = b // per_rank
            s = bank[p + B_SLOT]
            cell = s * SLOT_CELLS
            command = bank[p + B_COMMAND]
            record(commands, out, t, command, b, slot[cell + S_ROW], slot[cell + S_COLUMN])
            if command == ACT:
                out[O_ACT] += 1
                if slot[cell + S_CLASSIFIED] == 0:
                    slot[cell + S_CLASSIFIED] = 1
                    out[O_MISSES] += 1
                after_activate(bank, rank, shared, tm, groups, b, r, g, t, slot[cell + S_ROW])
                if scheduler != SCHED_FIFO:
                    count_hits(bank, slot, b)
            elif command == PRE:
                out[O_PRE] += 1
                if slot[cell + S_CLASSIFIED] == 0:
                    slot[cell + S_CLASSIFIED] = 1
                    out[O_CONFLICTS] += 1
                after_precharge(bank, rank, tm, b, r, t)
            else:
                if slot[cell + S_CLASSIFIED] == 0:
                    out[O_HITS] += 1
                i = slot[cell + S_REQUEST]
                is_write = slot[cell + S_WRITE]
                if is_write:
                    out[O_WR] += 1
                    writes -= 1
                    after_write(bank, rank, shared, tm, groups, ranks, b, r, g, t)
                    ready = t + tm[T_CWL] + tm[T_BURST]
                else:
                    out[O_RD] += 1
                    after_read(bank, rank, shared, tm, groups, ranks, b, r, g, t)
                    ready = t + tm[T_CL] + tm[T_BURST]
                remove(bank, slot, b, s)
                if command != RD + is_write:
                    out[O_PRE] += 1
                    out[O_AUTO_PRE] += 1
                    after_precharge(
                        bank, rank, tm, b, r, auto_precharge_cycle(bank, tm, b, is_write, t)
                    )
                slot[cell + S_NEXT] = free
                free = s
                total -= 1
                served += 1
                rank[r * RANK_CELLS + R_QUEUED] -= 1
                if bank[p + B_COUNT] == 0:
                    k = 0
                    while active[k] != b:
                        k += 1
                    active_count -= 1
                    active[k] = active[active_count]
                if in_order:
                    answer_in_order(
                        arrival,
                        write,
                        answers,
                        returns,
                        read_returns,
                        heap,
                        latency,
                        out,
                        window,
                        i,
                        slot[cell + S_ACCEPTED],
                        ready,
                    )
                else:
                    answer(
                        arrival,
                        write,
                        answers,
                        returns,
                        read_returns,
                        heap,
                        latency,
                        out,
                        i,
                        slot[cell + S_ACCEPTED],
                        ready,
                    )
                if scheduler == SCHED_FRFCFS_GRP and is_write != last_write:
                    last_write = is_write
                    for k in range(active_count):
                        x = active[k]
                        choose(bank, slot, x, x // per_group, page, scheduler, last_write)
            choose(bank, slot, b, g, page, scheduler, last_write)
        rescan = True

    end = out[O_CYCLES]
    if end > accounted:
        out[O_STALL + STALL_EMPTY] += end - accounted
    for r in range(ranks):
        q = r * RANK_CELLS
        to = rank[q + R_ACTIVE_TO]
        if rank[q + R_OPEN] > 0 or to > end:
            to = end
        out[O_ACTIVE] += rank[q + R_ACTIVE_SUM] + to - rank[q + R_ACTIVE_FROM]
