"""Compact results of a study: one row per complete run, its improvements instead of its trials."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from archgym.metric import FloatArray
from archgym.optimum import Optimum, optimum_of_spec
from archgym.plan import RunSpec
from archgym.results import load_run
from archgym.run_summary import progress_of
from archgym.workspace import read_plan, run_status

FORMAT = 1
_KEY = b"archgym.study"
_SCHEMA = pyarrow.schema(
    [
        ("task", pyarrow.string()),
        ("agent", pyarrow.string()),
        ("label", pyarrow.string()),
        ("hyperparameters", pyarrow.string()),
        ("seed", pyarrow.int64()),
        ("budget", pyarrow.int32()),
        ("max_repeats", pyarrow.int32()),
        ("max_proposals", pyarrow.int32()),
        ("samples", pyarrow.int32()),
        ("proposals", pyarrow.int32()),
        ("stop_reason", pyarrow.string()),
        ("agent_seconds", pyarrow.float32()),
        ("evaluation_seconds", pyarrow.float32()),
        ("optimum", pyarrow.float64()),
        ("median_random", pyarrow.float64()),
        ("steps", pyarrow.list_(pyarrow.float32())),
        ("regrets", pyarrow.list_(pyarrow.float32())),
        ("versions", pyarrow.string()),
        ("commit", pyarrow.string()),
    ]
)


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
        meta: about all of it; see `pack`.
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


def pack(root: Path, target: Path) -> Study:
    """Stores the complete runs of a results folder, which may still be written to.

    Args:
        root: the results folder.
        target: the file to write; the same results give the same bytes.

    Raises:
        ValueError: for a folder without results, without a complete run, or with a task whose
            optimum is not known.
    """
    specs = read_plan(root)
    optima: dict[str, Optimum] = {}
    rows, spans = [], []
    for spec, manifest, row in _complete(root, specs):
        if spec.task_name not in optima:
            known = optimum_of_spec(manifest["task"], manifest["reference"])
            if known is None:
                raise ValueError(f"{root}: the optimum of {spec.task_name!r} is not known")
            optima[spec.task_name] = known
        rows.append(row | _regrets(row.pop("scores"), optima[spec.task_name]))
        start, stop = (datetime.fromisoformat(manifest[k]) for k in ("started", "finished"))
        spans.append((start, stop))
    if not rows:
        raise ValueError(f"{root}: none of its {len(specs)} runs is complete")
    meta = {
        "format": FORMAT,
        "experiment": (root / "experiment.yaml").read_text(encoding="utf-8"),
        "complete": len(rows),
        "seeds": len({spec.seed for spec in specs}),
        "labels": {spec.label: spec.agent for spec in specs},
        "tasks": _tasks(specs, optima),
        "seconds": {
            "wall": _covered(spans),
            "agent": sum(row["agent_seconds"] for row in rows),
            "evaluation": sum(row["evaluation_seconds"] for row in rows),
        },
    }
    _write(rows, meta, target)
    return load(target)


def _complete(
    root: Path, specs: Sequence[RunSpec]
) -> Iterator[tuple[RunSpec, Mapping[str, Any], dict[str, Any]]]:
    """Reads the complete runs one after the other: spec, manifest, and what the row holds of it."""
    for spec in specs:
        if run_status(root, spec) != "complete":
            continue
        read = load_run(root, spec)
        if read is None:
            continue
        manifest, trials, times, spent = read
        progress = progress_of(trials["score"].to_numpy(), np.zeros(len(trials)), spent)
        git = manifest["git"] or {}
        row = {
            "task": spec.task_name,
            "agent": spec.agent,
            "label": spec.label,
            "hyperparameters": json.dumps(manifest["hyperparameters"], sort_keys=True),
            "seed": spec.seed,
            "budget": spec.budget,
            "max_repeats": spec.max_repeats,
            "max_proposals": spec.max_proposals,
            "samples": manifest["samples"],
            "proposals": manifest["proposals"],
            "stop_reason": manifest["stop_reason"],
            "agent_seconds": float(times["agent_seconds"].sum()),
            "evaluation_seconds": float(times["evaluation_seconds"].sum()),
            # Parts of samples, spent at cheaper fidelities, count as begun ones.
            "steps": np.ceil(progress.samples - 1e-6).astype(np.int64),
            "scores": progress.scores,
            "versions": json.dumps(manifest["versions"], sort_keys=True),
            "commit": git.get("commit"),
        }
        yield spec, manifest, row


def _regrets(scores: FloatArray, optimum: Optimum) -> dict[str, Any]:
    return {
        "optimum": optimum.score,
        "median_random": optimum.median_random_score,
        "regrets": [optimum.regret(float(score)) for score in scores],
    }


def _tasks(specs: Sequence[RunSpec], optima: Mapping[str, Optimum]) -> list[dict[str, Any]]:
    """Returns what is stored per task; nothing of an optimum where it has no complete run yet."""
    tasks = {spec.task_name: spec.task for spec in specs}
    fields = ("score", "median_random_score", "count", "kind")
    return [
        {
            "name": name,
            "spec": spec,
            "optimum": {f: getattr(optima[name], f) for f in fields} if name in optima else None,
        }
        for name, spec in tasks.items()
    ]


def _covered(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Returns the seconds in which at least one run was going on."""
    total, end = 0.0, None
    for start, stop in sorted(spans):
        begin = start if end is None else max(start, end)
        total += max(0.0, (stop - begin).total_seconds())
        end = stop if end is None else max(end, stop)
    return total


def _write(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any], target: Path) -> None:
    table = pyarrow.Table.from_pylist(rows, schema=_SCHEMA)
    table = table.sort_by([(name, "ascending") for name in ("task", "label", "seed")])
    table = table.replace_schema_metadata({_KEY: json.dumps(meta).encode()})
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    pyarrow.parquet.write_table(
        table,
        temporary,
        compression="zstd",
        compression_level=19,
        write_statistics=False,
    )
    os.replace(temporary, target)


def load(file: Path) -> Study:
    """Reads stored results.

    Raises:
        ValueError: for a file that does not hold any.
    """
    try:
        table = pyarrow.parquet.read_table(file, use_threads=False)
        meta = json.loads((table.schema.metadata or {})[_KEY])
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{file}: holds no results of `tools/study.py pack` ({error})") from None
    if meta["format"] > FORMAT:
        raise ValueError(f"{file}: format {meta['format']} is newer than the supported {FORMAT}")
    names = [name for name in Run.__dataclass_fields__ if name not in ("steps", "regrets")]
    runs = [
        Run(
            **{name: row[name] for name in names} | {"hyperparameters": settings},
            steps=np.asarray(row["steps"], np.float64),
            regrets=np.asarray(row["regrets"], np.float64),
        )
        for row in table.to_pylist()
        for settings in [json.loads(row["hyperparameters"])]
    ]
    return Study(meta, tuple(runs))
