"""What a design of `Accelerator-v0` takes by fidelity, and how well `roofline` ranks designs.

    python benchmarks/accelerator_environment.py [--designs 1024] [--workloads resnet50 bert-base]

Per workload: CPU microseconds per design and fidelity (one thread, feasible random designs in one
batch, best of five after a first one), and Spearman's rank correlation of the roofline's metrics
with the systolic array's.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

import archgym
from archgym.task import Task

METRICS = ("latency_ms", "energy_mj", "dram_traffic_mb")
WORKLOADS = ("resnet50", "mobilenet-v2", "bert-base", "llama-2-7b", "bert-base+resnet50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=1024)
    parser.add_argument("--workloads", nargs="*", default=WORKLOADS)
    given = parser.parse_args()
    print("| workload | systolic us | roofline us | ratio | " + " | ".join(METRICS) + " |")
    print("| --- | --- | --- | --- | " + "--- | " * len(METRICS))
    for workload in given.workloads:
        task = archgym.make_task("Accelerator-v0", workload=workload)
        bound = task.at("roofline")
        rows = task.space.sample(8 * given.designs, np.random.default_rng(0))
        rows = rows[task.evaluate(rows).feasible][: given.designs]
        right, told = task.evaluate(rows).metrics, bound.evaluate(rows).metrics
        usual, cheap = (microseconds(each, rows) for each in (task, bound))
        ranks = [float(spearmanr(told[name], right[name]).statistic) for name in METRICS]
        cells = [workload, f"{usual:.1f}", f"{cheap:.1f}", f"{cheap / usual:.2f}"]
        print("| " + " | ".join([*cells, *(f"{rank:.2f}" for rank in ranks)]) + " |", flush=True)


def microseconds(task: Task, rows: npt.NDArray[np.int64]) -> float:
    """Returns the least CPU time per design of five runs."""
    taken = []
    for _ in range(5):
        begin = time.process_time()
        task.evaluate(rows)
        taken.append(time.process_time() - begin)
    return 1e6 * min(taken) / len(rows)


if __name__ == "__main__":
    main()
