"""Results of an experiment: its runs read from disk and summarised per task and agent."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym import yamlfile
from archgym.metric import BUDGET_FLOOR, FloatArray, Metric, Scorer
from archgym.optimum import Optimum, optimum_of_spec
from archgym.plan import RunSpec
from archgym.screening import budget_spent, load_screened
from archgym.space import DesignSpace, Parameter, Value
from archgym.statistics import Curve, Estimate, anytime, bootstrap
from archgym.store import load_times, load_trials, read_manifest
from archgym.task import objective_of
from archgym.workspace import read_plan

if TYPE_CHECKING:
    import polars

    RunFiles = tuple[dict[str, Any], polars.DataFrame, polars.DataFrame, FloatArray]
    """Manifest, trials, times and budget spent of a run."""


@dataclass(frozen=True)
class RunResult:
    """One run that has at least one trial.

    Attributes:
        spec: what was run.
        complete: whether it ran to its end.
        manifest: of its trial store.
        scores: in order of evaluation `(n,)`, `-inf` where infeasible.
        spent: samples spent when each trial was known `(n,)`, see `archgym.screening`.
        design: index row of the best design.
        metrics: of the best design.
        agent_seconds: spent by the search method.
        evaluation_seconds: spent in the cost model.
        objectives: of every trial `(n, m)`, for Pareto objectives, else None.
    """

    spec: RunSpec
    complete: bool
    manifest: Mapping[str, Any]
    scores: FloatArray
    spent: FloatArray
    design: tuple[int, ...]
    metrics: Mapping[str, float]
    agent_seconds: float
    evaluation_seconds: float
    objectives: FloatArray | None = None

    @property
    def best(self) -> float:
        """Score of the best design."""
        return float(self.scores.max())

    @property
    def samples_per_second(self) -> float:
        """Samples per second of search and evaluation together."""
        seconds = self.agent_seconds + self.evaluation_seconds
        return float(self.spent[-1]) / seconds if seconds > 0 else math.nan


@dataclass(frozen=True)
class AgentSummary:
    """How one agent did on one task, over seeds.

    Complete runs are summarised; while there are none, the partial ones are.

    Attributes:
        label: the agent's name in tables.
        agent: the agent's name.
        hyperparameters: of the agent, defaults included.
        planned: number of runs of the experiment.
        complete: number of complete ones.
        partial: number of runs that have begun and not ended.
        runs: the runs that are summarised.
        optimum: of the task, None where it is not known.
    """

    label: str
    agent: str
    hyperparameters: Mapping[str, Any]
    planned: int
    complete: int
    partial: int
    runs: tuple[RunResult, ...]
    optimum: Optimum | None = None

    @property
    def state(self) -> str:
        """Empty if every run is complete, else what is there."""
        if self.complete == self.planned:
            return ""
        text = f"{self.complete} of {self.planned} runs"
        return f"{text}, {self.partial} partial" if self.partial else text

    @functools.cached_property
    def score(self) -> Estimate | None:
        """Median over seeds of the best score, with its interval; None without any trial."""
        return bootstrap([run.best for run in self.runs]) if self.runs else None

    @property
    def regret(self) -> Estimate | None:
        """Normalised regret of the median best score, with its interval."""
        if self.optimum is None or self.score is None:
            return None
        score = self.score
        value, low, high = map(self.optimum.regret, (score.value, score.high, score.low))
        return Estimate(value, low, high)

    @functools.cached_property
    def hypervolume_regret(self) -> Estimate | None:
        """Median over seeds of the share of the true front's hypervolume that is not dominated."""
        front = None if self.optimum is None else self.optimum.front
        found = [run.objectives for run in self.runs if run.objectives is not None]
        return bootstrap([front.regret(points) for points in found]) if front and found else None

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """Median over seeds of each metric of the best design."""
        if not self.runs:
            return {}
        return {
            name: float(np.median([run.metrics[name] for run in self.runs]))
            for name in self.runs[0].metrics
        }

    @property
    def times_better(self) -> float | None:
        """By what factor the default design is beaten; None where a budget is missed.

        The factor of the objective's metric, of the product of its metrics, or of their geometric
        mean for a Pareto objective.
        """
        if self.score is None or self.score.value <= BUDGET_FLOOR + 1:
            return None
        return math.exp(self.score.value)

    def median_of(self, quantity: str) -> float:
        """Returns the median over seeds of a numeric attribute of the runs."""
        return float(np.median([getattr(run, quantity) for run in self.runs] or [math.nan]))

    @functools.cached_property
    def curve(self) -> Curve | None:
        """Best score so far against samples; None without any trial."""
        if not self.runs:
            return None
        return anytime([run.scores for run in self.runs], [run.spent for run in self.runs])

    def to_dict(self) -> dict[str, Any]:
        """Returns the summary as JSON-ready data."""
        score = self.score
        return {
            "agent": self.label,
            "method": self.agent,
            "hyperparameters": dict(self.hyperparameters),
            "runs": {"planned": self.planned, "complete": self.complete, "partial": self.partial},
            "best_score": {
                "median": finite(score.value),
                "low": finite(score.low),
                "high": finite(score.high),
                "by_seed": {str(run.spec.seed): finite(run.best) for run in self.runs},
            }
            if score
            else None,
            "regret": _plain(self.regret),
            "hypervolume_regret": _plain(self.hypervolume_regret),
            "times_better_than_default": self.times_better,
            "metrics": {name: finite(value) for name, value in self.metrics.items()},
            "samples_per_second": finite(self.median_of("samples_per_second")),
            "agent_seconds": finite(self.median_of("agent_seconds")),
            "evaluation_seconds": finite(self.median_of("evaluation_seconds")),
        }


