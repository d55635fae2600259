"""What `gp` and `random-forest` promise beyond the conformance kit."""

import numpy as np
import pytest

from archgym import search
from archgym.agent import make_agent
from archgym.space import Constraint, DesignSpace
from archgym.testing.agents import conditional_task
from archgym.testing.toys import function_task, toy_task

MODELS = ("gp", "random-forest")


@pytest.mark.parametrize("agent", MODELS)
def test_no_design_is_proposed_twice_while_there_are_others(agent):
    for task in (toy_task((4, 3, 2)), conditional_task()):
        size = task.space.canonical_size
        each = make_agent(agent, task.space, seed=0)
        keys = set()
        for n in (5, 1, size - 9, 3):
            rows = each.ask(n)
            each.tell(rows, task.evaluate(rows))
            keys |= {row.tobytes() for row in rows}
        assert len(keys) == size
        assert len(each.ask(2)) == 2


@pytest.mark.parametrize("agent", MODELS)
def test_designs_that_are_waited_for_are_not_proposed_again(agent):
    task = toy_task()
    each = make_agent(agent, task.space, seed=0, startup=8)
    first = each.ask(8)
    each.tell(first, task.evaluate(first))
    rows = np.concatenate([each.ask(4) for _ in range(3)])
    assert len(np.unique(np.concatenate([first, rows]), axis=0)) == 20


@pytest.mark.parametrize("agent", MODELS)
def test_a_rule_is_learned(agent):
    space = toy_task((6, 4, 5, 3, 4)).space
    rule = Constraint("p1 even, p4 not the last", lambda c: (c["p1"] % 2 == 0) & (c["p4"] < 3))
    task = function_task(DesignSpace(space.parameters, [rule]), lambda r: 9.0 + r.sum(axis=1))
    feasible = [search(task, agent, budget=60, seed=s).evaluation.feasible for s in range(3)]
    assert np.mean([each[:8] for each in feasible]) < 0.6
    # By then the optimum is found, and what is left to gain lies elsewhere.
    assert np.mean([each[28:] for each in feasible]) > 0.7


def test_a_process_finds_the_separable_optimum_within_150_designs():
    task = toy_task()
    optimum = task.evaluate(task.model.best[None]).score[0]
    best = [search(task, "gp", budget=150, seed=s).best.score for s in range(3)]
    assert np.median(best) == pytest.approx(optimum)


@pytest.mark.parametrize("agent", MODELS)
def test_interactions_are_learned_from_100_designs(agent, entangled_task):
    ours = [search(entangled_task, agent, budget=100, seed=s).best.score for s in range(3)]
    theirs = [search(entangled_task, "random", budget=500, seed=s).best.score for s in range(3)]
    assert np.median(ours) > np.median(theirs)


def test_a_process_with_a_limit_goes_on_learning():
    task = toy_task()
    each = make_agent("gp", task.space, seed=0, points=32)
    rows = task.space.sample(300, np.random.default_rng(0))
    evaluation = task.evaluate(rows)
    each.tell(rows, evaluation)
    for _ in range(2):
        rows = each.ask(8)
        each.tell(rows, task.evaluate(rows))
    assert task.evaluate(rows).score.max() > evaluation.score.max()
