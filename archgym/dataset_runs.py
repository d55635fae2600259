"""The runs that a dataset is made of: found in results folders, told apart, grouped by task."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym import yamlfile
from archgym.preset import problem_of
from archgym.proxy import PREFIX
from archgym.store import read_manifest
from archgym.trialfile import TrialFileError, check_columns, read_trials, trial_file
from archgym.workspace import read_plan

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Run:
    """One run on disk.

    Attributes:
        folder: where its files are.
        manifest: of its trial store.
        label: the agent's name in tables.
        source: number of the results folder that it was found in.
    """

    folder: Path
    manifest: Mapping[str, Any]
    label: str
    source: int

    @property
    def complete(self) -> bool:
        """Whether it ran to its end."""
        return bool(self.manifest["status"] == "complete")

    @property
    def version(self) -> str:
        """Version of archgym that it was made with."""
        return str(self.manifest.get("versions", {}).get("archgym", "unknown"))

    @property
    def fidelity(self) -> str:
        """The option `fidelity` of its task, empty where there is none."""
        return str(self.manifest["task"].get("fidelity") or "")

    @property
    def id(self) -> str:
        """Short hash of what was run: equal for repetitions of a run."""
        names = (
            *("agent", "hyperparameters", "seed", "budget", "max_repeats", "max_proposals"),
            *("space", "reference", "warm_start"),
        )
        told = {name: self.manifest.get(name) for name in names}
        if self.manifest.get("stop_at_optimum"):
            told["stop_at_optimum"] = True
        return short_hash([self.manifest["task"], told, self.version])

    @property
    def settings(self) -> str:
        """Short hash of the agent's name with its hyperparameters."""
        return short_hash([self.manifest["agent"], self.manifest["hyperparameters"]])

    def trials(self) -> polars.DataFrame:
        """Reads its trials; a frame without columns where there are none.

        Raises:
            ValueError: for a file that is missing or damaged.
        """
        try:
            frame = read_trials(self.folder, self.manifest)
            if frame.columns:
                names = [metric["name"] for metric in self.manifest["metrics"]]
                parts = [name for name in frame.columns if "/" in name]
                check_columns(frame, len(self.manifest["parameters"]), names, parts)
        except TrialFileError as error:
            place = self.folder / trial_file(self.manifest)
            raise ValueError(f"{place}: {error.field}: {error}") from None
        return frame


@dataclass
class Source:
    """One results folder, and how many of its runs went where.

    Attributes:
        name: of its experiment, or of the folder.
        folder: the folder's own name.
        experiment: content of its experiment file, None for the folder of a single run.
        planned: number of runs.
        complete: number of runs that were exported and had ended.
        partial: number of runs that were exported and had not.
        empty: how many of those two hold no trial.
        missing: number of runs that have not begun.
        repeated: number of runs that are exported from another folder already.
        predicted: number of runs on a proxy, left out.
        screened: number of exported runs that also asked cheaper fidelities, which is left out.
    """

    name: str
    folder: str
    experiment: Mapping[str, Any] | None
    planned: int = 0
    complete: int = 0
    partial: int = 0
    empty: int = 0
    missing: int = 0
    repeated: int = 0
    predicted: int = 0
    screened: int = 0

    def notes(self) -> Iterator[str]:
        """Says of which runs not everything is exported."""
        told = {
            "partial": (self.partial, "partial, exported as far as they went"),
            "empty": (self.empty, "without any trial, listed in runs.parquet only"),
            "missing": (self.missing, "not begun"),
            "repeated": (self.repeated, "in another of the folders too, exported once"),
            "predicted": (self.predicted, "on a proxy, whose answers are predictions: left out"),
            "screened": (self.screened, "asked cheaper fidelities too, whose answers are left out"),
        }
        for count, what in told.values():
            if count:
                yield f"{self.folder}: {count} of {self.planned} runs {what}"


