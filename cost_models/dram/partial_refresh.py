"""Refresh of one bank, or of one bank of every bank group, while the others go on (`modern`).

The banks of a rank fall into sets, bank b into set b modulo their number; one refresh takes one
set, the sets take turns, and a round of them is due in every tREFI. Owed and early refreshes count
in such parts: as many all-bank refreshes times the number of sets (JESD209-4 and JESD79-5, refresh
requirements).
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, limit_at, rank_at
from archgym.cost_models.dram.bank_timing import (
    after_precharge,
    begin_active,
    count_activation,
    part_precharges,
    raise_rank,
    raise_to,
)
from archgym.cost_models.dram.machine import drop, record
from archgym.cost_models.dram.modern import enter_self_refresh, may_refresh_itself, note
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.refresh import dense, latest, remember
from archgym.cost_models.jit import apart, inlined


@inlined
def turn(m: IntArray, r: int, b: int) -> int:
    """How many sets are refreshed before that of bank `b` of rank `r`."""
    return int((b - m[rank_at(r) + c.R_RECENT]) % m[c.Z_SETS])


@inlined
def shift(m: IntArray) -> int:
    """How much later than ACT a refresh may begin; spacings count to the last clocks of both."""
    return int(m[c.T_LENGTH + c.ACT] - m[c.T_LENGTH + c.PRE])


@inlined
def overdue(m: IntArray, q: int) -> int:
    """Sets that the rank with cells at `q` may not put off any more; their banks are held back."""
    return int(m[q + c.R_OWED] - m[c.X_MOST_POSTPONED] * m[c.Z_SETS])


@apart
def look_at_sets(m: IntArray, r: int, t: int) -> None:
    """Let the manager of rank `r` decide what it wants at cycle `t`.

    When a refresh falls due, and after each refresh, the next set is refreshed, early ones too, for
    as long as no request waits for its banks. Too many owed are refreshed in any case.
    """
    q = rank_at(r)
    sets = m[c.Z_SETS]
    while t >= m[q + c.R_TRIGGER]:
        m[q + c.R_OWED] += 1
        m[q + c.R_PULLING] = 1
        m[q + c.R_TRIGGER] += m[c.T_REFI] // sets
        m[q + c.R_REMAINDER] += m[c.T_REFI] % sets
        if m[q + c.R_REMAINDER] >= sets:
            m[q + c.R_REMAINDER] -= sets
            m[q + c.R_TRIGGER] += 1
    m[q + c.R_COMMAND] = 0
    if not m[q + c.R_PULLING]:
        return
    if overdue(m, q) > 0:
        m[q + c.R_BLOCKED] = 1
    elif m[q + c.R_OWED] <= -m[c.X_MOST_PULLED_IN] * sets or dense(m, r, t) or set_waits(m, r):
        m[q + c.R_PULLING] = 0
        return
    if m[q + c.R_OWED] <= 1 and may_refresh_itself(m, q, t):
        m[q + c.R_COMMAND] = c.PREAB if m[q + c.R_OPEN] > 0 else c.SRE
        return
    want_set(m, r)


@inlined
def set_waits(m: IntArray, r: int) -> bool:
    """Whether a request waits for a bank of the next set of rank `r`."""
    first = r * m[c.X_PER_RANK]
    sets = m[c.Z_SETS]
    waits = False
    for b in range(
        first + m[rank_at(r) + c.R_RECENT] % sets,
        first + m[c.X_PER_RANK],
        sets,
    ):
        waits = waits or m[bank_at(b) + c.B_COUNT] > 0
    return waits


@inlined
def refresh_cycle(m: IntArray, r: int) -> int:
    """First cycle for a refresh of the next set of rank `r`; INF while one of its rows is open.

    It is an activation of every bank of the set: the rules of ACT hold (tRC, tRP, tRRD, tFAW).
    """
    first = r * m[c.X_PER_RANK]
    sets = m[c.Z_SETS]
    at = latest(m, r) + m[c.T_PBR2PBR]
    for b in range(
        first + m[rank_at(r) + c.R_RECENT] % sets,
        first + m[c.X_PER_RANK],
        sets,
    ):
        p = bank_at(b)
        if m[p + c.B_ROW] >= 0:
            at = c.INF
        own = max(m[p + c.B_NEXT_ACT], m[limit_at(m[p + c.B_GROUP]) + c.ACT])
        at = max(at, own + shift(m))
    return int(at)


@inlined
def precharge_cycle(m: IntArray, b: int) -> int:
    """First cycle for a PRE of bank `b`."""
    p = bank_at(b)
    return int(max(m[p + c.B_NEXT_PRE], m[limit_at(m[p + c.B_GROUP]) + c.PRE]))


@inlined
def want_set(m: IntArray, r: int) -> None:
    """Want the refresh of the next set, or, if sooner, a PRE of a row in a set that is due."""
    q = rank_at(r)
    m[q + c.R_COMMAND] = m[c.Z_PARTIAL]
    at = refresh_cycle(m, r)
    sets = max(1, overdue(m, q))
    for b in range(r * m[c.X_PER_RANK], (r + 1) * m[c.X_PER_RANK]):
        if m[bank_at(b) + c.B_ROW] >= 0 and turn(m, r, b) < sets and precharge_cycle(m, b) < at:
            at = precharge_cycle(m, b)
            m[q + c.R_COMMAND] = c.PRE
            m[q + c.R_TARGET] = b


@inlined
def wanted_at(m: IntArray, r: int) -> int:
    """First cycle for what the manager of rank `r` wants."""
    q = rank_at(r)
    m[q + c.R_REFRESH_AT] = refresh_cycle(m, r)
    if m[q + c.R_COMMAND] == c.PRE:
        return precharge_cycle(m, m[q + c.R_TARGET])
    if m[q + c.R_COMMAND] == c.PREAB:
        return int(m[q + c.R_NEXT_PREAB])
    if m[q + c.R_COMMAND] == c.SRE:
        return int(max(m[q + c.R_NEXT_REF], m[q + c.R_READY]))
    return int(m[q + c.R_REFRESH_AT])


@inlined
def held_back(m: IntArray, b: int, at: int) -> bool:
    """Whether an overdue refresh holds back the command of bank `b` at cycle `at`.

    It does if it needs the bank, or if it waits for the distance of activations only and an ACT
    would put it off again.
    """
    r = m[c.RANK_OF + b]
    q = rank_at(r)
    free = at + m[c.T_RRD_L] + shift(m)
    delays = m[bank_at(b) + c.B_COMMAND] == c.ACT and free > m[q + c.R_REFRESH_AT]
    return bool(delays or turn(m, r, b) < overdue(m, q))


@inlined
def refreshing(m: IntArray, b: int, at: int) -> bool:
    """Whether bank `b` is being refreshed up to cycle `at`, or longer."""
    r = m[c.RANK_OF + b]
    ago = m[c.Z_SETS] - turn(m, r, b)
    place = (m[rank_at(r) + c.R_RECENT] - ago) % m[c.Z_RECENT_SIZE]
    at += shift(m)
    return bool(at <= m[m[c.Z_RECENT] + r * m[c.Z_RECENT_SIZE] + place] + m[c.Z_RFC])


@apart
def issue_for_set(m: IntArray, commands: IntArray, out: IntArray, r: int, t: int) -> None:
    """Issue what the manager of rank `r` wants at cycle `t`: PRE, REFpb, REFsb or SRE."""
    q = rank_at(r)
    command = m[q + c.R_COMMAND]
    if command == c.SRE:
        enter_self_refresh(m, commands, out, r, t)
        return
    if m[c.Z_DOWN] > 0:
        note(m, r, command, t)
    if command == c.PRE:
        b = m[q + c.R_TARGET]
        record(commands, out, t, c.PRE, b, -1, -1)
        out[c.O_PRE] += 1
        after_precharge(m, bank_at(b), q, t)
        part_precharges(m, q, t)
        if m[c.Z_TIMEOUT] > 0 and m[bank_at(b) + c.B_COUNT] == 0:
            drop(m, c.IDLE_BASE, c.Z_IDLE, b)
        return
    first = r * m[c.X_PER_RANK]
    place = m[q + c.R_RECENT] % m[c.Z_SETS]
    record(commands, out, t, command, first + place, -1, -1)
    out[c.O_REFPB if command == c.REFPB else c.O_REFSB] += 1
    after_set_refresh(m, r, first + place, t)
    m[c.X_BLOCKED] -= m[q + c.R_BLOCKED]
    m[q + c.R_BLOCKED] = 0
    m[q + c.R_COMMAND] = 0
    m[q + c.R_OWED] -= 1
    remember(m, r, t)


@inlined
def after_set_refresh(m: IntArray, r: int, b: int, t: int) -> None:
    """Keep bank `b` of rank `r` and those of its set busy from cycle `t`.

    As after REF the rank draws active standby current until the precharge that ends the refresh.
    """
    q = rank_at(r)
    end = t + m[c.Z_RFC]
    begin_active(m, q, t)
    raise_to(m, q + c.R_ACTIVE_TO, max(t, end - m[c.T_RP_REF]))
    raise_to(m, q + c.R_NEXT_REF, end)
    raise_to(m, q + c.R_NEXT_PREAB, end)
    # For ACT it counts as one that ends in the same cycle.
    t -= shift(m)
    count_activation(m, q, t)
    raise_rank(m, q, c.ACT, t + m[c.T_RREFD])
    raise_to(m, q + c.R_REFRESH_END, t + m[c.T_RREFD])
    for k in range(b, (r + 1) * m[c.X_PER_RANK], m[c.Z_SETS]):
        raise_to(m, bank_at(k) + c.B_NEXT_ACT, t + m[c.Z_RFC])
