"""What the controller `modern` does beyond `dramsys`: write drain, rows that time out."""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, rank_at
from archgym.cost_models.dram.bank_timing import after_precharge
from archgym.cost_models.dram.jit import apart
from archgym.cost_models.dram.machine import drop, record
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.queues import choose_all


@apart
def start_more(m: IntArray, policy: IntArray) -> None:
    """Set the cells of the parameters that only `modern` has."""
    m[c.Z_CAP] = policy[c.P_ROW_HIT_CAP] if policy[c.P_ROW_HIT_CAP] > 0 else c.INF
    m[c.Z_DRAINS] = policy[c.P_WRITE_DRAIN] == c.DRAIN_WATERMARK
    m[c.Z_LOW] = policy[c.P_WRITE_LOW] * policy[c.P_BUFFER_SIZE]
    m[c.Z_HIGH] = policy[c.P_WRITE_HIGH] * policy[c.P_BUFFER_SIZE]
    if policy[c.P_PAGE] == c.PAGE_TIMEOUT:
        m[c.Z_TIMEOUT] = policy[c.P_ROW_TIMEOUT]


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
        m[c.X_RESCAN] = 1
        choose_all(m, slot, True)


@apart
def find_timed_out(m: IntArray, floor: int) -> None:
    """Put closing a row that has timed out before the next command, if that leaves it time."""
    m[c.Z_HELD] = m[c.X_BEST]
    m[c.Z_HELD_AT] = m[c.X_BEST_AT]
    for k in range(c.IDLE_BASE, c.IDLE_BASE + m[c.Z_IDLE]):
        b = m[k]
        due = max(m[c.USED + b] + m[c.Z_TIMEOUT], m[bank_at(b) + c.B_NEXT_PRE])
        if max(due, floor) < m[c.X_BEST_AT]:
            m[c.X_BEST_AT] = max(due, floor)
            m[c.X_BEST] = c.TIMED - b


@apart
def close_row(m: IntArray, commands: IntArray, out: IntArray, b: int, t: int) -> None:
    """Precharge bank `b`, whose row has timed out."""
    record(commands, out, t, c.PRE, b, -1, -1)
    out[c.O_PRE] += 1
    after_precharge(m, bank_at(b), rank_at(m[c.RANK_OF + b]), t)
    drop(m, c.IDLE_BASE, c.Z_IDLE, b)
