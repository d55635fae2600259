"""One run carried out, in this process or in a worker process that takes runs one after another.

A worker is started as `python -m archgym.worker ROOT`. It reads one run per line of standard input
(a `RunSpec` as JSON) and answers each with one line (`{"failure": null or text}`). It ends when its
input ends, at once even in the middle of a run, so it never outlives the process that started it.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path

from archgym.plan import RunSpec
from archgym.run import search
from archgym.task import Task, make_task

THREAD_LIMITS = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "POLARS_MAX_THREADS",
    )
}
"""Environment of a worker: one core each, set before NumPy and Numba are imported."""


@functools.lru_cache(maxsize=4)
def _task(spec: str) -> Task:
    return make_task(**json.loads(spec))


def build_task(spec: dict[str, object]) -> Task:
    """Builds a task, or returns it again if it was among the last few built in this process."""
    return _task(json.dumps(spec))


def carry_out(spec: RunSpec, root: Path) -> str | None:
    """Carries out one run, or the rest of one that was stopped.

    Args:
        spec: the run.
        root: the results folder.

    Returns:
        None if the run is complete now, else what went wrong in one line; the traceback is then in
        `error.txt` of the run's folder.
    """
    folder = root / spec.folder
    log = folder / "error.txt"
    try:
        search(
            build_task(spec.task),
            spec.agent,
            budget=spec.budget,
            max_repeats=spec.max_repeats,
            max_proposals=spec.max_proposals,
            stop_at_optimum=spec.stop_at_optimum,
            warm_start=spec.warm_start,
            seed=spec.seed,
            path=folder,
            **spec.hyperparameters,
        )
    except Exception as error:
        folder.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        text = " ".join(str(error).split())
        return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
    log.unlink(missing_ok=True)
    return None


def _read_runs(runs: queue.Queue[str]) -> None:
    for line in sys.stdin:
        runs.put(line)
    # The parent has ended or has closed the pipe; what is on disk can be resumed.
    os._exit(0)


def main() -> None:
    """Takes runs from standard input until it ends."""
    root = Path(sys.argv[1])
    # Answers go through the real standard output; whatever a run prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    runs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_runs, args=(runs,), daemon=True).start()
    while True:
        failure = carry_out(RunSpec(**json.loads(runs.get())), root)
        answers.write(json.dumps({"failure": failure}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
