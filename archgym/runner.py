"""Runs an experiment: every pending run once, in worker processes, resumable after any stop."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from archgym.experiment import Experiment, ExperimentError
from archgym.optimum import score_to_stop_at
from archgym.plan import RunSpec
from archgym.warm import load_warm_start
from archgym.worker import THREAD_LIMITS, build_task, carry_out
from archgym.workspace import locked, pending_runs, write_plan

Done = Callable[[RunSpec, str | None], None]
"""Called with each run that has ended and, if it failed, with the reason."""


class Listener(Protocol):
    """Who is told how an experiment goes on."""

    def note(self, text: str) -> None:
        """Hears what is being prepared."""
        ...

    def start(self, total: int, complete: int) -> None:
        """Hears how many runs there are, and how many of them were complete before."""
        ...

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """Hears that a run has ended."""
        ...


class _Silent:
    def note(self, text: str) -> None: ...

    def start(self, total: int, complete: int) -> None: ...

    def ended(self, spec: RunSpec, failure: str | None) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How an experiment ended.

    Attributes:
        folder: the results folder.
        total: number of runs of the experiment, those of external agents left out.
        complete: number of complete runs now.
        failures: runs that failed, with the reason in one line.
        interrupted: whether it was stopped by Ctrl-C.
    """

    folder: Path
    total: int
    complete: int
    failures: tuple[tuple[RunSpec, str], ...]
    interrupted: bool


def usable_cpus() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_experiment(
    experiment: Experiment,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    ray: str | None = None,
    listener: Listener | None = None,
) -> Outcome:
    """Runs an experiment.

    The trials of a run depend on nothing but the run: not on the number of workers, not on the
    order, not on how often it was stopped and resumed.

    Args:
        experiment: what to run.
        folder: the results folder; `results/NAME` if left out.
        resume: whether to go on with an experiment that the folder already holds.
        workers: number of processes; 1 runs in this one, None takes one per usable core.
        ray: address of a Ray cluster to run on, or `auto`, see `archgym.ray_runs`; None runs
            without Ray. `workers` is then the most runs at a time.
        listener: who is told about the progress.

    Returns:
        How it ended; a failed or interrupted run does not raise.

    Raises:
        ValueError: before anything runs, for names and values that do not exist, a folder that
            holds something else, or a cluster that does not answer.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: value {workers} is below 1")
    root = Path("results") / experiment.name if folder is None else Path(folder)
    heard = listener or _Silent()
    planned = experiment.runs()
    specs = [spec for spec in planned if not spec.external]
    if not specs:
        raise ExperimentError(
            ["agents: all are external, a script makes their runs (archgym.external_runs)"]
        )
    _prepare(pending_runs(experiment, specs, root, resume), heard)
    with locked(root):
        # Looked at again, now that no other process can change it.
        pending = pending_runs(experiment, specs, root, resume)
        write_plan(experiment, planned, root)
        heard.start(len(specs), len(specs) - len(pending))
        failures: list[tuple[RunSpec, str]] = []
        ended = 0

        def done(spec: RunSpec, failure: str | None) -> None:
            nonlocal ended
            ended += 1
            if failure is not None:
                failures.append((spec, failure))
            heard.ended(spec, failure)

        count = min(workers or usable_cpus(), len(pending))
        interrupted = False
        try:
            if ray is not None and pending:
                from archgym.ray_runs import run_on_ray

                run_on_ray(pending, root, ray, workers, done)
            elif count > 1:
                _run_in_processes(pending, root, count, done)
            else:
                for spec in pending:
                    done(spec, carry_out(spec, root))
        except KeyboardInterrupt:
            interrupted = True
        complete = len(specs) - len(pending) + ended - len(failures)
        order = {spec.folder: i for i, spec in enumerate(specs)}
        failures.sort(key=lambda each: order[each[0].folder])
        return Outcome(root, len(specs), complete, tuple(failures), interrupted)


def _prepare(specs: Sequence[RunSpec], listener: Listener) -> None:
    """Builds every task once: finds what is wrong with it, and leaves compiled code in the cache.

    Raises:
        ExperimentError: with one line per task that cannot be built, or that has no optimum at
            which its runs could stop.
    """
    problems = []
    stopping = {spec.task_name for spec in specs if spec.stop_at_optimum}
    for name, task in {spec.task_name: spec.task for spec in specs}.items():
        listener.note(f"preparing {name}")
        try:
            built = build_task(task)
        except ValueError as error:
            problems.append(f"task {name!r}: {error}")
            continue
        try:
            if name in stopping:
                score_to_stop_at(built)
        except ValueError as error:
            problems.append(f"budget.{error}")
    told = {(s.label, s.warm_start, s.task_name): s for s in specs if s.warm_start is not None}
    for (label, source, _), spec in {} if problems else told.items():
        try:
            load_warm_start(source, build_task(spec.task))
        except ValueError as error:
            problems.append(f"agent {label!r}: {error}")
    if problems:
        raise ExperimentError(problems)


class _Worker:
    """A worker process, started when the first run is given to it and again after it died."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def _started(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._process is None and not self._stopped:
                # Its own process group, so that Ctrl-C reaches the parent alone; -P, so that no
                # file in the current folder is imported in place of a library.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "archgym.worker", str(self._root)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **THREAD_LIMITS},
                    text=True,
                    encoding="utf-8",
                    process_group=0,
                )
            return self._process

    def run(self, spec: RunSpec) -> str | None:
        """Has one run carried out and returns why it failed, None if it did not."""
        process = self._started()
        if process is None:
            return "stopped"
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(spec.to_dict()) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer.endswith("\n"):
            failure: str | None = json.loads(answer)["failure"]
            return failure
        self._process = None
        return _cause_of_death(process.wait())

    def stop(self) -> None:
        """Ends the process at once; what it has written can be resumed."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()


def _cause_of_death(code: int) -> str:
    if code >= 0:
        return f"its worker process ended with exit status {code}"
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return f"its worker process was killed by signal {-code} ({signal.strsignal(-code)}){hint}"


def _run_in_processes(specs: Sequence[RunSpec], root: Path, count: int, done: Done) -> None:
    """Keeps `count` workers busy until every run has ended; stops them all if interrupted."""
    todo: queue.SimpleQueue[RunSpec] = queue.SimpleQueue()
    for spec in specs:
        todo.put(spec)
    ended: queue.SimpleQueue[tuple[RunSpec, str | None]] = queue.SimpleQueue()

    def feed(worker: _Worker) -> None:
        while True:
            try:
                spec = todo.get_nowait()
            except queue.Empty:
                return
            try:
                failure = worker.run(spec)
            except OSError as error:
                failure = f"its worker process cannot be started ({error.strerror})"
            ended.put((spec, failure))

    workers = [_Worker(root) for _ in range(count)]
    threads = [threading.Thread(target=feed, args=(w,), daemon=True) for w in workers]
    try:
        for thread in threads:
            thread.start()
        for _ in specs:
            done(*ended.get())
    finally:
        for worker in workers:
            worker.stop()
