"""Ranking by dominance, and the loop that evolutionary multi-objective methods share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import (
    Seen,
    balanced_sample,
    mutate,
    ordered_mask,
    pick_genes,
    propose_new,
)
from archgym.metric import BUDGET_FLOOR, FloatArray
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


def goals_of(evaluation: Evaluation) -> FloatArray:
    """Returns the goals to maximise `(n, 1 + m)`: how well the rules are met, then the objectives.

    The first column is 0 for designs that meet the budgets, below 0 by how far they miss them, and
    `-inf` for infeasible ones; it comes before all others (constrained domination, Deb et al.
    2002).
    """
    score = np.where(np.isnan(evaluation.score), -np.inf, evaluation.score)
    met = np.minimum(score - BUDGET_FLOOR, 0.0)
    goals = np.where(np.isfinite(met)[:, None], evaluation.objectives, -np.inf)
    return np.column_stack([met, goals])


def fronts(goals: FloatArray) -> IntArray:
    """Returns the number of the front of each point, 0 for those that no other dominates.

    Of equal points the last comes first: many designs may share a point, and would fill the
    population with copies of it; that the newest stays lets the search drift over such plateaus.

    Args:
        goals: `(n, 1 + m)` as `goals_of` returns them, the newest last.

    Returns:
        `(n,)` (non-dominated sorting, Deb et al. 2002).
    """
    met, values = goals[:, 0], goals[:, 1:]
    no_worse = (values[:, None, :] >= values[None, :, :]).all(axis=2)
    equal = no_worse & no_worse.T
    above = met[:, None] > met[None, :]
    same = met[:, None] == met[None, :]
    newer = np.arange(len(goals))[:, None] > np.arange(len(goals))
    dominates = above | (same & no_worse & (newer | ~equal))
    left = dominates.sum(axis=0)
    number = np.full(len(goals), -1, np.int64)
    current = 0
    while (number < 0).any():
        here = (left == 0) & (number < 0)
        number[here] = current
        left = left - dominates[here].sum(axis=0)
        current += 1
    return number


REBRED = 3
"""Attempts at a new child that breed another one; later ones mutate the child that was seen."""


class ParetoAgent(Agent):
    """Breeds generations; the next population is chosen from the last one and its children.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        population: number of designs, and of children per generation.
        crossover: probability that a child takes each gene from one of two parents at random.
        mutation: expected number of genes of a child that change.
    """

    multi_objective: ClassVar[bool] = True

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator,
        population: int,
        crossover: float,
        mutation: float,
    ) -> None:
        super().__init__(space, seed)
        self._population = population
        self._crossover = crossover
        self._rate = min(1.0, mutation / len(space))
        self._ordered = ordered_mask(space)
        self._first = balanced_sample(space, population, self.rng)
        self._rows = np.zeros((0, len(space)), np.int64)
        self._goals = np.zeros((0, 0))
        self._fitness = np.zeros((0, 2))
        self._waiting_rows = self._rows
        self._waiting_goals = self._goals
        self._proposed = Seen()
        self._told = Seen()

    @property
    def batch_size(self) -> int:
        """One generation."""
        return self._population

    @abstractmethod
    def _select(self, goals: FloatArray, number: IntArray) -> tuple[IntArray, FloatArray]:
        """Chooses the next population.

        Args:
            goals: of at least as many designs as the population holds, `(n, 1 + m)`.
            number: their fronts `(n,)`.

        Returns:
            Positions `(population,)` of the chosen, and the second key `(population,)` by which
            parents of equal fronts are compared, larger is better.
        """

    def ask(self, n: int) -> IntArray:
        """Proposes the first generation, then children."""
        if len(self._rows):
            self._first = self._first[:0]
        first, self._first = self._first[:n], self._first[n:]
        rest = n - len(first)
        bred = self._breed(rest) if len(self._rows) else self.space.sample(rest, self.rng)
        rows = np.concatenate([first, bred])
        return propose_new(self.space, rows, self._proposed, self.rng, self._again)

    def _parents(self, n: int) -> IntArray:
        """Returns the winners `(n, d)` of tournaments between two."""
        one, other = self.rng.integers(0, len(self._rows), (2, n))
        front, second = self._fitness[:, 0], self._fitness[:, 1]
        wins = (front[one] < front[other]) | (
            (front[one] == front[other]) & (second[one] >= second[other])
        )
        chosen: IntArray = self._rows[np.where(wins, one, other)]
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
        if attempt <= REBRED and len(self._rows):
            return self._breed(len(rows))
        genes = pick_genes(self.space, rows, max(1, attempt - REBRED), self.rng)
        return mutate(self.space, self._ordered, rows, genes, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Collects designs; each full generation competes with the population."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        goals = goals_of(evaluation)
        if self._goals.shape[1] != goals.shape[1]:
            self._goals = self._waiting_goals = np.zeros((0, goals.shape[1]))
        rows = np.concatenate([self._waiting_rows, rows[fresh]])
        goals = np.concatenate([self._waiting_goals, goals[fresh]])
        while len(rows) >= self._population:
            self._compete(rows[: self._population], goals[: self._population])
            rows, goals = rows[self._population :], goals[self._population :]
        self._waiting_rows, self._waiting_goals = rows, goals

    def _compete(self, rows: IntArray, goals: FloatArray) -> None:
        """Replaces the population by the best of itself and one generation."""
        rows = np.concatenate([self._rows, rows])
        goals = np.concatenate([self._goals, goals])
        number = fronts(goals)
        kept, second = self._select(goals, number)
        self._rows, self._goals = rows[kept], goals[kept]
        self._fitness = np.column_stack([number[kept], second])
