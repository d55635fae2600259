"""Searches of `Mapping-v0` against its proven optima, and evaluations per second.

Usage: python benchmarks/mapping.py [--hardware NAME ...] [--workload NAME ...]
                                    [--objective NAME ...] [--budget N] [--seeds N]

Prints, per accelerator, designs per second of one core, and where ZigZag is installed (see
ARCHGYM_ZIGZAG_PYTHON in docs/mapping.md) how it ranks mappings. Then a line per case: the optimum,
how it was proven (CPU time as the shipped files record it), and how many times the optimum the best
designs of random and genetic search cost, medians over seeds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import archgym
from archgym.cost_models.accelerator.external import installed_zigzag
from archgym.cost_models.accelerator.loopnest.workloads import workload_names
from archgym.cost_models.validation import spearman
from archgym.envs.mapping import HARDWARE

AGENTS = ("random", "genetic")


def factor(task, agent: str, budget: int, seeds: int) -> float:
    """Median of what the best design found costs, over the optimum."""
    found = []
    for seed in range(seeds):
        best = archgym.search(task, agent=agent, budget=budget, seed=seed).best
        found.append(task.optimum.score - best.score if best else np.inf)
    return float(np.exp(np.median(found)))


def case(hardware: str, workload: str, objective: str, budget: int, seeds: int) -> str:
    """A line of the table."""
    task = archgym.make_task(
        "Mapping-v0", hardware=hardware, workload=workload, objective=objective
    )
    best = task.optimum
    if best is None:
        return f"| {hardware} | {workload} | {objective} | not known |"
    value = best.metrics[objective_metric(task)]
    times = " | ".join(f"{factor(task, agent, budget, seeds):.2f}" for agent in AGENTS)
    explored, _, seconds = best.source.removeprefix("branch and bound: ").rpartition(", ")
    return (
        f"| {hardware} | {workload} | {objective} | {best.kind} | {task.space.size:.1e} | "
        f"{value:.4g} | {explored} | {seconds.removesuffix(' of one core')} | {times} |"
    )


def objective_metric(task) -> str:
    """The metric of an objective of one."""
    return task.objective.metrics[0]


def speed(hardware: str, space: str, n: int) -> str:
    """Designs per second on one core, breakdown included."""
    task = archgym.make_task("Mapping-v0", hardware=hardware, space=space)
    rows = task.space.sample(n, np.random.default_rng(0))
    task.evaluate(rows[:16])
    start = time.process_time()
    feasible = task.evaluate(rows).feasible.mean()
    rate = n / (time.process_time() - start)
    return f"{hardware} {space}: {rate:,.0f} designs per second, {feasible:.0%} of random ones fit"


def agreement(hardware: str, n: int = 200) -> str:
    """How ZigZag ranks random mappings that fit, and its figures over the own model's."""
    try:
        task = archgym.make_task("Mapping-v0", hardware=hardware, fidelity="zigzag")
    except ValueError as error:
        return str(error)
    own = task.at("loopnest")
    rows = task.space.sample(100 * n, np.random.default_rng(0))
    rows = rows[own.evaluate(rows).feasible][:n]
    ours, cpu = own.evaluate(rows).metrics, installed_zigzag().tool.cpu_s
    theirs = task.evaluate(rows).metrics
    spent = 1e3 * (installed_zigzag().tool.cpu_s - cpu) / len(rows)
    line = f"{hardware}: ZigZag on {len(rows)} mappings, {spent:.1f} ms of CPU each"
    for name in ("latency_cycles", "energy_pj", "dram_traffic_bytes"):
        ratios = theirs[name] / ours[name]
        rank = spearman(theirs[name], ours[name])
        line += f"; {name} rank {rank:.3f}, {np.median(ratios):.2f} ({ratios.min():.2f} to "
        line += f"{ratios.max():.2f}) of the own"
    return line


def main() -> None:
    """Prints table and speeds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hardware", nargs="*", default=list(HARDWARE))
    parser.add_argument("--workload", nargs="*", default=list(workload_names()))
    parser.add_argument("--objective", nargs="*", default=["edp", "latency", "energy"])
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for hardware in given.hardware:
        print(speed(hardware, "factors", 100_000), flush=True)
        print(speed(hardware, "imperfect-factors", 10_000), flush=True)
        print(agreement(hardware), flush=True)
    for hardware in given.hardware:
        for workload in given.workload:
            for objective in given.objective:
                print(case(hardware, workload, objective, given.budget, given.seeds), flush=True)


if __name__ == "__main__":
    main()
