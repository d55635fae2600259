"""Prints the search quality of our light methods beside the same method of Optuna or SciPy.

    python benchmarks/library_equivalents.py [--methods NAME ...] [--tasks NAME ...] [--seeds 10]
        [--budget 2000] [--results FILE]

Every method gets the same number of unique designs; a repeated proposal is free, and a run ends
after 1,000 of them in a row, as every run does, or 100 for Optuna's samplers, of which each costs
milliseconds. The tasks are tables of the 2023 DRAM grid, on
which every design is known: regret is (optimum - best score) / (optimum - median random design),
for the Pareto objective the share of the true front's hypervolume that is missing. None of our
defaults was chosen on them, but a first result on them had been seen before those of nsga2 and
nsga3 were.

The libraries are used as a user would, with the defaults of the installed version. Where our agents
see `-inf`, they are told the finite reward of an infeasible design. SciPy's methods move in a box:
differential evolution with `integrality`, dual annealing over equal bins and without its local
search, which needs gradients. `RIVALS` says who is compared with whom, and takes further rows.

With `--results`, finished runs are appended to a file of JSON lines and not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import optuna
import scipy.optimize

from archgym import Evaluator, Task, make_agent, make_task
from archgym.errors import BudgetExhausted
from archgym.metric import INFEASIBLE_REWARD
from archgym.views import BoxView, OptunaView

WORKLOADS = ("sort", "gcc", "random", "stream", "mixed-heavy")
OBJECTIVES = ("low-latency", "low-power", "low-energy", "energy-delay")
SINGLE = [f"{workload}/{objective}" for workload in WORKLOADS for objective in OBJECTIVES]
PARETO = [f"{workload}/latency-power" for workload in WORKLOADS]
BUDGETS = (100, 200, 500, 1000, 2000)

OPTUNA_PATIENCE = 100
"""Repeated proposals in a row after which a run of Optuna ends; its regret then stays."""

Search = Callable[[Task, Evaluator, int], None]


def ours(name: str) -> Search:
    """Returns one of our agents with its defaults."""

    def run(task: Task, evaluator: Evaluator, seed: int) -> None:
        make_agent(name, task.space, seed=seed).search(evaluator)

    return run


def of_optuna(sampler: Callable[..., optuna.samplers.BaseSampler]) -> Search:
    """Returns a sampler of Optuna, asked for one design at a time."""

    def run(task: Task, evaluator: Evaluator, seed: int) -> None:
        view = OptunaView(task.space)
        goals = len(task.objective.metrics) if task.objective.pareto else 1
        study = optuna.create_study(directions=["maximize"] * goals, sampler=sampler(seed=seed))
        while not evaluator.exhausted:
            trial = study.ask(view.distributions)
            evaluation = evaluator.evaluate(view.to_rows([trial.params]))
            if goals == 1:
                study.tell(trial, float(evaluation.reward[0]))
            else:
                values = np.maximum(evaluation.objectives[0], INFEASIBLE_REWARD)
                study.tell(trial, values.tolist())

    return run


def _loss(evaluator: Evaluator, row: Any) -> float:
    """Returns what SciPy minimises; raises once the run has ended."""
    if evaluator.exhausted:
        raise BudgetExhausted
    return -float(evaluator.evaluate(row).reward[0])


def scipy_differential_evolution(task: Task, evaluator: Evaluator, seed: int) -> None:
    """Runs `scipy.optimize.differential_evolution` on value indices."""
    last = task.space.cardinalities - 1
    free = np.flatnonzero(last)

    def loss(point: Any) -> float:
        row = np.zeros(len(last), np.int64)
        row[free] = np.rint(point)
        return _loss(evaluator, row)

    scipy.optimize.differential_evolution(
        loss,
        [(0, int(last[j])) for j in free],
        integrality=True,
        polish=False,
        tol=0.0,
        maxiter=10**6,
        rng=seed,
    )


def scipy_dual_annealing(task: Task, evaluator: Evaluator, seed: int) -> None:
    """Runs `scipy.optimize.dual_annealing` on equal bins of the unit cube."""
    view = BoxView(task.space)
    scipy.optimize.dual_annealing(
        lambda point: _loss(evaluator, view.to_rows(point[None])),
        [(0.0, 1.0)] * len(task.space),
        maxiter=10**6,
        no_local_search=True,
        rng=seed,
    )


LIBRARY: dict[str, Search] = {
    "optuna-nsga2": of_optuna(optuna.samplers.NSGAIISampler),
    "optuna-nsga3": of_optuna(optuna.samplers.NSGAIIISampler),
    "optuna-cmaes": of_optuna(optuna.samplers.CmaEsSampler),
    "scipy-de": scipy_differential_evolution,
    "scipy-annealing": scipy_dual_annealing,
}
RIVALS = {
    "genetic": "optuna-nsga2",
    "nsga2": "optuna-nsga2",
    "nsga3": "optuna-nsga3",
    "cma-es": "optuna-cmaes",
    "differential-evolution": "scipy-de",
    "simulated-annealing": "scipy-annealing",
}
"""Our method, and the same one of a library."""


def build(name: str) -> Task:
    """Builds a task by its name here, `workload/objective`."""
    workload, _, objective = name.partition("/")
    options = {"space": "archgym2023", "fidelity": "table"}
    return make_task("DramController-v0", workload=workload, objective=objective, **options)


def one_run(method: str, task: Task, budget: int, seed: int) -> dict[str, Any]:
    """Returns the regret at each budget, and the CPU milliseconds per design of the method."""
    max_repeats = OPTUNA_PATIENCE if method.startswith("optuna") else None
    evaluator = Evaluator(task, budget, max_repeats=max_repeats)
    run = LIBRARY[method] if method in LIBRARY else ours(method)
    start = time.process_time()
    with contextlib.suppress(BudgetExhausted):
        run(task, evaluator, seed)
    seconds = time.process_time() - start
    trials = evaluator.trials()
    optimum = task.optimum
    assert optimum is not None
    regret = {}
    for n in BUDGETS:
        if n > budget:
            continue
        if optimum.front is not None:
            regret[n] = optimum.front.regret(trials.objectives[:n])
        else:
            regret[n] = optimum.regret(float(trials.score[:n].max()))
    return {
        "regret": {str(n): round(value, 6) for n, value in regret.items()},
        "samples": len(trials),
        "cpu_ms": round(1e3 * seconds / len(trials), 3),
    }


Key = tuple[str, str, int, int]


def stored(path: Path | None) -> dict[Key, dict[str, Any]]:
    """Reads finished runs by method, task, seed and budget."""
    lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
    runs = [json.loads(line) for line in lines]
    return {(run["method"], run["task"], run["seed"], run["budget"]): run for run in runs}


def all_runs(
    methods: list[str], names: list[str], seeds: int, budget: int, path: Path | None
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Returns the runs by task and method, those that are not stored made now."""
    finished = stored(path)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name in names:
        task = build(name)
        for method in methods:
            for seed in range(seeds):
                run = finished.get((method, name, seed, budget))
                if run is None:
                    run = {"method": method, "task": name, "seed": seed, "budget": budget}
                    run |= one_run(method, task, budget, seed)
                    if path:
                        with path.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(run) + "\n")
                found.setdefault((name, method), []).append(run)
    return found


