"""Searches long for the best designs of tasks that no table answers, and keeps what is found.

Usage: python tools/best_known.py [--results DIR] [--workers N] [--experiment NAME]
                                  [--set KEY=VALUE] [--no-run] [--output DIR]

Runs an experiment (by default `best-known`; a stopped one is resumed), judges all designs that any
run met on a workload by every objective of it, moves the best ones to a neighbour for as long as
one is better, and writes `envs/best_known/SPACE-WORKLOAD.yaml`. Designs that are in these files
already are judged again, so that nothing better is lost and a changed cost model is followed; a
task without runs keeps its entry. `--no-run` only writes, from what there is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import archgym
from archgym import yamlfile
from archgym.best_known import counted, identity
from archgym.envs.dram_controller import BEST_KNOWN
from archgym.experiment import load_experiment
from archgym.metric import BUDGET_FLOOR, floored
from archgym.optimum import active_values
from archgym.results import RunResult, TaskResults, load_results
from archgym.runner import run_experiment
from archgym.store import load_trials
from archgym.task import Evaluation, Task, format_design
from archgym.workspace import read_plan

RANDOM_DESIGNS = 2_000
CLIMBS = 3
"""Designs of a pool that are moved to their neighbours."""
HEAD = """\
# The best designs known for this workload, by objective; written by tools/best_known.py.
# bounds: what no design can beat, metric by metric, without queues and conflicts; bound: the score
# that they would give together. random: median score of a random feasible design.
"""


def climb(task: Task, row: np.ndarray) -> tuple[np.ndarray, int]:
    """Moves a design to its best neighbour until none is better; also returns how many it tried."""
    score, tried = task.evaluate(row[None]).score[0], 0
    while True:
        near = task.space.neighbours(row)
        found = task.evaluate(near)
        tried += len(near)
        best = int(np.argmax(found.score))
        if found.score[best] <= score:
            return row, tried
        row, score = found.designs[best], found.score[best]


def bound_of(task: Task, limits: Mapping[str, float]) -> float | None:
    """Returns the score of an ideal design that meets every bound at once, None without bounds."""
    if not set(task.objective.metrics) <= set(limits):
        return None
    ideal = {name: np.array([limits[name]]) for name in task.objective.metrics}
    score = task.scorer.components(ideal).sum(axis=1)
    return float((floored(score, BUDGET_FLOOR) if task.objective.budgets else score)[0])


def median_random(task: Task, drawn: Evaluation) -> float:
    """Returns the median score of random feasible designs."""
    feasible = drawn.feasible
    metrics = {name: values[feasible] for name, values in drawn.metrics.items()}
    return float(np.median(task.scorer.score(metrics, np.ones(feasible.sum(), np.bool_))))


@dataclass(frozen=True)
class Pool:
    """What the runs on one workload evaluated, whatever they were looking for.

    Attributes:
        runs: they.
        run: position of the run that each design is from, `(n,)`.
        sample: its number in that run, `(n,)`.
        designs: index rows `(n, d)`.
        feasible: `(n,)`.
        metrics: `{name: (n,)}`.
    """

    runs: tuple[RunResult, ...]
    run: np.ndarray
    sample: np.ndarray
    designs: np.ndarray
    feasible: np.ndarray
    metrics: dict[str, np.ndarray]

    @classmethod
    def of(cls, results: Path, group: Sequence[TaskResults], names: Sequence[str]) -> Pool:
        """Reads all trials of the runs on a workload."""
        import polars

        runs = tuple(run for task in group for agent in task.agents for run in agent.runs)
        columns = ["sample", "design", "feasible", *names]
        frames = [load_trials(results / run.spec.folder, columns) for run in runs]
        trials = polars.concat([frame.select(columns) for frame in frames])
        return cls(
            runs=runs,
            run=np.repeat(np.arange(len(runs)), [len(frame) for frame in frames]),
            sample=trials["sample"].to_numpy(),
            designs=trials["design"].to_numpy(),
            feasible=trials["feasible"].to_numpy(),
            metrics={name: trials[name].to_numpy() for name in names},
        )

    def best(self, task: Task, count: int) -> np.ndarray:
        """Returns positions of the best different designs for a task, the best first."""
        usable = self.feasible & ~task.unusable(self.metrics)
        scores = task.scorer.score(self.metrics, usable)
        order = np.argsort(-scores, kind="stable")[: 100 * count]
        _, first = np.unique(self.designs[order], axis=0, return_index=True)
        kept = order[np.sort(first)[:count]]
        return kept[np.isfinite(scores[kept])]


def candidate(pool: Pool, task: Task) -> tuple[np.ndarray, str] | None:
    """Returns the best design of all runs on a workload, improved, and how it was found."""
    climbed = [(*climb(task, pool.designs[at]), at) for at in pool.best(task, CLIMBS)]
    if not climbed:
        return None
    scores = task.evaluate(np.stack([row for row, _, _ in climbed])).score
    row, _, at = climbed[int(np.argmax(scores))]
    run, tried = pool.runs[pool.run[at]], sum(tried for _, tried, _ in climbed)
    agents = ", ".join(sorted({each.spec.agent for each in pool.runs}))
    objective = run.manifest["task"]["objective"]["name"]
    return row, (
        f"{len(pool.designs):,} designs of {agents}, for all objectives of the workload: "
        f"{run.spec.agent} for {objective}, seed {run.spec.seed}, after {pool.sample[at]:,} of "
        f"{len(run.scores):,}, then {tried:,} neighbours of the best {len(climbed)}"
    )


def entry(
    task: Task, drawn: Evaluation, found: tuple[np.ndarray, str] | None, old: Any
) -> dict[str, Any] | None:
    """Returns what the file says of a task: the better one of a new and a kept design."""
    if old is not None:
        kept = task.space.encode(old["design"]), old["found_by"]
        if found is None or task.evaluate(np.stack([kept[0], found[0]])).score.argmax() == 0:
            found = kept
    if found is None:
        return None
    row, found_by = found
    evaluation = task.evaluate(row[None])
    limits = getattr(task.model, "bounds", dict)()
    told = {m.name: float(evaluation.metrics[m.name][0]) for m in task.metrics}
    shown = [m.name for m in task.metrics if m.direction != "none" and np.isfinite(told[m.name])]
    return {
        "objective": identity(task.objective),
        "score": float(evaluation.score[0]),
        "bound": bound_of(task, limits),
        "median_random_score": median_random(task, drawn),
        "found_by": found_by,
        "design": active_values(task.space, row),
        "metrics": {name: told[name] for name in shown},
        "reference": {name: task.reference[name] for name in counted(task.objective)},
    }


def write(path: Path, tasks: Sequence[Task], pool: Pool) -> None:
    """Writes the file of one workload."""
    first = tasks[0]
    kept = yamlfile.read(path) if path.is_file() else {"options": first.options, "tasks": {}}
    if kept["options"] != first.options:
        raise ValueError(f"{path}: is of options {kept['options']}, the runs of {first.options}")
    old = kept["tasks"]
    rows = first.space.sample(RANDOM_DESIGNS, np.random.default_rng(0))
    drawn = first.evaluate(rows)
    entries = dict(old)
    for task in tasks:
        told = entry(task, drawn, candidate(pool, task), old.get(task.objective.name))
        if told is not None:
            entries[task.objective.name] = told
            print(
                f"{task.name}: {told['score']:.4f} (bound {told['bound']}, random "
                f"{told['median_random_score']:.3f}) {format_design(told['design'])}",
                flush=True,
            )
    if entries:
        about = {
            "env": first.environment.id,
            "options": first.options,
            "bounds": first.model.bounds(),
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + yamlfile.dump({**about, "tasks": entries}), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the experiment and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiment", default="best-known")
    parser.add_argument("--results", default="results/best-known")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--no-run", action="store_true", help="write from what has been run")
    parser.add_argument("--output", type=Path, default=BEST_KNOWN)
    given = parser.parse_args(arguments)
    if not given.no_run:
        experiment = load_experiment(given.experiment, given.set)
        outcome = run_experiment(experiment, given.results, workers=given.workers, resume=True)
        print(f"{outcome.complete} of {outcome.total} runs are complete", flush=True)
        if outcome.interrupted:
            sys.exit(1)
    searched: dict[str, list[TaskResults]] = {}
    for results in load_results(given.results).tasks:
        if results.best is not None:
            searched.setdefault(results.manifest["task"]["workload"], []).append(results)
    planned: dict[str, dict[str, Task]] = {}
    for spec in read_plan(Path(given.results)):
        of_workload = planned.setdefault(spec.task["workload"], {})
        if spec.task_name not in of_workload and spec.task["workload"] in searched:
            of_workload[spec.task_name] = archgym.make_task(**spec.task)
    for workload, group in searched.items():
        tasks = [task for task in planned[workload].values() if not task.objective.pareto]
        pool = Pool.of(Path(given.results), group, [metric.name for metric in tasks[0].metrics])
        write(given.output / f"{tasks[0].options['space']}-{workload}.yaml", tasks, pool)


if __name__ == "__main__":
    main()
