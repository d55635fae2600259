"""Carries out the runs of a study that are not stored yet."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from archgym.experiment import load_experiment
from archgym.plan import RunSpec
from archgym.worker import THREAD_LIMITS
from studies.data import Stored, writing
from studies.rows import Row, carried_out

WRITE_EVERY_SECONDS = 120.0
"""How long a result may be in memory only."""


def in_order(specs: Sequence[RunSpec], by: str) -> list[RunSpec]:
    """Returns runs `agent` by agent, or `task` by task, so that what is complete first is whole."""
    keys = [spec.label if by == "agent" else spec.task_name for spec in specs]
    places = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    order = sorted(range(len(specs)), key=lambda i: places[keys[i]])
    return [specs[i] for i in order]


def run_study(
    name: str,
    file: Path,
    workers: int,
    say: Callable[[str], None],
    *,
    agents: Sequence[str] = (),
    by: str = "agent",
) -> list[str]:
    """Carries out what is missing of a study, and stores it again and again.

    Args:
        name: of the experiment, or its file.
        file: where results are stored.
        workers: processes.
        say: is told of the progress.
        agents: that are run now; none for all.
        by: what is completed first, one `agent` or one `task` after the other.

    Returns:
        One line per run that failed.

    Raises:
        ValueError: for an experiment that does not fit, a worker that died, or if another process
            writes to the file.
    """
    experiment = load_experiment(name)
    specs = experiment.runs()
    with writing(file):
        stored = Stored(experiment, specs, file)
        return _complete(stored, specs, workers, say, agents, by)


def _complete(
    stored: Stored,
    specs: Sequence[RunSpec],
    workers: int,
    say: Callable[[str], None],
    agents: Sequence[str],
    by: str,
) -> list[str]:
    """Carries out the runs that are not stored; see `run_study`."""
    todo = [s for s in in_order(stored.missing(), by) if not agents or s.agent in agents]
    say(f"{len(todo):,} of {len(specs):,} runs to do")
    failures: list[str] = []
    last = time.monotonic()
    try:
        for done, (spec, result) in enumerate(_results(todo, workers), start=1):
            if isinstance(result, str):
                failures.append(f"{spec.label} on {spec.task_name}, seed {spec.seed}: {result}")
                continue
            stored.add(spec, result)
            if time.monotonic() - last > WRITE_EVERY_SECONDS:
                stored.write()
                last = time.monotonic()
                say(f"{done:,} of {len(todo):,} runs done, at {spec.label}")
    finally:
        if len(stored.missing()) < len(specs):
            stored.write()
    return failures


def _results(specs: Sequence[RunSpec], workers: int) -> Iterator[tuple[RunSpec, Row | str]]:
    """Yields each run with its row, or with why it failed."""
    os.environ.update(THREAD_LIMITS)  # before the workers import anything
    todo = iter(specs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running: dict[Future[Row | str], RunSpec] = {}
        while True:
            for spec in itertools.islice(todo, 2 * workers - len(running)):
                running[pool.submit(_attempt, spec)] = spec
            if not running:
                return
            for each in wait(running, return_when=FIRST_COMPLETED)[0]:
                spec = running.pop(each)
                try:
                    yield spec, each.result()
                except BrokenProcessPool:
                    raise ValueError(f"a worker died during {spec.label}; run it again") from None


def _attempt(spec: RunSpec) -> Row | str:
    try:
        return carried_out(spec)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
