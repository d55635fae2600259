"""One task of a leaderboard: its runs, summarised per agent as data for a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archgym.best_designs import SHOWN, best_of, changes, describe, front_of, importance
from archgym.comparison import Hits
from archgym.landscape import measure
from archgym.metric import BUDGET_FLOOR, FloatArray
from archgym.optimum import Front, Optimum, optimum_of_spec
from archgym.pareto import front, hypervolume, hypervolume_over_time
from archgym.results import shown_metrics
from archgym.run_summary import RunSummary
from archgym.statistics import Estimate, bootstrap, known_after, log_grid, quantile
from archgym.tables import optimum_text
from archgym.task import objective_of

WITHIN = (1, 5, 10)
"""Percentages of the optimum's metric that count as targets."""
GOALS = ("one", "several")
"""Kinds of tasks that are ranked apart."""
_POINTS = 40
_FRONT_POINTS = 200


@dataclass(frozen=True)
class Entry:
    """The runs of one agent on one task.

    Attributes:
        label: of the agent.
        agent: its name.
        hyperparameters: of it, defaults included.
        planned: number of runs.
        complete: number of complete ones.
        partial: number of those that have begun and not ended.
        runs: that are summarised: the complete ones, while there are none the partial ones.
    """

    label: str
    agent: str
    hyperparameters: Mapping[str, Any]
    planned: int
    complete: int
    partial: int
    runs: tuple[RunSummary, ...]


@dataclass(frozen=True)
class TaskBoard:
    """A task with everything that a leaderboard says about it.

    Attributes:
        name: readable, unique on the leaderboard.
        env: id of the environment.
        goals: `one`, or `several` for Pareto objectives.
        budget: samples per run.
        entries: one per agent, without their runs.
        regrets: per label, the regret of every run `(runs,)`.
        samples: spent per label.
        data: JSON-ready, for the page.
    """

    name: str
    env: str
    goals: str
    budget: int
    entries: tuple[Entry, ...]
    regrets: Mapping[str, FloatArray]
    samples: Mapping[str, float]
    data: Mapping[str, Any]


def short(value: float | None) -> float | None:
    """Returns a number with five digits, None where JSON has none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def shorts(values: Any) -> list[float | None]:
    """Returns `short` of every value."""
    return [short(value) for value in np.asarray(values, np.float64).tolist()]


def estimate_data(estimate: Estimate) -> list[float | None]:
    """Returns value, low and high end."""
    return shorts([estimate.value, estimate.low, estimate.high])


def summarise(name: str, entries: Sequence[Entry], evaluate: bool = True) -> TaskBoard:
    """Summarises one task.

    Args:
        name: shown for it.
        entries: one per agent; all runs are of one design space and cost model.
        evaluate: whether the cost model is asked what makes the best design good.
    """
    runs = [run for entry in entries for run in entry.runs]
    optimum: Optimum | None = None
    data: dict[str, Any] = {"name": name}
    regrets: dict[str, FloatArray] = {}
    spec = next(iter(runs)).manifest["task"] if runs else {}
    if runs:
        known = optimum_of_spec(spec, runs[0].manifest["reference"])
        optimum = known or _found(runs)
        for entry in entries:
            if entry.runs:
                regrets[entry.label] = np.array([regret_of(run, optimum) for run in entry.runs])
        data |= _task_data(entries, runs, optimum, known is not None, evaluate)
    data["agents"] = [_agent_data(entry, regrets.get(entry.label), optimum) for entry in entries]
    return TaskBoard(
        name=name,
        env=str(spec.get("env", name.split(" ")[0])),
        goals=GOALS[bool(data.get("pareto"))],
        budget=int(runs[0].spec.budget) if runs else 0,
        entries=tuple(Entry(**{**vars(entry), "runs": ()}) for entry in entries),
        regrets=regrets,
        samples={entry.label: sum(run.progress.spent for run in entry.runs) for entry in entries},
        data=data,
    )


def _random_runs(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Returns the runs whose designs are drawn uniformly, all runs if there are none."""
    return [run for run in runs if run.spec.agent == "random"] or list(runs)


