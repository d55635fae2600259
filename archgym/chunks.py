"""Chunks of a tabulation: a range of design numbers evaluated and written to one file.

A worker is started as `python -m archgym.chunks FOLDER SPEC`. It reads one range per line of
standard input (`START STOP`) and answers each with one line (`{"designs": n}` or `{"failure":
text}`). It ends when its input ends, at once, so it never outlives the process that started it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.cost_model import Costs
from archgym.space import DesignSpace, IntArray
from archgym.task import Task, make_task

Range = tuple[int, int]


def designs_between(space: DesignSpace, start: int, stop: int) -> tuple[IntArray, IntArray]:
    """Returns numbers `(n,)` and rows `(n, d)` of the canonical designs that obey the constraints.

    Args:
        space: their design space.
        start: first mixed-radix number.
        stop: last one, exclusive.
    """
    rows = space.enumerate(start, stop)
    keep = (space.canonical(rows) == rows).all(axis=1)
    for mask in space.violations(rows).values():
        keep &= ~mask
    return start + np.flatnonzero(keep), rows[keep]


def chunk_file(folder: Path, chunk: Range) -> Path:
    """Returns the file of a chunk."""
    return folder / f"chunk-{chunk[0]:015d}.npz"


def write_chunk(task: Task, folder: Path, chunk: Range) -> int:
    """Evaluates a chunk and writes it, whole or not at all; returns its number of designs."""
    numbers, rows = designs_between(task.space, *chunk)
    costs = task.model.evaluate(rows)
    columns: dict[str, npt.NDArray[Any]] = {"numbers": numbers}
    for group in ("metrics", "violations", "breakdown"):
        for name, values in getattr(costs, group).items():
            columns[f"{group}:{name}"] = values
    path = chunk_file(folder, chunk)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # Slashes in names would be folders of the archive, so names go in a list of their own.
    named: dict[str, Any] = {f"c{i}": values for i, values in enumerate(columns.values())}
    with temporary.open("wb") as file:
        np.savez(file, names=np.array(list(columns)), **named)
    os.replace(temporary, path)
    return len(numbers)


def read_chunk(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Returns the columns of a chunk.

    Raises:
        ValueError: for a file that cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {str(name): file[f"c{i}"] for i, name in enumerate(file["names"])}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: is not a chunk ({error}); remove it and resume") from None


def join_chunks(paths: Sequence[Path]) -> tuple[IntArray, Costs]:
    """Returns numbers `(n,)` and costs of chunks in their order."""
    chunks = [read_chunk(path) for path in paths]
    columns = {name: np.concatenate([c[name] for c in chunks]) for name in chunks[0]}
    groups: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for key, values in columns.items():
        group, _, name = key.partition(":")
        groups.setdefault(group, {})[name] = values
    costs = Costs(
        groups.get("metrics", {}), groups.get("violations", {}), groups.get("breakdown", {})
    )
    return columns["numbers"], costs


def task_of(spec: Mapping[str, Any]) -> Task:
    """Builds the task that is tabulated, whatever its objective."""
    return make_task(spec["env"], **spec["options"])


def _listen(ranges: queue.Queue[str]) -> None:
    for line in sys.stdin:
        ranges.put(line)
    # The parent has ended or has closed the pipe; what is on disk can be resumed.
    os._exit(0)


def main() -> None:
    """Takes ranges from standard input until it ends."""
    # Answers go through the real standard output; whatever a model prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    ranges: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(ranges,), daemon=True).start()
    folder = Path(sys.argv[1])
    task = task_of(json.loads(sys.argv[2]))
    while True:
        start, stop = (int(word) for word in ranges.get().split())
        answer: dict[str, Any]
        try:
            answer = {"designs": write_chunk(task, folder, (start, stop))}
        except Exception as error:
            text = " ".join(str(error).split())
            answer = {"failure": f"designs {start} to {stop}: {type(error).__name__}: {text}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
