"""Where the cells of a bank, rank, slot or request begin.

The masks change nothing: they let the compiler see that no index is negative, which spares a
test per access.
"""

from __future__ import annotations

from archgym.cost_models.dram import cells as c
from archgym.cost_models.jit import inlined


@inlined
def bank_at(b: int) -> int:
    """Offset of bank `b`'s cells; of list `b`'s, where a bank has two."""
    return (b & (2 * c.MOST_BANKS - 1)) * c.BANK_CELLS


@inlined
def rank_at(r: int) -> int:
    """Offset of rank `r`'s cells."""
    return (r & (c.MOST_RANKS - 1)) * c.RANK_CELLS


@inlined
def slot_at(s: int) -> int:
    """Offset of slot `s`."""
    return (s & ((1 << 40) - 1)) * c.SLOT_CELLS


@inlined
def request_at(i: int) -> int:
    """Offset of request `i`."""
    return (i & ((1 << 40) - 1)) * c.REQUEST_CELLS


@inlined
def limit_at(index: int) -> int:
    """Index of a shared limit."""
    return index & (c.LIMIT_SPAN - 1)


@inlined
def place_at(k: int) -> int:
    """Row `k` of the table of banks with requests."""
    return k & (c.MOST_BANKS - 1)
