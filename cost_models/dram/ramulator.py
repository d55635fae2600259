"""Event-skipping kernel of Ramulator 2.1's generic DDR controller, as a compatibility policy.

Read and write buffers, write mode between two watermarks, an active buffer of requests whose row
was opened for them (they go first and protect their bank from PRE), a queue of refreshes that goes
before reads and writes, first-ready first-come-first-served among the rest. It repeats that
simulator's known deviations (see `docs/cost_models/dram.md`): a read answered out of the write
buffer waits for the reads before it, and no row is opened in any rank while a refresh waits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archgym.cost_models.dram.bank_timing import (
    after_activate,
    after_precharge,
    after_read,
    after_refresh,
    after_write,
    raise_to,
)
from archgym.cost_models.dram.cells import (
    A_LAST_RETURN,
    A_READ_RETURNS,
    ACT,
    ANSWERS,
    B_COUNT,
    B_FIRST,
    B_HEAD,
    B_HITS,
    B_NEXT_ACT,
    B_NEXT_CAS,
    B_NEXT_PRE,
    B_ROW,
    B_TAIL,
    BANK_CELLS,
    CLASSES,
    G_BANKS,
    G_GROUPS,
    G_RANKS,
    INF,
    NEVER,
    O_ACT,
    O_ACTIVE,
    O_COALESCED,
    O_CONFLICTS,
    O_CYCLES,
    O_FORWARDED,
    O_HITS,
    O_MISSES,
    O_PRE,
    O_PREAB,
    O_PREAB_BANKS,
    O_RD,
    O_REF,
    O_STALL,
    O_WR,
    PRE,
    PREAB,
    Q_HIGH,
    Q_LOW,
    Q_READS,
    Q_REFRESH,
    Q_SCHEDULER,
    Q_WRITES,
    QSCHED_FRFCFS_ROW_HIT,
    R_ACTIVE_FROM,
    R_ACTIVE_SUM,
    R_ACTIVE_TO,
    R_FAW,
    R_NEXT_PREAB,
    R_NEXT_REF,
    R_OPEN,
    RANK_CELLS,
    RD,
    REFAB,
    REFRESH_NONE,
    S_ACCEPTED,
    S_CLASSIFIED,
    S_COLUMN,
    S_NEXT,
    S_REQUEST,
    S_ROW,
    S_WRITE,
    SLOT_CELLS,
    STALL_ACTIVATION,
    STALL_BANK,
    STALL_COMMAND,
    STALL_DATA_BUS,
    STALL_EMPTY,
    STALL_REFRESH,
    T_BURST,
    T_CL,
    T_REFI,
    T_RFC,
    T_RP,
    WR,
)
from archgym.cost_models.dram.dramsys import power_of_two, record
from archgym.cost_models.dram.queues import append, count_hits, remove
from archgym.cost_models.dram.responses import answer


@njit(cache=True, nogil=True)
def oldest_other(lists, slot, k):  # type: ignore[no-untyped-def]
    """Oldest request of list `k` that misses the open row, -1 when there is none."""
    p = k * BANK_CELLS
    if lists[p + B_COUNT] == lists[p + B_HITS]:
        return -1
    s = lists[p + B_HEAD]
    row = lists[p + B_ROW]
    while slot[s * SLOT_CELLS + S_ROW] == row:
        s = slot[s * SLOT_CELLS + S_NEXT]
    return s


@njit(cache=True, nogil=True)
def buffered(lists, slot, k, row, column):  # type: ignore[no-untyped-def]
    """Whether list `k` holds a request for this address."""
    s = lists[k * BANK_CELLS + B_HEAD]
    while s >= 0:
        cell = s * SLOT_CELLS
        if slot[cell + S_ROW] == row and slot[cell + S_COLUMN] == column:
            return True
        s = slot[cell + S_NEXT]
    return False


@njit(cache=True, nogil=True)
def set_row(lists, slot, b, row):  # type: ignore[no-untyped-def]
    """Tell both lists of bank `b` which row is open."""
    for k in range(2 * b, 2 * b + 2):
        lists[k * BANK_CELLS + B_ROW] = row
        if row < 0 or lists[k * BANK_CELLS + B_COUNT] == 0:
            lists[k * BANK_CELLS + B_HITS] = 0
            lists[k * BANK_CELLS + B_FIRST] = -1
        else:
            count_hits(lists, slot, k)


@njit(cache=True, nogil=True)
def drop(busy, count, k):  # type: ignore[no-untyped-def]
    """Remove `k` from the unordered set `busy[:count]`."""
    i = 0
    while busy[i] != k:
        i += 1
    busy[i] = busy[count - 1]
    return count - 1


@njit(cache=True, nogil=True)
def send_clock(  # type: ignore[no-untyped-def]
    arrival, accepted, last_sent, most_reads, reads_sent, answers, read_returns
):
    """Clock from which request `accepted` may be sent; INF while that awaits a read's answer."""
    c = max(arrival[accepted], last_sent + 1)
    if most_reads > 0 and reads_sent >= most_reads:
        k = reads_sent - most_reads
        if k >= answers[A_READ_RETURNS]:
            return INF
        c = max(c, read_returns[k & (read_returns.size - 1)])
    return c


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
    """Run one design over a trace of one channel. Arguments as in `dramsys.simulate`."""
    n = arrival.size
    ranks = geometry[G_RANKS]
    groups = geometry[G_GROUPS]
    per_group = geometry[G_BANKS]
    per_rank = groups * per_group
    banks = ranks * per_rank
    room_reads = policy[Q_READS]
    room_writes = policy[Q_WRITES]
    row_hit_first = policy[Q_SCHEDULER] == QSCHED_FRFCFS_ROW_HIT

    bank = np.zeros(banks * BANK_CELLS, np.int64)
    lists = np.zeros(2 * banks * BANK_CELLS, np.int64)
    for k in range(2 * banks):
        lists[k * BANK_CELLS + B_ROW] = -1
        lists[k * BANK_CELLS + B_HEAD] = -1
        lists[k * BANK_CELLS + B_TAIL] = -1
        lists[k * BANK_CELLS + B_FIRST] = -1
    for b in range(banks):
        bank[b * BANK_CELLS + B_ROW] = -1
    rank = np.zeros(ranks * RANK_CELLS, np.int64)
    for r in range(ranks):
        for k in range(4):
            rank[r * RANK_CELLS + R_FAW + k] = NEVER
    shared = np.zeros(ranks * groups * CLASSES, np.int64)
    busy = np.zeros((2, banks), np.int64)  # banks with reads, with writes in the buffers
    busy_count = np.zeros(2, np.int64)
    promoted = np.full(banks, -1, np.int64)  # slot in the active buffer per bank
    opened = np.zeros(banks, np.int64)  # banks that have one
    opened_count = 0
    slots = room_reads + room_writes + banks
    slot = np.empty(slots * SLOT_CELLS, np.int64)
    for s in range(slots):
        slot[s * SLOT_CELLS + S_NEXT] = s + 1
    free = 0
    answers = np.zeros(ANSWERS, np.int64)
    returns = np.zeros(1, np.int64)
    read_returns = np.zeros(power_of_two(most_reads), np.int64)

    buffered_reads = 0
    buffered_writes = 0
    write_mode = False
    accepted = 0
    reads_sent = 0
    last_sent = -1
    left = n
    t = 1
    refreshes = 0  # refreshes waiting
    refreshed = 0  # refreshes done
    next_refresh = tm[T_REFI] if policy[Q_REFRESH] != REFRESH_NONE else INF
    accounted = 1
    reason = STALL_EMPTY
    known = False
    best_at = INF
    best_slot = -1  # -1: the refresh at the head of the queue
    best_command = ACT
    sends = INF  # clock at which the next request may be sent, INF while unknown

    while left > 0:
        if sends == INF and accepted < n:
            sends = send_clock(
                arrival, accepted, last_sent, most_reads, reads_sent, answers, read_returns
            )
        arrives = sends + 1
        # 1. Send one request before tick t.
        if sends < t:
            i = accepted
            b = home[i]
            is_write = write[i]
            c = t - 1
            took = True
            if buffered(lists, slot, 2 * b + 1, row[i], column[i]):
                if is_write:
                    out[O_COALESCED] += 1
                    if latency.size > 0:
                        latency[i] = c - arrival[i]
                else:
                    out[O_FORWARDED] += 1
                    answers[A_LAST_RETURN] = max(answers[A_LAST_RETURN], c + 1)
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
                        c,
                        answers[A_LAST_RETURN],
                    )
                left -= 1
            elif (buffered_writes < room_writes) if is_write else (buffered_reads < room_reads):
                s = free
                free = slot[s * SLOT_CELLS + S_NEXT]
                slot[s * SLOT_CELLS + S_REQUEST] = i
                slot[s * SLOT_CELLS + S_ROW] = row[i]
                slot[s * SLOT_CELLS + S_WRITE] = is_write
                slot[s * SLOT_CELLS + S_COLUMN] = column[i]
                slot[s * SLOT_CELLS + S_ACCEPTED] = c
                slot[s * SLOT_CELLS + S_CLASSIFIED] = 0
                k = 2 * b + is_write
                if lists[k * BANK_CELLS + B_COUNT] == 0:
                    busy[is_write, busy_count[is_write]] = b
                    busy_count[is_write] += 1
                append(lists, slot, k, s)
                buffered_writes += is_write
                buffered_reads += 1 - is_write
                known = False
            else:
                took = False
            arrives = INF
            if took:
                accepted += 1
                reads_sent += 1 - is_write
                last_sent = c
                sends = INF
                if accepted < n:
                    sends = send_clock(
                        arrival, accepted, last_sent, most_reads, reads_sent, answers, read_returns
                    )
                arrives = sends + 1

        # 2. Refreshes fall due for all ranks at once.
        if t >= next_refresh:
            next_refresh += tm[T_REFI]
            refreshes += ranks
            known = False

        # 3. The command that can go first.
        if not known:
            known = True
            best_at = INF
            best_id = n
            own = 0
            for k in range(opened_count):
                b = opened[k]
                s = promoted[b]
                is_write = slot[s * SLOT_CELLS + S_WRITE]
                bus = shared[b // per_group * CLASSES + RD + is_write]
                at = max(max(bank[b * BANK_CELLS + B_NEXT_CAS], bus), t)
                i = slot[s * SLOT_CELLS + S_REQUEST]
                if at < best_at or (at == best_at and i < best_id):
                    best_at = at
                    best_id = i
                    best_slot = s
                    best_command = RD + is_write
                    own = bank[b * BANK_CELLS + B_NEXT_CAS]
            if refreshes > 0:
                r = refreshed % ranks
                q = r * RANK_CELLS
                closed = rank[q + R_OPEN] == 0
                protected = False
                for k in range(opened_count):
                    protected = protected or opened[k] // per_rank == r
                if not protected:
                    at = max(rank[q + R_NEXT_REF] if closed else rank[q + R_NEXT_PREAB], t)
                    if at < best_at:
                        best_at = at
                        best_slot = -1
                        best_command = REFAB if closed else PREAB
            elif best_at > t:
                if write_mode:
                    write_mode = not (
                        100 * buffered_writes < policy[Q_LOW] * room_writes and buffered_reads > 0
                    )
                else:
                    write_mode = (
                        100 * buffered_writes > policy[Q_HIGH] * room_writes or buffered_reads == 0
                    )
                w = 1 if write_mode else 0
                from_active = best_at
                for k in range(busy_count[w]):
                    b = busy[w, k]
                    p = b * BANK_CELLS
                    x = 2 * b + w
                    if bank[p + B_ROW] < 0:
                        s = lists[x * BANK_CELLS + B_HEAD]
                        bus = shared[b // per_group * CLASSES + ACT]
                        at = max(max(bank[p + B_NEXT_ACT], bus), t)
                        i = slot[s * SLOT_CELLS + S_REQUEST]
                        if at < best_at or (at == best_at and i < best_id and at < from_active):
                            best_at = at
                            best_id = i
                            best_slot = s
                            best_command = ACT
                            own = bank[p + B_NEXT_ACT]
                        continue
                    s = lists[x * BANK_CELLS + B_FIRST]
                    hit = n
                    if s >= 0:
                        bus = shared[b // per_group * CLASSES + RD + w]
                        at = max(max(bank[p + B_NEXT_CAS], bus), t)
                        hit = slot[s * SLOT_CELLS + S_REQUEST]
                        if at < best_at or (at == best_at and hit < best_id and at < from_active):
                            best_at = at
                            best_id = hit
                            best_slot = s
                            best_command = RD + w
                            own = bank[p + B_NEXT_CAS]
                    at = max(bank[p + B_NEXT_PRE], t)
                    if at <= best_at and promoted[b] < 0:
                        s = oldest_other(lists, slot, x)
                        if s >= 0:
                            i = slot[s * SLOT_CELLS + S_REQUEST]
                            if row_hit_first and hit < i:
                                continue
                            if at < best_at or (i < best_id and at < from_active):
                                best_at = at
                                best_id = i
                                best_slot = s
                                best_command = PRE
                                own = at
            reason = STALL_REFRESH if refreshes > 0 else STALL_EMPTY
            if best_at < INF and best_slot >= 0 and refreshes == 0:
                reason = STALL_BANK
                if own < best_at:
                    reason = STALL_ACTIVATION if best_command == ACT else STALL_DATA_BUS

        # 4. Go to the next event.
        event = min(min(best_at, next_refresh), arrives)
        if event > t:
            out[O_STALL + reason] += event - max(t, accounted)
            accounted = max(accounted, event)
            t = event
            continue
        if best_at > t:
            continue

        # 5. Issue.
        out[O_STALL + STALL_COMMAND] += 1
        accounted = t + 1
        known = False
        if best_slot < 0:
            r = refreshed % ranks
            q = r * RANK_CELLS
            record(commands, out, t, best_command, r * per_rank, -1, -1)
            if best_command == PREAB:
                out[O_PREAB] += 1
                for b in range(r * per_rank, (r + 1) * per_rank):
                    if bank[b * BANK_CELLS + B_ROW] >= 0:
                        out[O_PRE] += 1
                        out[O_PREAB_BANKS] += 1
                        after_precharge(bank, rank, tm, b, r, t)
                        set_row(lists, slot, b, -1)
                    else:
                        raise_to(bank, b * BANK_CELLS + B_NEXT_ACT, t + tm[T_RP])
                raise_to(rank, q + R_NEXT_REF, t + tm[T_RP])
            else:
                out[O_REF] += 1
                after_refresh(rank, shared, tm, groups, r, t)
                raise_to(rank, q + R_NEXT_PREAB, t + tm[T_RFC])
                refreshes -= 1
                refreshed += 1
            t += 1
            continue
        s = best_slot
        cell = s * SLOT_CELLS
        i = slot[cell + S_REQUEST]
        b = home[i]
        g = b // per_group
        r = b // per_rank
        is_write = slot[cell + S_WRITE]
        x = 2 * b + is_write
        record(commands, out, t, best_command, b, slot[cell + S_ROW], slot[cell + S_COLUMN])
        if best_command == PRE:
            out[O_PRE] += 1
            if slot[cell + S_CLASSIFIED] == 0:
                slot[cell + S_CLASSIFIED] = 1
                out[O_CONFLICTS] += 1
            after_precharge(bank, rank, tm, b, r, t)
            set_row(lists, slot, b, -1)
            t += 1
            continue
        if best_command == ACT:
            out[O_ACT] += 1
            if slot[cell + S_CLASSIFIED] == 0:
                slot[cell + S_CLASSIFIED] = 1
                out[O_MISSES] += 1
            after_activate(bank, rank, shared, tm, groups, b, r, g, t, slot[cell + S_ROW])
            set_row(lists, slot, b, slot[cell + S_ROW])
            promoted[b] = s
            opened[opened_count] = b
            opened_count += 1
        elif slot[cell + S_CLASSIFIED] == 0:
            out[O_HITS] += 1
        if best_command != ACT and promoted[b] == s:
            promoted[b] = -1
            opened_count = drop(opened, opened_count, b)
        else:
            remove(lists, slot, x, s)
            buffered_writes -= is_write
            buffered_reads -= 1 - is_write
            if lists[x * BANK_CELLS + B_COUNT] == 0:
                busy_count[is_write] = drop(busy[is_write], busy_count[is_write], b)
        if best_command == ACT:
            t += 1
            continue
        left -= 1
        if best_command == WR:
            out[O_WR] += 1
            after_write(bank, rank, shared, tm, groups, ranks, b, r, g, t)
            out[O_CYCLES] = max(out[O_CYCLES], t)
            if latency.size > 0:
                latency[i] = t - arrival[i]
        else:
            out[O_RD] += 1
            after_read(bank, rank, shared, tm, groups, ranks, b, r, g, t)
            answers[A_LAST_RETURN] = max(answers[A_LAST_RETURN], t + tm[T_CL] + tm[T_BURST])
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
                answers[A_LAST_RETURN],
            )
        slot[cell + S_NEXT] = free
        free = s
        t += 1

    end = out[O_CYCLES]
    if end > accounted - 1:
        out[O_STALL + STALL_EMPTY] += end - accounted + 1
    for r in range(ranks):
        q = r * RANK_CELLS
        to = rank[q + R_ACTIVE_TO]
        if rank[q + R_OPEN] > 0 or to > end:
            to = end
        out[O_ACTIVE] += rank[q + R_ACTIVE_SUM] + to - rank[q + R_ACTIVE_FROM]
