import numpy as np
import pytest

from archgym.agent import make_agent
from archgym.testing.toys import function_task, toy_task

TASK = toy_task()


def annealer(**hyperparameters):
    agent = make_agent("simulated-annealing", TASK.space, seed=0, **hyperparameters)
    start = agent.ask(hyperparameters.get("chains", 2))
    agent.tell(start, TASK.evaluate(start))
    return agent, start


def test_every_chain_proposes_neighbours_of_its_own_design_in_turn():
    agent, start = annealer(chains=3)
    proposed = agent.ask(6)
    changed = (proposed[:, None, :] != start[None]).sum(axis=2)
    assert (changed[np.arange(6), np.arange(6) % 3] == 1).all()


def accepted_worse(temperature):
    """Share of worse neighbours that a chain moves to."""
    moves = 0
    for seed in range(60):
        agent = make_agent(
            "simulated-annealing",
            TASK.space,
            seed=seed,
            chains=1,
            temperature=temperature,
        )
        best = TASK.model.best[None]
        agent.tell(best, TASK.evaluate(best))
        neighbour = agent.ask(1)
        agent.tell(neighbour, TASK.evaluate(neighbour))
        moves += np.array_equal(agent.get_state()["_rows"], neighbour)
    return moves / 60


def test_the_metropolis_rule_in_units_of_the_mean_difference():
    # One difference was seen, so the scale is that difference: it is accepted with exp(-1 / T).
    assert accepted_worse(0.001) == 0.0
    assert accepted_worse(1.0) == pytest.approx(np.exp(-1.0), abs=0.15)
    assert accepted_worse(10.0) == pytest.approx(np.exp(-0.1), abs=0.12)


def test_a_chain_cools_with_its_own_evaluations_and_is_heated_when_stuck():
    agent = make_agent(
        "simulated-annealing", TASK.space, seed=0, chains=1, reheat=5, cooling=0.9, temperature=1.0
    )
    best = TASK.model.best[None]
    agent.tell(best, TASK.evaluate(best))
    seen = []
    for _ in range(10):
        rows = agent.ask(1)
        agent.tell(rows, TASK.evaluate(rows))
        seen.append(float(agent.get_state()["_temperature"][0]))
    expected = [0.9, 0.81, 0.729, 0.6561, 1.0] * 2
    assert seen == pytest.approx(expected)
    assert np.array_equal(agent.get_state()["_rows"], best)


def test_random_restart_leaves_the_best_design():
    agent = make_agent(
        "simulated-annealing", TASK.space, seed=0, chains=1, reheat=5, restart="random"
    )
    best = TASK.model.best[None]
    agent.tell(best, TASK.evaluate(best))
    for _ in range(5):
        rows = agent.ask(1)
        agent.tell(rows, TASK.evaluate(rows))
    assert (agent.ask(1) != best).sum() >= 4


def test_a_better_design_from_elsewhere_replaces_the_worst_chain():
    agent, start = annealer(chains=2)
    worst = np.argmin(TASK.evaluate(start).score)
    agent.tell(TASK.model.best[None], TASK.evaluate(TASK.model.best[None]))
    rows = agent.get_state()["_rows"]
    assert np.array_equal(rows[worst], TASK.model.best)
    assert np.array_equal(rows[1 - worst], start[1 - worst])


def test_a_chain_on_an_infeasible_design_takes_any_neighbour():
    space = toy_task((6, 6, 6)).space
    task = function_task(space, lambda rows: np.where(rows.any(axis=1), np.nan, 1.0))
    agent = make_agent("simulated-annealing", space, seed=0, chains=1, temperature=0.001)
    start = np.array([[5, 5, 5]])
    agent.tell(start, task.evaluate(start))
    neighbour = agent.ask(1)
    agent.tell(neighbour, task.evaluate(neighbour))
    assert np.array_equal(agent.get_state()["_rows"], neighbour)
