"""Prints the regret of the model-based agents beside Optuna's samplers at equal samples.

    python benchmarks/search_quality.py [--tasks NAME ...] [--methods NAME ...] [--budget 100]
        [--seeds 10] [--results FILE]

Every method gets the same budget of unique designs; a repeated proposal is free, as in every run.
Regret is (optimum - best score) / (optimum - median random design), from the tables of the 2023
DRAM grid and of the small accelerator space, where every design is known, or from synthetic
functions with known optima. The default hyperparameters were chosen on the tasks that
`--tasks tuning` stands for; the report is on the others (`--tasks report`, the default).

Optuna's samplers are asked one design at a time with the defaults of the installed version. A
design that breaks a rule is reported to them as a violated constraint, with the worst score of a
feasible design so far. Our agents choose in batches of their own size and see rewards only.

With `--results` finished runs are appended to a file of JSON lines, and runs found there are not
made again, so that a comparison can be interrupted, extended, and shared out over processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import optuna

from archgym import Task, find_agent, make_agent, make_task
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.testing.agents import conditional_task
from archgym.testing.toys import nk_task, toy_task
from archgym.views import OptunaView

WORKLOADS = ("sort", "gcc", "random", "stream")
OBJECTIVES = ("low-latency", "low-power", "low-energy", "energy-delay")
MIXED = (4, 3, 3, 8, 2, 2, 4, 4, 3, 8)

SYNTHETIC: dict[str, Callable[[], Task]] = {
    "separable": toy_task,
    "separable-constrained": lambda: toy_task((8, 6, 4, 4, 8, 3, 5, 2), forbidden=True),
    "separable-huge": lambda: toy_task((8,) * 24),
    "interacting-1": lambda: nk_task(MIXED, 1, seed=11),
    "interacting-2": lambda: nk_task(MIXED, 2, seed=12),
    "interacting-categories": lambda: nk_task((3,) * 12, 2, seed=13),
    "conditional": conditional_task,
}
REPORT = [f"{workload}/{objective}" for workload in WORKLOADS for objective in OBJECTIVES]
NETWORKS = ("resnet50", "bert-base")
GOALS = ("low-latency", "low-energy", "energy-delay", "latency-under-area")
TUNING = [
    *SYNTHETIC,
    *(f"mixed-heavy/{objective}" for objective in OBJECTIVES),
    *(f"{network}/{goal}" for network in NETWORKS for goal in GOALS),
]

METHODS = ("random", "gp", "random-forest", "optuna-tpe", "optuna-gp")
STUCK = {"optuna-gp": 20, "optuna-tpe": 100}
"""Repeated proposals in a row after which a run of a costly method ends, 1,000 otherwise."""


def build(name: str) -> Task:
    """Builds a task by the name it has in this comparison."""
    if name in SYNTHETIC:
        return SYNTHETIC[name]()
    workload, _, objective = name.partition("/")
    if workload in NETWORKS:
        env, space = "Accelerator-v0", "small"
    else:
        env, space = "DramController-v0", "archgym2023"
    options = {"workload": workload, "space": space, "fidelity": "table"}
    return make_task(env, objective=objective, **options)


def regret_of(task: Task) -> Callable[[float], float]:
    """Returns the function from a score to its regret; synthetic spaces are solved here."""
    if task.optimum is not None:
        return task.optimum.regret
    if hasattr(task.model, "best"):
        best = float(task.evaluate(task.model.best[None]).score[0])
    else:
        best = float(task.evaluate(task.space.enumerate(0, task.space.size)).score.max())
    drawn = task.evaluate(task.space.sample(4_001, np.random.default_rng(0))).score
    median = float(np.median(drawn[np.isfinite(drawn)]))
    return lambda score: (best - score) / (best - median)


def run_agent(name: str, task: Task, evaluator: Evaluator, seed: int, settings: Any) -> None:
    """Runs one of our agents as any run does."""
    with contextlib.suppress(BudgetExhausted):
        make_agent(name, task.space, seed=seed, **settings).search(evaluator)


def run_optuna(name: str, task: Task, evaluator: Evaluator, seed: int, settings: Any) -> None:
    """Runs one of Optuna's samplers one design at a time."""
    sampler = {"optuna-tpe": optuna.samplers.TPESampler, "optuna-gp": optuna.samplers.GPSampler}
    study = optuna.create_study(direction="maximize", sampler=sampler[name](seed=seed, **settings))
    view = OptunaView(task.space)
    worst = 0.0
    while not evaluator.exhausted:
        trial = study.ask(view.distributions)
        evaluation = evaluator.evaluate(view.to_rows([trial.params]))
        feasible, score = bool(evaluation.feasible[0]), float(evaluation.score[0])
        worst = min(worst, score) if feasible else worst
        if task.space.constraints:
            trial.set_constraint("broken rules", -1.0 if feasible else 1.0)
        study.tell(trial, score if feasible else worst)


