import numpy as np
import pytest

from archgym.agent import make_agent
from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import function_task, toy_task

TASK = toy_task()


def keyed(rows):
    return {row.tobytes() for row in rows}


def started(strategy, row):
    """Returns an agent that stands on the given design."""
    agent = make_agent("hill-climbing", TASK.space, seed=0, strategy=strategy)
    agent.tell(row[None], TASK.evaluate(row[None]))
    return agent


@pytest.mark.parametrize("strategy", ["first", "steepest"])
def test_the_whole_neighbourhood_is_proposed_then_designs_further_away(strategy):
    agent = started(strategy, TASK.model.best)
    neighbours = TASK.space.neighbours(TASK.model.best)
    rows = agent.ask(len(neighbours) + 5)
    assert keyed(rows[: len(neighbours)]) == keyed(neighbours)
    assert ((rows[len(neighbours) :] != TASK.model.best).sum(axis=1) >= 2).all()


def scores_of(rows):
    return TASK.evaluate(rows).score


def test_first_moves_as_soon_as_something_is_better():
    row = TASK.default
    agent = started("first", row)
    for _ in range(50):
        (one,) = agent.ask(1)
        assert one.tobytes() in keyed(TASK.space.neighbours(row))
        agent.tell(one[None], TASK.evaluate(one[None]))
        if scores_of(one)[0] > scores_of(row)[0]:
            row = one


def test_steepest_moves_to_the_best_of_the_whole_neighbourhood():
    neighbours = TASK.space.neighbours(TASK.default)
    scores = scores_of(neighbours)
    agent = started("steepest", TASK.default)
    asked = [agent.ask(1) for _ in neighbours]
    assert keyed(np.concatenate(asked)) == keyed(neighbours)
    for one in asked:
        agent.tell(one, TASK.evaluate(one))
    (following,) = agent.ask(1)
    best = neighbours[scores == scores.max()]
    assert any(following.tobytes() in keyed(TASK.space.neighbours(row)) for row in best)


@pytest.mark.parametrize("kick", [0.2, 1.0])
def test_a_local_optimum_ends_the_climb_and_a_kick_begins_the_next(kick):
    agent = make_agent("hill-climbing", TASK.space, seed=0, kick=kick)
    best = TASK.model.best
    neighbours = TASK.space.neighbours(best)
    for rows in (best[None], neighbours):
        agent.tell(rows, TASK.evaluate(rows))
    (start,) = agent.ask(1)
    changed = int((start != best).sum())
    assert changed == 2 if kick == 0.2 else changed > 3


def test_climbs_through_designs_it_was_told_without_asking_again():
    """A line whose scores are all known: the climb ends at its end and starts anew."""
    space = DesignSpace([Parameter("x", tuple(range(9)), ordered=True), Parameter("y", (0, 1))])
    task = function_task(space, lambda rows: 10.0 - rows[:, 0] + 5.0 * rows[:, 1])
    line = np.stack([np.arange(9), np.zeros(9, int)], axis=1)
    agent = make_agent("hill-climbing", space, seed=0)
    agent.tell(line, task.evaluate(line))
    assert agent.ask(1).tolist() == [[8, 1]]


def test_infeasible_starts_are_replaced_until_one_is_feasible():
    space = toy_task((6, 6)).space
    task = function_task(space, lambda rows: np.where(rows[:, 0] < 2, 1.0 + rows[:, 1], np.nan))
    agent = make_agent("hill-climbing", space, seed=3)
    for _ in range(36):
        rows = agent.ask(1)
        agent.tell(rows, task.evaluate(rows))
    assert len(agent.get_state()["_known"]) > 30