def medians(runs: list[dict[str, Any]], budgets: list[int]) -> list[float]:
    """Returns the median regret over seeds at each budget."""
    return [float(np.median([run["regret"][str(n)] for run in runs])) for n in budgets]


def print_pair(
    method: str,
    names: list[str],
    runs: dict[tuple[str, str], list[dict[str, Any]]],
    budgets: list[int],
    verbose: bool,
) -> None:
    """Prints one of our methods beside its rival."""
    rival = RIVALS[method]
    table = {
        who: np.array([medians(runs[n, who], budgets) for n in names]) for who in (method, rival)
    }
    if verbose:
        for i, name in enumerate(names):
            for who, values in table.items():
                print(f"  {name:26} {who:24}", *(f"{value:8.4f}" for value in values[i]))
    for who, values in table.items():
        cost = np.mean([run["cpu_ms"] for name in names for run in runs[name, who]])
        print(f"{who:24}", *(f"{v:8.4f}" for v in values.mean(axis=0)), f"{cost:8.2f} ms")
    gap = table[method] - table[rival]
    tally = [f"{(g < -1e-9).sum()}/{(abs(g) <= 1e-9).sum()}/{(g > 1e-9).sum()}" for g in gap.T]
    print(f"{'lower/equal/higher':24}", *(f"{each:>8}" for each in tally), "tasks\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--tasks", nargs="+", default=[*SINGLE, *PARETO])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, choices=BUDGETS, default=2000)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--verbose", action="store_true", help="print every task")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    budgets = [n for n in BUDGETS if n <= arguments.budget]
    print(
        f"mean over tasks of the median regret of {arguments.seeds} seeds, after {budgets} designs"
    )
    for pareto in (False, True):
        names = [n for n in arguments.tasks if n.endswith("/latency-power") is pareto]
        for method in arguments.methods if names else ():
            if pareto and not method.startswith("nsga"):
                continue
            both = [method, RIVALS[method]]
            runs = all_runs(both, names, arguments.seeds, arguments.budget, arguments.results)
            if pareto:
                print("Pareto fronts of latency and power:")
            print_pair(method, names, runs, budgets, arguments.verbose)


if __name__ == "__main__":
    main()
