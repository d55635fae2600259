"""Cross-entropy method: a distribution per parameter, refitted to the best designs."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agents._categoricals import CategoricalsAgent, draw, uniform, usage
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray


class CrossEntropyAgent(CategoricalsAgent):
    """Draws rounds of designs and moves the distribution towards the frequencies of the elite.

    The distribution is a product of categoricals, the fit its maximum likelihood, smoothed
    (Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999,
    doi:10.1023/A:1010091220143; smoothing and least probabilities: Rubinstein and Kroese, "The
    Cross-Entropy Method", 2004). The elite is that of the last round and of the elite before, so
    the best design ever told is always part of it.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        samples: designs per round; the distribution is fitted after as many were told.
        elite: number of designs that the distribution is fitted to, as a share of a round.
        smoothing: share of the probabilities that a fit replaces.
        exploration: expected number of parameters per design whose value is drawn uniformly: the
            least probability of a value is `exploration / number of parameters / number of values`.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        samples: Annotated[int, Range(2, 512, log=True)] = 8,
        elite: Annotated[float, Range(0.01, 1.0, log=True)] = 0.25,
        smoothing: Annotated[float, Range(0.01, 1.0, log=True)] = 0.3,
        exploration: Annotated[float, Range(0.01, 4.0, log=True)] = 0.3,
    ) -> None:
        super().__init__(space, seed, samples)
        self._elites = max(1, round(elite * samples))
        self._smoothing = smoothing
        self._mixed = min(1.0, exploration / len(space))
        self._probabilities = uniform(space)
        self._elite_rows = np.zeros((0, len(space)), np.int64)
        self._elite_scores = np.zeros(0)

    def _draw(self, n: int, attempt: int = 0) -> IntArray:
        least = self._mixed * uniform(self.space)
        probabilities = (1.0 - self._mixed) * self._probabilities + least
        return draw(probabilities, self.space, self.rng.random((n, len(self.space))))

    def _learn(self, rows: IntArray, scores: FloatArray) -> None:
        """Takes one round's best into the elite and fits the probabilities to it."""
        rows = np.concatenate([self._elite_rows, rows])
        scores = np.concatenate([self._elite_scores, scores])
        chosen = np.argsort(-scores, kind="stable")[: self._elites]
        chosen = chosen[np.isfinite(scores[chosen])]
        self._elite_rows, self._elite_scores = rows[chosen], scores[chosen]
        counts = usage(self.space, self._elite_rows, np.ones(len(chosen)))
        total = counts.sum(axis=1, keepdims=True)
        # A parameter that is inert in the whole elite keeps its distribution.
        share = np.where(total > 0, self._smoothing, 0.0)
        fitted = counts / np.maximum(total, 1.0)
        self._probabilities = (1.0 - share) * self._probabilities + share * fitted
