import numpy as np
import pytest

from archgym.agent import make_agent
from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import function_task, toy_task

TASK = toy_task()


def test_before_any_deposit_values_are_drawn_uniformly():
    agent = make_agent("ant-colony", TASK.space, seed=0, greediness=0.9)
    rows = agent.ask(2000)
    for column, cardinality in zip(rows.T, TASK.space.cardinalities, strict=True):
        shares = np.bincount(column, minlength=cardinality) / 2000
        assert shares == pytest.approx(np.full(cardinality, 1 / cardinality), abs=0.05)


def test_rounds_are_counted_in_told_designs_whatever_the_batch():
    rows = TASK.space.sample(30, np.random.default_rng(0))
    pheromones = []
    for batch in (1, 7, 30):
        agent = make_agent("ant-colony", TASK.space, seed=0, ants=10)
        for start in range(0, 30, batch):
            part = rows[start : start + batch]
            agent.tell(part, TASK.evaluate(part))
        pheromones.append(agent.get_state()["_pheromone"])
    assert np.array_equal(pheromones[0], pheromones[1])
    assert np.array_equal(pheromones[0], pheromones[2])


def test_pheromone_stays_a_probability_and_gathers_on_good_values():
    agent = make_agent("ant-colony", TASK.space, seed=0)
    for _ in range(40):
        rows = agent.ask(12)
        agent.tell(rows, TASK.evaluate(rows))
    pheromone = agent.get_state()["_pheromone"]
    assert pheromone.sum(axis=1) == pytest.approx(np.ones(10))
    assert (pheromone >= 0).all()
    on_best = pheromone[np.arange(10), TASK.model.best]
    assert np.mean(on_best) > 0.6


def test_inert_parameters_keep_their_pheromone():
    space = DesignSpace([Parameter("a", (0, 1)), Parameter("b", tuple(range(6)), when={"a": (1,)})])
    task = function_task(space, lambda rows: 1.0 + rows.sum(axis=1))
    agent = make_agent("ant-colony", space, seed=0, ants=1)
    for _ in range(3):
        agent.tell(np.array([[0, 0]]), task.evaluate([[0, 0]]))
    pheromone = agent.get_state()["_pheromone"]
    assert pheromone[0, 0] > 0.5
    assert pheromone[1] == pytest.approx(np.full(6, 1 / 6))


def test_infeasible_rounds_leave_no_pheromone():
    space = toy_task((4, 4)).space
    task = function_task(space, lambda rows: np.where(rows.any(axis=1), np.nan, 1.0))
    agent = make_agent("ant-colony", space, seed=0, ants=2)
    before = agent.get_state()["_pheromone"]
    rows = np.array([[1, 2], [2, 1]])
    agent.tell(rows, task.evaluate(rows))
    assert np.array_equal(agent.get_state()["_pheromone"], before)
