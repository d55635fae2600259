"""Products of categorical distributions: one probability per value of every parameter."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import (
    Seen,
    finite_or_worst,
    mutate,
    ordered_mask,
    pick_genes,
    propose_new,
)
from archgym.metric import FloatArray
from archgym.space import BoolArray, DesignSpace, IntArray
from archgym.task import Evaluation

RESAMPLED = 2
"""Attempts at a new design that draw it again; later ones mutate the design that was seen."""


def existing(space: DesignSpace) -> BoolArray:
    """Returns `(d, v)`: which of the first `v` value indices each parameter has."""
    return np.arange(int(space.cardinalities.max())) < space.cardinalities[:, None]


def uniform(space: DesignSpace) -> FloatArray:
    """Returns the probabilities `(d, v)` of the uniform product."""
    table: FloatArray = existing(space) / space.cardinalities[:, None]
    return table


def draw(probabilities: FloatArray, space: DesignSpace, points: FloatArray) -> IntArray:
    """Returns rows `(n, d)` by the inverse of the cumulative probabilities.

    Args:
        probabilities: `(d, v)`, each row sums to 1.
        space: the design space.
        points: uniform draws `(n, d)` in [0, 1).
    """
    cumulative = np.cumsum(probabilities, axis=1)[:, :-1]
    # Rounding can leave the last sum just under 1, which must not lead past the last value.
    rows: IntArray = np.minimum(
        (points[:, :, None] > cumulative).sum(axis=2), space.cardinalities - 1
    )
    return rows


def usage(space: DesignSpace, rows: IntArray, weights: FloatArray) -> FloatArray:
    """Returns `(d, v)`: the sum of the weights `(n,)` of the designs that use each active value."""
    used = rows[:, :, None] == np.arange(int(space.cardinalities.max()))
    total: FloatArray = np.einsum("n,nd,ndv->dv", weights, space.active(rows), used)
    return total


class CategoricalsAgent(Agent):
    """Draws designs, and learns from the told ones in rounds of one size; told twice counts once.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        size: designs per round.
    """

    def __init__(self, space: DesignSpace, seed: int | np.random.Generator, size: int) -> None:
        super().__init__(space, seed)
        self._size = size
        self._ordered = ordered_mask(space)
        self._round_rows = np.zeros((0, len(space)), np.int64)
        self._round_scores = np.zeros(0)
        self._proposed = Seen()
        self._told = Seen()

    @property
    def batch_size(self) -> int:
        """One round."""
        return self._size

    @abstractmethod
    def _draw(self, n: int, attempt: int = 0) -> IntArray:
        """Returns `n` rows `(n, d)`; `attempt` says how often they turned out to be seen before."""

    @abstractmethod
    def _learn(self, rows: IntArray, scores: FloatArray) -> None:
        """Learns from one round of canonical rows `(size, d)`, scores `-inf` if infeasible."""

    def ask(self, n: int) -> IntArray:
        """Proposes `n` designs."""
        return propose_new(self.space, self._draw(n), self._proposed, self.rng, self._again)

    def _again(self, rows: IntArray, attempt: int) -> IntArray:
        if attempt <= RESAMPLED:
            return self._draw(len(rows), attempt)
        genes = pick_genes(self.space, rows, attempt - RESAMPLED, self.rng)
        return mutate(self.space, self._ordered, rows, genes, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Collects designs into rounds and learns from each full one."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        rows = np.concatenate([self._round_rows, rows[fresh]])
        scores = np.concatenate([self._round_scores, finite_or_worst(evaluation)[fresh]])
        while len(rows) >= self._size:
            self._learn(rows[: self._size], scores[: self._size])
            rows, scores = rows[self._size :], scores[self._size :]
        self._round_rows, self._round_scores = rows, scores
