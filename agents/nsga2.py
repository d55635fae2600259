"""NSGA-II: evolves a whole Pareto front, spread out by crowding distance."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agents._fronts import ParetoAgent
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray


class NSGA2Agent(ParetoAgent):
    """Keeps the designs that fewest others dominate, of equals those in sparse parts of the front.

    NSGA-II (Deb, Pratap, Agarwal and Meyarivan 2002, doi:10.1109/4235.996017) with uniform
    crossover and the mutation of the genetic algorithm; a child that was proposed before is mutated
    until it is new. Designs that miss a budget or are infeasible rank below all others. With a
    single objective the fronts are the ranks, and it is a genetic algorithm whose parents compete
    with their children.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        population: number of designs, and of children per generation.
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
        distance = crowding(goals[:, 1:], number)
        order = np.lexsort((-distance, number))[: self._population]
        return order, distance[order]


def crowding(values: FloatArray, number: IntArray) -> FloatArray:
    """Returns each point's distance to its neighbours on its front, infinite at the ends.

    Args:
        values: objectives `(n, m)`.
        number: fronts `(n,)`.

    Returns:
        `(n,)`: the sum over the objectives of the gap between the two neighbours, in shares of the
        front's extent.
    """
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.lexsort((column, number))
        front, sorted_ = number[order], column[order]
        first = np.concatenate(([True], front[1:] != front[:-1]))
        last = np.concatenate((first[1:], [True]))
        begins = np.flatnonzero(first)
        low, high = sorted_[begins], sorted_[np.flatnonzero(last)]
        with np.errstate(invalid="ignore"):
            extent = np.repeat(high - low, np.diff(np.append(begins, len(values))))
            gap = np.zeros(len(values))
            gap[1:-1] = sorted_[2:] - sorted_[:-2]
            share = np.divide(gap, extent, out=np.zeros(len(values)), where=extent > 0)
        share[first | last] = np.inf
        distance[order] += share
    return distance
