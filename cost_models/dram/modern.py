"""What the controller `modern` does beyond `dramsys`: write drain, row time-outs, power-down."""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, limit_at, rank_at
from archgym.cost_models.dram.bank_timing import (
    after_precharge,
    part_precharges,
    raise_rank,
    raise_to,
)
from archgym.cost_models.dram.machine import banks_of, drop, record
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.queues import choose_all
from archgym.cost_models.jit import apart, inlined


@inlined
def start_more(m: IntArray, geometry: IntArray, policy: IntArray) -> None:
    """Fill the cells of the parameters that only `modern` has."""
    m[c.Z_CAP] = policy[c.P_ROW_HIT_CAP] if policy[c.P_ROW_HIT_CAP] > 0 else c.INF
    m[c.Z_BATCH_CAP] = policy[c.P_BATCH_CAP]
    if policy[c.P_SCHEDULER] == c.SCHED_BATCH:
        m[c.Z_CAP] = c.INF
    m[c.Z_DRAINS] = policy[c.P_WRITE_DRAIN] == c.DRAIN_WATERMARK
    m[c.Z_LOW] = policy[c.P_WRITE_LOW] * policy[c.P_BUFFER_SIZE]
    m[c.Z_HIGH] = policy[c.P_WRITE_HIGH] * policy[c.P_BUFFER_SIZE]
    if policy[c.P_PAGE] == c.PAGE_TIMEOUT:
        m[c.Z_TIMEOUT] = policy[c.P_ROW_TIMEOUT]
    m[c.Z_SELF] = c.INF
    if policy[c.P_POWER_DOWN] != c.POWER_DOWN_NONE:
        m[c.Z_DOWN] = policy[c.P_POWER_DOWN_IDLE]
    if policy[c.P_POWER_DOWN] == c.POWER_DOWN_SELF_REFRESH:
        m[c.Z_SELF] = policy[c.P_SELF_REFRESH_IDLE]
    m[c.Z_SETS] = 1
    if policy[c.P_REFRESH] == c.REFRESH_PER_BANK:
        m[c.Z_PARTIAL] = c.REFPB
        m[c.Z_SETS] = m[c.X_PER_RANK] // geometry[c.G_PAIRED]
        m[c.Z_RFC] = m[c.T_RFC_PB]
    elif policy[c.P_REFRESH] == c.REFRESH_SAME_BANK:
        m[c.Z_PARTIAL] = c.REFSB
        m[c.Z_SETS] = geometry[c.G_BANKS]
        m[c.Z_RFC] = m[c.T_RFC_SB]
    m[c.Z_RECENT] = m.size - c.MOST_RECENT * banks_of(geometry)
    m[c.Z_RECENT_SIZE] = c.MOST_RECENT * m[c.Z_SETS]
    for k in range(m[c.Z_RECENT], m.size):
        m[k] = c.NEVER


@apart
def set_direction(m: IntArray, slot: IntArray) -> None:
    """Turn to writes at the high watermark or without reads; back at the low one, with reads."""
    writes = m[c.X_WRITES]
    reads = m[c.X_QUEUED] - writes
    if m[c.Z_WRITE_MODE]:
        turn = reads > 0 and 100 * writes <= m[c.Z_LOW]
    else:
        turn = writes > 0 and (reads == 0 or 100 * writes >= m[c.Z_HIGH])
    if turn:
        m[c.Z_WRITE_MODE] = 1 - m[c.Z_WRITE_MODE]
        choose_all(m, slot, True)


@apart
def find_timed_out(m: IntArray, floor: int) -> None:
    """Put closing a row that has timed out before the next command, if that leaves it time."""
    m[c.Z_HELD] = m[c.X_BEST]
    m[c.Z_HELD_AT] = m[c.X_BEST_AT]
    for k in range(c.IDLE_BASE, c.IDLE_BASE + m[c.Z_IDLE]):
        b = m[k]
        p = bank_at(b)
        due = max(m[c.USED + b] + m[c.Z_TIMEOUT], m[p + c.B_NEXT_PRE])
        due = max(due, m[limit_at(m[p + c.B_GROUP] + c.PRE)])
        q = rank_at(m[c.RANK_OF + b])
        if m[c.Z_DOWN] > 0 and unwanted(m, q) and down_from(m, q) < max(due, floor):
            continue
        if max(due, floor) < m[c.X_BEST_AT]:
            m[c.X_BEST_AT] = max(due, floor)
            m[c.X_BEST] = c.TIMED - b


