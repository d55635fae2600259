"""One run: an agent searches a task within a budget."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym.agent import check_fidelities, check_goals, check_installed, find_agent
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.hyperparameters import resolve
from archgym.manifest import now, run_manifest
from archgym.metric import FloatArray
from archgym.screening import budget_spent, screened_frame
from archgym.space import Value
from archgym.store import TrialStore, trials_frame
from archgym.task import Evaluation, Task
from archgym.warm import check_can_be_told, load_warm_start

if TYPE_CHECKING:
    import polars

    from archgym.dataset import Dataset


@dataclass(frozen=True)
class Trial:
    """One evaluated design of a run.

    Attributes:
        sample: its number in the run, from 1.
        seed: the run's seed.
        indices: its index row.
        design: `{parameter: value}`.
        metrics: `{metric: value}`, NaN where it was not simulated.
        score: its score, `-inf` if infeasible.
        feasible: whether it breaks no rule.
        violations: the rules it breaks.
    """

    sample: int
    seed: int
    indices: tuple[int, ...]
    design: dict[str, Value]
    metrics: dict[str, float]
    score: float
    feasible: bool
    violations: tuple[str, ...]


@dataclass(frozen=True)
class SearchResult:
    """A finished run.

    Attributes:
        task: what was searched.
        agent: the agent's name.
        hyperparameters: all of them, defaults included.
        seed: the run's seed.
        evaluation: every unique design in order of evaluation.
        spent: budget spent when each of the `n` designs was known, and at the end, in samples
            `(n + 1,)`; without cheaper fidelities 1 to n, and n.
        screened: what was evaluated at cheaper fidelities, None for nothing; see
            `archgym.screening.screened_frame`.
        proposals: number of designs proposed, repeats included.
        agent_seconds: time spent by the search method.
        evaluation_seconds: time spent in the cost model.
        stop_reason: `optimum`, `budget`, `repeats` if nothing new was proposed for too long, or
            `proposals`.
    """

    task: Task
    agent: str
    hyperparameters: dict[str, Any]
    seed: int
    evaluation: Evaluation
    spent: FloatArray
    screened: polars.DataFrame | None
    proposals: int
    agent_seconds: float
    evaluation_seconds: float
    stop_reason: str

    def trial(self, sample: int) -> Trial:
        """Returns trial number `sample`, counted from 1."""
        if not 1 <= sample <= len(self.evaluation):
            raise ValueError(f"sample: {sample} is outside 1..{len(self.evaluation)}")
        i = sample - 1
        row = self.evaluation.designs[i]
        return Trial(
            sample=sample,
            seed=self.seed,
            indices=tuple(row.tolist()),
            design=self.task.space.decode(row),
            metrics={name: float(v[i]) for name, v in self.evaluation.metrics.items()},
            score=float(self.evaluation.score[i]),
            feasible=bool(self.evaluation.feasible[i]),
            violations=self.evaluation.violated(i),
        )

    @functools.cached_property
    def best(self) -> Trial:
        """The trial with the highest score, the earliest of equals."""
        return self.trial(int(np.argmax(self.evaluation.score)) + 1)

    @property
    def regret(self) -> float | None:
        """Normalised regret of the best design, None where the optimum is not known."""
        optimum = self.task.optimum
        return None if optimum is None else optimum.regret(self.best.score)

    @functools.cached_property
    def trials(self) -> polars.DataFrame:
        """Every trial as a table with one column per parameter value and per metric."""
        import polars

        columns = self.task.space.columns(self.evaluation.designs)
        design = polars.DataFrame({name: values.tolist() for name, values in columns.items()})
        frame = trials_frame(self.evaluation)
        return frame.select("sample").hstack(design).hstack(frame.drop("sample", "design"))


def search(
    task: Task,
    agent: str = "random",
    *,
    budget: int = 1_000,
    seed: int = 0,
    path: str | Path | None = None,
    max_repeats: int | None = None,
    max_proposals: int | None = None,
    stop_at_optimum: bool = False,
    warm_start: Dataset | str | Path | None = None,
    **hyperparameters: Any,
) -> SearchResult:
    """Searches a task with an agent.

    Args:
        task: what to search, from `make_task`.
        agent: the agent's name.
        budget: number of unique designs to evaluate.
        seed: seed of the run's only random generator.
        path: folder that logs the run and lets a killed one resume; None keeps it in memory.
        max_repeats: see `Evaluator`.
        max_proposals: see `Evaluator`.
        stop_at_optimum: see `Evaluator`.
        warm_start: a dataset, or its folder, whose trials of this problem the agent is told of
            before it searches; they cost no budget and are no trials of the run.
        **hyperparameters: of the agent; the rest keep their defaults.

    Returns:
        The finished run.

    Raises:
        ValueError: for bad names or values, an agent of one goal on a task with several, an agent
            that asks for a fidelity which the task does not have or spends the whole budget on
            cheaper ones, a folder that holds a different run, or a warm start of an agent that
            cannot be told, or with a dataset that does not know the task.
    """
    method = find_agent(agent)
    settings = resolve(agent, method, hyperparameters)
    check_installed(agent, method, settings)
    check_goals(agent, method, task.objective, task.name)
    check_fidelities(agent, method, settings, task.fidelities, task.name)
    warm = None
    if warm_start is not None:
        check_can_be_told(agent, method)
        warm = load_warm_start(warm_start, task)
    store = None
    if path is not None:
        manifest = run_manifest(
            task,
            agent,
            settings,
            seed,
            budget,
            max_repeats,
            max_proposals,
            warm.describe() if warm else None,
            stop_at_optimum,
        )
        store = TrialStore(Path(path), manifest)
        if store.complete:
            raise ValueError(f"{path}: this run is complete, read it with archgym.load_trials")
    evaluator = Evaluator(task, budget, store, max_repeats, max_proposals, stop_at_optimum)
    with contextlib.suppress(BudgetExhausted):
        searcher = method(task.space, seed=np.random.default_rng(seed), **settings)
        if warm is not None:
            searcher.tell(warm.evaluation.designs, warm.evaluation)
        searcher.search(evaluator)
    return finished(agent, settings, seed, evaluator)


def finished(
    agent: str,
    hyperparameters: dict[str, Any],
    seed: int,
    evaluator: Evaluator,
    stop_reason: str | None = None,
) -> SearchResult:
    """Returns an ended search as a result, and completes the folder that it was logged in.

    Args:
        agent: the agent's name.
        hyperparameters: all of them.
        seed: the run's seed.
        evaluator: what was evaluated through.
        stop_reason: why it has ended, what the evaluator says if left out.

    Raises:
        ValueError: if nothing was evaluated at the task's own fidelity.
    """
    trials, task, store = evaluator.trials(), evaluator.task, evaluator.store
    if len(trials) == 0:
        raise ValueError(
            f"agent {agent!r}: spent {evaluator.spent:.9g} of a budget of {evaluator.budget} "
            f"without a design at the task's own fidelity {task.fidelities[-1].name!r}"
        )
    screened = screened_frame(evaluator.cheaper())
    result = SearchResult(
        task=task,
        agent=agent,
        hyperparameters=hyperparameters,
        seed=seed,
        evaluation=trials,
        spent=budget_spent(len(trials), screened),
        screened=screened,
        proposals=evaluator.proposals,
        agent_seconds=evaluator.agent_seconds,
        evaluation_seconds=evaluator.evaluation_seconds,
        stop_reason=stop_reason or evaluator.stop_reason,
    )
    if store is not None:
        summary = {
            "finished": now(),
            "samples": len(result.evaluation),
            "proposals": result.proposals,
        }
        if screened is not None:
            summary["spent"] = float(result.spent[-1])
        store.finish(result.evaluation, result.stop_reason, summary, screened)
    return result
