"""Orders of a level's loops that hold the optimum of all orders.

Every dimension leaves exactly one tensor where it is: N, P, Q the weights, K the inputs, C, R, S
the outputs. What a level's order decides for a pair of memories (a child and its parent) is

- for weights and outputs, how many of the innermost loops outside of the child do not move them:
  the tile stays for those, and is exchanged in every iteration of all loops outside;
- for inputs without a window (R = S = 1) the same; with one, a step of a P, Q, R, S or K loop
  brings what the moved window does not share with the one before, which is never more than a whole
  tile; a step of an N or C loop, and every step of any loop outside of one, brings a whole tile.

Without windows, let the innermost loop of more than one iteration be one of a group, say N, P, Q.
Inputs and outputs then move with it, so they are exchanged in every iteration whatever comes
outside. Weights are exchanged least if all N, P, Q of the level are inside of the rest. The order
within the group and within the rest changes nothing: three orders per level are enough, whatever
the other levels do, as what a level leaves unmoved the next one is asked for in the same way.

With windows, an order belongs to one of three classes, and each step below makes no count larger
for any pair of memories, so the orders that it ends in hold the optimum of the class.

1. C is among the leading C, R, S loops. Moving all R, S before C and everything else behind it
   leaves outputs for at least as long, weights move with the first loop before and after, and
   inputs lose no step that shared something: R, S in any order, C, the rest.
2. N is among the leading N, P, Q loops. Likewise: P, Q in any order, N, the rest.
3. Neither. Moving C and N outermost lets every other step share what it can, and can only prolong
   what leads: K, P, Q, R, S in any order, then C and N.

Loops of one iteration are transparent, so only the orders of the others are listed.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import AnyInt
from archgym.cost_models.accelerator.loopnest.problem import Problem

_N, _K, _C, _P, _Q, _R, _S = range(7)
_STAY = ((_P, _Q, _N, _C, _R, _S, _K), (_K, _C, _R, _S, _P, _Q, _N), (_R, _S, _C, _P, _Q, _K, _N))


def has_window(problem: Problem) -> bool:
    """Whether tiles of the inputs can overlap."""
    return problem.r > 1 or problem.s > 1


@functools.cache
def pruned_orders(loops: frozenset[int], window: bool) -> AnyInt:
    """Orders of a level `(n, 7)`, innermost first, that hold the optimum of all.

    Args:
        loops: Dimensions of more than one iteration at the level.
        window: Whether tiles of the inputs can overlap.
    """
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for order in _window_orders(loops) if window else _STAY:
        kept = tuple(d for d in order if d in loops)
        if not window:
            kept = _canonical(kept)
        found.setdefault(kept, kept + tuple(d for d in range(7) if d not in kept))
    return np.array(list(found.values()), np.uint8).reshape(-1, 7)


def _canonical(order: tuple[int, ...]) -> tuple[int, ...]:
    """One of the orders that cost the same without a window: the leading group, then the rest."""
    group = next((g for g in ((_N, _P, _Q), (_K,), (_C, _R, _S)) if order and order[0] in g), ())
    return tuple(sorted(order, key=lambda d: (d not in group, d)))


def _window_orders(loops: frozenset[int]) -> list[tuple[int, ...]]:
    def some(dims: tuple[int, ...]) -> list[tuple[int, ...]]:
        return list(itertools.permutations([d for d in dims if d in loops]))

    def rest(first: tuple[int, ...]) -> tuple[int, ...]:
        return (*first, *(d for d in (_P, _Q, _R, _S, _K, _C, _N) if d in loops and d not in first))

    orders = [(*each, _C, _N) for each in some((_P, _Q, _R, _S, _K))]
    if _C in loops:
        orders += [rest((*each, _C)) for each in some((_R, _S))]
    if _N in loops:
        orders += [rest((*each, _N)) for each in some((_P, _Q))]
    return orders