@apart
def close_row(m: IntArray, commands: IntArray, out: IntArray, b: int, t: int) -> None:
    """Precharge bank `b`, whose row has timed out."""
    record(commands, out, t, c.PRE, b, -1, -1)
    out[c.O_PRE] += 1
    note(m, m[c.RANK_OF + b], c.PRE, t)
    after_precharge(m, bank_at(b), rank_at(m[c.RANK_OF + b]), t)
    part_precharges(m, rank_at(m[c.RANK_OF + b]), t)
    drop(m, c.IDLE_BASE, c.Z_IDLE, b)


@inlined
def unwanted(m: IntArray, q: int) -> bool:
    """Whether no request and no refresh waits for the rank with cells at `q`."""
    return bool(m[q + c.R_QUEUED] == 0 and m[q + c.R_COMMAND] == 0)


@inlined
def down_from(m: IntArray, q: int) -> int:
    """Cycle from which the rank with cells at `q` is in power-down while it is unwanted."""
    since = max(m[q + c.R_SINCE] + m[c.Z_DOWN], m[q + c.R_READY])
    return int(since if m[q + c.R_OPEN] > 0 else max(since, m[q + c.R_ACTIVE_TO]))


@apart
def note(m: IntArray, r: int, command: int, t: int) -> None:
    """Remember when rank `r` was last used, and from when it may power down.

    After the data of a read, after the recovery of a write (JESD79-4 tRDPDEN, tWRAPDEN), and, which
    the standards do not ask for, after tRFC of a refresh.
    """
    q = rank_at(r)
    ready = t + m[c.T_LENGTH + (command & (c.CLASSES - 1))] + 1
    if command == c.REFAB:
        ready = t + m[c.T_RFC]
    elif command == c.REFPB or command == c.REFSB:
        ready = t + m[c.Z_RFC]
    elif command == c.RD or command == c.RDA:
        ready = t + m[c.T_CL] + m[c.T_BURST] + 1
    elif command == c.WR or command == c.WRA:
        ready = t + m[c.T_WR_PRE] + m[c.T_LENGTH + c.PRE]
    if command == c.RD or command == c.RDA or command == c.WR or command == c.WRA:
        m[q + c.R_USED] = t
    m[q + c.R_SINCE] = t
    raise_to(m, q + c.R_READY, ready)


@inlined
def leave(m: IntArray, out: IntArray, q: int, state: int, since: int, up: int, awake: int) -> None:
    """Count the cycles in a state that ends at `up`; nothing goes before `awake`."""
    out[state] += up - since
    m[q + c.R_UP] = up
    m[q + c.R_STATE] = state
    m[q + c.R_AWAKE] = awake
    m[q + c.R_SINCE] = awake
    raise_rank(m, q, c.ACT, awake)
    raise_rank(m, q, c.PRE, awake)
    raise_to(m, q + c.R_NEXT_PREAB, awake)
    raise_to(m, q + c.R_NEXT_REF, awake)


@inlined
def state_of(m: IntArray, q: int) -> int:
    """Output cell of the power-down that the rank with cells at `q` would be in."""
    return int(c.O_ACTIVE_DOWN if m[q + c.R_OPEN] > 0 else c.O_PRECHARGE_DOWN)


