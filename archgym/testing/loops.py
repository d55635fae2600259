"""Conformance checks of agents that own their loop: they are run, not asked.

They are few and short, since starting such a search takes seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.agent import LoopAgent
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.space import DesignSpace
from archgym.task import Evaluation, Task
from archgym.testing.toys import conditional_task, function_task, toy_task

LoopAgentClass = type[LoopAgent]


def run(
    agent: LoopAgentClass, task: Task, budget: int, seed: int, max_repeats: int = 200
) -> Evaluator:
    """Runs one search to its end."""
    evaluator = Evaluator(task, budget, max_repeats=max_repeats)
    with contextlib.suppress(BudgetExhausted):
        agent(task.space, seed=seed).search(evaluator)
    assert evaluator.exhausted, f"{agent.__name__}: its search returned before the budget was spent"
    return evaluator


def check_loop_seed(agent: LoopAgentClass) -> None:
    """The same seed gives the same designs in the same order, another seed others."""
    task = toy_task()
    first, again, other = (run(agent, task, 150, seed).trials().designs for seed in (1, 1, 2))
    assert np.array_equal(first, again), f"{agent.__name__}: two runs with the same seed differ"
    assert not np.array_equal(first, other), f"{agent.__name__}: runs of two seeds are equal"


class _Watching(Evaluator):
    """An evaluator that ends a search once every value of every parameter was proposed.

    Args:
        task: what is searched.
        budget: number of unique designs.
        max_repeats: see `Evaluator`.
    """

    def __init__(self, task: Task, budget: int, max_repeats: int) -> None:
        super().__init__(task, budget, max_repeats=max_repeats)
        self.seen = [np.zeros(int(count), np.bool_) for count in task.space.cardinalities]

    def evaluate(self, designs: npt.ArrayLike, fidelity: str | None = None) -> Evaluation:
        """Evaluates designs, and notes the values that have an effect in them."""
        evaluation = super().evaluate(designs, fidelity)
        rows = evaluation.designs
        active = self.task.space.active(rows)
        for j, values in enumerate(self.seen):
            values[rows[active[:, j], j]] = True
        if self.exhausted:
            raise BudgetExhausted(self.stop_reason)
        return evaluation

    @property
    def stop_reason(self) -> str:
        """As of `Evaluator`, or `reached`."""
        return "reached" if all(map(np.all, self.seen)) else super().stop_reason


def reached(
    agent: LoopAgentClass,
    task: Task,
    budget: int,
    seeds: int,
    max_repeats: int = 200,
    **hyperparameters: Any,
) -> dict[str, list[int]]:
    """Returns the value numbers per parameter that no search over some seeds proposed.

    Args:
        agent: class of the agent.
        task: what is searched.
        budget: of each search; it ends earlier once nothing is missing.
        seeds: number of searches at most.
        max_repeats: see `Evaluator`.
        **hyperparameters: of the agent.
    """
    missing = [np.ones(int(count), np.bool_) for count in task.space.cardinalities]
    for seed in range(seeds):
        evaluator = _Watching(task, budget, max_repeats)
        with contextlib.suppress(BudgetExhausted):
            agent(task.space, seed=seed, **hyperparameters).search(evaluator)
        missing = [left & ~seen for left, seen in zip(missing, evaluator.seen, strict=True)]
        if not any(map(np.any, missing)):
            break
    names = zip(task.space.names, missing, strict=True)
    return {name: np.flatnonzero(left).tolist() for name, left in names if left.any()}


def check_loop_reachability(agent: LoopAgentClass) -> None:
    """Short searches over some seeds propose every value of every parameter."""
    missing = reached(agent, toy_task((8, 8, 5, 5, 2, 3, 1, 12)), 120, 4)
    assert not missing, f"{agent.__name__}: values that were never proposed: {missing}"


def check_loop_infeasible(agent: LoopAgentClass) -> None:
    """Infeasible designs and metrics that are no numbers are survived."""
    task = toy_task((6, 6, 4, 4), forbidden=True)
    trials = run(agent, task, 60, 0).trials()
    assert trials.feasible.any(), f"{agent.__name__}: found no feasible design"
    broken = function_task(
        DesignSpace(task.space.parameters),
        lambda rows: np.where(rows[:, 0] == 0, 1.0 + rows.sum(axis=1), np.nan),
    )
    assert _fills(run(agent, broken, 60, 0)), f"{agent.__name__}: stopped early"


def _fills(evaluator: Evaluator) -> bool:
    """Whether a search spent its budget, or was ended for proposing nothing new."""
    return evaluator.stop_reason in ("budget", "repeats") and evaluator.samples > 0


def check_loop_small_budgets(agent: LoopAgentClass) -> None:
    """A budget below its batch is spent exactly, and a space of three designs does not hang it."""
    samples = run(agent, toy_task(), 3, 0).samples
    assert samples == 3, f"{agent.__name__}: spent {samples} of a budget of 3"
    tiny = run(agent, toy_task((1, 3, 1)), 50, 0, max_repeats=100)
    assert 1 <= tiny.samples <= 3


def check_loop_spaces(agent: LoopAgentClass) -> None:
    """Inert parameters and spaces of over 1e18 designs are coped with."""
    for task in (conditional_task(), toy_task((8,) * 24)):
        samples = run(agent, task, 40, 0).samples
        assert samples == 40, f"{agent.__name__}: stopped after {samples} of 40 designs"


def check_loop_learns(agent: LoopAgentClass) -> None:
    """The designs of the second half of a search are better than random ones."""
    from scipy.stats import mannwhitneyu

    task = toy_task()
    scores = run(agent, task, 400, 0).trials().score
    late = scores[len(scores) // 2 :]
    drawn = task.evaluate(task.space.sample(2000, np.random.default_rng(0))).score
    chance = float(mannwhitneyu(late, drawn, alternative="greater").pvalue)
    assert chance < 0.01, (
        f"{agent.__name__}: the designs of the second half of its search (median score "
        f"{np.median(late):.3f}) are not better than random ones ({np.median(drawn):.3f}): "
        f"Mann-Whitney p = {chance:.2f}"
    )


LOOP_CHECKS: dict[str, Callable[[LoopAgentClass], None]] = {
    check.__name__.removeprefix("check_loop_"): check
    for check in (
        check_loop_seed,
        check_loop_reachability,
        check_loop_infeasible,
        check_loop_small_budgets,
        check_loop_spaces,
        check_loop_learns,
    )
}
"""The checks by name."""
