"""The one door between a search and a cost model: canonical designs, budget, cache, log, clocks."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archgym.environment import Fidelity
from archgym.errors import BudgetExhausted
from archgym.optimum import score_to_stop_at
from archgym.screening import PLACE, Screening
from archgym.space import IntArray
from archgym.task import Evaluation, Task

if TYPE_CHECKING:
    from archgym.store import TrialStore


class Evaluator:
    """Evaluates designs for one run.

    Equivalent designs are one design. A design that was evaluated before is answered from the
    cache: it costs no budget and is not logged again. A search that proposes nothing new for
    `max_repeats` proposals in a row is ended.

    A design may also be asked at a cheaper fidelity of the task, at its declared cost. Such answers
    have caches of their own and are logged apart: trials are what was evaluated at the task's own
    fidelity.

    Args:
        task: what is searched.
        budget: number of unique designs that may be evaluated, at the task's own fidelity or at
            cheaper ones of that cost in all; None for no limit.
        store: where trials are logged; trials it already holds are replayed without calling the
            cost model, which is how a killed run resumes.
        max_repeats: proposals in a row without a new design after which the search has ended; None
            means the larger of 1,000 and the budget.
        max_proposals: proposals, repeats included, after which the search has ended; None for any
            number.
        stop_at_optimum: whether the search has ended with the first design that is optimal; nothing
            is evaluated after it. The task must have one goal and a proven optimum.

    Raises:
        ValueError: for a budget or cap below 1, or a task that has no proven optimum to stop at.

    Attributes:
        proposals: number of designs proposed, repeats included.
        evaluation_seconds: time spent in the cost model.
        agent_seconds: time spent between calls, that is by the search method.
    """

    def __init__(
        self,
        task: Task,
        budget: int | None = None,
        store: TrialStore | None = None,
        max_repeats: int | None = None,
        max_proposals: int | None = None,
        stop_at_optimum: bool = False,
    ) -> None:
        if budget is not None and budget < 1:
            raise ValueError(f"budget: samples {budget} is not at least 1")
        if max_repeats is not None and max_repeats < 1:
            raise ValueError(f"max_repeats: {max_repeats} is not at least 1")
        if max_proposals is not None and max_proposals < 1:
            raise ValueError(f"max_proposals: {max_proposals} is not at least 1")
        self.task = task
        self.budget = budget
        self.store = store
        self.max_repeats = max(1_000, budget or 0) if max_repeats is None else max_repeats
        self.max_proposals = max_proposals
        self._stop_at = score_to_stop_at(task) if stop_at_optimum else math.inf
        self._at_optimum = False
        self.proposals = 0
        self.evaluation_seconds = 0.0
        self.agent_seconds = 0.0
        self._stale = 0
        self._unlogged_seconds = 0.0
        self._own = _Rung(task, task.fidelities[-1], [] if store is None else store.recorded(task))
        self._rungs = {self._own.fidelity.name: self._own}
        self._returned_at = time.perf_counter()

    @property
    def samples(self) -> int:
        """Number of unique designs evaluated at the task's own fidelity."""
        return len(self._own)

    @property
    def spent(self) -> float:
        """Budget spent: the samples, and the costs of designs at cheaper fidelities."""
        return sum(each.fidelity.cost * len(each) for each in self._rungs.values())

    @property
    def remaining(self) -> int:
        """Unique designs left in the budget (a very large number without one)."""
        return self.affordable()

    def affordable(self, fidelity: str | None = None) -> int:
        """Returns how many new designs the rest of the budget pays for at a fidelity.

        None once a search that stops at the optimum has found it.

        Args:
            fidelity: of the task, its own if left out.

        Raises:
            ValueError: for a fidelity that the task does not have.
        """
        if self._at_optimum:
            return 0
        if self.budget is None:
            return 2**62
        cost = self.task.fidelity(fidelity).cost
        # Sums of fractions such as ten times 0.1 are rounded.
        return max(0, int((self.budget - self.spent) / cost + 1e-6))

    @property
    def exhausted(self) -> bool:
        """Whether the search must end, see `stop_reason`."""
        return self.stop_reason != "running"

    @property
    def stop_reason(self) -> str:
        """Why the search ended: `optimum`, `budget`, `repeats` or `proposals`; or `running`."""
        if self._at_optimum:
            return "optimum"
        if self.remaining <= 0:
            return "budget"
        if self._stale >= self.max_repeats:
            return "repeats"
        spent = self.max_proposals is not None and self.proposals >= self.max_proposals
        return "proposals" if spent else "running"

    def evaluate(self, designs: npt.ArrayLike, fidelity: str | None = None) -> Evaluation:
        """Evaluates index rows `(n, d)`, new ones at the cost of one sample each.

        Args:
            designs: the rows.
            fidelity: of the task, its own if left out. At a cheaper one a design costs a part of a
                sample, and scores are relative to the default design at that fidelity.

        Raises:
            BudgetExhausted: if a row is new and the budget is spent, or comes after the optimum at
                which the search stops; the rows before it are evaluated and logged.
            ValueError: for rows that are not designs of the space, or a fidelity that the task does
                not have.
        """
        entered = time.perf_counter()
        agent_seconds = entered - self._returned_at
        self._unlogged_seconds += agent_seconds
        rung = self._rung(fidelity)
        rows = self.task.space.canonical(designs)
        keys = [row.tobytes() for row in rows]
        fresh = rung.new(keys)
        evaluated = fresh[: self.affordable(fidelity)]
        evaluated = evaluated[: self._run(rung, rows[evaluated])]
        self.proposals += len(rows)
        self.agent_seconds += agent_seconds
        self._count_stale(keys, set(evaluated))
        self._returned_at = time.perf_counter()
        if len(evaluated) < len(fresh):
            told = "the optimum is found" if self._at_optimum else None
            raise BudgetExhausted(told or f"the budget of {self.budget} designs is spent")
        return rung.answers(keys)

    def _rung(self, fidelity: str | None) -> _Rung:
        chosen = self.task.fidelity(fidelity)
        if chosen.name not in self._rungs:
            recorded = [] if self.store is None else self.store.recorded_at(chosen.name)
            self._rungs[chosen.name] = _Rung(self.task.at(chosen.name), chosen, recorded)
        return self._rungs[chosen.name]

    def _count_stale(self, keys: Sequence[bytes], fresh: set[int]) -> None:
        last_new = max(fresh, default=-1)
        self._stale = len(keys) - 1 - last_new if fresh else self._stale + len(keys)

    def _run(self, rung: _Rung, rows: IntArray) -> int:
        """Evaluates new canonical rows, from the recorded ones first, and logs the rest.

        Returns:
            How many were kept: all, or those up to the optimum at which the search stops.
        """
        if len(rows) == 0:
            return 0
        before = len(rung)
        after = self.samples
        place = None if rung is self._own else rung.place(after)
        known = rung.recorded[len(rung) : len(rung) + len(rows)]
        if known:
            assert self.store is not None
            replayed = self.store.replay(rung.task, rows[: len(known)], known, place)
            rung.keep(self._cut(rung, replayed), after)
        rest = rows[len(known) :]
        if len(rest) and not self._at_optimum:
            begin = time.perf_counter()
            evaluation = self._cut(rung, rung.task.evaluate(rest))
            seconds = time.perf_counter() - begin
            self.evaluation_seconds += seconds
            first = len(rung)
            rung.keep(evaluation, after)
            if self.store is not None:
                self.store.append(evaluation, first, self._unlogged_seconds, seconds, place)
                self._unlogged_seconds = 0.0
        return len(rung) - before

    def _cut(self, rung: _Rung, evaluation: Evaluation) -> Evaluation:
        """Returns what of a batch is kept: all, or what comes up to the optimum to stop at."""
        if rung is not self._own or self._at_optimum:
            return evaluation
        reached = np.flatnonzero(evaluation.score >= self._stop_at)
        if len(reached) == 0:
            return evaluation
        self._at_optimum = True
        return evaluation.take(np.arange(reached[0] + 1))

    def trials(self) -> Evaluation:
        """Returns everything evaluated at the task's own fidelity, in order of evaluation."""
        return self._own.trials()

    def cheaper(self) -> list[Screening]:
        """Returns everything evaluated at cheaper fidelities, one entry per fidelity asked."""
        return [
            Screening(each.fidelity, np.array(each.after, np.int64), each.trials())
            for each in self._rungs.values()
            if each is not self._own and len(each)
        ]


