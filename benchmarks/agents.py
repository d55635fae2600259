"""Prints what a suggestion costs: every agent beside Optuna's sampler of the same kind.

    python benchmarks/agents.py [--history 100 1000 5000] [--agents NAME ...] [--batch 8]

Each method is told the same random designs of a task with ten mixed parameters, and then runs a few
rounds of ask and tell on top of them. The figures are CPU milliseconds of this process per
suggestion, ask and tell together, without the evaluation: `batch` in the agent's own batches or the
given ones, `single` one design at a time, as Optuna is asked. Optuna runs in memory; its samplers
are used as a user would, with the defaults of the installed version.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna

from archgym import Evaluation, Task, agent_names, find_agent, make_agent
from archgym.agent import LoopAgent
from archgym.testing.toys import toy_task
from archgym.views import OptunaView

OPTUNA = {
    "random": optuna.samplers.RandomSampler,
    "genetic": optuna.samplers.NSGAIISampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "nsga3": optuna.samplers.NSGAIIISampler,
    "cma-es": optuna.samplers.CmaEsSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
}
"""Optuna's sampler of the same kind."""

LONGEST = {"gp": 100}
"""Trials up to which Optuna's sampler is measured, where it takes seconds beyond."""

SECONDS = 1.0
"""CPU time after which a measurement ends; at least three rounds are measured."""

Round = Callable[[], tuple[int, float]]


def history_of(task: Task, n: int) -> Evaluation:
    """Returns `n` different random designs with their scores."""
    rows = np.unique(task.space.sample(2 * n, np.random.default_rng(0)), axis=0)
    return task.evaluate(np.random.default_rng(1).permutation(rows)[:n])


def measured(one_round: Round) -> float:
    """Returns CPU milliseconds per suggestion, after a first round that imports what is needed."""
    one_round()
    suggestions, seconds, rounds = 0, 0.0, 0
    while rounds < 3 or (seconds < SECONDS and rounds < 200):
        count, cost = one_round()
        suggestions, seconds, rounds = suggestions + count, seconds + cost, rounds + 1
    return 1e3 * seconds / suggestions


def agent_ms(name: str, task: Task, told: Evaluation, batch: int | None) -> float:
    """Measures one of our agents."""
    agent = make_agent(name, task.space, seed=0)
    agent.tell(told.designs, told)
    n = batch or agent.batch_size

    def one_round() -> tuple[int, float]:
        start = time.process_time()
        rows = agent.ask(n)
        asked = time.process_time()
        evaluation = task.evaluate(rows)
        evaluated = time.process_time()
        agent.tell(rows, evaluation)
        return n, asked - start + time.process_time() - evaluated

    return measured(one_round)


def optuna_ms(name: str, task: Task, told: Evaluation) -> float:
    """Measures Optuna's sampler of the same kind."""
    view = OptunaView(task.space)
    study = optuna.create_study(direction="maximize", sampler=OPTUNA[name](seed=0))
    study.add_trials(
        [
            optuna.trial.create_trial(params=params, distributions=view.distributions, value=value)
            for params, value in zip(
                view.to_params(told.designs), told.reward.tolist(), strict=True
            )
        ]
    )

    def one_round() -> tuple[int, float]:
        start = time.process_time()
        trial = study.ask(view.distributions)
        asked = time.process_time()
        value = float(task.evaluate(view.to_rows([trial.params])).reward[0])
        evaluated = time.process_time()
        study.tell(trial, value)
        return 1, asked - start + time.process_time() - evaluated

    return measured(one_round)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--history", type=int, nargs="+", default=[100, 1000, 5000])
    asked = [name for name in agent_names() if not issubclass(find_agent(name), LoopAgent)]
    parser.add_argument("--agents", nargs="+", default=asked)
    parser.add_argument("--batch", type=int, help="left out, the agent's own")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    task = toy_task()
    print(f"CPU ms per suggestion, {len(task.space)} mixed parameters, Optuna {optuna.__version__}")
    print(f"{'agent':20} {'trials':>6} {'batch':>9} {'single':>9} {'Optuna':>9} {'ratio':>9}")
    for name in arguments.agents:
        for n in arguments.history:
            told = history_of(task, n)
            batch = agent_ms(name, task, told, arguments.batch)
            single = agent_ms(name, task, told, 1)
            line = f"{name:20} {n:6} {batch:9.4f} {single:9.4f}"
            if name in OPTUNA and n <= LONGEST.get(name, n):
                theirs = optuna_ms(name, task, told)
                line += f" {theirs:9.3f} {theirs / batch:8.1f}x"
            print(line, flush=True)


if __name__ == "__main__":
    main()
