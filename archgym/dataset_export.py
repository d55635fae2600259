"""Datasets: the trials of many runs as one hive-partitioned parquet that others can read.

A dataset is a folder:

- `dataset.json`: spaces, tasks, metrics with units, where the runs come from, digests of the files;
- `trials/space=ID/task=ID/part-N.parquet`: a row per trial; files of one space have equal columns;
- `runs.parquet`: a row per run, with its hyperparameters, versions and state;
- `experiments/NAME.yaml`: what was run;
- `croissant.json`, `README.md`: the same for machines (Croissant JSON-LD) and for people.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym import yamlfile
from archgym.dataset_columns import RUN_COLUMNS, SpaceColumns
from archgym.dataset_runs import Run, Source, TaskGroup, chosen_runs, find_runs, grouped, slug

if TYPE_CHECKING:
    import polars

FORMAT = 1
ROWS_PER_FILE = 1_000_000
"""Trials in one parquet file, some tens of megabytes."""
_ROWS_PER_GROUP = 131_072


@dataclass(frozen=True)
class Description:
    """What a dataset says of itself besides what its runs say.

    Attributes:
        name: of the dataset.
        license: the licence, as text such as an SPDX identifier; empty for none.
        url: where it is published; empty for nowhere.
        creators: names of people or organisations.
    """

    name: str
    license: str = ""
    url: str = ""
    creators: tuple[str, ...] = ()


def export_dataset(
    folders: Sequence[str | Path],
    output: str | Path,
    description: Description | None = None,
    *,
    proxies: bool = False,
) -> dict[str, Any]:
    """Writes the trials of results folders as one dataset.

    The dataset is written beside its place and renamed, so it is there whole or not at all. The
    same runs give the same bytes.

    Args:
        folders: results folders of experiments, finished or not, or folders of single runs.
        output: the folder to make.
        description: see `Description`; left out, the dataset is named like its folder.
        proxies: whether runs on a proxy, whose metrics are predictions, are exported too.

    Returns:
        The content of `dataset.json`.

    Raises:
        ValueError: for a folder without results, one that cannot be read, no trial at all, or an
            output that is there already.
    """
    target = Path(output)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target}: is there already, choose another name with -o")
    told = description or Description(target.name)
    found, sources = find_runs(folders)
    groups, notes = grouped(chosen_runs(found, sources, proxies))
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        meta = _write(scratch, groups, sources, notes, told, target.name)
        if target.exists():
            target.rmdir()
        scratch.chmod(0o755)
        os.replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return meta


def _write(
    root: Path,
    groups: Sequence[TaskGroup],
    sources: Sequence[Source],
    notes: Sequence[str],
    told: Description,
    folder: str,
) -> dict[str, Any]:
    """Writes everything into an empty folder and returns the content of `dataset.json`."""
    from archgym.croissant import card, croissant

    spaces: dict[str, SpaceColumns] = {}
    tasks: dict[str, dict[str, Any]] = {}
    files: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for group in groups:
        space = SpaceColumns(group.manifest)
        space = spaces.setdefault(space.id, space)
        task = slug(group.name)
        while task in tasks:
            task += "_"
        counts = _Counts()
        place = f"trials/space={space.id}/task={task}"
        written = _write_trials(root, place, group, space, counts)
        files |= {name: {"rows": count, **_sum(root / name)} for name, count in written}
        tasks[task] = _task(group, space, counts)
        rows += [_run_row(run, task, count, sources) for run, count in counts.runs]
        for run, count in counts.runs:
            sources[run.source].empty += count == 0
    if not any(row["trials"] for row in rows):
        raise ValueError("dataset: the results folders hold no trial that can be exported")
    _write_runs(root / "runs.parquet", rows)
    files["runs.parquet"] = {"rows": len(rows), **_sum(root / "runs.parquet")}
    listed = _write_experiments(root, sources)
    names = " ".join(shlex.quote(source.folder) for source in sources)
    finished = max((row["finished"] for row in rows), default="")
    meta: dict[str, Any] = {
        "format": FORMAT,
        "name": told.name,
        "license": told.license,
        "url": told.url,
        "creators": list(told.creators),
        "date": (finished or max(row["started"] for row in rows))[:10],
        "command": f"archgym dataset export {names} -o {shlex.quote(folder)}",
        "spaces": {key: space.describe() for key, space in spaces.items()},
        "tasks": tasks,
        "sources": listed,
        "notes": [*notes, *(note for source in sources for note in source.notes())],
        "files": files,
    }
    (root / "dataset.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    text = json.dumps(croissant(meta), indent=1, ensure_ascii=False)
    (root / "croissant.json").write_text(text + "\n", encoding="utf-8")
    (root / "README.md").write_text(card(meta), encoding="utf-8")
    return meta


class _Counts:
    """What is counted while the trials of a task are written."""

    def __init__(self) -> None:
        self.runs: list[tuple[Run, int]] = []
        self.trials = 0
        self.feasible = 0
        self.designs: set[bytes] = set()

    def add(self, run: Run, trials: polars.DataFrame) -> None:
        self.runs.append((run, len(trials)))
        if len(trials):
            self.trials += len(trials)
            self.feasible += int(trials["feasible"].sum())
            rows = trials["design"].to_numpy().astype(np.int16)
            self.designs.update(row.tobytes() for row in rows)


def _write_trials(
    root: Path, folder: str, group: TaskGroup, space: SpaceColumns, counts: _Counts
) -> Iterator[tuple[str, int]]:
    """Writes the trials of a task file by file; yields name and number of rows of each."""
    import polars

    frames: list[polars.DataFrame] = []
    waiting = number = 0
    for run in [*group.runs, None]:
        if run is not None:
            trials = run.trials()
            counts.add(run, trials)
            if len(trials):
                frames.append(space.frame(run, trials))
                waiting += len(trials)
        while frames and (waiting >= ROWS_PER_FILE or run is None):
            whole = polars.concat(frames)
            part, rest = whole.head(ROWS_PER_FILE), whole.slice(ROWS_PER_FILE)
            name = f"{folder}/part-{number}.parquet"
            (root / folder).mkdir(parents=True, exist_ok=True)
            part.write_parquet(root / name, compression="zstd", row_group_size=_ROWS_PER_GROUP)
            yield name, len(part)
            frames, waiting, number = [rest] if len(rest) else [], len(rest), number + 1


def _task(group: TaskGroup, space: SpaceColumns, counts: _Counts) -> dict[str, Any]:
    manifest = group.manifest
    return {
        "name": group.name,
        "problem": group.problem,
        "space": space.id,
        "spec": manifest["task"],
        "default": manifest["default"],
        "reference": manifest["reference"],
        "version": group.runs[0].version,
        "agents": sorted({run.manifest["agent"] for run in group.runs}),
        "runs": len(group.runs),
        "trials": counts.trials,
        "designs": len(counts.designs),
        "feasible": counts.feasible,
    }


def _run_row(run: Run, task: str, count: int, sources: Sequence[Source]) -> dict[str, Any]:
    manifest = run.manifest
    git = manifest.get("git")
    return {
        "run": run.id,
        "task": task,
        "fidelity": run.fidelity,
        "agent": manifest["agent"],
        "label": run.label,
        "hyperparameters": run.settings,
        "settings": json.dumps(manifest["hyperparameters"], sort_keys=True),
        "seed": manifest["seed"],
        "budget": manifest["budget"],
        "trials": count,
        "status": "complete" if run.complete else "partial",
        "stop_reason": str(manifest.get("stop_reason") or ""),
        "source": sources[run.source].folder,
        "version": run.version,
        "versions": json.dumps(manifest.get("versions", {}), sort_keys=True),
        "commit": str(git["commit"]) if isinstance(git, Mapping) else "",
        "started": str(manifest.get("started") or ""),
        "finished": str(manifest.get("finished") or ""),
    }


def _write_runs(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import polars

    numbers = ("seed", "budget", "trials")
    schema = {name: polars.Int64 if name in numbers else polars.String for name in RUN_COLUMNS}
    polars.DataFrame(rows, schema=schema).write_parquet(path, compression="zstd")


def _write_experiments(root: Path, sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Writes the experiment files and returns what `dataset.json` says of the results folders."""
    listed = []
    taken: set[str] = set()
    for source in sources:
        counts = {k: v for k, v in vars(source).items() if k != "experiment"}
        if source.experiment is not None:
            name = slug(source.name)
            while name in taken:
                name += "_"
            taken.add(name)
            counts["experiment"] = f"experiments/{name}.yaml"
            file = root / counts["experiment"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(yamlfile.dump(source.experiment), encoding="utf-8")
        listed.append(counts)
    return listed


def _sum(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
