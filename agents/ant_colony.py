"""Ant colony optimisation: pheromone on every value of every parameter."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agents._categoricals import CategoricalsAgent, draw, uniform, usage
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray


class AntColonyAgent(CategoricalsAgent):
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
        super().__init__(space, seed, ants)
        self._evaporation = evaporation
        self._greediness = greediness
        self._depositors = max(1, round(elite * ants))
        self._best_weight = best_weight
        self._uniform = min(1.0, exploration / len(space))
        self._pheromone = uniform(space)
        self._best: tuple[IntArray, float] | None = None

    def _draw(self, n: int, attempt: int = 0) -> IntArray:
        """Sends `n` ants."""
        points, choice = self.rng.random((2, n, len(self.space)))
        led = draw(self._pheromone, self.space, points)
        # Before the first deposit all values tie, and greed would only prefer low indices.
        if self._best is not None and attempt == 0:
            greedy = choice > 1.0 - self._greediness * (1.0 - self._uniform)
            led = np.where(greedy, np.argmax(self._pheromone, axis=1), led)
        anywhere = (points * self.space.cardinalities).astype(np.int64)
        rows: IntArray = np.where(choice < self._uniform, anywhere, led)
        return rows

    def _learn(self, rows: IntArray, scores: FloatArray) -> None:
        """Evaporates, and lets the best of one round's designs `(ants, d)` deposit."""
        chosen = np.argsort(-scores, kind="stable")[: self._depositors]
        chosen = chosen[np.isfinite(scores[chosen])]
        if len(chosen) and (self._best is None or scores[chosen[0]] > self._best[1]):
            self._best = (rows[chosen[0]].copy(), float(scores[chosen[0]]))
        if self._best is None:
            return
        weights = np.arange(len(chosen), 0, -1, dtype=np.float64)
        weights *= (1.0 - self._best_weight) / max(weights.sum(), 1.0)
        deposit = usage(self.space, rows[chosen], weights)
        deposit += usage(self.space, self._best[0][None], np.array([self._best_weight]))
        # Where nobody deposits (an inert parameter, an infeasible round) nothing evaporates.
        share = self._evaporation * deposit.sum(axis=1, keepdims=True)
        self._pheromone = (1.0 - share) * self._pheromone + self._evaporation * deposit
