"""Ant colony optimisation: pheromone on every value of every parameter."""

from __future__ import annotations

from typing import Annotated

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
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation

RESAMPLED = 2
"""Attempts at a new design that follow the pheromone; later ones mutate the seen design."""


class AntColonyAgent(Agent):
    """Ants build designs value by value, led by pheromone that good designs leave behind.

    The pheromone of a parameter is a probability over its values. After every round of ants it
    moves towards the values used by the round's best ants and by the best design so far, weighted
    by rank (hyper-cube framework, Blum and Dorigo 2004, doi:10.1109/TSMCB.2003.821450). As in the
    max-min ant system (Stützle and Hoos 2000, doi:10.1016/S0167-739X(00)00043-1) every value keeps
    a least probability, so that it stays within reach. Greedy choices follow the ant colony system
    (Dorigo and Gambardella 1997, doi:10.1109/4235.585892).

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        ants: designs per round; the pheromone is updated after as many were told.
        evaporation: share of the pheromone that a round replaces.
        greediness: probability that an ant takes a parameter's value with the most pheromone
            instead of drawing one in proportion to the pheromone.
        elite: share of a round's ants that leave pheromone, the better ones more of it.
        best_weight: share of the deposit that is left on the best design ever told.
        exploration: expected number of parameters per ant whose value is drawn uniformly: each with
            probability `exploration / number of parameters`.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        ants: Annotated[int, Range(1, 256, log=True)] = 12,
        evaporation: Annotated[float, Range(0.01, 1.0, log=True)] = 0.25,
        greediness: Annotated[float, Range(0.0, 0.95)] = 0.2,
        elite: Annotated[float, Range(0.01, 1.0)] = 0.2,
        best_weight: Annotated[float, Range(0.0, 1.0)] = 0.3,
        exploration: Annotated[float, Range(0.01, 4.0, log=True)] = 0.5,
    ) -> None:
        super().__init__(space, seed)
        self._ants = ants
        self._evaporation = evaporation
        self._greediness = greediness
        self._depositors = max(1, round(elite * ants))
        self._best_weight = best_weight
        self._uniform = min(1.0, exploration / len(space))
        self._ordered = ordered_mask(space)
        self._values = np.arange(int(space.cardinalities.max()))
        exists = self._values < space.cardinalities[:, None]
        self._pheromone: FloatArray = exists / space.cardinalities[:, None]
        self._best: tuple[IntArray, float] | None = None
        self._round_rows = np.zeros((0, len(space)), np.int64)
        self._round_scores = np.zeros(0)
        self._proposed = Seen()
        self._told = Seen()

    @property
    def batch_size(self) -> int:
        """One round of ants."""
        return self._ants

    def ask(self, n: int) -> IntArray:
        """Sends `n` ants."""
        # Before the first deposit all values tie, and greed would only prefer low indices.
        rows = self._walk(n, 0.0 if self._best is None else self._greediness)
        return propose_new(self.space, rows, self._proposed, self.rng, self._again)

    def _walk(self, n: int, greediness: float) -> IntArray:
        """Returns `n` rows `(n, d)` drawn from the pheromone."""
        cumulative = np.cumsum(self._pheromone, axis=1)[:, :-1]
        draw, choice = self.rng.random((2, n, len(self.space)))
        # Rounding can leave the last sum just under 1, which must not lead past the last value.
        last = self.space.cardinalities - 1
        led = np.minimum((draw[:, :, None] > cumulative).sum(axis=2), last)
        greedy = choice > 1.0 - greediness * (1.0 - self._uniform)
        led = np.where(greedy, np.argmax(self._pheromone, axis=1), led)
        uniform = (draw * self.space.cardinalities).astype(np.int64)
        rows: IntArray = np.where(choice < self._uniform, uniform, led)
        return rows

    def _again(self, rows: IntArray, attempt: int) -> IntArray:
        if attempt <= RESAMPLED:
            return self._walk(len(rows), 0.0)
        genes = pick_genes(self.space, rows, attempt - RESAMPLED, self.rng)
        return mutate(self.space, self._ordered, rows, genes, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Collects designs into rounds; each full round updates the pheromone."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        rows = np.concatenate([self._round_rows, rows[fresh]])
        scores = np.concatenate([self._round_scores, finite_or_worst(evaluation)[fresh]])
        while len(rows) >= self._ants:
            self._update(rows[: self._ants], scores[: self._ants])
            rows, scores = rows[self._ants :], scores[self._ants :]
        self._round_rows, self._round_scores = rows, scores

    def _update(self, rows: IntArray, scores: FloatArray) -> None:
        """Evaporates, and lets the best of one round's designs `(ants, d)` deposit."""
        chosen = np.argsort(-scores, kind="stable")[: self._depositors]
        chosen = chosen[np.isfinite(scores[chosen])]
        if len(chosen) and (self._best is None or scores[chosen[0]] > self._best[1]):
            self._best = (rows[chosen[0]].copy(), float(scores[chosen[0]]))
        if self._best is None:
            return
        weights = np.arange(len(chosen), 0, -1, dtype=np.float64)
        weights *= (1.0 - self._best_weight) / max(weights.sum(), 1.0)
        deposit = self._deposit(rows[chosen], weights)
        deposit += self._deposit(self._best[0][None], np.array([self._best_weight]))
        # Where nobody deposits (an inert parameter, an infeasible round) nothing evaporates.
        share = self._evaporation * deposit.sum(axis=1, keepdims=True)
        self._pheromone = (1.0 - share) * self._pheromone + self._evaporation * deposit

    def _deposit(self, rows: IntArray, weights: FloatArray) -> FloatArray:
        """Returns `(d, values)`: the weights of the designs that use each active value."""
        active = self.space.active(rows)
        used = rows[:, :, None] == self._values
        deposit: FloatArray = np.einsum("n,nd,ndv->dv", weights, active, used)
        return deposit
