"""All-bank refresh with postponing and pulling in, one manager per rank."""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import rank_at
from archgym.cost_models.dram.jit import inlined
from archgym.cost_models.dram.policy import IntArray


@inlined
def first_trigger(interval: int, r: int, ranks: int) -> int:
    """Cycle of the first refresh of rank `r`: ranks are spread over the interval, bit-reversed."""
    reverse = 0
    scale = ranks
    index = r
    while index > 0:
        scale //= 2
        reverse += (index & 1) * scale
        index >>= 1
    return interval - reverse * interval // ranks


@inlined
def look(m: IntArray, r: int, t: int, interval: int, most_postponed: int) -> None:
    """Let the manager of rank `r`, due at or before cycle `t`, decide what it wants now.

    Due and fewer than `most_postponed` owed: with requests waiting it postpones by one interval,
    else it refreshes. With as many owed it blocks the banks and refreshes. After a refresh it pulls
    in further ones for as long as nothing waits, down to a limit.
    """
    q = rank_at(r)
    if t >= m[q + c.R_TRIGGER] + interval:
        m[q + c.R_TRIGGER] += interval
        m[q + c.R_PULLING] = 0
    waiting = m[q + c.R_QUEUED] > 0
    m[q + c.R_COMMAND] = 0
    if m[q + c.R_PULLING]:
        if waiting:
            m[q + c.R_PULLING] = 0
            m[q + c.R_TRIGGER] += interval
        else:
            m[q + c.R_COMMAND] = c.REFAB
        return
    if m[q + c.R_OWED] == most_postponed:
        m[q + c.R_BLOCKED] = 1
    elif waiting:
        m[q + c.R_OWED] += 1
        m[q + c.R_TRIGGER] += interval
        return
    m[q + c.R_COMMAND] = c.PREAB if m[q + c.R_OPEN] > 0 else c.REFAB


@inlined
def refreshed(m: IntArray, r: int, interval: int, most_pulled_in: int) -> None:
    """Book a refresh that rank `r` has just been given."""
    q = rank_at(r)
    m[q + c.R_BLOCKED] = 0
    m[q + c.R_COMMAND] = 0
    if m[q + c.R_PULLING]:
        m[q + c.R_OWED] -= 1
    else:
        m[q + c.R_PULLING] = 1
    if m[q + c.R_OWED] == -most_pulled_in:
        m[q + c.R_PULLING] = 0
        m[q + c.R_TRIGGER] += interval
