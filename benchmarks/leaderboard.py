"""Builds a leaderboard of many synthetic runs and prints time, memory and the page's size.

    python benchmarks/leaderboard.py [--tasks 50] [--agents 15] [--seeds 20] [--samples 1000]

The trials are random designs of a tabulated task, each agent's better than those of the one before;
the files of one task serve all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from archgym.manifest import now, run_manifest
from archgym.plan import RunSpec
from archgym.store import trials_frame
from archgym.task import Task, make_task

TASK = {"env": "DramController-v0", "space": "archgym2023", "fidelity": "table", "workload": "sort"}


def write_run(folder: Path, task: Task, spec: RunSpec, strength: int) -> None:
    """Writes a finished run whose designs are the best of `strength + 1` random ones."""
    import polars

    rng = np.random.default_rng([spec.seed, strength])
    drawn = np.unique(task.space.sample(2 * (strength + 1) * spec.budget, rng), axis=0)
    evaluation = task.evaluate(rng.permutation(drawn)[: (strength + 1) * spec.budget])
    groups = np.arange(len(evaluation)) % spec.budget
    order = np.lexsort((-evaluation.score, groups))
    best = order[np.searchsorted(groups[order], np.arange(spec.budget))]
    folder.mkdir(parents=True)
    trials_frame(evaluation.take(best)).write_parquet(folder / "trials.parquet", compression="zstd")
    count = np.full(spec.budget // 10, 10)
    times = {"first": np.arange(len(count)) * 10, "count": count}
    times |= {
        f"{name}_seconds": rng.uniform(1e-4, 2e-3, len(count)) for name in ("agent", "evaluation")
    }
    polars.DataFrame(times).write_parquet(folder / "times.parquet", compression="zstd")
    manifest = run_manifest(task, spec.agent, {}, spec.seed, spec.budget)
    ended = {"status": "complete", "stop_reason": "budget", "finished": now()}
    (folder / "run.json").write_text(json.dumps(manifest | ended, indent=1))


def write_results(root: Path, tasks: int, agents: int, seeds: int, samples: int) -> None:
    """Writes a results folder of `tasks` x `agents` x `seeds` runs."""
    task = make_task(**TASK)
    specs = [
        RunSpec(
            f"runs/t{t}/a{a}/seed-{s}",
            TASK | {"workload": f"file:{t}"},  # tells the tasks apart, nothing reads it
            f"{task.name} {t}",
            "random",
            f"agent {a}",
            {"a": a},
            s,
            samples,
        )
        for t in range(tasks)
        for a in range(agents)
        for s in range(seeds)
    ]
    for i, spec in enumerate(specs):
        first = specs[i % (agents * seeds)]
        if spec is first:
            write_run(root / spec.folder, task, spec, int(spec.label.split()[1]))
            continue
        (root / spec.folder).mkdir(parents=True)
        for name in ("run.json", "trials.parquet", "times.parquet"):
            os.link(root / first.folder / name, root / spec.folder / name)
    (root / "runs.json").write_text(json.dumps([spec.to_dict() for spec in specs]))
    (root / "experiment.yaml").write_text(
        f"version: 1\nname: synthetic\nbudget: {{samples: {samples}}}\nseeds: {seeds}\n"
    )


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("tasks", 50), ("agents", 15), ("seeds", 20), ("samples", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        start = time.perf_counter()
        write_results(root, given.tasks, given.agents, given.seeds, given.samples)
        print(f"written in {time.perf_counter() - start:.1f} s", flush=True)
        command = [sys.executable, "-m", "archgym.cli", "leaderboard", str(root), "-o", "report"]
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = (Path(folder) / "report" / "index.html").stat().st_size / 1e6
        runs = given.tasks * given.agents * given.seeds
        print(f"runs: {runs:,}, samples per run: {given.samples:,}")
        print(f"seconds: {seconds:.1f} (of a core: {used.ru_utime + used.ru_stime:.1f})")
        print(f"peak memory: {used.ru_maxrss / 1e6:.2f} GB")
        print(f"page: {size:.1f} MB")


if __name__ == "__main__":
    main()
