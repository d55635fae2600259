import numpy as np
import pytest

from archgym.agent import make_agent
from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import function_task

SPACE = DesignSpace(
    [Parameter("size", tuple(range(16)), ordered=True), Parameter("kind", tuple("abcdef"))]
)
TASK = function_task(SPACE, lambda rows: 1.0 + rows.sum(axis=1))


def agent_of(rows, **settings):
    given = {"crossover": 1.0, "mutation": 0.0, "best": 0.0, "population": len(rows), **settings}
    agent = make_agent("differential-evolution", SPACE, seed=0, **given)
    agent.tell(rows, TASK.evaluate(rows))
    return agent


def test_steps_of_ordered_parameters_are_scaled_differences_on_average():
    rows = np.array([[2, 0], [4, 0], [9, 0], [9, 0]]) + np.array([[0, 0], [0, 0], [0, 1], [0, 2]])
    children = agent_of(rows, scale=0.5)._children(np.zeros(6000, np.int64))
    steps = np.abs(children[:, 0] - 2)
    differences = [abs(a - b) / 2 for a in (2, 4, 9, 9) for b in (2, 4, 9, 9)]
    # Negative results are reflected, which loses little: the base is at 2, the largest step 3.5.
    assert set(np.unique(children[:, 0])) <= set(range(7))
    assert steps.mean() < np.mean(differences) + 0.1


def test_categories_come_from_the_population_only():
    rows = np.array([[0, 1], [5, 3], [9, 4], [15, 1]])
    children = agent_of(rows, scale=1.0)._children(np.zeros(500, np.int64))
    assert set(np.unique(children[:, 1])) == {1, 3, 4}


def test_a_child_replaces_its_parent_only_if_it_is_no_worse():
    rows = np.array([[8, 2], [8, 3], [9, 3], [7, 5]])
    agent = agent_of(rows)
    before = agent.get_state()
    children = agent.ask(4)
    agent.tell(children, TASK.evaluate(children))
    after = agent.get_state()
    scores = TASK.evaluate(children).score
    for i in range(4):
        kept = children[i] if scores[i] >= before["_scores"][i] else before["_rows"][i]
        assert np.array_equal(after["_rows"][i], kept)


def test_a_design_from_elsewhere_replaces_the_worst():
    rows = np.array([[8, 2], [8, 3], [15, 5], [7, 5]])
    agent = agent_of(rows)
    agent.tell(np.array([[0, 0]]), TASK.evaluate([[0, 0]]))
    assert agent.get_state()["_rows"][2].tolist() == [0, 0]


@pytest.mark.parametrize("population", [4, 16])
def test_populations_of_any_size_come_near_the_optimum(population):
    agent = make_agent("differential-evolution", SPACE, seed=1, population=population)
    best = -np.inf
    for _ in range(60):
        rows = agent.ask(1)
        evaluation = TASK.evaluate(rows)
        best = max(best, evaluation.score[0])
        agent.tell(rows, evaluation)
    assert best >= -np.log(3.0)
