"""NSGA-III: evolves a Pareto front, spread out along reference directions."""

from __future__ import annotations

import functools
import math
from typing import Annotated

import numpy as np

from archgym.agents._fronts import ParetoAgent
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import BoolArray, DesignSpace, IntArray


class NSGA3Agent(ParetoAgent):
    """Keeps the designs that fewest others dominate, of equals those in empty directions.

    NSGA-III (Deb and Jain 2014, doi:10.1109/TEVC.2013.2281535): objectives are scaled to the extent
    of the front, each design belongs to the nearest of evenly spaced directions (Das and Dennis
    1998, doi:10.1137/S1052623496307510), and places go to the directions with the fewest designs.
    For three or more objectives, where crowding distances mean little. Crossover, mutation,
    constraints and single objectives are as in NSGA-II.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        population: number of designs, and of children per generation; there are at most as many
            directions.
        crossover: probability that a child takes each gene from one of two parents at random,
            instead of all genes from one.
        mutation: expected number of genes of a child that change.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        population: Annotated[int, Range(2, 512, log=True)] = 32,
        crossover: Annotated[float, Range(0.0, 1.0)] = 0.9,
        mutation: Annotated[float, Range(0.0, 8.0)] = 0.5,
    ) -> None:
        super().__init__(space, seed, population, crossover, mutation)

    def _select(self, goals: FloatArray, number: IntArray) -> tuple[IntArray, FloatArray]:
        order = np.argsort(number, kind="stable")
        last = number[order[self._population - 1]]
        safe, split = np.flatnonzero(number < last), np.flatnonzero(number == last)
        missing = self._population - len(safe)
        if missing < len(split):
            considered = np.concatenate([safe, split])
            best = number[considered] == 0
            direction, distance = associate(goals[considered, 1:], best, self._population)
            chosen = self._fill(direction, distance, len(safe), missing)
            split = considered[chosen]
        kept = np.concatenate([safe, split])
        return kept, self.rng.random(len(kept))

    def _fill(self, direction: IntArray, distance: FloatArray, safe: int, missing: int) -> IntArray:
        """Returns `missing` positions from `safe` on, each from the emptiest direction."""
        count = np.bincount(direction[:safe], minlength=int(direction.max()) + 1)
        nearest = np.lexsort((distance[safe:], direction[safe:])) + safe
        # Drawn order of the directions, so that equally empty ones are served in random order.
        shuffled = self.rng.permutation(len(count))
        first = np.searchsorted(direction[nearest], direction[nearest])
        place = count[direction[nearest]] + np.arange(len(nearest)) - first
        chosen: IntArray = nearest[np.lexsort((shuffled[direction[nearest]], place))[:missing]]
        return chosen


def associate(values: FloatArray, first: BoolArray, count: int) -> tuple[IntArray, FloatArray]:
    """Returns the nearest reference direction of each point and the distance from it.

    Args:
        values: objectives to maximise `(n, m)`.
        first: which points are on the first front `(n,)`; its extent is the unit.
        count: at most how many directions there are.
    """
    finite: BoolArray = np.asarray(np.isfinite(values).all(axis=1))
    if not finite.any():
        return np.zeros(len(values), np.int64), np.zeros(len(values))
    best = values[finite].max(axis=0)
    spread = best - values[finite & first].min(axis=0, initial=np.inf)
    whole = best - values[finite].min(axis=0)
    # A front of one point has no extent; then all points give it.
    extent = np.where((spread > 0) & np.isfinite(spread), spread, np.where(whole > 0, whole, 1.0))
    costs = np.where(
        finite[:, None], (best - np.where(finite[:, None], values, best)) / extent, 1.0
    )
    directions = reference_directions(values.shape[1], count)
    along = costs @ directions.T
    away = np.linalg.norm(costs[:, None, :] - along[:, :, None] * directions, axis=2)
    nearest = np.argmin(away, axis=1)
    return nearest, away[np.arange(len(values)), nearest]


@functools.cache
def reference_directions(m: int, count: int) -> FloatArray:
    """Returns unit vectors `(k, m)`, the finest even grid on the simplex with `k <= count`."""
    if m == 1:
        return np.ones((1, 1))
    parts = 1
    while math.comb(parts + m, m - 1) <= count:
        parts += 1
    grid = np.array(_compositions(parts, m), np.float64)
    directions: FloatArray = grid / np.linalg.norm(grid, axis=1, keepdims=True)
    return directions


def _compositions(total: int, m: int) -> list[list[int]]:
    """Returns all lists of `m` whole numbers from 0 on that add up to `total`."""
    if m == 1:
        return [[total]]
    return [[i, *rest] for i in range(total + 1) for rest in _compositions(total - i, m - 1)]
