"""Model-based search with a forest of randomised trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt

from archgym.agent import Agent
from archgym.agents._acquisition import (
    DOUBT,
    GOOD,
    VIEWS,
    Chooser,
    fresh,
    level_with_best,
    log_expected_improvement,
    log_not_level,
    unseen_sample,
)
from archgym.agents._gaussian_process import subset
from archgym.agents._operators import Seen, balanced_sample, finite_or_worst
from archgym.agents._trend import Trend, fit_trend
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation

if TYPE_CHECKING:
    from archgym.agents._trees import Forest

LEAST = 4
"""Least number of feasible designs that a trend is fitted to."""

WEIGHT = 2.0
"""What being feasible counts as in the choice of splits, in standard deviations of the score."""

LEVEL_WEIGHT = 0.5
"""What being level with the best counts as, likewise."""

DESIGNS_PER_CHOICE = 64
"""Evaluated designs per design that is chosen at once."""

SMALLEST = 1e-4
"""Least standard deviation of a prediction, where all trees agree."""


class RandomForestAgent(Agent):
    """Proposes the designs with the largest expected improvement under a forest of trees.

    As in SMAC (Hutter, Hoos and Leyton-Brown 2011, doi:10.1007/978-3-642-25566-3_40) the trees'
    agreement gives a mean and a variance, the expected improvement is maximised by climbing from
    good designs, and some proposals are random ones. The trees are extremely randomised (Geurts,
    Ernst and Wehenkel 2006, doi:10.1007/s10994-006-6226-1). They learn what a ridge regression on
    the single parameters leaves, since trees alone need many designs to learn a sum of effects
    (regression-enhanced forests, Zhang, Nettleton and Zhu 2019, arXiv:1904.10416). Each tree has a
    regression of its own, drawn from the posterior, so that trees disagree about it too. Below the
    median, scores are replaced by their ranks; every other batch learns ranks throughout and is
    chosen near the best designs only. Where a tree knows infeasible designs only, it predicts the
    worst feasible score; the same trees predict how probable it is that a design is feasible, and
    that its score is the best one once more, as on a plateau; both probabilities enter the expected
    improvement. Within a batch, the variance of a design shrinks by the share of the trees in which
    it lies in one leaf with a design that was chosen. Beyond `points` designs the model is made of
    the best ones and a random part of the others.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        startup: designs of a Latin hypercube before the model is used; designs of a warm start
            count.
        batch: most designs that are chosen at once in a run: one while few are evaluated, then one
            per 64 of them.
        trees: number of trees.
        leaf: least number of designs in a leaf.
        features: share of the encoded parameters that each split chooses from.
        random: probability that a proposal is a random design.
        pool: random designs and changes of good ones that the acquisition is looked up for, before
            the best of them are climbed from.
        starts: designs from which the acquisition is climbed for each proposal.
        points: largest number of evaluated designs in the model.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        startup: Annotated[int, Range(2, 256, log=True)] = 8,
        batch: Annotated[int, Range(1, 64, log=True)] = 8,
        trees: Annotated[int, Range(2, 256, log=True)] = 60,
        leaf: Annotated[int, Range(1, 16)] = 1,
        features: Annotated[float, Range(0.1, 1.0)] = 0.5,
        random: Annotated[float, Range(0.0, 1.0)] = 0.05,
        pool: Annotated[int, Range(16, 4096, log=True)] = 512,
        starts: Annotated[int, Range(1, 32, log=True)] = 4,
        points: Annotated[int, Range(32, 10_000, log=True)] = 1000,
    ) -> None:
        super().__init__(space, seed)
        self._batch, self._trees, self._leaf = batch, trees, leaf
        self._features, self._random, self._points = features, random, points
        self._chooser = Chooser(space, pool, starts)
        self._first = balanced_sample(space, startup, self.rng)
        self._startup = startup
        self._rows = np.zeros((0, len(space)), np.int64)
        self._scores = np.zeros(0)
        self._proposed = Seen()
        self._told = Seen()
        self._turn = 0

    @property
    def batch_size(self) -> int:
        """One design while trees are grown fast, then more, up to `batch`."""
        return min(self._batch, max(1, len(self._rows) // DESIGNS_PER_CHOICE))

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Keeps designs that are new, with their scores."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        new = self._told.add(rows)
        self._rows = np.concatenate([self._rows, rows[new]])
        self._scores = np.concatenate([self._scores, finite_or_worst(evaluation)[new]])

    def ask(self, n: int) -> IntArray:
        """Proposes `n` designs: the rest of the first ones, then by the model."""
        if len(self._rows) >= self._startup:
            self._first = self._first[:0]
        first, self._first = self._first[:n], self._first[n:]
        first = fresh(self.space.canonical(first), self._proposed)
        self._proposed.add(first)
        guided = int((self.rng.random(n - len(first)) >= self._random).sum())
        chosen = self._choose(guided) if guided and np.isfinite(self._scores).any() else first[:0]
        self._proposed.add(chosen)
        rest = n - len(first) - len(chosen)
        others = unseen_sample(self.space, rest, self._proposed, self.rng)
        self._proposed.add(others)
        return np.concatenate([first, chosen, others])

    def _choose(self, n: int) -> IntArray:
        """Returns up to `n` new designs by the acquisition, fewer where none are left."""
        from archgym.agents._trees import grow_forest

        feasible = np.isfinite(self._scores)
        targets = np.empty((len(feasible), 3))
        view, local = VIEWS[self._turn]
        targets[feasible, 0] = view(self._scores[feasible])
        self._turn = (self._turn + 1) % len(VIEWS)
        worst, best = float(targets[feasible, 0].min()), float(targets[feasible, 0].max())
        targets[~feasible, 0] = worst
        targets[:, 1] = WEIGHT * feasible
        targets[:, 2] = LEVEL_WEIGHT * level_with_best(self._scores)
        held = subset(targets[:, 0], self._points, self.rng)
        inputs, targets, feasible = self._rows[held], targets[held], feasible[held]
        trend, slopes = None, np.zeros((0, self._trees))
        if feasible.sum() >= LEAST:
            trend = fit_trend(self.space, inputs[feasible], targets[feasible, 0])
        offsets = np.zeros((self._trees, len(held)))
        if trend is not None:
            slopes = trend.draw(self._trees, self.rng)
            offsets = trend.at(self.space, inputs, slopes).T
        # In a leaf without a feasible design there is nothing to add to the worst score.
        targets[~feasible, 0] = offsets[:, ~feasible] = 0.0
        features = encoded(self.space, inputs)
        forest = grow_forest(
            features, targets, self._trees, self._leaf, self._features, self.rng, offsets
        )
        surrogate = _Improvement(self.space, forest, trend, slopes, (worst, best))
        good = self._rows[np.argsort(-self._scores, kind="stable")[:GOOD]]
        return self._chooser.choose(n, self.space, surrogate, good, self._proposed, self.rng, local)


def encoded(space: DesignSpace, rows: IntArray) -> npt.NDArray[np.float32]:
    """Returns rows `(n, d)` as features `(n, p)`: indices, of categories one column per value.

    An inert parameter is -1 in all of its columns.
    """
    active = space.active(rows)
    columns = []
    for j, parameter in enumerate(space.parameters):
        values = np.arange(len(parameter.values))
        wide = rows[:, j : j + 1] if parameter.ordered else rows[:, j : j + 1] == values
        columns.append(np.where(active[:, j : j + 1], wide, -1))
    return np.concatenate(columns, axis=1).astype(np.float32)


class _Improvement:
    """Log expected improvement under a forest, where a design is feasible and not on a plateau."""

    def __init__(
        self,
        space: DesignSpace,
        forest: Forest,
        trend: Trend | None,
        slopes: FloatArray,
        ends: tuple[float, float],
    ) -> None:
        self._space, self._forest = space, forest
        self._trend, self._slopes = trend, slopes
        self._worst, self._best = ends
        self._leaves = np.zeros((0, len(forest.feature)), np.int64)
        self._mean = np.zeros(0)
        self._chance = np.zeros(0)
        self._variance = np.zeros(0)
        self._chosen: list[IntArray] = []

    def add(self, rows: IntArray) -> None:
        """Adds candidates `(m, d)`."""
        leaves = self._forest.leaves(encoded(self._space, rows))
        means, inside = self._forest.at(leaves)
        allowed = means[:, :, 1] / WEIGHT
        values = means[:, :, 0] + (1.0 - allowed) * self._worst
        if self._trend is not None:
            values += allowed * self._trend.at(self._space, rows, self._slopes)
        variance = values.var(axis=1) + inside.mean(axis=1)
        for leaf in self._chosen:
            variance *= 1.0 - (leaves == leaf).mean(axis=1)
        self._leaves = np.concatenate([self._leaves, leaves])
        self._mean = np.append(self._mean, values.mean(axis=1))
        chance = np.log(DOUBT + (1.0 - DOUBT) * allowed.mean(axis=1))
        chance += log_not_level(means[:, :, 2].mean(axis=1) / LEVEL_WEIGHT)
        self._chance = np.append(self._chance, chance)
        self._variance = np.append(self._variance, variance)

    def values(self, first: int = 0) -> FloatArray:
        """Returns the acquisition of the candidates from number `first` on."""
        deviation = np.maximum(np.sqrt(self._variance[first:]), SMALLEST)
        gain = log_expected_improvement(self._mean[first:], deviation, self._best)
        return np.asarray(gain + self._chance[first:])

    def believe(self, i: int) -> None:
        """Shrinks the variance of candidates that share leaves with candidate `i`."""
        leaf = self._leaves[i].copy()
        self._variance *= 1.0 - (self._leaves == leaf).mean(axis=1)
        self._chosen.append(leaf)
