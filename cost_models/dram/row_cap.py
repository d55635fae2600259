"""Closing rows after a number of accesses, as Ramulator 2.1's ClosedCAP row policy does.

An access to a row that has had its number of them carries an auto-precharge, unless another waits
in the active buffer for the row. A row that has had them is also closed by a PRE of its own: from
the first tick in which the bank's timing allows one, that waits in the queue of the refreshes,
after those that came before it. While it waits no new access is chosen. A refresh before it in the
queue may close the bank first; the PRE is then issued all the same, to a closed bank, even while
the refresh lasts, as that simulator does.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at
from archgym.cost_models.dram.machine import drop
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.jit import inlined

_RING = c.MOST_BANKS - 1


@inlined
def exhausted(m: IntArray, b: int) -> bool:
    """Whether the open row of bank `b` has had its accesses."""
    return bool(0 < m[c.Y_ROW_CAP] <= m[bank_at(b) + c.B_ACCESSES])


@inlined
def last_access(m: IntArray, b: int, s: int) -> bool:
    """Whether the access of slot `s` to bank `b` closes the row."""
    waiting = m[bank_at(b) + c.B_SLOT]
    return exhausted(m, b) and bool(waiting < 0 or waiting == s)


@inlined
def count_access(m: IntArray, b: int) -> None:
    """Count an access to the open row of bank `b`; with the last one its row is to be closed."""
    p = bank_at(b)
    m[p + c.B_ACCESSES] += 1
    if m[p + c.B_ACCESSES] == m[c.Y_ROW_CAP]:
        m[c.DUE_BASE + m[c.Y_DUE]] = b
        m[c.Y_DUE] += 1
        m[c.Y_DUE_AT] = min(m[c.Y_DUE_AT], m[p + c.B_NEXT_PRE])


@inlined
def forget_accesses(m: IntArray, b: int) -> None:
    """Bank `b` has been closed, in whatever way."""
    if exhausted(m, b) and m[bank_at(b) + c.B_QUEUED] == 0:
        drop(m, c.DUE_BASE, c.Y_DUE, b)
    m[bank_at(b) + c.B_ACCESSES] = 0
    m[bank_at(b) + c.B_QUEUED] = 0


@inlined
def queue_closes(m: IntArray, t: int) -> None:
    """Queue a PRE for each exhausted bank whose timing allows one, in the order of the banks."""
    while m[c.Y_DUE_AT] <= t:
        m[c.Y_DUE_AT] = c.INF
        first = c.MOST_BANKS
        for k in range(c.DUE_BASE, c.DUE_BASE + m[c.Y_DUE]):
            at = m[bank_at(m[k]) + c.B_NEXT_PRE]
            m[c.Y_DUE_AT] = min(m[c.Y_DUE_AT], at)
            if at <= t and m[k] < first:
                first = m[k]
        if first < c.MOST_BANKS:
            drop(m, c.DUE_BASE, c.Y_DUE, first)
            m[c.CLOSE_BASE + ((m[c.Y_CLOSED] + m[c.Y_CLOSES]) & _RING)] = first
            m[c.Y_CLOSES] += 1
            m[bank_at(first) + c.B_QUEUED] = 1
            m[bank_at(first) + c.B_BEHIND] = m[c.Y_REFRESHED] + m[c.Y_REFRESHES]
            m[c.X_RESCAN] = 1


@inlined
def next_close(m: IntArray) -> int:
    """Bank of the PRE at the head of the queue, -1 where that is a refresh."""
    if m[c.Y_CLOSES] == 0:
        return -1
    b = m[c.CLOSE_BASE + (m[c.Y_CLOSED] & _RING)]
    return int(b) if m[bank_at(b) + c.B_BEHIND] <= m[c.Y_REFRESHED] else -1


@inlined
def take_close(m: IntArray) -> None:
    """Take the PRE at the head out of the queue."""
    m[c.Y_CLOSES] -= 1
    m[c.Y_CLOSED] += 1