def _found(runs: Sequence[RunSummary]) -> Optimum:
    """Returns the best of some runs, for tasks whose optimum is not known."""
    best = max(run.progress.best for run in runs)
    drawn = np.concatenate([run.scores for run in _random_runs(runs)])
    found = None
    points = [run.objectives for run in runs if run.objectives is not None]
    if points:
        together = np.concatenate(points)
        together = together[front(together)]
        usual = np.concatenate(
            [r.objectives for r in _random_runs(runs) if r.objectives is not None]
        )
        usual = usual[np.isfinite(usual).all(axis=1)]
        if len(usual):
            reference = np.median(usual, axis=0)
            if not (together > reference).all(axis=1).any():
                reference = together.min(axis=0)
            found = Front((), (), together, reference, hypervolume(together, reference))
    return Optimum(
        score=best,
        design={},
        metrics={},
        count=1,
        kind="best-known",
        source="the best of these results",
        median_random_score=float(np.median(drawn)) if len(drawn) else -math.inf,
        front=found,
    )


def regret_of(run: RunSummary, optimum: Optimum) -> float:
    """Returns the regret of a run: of the hypervolume for Pareto objectives, else of the score."""
    if run.objectives is not None and optimum.front is not None:
        return optimum.front.regret(run.objectives)
    best = run.progress.best
    return optimum.regret(best) if math.isfinite(best) else math.inf


def _task_data(
    entries: Sequence[Entry],
    runs: Sequence[RunSummary],
    optimum: Optimum,
    known: bool,
    evaluate: bool,
) -> dict[str, Any]:
    manifest = runs[0].manifest
    objective = objective_of(manifest["task"]["objective"])
    best = best_of(runs)
    most = math.ceil(max(run.progress.spent for run in runs) - 1e-6)
    return {
        "env": manifest["task"]["env"],
        "workload": str(manifest["task"].get("workload", "")),
        "budget": runs[0].spec.budget,
        "objective": objective.doc or objective.name,
        "measure": measure(objective),
        "pareto": objective.pareto,
        "shown": shown_metrics(manifest),
        "optimum": {
            "score": short(optimum.score),
            "random": short(optimum.median_random_score),
            "known": known,
            "kind": optimum.kind if known else "best-found",
            "bound": short(optimum.bound),
            "text": optimum_text(optimum),
        },
        "samples": (grid := log_grid(most, _POINTS)).tolist(),
        "curves": [_curve(entry, grid.astype(np.float64), "samples") for entry in entries],
        "seconds": shorts(seconds := _seconds_grid(runs)),
        "time_curves": [_curve(entry, seconds, "seconds") for entry in entries],
        "targets": _targets(entries, optimum, grid),
        "designs": describe(
            best, front_of(best, manifest) if objective.pareto else best[:SHOWN], manifest
        ),
        "changes": changes(best, manifest)
        if evaluate
        else {"reason": "`archgym leaderboard` does it"},
        "importance": importance(_random_runs(runs)),
        "importance_basis": "the designs of `random`"
        if _random_runs(runs)[0].spec.agent == "random"
        else "the designs of all agents, which crowd where scores are high",
        "front": _front_data(entries, runs, optimum, known, grid) if optimum.front else None,
    }


def _seconds_grid(runs: Sequence[RunSummary]) -> FloatArray:
    """Returns times from the first improvement to the longest run, equally far apart in logs."""
    first = [run.progress.seconds[0] for run in runs if len(run.progress.seconds)]
    stop = max(run.progress.duration for run in runs)
    start = max(min(first, default=stop), 1e-4 * stop)
    if not 0 < start < stop:
        return np.array([stop])
    grid = np.geomspace(start, stop, _POINTS)
    grid[-1] = stop
    return grid


def _curve(entry: Entry, grid: FloatArray, by: str) -> list[list[float | None]] | None:
    """Returns quartiles over runs of the best score so far."""
    if not entry.runs:
        return None
    table = np.stack([getattr(run.progress, f"after_{by}")(grid) for run in entry.runs], axis=-1)
    return [shorts(quantile(table, q)) for q in (0.25, 0.5, 0.75)]


