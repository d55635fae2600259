"""Successive halving: many designs at a cheap fidelity, the best of them at the next."""

from __future__ import annotations

import itertools
from typing import Annotated

import numpy as np

from archgym.agent import LoopAgent
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
from archgym.environment import Fidelity
from archgym.evaluator import Evaluator
from archgym.hyperparameters import Choice, FidelityName, Range
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray
from archgym.task import Task


class SuccessiveHalvingAgent(LoopAgent):
    """Brackets of designs climb the fidelities of the task, and each rung lets the best through.

    A bracket evaluates its designs at the lowest fidelity, promotes the best to the next, and so on
    up to the task's own (Jamieson and Talwalkar 2016, arXiv:1502.07943). How many a rung takes
    follows from the declared costs: every cheaper rung gets `effort` times the budget of the next
    one, so that between fidelities of costs c and C one design in `effort * C / c` is promoted. The
    first bracket is drawn uniformly; of later ones a part are mutations of the best designs found.
    With `hyperband` brackets start in turn at every rung, so that a misleading one does little harm
    (Li et al. 2018, arXiv:1603.06560). On a task with one fidelity what is left is mutation and
    selection.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        finalists: designs of a bracket that are evaluated at the task's own fidelity.
        effort: budget of a rung, relative to that of the next one.
        hyperband: whether brackets start in turn at every rung instead of always at the lowest.
        mutated: share of a bracket's designs that are mutations, from the second bracket on.
        parents: number of the best designs that are mutated.
        mutation: expected number of parameters that a mutation changes, besides the one it always
            does.
        lowest: fidelity to start at, the cheapest if empty.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        finalists: Annotated[int, Range(1, 256, log=True)] = 4,
        effort: Annotated[float, Range(0.1, 10.0, log=True)] = 1.0,
        hyperband: Annotated[bool, Choice((False, True))] = False,
        mutated: Annotated[float, Range(0.0, 1.0)] = 0.75,
        parents: Annotated[int, Range(1, 256, log=True)] = 4,
        mutation: Annotated[float, Range(0.0, 8.0)] = 1.0,
        lowest: Annotated[str, FidelityName()] = "",
    ) -> None:
        super().__init__(space, seed)
        self._finalists = finalists
        self._effort = effort
        self._hyperband = hyperband
        self._mutated = mutated
        self._parents = parents
        self._mutation = mutation
        self._lowest = lowest
        self._ordered = ordered_mask(space)
        self._seen = Seen()
        self._tried = Seen()
        self._best: IntArray = np.zeros((0, len(space)), np.int64)
        self._scores: FloatArray = np.zeros(0)

    def search(self, evaluator: Evaluator) -> None:
        """Runs brackets until the budget is spent."""
        rungs = self._rungs(evaluator.task)
        start = 0
        while not evaluator.exhausted:
            self._bracket(evaluator, rungs[start:], len(rungs))
            if self._hyperband:
                start = (start + 1) % len(rungs)

    def _rungs(self, task: Task) -> list[Fidelity]:
        """The fidelities from the lowest on, without those that are worse than a cheaper one."""
        ladder = task.fidelities
        first = next((i for i, each in enumerate(ladder) if each.name == self._lowest), 0)
        rungs: list[Fidelity] = []
        for each in ladder[first:-1]:
            if not any(rung.exact for rung in rungs):
                rungs.append(each)
        return [*rungs, ladder[-1]]

    def _bracket(self, evaluator: Evaluator, rungs: list[Fidelity], steps: int) -> None:
        """Takes one bracket up; where a higher rung is the start it has more finalists."""
        left = np.inf if evaluator.budget is None else evaluator.budget - evaluator.spent
        finalists = -(-self._finalists * steps // len(rungs))
        counts = self._counts([rung.cost for rung in rungs], finalists, left)
        rungs = rungs[len(rungs) - len(counts) :]
        rows = self._propose(counts[0])
        for (rung, _), (_, promoted) in itertools.pairwise(zip(rungs, counts, strict=True)):
            scores = finite_or_worst(evaluator.evaluate(rows, rung.name))
            rows = self._promoted(rows, scores, promoted)
        self._learn(rows, finite_or_worst(evaluator.evaluate(rows)))

    def _counts(self, costs: list[float], finalists: int, left: float) -> list[int]:
        """Designs per rung that the rest of the budget pays for; low rungs of one design go."""
        for wanted in range(finalists, 0, -1):
            counts = _counts(costs, wanted, self._effort)
            if np.dot(counts, costs) <= left:
                return counts
        screening = float(np.dot(counts, costs)) - 1.0
        counts = _counts(costs, 1, self._effort * max(left - 1.0, 0.0) / screening)
        while len(counts) > 1 and (counts[0] <= 1 or np.dot(counts, costs[-len(counts) :]) > left):
            counts = counts[1:]
        return counts

    def _propose(self, count: int) -> IntArray:
        """Mutations of the best designs and uniform draws, new ones as long as there are any."""
        bred = int(self._mutated * count + self.rng.random()) if len(self._best) else 0
        drawn = balanced_sample(self.space, count - bred, self.rng)
        chosen = self._best[self.rng.integers(max(len(self._best), 1), size=bred)]
        rows = np.concatenate([self._changed(chosen), drawn])
        return propose_new(
            self.space, rows, self._seen, self.rng, lambda stale, _: self._changed(stale)
        )

    def _changed(self, rows: IntArray) -> IntArray:
        if len(rows) == 0:
            return rows
        share = self._mutation / len(self.space)
        mask = pick_genes(self.space, rows, 1, self.rng)
        mask |= self.space.active(rows) & (self.rng.random(rows.shape) < share)
        return mutate(self.space, self._ordered, rows, mask, self.rng)

    def _promoted(self, rows: IntArray, scores: FloatArray, count: int) -> IntArray:
        """The best designs, those first that the task's own fidelity has not seen."""
        tried = np.array([key in self._tried for key in keys(rows)])
        return rows[np.lexsort((-scores, tried))[:count]]

    def _learn(self, rows: IntArray, scores: FloatArray) -> None:
        """Keeps the best designs at the task's own fidelity."""
        fresh = self._tried.add(rows)
        rows, scores = rows[fresh], scores[fresh]
        known, values = np.concatenate([self._best, rows]), np.append(self._scores, scores)
        order = np.argsort(-values, kind="stable")[: self._parents]
        self._best, self._scores = known[order], values[order]


def _counts(costs: list[float], finalists: int, effort: float) -> list[int]:
    """Designs per rung: each gets `effort` times the budget of the next, and no fewer designs."""
    counts = [finalists]
    for cheap, dear in zip(costs[-2::-1], costs[:0:-1], strict=True):
        counts.append(max(counts[-1], int(effort * counts[-1] * dear / cheap)))
    return counts[::-1]
