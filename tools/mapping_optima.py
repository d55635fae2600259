"""Proves the optima of `Mapping-v0` by branch and bound, and writes what tasks know of them.

Usage: python tools/mapping_optima.py [--hardware NAME ...] [--workload NAME ...]
                                      [--set OPTION=VALUE ...] [--most-seconds S] [--output DIR]

One file per accelerator and operator, `envs/best_known/mapping/HARDWARE-OPERATOR.yaml`, with an
entry for every objective of one metric. Where the proof does not end within the CPU time allowed,
the entry says `best-known` and holds the bound that was reached. Without names, all that ship.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import archgym
from archgym import yamlfile
from archgym.best_known import counted, identity
from archgym.cost_models.accelerator.loopnest.branch_and_bound import (
    Optimum,
    branch_and_bound,
)
from archgym.cost_models.accelerator.loopnest.workloads import workload_names
from archgym.envs.mapping import BEST_KNOWN, ENVIRONMENT, HARDWARE
from archgym.task import Task

RANDOM_DESIGNS = 20_000
OBJECTIVES = {"edp": "edp", "latency": "cycles", "energy": "energy"}
HEAD = """\
# Optima of this operator on this accelerator, by objective; written by tools/mapping_optima.py.
# kind solver: proven by branch and bound; best-known: the best found, no design scores above bound.
# median_random_score: of random feasible designs.
"""


def told(task: Task, found: Optimum) -> dict[str, Any]:
    """Returns what the file says of a task."""
    if found.mapping is None:
        raise ValueError(f"{task.name}: no mapping fits")
    design = task.model.design(found.mapping)
    best = task.evaluate(task.space.encode(design)[None])
    metric = task.objective.metrics[0]
    if not best.feasible[0] or best.metrics[metric][0] != found.value:
        raise ValueError(f"{task.name}: the design of {found.mapping} costs something else")
    rows = task.space.sample(RANDOM_DESIGNS, np.random.default_rng(0))
    drawn = task.evaluate(rows)
    bound = float(task.scorer.components({metric: np.array([found.bound])})[0, 0])
    return {
        "objective": identity(task.objective),
        "kind": "solver" if found.proven else "best-known",
        "score": float(best.score[0]),
        "bound": float(best.score[0]) if found.proven else bound,
        "median_random_score": float(np.median(drawn.score[drawn.feasible])),
        "found_by": (
            f"branch and bound: {found.blocks:,} blocks, {found.frames:,} frames, "
            f"{found.evaluated:,} mappings evaluated, {found.seconds:.1f} s of one core"
        ),
        "design": design,
        "metrics": {m.name: float(best.metrics[m.name][0]) for m in task.metrics},
        "reference": {name: task.reference[name] for name in counted(task.objective)},
    }


def solve(options: dict[str, Any], most_seconds: float, path: Path) -> None:
    """Proves the optima of one accelerator and operator, and writes them."""
    entries = {}
    for objective, goal in OBJECTIVES.items():
        task = archgym.make_task(ENVIRONMENT.id, objective=objective, **options)
        model = task.model
        found = branch_and_bound(
            model.architecture,
            model.problem,
            goal,
            free_bypass=task.options["bypass"] == "free",
            most_seconds=most_seconds,
        )
        entries[objective] = told(task, found)
        entry = entries[objective]
        print(
            f"{task.name}: {entry['kind']} {entry['score']:.4f} (random "
            f"{entry['median_random_score']:.2f}), {entry['found_by']}",
            flush=True,
        )
    about = {"env": ENVIRONMENT.id, "options": task.options, "tasks": entries}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + yamlfile.dump(about), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Goes through all cases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hardware", nargs="*", default=list(HARDWARE))
    parser.add_argument("--workload", nargs="*", default=list(workload_names()))
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--most-seconds", type=float, default=600.0)
    parser.add_argument("--output", type=Path, default=BEST_KNOWN)
    given = parser.parse_args(arguments)
    more = dict(each.split("=", 1) for each in given.set)
    for hardware in given.hardware:
        for workload in given.workload:
            options = {"hardware": hardware, "workload": workload, **more}
            name = f"{hardware}-{workload.replace('/', '.')}.yaml"
            solve(options, given.most_seconds, given.output / name)


if __name__ == "__main__":
    main()
