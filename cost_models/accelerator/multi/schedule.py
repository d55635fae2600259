"""Which layer runs where: a deterministic heuristic for many designs, exact for a few layers.

Networks are chains of layers; a sub-accelerator runs one layer at a time, without interruption. Of
a given assignment of layers to sub-accelerators, the better of two orders counts: the layer that
can begin earliest begins next, or the one with the most work behind it in its chain (mean cycles
over the sub-accelerators), which also breaks ties of the first.

The heuristic takes the best of some assignments, then moves single layers as long as that helps:

- every chain on one sub-accelerator, all combinations of chains and sub-accelerators where they are
  at most `_STATIC`, else every chain where it is fastest alone;
- every layer where it would end first, in the order of the work behind it (heterogeneous earliest
  finish time, Topcuoglu et al., IEEE TPDS 2002, for chains and without insertion).

`exact` searches all schedules depth first with bounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.jit import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STATIC = 81
_ROUNDS = 8


@compiled
def _dispatched(
    cycles: FloatArray,
    starts: IntArray,
    behind: FloatArray,
    assigned: IntArray,
    next_layer: IntArray,
    ready: FloatArray,
    free: FloatArray,
    begins: FloatArray,
    by_work: bool,
) -> float:
    """End of the last layer by one of the rules; writes when each begins.

    `next_layer`, `ready` and `free` are scratch.
    """
    chains, layers = len(starts) - 1, len(cycles)
    for chain in range(chains):
        next_layer[chain], ready[chain] = starts[chain], 0.0
    for unit in range(len(free)):
        free[unit] = 0.0
    end = 0.0
    for _ in range(layers):
        best, begin = -1, np.inf
        for chain in range(chains):
            layer = next_layer[chain]
            if layer == starts[chain + 1]:
                continue
            at = max(ready[chain], free[assigned[layer]])
            more = best < 0 or behind[layer] > behind[next_layer[best]]
            if best < 0 or (more if by_work or at == begin else at < begin):
                best, begin = chain, at
        layer = next_layer[best]
        begins[layer] = begin
        done = begin + cycles[layer, assigned[layer]]
        ready[best] = free[assigned[layer]] = done
        next_layer[best] += 1
        end = max(end, done)
    return end


@compiled
def _timed(
    cycles: FloatArray,
    starts: IntArray,
    behind: FloatArray,
    assigned: IntArray,
    next_layer: IntArray,
    ready: FloatArray,
    free: FloatArray,
    begins: FloatArray,
) -> float:
    """End of the last layer by the better of both rules; the last four arrays are scratch."""
    early = _dispatched(cycles, starts, behind, assigned, next_layer, ready, free, begins, False)
    long = _dispatched(cycles, starts, behind, assigned, next_layer, ready, free, begins, True)
    return min(early, long)


@compiled
def _work_behind(
    cycles: FloatArray, starts: IntArray, usable: IntArray, behind: FloatArray
) -> None:
    """Mean cycles of a layer and of those after it in its chain."""
    for chain in range(len(starts) - 1):
        total = 0.0
        for layer in range(starts[chain + 1] - 1, starts[chain] - 1, -1):
            for unit in usable:
                total += cycles[layer, unit] / len(usable)
            behind[layer] = total


@compiled
def _earliest_finish(
    cycles: FloatArray,
    starts: IntArray,
    usable: IntArray,
    behind: FloatArray,
    assigned: IntArray,
    next_layer: IntArray,
    ready: FloatArray,
    free: FloatArray,
) -> None:
    """Assigns every layer to where it ends first, those with the most work behind them first."""
    chains = len(starts) - 1
    for chain in range(chains):
        next_layer[chain], ready[chain] = starts[chain], 0.0
    for unit in range(len(free)):
        free[unit] = 0.0
    for _ in range(len(cycles)):
        best = -1
        for chain in range(chains):
            layer = next_layer[chain]
            if layer < starts[chain + 1] and (best < 0 or behind[layer] > behind[next_layer[best]]):
                best = chain
        layer = next_layer[best]
        end, chosen = np.inf, -1
        for unit in usable:
            at = max(ready[best], free[unit]) + cycles[layer, unit]
            if at < end:
                end, chosen = at, unit
        assigned[layer] = chosen
        ready[best] = free[chosen] = end
        next_layer[best] += 1


@compiled
def _static(starts: IntArray, usable: IntArray, number: int, assigned: IntArray) -> None:
    """The assignment of whole chains with that number."""
    rest = number
    for chain in range(len(starts) - 1):
        unit = usable[rest % len(usable)]
        rest //= len(usable)
        for layer in range(starts[chain], starts[chain + 1]):
            assigned[layer] = unit


@compiled
def _fastest_alone(
    cycles: FloatArray, starts: IntArray, usable: IntArray, assigned: IntArray
) -> None:
    """Every chain where it is fastest."""
    for chain in range(len(starts) - 1):
        least, chosen = np.inf, -1
        for unit in usable:
            total = 0.0
            for layer in range(starts[chain], starts[chain + 1]):
                total += cycles[layer, unit]
            if total < least:
                least, chosen = total, unit
        for layer in range(starts[chain], starts[chain + 1]):
            assigned[layer] = chosen


@compiled
def _improve(
    cycles: FloatArray,
    starts: IntArray,
    usable: IntArray,
    behind: FloatArray,
    assigned: IntArray,
    next_layer: IntArray,
    ready: FloatArray,
    free: FloatArray,
    begins: FloatArray,
    rounds: int,
) -> float:
    """Moves single layers, the first that helps, until none does or rounds are over."""
    end = _timed(cycles, starts, behind, assigned, next_layer, ready, free, begins)
    for _ in range(rounds):
        before = end
        for layer in range(len(cycles)):
            for unit in usable:
                kept = assigned[layer]
                if unit == kept:
                    continue
                assigned[layer] = unit
                other = _timed(cycles, starts, behind, assigned, next_layer, ready, free, begins)
                if other < end:
                    end = other
                else:
                    assigned[layer] = kept
        if end == before:
            break
    return end


@compiled
def _best_of(
    cycles: FloatArray,
    starts: IntArray,
    usable: IntArray,
    most_static: int,
    rounds: int,
    assigned: IntArray,
) -> float:
    """Schedules one design; writes where its layers run."""
    layers, units, chains = len(cycles), cycles.shape[1], len(starts) - 1
    behind, begins = np.empty(layers), np.empty(layers)
    next_layer, ready, free = np.empty(chains, np.int64), np.empty(chains), np.empty(units)
    trial = np.empty(layers, np.int64)
    _work_behind(cycles, starts, usable, behind)
    _earliest_finish(cycles, starts, usable, behind, trial, next_layer, ready, free)
    end = _improve(cycles, starts, usable, behind, trial, next_layer, ready, free, begins, rounds)
    assigned[:] = trial
    combinations = len(usable) ** chains
    least = np.inf
    static = np.empty(layers, np.int64)
    if combinations <= most_static:
        for number in range(combinations):
            _static(starts, usable, number, trial)
            other = _timed(cycles, starts, behind, trial, next_layer, ready, free, begins)
            if other < least:
                least = other
                static[:] = trial
    else:
        _fastest_alone(cycles, starts, usable, static)
    other = _improve(
        cycles, starts, usable, behind, static, next_layer, ready, free, begins, rounds
    )
    if other < end:
        end = other
        assigned[:] = static
    return end


@compiled
def _schedule_all(
    cycles: FloatArray,
    starts: IntArray,
    most_static: int,
    rounds: int,
    ends: FloatArray,
    assigned: IntArray,
) -> None:
    """Designs one after the other; a unit with infinite cycles is none."""
    units = cycles.shape[2]
    for design in range(len(cycles)):
        usable = np.empty(units, np.int64)
        count = 0
        for unit in range(units):
            if np.isfinite(cycles[design, 0, unit]):
                usable[count] = unit
                count += 1
        ends[design] = _best_of(
            cycles[design], starts, usable[:count], most_static, rounds, assigned[design]
        )


def schedule(cycles: FloatArray, starts: IntArray) -> tuple[FloatArray, IntArray]:
    """Schedules designs by the heuristic.

    Args:
        cycles: `(d, l, k)` of a layer alone on a sub-accelerator; infinite where there is none.
        starts: `(c + 1,)` first layer of every chain, and the number of layers.

    Returns:
        Cycles until all layers have ended `(d,)`, and where each runs `(d, l)`.

    Raises:
        ValueError: If a design has no sub-accelerator, or a chain no layer.
    """
    cycles = np.ascontiguousarray(cycles, np.float64)
    starts = np.asarray(starts, np.int64)
    if np.any(np.diff(starts) < 1) or starts[0] != 0 or starts[-1] != cycles.shape[1]:
        raise ValueError(
            f"starts: {starts.tolist()} must rise from 0 to the {cycles.shape[1]} layers"
        )
    if not np.isfinite(cycles[:, 0, :]).any(axis=1).all():
        raise ValueError("cycles: a design has no sub-accelerator")
    ends = np.empty(len(cycles))
    assigned = np.zeros(cycles.shape[:2], np.int64)
    _schedule_all(cycles, starts, _STATIC, _ROUNDS, ends, assigned)
    return ends, assigned


def timeline(
    cycles: FloatArray, starts: IntArray, assigned: IntArray
) -> tuple[FloatArray, FloatArray]:
    """When every layer begins and ends under an assignment, in the better of both orders.

    Args:
        cycles: `(l, k)`.
        starts: As for `schedule`.
        assigned: Where each layer runs `(l,)`.
    """
    cycles = np.ascontiguousarray(cycles, np.float64)
    starts, assigned = np.asarray(starts, np.int64), np.asarray(assigned, np.int64)
    (layers, units), chains = cycles.shape, len(starts) - 1
    behind, begins = np.empty(layers), np.empty((2, layers))
    _work_behind(cycles, starts, np.flatnonzero(np.isfinite(cycles[0])), behind)
    scratch = np.empty(chains, np.int64), np.empty(chains), np.empty(units)
    ends = [
        _dispatched(cycles, starts, behind, assigned, *scratch, begins[rule], bool(rule))
        for rule in (0, 1)
    ]
    begin = begins[int(np.argmin(ends))]
    return begin, begin + cycles[np.arange(layers), assigned]


def exact(cycles: FloatArray, starts: IntArray, limit: int = 2_000_000) -> float:
    """The least cycles of all schedules of one design; depth first with bounds.

    Args:
        cycles: `(l, k)`.
        starts: As for `schedule`.
        limit: Partial schedules looked at.

    Raises:
        ValueError: If more would have to be looked at.
    """
    chains, units = len(starts) - 1, cycles.shape[1]
    fastest = cycles.min(axis=1)
    left = np.zeros(len(cycles) + 1)
    for chain in range(chains):
        for layer in range(starts[chain + 1] - 1, starts[chain] - 1, -1):
            after = left[layer + 1] if layer + 1 < starts[chain + 1] else 0.0
            left[layer] = fastest[layer] + after
    best = float(schedule(cycles[None], starts)[0][0])
    seen = 0

    def descend(at: tuple[int, ...], ready: tuple[float, ...], free: tuple[float, ...]) -> None:
        nonlocal best, seen
        seen += 1
        if seen > limit:
            raise ValueError(f"exact: more than {limit} partial schedules, there are too many")
        open_chains = [c for c in range(chains) if at[c] < starts[c + 1]]
        if not open_chains:
            best = min(best, max(ready))
            return
        work = sum(left[at[c]] for c in open_chains)
        bound = max(max(ready[c] + left[at[c]] for c in open_chains), max(ready))
        if max(bound, (sum(free) + work) / units) >= best:
            return
        for c in open_chains:
            for unit in range(units):
                end = max(ready[c], free[unit]) + cycles[at[c], unit]
                descend(
                    (*at[:c], at[c] + 1, *at[c + 1 :]),
                    (*ready[:c], end, *ready[c + 1 :]),
                    (*free[:unit], end, *free[unit + 1 :]),
                )

    first = tuple(int(start) for start in starts[:-1])
    descend(first, (0.0,) * chains, (0.0,) * units)
    return best
