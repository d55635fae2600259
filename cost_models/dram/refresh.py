"""All-bank refresh with postponing and pulling in, one manager per rank."""

from __future__ import annotations

from numba import njit

from archgym.cost_models.dram.cells import (
    PREAB,
    R_BLOCKED,
    R_COMMAND,
    R_OPEN,
    R_OWED,
    R_PULLING,
    R_QUEUED,
    R_TRIGGER,
    RANK_CELLS,
    REFAB,
)


@njit(cache=True, nogil=True)
def first_trigger(interval, r, ranks):  # type: ignore[no-untyped-def]
    """Cycle of the first refresh of rank `r`: ranks are spread over the interval, bit-reversed."""
    reverse = 0
    scale = ranks
    index = r
    while index > 0:
        scale //= 2
        reverse += (index & 1) * scale
        index >>= 1
    return interval - reverse * interval // ranks


@njit(cache=True, nogil=True)
def look(rank, r, t, interval, most_postponed):  # type: ignore[no-untyped-def]
    """Let the manager of rank `r`, due at or before cycle `t`, decide what it wants now.

    Due and fewer than `most_postponed` owed: with requests waiting it postpones by one interval,
    else it refreshes. With as many owed it blocks the banks and refreshes. After a refresh it pulls
    in further ones for as long as nothing waits, down to a limit.
    """
    q = r * RANK_CELLS
    if t >= rank[q + R_TRIGGER] + interval:
        rank[q + R_TRIGGER] += interval
        rank[q + R_PULLING] = 0
    waiting = rank[q + R_QUEUED] > 0
    rank[q + R_COMMAND] = 0
    if rank[q + R_PULLING]:
        if waiting:
            rank[q + R_PULLING] = 0
            rank[q + R_TRIGGER] += interval
        else:
            rank[q + R_COMMAND] = REFAB
        return
    if rank[q + R_OWED] == most_postponed:
        rank[q + R_BLOCKED] = 1
    elif waiting:
        rank[q + R_OWED] += 1
        rank[q + R_TRIGGER] += interval
        return
    rank[q + R_COMMAND] = PREAB if rank[q + R_OPEN] > 0 else REFAB


@njit(cache=True, nogil=True)
def refreshed(rank, r, interval, most_pulled_in):  # type: ignore[no-untyped-def]
    """Book a refresh that rank `r` has just been given."""
    q = r * RANK_CELLS
    rank[q + R_BLOCKED] = 0
    rank[q + R_COMMAND] = 0
    if rank[q + R_PULLING]:
        rank[q + R_OWED] -= 1
    else:
        rank[q + R_PULLING] = 1
    if rank[q + R_OWED] == -most_pulled_in:
        rank[q + R_PULLING] = 0
        rank[q + R_TRIGGER] += interval
