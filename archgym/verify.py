"""Verification: results on disk held against the cost model, the plan and their own digests.

A result is a claim that some design has some metrics. `verify` evaluates designs again: of every
run each one that was the best so far when it was found, the Pareto front, and a seeded random
sample of the others. All rows are checked for what needs no evaluation (see `archgym.replay`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archgym import replay, yamlfile
from archgym.agent import find_agent
from archgym.environment import find_environment
from archgym.experiment import Experiment, parse_experiment
from archgym.manifest import git_state, package_versions
from archgym.plan import RunSpec, plan
from archgym.replay import Finding, Record, first_difference, short
from archgym.store import read_manifest
from archgym.task import Task, resolve_objective
from archgym.trialfile import TrialFileError, check_columns, plain_json, read_trials, trial_file
from archgym.worker import build_task
from archgym.workspace import read_plan

SAMPLE = 20
"""Trials of each run that are replayed besides those that were the best so far."""
_FOLDER = re.compile(
    r"runs/[A-Za-z0-9=+-][A-Za-z0-9._=+-]*/[A-Za-z0-9=+-][A-Za-z0-9._=+-]*/seed-\d+"
)
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError)
_MANIFEST: Mapping[str, tuple[type, ...]] = {
    "task": (dict,),
    "task_name": (str,),
    "agent": (str,),
    "hyperparameters": (dict,),
    "seed": (int,),
    "budget": (int, type(None)),
    "space": (str,),
    "parameters": (list,),
    "default": (list,),
    "metrics": (list,),
    "reference": (dict,),
    "versions": (dict,),
    "status": (str,),
}
_SPEC: Mapping[str, tuple[type, ...]] = {
    "folder": (str,),
    "task": (dict,),
    "task_name": (str,),
    "agent": (str,),
    "label": (str,),
    "hyperparameters": (dict,),
    "seed": (int,),
    "budget": (int,),
}


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
        findings: what does not hold.
    """

    run: str
    status: str
    trials: int = 0
    replayed: int = 0
    agreeing: int = 0
    digest: bool = False
    made_with: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Verification:
    """What was found of a results folder.

    Attributes:
        folder: what was verified.
        runs: one entry per run of the plan.
        findings: of the plan and the experiment.
        notes: what could not be checked, and why.
        rerun: whether every run was repeated.
    """

    folder: Path
    runs: tuple[RunCheck, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    rerun: bool = False

    @property
    def all_findings(self) -> list[Finding]:
        """Everything that does not hold, in order."""
        return [*self.findings, *(finding for run in self.runs for finding in run.findings)]

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds; partial and missing runs may be among it."""
        return not self.all_findings

    @property
    def complete(self) -> bool:
        """Whether every run of the plan is there and has ended."""
        return bool(self.runs) and all(run.status == "complete" for run in self.runs)

    def count(self, quantity: str) -> int:
        """Returns the sum of a numeric attribute over the runs."""
        return sum(getattr(run, quantity) for run in self.runs)

    @property
    def made_with(self) -> list[str]:
        """The different versions that the runs were made with."""
        return sorted({run.made_with for run in self.runs if run.made_with})

    def to_dict(self) -> dict[str, Any]:
        """Returns the verification as JSON-ready data."""
        statuses = [run.status for run in self.runs]
        return {
            "folder": str(self.folder),
            "ok": self.ok,
            "complete": self.complete,
            "runs": {name: statuses.count(name) for name in ("complete", "partial", "missing")},
            "trials": self.count("trials"),
            "replayed": self.count("replayed"),
            "agreeing": self.count("agreeing"),
            "digests": self.count("digest"),
            "rerun": self.rerun,
            "made_with": self.made_with,
            "checked_with": current_version(),
            "notes": list(self.notes),
            "findings": [{**vars(each), "text": str(each)} for each in self.all_findings],
        }


@dataclass(frozen=True)
class _Options:
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


def _version(versions: Mapping[str, Any], git: Any) -> str:
    text = f"archgym {versions.get('archgym', 'of unknown version')}"
    if isinstance(git, dict) and git.get("commit"):
        changed = "" if git.get("clean") else " with changes"
        text += f" (commit {str(git['commit'])[:10]}{changed})"
    return text


def current_version() -> str:
    """Returns version and commit of this installation."""
    return _version(package_versions(), git_state())


def verify(
    folder: str | Path,
    *,
    sample: int | None = SAMPLE,
    seed: int = 0,
    rerun: bool = False,
) -> Verification:
    """Verifies the results folder of an experiment, or one run's folder.

    Args:
        folder: with `runs.json`, or with `run.json`.
        sample: trials of each run to replay besides those that were the best so far; None for all.
        seed: of the choice of the sample.
        rerun: also repeats every complete run with its seed and compares all its trials.

    Returns:
        What was found. Nothing in the folder makes this raise, however it was changed.

    Raises:
        ValueError: if the folder holds no results, or `sample` is negative.
    """
    root = Path(folder)
    if sample is not None and sample < 0:
        raise ValueError(f"sample: value {sample} is below 0")
    options = _Options(sample, rerun, np.random.default_rng(seed))
    if (root / "run.json").is_file():
        check = _check_run(root, ".", None, options)
        return Verification(root, (check,), (), _notes([check]), rerun)
    if not (root / "runs.json").is_file():
        raise ValueError(f"{root}: holds no results (there is no runs.json and no run.json)")
    findings, notes = [], []
    try:
        specs = checked_plan(root)
    except ValueError as error:
        findings.append(Finding("", "runs.json", "file", _text(error, root / "runs.json")))
        return Verification(root, (), tuple(findings), (), rerun)
    for finding in _experiment_findings(root, specs):
        if isinstance(finding, Finding):
            findings.append(finding)
        else:
            notes.append(finding)
    findings += _stray_runs(root, specs)
    runs = [_check_run(root / spec.folder, spec.folder, spec, options) for spec in specs]
    return Verification(root, tuple(runs), tuple(findings), (*notes, *_notes(runs)), rerun)


def _text(error: BaseException, path: Path | None = None) -> str:
    """Returns an error as one line, without the path that it may begin with."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix(f"{path}: ") if path else text


def _notes(runs: Sequence[RunCheck]) -> tuple[str, ...]:
    notes = []
    for status in ("partial", "missing"):
        count = sum(run.status == status for run in runs)
        if count:
            notes.append(f"{count} of {len(runs)} runs are {status}")
    old = sum(run.status == "complete" and run.trials > 0 and not run.digest for run in runs)
    if old:
        notes.append(f"{old} of {len(runs)} runs have no digest; they are checked by replay only")
    return tuple(notes)


def checked_plan(root: Path) -> list[RunSpec]:
    """Reads the list of runs of a results folder that is not trusted.

    Raises:
        ValueError: for anything that a list of runs cannot hold, such as a folder outside.
    """
    try:
        specs = read_plan(root)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    seen: set[str] = set()
    for i, spec in enumerate(specs):
        _check_types(spec.to_dict(), _SPEC, f"[{i}].")
        if not _FOLDER.fullmatch(spec.folder):
            raise ValueError(f"[{i}].folder: {short(spec.folder)} is not runs/TASK/AGENT/seed-N")
        if spec.folder.casefold() in seen:
            raise ValueError(f"[{i}].folder: {short(spec.folder)} is there twice")
        seen.add(spec.folder.casefold())
    if not specs:
        raise ValueError("lists no run")
    return specs


def _check_types(
    data: Mapping[str, Any], types: Mapping[str, tuple[type, ...]], place: str = ""
) -> None:
    for name, allowed in types.items():
        if name not in data:
            raise ValueError(f"{place}{name}: is missing")
        value = data[name]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise ValueError(f"{place}{name}: {short(value)} is not of type {allowed[0].__name__}")


def _experiment_findings(root: Path, specs: Sequence[RunSpec]) -> Iterator[Finding | str]:
    """Compares the list of runs with what the experiment plans; texts are notes."""
    file = root / "experiment.yaml"
    try:
        experiment: Experiment = parse_experiment(yamlfile.read(file))
    except _BROKEN as error:
        yield Finding("", "experiment.yaml", "file", _text(error, file))
        return
    if any(entry.preset for entry in experiment.agents):
        yield (
            "experiment.yaml names presets, so that hyperparameters are checked against runs.json "
            "only"
        )
        return
    try:
        planned = plan(experiment)
    except _BROKEN as error:
        yield Finding("", "experiment.yaml", "runs", _text(error))
        return
    if len(planned) != len(specs):
        problem = f"plans {len(planned)} runs, runs.json lists {len(specs)}"
        yield Finding("", "experiment.yaml", "runs", problem)
        return
    for i, (one, other) in enumerate(zip(planned, specs, strict=True)):
        found = first_difference(plain_json(one.to_dict()), plain_json(other.to_dict()))
        if found:
            problem = f"is {short(found[2])}, experiment.yaml plans {short(found[1])}"
            yield Finding("", "runs.json", f"[{i}].{found[0]}", problem)
            return


def _stray_runs(root: Path, specs: Sequence[RunSpec]) -> list[Finding]:
    listed = {spec.folder for spec in specs}
    there = sorted(p.parent.relative_to(root).as_posix() for p in root.glob("runs/*/*/*/run.json"))
    return [
        Finding(name, "run.json", "run", "is not listed in runs.json")
        for name in there
        if name not in listed
    ]


def _check_run(folder: Path, run: str, spec: RunSpec | None, options: _Options) -> RunCheck:
    """Checks one run; whatever its files hold becomes findings."""
    count = _Count()
    manifest: dict[str, Any] = {}
    try:
        found = read_manifest(folder)
        if found is None:
            others = folder.is_dir() and any(folder.glob("trials.*"))
            lost = [Finding(run, "run.json", "file", "is missing, trials are there")]
            return RunCheck(run, "missing", findings=tuple(lost if others else []))
        _check_types(found, _MANIFEST)
        manifest = found
        if manifest["status"] not in ("complete", "running"):
            raise ValueError(f"status: {short(manifest['status'])} is not complete or running")
    except _BROKEN as error:
        name, _, problem = _text(error, folder / "run.json").partition(": ")
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
        made_with=_version(manifest["versions"], manifest.get("git")),
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
    except _BROKEN as error:
        return [Finding("", "runs.json", "task", _text(error))]
    found = []
    for name, value in expected.items():
        difference = first_difference(manifest[name], value, name)
        if difference:
            problem = f"is {short(difference[1])}, runs.json has {short(difference[2])}"
            found.append(Finding(run, "run.json", difference[0], problem))
    return found


def _check_against_task(
    folder: Path, run: str, manifest: Mapping[str, Any], options: _Options, count: _Count
) -> None:
    """Builds the task of the manifest and checks the trials against it."""
    try:
        task = build_task(dict(manifest["task"]))
    except _BROKEN as error:
        count.findings.append(Finding(run, "run.json", "task", _text(error)))
        return
    file = trial_file(folder, manifest)
    try:
        trials = read_trials(folder, manifest)
        count.trials = len(trials)
        if trials.columns:
            empty = task.evaluate(np.zeros((0, len(task.space)), np.int64))
            check_columns(trials, len(task.space), list(empty.metrics), list(empty.breakdown))
    except TrialFileError as error:
        count.findings.append(Finding(run, file, error.field, _text(error)))
        return
    record = Record(run, file, manifest, trials)
    before = len(count.findings)
    count.findings += replay.manifest_findings(record, task)
    count.findings += replay.count_findings(record)
    if trials.columns and manifest["space"] == task.space.fingerprint:
        _check_rows(record, task, options, count)
    if "digest" in manifest:
        count.findings += replay.digest_findings(record)
    if options.rerun and manifest["status"] == "complete" and len(count.findings) == before:
        count.findings += _rerun(record, task)


def _check_rows(record: Record, task: Task, options: _Options, count: _Count) -> None:
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
        return [record.told("agent", _text(error))]
    return list(replay.rerun_findings(record, task))
