"""The stored results of a study, and how runs are added to them."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archgym import yamlfile
from archgym.experiment import Experiment, parse_experiment
from archgym.metric import FloatArray
from archgym.optimum import Optimum
from archgym.plan import RunSpec
from archgym.worker import build_task
from archgym.workspace import held, read_plan
from studies.rows import Row, identity, identity_of, known_optimum, read_rows, recorded, write_rows


@dataclass(frozen=True)
class Run:
    """One complete run.

    Attributes:
        task: its name.
        label: the agent's name in tables.
        hyperparameters: of the agent, defaults included.
        seed: of the run.
        budget: unique designs that it could evaluate.
        samples: unique designs that it did.
        proposals: designs that it proposed.
        stop_reason: `optimum`, `budget`, `repeats` or `proposals`.
        agent_seconds: spent by the search method.
        steps: samples after which it improved `(k,)`, ascending; fractions where a part was spent
            at cheaper fidelities.
        regrets: normalised regret from then on `(k,)`.
    """

    task: str
    label: str
    hyperparameters: Mapping[str, Any]
    seed: int
    budget: int
    samples: int
    proposals: int
    stop_reason: str
    agent_seconds: float
    steps: FloatArray
    regrets: FloatArray

    def regret_after(self, samples: Any) -> FloatArray:
        """Returns the regret after so many samples, the last one beyond the run's end."""
        known = np.concatenate([[np.inf], self.regrets])
        return np.asarray(known[np.searchsorted(self.steps, samples, side="right")])

    def reached(self, regret: float) -> float:
        """Returns after how many samples the regret was at most this, infinite if never."""
        hit = np.flatnonzero(self.regrets <= regret)
        return float(self.steps[hit[0]]) if len(hit) else np.inf


@dataclass(frozen=True)
class Study:
    """The stored results of one study.

    Attributes:
        meta: about all of it; see `Stored.write`.
        runs: the complete ones.
    """

    meta: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order of the experiment."""
        return [task["name"] for task in self.meta["tasks"]]

    @property
    def seeds(self) -> int:
        """Runs per task and label."""
        return int(self.meta["seeds"])

    @property
    def planned(self) -> int:
        """Runs of the whole experiment."""
        return len(self.meta["tasks"]) * len(self.meta["labels"]) * self.seeds

    @functools.cached_property
    def _cells(self) -> dict[tuple[str, str], list[Run]]:
        cells: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            cells.setdefault((run.task, run.label), []).append(run)
        return cells

    def cell(self, task: str, label: str) -> list[Run]:
        """Returns the runs of one agent on one task, by seed; none unless all are complete."""
        runs = self._cells.get((task, label), [])
        return runs if len(runs) == self.seeds else []

    def labels(self, agent: str | None = None) -> list[str]:
        """Returns the labels of all agents, or of all entries of one."""
        return [k for k, v in self.meta["labels"].items() if agent in (None, v)]

    def complete_tasks(self, labels: Sequence[str] | None = None) -> list[str]:
        """Returns the tasks on which every run of these labels, or of all, is complete."""
        wanted = self.labels() if labels is None else labels
        return [t for t in self.tasks if all(self.cell(t, label) for label in wanted)]

    def short(self, task: str) -> str:
        """Returns the words of a task's name that not all tasks share."""
        others = [set(name.split()) for name in self.tasks]
        own = [word for word in task.split() if not all(word in each for each in others)]
        return " ".join(own) or task

    def task(self, name: str) -> Mapping[str, Any]:
        """Returns what is stored about a task."""
        return next(each for each in self.meta["tasks"] if each["name"] == name)


class Stored:
    """The file that holds the results of a study, while runs are added to it.

    A stored run is kept as long as the experiment has a run of the same identity, whatever its
    label, on a task with the same optimum.

    Args:
        experiment: of the study.
        specs: its runs.
        file: may be missing.

    Raises:
        ValueError: for a file of another kind, or a task whose optimum is not known.
    """

    def __init__(self, experiment: Experiment, specs: Sequence[RunSpec], file: Path) -> None:
        self.file = file
        self._experiment = experiment
        self._specs = specs
        self._tasks = {spec.task_name: spec.task for spec in specs}
        self._optima = {k: known_optimum(build_task(task)) for k, task in self._tasks.items()}
        self._rows: dict[str, Row] = {}
        planned = {identity(spec): spec for spec in specs}
        for row in read_rows(file)[0] if file.exists() else ():
            spec = planned.get(identity_of(row))
            if spec and row["optimum"] == self._optima[spec.task_name].score:
                self.add(spec, row)

    def missing(self) -> list[RunSpec]:
        """Returns the runs that are not stored."""
        return [spec for spec in self._specs if identity(spec) not in self._rows]

    def add(self, spec: RunSpec, row: Row) -> None:
        """Adds a run; it is not in the file before `write`."""
        self._rows[identity(spec)] = row | {"label": spec.label}

    def write(self) -> Study:
        """Writes the file: the same runs give the same bytes.

        Raises:
            ValueError: if there is no run.
        """
        rows = list(self._rows.values())
        if not rows:
            raise ValueError(f"none of the {len(self._specs)} runs is complete")
        meta = {
            "experiment": yamlfile.dump(self._experiment.dump()),
            "complete": len(rows),
            "seeds": len({spec.seed for spec in self._specs}),
            "labels": {spec.label: spec.agent for spec in self._specs},
            "tasks": [
                {"name": name, "spec": spec, "optimum": _told(self._optima[name])}
                for name, spec in self._tasks.items()
            ],
            "seconds": {
                "wall": _covered([(row["started"], row["finished"]) for row in rows]),
                "agent": sum(row["agent_seconds"] for row in rows),
                "evaluation": sum(row["evaluation_seconds"] for row in rows),
            },
        }
        write_rows(rows, meta, self.file)
        return load(self.file)


def _told(optimum: Optimum) -> dict[str, Any]:
    return {f: getattr(optimum, f) for f in ("score", "median_random_score", "count", "kind")}


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Returns the seconds in which at least one run was going on."""
    total, end = 0.0, -np.inf
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return float(total)


@contextlib.contextmanager
def writing(file: Path) -> Iterator[None]:
    """Keeps other processes from adding runs to a file, whose rows the last one would lose.

    Raises:
        ValueError: if another process does it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with held(file.with_name(f".{file.name}.lock"), file, "file"):
        yield


def pack(root: Path, target: Path) -> Study:
    """Adds the complete runs of a results folder, which may still be written to.

    Args:
        root: the results folder.
        target: the file, which may hold runs of the same experiment already.

    Raises:
        ValueError: for a folder without results, without a complete run, or with a task whose
            optimum is not known; or if another process writes to the file.
    """
    specs = read_plan(root)
    experiment = parse_experiment(yamlfile.read(root / "experiment.yaml"))
    with writing(target):
        stored = Stored(experiment, specs, target)
        for spec in stored.missing():
            row = recorded(root, spec)
            if row is not None:
                stored.add(spec, row)
        return stored.write()


def load(file: Path) -> Study:
    """Reads stored results.

    Raises:
        ValueError: for a file that does not hold any.
    """
    rows, meta = read_rows(file)
    names = [name for name in Run.__dataclass_fields__ if name not in ("steps", "regrets")]
    runs = [
        Run(
            **{name: row[name] for name in names} | {"hyperparameters": settings},
            steps=np.asarray(row["steps"], np.float64),
            regrets=np.asarray(row["regrets"], np.float64),
        )
        for row in rows
        for settings in [json.loads(row["hyperparameters"])]
    ]
    return Study(meta, tuple(runs))
