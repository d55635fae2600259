"""Successive halving: what its brackets ask for, and that cheaper fidelities help."""

import contextlib
import dataclasses
import itertools

import numpy as np
import pytest

import archgym
from archgym.agents.successive_halving import SuccessiveHalvingAgent, _counts
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.testing.toys import fidelity_task, toy_task

AGENT = "successive-halving"


class Asked(Evaluator):
    """Notes how many designs are asked for at which fidelity."""

    def evaluate(self, designs, fidelity=None):
        self.log = [*getattr(self, "log", []), (fidelity, len(designs))]
        return super().evaluate(designs, fidelity)


def asked(budget, task=None, seed=0, **settings):
    task = fidelity_task() if task is None else task
    evaluator = Asked(task, budget)
    with contextlib.suppress(BudgetExhausted):
        SuccessiveHalvingAgent(task.space, seed=seed, **settings).search(evaluator)
    return evaluator


def test_every_rung_gets_the_same_budget() -> None:
    assert _counts([0.05, 0.25, 1.0], 4, 1.0) == [80, 16, 4]
    assert _counts([0.05, 0.25, 1.0], 4, 0.5) == [20, 8, 4]
    assert _counts([0.05, 0.25, 1.0], 4, 0.1) == [4, 4, 4]
    assert _counts([1.0], 4, 1.0) == [4]


def test_a_bracket_climbs_the_ladder() -> None:
    evaluator = asked(24)
    bracket = [("rough", 80), ("fair", 16), (None, 4)]
    assert evaluator.log == bracket * 2
    assert evaluator.spent == pytest.approx(24.0)
    screened = {each.fidelity.name: each.evaluation for each in evaluator.cheaper()}
    first = screened["rough"].take(range(80))
    best = first.designs[np.argsort(-first.score, kind="stable")[:16]]
    assert np.array_equal(screened["fair"].designs[:16], best)


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 7, 13, 31])
def test_any_budget_is_spent_and_ends_with_a_trial(budget: int) -> None:
    for seed, effort in itertools.product(range(3), (0.3, 1.0, 4.0)):
        evaluator = asked(budget, seed=seed, effort=effort)
        assert evaluator.log[-1][0] is None
        assert budget - 1 < evaluator.spent <= budget + 1e-9
        assert evaluator.stop_reason == "budget"


def test_hyperband_starts_at_every_rung() -> None:
    evaluator = asked(60, hyperband=True)
    pairs = itertools.pairwise([(None, 0), *evaluator.log])
    starts = [name for (before, _), (name, _) in pairs if before is None]
    assert starts[:4] == ["rough", "fair", None, "rough"]


def test_the_lowest_fidelity_may_be_chosen_and_exact_ones_shorten_the_ladder() -> None:
    assert {name for name, _ in asked(20, lowest="fair").log} == {"fair", None}
    assert {name for name, _ in asked(20, lowest="fine").log} == {None}
    assert {name for name, _ in asked(20, task=toy_task()).log} == {None}
    rough, fair, fine = fidelity_task().fidelities
    ladder = (dataclasses.replace(rough, exact=True), fair, fine)
    task = fidelity_task()
    task.environment = dataclasses.replace(task.environment, fidelities=lambda fidelity: ladder)
    assert {name for name, _ in asked(20, task=task).log} == {"rough", None}


def test_no_design_is_promoted_twice_while_there_are_others() -> None:
    evaluator = asked(60)
    trials = evaluator.trials().designs
    assert sum(n for name, n in evaluator.log if name is None) == len(trials)


def test_cheaper_fidelities_beat_random_search_and_a_search_without_them_at_equal_cost() -> None:
    task = fidelity_task((8,) * 10)

    def best(agent, **settings):
        return [
            archgym.search(task, agent, budget=30, seed=seed, **settings).best.score
            for seed in range(10)
        ]

    screened, plain = best(AGENT), best(AGENT, lowest="fine")
    drawn = best("random")
    assert np.mean(np.subtract.outer(screened, drawn) > 0) > 0.9
    assert np.mean(np.subtract.outer(screened, plain) > 0) > 0.7
