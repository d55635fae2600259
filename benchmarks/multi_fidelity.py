"""Successive halving through cheaper fidelities against searches at full fidelity, at equal cost.

    python benchmarks/multi_fidelity.py [--space modern] [--workloads sort gcc ...]
        [--objective low-latency] [--budget 40] [--seeds 10] [--agents random ...]

Every search has the same budget in samples; a design at a cheaper fidelity takes its declared cost.
`single` is successive halving that starts at the task's own fidelity: mutation and selection
without screening, so the difference to it is what the cheaper fidelity gives. Per task and method:
the median over seeds of the regret (0: the optimum, proven or best known; 1: a random design), and
the share of pairs of runs that are better than random search, ties counting half.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

import archgym
from archgym.comparison import probability_of_improvement
from archgym.environment import find_environment

ENV = "DramController-v0"
HALVING = {
    "short": {"lowest": "short"},
    "hyperband": {"lowest": "short", "hyperband": True},
    "table": {"lowest": "table"},
    "single": {"lowest": "simulator"},
}


def main() -> None:
    """Prints one line per task, then the means over the tasks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="modern", choices=("modern", "archgym2023"))
    parser.add_argument("--workloads", nargs="*", default=list(find_environment(ENV).workloads()))
    parser.add_argument("--objective", default="low-latency")
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--agents", nargs="*", default=["random", "hill-climbing"])
    given = parser.parse_args()
    found: dict[str, list[npt.NDArray[np.float64]]] = {}
    for workload in given.workloads:
        task = archgym.make_task(
            ENV, space=given.space, workload=workload, objective=given.objective
        )
        if task.optimum is None:
            print(f"{workload}: no optimum is known")
            continue
        names = {each.name for each in task.fidelities}
        methods = {name: (name, {}) for name in given.agents}
        methods |= {
            name: ("successive-halving", settings)
            for name, settings in HALVING.items()
            if settings["lowest"] in names
        }
        cells = []
        for name, (agent, settings) in methods.items():
            regrets = np.array(
                [
                    archgym.search(task, agent, budget=given.budget, seed=s, **settings).regret
                    for s in range(given.seeds)
                ]
            )
            found.setdefault(name, []).append(regrets)
            better = probability_of_improvement([regrets], [found["random"][-1]])
            cells.append(f"{name} {np.median(regrets):.3f} ({better:.0%})")
        print(f"{workload}: {', '.join(cells)}", flush=True)
    for name, values in found.items():
        better = probability_of_improvement(values, found["random"][-len(values) :])
        mean = np.mean([np.median(each) for each in values])
        print(f"{name}: mean of the median regrets {mean:.3f}, better than random in {better:.0%}")


if __name__ == "__main__":
    main()