class _Rung:
    """What was evaluated at one fidelity.

    Args:
        task: at that fidelity.
        fidelity: with the cost of a design.
        recorded: what is on disk of it.
    """

    def __init__(
        self, task: Task, fidelity: Fidelity, recorded: Sequence[Mapping[str, Any]]
    ) -> None:
        self.task = task
        self.fidelity = fidelity
        self.recorded = recorded
        self.after: list[int] = []
        self._number: dict[bytes, int] = {}
        self._log = _Log()
        self._log.append(task.evaluate(np.zeros((0, len(task.space)), np.int64)))

    def __len__(self) -> int:
        return len(self._number)

    def place(self, after: int) -> dict[str, Any]:
        """Returns what is logged with designs evaluated when there were `after` trials."""
        values = (self.fidelity.name, self.fidelity.cost, after)
        return dict(zip(PLACE, values, strict=True))

    def new(self, keys: Sequence[bytes]) -> list[int]:
        """Returns the positions of the first occurrence of every design not evaluated before."""
        seen: set[bytes] = set()
        fresh = []
        for i, key in enumerate(keys):
            if key not in self._number and key not in seen:
                seen.add(key)
                fresh.append(i)
        return fresh

    def keep(self, evaluation: Evaluation, after: int) -> None:
        """Adds new designs, evaluated when there were `after` trials."""
        for row in evaluation.designs:
            self._number[row.tobytes()] = len(self._number)
        self.after += [after] * len(evaluation)
        self._log.append(evaluation)

    def answers(self, keys: Sequence[bytes]) -> Evaluation:
        """Returns the evaluations of designs that were added."""
        return self._log.take([self._number[key] for key in keys])

    def trials(self) -> Evaluation:
        """Returns all of them in order."""
        return self._log.take(range(len(self)))


class _Log:
    """A growing evaluation: columns with spare room, so that appending and indexing stay cheap."""

    def __init__(self) -> None:
        self._size = 0
        self._columns: dict[str, npt.NDArray[Any]] = {}

    def append(self, evaluation: Evaluation) -> None:
        stop = self._size + len(evaluation)
        for name, values in evaluation.columns().items():
            column = self._columns.get(name)
            if column is None or len(column) < stop:
                grown = np.empty((2 * stop, *values.shape[1:]), values.dtype)
                if column is not None:
                    grown[: self._size] = column[: self._size]
                column = self._columns[name] = grown
            column[self._size : stop] = values
        self._size = stop

    def take(self, numbers: Sequence[int]) -> Evaluation:
        index = np.array(numbers, np.int64)
        return Evaluation.from_columns({name: c[index] for name, c in self._columns.items()})
