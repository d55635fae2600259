"""Methods that draw from a distribution per parameter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.agent import make_agent
from archgym.agents import _categoricals as categoricals
from archgym.agents._operators import RunningScale
from archgym.space import DesignSpace, Parameter
from archgym.testing.agents import conditional_task
from archgym.testing.toys import function_task, toy_task

TASK = toy_task()
METHODS = ("ant-colony", "cross-entropy", "reinforce", "multi-bandit")


def told(agent, rows, task=TASK):
    agent.tell(rows, task.evaluate(rows))
    return agent


def share_of_best(rows):
    return float(np.mean(rows == TASK.model.best))


def test_draw_follows_the_probabilities_and_never_leaves_a_parameter():
    space = DesignSpace([Parameter("a", (0, 1, 2)), Parameter("b", (0, 1))])
    table = np.array([[0.2, 0.5, 0.3], [0.9, 0.1, 0.0]])
    points = np.stack(np.meshgrid(np.arange(0, 1, 0.001), [0.0, 0.9999999]), -1).reshape(-1, 2)
    rows = categoricals.draw(table, space, points)
    assert np.bincount(rows[:, 0]) / len(rows) == pytest.approx([0.2, 0.5, 0.3], abs=0.002)
    assert rows[:, 1].max() == 1
    short = categoricals.draw(table * (1 - 1e-9), space, np.full((1, 2), 1 - 1e-16))
    space.validate(short)


def test_usage_counts_active_values_only():
    space = DesignSpace([Parameter("a", (0, 1)), Parameter("b", (0, 1, 2), when={"a": (1,)})])
    counts = categoricals.usage(
        space, np.array([[0, 0], [1, 2], [1, 2]]), np.array([1.0, 2.0, 3.0])
    )
    assert counts.tolist() == [[1.0, 5.0, 0.0], [0.0, 0.0, 5.0]]


@given(st.lists(st.floats(-1e6, 1e6) | st.just(-np.inf), min_size=1, max_size=30))
def test_running_scale_is_finite_and_keeps_the_order_of_feasible_scores(scores):
    given_ = np.array(scores)
    standard = RunningScale(0.9).standardised(given_)
    assert np.isfinite(standard).all()
    feasible = np.isfinite(given_)
    order = np.argsort(given_[feasible], kind="stable")
    assert (np.diff(standard[feasible][order]) >= 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_the_distribution_moves_to_the_good_values(name):
    agent = make_agent(name, TASK.space, seed=0)
    before = share_of_best(agent._draw(500))
    for _ in range(30):
        rows = agent.ask(16)
        told(agent, rows)
    assert share_of_best(agent._draw(500)) > before + 0.2


@pytest.mark.parametrize("name", METHODS[:3])
def test_nothing_is_learned_from_designs_that_are_all_infeasible(name):
    task = function_task(TASK.space, lambda rows: np.where(rows.any(axis=1), np.nan, 1.0))
    agent = make_agent(name, TASK.space, seed=0)
    rows = TASK.space.sample(64, np.random.default_rng(0))
    told(agent, rows[rows.any(axis=1)], task)
    drawn = agent._draw(4000)
    for column, count in zip(drawn.T, TASK.space.cardinalities, strict=True):
        assert np.bincount(column, minlength=count) / 4000 == pytest.approx(1 / count, abs=0.05)


@pytest.mark.parametrize("name", METHODS)
def test_inert_values_say_nothing(name):
    task = conditional_task()
    agent = make_agent(name, task.space, seed=0)
    off = task.space.sample(64, np.random.default_rng(0))
    off[:, 0] = 0
    told(agent, off, task)
    drawn = agent._draw(4000)[:, 1]  # of `depth`, which has no effect where mode is off
    assert np.bincount(drawn, minlength=4) / 4000 == pytest.approx(0.25, abs=0.06)


def test_cross_entropy_fits_the_elite_and_keeps_a_least_probability():
    agent = make_agent(
        "cross-entropy", TASK.space, samples=10, elite=0.2, smoothing=1.0, exploration=0.5
    )
    rows = TASK.space.sample(10, np.random.default_rng(3))
    told(agent, rows)
    elite = rows[np.argsort(-TASK.evaluate(rows).score, kind="stable")[:2]]
    drawn = agent._draw(20_000)
    for j, count in enumerate(TASK.space.cardinalities):
        share = np.bincount(drawn[:, j], minlength=count) / len(drawn)
        fitted = np.bincount(elite[:, j], minlength=count) / 2
        assert share == pytest.approx(0.95 * fitted + 0.05 / count, abs=0.015)


def test_reinforce_follows_the_gradient_of_the_mean_advantage():
    space = DesignSpace([Parameter("a", (0, 1, 2))])
    task = function_task(space, lambda rows: np.array([1.0, 2.0, 4.0])[rows[:, 0]])
    agent = make_agent("reinforce", space, batch=3, learning_rate=1.0, entropy=0.0, momentum=0.0)
    agent.tell(np.array([[0], [1], [2]]), task.evaluate(np.array([[0], [1], [2]])))
    advantage = np.array([1.0, 0.0, -1.0]) / np.sqrt(2 / 3)  # log scores, evenly spaced
    assert agent.get_state()["_logits"][0] == pytest.approx(advantage / 3)


def test_the_entropy_bonus_pulls_towards_uniform():
    space = DesignSpace([Parameter("a", (0, 1, 2))])
    flat = function_task(space, lambda rows: np.ones(len(rows)))
    agent = make_agent("reinforce", space, batch=1, learning_rate=1.0, entropy=1.0)
    agent.set_state({"_logits": np.array([[2.0, 0.0, -2.0]])})
    agent.tell(np.array([[0]]), flat.evaluate(np.array([[0]])))
    assert np.ptp(agent.get_state()["_logits"]) < 4.0


@pytest.mark.parametrize("policy", ["thompson", "softmax"])
def test_bandits_pull_the_best_arm_most_often(policy):
    space = DesignSpace([Parameter("a", tuple(range(5))), Parameter("b", (0, 1))])
    task = function_task(space, lambda rows: 1.0 + np.array([3, 1, 4, 0, 5])[rows[:, 0]])
    agent = make_agent("multi-bandit", space, seed=0, policy=policy, temperature=0.3, batch=1)
    for row in space.enumerate(0, 10):
        agent.tell(row[None], task.evaluate(row[None]))
    pulls = np.bincount(agent._draw(1000)[:, 0], minlength=5)
    assert pulls.argmax() == 3
    assert pulls[3] > 2 * pulls[2]
