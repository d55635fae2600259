"""Runs of a loop of one's own: any method that evaluates designs, logged and budgeted as a run.

Whatever steps an environment, be it a library's or a plain `for`, becomes a run like any other:

    with archgym.open_run(task, "my-ppo", budget=500, seed=0, path="my-run") as run:
        env = DesignVectorEnv(16, task=run.task, evaluator=run.evaluator)
        ...                                                    # steps without end
    print(run.result.best)

An experiment names such agents with `external: true`, and `external_runs` lists their runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.agent import check_external
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.experiment import Experiment, load_experiment
from archgym.manifest import run_manifest
from archgym.run import SearchResult, finished
from archgym.store import TrialStore
from archgym.task import Evaluation, Task
from archgym.worker import build_task
from archgym.workspace import locked, pending_runs, write_plan

_NAME_LENGTH = 200


class _EndingEvaluator(Evaluator):
    """An evaluator that ends the loop of whoever does not ask whether it is exhausted."""

    def evaluate(self, designs: npt.ArrayLike, fidelity: str | None = None) -> Evaluation:
        """Evaluates designs as `Evaluator` does; raises BudgetExhausted once the run must end."""
        if self.exhausted:
            raise BudgetExhausted(f"the run has ended ({self.stop_reason})")
        return super().evaluate(designs, fidelity)


class OpenRun:
    """A run whose loop is the body of a `with` statement; see `open_run`.

    Attributes:
        task: what is searched.
        agent: name of the method.
        hyperparameters: of it.
        seed: of the run, for whatever the loop draws.
        evaluator: the door that counts and logs; hand it to the environments. Once the run must
            end, its `evaluate` raises `BudgetExhausted`, and so do their steps.
        result: of the run, after the `with` statement.
    """

    def __init__(
        self,
        task: Task,
        agent: str,
        hyperparameters: Mapping[str, Any],
        seed: int,
        evaluator: Evaluator,
    ) -> None:
        self.task = task
        self.agent = agent
        self.hyperparameters = dict(hyperparameters)
        self.seed = seed
        self.evaluator = evaluator
        self._result: SearchResult | None = None

    @property
    def result(self) -> SearchResult:
        """The finished run.

        Raises:
            ValueError: while it has not ended.
        """
        if self._result is None:
            raise ValueError(f"agent {self.agent!r}: the run of seed {self.seed} has not ended")
        return self._result

    def __enter__(self) -> OpenRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Completes the run; after any other error than `BudgetExhausted` it can be resumed."""
        if kind is not None and not issubclass(kind, BudgetExhausted):
            return False
        reason = self.evaluator.stop_reason
        settings = self.hyperparameters
        self._result = finished(
            self.agent,
            settings,
            self.seed,
            self.evaluator,
            "loop" if reason == "running" else reason,
        )
        return True


def open_run(
    task: Task,
    agent: str,
    *,
    budget: int,
    seed: int = 0,
    path: str | Path | None = None,
    max_repeats: int | None = None,
    max_proposals: int | None = None,
    stop_at_optimum: bool = False,
    hyperparameters: Mapping[str, Any] | None = None,
) -> OpenRun:
    """Opens a run for a loop of one's own, to be used in a `with` statement.

    Designs are charged and logged as in any other run. A run that was killed goes on when it is
    opened again: the loop starts anew with the same seed, and what is logged is answered without
    the cost model. This asks that the loop proposes the same designs again.

    Args:
        task: what is searched, from `make_task`.
        agent: name of the method, not that of a registered agent.
        budget: number of unique designs that may be evaluated.
        seed: of the run; it is recorded, the loop has to use it.
        path: folder that logs the run; None keeps it in memory.
        max_repeats: see `Evaluator`.
        max_proposals: see `Evaluator`.
        stop_at_optimum: see `Evaluator`.
        hyperparameters: of the method, plain data; they are recorded.

    Raises:
        ValueError: for a name that is taken or empty, hyperparameters that are no plain data, or a
            folder that holds a different or a complete run.
    """
    check_external(agent)
    if not 0 < len(agent) <= _NAME_LENGTH or not agent.isprintable():
        raise ValueError(f"agent: name {agent!r} is not a line of 1 to {_NAME_LENGTH} characters")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed: {seed!r} is not a whole number from 0")
    settings = _plain(hyperparameters or {})
    store = None
    if path is not None:
        limits = (budget, max_repeats, max_proposals, None, stop_at_optimum)
        manifest = run_manifest(task, agent, settings, int(seed), *limits) | {"external": True}
        store = TrialStore(Path(path), manifest)
        if store.complete:
            raise ValueError(f"{path}: this run is complete, read it with archgym.load_trials")
    evaluator = _EndingEvaluator(task, budget, store, max_repeats, max_proposals, stop_at_optimum)
    return OpenRun(task, agent, settings, int(seed), evaluator)


def external_runs(
    experiment: Experiment | str | Path, folder: str | Path | None = None
) -> Iterator[OpenRun]:
    """Opens the runs of an experiment's external agents, one after the other.

    Runs that are complete are passed over, so a script that was stopped goes on where it was. The
    runs of the other agents are left to `archgym run`, before or after. While this iterates, no
    other process can write to the folder.

    Args:
        experiment: an experiment, its file, or the name of a bundled one.
        folder: the results folder; `results/NAME` if left out.

    Yields:
        Each run, to be used in a `with` statement.

    Raises:
        ValueError: for an experiment that does not hold or has no external agent, or a folder that
            holds something else.
    """
    if not isinstance(experiment, Experiment):
        experiment = load_experiment(experiment)
    specs = experiment.runs()
    external = [spec for spec in specs if spec.external]
    if not external:
        raise ValueError(f"{experiment.name}: no agent is marked `external: true`")
    root = Path("results") / experiment.name if folder is None else Path(folder)
    with locked(root):
        pending = pending_runs(experiment, external, root, resume=True)
        write_plan(experiment, specs, root)
        for spec in pending:
            yield open_run(
                build_task(spec.task),
                spec.agent,
                budget=spec.budget,
                seed=spec.seed,
                path=root / spec.folder,
                max_repeats=spec.max_repeats,
                max_proposals=spec.max_proposals,
                stop_at_optimum=spec.stop_at_optimum,
                hyperparameters=spec.hyperparameters,
            )


def _plain(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns hyperparameters as a manifest holds them.

    Raises:
        ValueError: naming the first that is no plain data.
    """
    found = {}
    for name, value in hyperparameters.items():
        try:
            found[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            raise ValueError(
                f"hyperparameters: {name} is {value!r}, which is no plain data (numbers, texts, "
                f"lists and mappings of them)"
            ) from None
    return found
