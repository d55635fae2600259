"""Trials of a dataset as evaluations of a task: only where the task would answer the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from archgym.cost_model import Costs
from archgym.errors import unknown
from archgym.preset import problem_of
from archgym.task import UNUSABLE, Evaluation, Task

if TYPE_CHECKING:
    from archgym.dataset import Dataset


def problem_name(task: Task) -> str:
    """Returns the task's readable name without fidelity and objective."""
    return problem_of(task.name).removesuffix(f" {task.objective.name}")


def trials_of(dataset: Dataset, task: Task) -> Dataset:
    """Returns the trials of a dataset that are of the same problem as a task.

    Any objective is the same problem, and any fidelity that gives the default design the same
    metrics.

    Raises:
        ValueError: if there is none, or they are of another design space or cost model.
    """
    told = {key: dataset.meta["tasks"][key] for key in dataset.tasks}
    problem = problem_name(task)
    same = {key: each for key, each in told.items() if each["problem"] == problem}
    if not same:
        problems = {each["problem"] for each in told.values()}
        raise unknown(f"{dataset.path}: problem", problem, problems)
    difference = ""
    fitting = []
    for key, each in same.items():
        found = _difference(dataset, each["space"], each["reference"], task)
        difference = difference or found
        if not found:
            fitting.append(key)
    if not fitting:
        raise ValueError(f"{dataset.path}: its trials of {problem} have {difference}")
    return dataset if len(fitting) == len(told) else dataset.filter(task=fitting)


def _difference(dataset: Dataset, space: str, reference: object, task: Task) -> str:
    """Names the first thing in which trials differ from a task's; empty if there is none."""
    there = dataset.meta["spaces"][space]
    metrics = [{k: v for k, v in m.items() if k != "column"} for m in there["metrics"]]
    if there["fingerprint"] != task.space.fingerprint:
        return (
            f"another design space (fingerprint {there['fingerprint']}, this task has "
            f"{task.space.fingerprint})"
        )
    if metrics != [metric.describe() for metric in task.metrics]:
        return "other metrics than this version reports"
    if json.dumps(reference, sort_keys=True) != json.dumps(task.reference, sort_keys=True):
        return "another cost model (it gives the default design other metrics)"
    return ""


def known_evaluation(dataset: Dataset, task: Task) -> Evaluation:
    """Returns trials as evaluations of a task, scored by its objective, in their order.

    Args:
        dataset: trials that `trials_of` returned for the task.
        task: what they are evaluations of.

    Raises:
        ValueError: for a broken rule that the task does not have.
    """
    rows = dataset.designs
    empty = task.evaluate(np.zeros((0, len(task.space)), np.int64))
    violations = {name: np.zeros(len(rows), np.bool_) for name in empty.violations}
    listed = dataset.frame()["violations"]
    owner = np.repeat(np.arange(len(rows)), listed.list.len().to_numpy())
    broken = listed.explode().drop_nulls().to_numpy()
    for name in np.unique(broken):
        if name not in violations:
            raise ValueError(f"{dataset.path}: rule {name!r} is none of this task's")
        violations[name][owner[broken == name]] = True
    # The metrics that have to be positive are those of the objective.
    violations.pop(UNUSABLE)
    other = np.logical_or.reduce([np.zeros(len(rows), np.bool_), *violations.values()])
    violations[UNUSABLE] = task.unusable(dataset.metrics) & ~other
    breakdown = {name: np.full(len(rows), np.nan) for name in empty.breakdown}
    with np.errstate(invalid="ignore", divide="ignore"):
        return task.judge(rows, Costs(dataset.metrics, violations, breakdown))
