"""Genetic algorithm: tournaments, uniform crossover, mutation of single genes, elites."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import (
    Seen,
    balanced_sample,
    finite_or_worst,
    mutate,
    ordered_mask,
    pick_genes,
    propose_new,
)
from archgym.hyperparameters import Range
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


class GeneticAgent(Agent):
    """Breeds new designs from the best of a population.

    The population holds the best designs ever told (the elites) and, for the other places, the
    latest ones: asked for a whole generation at a time this is the classical generational algorithm
    with elitism (Goldberg, "Genetic Algorithms in Search, Optimization and Machine Learning",
    1989), asked for one design at a time it is aging evolution (Real et al. 2019,
    arXiv:1802.01548). The first generation is a Latin hypercube. A child that was proposed before
    is mutated until it is new.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        population: number of designs that parents are chosen from.
        tournament: number of designs drawn per parent, of which the best is taken.
        crossover: probability that a child takes each gene from one of two parents at random
            (uniform crossover, Syswerda 1989), instead of all genes from one.
        mutation: expected number of genes of a child that change: each gene changes with
            probability `mutation / number of parameters`.
        elitism: share of the population kept for the best designs ever told.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        population: Annotated[int, Range(2, 1024, log=True)] = 16,
        tournament: Annotated[int, Range(1, 16)] = 8,
        crossover: Annotated[float, Range(0.0, 1.0)] = 0.6,
        mutation: Annotated[float, Range(0.0, 8.0)] = 0.3,
        elitism: Annotated[float, Range(0.0, 1.0)] = 0.25,
    ) -> None:
        super().__init__(space, seed)
        self._population = population
        self._tournament = tournament
        self._crossover = crossover
        self._rate = mutation / len(space)
        self._elites = round(elitism * population)
        self._ordered = ordered_mask(space)
        self._first = balanced_sample(space, population, self.rng)
        self._rows = np.zeros((0, len(space)), np.int64)
        self._scores = np.zeros(0)
        self._proposed = Seen()
        self._told = Seen()

    @property
    def batch_size(self) -> int:
        """One generation without its elites."""
        return max(1, self._population - self._elites)

    def ask(self, n: int) -> IntArray:
        """Proposes `n` designs: the first generation, then children."""
        if len(self._rows) >= self._population:
            self._first = self._first[:0]
        first, self._first = self._first[:n], self._first[n:]
        rest = n - len(first)
        bred = self._breed(rest) if len(self._rows) else self.space.sample(rest, self.rng)
        rows = np.concatenate([first, bred])
        return propose_new(self.space, rows, self._proposed, self.rng, self._again)

    def _parents(self, n: int) -> IntArray:
        """Returns the winners `(n, d)` of `n` tournaments."""
        drawn = self.rng.integers(0, len(self._rows), size=(n, self._tournament))
        winners = np.argmax(self._scores[drawn], axis=1)
        chosen: IntArray = self._rows[drawn[np.arange(n), winners]]
        return chosen

    def _breed(self, n: int) -> IntArray:
        """Returns `n` children `(n, d)`."""
        parents = self._parents(2 * n)
        mother, father = parents[:n], parents[n:]
        draw = self.rng.random((2, n, len(self.space)))
        crossed = self.rng.random((n, 1)) < self._crossover
        children = np.where(crossed & (draw[0] < 0.5), father, mother)
        return mutate(self.space, self._ordered, children, draw[1] < self._rate, self.rng)

    def _again(self, rows: IntArray, attempt: int) -> IntArray:
        genes = pick_genes(self.space, rows, attempt, self.rng)
        return mutate(self.space, self._ordered, rows, genes, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Takes designs into the population: the elites stay, the oldest of the others leave."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        rows = np.concatenate([self._rows, rows[fresh]])
        scores = np.concatenate([self._scores, finite_or_worst(evaluation)[fresh]])
        kept = np.zeros(len(rows), np.bool_)
        kept[np.argsort(-scores, kind="stable")[: self._elites]] = True
        latest = np.flatnonzero(~kept)
        kept[latest[max(0, len(latest) - (self._population - self._elites)) :]] = True
        self._rows, self._scores = rows[kept], scores[kept]
