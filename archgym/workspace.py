"""The results folder of an experiment: what it holds, and that only one process writes to it.

experiment.yaml    the experiment with its overrides; runs again as it is
runs.json          every run that belongs to it
runs/TASK/AGENT/seed-N/    one trial store per run
report/            the report, once it is written
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from archgym import yamlfile
from archgym.experiment import Experiment, parse_experiment
from archgym.plan import RunSpec
from archgym.store import read_manifest, write_atomically

_LOCK = ".lock"


def run_status(root: Path, spec: RunSpec) -> str:
    """Returns `complete`, `partial` or `missing`."""
    manifest = read_manifest(root / spec.folder)
    if manifest is None:
        return "missing"
    return "complete" if manifest["status"] == "complete" else "partial"


def pending_runs(
    experiment: Experiment, specs: Sequence[RunSpec], root: Path, resume: bool
) -> list[RunSpec]:
    """Returns the runs that are still to be done in a results folder.

    Raises:
        ValueError: if the folder holds something else, or this experiment and `resume` is false.
    """
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: is a file, choose another folder with -o")
    others = [p.name for p in root.iterdir() if p.name != _LOCK] if root.exists() else []
    if not others:
        return list(specs)
    if "experiment.yaml" not in others:
        raise ValueError(
            f"{root}: holds other files ({_some(sorted(others))}), choose an empty or new folder "
            f"with -o"
        )
    check_same(experiment, root)
    statuses = [run_status(root, spec) for spec in specs]
    complete = statuses.count("complete")
    if not resume and complete == len(specs):
        raise ValueError(
            f"{root}: holds this experiment, complete; see it with `archgym show {root}`, or "
            f"choose another folder with -o"
        )
    if not resume and (complete or "partial" in statuses):
        raise ValueError(
            f"{root}: holds {complete} of {len(specs)} runs of this experiment; continue it with "
            f"--resume, or choose another folder with -o"
        )
    return [spec for spec, status in zip(specs, statuses, strict=True) if status != "complete"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def check_same(experiment: Experiment, root: Path, command: str = "run") -> None:
    """Compares an experiment with the one that a folder holds.

    Args:
        experiment: to compare, its description apart.
        root: the folder.
        command: of `archgym`, that continues what is in the folder.

    Raises:
        ValueError: if they differ, naming the first difference.
    """
    file = root / "experiment.yaml"
    try:
        there = parse_experiment(yamlfile.read(file)).dump()
    except ValueError as error:
        raise ValueError(
            f"{file}: cannot be read as an experiment ({str(error).splitlines()[0]}), choose "
            f"another folder with -o"
        ) from None
    here = experiment.dump()
    for each in (here, there):
        each.pop("description", None)
    if here != there:
        raise ValueError(
            f"{root}: holds a different experiment ({_difference(there, here)}); choose another "
            f"folder with -o, or continue that one with `archgym {command} {file} -o {root} "
            f"--resume`"
        )


def _difference(there: Any, here: Any, field: str = "") -> str:
    """Names the first value in which two experiments differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            if there.get(key) != here.get(key):
                name = f"{field}.{key}" if field else key
                return _difference(there.get(key), here.get(key), name)
    both_lists = isinstance(there, list) and isinstance(here, list)
    if both_lists and len(there) == len(here):
        for i, (one, other) in enumerate(zip(there, here, strict=True)):
            if one != other:
                return _difference(one, other, f"{field}[{i}]")
    if both_lists:
        return f"{field} has {len(there)} entries there, {len(here)} now"
    return f"{field} is {there!r} there, {here!r} now"


def write_plan(experiment: Experiment, specs: Sequence[RunSpec], root: Path) -> None:
    """Writes the experiment and the list of its runs."""
    write_atomically(root / "experiment.yaml", yamlfile.dump(experiment.dump()))
    text = json.dumps([spec.to_dict() for spec in specs], indent=1)
    write_atomically(root / "runs.json", text + "\n")


def read_plan(root: Path) -> list[RunSpec]:
    """Reads the list of runs of a results folder.

    Raises:
        ValueError: if the folder holds none.
    """
    file = root / "runs.json"
    if not file.is_file():
        raise ValueError(f"{root}: holds no results (there is no runs.json)")
    try:
        return [RunSpec(**each) for each in json.loads(file.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: is not a list of runs ({error})") from None


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Makes the folder and holds its lock; see `held`.

    Raises:
        ValueError: if another process holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    with held(root / _LOCK, root, "folder"):
        yield


@contextlib.contextmanager
def held(lock: Path, target: Path, kind: str) -> Iterator[None]:
    """Holds a lock, which the system releases when the process dies.

    Args:
        lock: a file for this alone, which is made, and stays.
        target: what only one process may write to, as the error names it.
        kind: what that is, `folder` or `file`.

    Raises:
        ValueError: if another process holds it.
    """
    import fcntl

    with lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise ValueError(
                f"{target}: process {owner} is writing to this {kind}, wait for it or choose "
                f"another {kind} with -o"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