def _targets(entries: Sequence[Entry], optimum: Optimum, grid: Any) -> list[dict[str, Any]]:
    """Returns per target the ECDF of samples and the expected running time of every agent."""
    told = []
    for percent in WITHIN:
        # Scores are logarithms of ratios of metrics.
        score = optimum.score - math.log1p(percent / 100.0)
        hits = [
            Hits(
                np.array([run.progress.reached(score) for run in entry.runs]),
                np.array([float(run.progress.spent) for run in entry.runs]),
            )
            if entry.runs
            else None
            for entry in entries
        ]
        told.append(
            {
                "percent": percent,
                "ecdf": [each and shorts(each.ecdf(grid)) for each in hits],
                "expected": [each and short(each.expected_running_time) for each in hits],
                "reached": [each and int(np.isfinite(each.reached).sum()) for each in hits],
            }
        )
    return told


def _front_data(
    entries: Sequence[Entry], runs: Sequence[RunSummary], optimum: Optimum, known: bool, grid: Any
) -> dict[str, Any]:
    """Returns the fronts and the hypervolume over time of a task with several goals."""
    assert optimum.front is not None
    reference = optimum.front.reference
    curves: list[Any] = []
    fronts: list[Any] = []
    for entry in entries:
        points_of = [(r.objectives, r.spent) for r in entry.runs if r.objectives is not None]
        if not points_of:
            curves.append(None)
            fronts.append(None)
            continue
        volumes = [
            hypervolume_over_time(each, reference, known_after(spent, grid))
            for each, spent in points_of
        ]
        table = np.stack(volumes, axis=-1)
        curves.append([shorts(quantile(table, q)) for q in (0.25, 0.5, 0.75)])
        points = np.concatenate([each for each, _ in points_of])
        points = points[front(points)][:_FRONT_POINTS]
        fronts.append([shorts(point) for point in points])
    return {
        "metrics": list(runs[0].manifest["task"]["objective"]["metrics"]),
        "reference": shorts(reference),
        "hypervolume": short(optimum.front.hypervolume),
        "known": known,
        "best": [shorts(point) for point in optimum.front.objectives[:_FRONT_POINTS]],
        "fronts": fronts,
        "curves": curves,
    }


def _agent_data(
    entry: Entry, regrets: FloatArray | None, optimum: Optimum | None
) -> dict[str, Any]:
    runs = entry.runs
    told: dict[str, Any] = {
        "label": entry.label,
        "planned": entry.planned,
        "complete": entry.complete,
        "partial": entry.partial,
    }
    if regrets is None or optimum is None:
        return told
    score = bootstrap([run.progress.best for run in runs])
    counts = [run.progress.spent for run in runs]
    seconds = [run.progress.duration for run in runs]
    spent = sum(seconds)
    best = [run.designs[0] for run in runs if run.designs]
    beaten = math.isfinite(score.value) and score.value > BUDGET_FLOOR + 1
    return told | {
        "seeds": sorted(run.spec.seed for run in runs),
        "samples": [round(end, 3) for end in (min(counts), max(counts))],
        "score": estimate_data(score),
        "regret": estimate_data(_regret(score, regrets, optimum)),
        "regrets": shorts(np.sort(regrets)),
        "factor": short(math.exp(score.value)) if beaten else None,
        "metrics": {
            name: short(float(np.median([design.metrics[name] for design in best])))
            for name in (best[0].metrics if best else ())
        },
        "seconds": short(float(np.median(seconds))),
        "evaluation_seconds": short(float(np.median([run.evaluation_seconds for run in runs]))),
        "speed": short(sum(counts) / spent) if spent > 0 else None,
    }


def _regret(score: Estimate, regrets: FloatArray, optimum: Optimum) -> Estimate:
    """Returns the median regret; of one goal it falls with the score, so its interval is known."""
    if optimum.front is not None:
        return bootstrap(regrets)
    ends = (score.value, score.high, score.low)
    value, low, high = (optimum.regret(end) if math.isfinite(end) else math.inf for end in ends)
    return Estimate(value, low, high)
