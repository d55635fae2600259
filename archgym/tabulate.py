"""Tabulation: every different design of a space evaluated once, resumable, into one parquet file.

While it goes on, `FILE.parts/` holds `manifest.json` (what is tabulated) and one file per finished
chunk, each written under a temporary name and renamed, so a kill at any point loses the chunks in
flight and nothing else.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archgym.chunks import Range, chunk_file, join_chunks, task_of, write_chunk
from archgym.manifest import package_versions
from archgym.runner import usable_cpus
from archgym.store import write_atomically
from archgym.table import FORMAT, Table, file_digests, write_table
from archgym.task import Task
from archgym.worker import THREAD_LIMITS
from archgym.workspace import locked

LIMIT = 1_000_000
"""Designs that are tabulated without being asked twice."""

_MANIFEST = "manifest.json"
_SMALLEST, _CHUNKS = 64, 1_000
_INDEX_ROWS = 1 << 34  # looking at more index rows than this takes longer than an hour
_VERSIONS = ("archgym", "numpy", "numba")


@dataclass(frozen=True)
class Progress:
    """How far a tabulation is.

    Attributes:
        done: designs evaluated, those of earlier sessions included.
        total: designs of the table.
        seconds_left: at the pace of this session, None before its first chunk.
    """

    done: int
    total: int
    seconds_left: float | None

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return f"{self.done:,} of {self.total:,} designs{left}"


Listener = Callable[[Progress], None]


def duration(seconds: float) -> str:
    """Returns a time span in words, to two units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"


def tabulate_command(env: str, options: Mapping[str, Any], compact: bool) -> str:
    """Returns the command that makes a table of these options, without its file."""
    words = ["archgym", "tabulate", env]
    for name, value in options.items():
        text = json.dumps(value) if not isinstance(value, str) else value
        own = name in ("workload", "space")
        words += [f"--{name}", text] if own else ["--set", f"{name}={text}"]
    return shlex.join([*words, *(["--compact"] if compact else [])])


def table_meta(task: Task, options: Mapping[str, Any], designs: int, compact: bool) -> Any:
    """Returns the metadata of a table as plain data.

    Args:
        task: what is tabulated.
        options: those that the user gave, for the command.
        designs: number of designs.
        compact: the layout.
    """
    empty = task.model.evaluate(np.zeros((0, len(task.space)), np.int64))
    meta = {
        "format": FORMAT,
        "env": task.environment.id,
        "options": task.options,
        "files": file_digests(task.options),
        "space": task.space.describe(),
        "fingerprint": task.space.fingerprint,
        "default": task.default.tolist(),
        # Tells a changed cost model or trace, whose chunks must not be mixed with these.
        "reference": {k: v if np.isfinite(v) else None for k, v in task.reference.items()},
        "metrics": [metric.describe() for metric in task.metrics],
        "breakdown": list(empty.breakdown),
        "violations": list(empty.violations),
        "features": [float(value) for value in task.model.features],
        "designs": designs,
        "versions": {name: package_versions()[name] for name in _VERSIONS},
        "command": tabulate_command(task.environment.id, options, compact),
    }
    return json.loads(json.dumps(meta))


def _check_size(task: Task, limit: int) -> int:
    """Returns the number of different designs.

    Raises:
        ValueError: if there are more than `limit`.
    """
    space = task.space
    designs = space.canonical_size
    if designs > limit:
        raise ValueError(
            f"{task.environment.id}: the space has {designs:,} different designs ({space.size:,} "
            f"index rows), above the limit of {limit:,}; allow it with --limit {designs}, or "
            f"choose a smaller space"
        )
    if space.size > _INDEX_ROWS:
        raise ValueError(
            f"{task.environment.id}: the space has {space.size:,} index rows, at most "
            f"{_INDEX_ROWS:,} can be gone through"
        )
    return designs