@dataclass(frozen=True)
class TaskResults:
    """All agents on one task, the best first.

    Attributes:
        name: the task's readable name.
        agents: one summary per agent label.
        best: the run with the best design of all, None without any trial.
        optimum: the best that the task allows, None where it is not known.
    """

    name: str
    agents: tuple[AgentSummary, ...]
    best: RunResult | None
    optimum: Optimum | None = None

    @functools.cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Manifest of one of the runs, for what they share."""
        return self.best.manifest if self.best else {}

    @property
    def counted(self) -> list[str]:
        """Names of the objective's metrics, those with a budget last."""
        return counted_metrics(self.manifest) if self.best else []

    @property
    def metrics(self) -> list[dict[str, str]]:
        """Declarations of the metrics, those of the objective first."""
        declared = {metric["name"]: metric for metric in self.manifest.get("metrics", ())}
        return [declared[name] for name in dict.fromkeys([*self.counted, *declared])]

    @property
    def shown_metrics(self) -> list[str]:
        """Metrics for a narrow table: those of the objective, then one per further unit."""
        return shown_metrics(self.manifest) if self.best else []

    @functools.cached_property
    def space(self) -> DesignSpace:
        """The parameters of the task, without its constraints."""
        return DesignSpace([Parameter.parse(each) for each in self.manifest["parameters"]])

    def design(self, row: Sequence[int]) -> dict[str, Value | None]:
        """Returns the values of an index row, None for parameters that have no effect in it."""
        array = np.array([row], np.int64)
        active = self.space.active(array)[0]
        values = self.space.decode(array[0])
        return {
            name: value if on else None
            for (name, value), on in zip(values.items(), active, strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the results as JSON-ready data."""
        best = None
        if self.best is not None:
            best = {
                "agent": self.best.spec.label,
                "seed": self.best.spec.seed,
                "score": finite(self.best.best),
                "design": self.design(self.best.design),
                "metrics": {name: finite(value) for name, value in self.best.metrics.items()},
            }
        return {
            "task": self.name,
            "agents": [summary.to_dict() for summary in self.agents],
            "best": best,
            "optimum": None if self.optimum is None else self.optimum.describe(),
            "default": {
                "design": self.design(self.manifest["default"]),
                "metrics": self.manifest["reference"],
            }
            if self.best
            else None,
        }


@dataclass(frozen=True)
class ExperimentResults:
    """All results of a results folder.

    Attributes:
        folder: the results folder.
        experiment: the experiment file's content.
        tasks: in the order of the experiment.
    """

    folder: Path
    experiment: Mapping[str, Any]
    tasks: tuple[TaskResults, ...]

    @property
    def planned(self) -> int:
        """Number of runs of the experiment."""
        return sum(agent.planned for task in self.tasks for agent in task.agents)

    @property
    def complete(self) -> int:
        """Number of complete runs."""
        return sum(agent.complete for task in self.tasks for agent in task.agents)

    def to_dict(self) -> dict[str, Any]:
        """Returns the results as JSON-ready data."""
        return {
            "name": self.experiment["name"],
            "runs": {"planned": self.planned, "complete": self.complete},
            "tasks": [task.to_dict() for task in self.tasks],
        }


def counted_metrics(manifest: Mapping[str, Any]) -> list[str]:
    """Returns the names of the metrics of a run's objective, those with a budget last."""
    objective = manifest["task"]["objective"]
    budgets = [budget["metric"] for budget in objective["budgets"]]
    return list(dict.fromkeys([*objective["metrics"], *budgets]))


def shown_metrics(manifest: Mapping[str, Any]) -> list[str]:
    """Returns metrics for a narrow table: those of the objective, then one per further unit."""
    shown = counted_metrics(manifest)
    units = {metric["unit"] for metric in manifest["metrics"] if metric["name"] in shown}
    for metric in manifest["metrics"]:
        if metric["direction"] != "none" and metric["unit"] not in units and len(shown) < 3:
            shown.append(metric["name"])
            units.add(metric["unit"])
    return shown


def finite(value: float) -> float | None:
    """Returns the value, None where JSON has no number for it."""
    return value if math.isfinite(value) else None


def _plain(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    ends = {"low": finite(estimate.low), "high": finite(estimate.high)}
    return {"median": finite(estimate.value), **ends}


def trial_objectives(manifest: Mapping[str, Any], trials: polars.DataFrame) -> FloatArray | None:
    """Returns the objectives of every trial `(n, m)`, None where there is only one goal."""
    if not manifest["task"]["objective"]["pareto"]:
        return None
    names = [metric["name"] for metric in manifest["metrics"]]
    values = {name: trials[name].to_numpy().astype(np.float64) for name in names}
    feasible = trials["feasible"].to_numpy()
    return np.where(feasible[:, None], scorer_of(manifest).components(values), -np.inf)


def scorer_of(manifest: Mapping[str, Any]) -> Scorer:
    """Returns what scores the metrics of a run's task."""
    metrics = tuple(Metric(**metric) for metric in manifest["metrics"])
    return Scorer(objective_of(manifest["task"]["objective"]), metrics, manifest["reference"])


def run_columns(manifest: Mapping[str, Any]) -> list[str]:
    """Returns the columns of a run's trials that results are made of: no violations, no parts."""
    metrics = [metric["name"] for metric in manifest["metrics"]]
    return ["sample", "design", "score", "feasible", *metrics]


def load_run(root: Path, spec: RunSpec) -> RunFiles | None:
    """Reads manifest, trials, times and budget spent of a run; None if it has no trial yet.

    The run may not have ended. The budget is that of `archgym.screening.budget_spent`.

    Of finished runs only `run_columns` are read.

    Raises:
        ValueError: for files that cannot be read.
    """
    import polars

    folder = root / spec.folder
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    try:
        trials = load_trials(folder, run_columns(manifest))
        times = load_times(folder)
        spent = budget_spent(len(trials), load_screened(folder))
    except (OSError, polars.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{folder}: the trials cannot be read ({reason})") from None
    return (manifest, trials, times, spent) if len(trials) else None


def read_run(root: Path, spec: RunSpec) -> RunResult | None:
    """Reads one run of a results folder, finished or not; None if it has no trial yet.

    Raises:
        ValueError: for files that cannot be read.
    """
    read = load_run(root, spec)
    if read is None:
        return None
    manifest, trials, times, spent = read
    scores = trials["score"].to_numpy().astype(np.float64)
    row = trials.row(int(np.argmax(scores)), named=True)
    names = [metric["name"] for metric in manifest["metrics"]]
    seconds = [
        float(times[name].sum()) if name in times.columns else 0.0
        for name in ("agent_seconds", "evaluation_seconds")
    ]
    return RunResult(
        spec=spec,
        complete=manifest["status"] == "complete",
        manifest=manifest,
        scores=scores,
        spent=spent[:-1],
        design=tuple(row["design"]),
        metrics={name: math.nan if row[name] is None else row[name] for name in names},
        agent_seconds=seconds[0],
        evaluation_seconds=seconds[1],
        objectives=trial_objectives(manifest, trials),
    )


def _summary(
    specs: Sequence[RunSpec], runs: Sequence[RunResult], optimum: Optimum | None
) -> AgentSummary:
    complete = tuple(run for run in runs if run.complete)
    return AgentSummary(
        label=specs[0].label,
        agent=specs[0].agent,
        hyperparameters=specs[0].hyperparameters,
        planned=len(specs),
        complete=len(complete),
        partial=len(runs) - len(complete),
        runs=complete or tuple(runs),
        optimum=optimum,
    )


def _rank(summary: AgentSummary) -> tuple[float, float]:
    """Sorts by the median, among equals by the lower end of the interval, best first."""
    score = summary.score
    return (-score.value, -score.low) if score else (math.inf, math.inf)


def _task_results(root: Path, name: str, specs: Sequence[RunSpec]) -> TaskResults:
    by_label: dict[str, list[RunSpec]] = {}
    for spec in specs:
        by_label.setdefault(spec.label, []).append(spec)
    groups = [
        (group, [run for run in (read_run(root, spec) for spec in group) if run is not None])
        for group in by_label.values()
    ]
    read = [run for _, runs in groups for run in runs]
    best = max(read, key=lambda run: run.best, default=None)
    manifest = best.manifest if best else None
    optimum = optimum_of_spec(manifest["task"], manifest["reference"]) if manifest else None
    summaries = sorted((_summary(*group, optimum) for group in groups), key=_rank)
    return TaskResults(name, tuple(summaries), best, optimum)


def load_results(folder: str | Path) -> ExperimentResults:
    """Reads a results folder, finished or not.

    Raises:
        ValueError: if the folder holds no results, or files that cannot be read.
    """
    root = Path(folder)
    specs = read_plan(root)
    by_task: dict[str, list[RunSpec]] = {}
    for spec in specs:
        by_task.setdefault(spec.task_name, []).append(spec)
    experiment = yamlfile.read(root / "experiment.yaml")
    tasks = [_task_results(root, name, group) for name, group in by_task.items()]
    return ExperimentResults(root, experiment, tuple(tasks))
