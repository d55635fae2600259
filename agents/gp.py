"""Bayesian optimisation with a Gaussian process over mixed parameters."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from archgym.agent import Agent
from archgym.agents._acquisition import (
    GOOD,
    VIEWS,
    Chooser,
    fresh,
    level_with_best,
    log_expected_improvement,
    log_not_level,
    unseen_sample,
)
from archgym.agents._gaussian_process import (
    Encoding,
    GaussianProcess,
    Posterior,
    one_thread,
)
from archgym.agents._operators import Seen, balanced_sample, finite_or_worst, keys
from archgym.hyperparameters import Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


class GPAgent(Agent):
    """Proposes the designs with the largest expected improvement under a Gaussian process.

    The kernel is a Matérn 5/2 of a distance that adds up over the parameters: steps for ordered
    ones, equal or not for categories, with a length scale each. A second process on the same
    designs learns which are feasible; its probability multiplies the expected improvement
    (Schonlau, Welch and Jones 1998, doi:10.1214/lnms/1215456182). A third learns which have the
    best score once more, as on a plateau, where nothing improves. The acquisition is the log
    expected improvement of Ament et al. 2023 (arXiv:2310.20708), maximised over random designs,
    changes of good ones, and by climbing from the best of them to neighbours. Every other batch is
    chosen near the best designs only, by a process that learns the ranks of the scores. Within a
    batch, chosen designs count as evaluated with their predicted score (the kriging believer of
    Ginsbourger, Le Riche and Carraro 2010, doi:10.1007/978-3-642-10701-6_6). Kernels are fitted
    again as the number of designs grows; in between, designs are appended to the Cholesky factor.
    Beyond `points` designs the model holds the best ones and a random part of the others.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        startup: designs of a Latin hypercube before the model is used; designs of a warm start
            count.
        batch: designs that are chosen at once in a run.
        pool: random designs and changes of good ones that the acquisition is looked up for, before
            the best of them are climbed from.
        starts: designs from which the acquisition is climbed for each proposal.
        points: largest number of evaluated designs in the model.
        refit: share by which the number of designs grows between two fits of the kernel.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        startup: Annotated[int, Range(2, 256, log=True)] = 8,
        batch: Annotated[int, Range(1, 64, log=True)] = 2,
        pool: Annotated[int, Range(16, 4096, log=True)] = 512,
        starts: Annotated[int, Range(1, 32, log=True)] = 4,
        points: Annotated[int, Range(32, 2000, log=True)] = 1000,
        refit: Annotated[float, Range(0.01, 2.0, log=True)] = 0.15,
    ) -> None:
        super().__init__(space, seed)
        self._batch = batch
        self._chooser = Chooser(space, pool, starts)
        self._encoding = Encoding(space)
        self._first = balanced_sample(space, startup, self.rng)
        self._startup = startup
        self._rows = np.zeros((0, len(space)), np.int64)
        self._scores = np.zeros(0)
        self._proposed = Seen()
        self._told = Seen()
        self._pending: dict[bytes, IntArray] = {}
        owner = self._encoding.owner
        self._feasible_model = GaussianProcess(owner, points, refit)
        self._level_model, *self._score_models = (
            GaussianProcess(owner, points, refit, cut=True) for _ in range(1 + len(VIEWS))
        )
        self._turn = 0

    @property
    def batch_size(self) -> int:
        """As set by `batch`."""
        return self._batch

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Keeps designs that are new, with their scores."""
        rows = self.space.canonical(designs)
        for key in keys(rows):
            self._pending.pop(key, None)
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
        rest = n - len(first)
        chosen = first[:0]
        if rest and len(self._rows):
            with one_thread():
                chosen = self._choose(rest)
        rows = np.concatenate([first, chosen])
        if len(rows) < n:
            more = unseen_sample(self.space, n - len(rows), self._proposed, self.rng)
            self._proposed.add(more)
            rows = np.concatenate([rows, more])
        self._pending.update(zip(keys(rows), rows.copy(), strict=True))
        return rows

    def _choose(self, n: int) -> IntArray:
        """Returns up to `n` new designs by the acquisition, fewer where none are left."""
        feasible = np.isfinite(self._scores)
        points = self._encoding.encode(self.space, self._rows)
        waiting = np.array([*self._pending.values()], np.int64).reshape(-1, len(self.space))
        pending = self._encoding.encode(self.space, waiting)
        score = allowed = plateau = None
        best, local = 0.0, False
        if feasible.any():
            view, local = VIEWS[self._turn]
            targets = view(self._scores[feasible])
            best = float(targets.max())
            model = self._score_models[self._turn]
            score = model.update(points[feasible], targets, pending, self.rng)
            self._turn = (self._turn + 1) % len(VIEWS)
        if not feasible.all():
            labels = np.where(feasible, 1.0, -1.0)
            allowed = self._feasible_model.update(points, labels, pending, self.rng)
        level = level_with_best(self._scores)
        if score is not None and level.any():
            labels = np.where(level, 1.0, -1.0)
            plateau = self._level_model.update(points, labels, pending, self.rng)
        surrogate = _Improvement(self.space, self._encoding, score, allowed, plateau, best)
        good = self._rows[np.argsort(-self._scores, kind="stable")[:GOOD]]
        return self._chooser.choose(n, self.space, surrogate, good, self._proposed, self.rng, local)


class _Improvement:
    """Log expected improvement, where a design is feasible and not on a plateau."""

    def __init__(
        self,
        space: DesignSpace,
        encoding: Encoding,
        score: Posterior | None,
        allowed: Posterior | None,
        plateau: Posterior | None,
        best: float,
    ) -> None:
        self._space, self._encoding = space, encoding
        self._score, self._allowed, self._plateau = score, allowed, plateau
        self._known = [each for each in (score, allowed, plateau) if each is not None]
        self._best = best

    def add(self, rows: IntArray) -> None:
        """Adds candidates `(m, d)`."""
        points = self._encoding.encode(self._space, rows)
        for posterior in self._known:
            posterior.add(points)

    def values(self, first: int = 0) -> FloatArray:
        """Returns the acquisition of the candidates from number `first` on."""
        from scipy.special import log_ndtr, ndtr

        total: FloatArray = np.zeros(1)
        if self._score is not None:
            mean, deviation = self._score.predict(first)
            total = log_expected_improvement(mean, deviation, self._best)
        if self._allowed is not None:
            mean, deviation = self._allowed.predict(first)
            total = total + log_ndtr(mean / deviation)
        if self._plateau is not None:
            mean, deviation = self._plateau.predict(first)
            total = total + log_not_level(ndtr(mean / deviation))
        return total

    def believe(self, i: int) -> None:
        """Takes candidate `i` as evaluated with its predicted score."""
        if self._score is not None:
            self._best = max(self._best, float(self._score.predict(i)[0][0]))
        for posterior in self._known:
            posterior.believe(i)
