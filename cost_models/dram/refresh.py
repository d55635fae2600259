"""All-bank refresh with postponing and pulling in, one manager per rank."""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import rank_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.jit import inlined


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
def latest(m: IntArray, r: int) -> int:
    """Cycle of the last refresh of rank `r`."""
    place = (m[rank_at(r) + c.R_RECENT] - 1) % m[c.Z_RECENT_SIZE]
    return int(m[m[c.Z_RECENT] + r * m[c.Z_RECENT_SIZE] + place])


@inlined
def dense(m: IntArray, r: int, t: int) -> bool:
    """Whether rank `r` had all refreshes that 2 tREFI may hold: 16 (JESD79-3F, JESD79-4)."""
    oldest = m[m[c.Z_RECENT] + r * m[c.Z_RECENT_SIZE] + m[rank_at(r) + c.R_RECENT]]
    return bool(oldest + 2 * m[c.T_REFI] > t)


@inlined
def remember(m: IntArray, r: int, t: int) -> None:
    """Note a refresh of rank `r` at cycle `t` (`modern`)."""
    q = rank_at(r)
    m[m[c.Z_RECENT] + r * m[c.Z_RECENT_SIZE] + m[q + c.R_RECENT]] = t
    m[q + c.R_RECENT] = (m[q + c.R_RECENT] + 1) % m[c.Z_RECENT_SIZE]
    m[q + c.R_OUTSTANDING] = max(0, m[q + c.R_OUTSTANDING] - 1)


@inlined
def look(m: IntArray, r: int, t: int, interval: int, most_postponed: int, more: bool) -> None:
    """Let the manager of rank `r`, due at or before cycle `t`, decide what it wants now.

    Due and fewer than `most_postponed` owed: with requests waiting it postpones by one interval,
    else it refreshes. With as many owed it blocks the banks and refreshes. After a refresh it pulls
    in further ones for as long as nothing waits, down to a limit. `more`, a constant: as if a
    request waited where the standards allow no further refresh yet.
    """
    q = rank_at(r)
    if t >= m[q + c.R_TRIGGER] + interval:
        m[q + c.R_TRIGGER] += interval
        m[q + c.R_PULLING] = 0
    waiting = m[q + c.R_QUEUED] > 0 or (more and dense(m, r, t))
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
