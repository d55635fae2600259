"""Search quality of the default hyperparameters where parameters interact."""

import numpy as np
import pytest

from archgym import search
from archgym.testing.agents import conditional_task
from archgym.testing.toys import toy_task

LIGHT = (
    "genetic",
    "ant-colony",
    "simulated-annealing",
    "hill-climbing",
    "cross-entropy",
    "differential-evolution",
    "nsga2",
    "portfolio",
)
SEEDS = range(8)


def best_scores(task, agent, budget):
    return np.array([search(task, agent, budget=budget, seed=s).best.score for s in SEEDS])


@pytest.mark.parametrize("agent", LIGHT)
def test_halves_the_regret_of_random_search_where_parameters_interact(agent, entangled_task):
    rows = entangled_task.space.enumerate(0, entangled_task.space.size)
    optimum = entangled_task.evaluate(rows).score.max()
    ours = optimum - np.median(best_scores(entangled_task, agent, 500))
    theirs = optimum - np.median(best_scores(entangled_task, "random", 500))
    assert ours < 0.5 * theirs


@pytest.mark.parametrize("agent", LIGHT)
def test_finds_the_separable_optimum_among_442368_designs(agent):
    task = toy_task()
    optimum = task.evaluate(task.model.best[None]).score[0]
    assert np.median(best_scores(task, agent, 1000)) == pytest.approx(optimum)


@pytest.mark.parametrize("agent", LIGHT)
def test_wastes_few_proposals(agent):
    result = search(toy_task(), agent, budget=1000, seed=0)
    assert len(result.evaluation) == 1000
    assert result.proposals < 1100


@pytest.mark.parametrize("agent", [*LIGHT, "tpe"])
def test_wastes_few_proposals_on_inert_parameters(agent):
    task = conditional_task()
    result = search(task, agent, budget=60, seed=0)
    assert task.space.canonical_size == 100
    assert result.proposals < 80
