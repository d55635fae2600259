"""The one door between a search and a cost model: canonical designs, budget, cache, log, clocks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archgym.errors import BudgetExhausted
from archgym.space import IntArray
from archgym.task import Evaluation, Task

if TYPE_CHECKING:
    from archgym.store import TrialStore


class Evaluator:
    """Evaluates designs for one run.

    Equivalent designs are one design. A design that was evaluated before is answered from the
    cache: it costs no budget and is not logged again. A search that proposes nothing new for
    `max_repeats` proposals in a row is ended.

    Args:
        task: what is searched.
        budget: number of unique designs that may be evaluated; None for no limit.
        store: where trials are logged; trials it already holds are replayed without calling the
            cost model, which is how a killed run resumes.
        max_repeats: proposals in a row without a new design after which the search has ended; None
            means the larger of 1,000 and the budget.
        max_proposals: proposals, repeats included, after which the search has ended; None for any
            number.

    Attributes:
        samples: number of unique designs evaluated.
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
        self.samples = 0
        self.proposals = 0
        self.evaluation_seconds = 0.0
        self.agent_seconds = 0.0
        self._stale = 0
        self._unlogged_seconds = 0.0
        self._number: dict[bytes, int] = {}
        self._log = _Log()
        self._log.append(task.evaluate(np.zeros((0, len(task.space)), np.int64)))
        self._recorded = [] if store is None else store.recorded(task)
        self._returned_at = time.perf_counter()

    @property
    def remaining(self) -> int:
        """Unique designs left in the budget (a very large number without one)."""
        return 2**62 if self.budget is None else self.budget - self.samples

    @property
    def exhausted(self) -> bool:
        """Whether the search must end: budget spent, or nothing new proposed for too long."""
        return self.stop_reason != "running"

    @property
    def stop_reason(self) -> str:
        """Why the search ended, or "running"."""
        if self.remaining <= 0:
            return "budget"
        if self._stale >= self.max_repeats:
            return "repeats"
        spent = self.max_proposals is not None and self.proposals >= self.max_proposals
        return "proposals" if spent else "running"

    def evaluate(self, designs: npt.ArrayLike) -> Evaluation:
        """Evaluates index rows `(n, d)`, new ones at the cost of one sample each.

        Raises:
            BudgetExhausted: if a row is new and the budget is spent; the rows before it are
                evaluated and logged.
            ValueError: for rows that are not designs of the space.
        """
        entered = time.perf_counter()
        agent_seconds = entered - self._returned_at
        self._unlogged_seconds += agent_seconds
        rows = self.task.space.canonical(designs)
        keys = [row.tobytes() for row in rows]
        fresh = self._new_rows(keys)
        evaluated = fresh[: max(self.remaining, 0)]
        self._run(rows[evaluated])
        self.proposals += len(rows)
        self.agent_seconds += agent_seconds
        self._count_stale(keys, set(evaluated))
        self._returned_at = time.perf_counter()
        if len(evaluated) < len(fresh):
            raise BudgetExhausted(f"the budget of {self.budget} designs is spent")
        return self._log.take([self._number[key] for key in keys])

    def _new_rows(self, keys: Sequence[bytes]) -> list[int]:
        """Returns the positions of the first occurrence of every design not evaluated before."""
        seen: set[bytes] = set()
        fresh = []
        for i, key in enumerate(keys):
            if key not in self._number and key not in seen:
                seen.add(key)
                fresh.append(i)
        return fresh

    def _count_stale(self, keys: Sequence[bytes], fresh: set[int]) -> None:
        last_new = max(fresh, default=-1)
        self._stale = len(keys) - 1 - last_new if fresh else self._stale + len(keys)

    def _run(self, rows: IntArray) -> None:
        """Evaluates new canonical rows, from the recorded trials first, and logs the rest."""
        if len(rows) == 0:
            return
        known = self._recorded[self.samples : self.samples + len(rows)]
        if known:
            assert self.store is not None
            self._keep(self.store.replay(self.task, rows[: len(known)], known))
        rest = rows[len(known) :]
        if len(rest):
            begin = time.perf_counter()
            evaluation = self.task.evaluate(rest)
            seconds = time.perf_counter() - begin
            self.evaluation_seconds += seconds
            first = self.samples
            self._keep(evaluation)
            if self.store is not None:
                self.store.append(evaluation, first, self._unlogged_seconds, seconds)
                self._unlogged_seconds = 0.0

    def _keep(self, evaluation: Evaluation) -> None:
        for row in evaluation.designs:
            self._number[row.tobytes()] = self.samples
            self.samples += 1
        self._log.append(evaluation)

    def trials(self) -> Evaluation:
        """Returns everything evaluated so far, in order of evaluation."""
        return self._log.take(range(self.samples))


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