def _chunks(size: int, designs: int) -> list[Range]:
    """Cuts the numbers `0..size` into ranges of about equally many designs."""
    count = max(1, min(_CHUNKS, designs // _SMALLEST))
    width = -(-size // count)
    return [(start, min(start + width, size)) for start in range(0, size, width)]


def tabulate(
    env: str,
    options: Mapping[str, Any],
    path: str | Path,
    *,
    compact: bool = False,
    workers: int | None = None,
    resume: bool = False,
    limit: int = LIMIT,
    listener: Listener | None = None,
) -> Table:
    """Evaluates every different design that obeys the constraints, and writes the table.

    The file's bytes depend on the task and the versions alone: not on the number of workers, nor on
    how often it was stopped and resumed.

    Args:
        env: environment id.
        options: keyword arguments of the environment.
        path: the parquet file to write.
        compact: one row per distinct outcome instead of one per design.
        workers: number of processes; 1 evaluates in this one, None takes one per usable core.
        resume: whether to go on with what an earlier call left behind.
        limit: refuse spaces with more different designs than this.
        listener: told how far it is.

    Raises:
        ValueError: for bad names or values, a space above the limit, a file that is there already,
            or parts of another tabulation.
    """
    file = Path(path)
    if workers is not None and workers < 1:
        raise ValueError(f"workers: value {workers} is below 1")
    if file.exists():
        raise ValueError(f"{file}: is there already, remove it or choose another file with -o")
    if not file.parent.is_dir():
        raise ValueError(f"{file.parent}: is not a folder")
    spec = {"env": env, "options": dict(options)}
    task = task_of(spec)
    chunks = _chunks(task.space.size, _check_size(task, limit))
    parts = file.with_name(file.name + ".parts")
    kept = _kept(parts, resume)
    with locked(parts):
        meta = table_meta(task, options, 0, compact)
        _claim(parts, meta, kept)
        todo = [chunk for chunk in chunks if not chunk_file(parts, chunk).exists()]
        report = _Report(task.space.canonical_size, len(chunks), len(chunks) - len(todo), listener)
        count = min(workers or usable_cpus(), len(todo))
        for _ in _in_processes(spec, parts, todo, count) if count > 1 else _here(task, parts, todo):
            report.advance()
        numbers, costs = join_chunks([chunk_file(parts, chunk) for chunk in chunks])
        outcome = np.arange(len(numbers), dtype=np.int64)
        table = Table({**meta, "designs": len(numbers)}, numbers, outcome, costs)
        write_table(table, file, compact=compact)
    shutil.rmtree(parts)
    return table


def _kept(parts: Path, resume: bool) -> Mapping[str, Any] | None:
    """Returns what earlier parts are of, None where there are none.

    Raises:
        ValueError: if there are some and they are not to be resumed.
    """
    file = parts / _MANIFEST
    if not file.is_file():
        return None
    if not resume:
        count = len(list(parts.glob("chunk-*.npz")))
        raise ValueError(
            f"{parts}: holds {count} chunks of an earlier tabulation; continue it with --resume, "
            f"or remove the folder"
        )
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{file}: cannot be read ({error}), remove the folder") from None


def _claim(parts: Path, meta: Mapping[str, Any], kept: Mapping[str, Any] | None) -> None:
    """Marks the folder as parts of this table.

    Raises:
        ValueError: if it holds parts of another one.
    """
    for name in meta if kept is not None else ():
        if kept is not None and kept.get(name) != meta[name]:
            raise ValueError(
                f"{parts}: holds parts of another table ({name} differs), remove the folder or "
                f"choose another file with -o"
            )
    write_atomically(parts / _MANIFEST, json.dumps(meta, indent=1) + "\n")


class _Report:
    """Turns finished chunks into progress with the time left."""

    def __init__(self, designs: int, chunks: int, done: int, listener: Listener | None) -> None:
        self._designs, self._chunks, self._done = designs, chunks, done
        self._listener = listener
        self._first, self._began = done, time.monotonic()
        self._tell()

    def advance(self) -> None:
        """Counts a chunk."""
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self._listener is None:
            return
        new = self._done - self._first
        seconds = time.monotonic() - self._began
        left = seconds / new * (self._chunks - self._done) if new else None
        done = self._designs * self._done // max(self._chunks, 1)
        self._listener(Progress(done, self._designs, left))


def _here(task: Task, parts: Path, todo: Sequence[Range]) -> Iterator[None]:
    for chunk in todo:
        write_chunk(task, parts, chunk)
        yield


class _Worker:
    """A worker process; see `archgym.chunks`."""

    def __init__(self, spec: Mapping[str, Any], parts: Path) -> None:
        # Its own process group, so that Ctrl-C reaches the parent alone; -P, so that no file in
        # the current folder is imported in place of a library.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "archgym.chunks", str(parts), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **THREAD_LIMITS},
            text=True,
            encoding="utf-8",
            process_group=0,
        )

    def run(self, chunk: Range) -> str | None:
        """Has a chunk written and returns why it failed, None if it did not."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{chunk[0]} {chunk[1]}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            answer = ""
        if not answer:
            return f"a worker process ended with exit status {self._process.wait()}"
        failure: str | None = json.loads(answer).get("failure")
        return failure

    def stop(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()


def _in_processes(
    spec: Mapping[str, Any], parts: Path, todo: Sequence[Range], count: int
) -> Iterator[None]:
    """Keeps `count` workers busy; yields per finished chunk, stops them all at the first failure.

    Raises:
        ValueError: with the reason of the first failure.
    """
    waiting: queue.SimpleQueue[Range] = queue.SimpleQueue()
    for chunk in todo:
        waiting.put(chunk)
    ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def feed(worker: _Worker) -> None:
        while True:
            try:
                chunk = waiting.get_nowait()
            except queue.Empty:
                return
            ended.put(worker.run(chunk))

    workers: list[_Worker] = []
    try:
        for _ in range(count):
            workers.append(_Worker(spec, parts))
            threading.Thread(target=feed, args=(workers[-1],), daemon=True).start()
        for _ in todo:
            failure = ended.get()
            if failure is not None:
                raise ValueError(f"tabulate: {failure}; all finished chunks are kept")
            yield
    finally:
        for worker in workers:
            worker.stop()
