"""One row per run of a study: what identifies it, and its improvements instead of its trials."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from archgym.manifest import git_state, package_versions
from archgym.metric import FloatArray
from archgym.optimum import Optimum
from archgym.plan import RunSpec
from archgym.results import load_run
from archgym.run import search
from archgym.run_summary import progress_of
from archgym.task import Task
from archgym.worker import build_task
from archgym.workspace import run_status

FORMAT = 2
_KEY = b"archgym.study"
_SETTINGS = ("seed", "budget", "max_repeats", "max_proposals", "stop_at_optimum")
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
        ("stop_at_optimum", pyarrow.bool_()),
        ("samples", pyarrow.int32()),
        ("proposals", pyarrow.int32()),
        ("stop_reason", pyarrow.string()),
        ("started", pyarrow.float64()),
        ("finished", pyarrow.float64()),
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

Row = dict[str, Any]


def identity(spec: RunSpec) -> str:
    """Returns what tells a run from every other, its label apart."""
    settings = json.dumps(spec.hyperparameters, sort_keys=True)
    told = [spec.task_name, spec.agent, settings, *(getattr(spec, name) for name in _SETTINGS)]
    return json.dumps(told)


def identity_of(row: Mapping[str, Any]) -> str:
    """Returns the identity of a stored run."""
    return json.dumps([row[name] for name in ("task", "agent", "hyperparameters", *_SETTINGS)])


def known_optimum(task: Task) -> Optimum:
    """Returns the optimum of a task; raises ValueError where it is not known."""
    if task.optimum is None:
        raise ValueError(f"the optimum of {task.name!r} is not known")
    return task.optimum


def carried_out(spec: RunSpec) -> Row:
    """Carries out a run in this process and returns its row; nothing else is kept of it."""
    task = build_task(spec.task)
    started = time.time()
    result = search(
        task,
        spec.agent,
        budget=spec.budget,
        max_repeats=spec.max_repeats,
        max_proposals=spec.max_proposals,
        stop_at_optimum=spec.stop_at_optimum,
        warm_start=spec.warm_start,
        seed=spec.seed,
        **spec.hyperparameters,
    )
    return _row(spec, task, result.evaluation.score, result.spent) | {
        "samples": len(result.evaluation),
        "proposals": result.proposals,
        "stop_reason": result.stop_reason,
        "started": started,
        "finished": time.time(),
        "agent_seconds": result.agent_seconds,
        "evaluation_seconds": result.evaluation_seconds,
        "versions": json.dumps(package_versions(), sort_keys=True),
        "commit": (git_state() or {}).get("commit"),
    }


def recorded(root: Path, spec: RunSpec) -> Row | None:
    """Returns the row of a run in a results folder, None unless it is complete.

    Raises:
        ValueError: for files that cannot be read, or a run with another cost model.
    """
    read = load_run(root, spec) if run_status(root, spec) == "complete" else None
    if read is None:
        return None
    manifest, trials, times, spent = read
    task = build_task(spec.task)
    if manifest["reference"] != task.reference:
        raise ValueError(f"{root / spec.folder}: was made with another version of the cost model")
    return _row(spec, task, trials["score"].to_numpy(), spent) | {
        **{name: manifest[name] for name in ("samples", "proposals", "stop_reason")},
        **{k: datetime.fromisoformat(manifest[k]).timestamp() for k in ("started", "finished")},
        **{k: float(times[k].sum()) for k in ("agent_seconds", "evaluation_seconds")},
        "versions": json.dumps(manifest["versions"], sort_keys=True),
        "commit": (manifest["git"] or {}).get("commit"),
    }


def _row(spec: RunSpec, task: Task, scores: FloatArray, spent: FloatArray) -> Row:
    """Returns what of a row follows from the plan and the scores `(n,)`."""
    optimum = known_optimum(task)
    progress = progress_of(scores, np.zeros(len(scores)), spent)
    return {
        "task": spec.task_name,
        "agent": spec.agent,
        "label": spec.label,
        "hyperparameters": json.dumps(spec.hyperparameters, sort_keys=True),
        **{name: getattr(spec, name) for name in _SETTINGS},
        "optimum": optimum.score,
        "median_random": optimum.median_random_score,
        # Parts of samples, spent at cheaper fidelities, count as begun ones.
        "steps": np.ceil(progress.samples - 1e-6).astype(np.int64),
        "regrets": [optimum.regret(float(score)) for score in progress.scores],
    }


def write_rows(rows: Sequence[Row], meta: Mapping[str, Any], target: Path) -> None:
    """Writes rows and what is known about all of them; the same ones give the same bytes."""
    table = pyarrow.Table.from_pylist(rows, schema=_SCHEMA)
    table = table.sort_by([(name, "ascending") for name in ("task", "label", "seed")])
    table = table.replace_schema_metadata({_KEY: json.dumps({"format": FORMAT, **meta}).encode()})
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


def read_rows(file: Path) -> tuple[list[Row], dict[str, Any]]:
    """Reads rows and what is known about all of them.

    Raises:
        ValueError: for a file that does not hold any.
    """
    try:
        table = pyarrow.parquet.read_table(file, use_threads=False)
        meta = json.loads((table.schema.metadata or {})[_KEY])
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{file}: holds no results of `tools/study.py` ({error})") from None
    if meta["format"] != FORMAT:
        raise ValueError(f"{file}: format {meta['format']} is not {FORMAT}, remove it")
    return table.to_pylist(), meta
