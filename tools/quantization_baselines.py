"""Prints what simple ways find in `Quantization-v0` under a budget of bits per weight.

Usage: python tools/quantization_baselines.py [--space three-formats|weights] [--tied type|layer]
                                              [--bits B ...] [--samples N] [--seeds N]

The best uniform format; a table of divergences of single choices (fidelity `additive`), once with
the greedy drop of bits and once with an integer program over it; the agents `ilp`, `genetic` and
`random` at equal budgets of measured designs. Losses are those of the fidelity `sample`, and of a
shipped table where there is one. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

import archgym
from archgym.agents._quiet import quiet_c_output
from archgym.environment import find_environment
from archgym.metric import Budget, Objective
from archgym.space import DesignSpace
from archgym.task import Task

ENVIRONMENT = "Quantization-v0"
BITS, LOSS, DIVERGENCE = "bits_per_weight", "perplexity", "kl_nats"
UNIFORM = 8
"""Uniform choices that are measured, those with the least sums."""
AGENTS = ("ilp", "genetic", "random")


@dataclass(frozen=True)
class Sensitivities:
    """What each choice of each unit does by itself.

    Attributes:
        base: row of the highest precision, `(d,)`.
        rows: by unit, rows `(k, d)` of the base with one unit changed; the first is the base.
        kl: by unit, growth of the divergence `(k,)`.
        bits: by unit, growth of the bits per weight `(k,)`.
        base_bits: of the base.
    """

    base: np.ndarray
    rows: list[np.ndarray]
    kl: list[np.ndarray]
    bits: list[np.ndarray]
    base_bits: float

    def joined(self, chosen: Sequence[int]) -> np.ndarray:
        """The row `(d,)` with a choice for every unit."""
        row = self.base.copy()
        for rows, k in zip(self.rows, chosen, strict=True):
            changed = rows[k] != self.base
            row[changed] = rows[k][changed]
        return row


def unit_rows(space: DesignSpace, base: np.ndarray) -> list[np.ndarray]:
    """By unit, the canonical rows `(k, d)` of a base with one unit at each of its choices."""
    units: dict[str, list[int]] = {}
    for j, parameter in enumerate(space.parameters):
        units.setdefault(parameter.subsystem, []).append(j)
    found = []
    for columns in units.values():
        values = list(itertools.product(*(range(int(space.cardinalities[j])) for j in columns)))
        rows = np.repeat(base[None], len(values), axis=0)
        rows[:, columns] = values
        _, first = np.unique(space.canonical(rows), axis=0, return_index=True)
        every = space.canonical(rows)[np.sort(first)]
        same = (every == base).all(axis=1)
        found.append(np.concatenate([base[None], every[~same]]))
    return found


def sensitivities(task: Task) -> Sensitivities:
    """Measures every single choice; the first value of every parameter is the highest precision."""
    base = task.space.canonical(np.zeros((1, len(task.space)), np.int64))[0]
    start = task.evaluate(base[None]).metrics
    rows = unit_rows(task.space, base)
    told = [task.evaluate(each).metrics for each in rows]
    return Sensitivities(
        base,
        rows,
        [each[DIVERGENCE] - start[DIVERGENCE][0] for each in told],
        [each[BITS] - start[BITS][0] for each in told],
        float(start[BITS][0]),
    )


def greedy_drop(table: Sensitivities, most_bits: float) -> np.ndarray | None:
    """Drops the bits that cost the least divergence per bit saved, until the budget is met.

    Args:
        table: of single choices.
        most_bits: per weight.

    Returns:
        The row `(d,)`, None where no choice saves enough.
    """
    chosen = [0] * len(table.rows)
    bits = table.base_bits
    while bits > most_bits:
        best: tuple[float, int, int] | None = None
        for unit, k in enumerate(chosen):
            saved = table.bits[unit][k] - table.bits[unit]
            cost = table.kl[unit] - table.kl[unit][k]
            rate = np.where(saved > 1e-12, cost / np.maximum(saved, 1e-12), np.inf)
            at = int(np.argmin(rate))
            if np.isfinite(rate[at]) and (best is None or rate[at] < best[0]):
                best = float(rate[at]), unit, at
        if best is None:
            return None
        _, unit, at = best
        bits += float(table.bits[unit][at] - table.bits[unit][chosen[unit]])
        chosen[unit] = at
    return table.joined(chosen)


def best_sum(table: Sensitivities, most_bits: float) -> np.ndarray | None:
    """The least sum of divergences under a budget, by integer programming (HiGHS).

    Args:
        table: of single choices.
        most_bits: per weight.

    Returns:
        The row `(d,)`, None where no combination meets the budget.
    """
    sizes = [len(each) for each in table.kl]
    ends = np.cumsum(sizes)
    unit = np.repeat(np.arange(len(sizes)), sizes)
    one = csr_array((np.ones(ends[-1]), (unit, np.arange(ends[-1]))))
    limits = [
        LinearConstraint(one, 1, 1),
        LinearConstraint(np.concatenate(table.bits)[None], ub=most_bits - table.base_bits),
    ]
    kl = np.concatenate(table.kl)
    with quiet_c_output():
        found = milp(kl, integrality=np.ones_like(kl), bounds=Bounds(0, 1), constraints=limits)
    if found.x is None:
        return None
    starts = ends - sizes
    chosen = [int(np.argmax(found.x[a:b])) for a, b in zip(starts, ends, strict=True)]
    return table.joined(chosen)


def best_uniform(task: Task, table: Sensitivities, most_bits: float) -> np.ndarray | None:
    """The best row with all units at the same choice, of those that every unit has.

    Args:
        task: measures the few with the least sums of divergences.
        table: of single choices.
        most_bits: per weight.

    Returns:
        The row `(d,)`, None where none meets the budget.
    """
    every = [{_named(task.space, row, x): k for k, row in enumerate(x)} for x in table.rows]
    common = [name for name in every[0] if all(name in each for each in every)]
    chosen = np.array([[each[name] for each in every] for name in common])
    kl = sum(effect[k] for effect, k in zip(table.kl, chosen.T, strict=True))
    bits = table.base_bits + sum(b[k] for b, k in zip(table.bits, chosen.T, strict=True))
    order = np.argsort(np.where(bits <= most_bits, kl, np.inf), kind="stable")
    fits = [k for k in order[:UNIFORM] if bits[k] <= most_bits]
    if not fits:
        return None
    rows = np.array([table.joined(chosen[k]) for k in fits])
    return rows[np.argmin(task.evaluate(rows).metrics[LOSS])]


def _named(space: DesignSpace, row: np.ndarray, rows: np.ndarray) -> tuple[object, ...]:
    """The values of the columns that the rows of a unit differ in."""
    columns = np.flatnonzero((rows != rows[0]).any(axis=0))
    return tuple(space.parameters[j].values[int(row[j])] for j in columns)


def task_of(options: dict[str, str], most_bits: float, fidelity: str) -> Task:
    """The task of the least perplexity under a budget; `sample` is looked up where it can be."""
    objective = Objective("bits", (LOSS,), (Budget(BITS, most_bits),))
    told = find_environment(ENVIRONMENT)
    resolved = told.resolve({**options, "fidelity": fidelity})
    known = [each.name for each in told.fidelities(**resolved)] if told.fidelities else []
    if fidelity == "sample" and "table" in known:
        fidelity = "table"
    return archgym.make_task(ENVIRONMENT, objective=objective, fidelity=fidelity, **options)


def agents(task: Task, samples: int, seeds: int) -> list[tuple[str, str, float]]:
    """Median perplexity of each agent's best designs within the budget."""
    found = []
    for agent in AGENTS:
        best = [archgym.search(task, agent, budget=samples, seed=s).best for s in range(seeds)]
        most_bits = task.scorer.limits()[BITS]
        met = [each.metrics[LOSS] if each.metrics[BITS] <= most_bits else np.inf for each in best]
        name = f"`{agent}`, {samples} designs, median of {seeds}"
        found.append((name, "", float(np.median(met))))
    return found


