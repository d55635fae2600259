"""Mappings of one problem on one hierarchy: all of them where they are few, else a seeded search.

Orders are pruned. Every dimension but those of a tensor's own moves both other tensors, so the
innermost loops of a level let one tensor stay: the weights over N, P, Q, the inputs over K, the
outputs over C, R, S. All loops of such a group inside of the rest are at least as good as some of
them, and the order of the rest does not matter. Three orders per level therefore hold the optimum
of a problem without sliding windows; with them, the order of window loops among each other is not
searched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import (
    FloatArray,
    Machines,
    Mappings,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy
from archgym.cost_models.accelerator.loopnest.mapping import Mapping
from archgym.cost_models.accelerator.loopnest.model import LoopNestResult, evaluate
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, IntArray, Problem

# Orders in which the weights, the inputs or the outputs stay, from the innermost loop outwards.
STAY_ORDERS = ("PQNCRSK", "KCRSPQN", "RSCPQKN")
_ORDERS = np.array([[DIMS.index(d) for d in order] for order in STAY_ORDERS], np.uint8)
OBJECTIVES: dict[str, Callable[[LoopNestResult], FloatArray]] = {
    "cycles": lambda r: r.cycles,
    "energy": lambda r: r.energy_pj,
    "edp": lambda r: r.energy_pj * r.cycles,
}
_CHUNK = 1 << 15


@dataclass(frozen=True)
class Found:
    """The best mapping found.

    Attributes:
        mapping: It, or None if none fits.
        value: Its objective; infinite if none fits.
        bound: What no mapping can beat.
        evaluated: Mappings that were evaluated.
        proven: Whether all mappings (with pruned orders) were.
    """

    mapping: Mapping | None
    value: float
    bound: float
    evaluated: int
    proven: bool

    @property
    def gap(self) -> float:
        """How far the value can at most be above the optimum, relative to the bound."""
        return 0.0 if self.proven else self.value / self.bound - 1.0


class MappingSpace:
    """Mappings of a problem on a hierarchy, as indices of prime factors' places and orders.

    A place of a prime factor is a level's temporal loops, or its columns or rows where it has
    several.
    """

    def __init__(self, hierarchy: Hierarchy, problem: Problem) -> None:
        self.hierarchy, self.problem = hierarchy, problem
        self.machines, self.rows = Machines.of([hierarchy]), problem_rows([problem])
        self.primes = [(d, f) for d, size in enumerate(problem.sizes) for f in _primes(size)]
        self.places = [(0, level) for level in range(len(hierarchy.levels))]
        for level, each in enumerate(hierarchy.levels):
            for kind, fanout in ((1, each.fanout_x), (2, each.fanout_y)):
                if fanout > 1:
                    self.places.append((kind, level))
        self.keep = np.array(
            [[[t in level.tensors for t in TENSORS] for level in hierarchy.levels]], np.bool_
        )

    @property
    def size(self) -> int:
        """Different mappings with pruned orders."""
        splits = 1
        for d in range(len(DIMS)):
            powers = [sum(1 for e, f in self.primes if (e, f) == pair) for pair in self._of(d)]
            for power in powers:
                splits *= math.comb(power + len(self.places) - 1, power)
        return int(splits * len(STAY_ORDERS) ** (len(self.hierarchy.levels) - 1))

    def _of(self, d: int) -> list[tuple[int, int]]:
        return sorted({pair for pair in self.primes if pair[0] == d})

    def mappings(self, places: IntArray, orders: IntArray) -> Mappings:
        """Arrays of mappings.

        Args:
            places: Place of every prime factor (n, primes).
            orders: Which tensor stays, per level (n, levels).
        """
        n, levels = orders.shape
        parts = np.ones((3, n, levels, len(DIMS)), np.int32)
        for i, (d, f) in enumerate(self.primes):
            for place, (kind, level) in enumerate(self.places):
                parts[kind, places[:, i] == place, level, d] *= f
        return Mappings(parts[0], _ORDERS[orders], parts[1], parts[2], self.keep)

    def values(self, mappings: Mappings, objective: str) -> FloatArray:
        """Objective of mappings (n,), infinite where an array or a level is too small."""
        levels = self.hierarchy.levels
        result = evaluate(self.machines, mappings, self.rows, checked=False)
        wide = np.zeros(len(result.cycles), np.bool_)
        for kind, name in ((mappings.spatial_x, "fanout_x"), (mappings.spatial_y, "fanout_y")):
            room = np.array([getattr(level, name) for level in levels])
            wide |= (kind.prod(axis=2, dtype=np.int64) > room).any(axis=1)
        return np.where(wide | ~result.feasible, np.inf, OBJECTIVES[objective](result))

    def bound(self, objective: str) -> float:
        """What no mapping beats: all MAC units busy, weights and outputs moved once outside."""
        outer, macs = self.hierarchy.levels[-1], self.problem.macs
        p = self.problem
        weights, outputs = p.k * p.c * p.r * p.s, p.n * p.k * p.p * p.q
        bits = self.hierarchy.bits
        read = weights * bits[0] / outer.word_bits
        written = outputs * bits[2] / outer.word_bits
        cycles = max(
            macs / self.hierarchy.macs,
            read / outer.read_words_per_cycle,
            written / outer.write_words_per_cycle,
        )
        energy = macs * self.hierarchy.mac_pj + read * outer.read_pj + written * outer.write_pj
        return {"cycles": cycles, "energy": energy, "edp": cycles * energy}[objective]


def exhaustive(
    hierarchy: Hierarchy, problem: Problem, objective: str = "edp", *, limit: int = 2_000_000
) -> Found:
    """The best of all mappings, with pruned orders.

    Raises:
        ValueError: If there are more than `limit`, or the objective is unknown.
    """
    _check(objective)
    space = MappingSpace(hierarchy, problem)
    if space.size > limit:
        raise ValueError(f"mappings: there are {space.size}, the limit is {limit}; use `search`")
    best, mapping, evaluated = np.inf, None, 0
    levels = len(hierarchy.levels)
    # The innermost level's loops are inside of all tiles that pass between memories.
    choices = [(0,)] + [range(len(STAY_ORDERS))] * (levels - 1)
    orders = np.array(list(itertools.product(*choices)))
    for places in _chunks(_splits(space), max(1, _CHUNK // len(orders))):
        n = len(places) * len(orders)
        drawn = space.mappings(np.repeat(places, len(orders), 0), np.tile(orders, (len(places), 1)))
        values = space.values(drawn, objective)
        evaluated += n
        i = int(values.argmin())
        if values[i] < best:
            best, mapping = float(values[i]), drawn.at(i)
    return Found(mapping, best, space.bound(objective), evaluated, True)


def search(
    hierarchy: Hierarchy,
    problem: Problem,
    objective: str = "edp",
    *,
    seed: int = 0,
    population: int = 256,
    rounds: int = 40,
) -> Found:
    """A mapping by a seeded evolution: the better half stays, and is copied with changed places.

    Args:
        hierarchy: The hierarchy.
        problem: The operator.
        objective: `cycles`, `energy` or `edp`, to be small.
        seed: Of all draws: the same seed, the same mapping.
        population: Mappings per round.
        rounds: Rounds.

    Raises:
        ValueError: If the objective is unknown.
    """
    _check(objective)
    space, rng = MappingSpace(hierarchy, problem), np.random.default_rng(seed)
    levels, primes = len(hierarchy.levels), len(space.primes)
    places = rng.integers(0, len(space.places), (population, primes))
    orders = rng.integers(0, len(STAY_ORDERS), (population, levels))
    # One of them holds everything outside, and fits if any mapping does.
    places[0] = levels - 1
    values = space.values(space.mappings(places, orders), objective)
    evaluated = population
    for _ in range(rounds):
        parents = rng.integers(0, population // 2, population)
        ranked = np.argsort(values, kind="stable")
        child, turn = places[ranked[parents]].copy(), orders[ranked[parents]].copy()
        change = rng.random(child.shape) < 1.5 / max(primes, 1)
        child = np.where(change, rng.integers(0, len(space.places), child.shape), child)
        flip = rng.random(turn.shape) < 0.2
        turn = np.where(flip, rng.integers(0, len(STAY_ORDERS), turn.shape), turn)
        found = space.values(space.mappings(child, turn), objective)
        evaluated += population
        places, orders = np.concatenate([places, child]), np.concatenate([orders, turn])
        values = np.concatenate([values, found])
        kept = np.argsort(values, kind="stable")[:population]
        places, orders, values = places[kept], orders[kept], values[kept]
    best = float(values[0])
    drawn = space.mappings(places[:1], orders[:1])
    mapping = drawn.at(0) if np.isfinite(best) else None
    return Found(mapping, best, space.bound(objective), evaluated, False)


def _check(objective: str) -> None:
    if objective not in OBJECTIVES:
        raise ValueError(f"objective: {objective!r} is none of {', '.join(OBJECTIVES)}")


def _primes(number: int) -> list[int]:
    found, factor = [], 2
    while number > 1:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    return found


def _splits(space: MappingSpace) -> Iterator[tuple[int, ...]]:
    """Places of all prime factors; equal factors of a dimension in ascending places."""
    groups = [list(group) for _, group in itertools.groupby(space.primes)]
    everywhere = range(len(space.places))
    per_group = (
        itertools.combinations_with_replacement(everywhere, len(group)) for group in groups
    )
    for chosen in itertools.product(*(list(each) for each in per_group)):
        yield tuple(place for group in chosen for place in group)


def _chunks(rows: Iterator[tuple[int, ...]], n: int) -> Iterator[IntArray]:
    while chunk := list(itertools.islice(rows, n)):
        yield np.array(chunk, np.int64).reshape(len(chunk), -1)