@apart
def wake(m: IntArray, commands: IntArray, out: IntArray, r: int, t: int) -> None:
    """Bring rank `r`, unwanted before cycle `t`, out of power-down or self-refresh, if in one.

    Power-down takes no slot of the command bus, so it is booked when it ends.
    """
    q = rank_at(r)
    first = r * m[c.X_PER_RANK]
    if m[q + c.R_ASLEEP]:
        since = m[q + c.R_ASLEEP_AT]
        up = max(t, since + m[c.T_LENGTH + c.PRE] - 1 + m[c.T_CKESR])
        record(commands, out, up, c.SRX, first, -1, -1)
        leave(m, out, q, c.O_SELF_REFRESH, since, up, up + m[c.T_XS])
        raise_rank(m, q, c.RD, up + m[c.T_XSDLL])
        raise_rank(m, q, c.WR, up + m[c.T_XSDLL])
        m[q + c.R_ASLEEP] = 0
        m[q + c.R_TRIGGER] = up + m[c.T_REFI] // m[c.Z_SETS]
        m[c.X_LOOK] = min(m[c.X_LOOK], m[q + c.R_TRIGGER])
        m[c.X_TRIGGER] = min(m[c.X_TRIGGER], m[q + c.R_TRIGGER])
        return
    since = down_from(m, q)
    if since >= t:
        return
    up = max(t, since + m[c.T_CKE])
    record(commands, out, since, c.PDE, first, -1, -1)
    record(commands, out, up, c.PDX, first, -1, -1)
    leave(m, out, q, state_of(m, q), since, up, up + m[c.T_XP])
    raise_rank(m, q, c.RD, up + m[c.T_XP])
    raise_rank(m, q, c.WR, up + m[c.T_XP])


@apart
def falls_asleep(m: IntArray, commands: IntArray, out: IntArray, r: int, t: int) -> bool:
    """Enter self-refresh instead of a refresh of rank `r` at cycle `t`, if it was idle long."""
    q = rank_at(r)
    if m[q + c.R_OWED] > 0 or t < m[q + c.R_READY] or not may_refresh_itself(m, q, t):
        return False
    enter_self_refresh(m, commands, out, r, t)
    return True


@inlined
def may_refresh_itself(m: IntArray, q: int, t: int) -> bool:
    """Whether the rank with cells at `q` was idle for long, and refreshed since it last did.

    JESD79-3F and JESD79-4: after an exit at least one refresh before the next entry.
    """
    unused = m[q + c.R_QUEUED] == 0 and t >= m[q + c.R_USED] + m[c.Z_SELF]
    return bool(unused and m[q + c.R_OUTSTANDING] == 0)


@apart
def enter_self_refresh(m: IntArray, commands: IntArray, out: IntArray, r: int, t: int) -> None:
    """Let rank `r` refresh itself from cycle `t`, in the place of a refresh.

    How many refreshes it is ahead does not change (JESD79-3F, JESD79-4).
    """
    q = rank_at(r)
    record(commands, out, t, c.SRE, r * m[c.X_PER_RANK], -1, -1)
    m[c.X_BLOCKED] -= m[q + c.R_BLOCKED]
    m[q + c.R_BLOCKED] = 0
    m[q + c.R_COMMAND] = 0
    m[q + c.R_PULLING] = 0
    m[q + c.R_TRIGGER] = c.INF
    m[q + c.R_OUTSTANDING] = m[c.Z_SETS]
    m[q + c.R_ASLEEP] = 1
    m[q + c.R_ASLEEP_AT] = t


@apart
def close_states(m: IntArray, commands: IntArray, out: IntArray) -> None:
    """Count the cycles of states that last to the end, and none after it."""
    end = out[c.O_CYCLES]
    for r in range(m[c.X_RANKS]):
        q = rank_at(r)
        if m[q + c.R_UP] > end:
            out[m[q + c.R_STATE]] -= m[q + c.R_UP] - end
        if m[q + c.R_ASLEEP]:
            out[c.O_SELF_REFRESH] += max(0, end - m[q + c.R_ASLEEP_AT])
        elif unwanted(m, q) and down_from(m, q) < end:
            record(commands, out, down_from(m, q), c.PDE, r * m[c.X_PER_RANK], -1, -1)
            out[state_of(m, q)] += end - down_from(m, q)