def compare(task: Task, table: Sensitivities, given: argparse.Namespace) -> None:
    """Prints the rows of one budget."""
    most_bits = float(task.scorer.limits()[BITS])
    lines: list[tuple[str, str, float]] = []
    if task.optimum is not None:
        lines.append((f"optimum ({task.optimum.kind})", "", task.optimum.metrics[LOSS]))
    rows = {
        "integer program over the table": best_sum(table, most_bits),
        "greedy bit drop over the table": greedy_drop(table, most_bits),
        "best uniform choice": best_uniform(task, table, most_bits),
    }
    for name, row in rows.items():
        if row is None:
            lines.append((name, "", np.inf))
            continue
        metrics = task.evaluate(row[None]).metrics
        lines.append((name, f"{metrics[BITS][0]:.3f}", float(metrics[LOSS][0])))
    lines += agents(task, given.samples, given.seeds) if given.samples else []
    by_program = next(loss for name, _, loss in lines if name.startswith("integer"))
    for name, bits, loss in lines:
        gap = f"{100 * (loss / by_program - 1):+.2f} %" if np.isfinite(loss) else ""
        shown = f"{loss:.3f}" if np.isfinite(loss) else "none fits"
        print(f"| {most_bits:g} | {name} | {bits} | {shown} | {gap} |", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--space", default="three-formats", choices=("three-formats", "weights"))
    parser.add_argument("--tied", default="type", choices=("type", "layer", "block"))
    parser.add_argument("--workload", default="kjv-lm")
    parser.add_argument("--bits", type=float, nargs="+", default=[2.8, 3.0, 3.3, 3.625, 4.0, 4.3])
    parser.add_argument("--samples", type=int, default=64, help="of each agent, 0 for none")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    options = {"workload": given.workload, "space": given.space, "tied": given.tied}
    table = sensitivities(task_of(options, given.bits[0], "additive"))
    print("| bits per weight | method | its bits | perplexity | beside the integer program |")
    print("| --- | --- | --- | --- | --- |")
    for most_bits in given.bits:
        compare(task_of(options, most_bits, "sample"), table, given)


if __name__ == "__main__":
    main()
