"""One run's folder checked: its manifest, what the plan says of it, and its trials by replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archgym import replay
from archgym.agent import find_agent
from archgym.environment import find_environment
from archgym.plan import RunSpec
from archgym.replay import Finding, Record, first_difference, short
from archgym.store import read_manifest
from archgym.task import Task, resolve_objective
from archgym.trialfile import (
    TrialFileError,
    check_columns,
    plain_json,
    read_screened,
    read_trials,
    trial_file,
)
from archgym.worker import build_task

BROKEN = (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError)
"""What reading a changed file, or building a task from one, may raise."""
_MANIFEST: Mapping[str, tuple[type, ...]] = {
    "task": (dict,),
    "task_name": (str,),
    "agent": (str,),
    "hyperparameters": (dict,),
    "seed": (int,),
    "budget": (int, type(None)),
    "max_repeats": (int, type(None)),
    "max_proposals": (int, type(None)),
    "stop_at_optimum": (bool,),
    "external": (bool,),
    "warm_start": (dict, type(None)),
    "space": (str,),
    "parameters": (list,),
    "default": (list,),
    "metrics": (list,),
    "reference": (dict,),
    "versions": (dict,),
    "status": (str,),
}

_LATER = {"stop_at_optimum": False, "external": False}
"""Fields that a manifest has only where they are not this."""


@dataclass(frozen=True)
class RunCheck:
    """What was found of one run.

    Attributes:
        run: its folder, relative to the results folder; `.` if it was given by itself.
        status: `complete`, `partial` or `missing`.
        trials: number of trials in the file.
        replayed: how many of them were evaluated again.
        agreeing: how many of those agree.
        digest: whether the run's end has written digests.
        made_with: version and commit, as text.
        external: whether a loop outside of archgym has made it, which cannot be repeated.
        findings: what does not hold.
    """

    run: str
    status: str
    trials: int = 0
    replayed: int = 0
    agreeing: int = 0
    digest: bool = False
    made_with: str = ""
    external: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Options:
    """How thoroughly runs are checked.

    Attributes:
        sample: trials to replay besides those that were the best so far; None for all.
        rerun: whether complete runs are repeated.
        rng: draws the sample.
    """

    sample: int | None
    rerun: bool
    rng: np.random.Generator


@dataclass
class _Count:
    """What is counted while a run is checked."""

    trials: int = 0
    replayed: int = 0
    agreeing: int = 0
    findings: list[Finding] = field(default_factory=list)


def version_text(versions: Mapping[str, Any], git: Any) -> str:
    """Returns version and commit as a manifest holds them as one text."""
    text = f"archgym {versions.get('archgym', 'of unknown version')}"
    if isinstance(git, dict) and git.get("commit"):
        changed = "" if git.get("clean") else " with changes"
        text += f" (commit {str(git['commit'])[:10]}{changed})"
    return text


def text_of(error: BaseException, path: Path | None = None) -> str:
    """Returns an error as one line, without the path that it may begin with."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix(f"{path}: ") if path else text


def check_types(
    data: Mapping[str, Any], types: Mapping[str, tuple[type, ...]], place: str = ""
) -> None:
    """Checks that fields are there and of one of their types.

    Raises:
        ValueError: naming the first that is not, after the text `place`.
    """
    for name, allowed in types.items():
        if name not in data:
            raise ValueError(f"{place}{name}: is missing")
        value = data[name]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise ValueError(f"{place}{name}: {short(value)} is not of type {allowed[0].__name__}")


def check_run(folder: Path, run: str, spec: RunSpec | None, options: Options) -> RunCheck:
    """Checks one run; whatever its files hold becomes findings."""
    count = _Count()
    manifest: dict[str, Any] = {}
    try:
        found = read_manifest(folder)
        if found is None:
            others = folder.is_dir() and any(folder.glob("trials.*"))
            lost = [Finding(run, "run.json", "file", "is missing, trials are there")]
            return RunCheck(run, "missing", findings=tuple(lost if others else []))
        check_types(_LATER | found, _MANIFEST)
        manifest = found
        if manifest["status"] not in ("complete", "running"):
            raise ValueError(f"status: {short(manifest['status'])} is not complete or running")
    except BROKEN as error:
        name, _, problem = text_of(error, folder / "run.json").partition(": ")
        told = (name, problem) if name in _MANIFEST else ("file", f"{name} {problem}".strip())
        return RunCheck(run, "partial", findings=(Finding(run, "run.json", *told),))
    count.findings += _plan_findings(run, manifest, spec)
    # A task that is not the plan's may name files of this machine: it is not even built.
    if not any(each.field.startswith("task") for each in count.findings):
        _check_against_task(folder, run, manifest, options, count)
    complete = manifest["status"] == "complete"
    return RunCheck(
        run=run,
        status="complete" if complete else "partial",
        trials=count.trials,
        replayed=count.replayed,
        agreeing=count.agreeing,
        digest="digest" in manifest,
        made_with=version_text(manifest["versions"], manifest.get("git")),
        external=bool(manifest.get("external")),
        findings=tuple(count.findings),
    )


