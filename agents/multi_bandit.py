"""One bandit per parameter: each chooses its own value, all get the same reward."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agents._categoricals import CategoricalsAgent, existing, usage
from archgym.agents._operators import RunningScale
from archgym.hyperparameters import Choice, Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray


class MultiBanditAgent(CategoricalsAgent):
    """Independent learners without a network: the lightest multi-agent method.

    Each parameter is a player with one arm per value. Players do not see each other; they share one
    reward, the score in standard deviations (independent learners: Claus and Boutilier 1998, "The
    dynamics of reinforcement learning in cooperative multiagent systems"). An arm's value is the
    mean reward of the designs it was part of, older ones discounted, since the other players
    change. Arms are chosen by Thompson sampling (Thompson 1933, doi:10.1093/biomet/25.3-4.285) from
    a normal posterior of that mean, or by a softmax over the means (Sutton and Barto,
    "Reinforcement Learning", 2nd edition, section 2.3).

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        policy: `thompson` draws each arm's value from its posterior and takes the best, `softmax`
            draws an arm in proportion to `exp(value / temperature)`.
        temperature: of the softmax, and the posterior's standard deviation after one reward, in
            standard deviations of the score.
        discount: factor on an arm's past rewards per new reward of its player.
        batch: designs that are chosen before the players learn from them.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        policy: Annotated[str, Choice(("thompson", "softmax"))] = "thompson",
        temperature: Annotated[float, Range(0.01, 10.0, log=True)] = 0.5,
        discount: Annotated[float, Range(0.8, 1.0)] = 0.99,
        batch: Annotated[int, Range(1, 256, log=True)] = 8,
    ) -> None:
        super().__init__(space, seed, batch)
        self._thompson = policy == "thompson"
        self._temperature = temperature
        self._discount = discount
        self._scale = RunningScale(0.98)
        self._exists = existing(space)
        self._sums = np.zeros(self._exists.shape)
        self._counts = np.zeros(self._exists.shape)

    def _draw(self, n: int, attempt: int = 0) -> IntArray:
        # One reward of an average design stands at the start of every arm.
        counts = self._counts + 1.0
        means = np.where(self._exists, self._sums / counts, -np.inf)
        if self._thompson:
            noise = self.rng.standard_normal((n, *means.shape)) / np.sqrt(counts)
        else:
            # The largest of values plus Gumbel noise is a draw from their softmax.
            noise = self.rng.gumbel(size=(n, *means.shape))
        rows: IntArray = np.argmax(means + self._temperature * noise, axis=2)
        return rows

    def _learn(self, rows: IntArray, scores: FloatArray) -> None:
        """Gives each player the shared rewards of one round."""
        rewards = self._scale.standardised(scores)
        played = usage(self.space, rows, np.ones(len(rows)))
        keep = self._discount ** played.sum(axis=1, keepdims=True)
        self._sums = keep * self._sums + usage(self.space, rows, rewards)
        self._counts = keep * self._counts + played