def one_run(method: str, task: Task, budget: int, seed: int, settings: Any) -> dict[str, Any]:
    """Returns the regret after each evaluated design, and the seconds of the method."""
    evaluator = Evaluator(task, budget, max_repeats=STUCK.get(method))
    run = run_optuna if method.startswith("optuna-") else run_agent
    start = time.process_time()
    run(method, task, evaluator, seed, settings)
    seconds = time.process_time() - start
    best = np.maximum.accumulate(evaluator.trials().score)
    regret = regret_of(task)
    return {
        "samples": len(best),
        "cpu_ms": round(1e3 * seconds / len(best), 3),
        "regret": [round(regret(float(score)), 6) for score in best],
    }


def load(path: Path | None) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Reads finished runs by method, task and seed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
    runs = [json.loads(line) for line in lines]
    return {(run["method"], run["task"], run["seed"]): run for run in runs}


def at(run: dict[str, Any], samples: int) -> float:
    """Returns the regret after some samples; a run that ended early keeps its last."""
    return float(run["regret"][min(samples, len(run["regret"])) - 1])


def print_task(name: str, runs: dict[str, list[dict[str, Any]]], budgets: Iterable[int]) -> None:
    """Prints median and quartiles of the regret of each method on one task."""
    print(f"\n{name}")
    for method, mine in runs.items():
        cells = []
        for n in budgets:
            low, mid, high = np.quantile([at(run, n) for run in mine], (0.25, 0.5, 0.75))
            cells.append(f"{mid:7.4f} [{low:7.4f}, {high:7.4f}]")
        cost = np.mean([run["cpu_ms"] for run in mine])
        print(f"  {method:16}", *cells, f"{cost:9.2f} ms", flush=True)


def print_summary(done: dict[str, dict[str, list[dict[str, Any]]]], budgets: Iterable[int]) -> None:
    """Prints on how many tasks each of our methods has the lower median regret."""
    print("\ntasks on which the median regret is lower / equal / higher than Optuna's")
    methods = sorted({method for runs in done.values() for method in runs})
    theirs = [method for method in methods if method.startswith("optuna-")]
    for ours in (method for method in methods if method not in theirs):
        for other in theirs:
            cells = []
            for n in budgets:
                gaps = [
                    np.median([at(r, n) for r in runs[ours]])
                    - np.median([at(r, n) for r in runs[other]])
                    for runs in done.values()
                ]
                won, lost = sum(g < -1e-9 for g in gaps), sum(g > 1e-9 for g in gaps)
                cells.append(f"{n}: {won}/{len(gaps) - won - lost}/{lost}")
            print(f"  {ours:16} against {other:12}", "   ".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["report"])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--settings", type=json.loads, default={}, help="hyperparameters, as JSON")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    for method in arguments.methods:
        if not method.startswith("optuna-"):
            find_agent(method)
    groups = {"report": REPORT, "tuning": TUNING}
    names = [name for given in arguments.tasks for name in groups.get(given, [given])]
    budgets = [n for n in (25, 50, 100, 200, 300, 500) if n < arguments.budget]
    budgets.append(arguments.budget)
    finished = load(arguments.results)
    print(f"regret, median [quartiles] of {arguments.seeds} seeds, after {budgets} designs")
    done: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in names:
        task = build(name)
        done[name] = {method: [] for method in arguments.methods}
        for method in arguments.methods:
            for seed in range(arguments.seeds):
                run = finished.get((method, name, seed))
                if run is None or run["budget"] < arguments.budget:
                    run = {"method": method, "task": name, "seed": seed}
                    run["budget"] = arguments.budget
                    run |= one_run(method, task, arguments.budget, seed, arguments.settings)
                    if arguments.results:
                        with arguments.results.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(run) + "\n")
                done[name][method].append(run)
        print_task(name, done[name], budgets)
    print_summary(done, budgets)


if __name__ == "__main__":
    main()
