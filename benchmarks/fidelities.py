"""What cheaper fidelities of the DRAM tasks cost, and how well they rank designs.

    python benchmarks/fidelities.py [--designs 200] [--workloads sort xz]

Per shipped task and cheaper fidelity: CPU time per design against that of the simulator (one
thread, after a first batch; of a table, without reading it), and Spearman's rank correlation of
feasible random designs with the simulator, per metric. `bounds` are the lower bounds of
`archgym.cost_models.dram.bounds` for each design's own channels and ranks; where they are the same
for all designs they rank nothing, shown as `-`.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

import archgym
from archgym.cost_models.dram import load_device, load_workload
from archgym.cost_models.dram.bounds import bounds
from archgym.environment import find_environment
from archgym.task import Task

ENV = "DramController-v0"
METRICS = ("read_latency_ns", "total_time_ns", "energy_pj", "power_mw")
Columns = dict[str, npt.NDArray[np.float64]]


def main() -> None:
    """Prints one line per task and fidelity, then medians over the tasks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=200)
    parser.add_argument("--workloads", nargs="*", default=list(find_environment(ENV).workloads()))
    given = parser.parse_args()
    print("| space | workload | fidelity | cost | " + " | ".join(METRICS) + " |")
    print("| --- | --- | --- | " + "--- | " * (1 + len(METRICS)))
    found: dict[tuple[str, str], list[list[float]]] = {}
    for space in ("modern", "archgym2023"):
        for workload in given.workloads:
            task = archgym.make_task(ENV, space=space, workload=workload)
            for fidelity, row in measured(task, given.designs).items():
                found.setdefault((space, fidelity), []).append(row)
                print(line(space, workload, fidelity, row), flush=True)
    for (space, fidelity), rows in found.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            print(line(space, "median", fidelity, np.nanmedian(rows, axis=0).tolist()))


def line(space: str, workload: str, fidelity: str, row: list[float]) -> str:
    """Returns cost and correlations as a row of a Markdown table."""
    cost = "-" if np.isnan(row[0]) else f"{row[0]:.3f}"
    cells = ["-" if np.isnan(value) else f"{value:.2f}" for value in row[1:]]
    return "| " + " | ".join([space, workload, fidelity, cost, *cells]) + " |"


def measured(task: Task, count: int) -> dict[str, list[float]]:
    """Returns cost and rank correlations of every cheaper fidelity, and of the bounds."""
    rows = feasible_rows(task, count)
    right, usual = answers(task, rows)
    found = {}
    for fidelity in task.fidelities[:-1]:
        told, seconds = answers(task.at(fidelity.name), rows)
        found[fidelity.name] = [seconds / usual, *correlations(told, right)]
    return {**found, "bounds": [np.nan, *correlations(relaxed(task, rows), right)]}


def feasible_rows(task: Task, count: int) -> npt.NDArray[np.int64]:
    """Draws designs that obey the constraints `(count, d)`."""
    rows = task.space.canonical(task.space.sample(20 * count, np.random.default_rng(0)))
    broken = np.logical_or.reduce(list(task.space.violations(rows).values()))
    return rows[~broken][:count]


def answers(task: Task, rows: npt.NDArray[np.int64]) -> tuple[Columns, float]:
    """Returns metrics, and CPU seconds for all designs."""
    task.evaluate(rows)
    begin = time.process_time()
    metrics = task.evaluate(rows).metrics
    return dict(metrics), time.process_time() - begin


def correlations(told: Columns, right: Columns) -> list[float]:
    """Returns Spearman's rank correlation per metric, NaN where one side is constant."""
    return [
        float(spearmanr(told[name], right[name]).statistic)
        if np.ptp(told[name]) and np.ptp(right[name])
        else np.nan
        for name in METRICS
    ]


def relaxed(task: Task, rows: npt.NDArray[np.int64]) -> Columns:
    """Returns the bounds of every design's own channels and ranks."""
    device = load_device(task.options["device"])
    trace = load_workload(task.options["workload"])
    columns, own = task.space.columns(rows), device.organisation
    channels = columns.get("Channels", np.full(len(rows), own.channels)).tolist()
    ranks = columns.get("Ranks", np.full(len(rows), own.ranks)).tolist()
    known = {
        pair: bounds(device, trace, channels=pair[0], ranks=pair[0] * pair[1])
        for pair in set(zip(channels, ranks, strict=True))
    }
    each = [known[pair] for pair in zip(channels, ranks, strict=True)]
    return {name: np.array([bound[name] for bound in each]) for name in METRICS}


if __name__ == "__main__":
    main()
