"""REINFORCE: a policy with one softmax per parameter, trained by the policy gradient."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agents._categoricals import CategoricalsAgent, draw, existing, usage
from archgym.agents._operators import RunningScale
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray


class ReinforceAgent(CategoricalsAgent):
    """Raises the log-probability of values in proportion to the advantage of their designs.

    A design is an episode of one step: each parameter's value is drawn from a softmax over its own
    logits. After every round the logits follow the policy gradient (Williams 1992,
    doi:10.1007/BF00992696) with the exponential mean of the scores as baseline, advantages in units
    of the scores' standard deviation, and a bonus on the entropy (Williams and Peng 1991,
    doi:10.1080/09540099108946587). An infeasible design counts as two such units below the mean.
    Plain NumPy; no network, since the task does not change between episodes.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        batch: designs per gradient step.
        learning_rate: step of the logits along the gradient of the mean advantage.
        entropy: weight of the entropy bonus, in standard deviations of the score.
        momentum: share of the baseline and of the scale that a round leaves in place.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        batch: Annotated[int, Range(1, 256, log=True)] = 8,
        learning_rate: Annotated[float, Range(0.01, 10.0, log=True)] = 3.0,
        entropy: Annotated[float, Range(0.0, 1.0)] = 0.1,
        momentum: Annotated[float, Range(0.0, 0.999)] = 0.5,
    ) -> None:
        super().__init__(space, seed, batch)
        self._rate = learning_rate
        self._entropy = entropy
        self._scale = RunningScale(momentum)
        self._exists = existing(space)
        self._logits = np.where(self._exists, 0.0, -np.inf)

    def _probabilities(self) -> FloatArray:
        """Returns the policy `(d, v)`."""
        weights = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        policy: FloatArray = weights / weights.sum(axis=1, keepdims=True)
        return policy

    def _draw(self, n: int, attempt: int = 0) -> IntArray:
        return draw(self._probabilities(), self.space, self.rng.random((n, len(self.space))))

    def _learn(self, rows: IntArray, scores: FloatArray) -> None:
        """Makes one step along the gradient."""
        advantages = self._scale.standardised(scores)
        policy = self._probabilities()
        pulled = usage(self.space, rows, advantages)
        gradient = (pulled - pulled.sum(axis=1, keepdims=True) * policy) / len(rows)
        surprise = np.where(self._exists, -np.log(np.maximum(policy, 1e-300)), 0.0)
        entropy = (policy * surprise).sum(axis=1, keepdims=True)
        gradient += self._entropy * policy * (surprise - entropy)
        self._logits += self._rate * np.where(self._exists, gradient, 0.0)
