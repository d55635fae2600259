"""Searches for the best designs of `Quantization-v0` without a table, and keeps what is found.

Usage: python tools/quantization_best_known.py SPACE TIED [--workload W] [--budget N] [--moves N]
                                               [--agents A ...] [--objectives O ...] [--output DIR]

Every objective of one goal is searched: for budgets of bits and bytes with the integer program and
the greedy drop over the table of single divergences (`tools/quantization_baselines.py`), and with
agents on the measured loss. All designs that were measured on the way are judged by every
objective; the best one is then moved to designs that differ in one or two parameters. Writes
`envs/best_known/quantization/SPACE-TIED-WORKLOAD.yaml`; a design that is there already is judged
again and stays if nothing better was found. A task whose budgets nothing meets gets no entry.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from best_known import entry
from quantization_baselines import best_sum, greedy_drop, sensitivities

import archgym
from archgym import yamlfile
from archgym.environment import find_environment
from archgym.envs.quantization import BEST_KNOWN
from archgym.task import Evaluation, Task, format_design

ENVIRONMENT = "Quantization-v0"
AGENTS = ("ilp", "genetic")
RANDOM_DESIGNS = 300
TIGHTER = np.linspace(1.0, 0.98, 9)
"""Shares of a budget that the programs over the table are solved for: sums are not quite right."""
ROUND, TRIED = 16, 4096
"""Designs of a round of moves, and moves that they are the most promising of."""
HEAD = """\
# The best designs known, by objective; written by tools/quantization_best_known.py. Losses are of
# the processor that measured them. random: median score of a random feasible design.
"""


@dataclass(frozen=True)
class Found:
    """Designs that were measured, and how they came about."""

    evaluation: Evaluation
    how: str


def by_table(tasks: Sequence[Task], additive: Task) -> Iterator[Found]:
    """The least sums of divergences under each budget of bits or bytes, and the greedy drops."""
    table = sensitivities(additive)
    kib = additive.evaluate(table.base[None]).breakdown["weight_kib/layers"][0]
    others = additive.evaluate(table.base[None]).breakdown["weight_kib/others"][0]
    for task in tasks:
        limits = task.scorer.limits()
        if set(limits) == {"bits_per_weight"}:
            most = limits["bits_per_weight"]
        elif set(limits) == {"weight_kib"}:
            most = (limits["weight_kib"] - others) * table.base_bits / kib
        else:
            continue
        ways = (
            (best_sum, "integer program over the table of single divergences"),
            (greedy_drop, "greedy drop of bits over the table of single divergences"),
        )
        for way, how in ways:
            rows = [row for share in TIGHTER if (row := way(table, share * most)) is not None]
            if rows:
                yield Found(task.evaluate(np.unique(rows, axis=0)), how)


def by_agents(tasks: Sequence[Task], agents: Sequence[str], budget: int) -> Iterator[Found]:
    """What agents measure, searching for each objective."""
    for task in tasks:
        for agent in agents:
            result = archgym.search(task, agent, budget=budget, seed=0)
            print(f"{task.name} {agent}: {result.best.score:.4f}", flush=True)
            how = f"{agent} for {task.objective.name}, {len(result.evaluation):,} designs, seed 0"
            yield Found(result.evaluation, how)


def best_of(task: Task, found: Sequence[Found]) -> tuple[np.ndarray, str, float]:
    """The best design of all that were measured, how it came about, and its score."""
    best: tuple[np.ndarray, str, float] | None = None
    for each in found:
        told = each.evaluation
        usable = told.feasible & ~task.unusable(told.metrics)
        scores = task.scorer.score(told.metrics, usable)
        at = int(np.argmax(scores))
        if best is None or scores[at] > best[2]:
            best = told.designs[at], each.how, float(scores[at])
    assert best is not None
    return best


def moved(
    task: Task, additive: Task | None, row: np.ndarray, moves: int
) -> tuple[np.ndarray, int, int]:
    """Moves a design to one that differs in one or two parameters, as often as that is better.

    Args:
        task: measures.
        additive: the same task by addition, which picks the moves that are measured; None to
            measure random ones.
        row: to begin with.
        moves: to measure.

    Returns:
        The design, how many moves were measured, and how many of them were made.
    """
    rng = np.random.default_rng(0)
    score, measured, made = float(task.evaluate(row[None]).score[0]), 0, 0
    seen = {row.tobytes()}
    while measured < moves:
        near = np.repeat(row[None], TRIED, axis=0)
        for _ in range(2):
            at = rng.integers(len(task.space), size=TRIED)
            near[np.arange(TRIED), at] = rng.integers(task.space.cardinalities[at])
        near = np.unique(task.space.canonical(near), axis=0)
        near = near[[each.tobytes() not in seen for each in near]]
        broken = list(task.space.violations(near).values())
        near = near[~np.logical_or.reduce(broken)] if broken else near
        if additive is not None:
            near = near[np.argsort(-additive.evaluate(near).score, kind="stable")]
        else:
            near = near[rng.permutation(len(near))]
        near = near[:ROUND]
        if not len(near):
            break
        seen |= {each.tobytes() for each in near}
        told = task.evaluate(near)
        measured += len(near)
        best = int(np.argmax(told.score))
        if told.score[best] > score:
            row, score, made = told.designs[best], float(told.score[best]), made + 1
    return row, measured, made


def meets(task: Task, row: np.ndarray) -> bool:
    """Whether a design meets the budgets; all are upper limits."""
    metrics = task.evaluate(row[None]).metrics
    return all(metrics[name][0] <= limit for name, limit in task.scorer.limits().items())


def main(arguments: Sequence[str] | None = None) -> None:
    """Searches and writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("space", choices=("weights", "full"))
    parser.add_argument("tied", choices=("type", "layer", "block"))
    parser.add_argument("--workload", default="kjv-lm")
    parser.add_argument("--budget", type=int, default=500, help="of each agent and objective")
    parser.add_argument("--moves", type=int, default=320, help="measured from the best design")
    parser.add_argument("--agents", nargs="*", default=AGENTS)
    goals = [each.name for each in find_environment(ENVIRONMENT).objectives if not each.pareto]
    parser.add_argument("--objectives", nargs="+", choices=goals, default=goals)
    parser.add_argument("--output", type=Path, default=BEST_KNOWN)
    given = parser.parse_args(arguments)
    options = {"workload": given.workload, "space": given.space, "tied": given.tied}
    tasks = [archgym.make_task(ENVIRONMENT, objective=name, **options) for name in given.objectives]
    cheap: dict[str, Task] = {}
    if "additive" in [each.name for each in tasks[0].fidelities]:
        cheap = {task.objective.name: task.at("additive") for task in tasks}
    found = list(by_table(tasks, next(iter(cheap.values())))) if cheap else []
    found += by_agents([t for t in tasks if t.objective.budgets], given.agents, given.budget)
    path = given.output / f"{given.space}-{given.tied}-{given.workload}.yaml"
    old = yamlfile.read(path)["tasks"] if path.is_file() else {}
    drawn = tasks[0].evaluate(tasks[0].space.sample(RANDOM_DESIGNS, np.random.default_rng(0)))
    entries = dict(old)
    for task in tasks:
        name = task.objective.name
        row, how, score = best_of(
            task, [*found, Found(task.evaluate(task.default[None]), "default")]
        )
        row, measured, made = moved(task, cheap.get(name), row, given.moves)
        how = f"{how} (score {score:.4f}), then {made} of {measured} moves"
        if not meets(task, row):
            print(f"{task.name}: nothing meets the budgets", flush=True)
            continue
        entries[name] = told = entry(task, drawn, (row, how), old.get(name))
        print(f"{task.name}: {told['score']:.4f} ({told['found_by']})", flush=True)
        print(f"  {format_design(told['design'])}", flush=True)
    about = {"env": ENVIRONMENT, "options": tasks[0].options}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + yamlfile.dump({**about, "tasks": entries}), encoding="utf-8")


if __name__ == "__main__":
    main()
