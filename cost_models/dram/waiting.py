"""The table of banks with requests, and the search in it for the next command.

The search takes most of a kernel's time. So the table is compact, and the search is one minimum
without branches over numbers that order the commands: how many cycles from now, then the trace
index of the request, then the bank.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.addresses import bank_at, limit_at, place_at
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.jit import inlined

NOTHING = (1 << 63) - 1


@inlined
def enter(m: IntArray, b: int) -> None:
    """Add bank `b`, which had no request, to the table."""
    k = place_at(m[c.X_ACTIVE])
    m[c.X_ACTIVE] = k + 1
    m[bank_at(b) + c.B_PLACE] = k
    m[k + c.W_ORDER] = b


@inlined
def leave(m: IntArray, b: int) -> None:
    """Remove bank `b` from the table; the last row takes its place."""
    last = place_at(m[c.X_ACTIVE] - 1)
    m[c.X_ACTIVE] = last
    k = place_at(m[bank_at(b) + c.B_PLACE])
    m[bank_at(bank_of(m, last)) + c.B_PLACE] = k
    for column in (c.W_ORDER, c.W_EARLIEST, c.W_LIMIT):
        m[k + column] = m[last + column]


@inlined
def bank_of(m: IntArray, k: int) -> int:
    """The bank in row `k` of the table."""
    return int(m[k + c.W_ORDER] & (c.MOST_BANKS - 1))


@inlined
def cycle_of(m: IntArray, k: int, t: int) -> int:
    """First cycle from `t` at which what the bank in row `k` wants is legal and has a bus."""
    limit = limit_at(m[k + c.W_LIMIT])
    # The limits of a bank group are in the order of the classes ACT, RD, WR, PRE.
    bus = m[c.X_COLUMN_BUS] if (limit + 1) & 2 else m[c.X_BUS]
    at: int = max(max(m[k + c.W_EARLIEST], m[limit]), max(bus, t))
    return at


@inlined
def rank_of_command(m: IntArray, k: int, t: int) -> int:
    """Number that orders the command of row `k`: cycles after `t`, then age, then bank."""
    cycles = min(cycle_of(m, k, t) - t, c.FAR)
    return int((cycles << c.ORDER_BITS) | m[k + c.W_ORDER])


@inlined
def first(m: IntArray, t: int) -> int:
    """Least number of a command, the largest integer without any."""
    best = NOTHING
    for k in range(m[c.X_ACTIVE]):
        best = min(best, rank_of_command(m, k, t))
    return best
