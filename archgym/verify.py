"""Verification: results on disk held against the cost model, the plan and their own digests.

A result is a claim that some design has some metrics. `verify` evaluates designs again: of every
run each one that was the best so far when it was found, the Pareto front, and a seeded random
sample of the others. All rows are checked for what needs no evaluation (see `archgym.replay`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archgym import yamlfile
from archgym.experiment import Experiment, parse_experiment
from archgym.manifest import git_state, package_versions
from archgym.plan import RunSpec, plan
from archgym.replay import Finding, first_difference, short
from archgym.runcheck import (
    BROKEN,
    Options,
    RunCheck,
    check_run,
    check_types,
    text_of,
    version_text,
)
from archgym.trialfile import plain_json
from archgym.workspace import read_plan

SAMPLE = 20
"""Trials of each run that are replayed besides those that were the best so far."""
_FOLDER = re.compile(
    r"runs/[A-Za-z0-9=+-][A-Za-z0-9._=+-]*/[A-Za-z0-9=+-][A-Za-z0-9._=+-]*/seed-\d+"
)
_SPEC: Mapping[str, tuple[type, ...]] = {
    "folder": (str,),
    "task": (dict,),
    "task_name": (str,),
    "agent": (str,),
    "label": (str,),
    "hyperparameters": (dict,),
    "seed": (int,),
    "budget": (int,),
    "max_repeats": (int, type(None)),
    "max_proposals": (int, type(None)),
    "stop_at_optimum": (bool,),
    "external": (bool,),
    "warm_start": (str, type(None)),
}


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


def current_version() -> str:
    """Returns version and commit of this installation."""
    return version_text(package_versions(), git_state())


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
    options = Options(sample, rerun, np.random.default_rng(seed))
    if (root / "run.json").is_file():
        check = check_run(root, ".", None, options)
        return Verification(root, (check,), (), tuple(_notes([check], rerun)), rerun)
    if not (root / "runs.json").is_file():
        raise ValueError(f"{root}: holds no results (there is no runs.json and no run.json)")
    findings, notes = [], []
    try:
        specs = checked_plan(root)
    except ValueError as error:
        findings.append(Finding("", "runs.json", "file", text_of(error, root / "runs.json")))
        return Verification(root, (), tuple(findings), (), rerun)
    for finding in _experiment_findings(root, specs):
        if isinstance(finding, Finding):
            findings.append(finding)
        else:
            notes.append(finding)
    findings += _stray_runs(root, specs)
    runs = [check_run(root / spec.folder, spec.folder, spec, options) for spec in specs]
    notes += _notes(runs, rerun)
    return Verification(root, tuple(runs), tuple(findings), tuple(notes), rerun)


def _notes(runs: Sequence[RunCheck], rerun: bool) -> list[str]:
    notes = []
    for status in ("partial", "missing"):
        count = sum(run.status == status for run in runs)
        if count:
            notes.append(f"{count} of {len(runs)} runs are {status}")
    old = sum(run.status == "complete" and run.trials > 0 and not run.digest for run in runs)
    if old:
        notes.append(f"{old} of {len(runs)} runs have no digest; they are checked by replay only")
    external = sum(run.external for run in runs)
    if rerun and external:
        notes.append(
            f"{external} of {len(runs)} runs are of external agents; they are checked by replay, "
            f"but cannot be repeated"
        )
    return notes


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
        check_types(spec.to_dict(), _SPEC, f"[{i}].")
        if not _FOLDER.fullmatch(spec.folder):
            raise ValueError(f"[{i}].folder: {short(spec.folder)} is not runs/TASK/AGENT/seed-N")
        if spec.folder.casefold() in seen:
            raise ValueError(f"[{i}].folder: {short(spec.folder)} is there twice")
        seen.add(spec.folder.casefold())
    if not specs:
        raise ValueError("lists no run")
    return specs


def _experiment_findings(root: Path, specs: Sequence[RunSpec]) -> Iterator[Finding | str]:
    """Compares the list of runs with what the experiment plans; texts are notes."""
    file = root / "experiment.yaml"
    try:
        experiment: Experiment = parse_experiment(yamlfile.read(file))
    except BROKEN as error:
        yield Finding("", "experiment.yaml", "file", text_of(error, file))
        return
    if any(entry.preset for entry in experiment.agents):
        yield (
            "experiment.yaml names presets, so that hyperparameters are checked against runs.json "
            "only"
        )
        return
    try:
        planned = plan(experiment)
    except BROKEN as error:
        yield Finding("", "experiment.yaml", "runs", text_of(error))
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
