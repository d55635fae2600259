"""The two multi-objective evolutionary methods."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from archgym import Objective, search
from archgym.agent import make_agent
from archgym.agents import _fronts
from archgym.agents.nsga2 import crowding
from archgym.agents.nsga3 import associate, reference_directions
from archgym.metric import BUDGET_FLOOR
from archgym.pareto import front, hypervolume
from archgym.task import Task
from archgym.testing.toys import toy_task


class TwoGoals:
    """Two costs per value of each parameter, one falling where the other rises."""

    def __init__(self):
        from archgym.metric import Metric

        self.space = toy_task((8, 8, 6, 6, 4, 4)).space
        self.metrics = (
            Metric("time_ns", "ns", "minimise"),
            Metric("area_mm2", "mm2", "minimise"),
        )
        self.default = dict.fromkeys(self.space.names, 0)
        self.features = np.zeros(1, np.float32)
        rng = np.random.default_rng(7)
        self._tables = [rng.permutation(np.linspace(0, 1, c)) for c in self.space.cardinalities]

    def evaluate(self, designs):
        from archgym.cost_model import Costs

        parts = np.stack([t[column] for t, column in zip(self._tables, designs.T, strict=True)])
        time = 1.0 + (parts**2).sum(axis=0)
        return Costs({"time_ns": time, "area_mm2": 1.0 + ((1.0 - parts) ** 2).sum(axis=0)})


def two_goals(**changes):
    objective = Objective("both", ("time_ns", "area_mm2"), pareto=True, **changes)
    return Task(toy_task().environment, {}, objective, TwoGoals())


values = st.integers(0, 5).map(float) | st.just(-np.inf)


@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 3)), elements=values))
def test_the_first_front_is_what_no_other_dominates(goals):
    number = _fronts.fronts(np.column_stack([np.zeros(len(goals)), goals]))

    def behind(i):
        """Which points come before point `i`: better ones, and newer ones that are equal."""
        no_worse = (goals >= goals[i]).all(axis=1)
        return no_worse & ((goals > goals[i]).any(axis=1) | (np.arange(len(goals)) > i))

    for i in range(len(goals)):
        assert number[i] == max(number[behind(i)], default=-1) + 1


def test_rules_come_before_goals():
    task = two_goals(budgets=())
    evaluation = task.evaluate(task.space.sample(3, np.random.default_rng(0)))
    goals = _fronts.goals_of(evaluation)
    goals[:, 0] = [-0.5, 0.0, -np.inf]
    goals[0, 1:] = 9.0
    assert _fronts.fronts(goals).tolist() == [1, 0, 2]
    assert BUDGET_FLOOR < 0


def test_crowding_is_the_gap_between_neighbours_and_infinite_at_the_ends():
    values = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0], [2.0, 0.0]])
    distance = crowding(values, np.array([0, 0, 0, 0, 1]))
    assert distance == pytest.approx([np.inf, 3 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf, np.inf])


@pytest.mark.parametrize(
    ("m", "count", "expected"), [(1, 9, 1), (2, 12, 12), (3, 91, 91), (3, 95, 91)]
)
def test_reference_directions_are_unit_vectors_on_an_even_grid(m, count, expected):
    directions = reference_directions(m, count)
    assert directions.shape == (expected, m)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1.0)
    assert len(np.unique(directions.round(9), axis=0)) == expected


def test_points_on_an_axis_belong_to_its_direction():
    nearest, away = associate(
        np.array([[0.0, -1.0], [-1.0, 0.0], [-0.5, -0.5]]), np.ones(3, np.bool_), 3
    )
    assert len(set(nearest.tolist())) == 3
    assert away == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_fronts_are_wider_than_those_of_random_search(name):
    task = two_goals()
    every = task.evaluate(task.space.enumerate(0, task.space.size)).objectives
    reference = np.median(every, axis=0)
    full = hypervolume(every, reference)

    def missing(agent, seed):
        found = search(task, agent, budget=400, seed=seed).evaluation.objectives
        return 1.0 - hypervolume(found, reference) / full

    ours = np.median([missing(name, seed) for seed in range(6)])
    theirs = np.median([missing("random", seed) for seed in range(6)])
    assert ours < 0.5 * theirs
    assert len(front(search(task, name, budget=400, seed=0).evaluation.objectives)) > 8


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_one_goal_and_infeasible_designs_are_no_special_case(name):
    task = toy_task((8, 6, 4, 4), forbidden=True)
    best = task.evaluate(task.space.enumerate(0, task.space.size)).score.max()
    assert search(task, name, budget=300, seed=0).best.score == best


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_a_long_warm_start_is_taken_generation_by_generation(name):
    task = two_goals()
    rows = task.space.enumerate(0, 3000)
    agent = make_agent(name, task.space, population=10)
    agent.tell(rows, task.evaluate(rows))
    assert agent.ask(7).shape == (7, 6)