def _plan_findings(run: str, manifest: Mapping[str, Any], spec: RunSpec | None) -> list[Finding]:
    """Compares a manifest with the plan's entry for its folder."""
    if spec is None:
        return []
    expected = {k: v for k, v in spec.to_dict().items() if k not in ("folder", "label")}
    try:
        environment = find_environment(spec.task["env"])
        objective = resolve_objective(environment, spec.task["objective"]).describe()
        expected["task"] = {**spec.task, "objective": plain_json(objective)}
    except BROKEN as error:
        return [Finding("", "runs.json", "task", text_of(error))]
    warm = manifest["warm_start"]
    there = _LATER | dict(manifest)
    there["warm_start"] = warm.get("path", "unknown") if warm else None
    found = []
    for name, value in expected.items():
        difference = first_difference(there[name], value, name)
        if difference:
            problem = f"is {short(difference[1])}, runs.json has {short(difference[2])}"
            found.append(Finding(run, "run.json", difference[0], problem))
    return found


def _check_against_task(
    folder: Path, run: str, manifest: Mapping[str, Any], options: Options, count: _Count
) -> None:
    """Builds the task of the manifest and checks the trials against it."""
    file = trial_file(manifest)
    try:
        task = build_task(manifest["task"])
    except BROKEN as error:
        count.findings.append(Finding(run, "run.json", "task", text_of(error)))
        return
    try:
        trials = read_trials(folder, manifest)
        count.trials = len(trials)
        if trials.columns:
            empty = task.evaluate(np.zeros((0, len(task.space)), np.int64))
            check_columns(trials, len(task.space), list(empty.metrics), list(empty.breakdown))
    except TrialFileError as error:
        count.findings.append(Finding(run, file, error.field, text_of(error)))
        return
    try:
        screened = read_screened(folder, manifest)
    except TrialFileError as error:
        name = file.replace("trials", "screened")
        count.findings.append(Finding(run, name, error.field, text_of(error)))
        return
    record = Record(run, file, manifest, trials, screened)
    before = len(count.findings)
    count.findings += replay.screening_findings(record, task)
    count.findings += replay.manifest_findings(record, task)
    count.findings += replay.count_findings(record)
    count.findings += replay.stop_findings(record, task)
    if trials.columns and manifest["space"] == task.space.fingerprint:
        try:
            _check_rows(record, task, options, count)
        except Exception as error:  # whatever a cost model raises
            problem = f"the replay failed ({type(error).__name__}: {text_of(error)})"
            count.findings.append(record.told("task", problem))
    if "digest" in manifest:
        count.findings += replay.digest_findings(record)
    repeated = options.rerun and manifest["status"] == "complete" and not manifest.get("external")
    if repeated and len(count.findings) == before:
        count.findings += _rerun(record, task)


def _check_rows(record: Record, task: Task, options: Options, count: _Count) -> None:
    """Recomputes every row, replays some, and adds what does not hold."""
    found = list(replay.design_findings(record, task))
    count.findings += found
    if any(each.field != "design" for each in found) or len(record.trials) == 0:
        return  # rows that are no designs cannot be evaluated
    evaluation = replay.recomputed(record, task)
    scores = record.trials["score"].to_numpy()
    chosen = replay.chosen_rows(evaluation, scores, options.sample, options.rng)
    differing = replay.replay_findings(record, task, evaluation, chosen)
    count.replayed = len(chosen)
    count.agreeing = len(chosen) - len(differing)
    count.findings += differing.values()
    named = {each.trial for each in differing.values()}
    count.findings += [f for f in replay.row_findings(record, evaluation) if f.trial not in named]


def _rerun(record: Record, task: Task) -> list[Finding]:
    try:
        find_agent(record.manifest["agent"])
    except ValueError as error:
        return [record.told("agent", text_of(error))]
    return list(replay.rerun_findings(record, task))
