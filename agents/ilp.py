"""Sensitivities of single choices, added up, and the best sum by integer linear programming."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from archgym.agent import LoopAgent
from archgym.agents._additive import (
    Change,
    Goal,
    Limit,
    Linear,
    Measured,
    Program,
    quantities,
    shared_parts,
    total,
)
from archgym.agents._operators import mutate, ordered_mask, pick_genes
from archgym.evaluator import Evaluator
from archgym.hyperparameters import Range
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation, Task


class IlpAgent(LoopAgent):
    """Measures what every choice does by itself, and solves for the best combination.

    From a base, first the default design, it evaluates every change of one parameter, some changes
    of two parameters of one subsystem, and every group of alike parameters at one value (a uniform
    number format, say). Metrics, or their logarithms, are taken as sums of these effects, whichever
    predicts some random combinations better; parts of a metric that choices share (in the
    breakdown: the area of a datapath that several layers use) count once. The best sum within the
    budgets is found by integer linear programming (HiGHS), evaluated, excluded, and the limits are
    corrected by how far the prediction was off. After some solutions the best design becomes the
    next base.

    This is how mixed precision is chosen from a table of sensitivities (Dong et al. 2020, HAWQ-V2,
    arXiv:1911.03852), where it is hard to beat; it needs effects that nearly add up.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        solutions: designs that are solved for from one base.
        pairs: share of the budget for changes of two parameters.
        mixtures: random combinations that decide between sums and products.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        solutions: Annotated[int, Range(1, 512, log=True)] = 16,
        pairs: Annotated[float, Range(0.0, 0.9)] = 0.3,
        mixtures: Annotated[int, Range(2, 64, log=True)] = 8,
    ) -> None:
        super().__init__(space, seed)
        self._solutions = solutions
        self._pairs = pairs
        self._mixtures = mixtures
        self._ordered = ordered_mask(space)
        self._best: IntArray = np.zeros(len(space), np.int64)
        self._score = -np.inf

    def search(self, evaluator: Evaluator) -> None:
        """Measures and solves, base after base, until the budget is spent."""
        base = evaluator.task.default
        while not evaluator.exhausted:
            self._from(evaluator, base)
            kicked = np.array_equal(self._best, base) or self._score == -np.inf
            base = self._changed(self._best if self._score > -np.inf else base, 2 * kicked)

    def _changed(self, row: IntArray, count: int) -> IntArray:
        """The design with some parameters changed."""
        rows = self.space.canonical(row[None])
        if count:
            mask = pick_genes(self.space, rows, count, self.rng)
            rows = self.space.canonical(mutate(self.space, self._ordered, rows, mask, self.rng))
        changed: IntArray = rows[0]
        return changed

    def _evaluate(self, evaluator: Evaluator, rows: Sequence[IntArray]) -> Evaluation:
        """Evaluates designs, as many as the budget allows, and remembers the best."""
        stacked = np.array(rows, np.int64).reshape(-1, len(self.space))[: evaluator.remaining]
        found = evaluator.evaluate(stacked)
        at = int(np.argmax(found.score)) if len(found) else 0
        if len(found) and found.score[at] > self._score:
            self._best, self._score = found.designs[at].copy(), float(found.score[at])
        return found

    def _from(self, evaluator: Evaluator, base: IntArray) -> None:
        """Measures around a base and evaluates what is solved for."""
        first = self._evaluate(evaluator, [base])
        if len(first) == 0 or not first.feasible[0]:
            return
        alike, uniform = self._uniform(evaluator, base)
        measured = self._measure(evaluator, base, first)
        mixed = self._mixed(evaluator, measured)
        goal = self._goal(evaluator.task, measured, mixed, alike, uniform)
        self._solve(evaluator, measured, goal)

    def _uniform(
        self, evaluator: Evaluator, base: IntArray
    ) -> tuple[list[list[int]], dict[tuple[int, int], dict[str, float]]]:
        """Groups of alike parameters, and the base with each group at each of its values."""
        groups: dict[object, list[int]] = {}
        for j, parameter in enumerate(self.space.parameters):
            groups.setdefault(parameter.values, []).append(j)
        alike = [group for group in groups.values() if len(group) > 1]
        rows, which = [], []
        for number, group in enumerate(alike):
            for v in range(int(self.space.cardinalities[group[0]])):
                row = base.copy()
                row[group] = v
                rows.append(row)
                which.append((number, v))
        found = self._evaluate(evaluator, rows)
        named = {**found.metrics, **found.breakdown}
        kept = [i for i in range(len(found)) if found.feasible[i]]
        return alike, {which[i]: quantities(named, i) for i in kept}

    def _measure(self, evaluator: Evaluator, base: IntArray, first: Evaluation) -> Measured:
        """Evaluates changes of one parameter, then of two, in random order."""
        active = self.space.active(base[None])[0]
        singles: list[Change] = [
            ((j, v),)
            for j in np.flatnonzero(active).tolist()
            for v in range(int(self.space.cardinalities[j]))
            if v != base[j]
        ]
        reserve = min(self._solutions + self._mixtures, evaluator.remaining // 4)
        room = max(0, evaluator.remaining - reserve)
        changes = self._shuffled(singles)[:room]
        # What only has an effect with another value of its parent is no change by itself.
        needed, free = self._pairs_of(base, active)
        most = min(room - len(changes), len(needed) + int(self._pairs * room))
        changes += (self._shuffled(needed) + self._shuffled(free))[: max(0, most)]
        rows = []
        for change in changes:
            row = base.copy()
            for j, v in change:
                row[j] = v
            rows.append(row)
        found = self._evaluate(evaluator, rows)
        named = {**found.metrics, **found.breakdown}
        good = [i for i in range(len(found)) if found.feasible[i]]
        bad = [i for i in range(len(found)) if not found.feasible[i]]
        at_base = quantities({**first.metrics, **first.breakdown}, 0)
        told = {changes[i]: quantities(named, i) for i in good}
        # A pair says something beyond its single changes only where these are known.
        kept = {
            c: t
            for c, t in told.items()
            if len(c) == 1 or all((one,) in told or not active[one[0]] for one in c)
        }
        return Measured(base, at_base, kept, frozenset(changes[i] for i in bad))

    def _shuffled(self, changes: list[Change]) -> list[Change]:
        return [changes[i] for i in self.rng.permutation(len(changes))]

    def _pairs_of(self, base: IntArray, active: np.ndarray) -> tuple[list[Change], list[Change]]:
        """Changes of two parameters: those that activate one of them, and those in a subsystem."""
        needed: list[Change] = []
        free: list[Change] = []
        parameters = self.space.parameters
        for j, k in itertools.combinations(range(len(parameters)), 2):
            if not active[j]:
                continue
            same = parameters[j].subsystem == parameters[k].subsystem != ""
            if active[k] and not same:
                continue
            always = not (parameters[j].when or parameters[k].when)
            values = (range(int(self.space.cardinalities[i])) for i in (j, k))
            for v, w in itertools.product(*values):
                if v == base[j] or (w == base[k] and active[k]):
                    continue
                row = base.copy()
                row[[j, k]] = v, w
                if always or self.space.active(row[None])[0, [j, k]].all():
                    (free if active[k] else needed).append(((j, v), (k, w)))
        return needed, free

    def _mixed(self, evaluator: Evaluator, measured: Measured) -> Evaluation:
        """Evaluates random combinations of the measured changes."""
        singles = [c[0] for c in measured.changes if len(c) == 1]
        rows = []
        for _ in range(self._mixtures):
            row = measured.base.copy()
            for j, v in (singles[i] for i in self.rng.permutation(len(singles))):
                if row[j] == measured.base[j] and self.rng.random() < 0.5:
                    row[j] = v
            rows.append(self.space.canonical(row[None])[0])
        return self._evaluate(evaluator, rows)

    def _goal(
        self,
        task: Task,
        measured: Measured,
        mixed: Evaluation,
        alike: list[list[int]],
        uniform: dict[tuple[int, int], dict[str, float]],
    ) -> Goal:
        """The objective as linear functions."""
        names = task.objective.metrics
        signs = {m.name: -1.0 if m.direction == "maximise" else 1.0 for m in task.metrics}

        logs = {name: self._multiplies(measured, mixed, name) for name in signs}

        def function(name: str, log: bool) -> Linear:
            shared = not log and signs[name] > 0
            parts = shared_parts(measured, name, alike, uniform) if shared else {}
            return Linear.of(measured, name, log, parts).times(signs[name])

        # A score is a sum of logarithms, so that several metrics add up only as such.
        cost = total([function(name, len(names) > 1 or logs[name]) for name in names])
        limits = []
        for name, limit in task.scorer.limits().items():
            log, sign = logs[name], signs[name]
            most = sign * float(np.log(limit) if log else limit)
            limits.append(Limit(name, function(name, log), most, log, sign))
        return Goal(cost, limits)

    def _multiplies(self, measured: Measured, mixed: Evaluation, name: str) -> bool:
        """Whether effects on a metric multiply rather than add up, by the mixtures."""
        errors = {}
        values = mixed.metrics[name]
        usable = mixed.feasible & (values > 0) if len(mixed) else np.zeros(0, np.bool_)
        told = [measured.at_base[name], *(t[name] for t in measured.changes.values())]
        if not usable.any() or min(told) <= 0:
            return False
        for log in (False, True):
            linear = Linear.of(measured, name, log, {})
            guess = np.array([linear.predict(measured.base, row) for row in mixed.designs[usable]])
            if log:
                guess = np.exp(guess)
            errors[log] = float(np.median(np.abs(guess - values[usable]) / values[usable]))
        return errors[True] < errors[False]

    def _solve(self, evaluator: Evaluator, measured: Measured, goal: Goal) -> None:
        """Evaluates the best designs by prediction, each a correction of the limits."""
        excluded: list[IntArray] = []
        most = [limit.most for limit in goal.limits]
        program = Program(measured, goal)
        for _ in range(self._solutions):
            row = None if evaluator.exhausted else program.solve(excluded, most)
            if row is None:
                return
            excluded.append(row)
            found = self._evaluate(evaluator, [row])
            if len(found) and found.feasible[0]:
                values = [float(found.metrics[limit.metric][0]) for limit in goal.limits]
                most = [
                    limit.corrected(measured.base, row, value)
                    for limit, value in zip(goal.limits, values, strict=True)
                ]