@dataclass
class TaskGroup:
    """The runs of one task that may stand in one table.

    Attributes:
        name: readable name, unique in the dataset.
        problem: the name without fidelity and objective: what determines the metrics.
        runs: of every agent.
    """

    name: str
    problem: str
    runs: list[Run] = field(default_factory=list)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Of one of the runs, for what they share."""
        return self.runs[0].manifest


def short_hash(data: Any) -> str:
    """Returns 12 hexadecimal digits of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def slug(text: str) -> str:
    """Returns a text as the name of a folder, without characters that hive paths give a meaning."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")
    return plain if plain and len(plain) <= 100 else f"{plain[:80]}-{short_hash(text)}".lstrip("-")


def find_runs(folders: Sequence[str | Path]) -> tuple[list[Run], list[Source]]:
    """Reads the manifests of results folders, and of folders of single runs.

    Raises:
        ValueError: for a folder without results, or one given twice.
    """
    roots = [Path(folder) for folder in folders]
    if not roots:
        raise ValueError("dataset: no results folder is given, at least one is needed")
    runs: list[Run] = []
    sources: list[Source] = []
    for root in roots:
        if [each.resolve() for each in roots].count(root.resolve()) > 1:
            raise ValueError(f"{root}: is given twice")
        number, name = len(sources), _unique(root.resolve().name, sources)
        manifest = read_manifest(root)
        if manifest is not None:
            sources.append(Source(name, name, None, planned=1))
            runs.append(_checked(Run(root, manifest, str(manifest.get("agent")), number)))
            continue
        if not (root / "runs.json").is_file():
            raise ValueError(f"{root}: holds no results (there is no runs.json and no run.json)")
        experiment = yamlfile.read(root / "experiment.yaml")
        specs = read_plan(root)
        source = Source(str(experiment["name"]), name, experiment, planned=len(specs))
        sources.append(source)
        for spec in specs:
            manifest = read_manifest(root / spec.folder)
            if manifest is None:
                source.missing += 1
            else:
                runs.append(_checked(Run(root / spec.folder, manifest, spec.label, number)))
    return runs, sources


def _unique(name: str, sources: Sequence[Source]) -> str:
    """Returns a folder's name, with a number if another folder is called the same."""
    taken = {source.folder for source in sources}
    names = (f"{name}-{i}" if i > 1 else name for i in itertools.count(1))
    return next(each for each in names if each not in taken)


def _checked(run: Run) -> Run:
    needed = ("task", "agent", "hyperparameters", "seed", "budget", "space", "parameters")
    for name in (*needed, "default", "metrics", "reference", "status"):
        if name not in run.manifest:
            raise ValueError(f"{run.folder / 'run.json'}: {name} is missing")
    return run


def chosen_runs(runs: Sequence[Run], sources: Sequence[Source], proxies: bool) -> list[Run]:
    """Leaves out repetitions and, unless they are wanted, runs on a proxy; counts both."""
    kept: dict[str, Run] = {}
    for run in runs:
        if run.fidelity.startswith(PREFIX) and not proxies:
            sources[run.source].predicted += 1
            continue
        there = kept.setdefault(run.id, run)
        if there is run:
            continue
        if run.complete and not there.complete:
            kept[run.id], run = run, there
        sources[run.source].repeated += 1
    for run in kept.values():
        sources[run.source].complete += run.complete
        sources[run.source].partial += not run.complete
        sources[run.source].screened += any(run.folder.glob("screened.*"))
    return list(kept.values())


def _identity(run: Run) -> dict[str, Any]:
    """Returns what has to agree for trials to be rows of one table, in words."""
    manifest = run.manifest
    return {
        "version of archgym": run.version,
        "design space": str(manifest["space"])[:8],
        "metrics": short_hash(manifest["metrics"])[:8],
        "cost model (metrics of the default design)": short_hash(manifest["reference"])[:8],
        "objective": short_hash(manifest["task"]["objective"])[:8],
    }


def grouped(runs: Sequence[Run]) -> tuple[list[TaskGroup], list[str]]:
    """Groups runs by task; those that cannot be compared are tasks of their own.

    Another fidelity with the same metrics of the default design, such as a table, is the same task.

    Returns:
        The groups, and what was kept apart and why.
    """
    parts: dict[str, dict[str, list[Run]]] = {}
    identities: dict[str, dict[str, Any]] = {}
    names: dict[str, tuple[str, str]] = {}
    for run in runs:
        task = {k: v for k, v in run.manifest["task"].items() if k not in ("fidelity", "objective")}
        predicted = run.fidelity if run.fidelity.startswith(PREFIX) else ""
        problem, name = _names(run)
        identity = _identity(run)
        key = json.dumps([task, predicted, name], sort_keys=True)
        part = json.dumps(identity)
        identities[part], names[key] = identity, (name, problem)
        parts.setdefault(key, {}).setdefault(part, []).append(run)
    groups, notes = [], []
    for key, split in parts.items():
        name, problem = names[key]
        told = [identities[part] for part in split]
        differing = [k for k, v in told[0].items() if any(each[k] != v for each in told)]
        if differing:
            notes.append(
                f"{name}: runs of different {' and '.join(differing)} are kept apart as "
                f"{len(split)} tasks"
            )
        for identity, members in zip(told, split.values(), strict=True):
            words = [f"{k.split(' (')[0]} {identity[k]}" for k in differing]
            if words:
                words += [f"fidelity {f}" for f in sorted({run.fidelity for run in members}) if f]
            title = f"{name} [{', '.join(words)}]" if words else name
            groups.append(TaskGroup(title, problem, members))
    return groups, notes


def _names(run: Run) -> tuple[str, str]:
    """Returns the names of a run's problem and task, without a fidelity that answers the same."""
    full = str(run.manifest["task_name"])
    name = full if run.fidelity.startswith(PREFIX) else problem_of(full)
    return problem_of(name).removesuffix(f" {run.manifest['task']['objective']['name']}"), name
