"""Differential evolution: designs move by differences between other designs."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import (
    Seen,
    balanced_sample,
    finite_or_worst,
    keys,
    mutate,
    ordered_mask,
    pick_genes,
    propose_new,
)
from archgym.hyperparameters import Range
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


class DifferentialEvolutionAgent(Agent):
    """A population in which a child replaces the one design it was made for, if it is no worse.

    In the space of value indices, an ordered parameter of the mutant is `base + scale * (a - b)`
    for designs `a` and `b` of the population, rounded up or down at random in proportion and
    reflected at the ends (Storn and Price 1997, doi:10.1023/A:1008202821328). A category has no
    differences: where `a` and `b` differ, it takes the value of `a` with probability `scale`. The
    base is one of the best designs (the pbest of Zhang and Sanderson 2009,
    doi:10.1109/TEVC.2009.2014613). A child that was proposed before is mutated until it is new.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        population: number of designs.
        scale: factor on differences.
        crossover: probability that a child takes a parameter from the mutant instead of its parent.
        best: share of the population from which the base is drawn; 1 draws it from all.
        mutation: expected number of a child's parameters that change further.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        population: Annotated[int, Range(4, 512, log=True)] = 16,
        scale: Annotated[float, Range(0.05, 2.0)] = 0.5,
        crossover: Annotated[float, Range(0.0, 1.0)] = 0.6,
        best: Annotated[float, Range(0.0, 1.0)] = 0.2,
        mutation: Annotated[float, Range(0.0, 8.0)] = 0.6,
    ) -> None:
        super().__init__(space, seed)
        self._population = population
        self._scale = scale
        self._crossover = crossover
        self._bases = max(1, round(best * population))
        self._rate = min(1.0, mutation / len(space))
        self._ordered = ordered_mask(space)
        self._first = balanced_sample(space, population, self.rng)
        self._rows = np.zeros((0, len(space)), np.int64)
        self._scores = np.zeros(0)
        self._turn = 0
        self._parent: dict[bytes, int] = {}
        self._proposed = Seen()
        self._told = Seen()

    @property
    def batch_size(self) -> int:
        """One child per design of the population."""
        return self._population

    def ask(self, n: int) -> IntArray:
        """Proposes the first population, then children of its designs in turn."""
        if len(self._rows) >= self._population:
            self._first = self._first[:0]
        first, self._first = self._first[:n], self._first[n:]
        rest = n - len(first)
        if len(self._rows) < min(4, self._population):
            rows = np.concatenate([first, self.space.sample(rest, self.rng)])
            return propose_new(self.space, rows, self._proposed, self.rng, self._again)
        parents = (self._turn + np.arange(rest)) % len(self._rows)
        self._turn = (self._turn + rest) % len(self._rows)
        rows = np.concatenate([first, self._children(parents)])
        rows = propose_new(self.space, rows, self._proposed, self.rng, self._again)
        self._parent.update(zip(keys(rows[len(first) :]), parents.tolist(), strict=True))
        return rows

    def _children(self, parents: IntArray) -> IntArray:
        """Returns one child per parent `(n, d)`."""
        n, d = len(parents), len(self.space)
        ranked = np.argsort(-self._scores, kind="stable")[: self._bases]
        base = self._rows[ranked[self.rng.integers(0, len(ranked), n)]]
        one, other = self._rows[self.rng.integers(0, len(self._rows), (2, n))]
        draw = self.rng.random((4, n, d))
        moved = np.floor(base + self._scale * (one - other) + draw[0]).astype(np.int64)
        last = self.space.cardinalities - 1
        moved = np.where(moved < 0, -moved, moved)
        moved = np.clip(np.where(moved > last, 2 * last - moved, moved), 0, last)
        taken = (one != other) & (draw[0] < self._scale)
        mutant = np.where(self._ordered, moved, np.where(taken, one, base))
        crossed = draw[1] < self._crossover
        crossed[np.arange(n), self.rng.integers(0, d, n)] = True
        children = np.where(crossed, mutant, self._rows[parents])
        return mutate(self.space, self._ordered, children, draw[2] < self._rate, self.rng)

    def _again(self, rows: IntArray, attempt: int) -> IntArray:
        genes = pick_genes(self.space, rows, attempt, self.rng)
        return mutate(self.space, self._ordered, rows, genes, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Lets children replace their parents; a design from elsewhere replaces the worst."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        scores = finite_or_worst(evaluation)
        for i, key in enumerate(keys(rows)):
            parent = self._parent.pop(key, None)
            if not fresh[i]:
                continue
            if len(self._rows) < self._population:
                self._rows = np.concatenate([self._rows, rows[i : i + 1]])
                self._scores = np.append(self._scores, scores[i])
                continue
            place = int(np.argmin(self._scores)) if parent is None else parent
            if scores[i] >= self._scores[place]:
                self._rows[place], self._scores[place] = rows[i], scores[i]
