"""Every agent proposes every value of every parameter of every registered design space."""

import functools

import numpy as np
import pytest

from archgym.agent import LoopAgent, agent_names, find_agent, make_agent
from archgym.environment import environment_ids, find_environment
from archgym.space import DesignSpace
from archgym.testing.loops import reached
from archgym.testing.toys import function_task

SEEDS = 60
LARGEST = 10
"""Parameters of the largest space that agents which own their loop are run on."""


def spaces():
    """Returns every design space that an environment offers, by name."""
    found = []
    for name in environment_ids():
        environment = find_environment(name)
        option = environment.options.get("space")
        for choice in option.choices if option else ("default",):
            found.append(pytest.param(name, choice, id=f"{name} {choice}"))
    return found


@functools.cache
def task_of(name, choice):
    """Returns a cheap task over the space: arbitrary costs, so that no value is favoured."""
    environment = find_environment(name)
    given = {"space": choice} if "space" in environment.options else {}
    space = environment.build(**environment.resolve(given)).space
    weights = np.random.default_rng(0).lognormal(size=len(space))

    def cost(rows):
        return 1.0 + np.abs(np.sin(rows @ weights * 37.0))

    return function_task(DesignSpace(space.parameters), cost)


@pytest.mark.parametrize(("name", "choice"), spaces())
@pytest.mark.parametrize("agent", agent_names())
def test_every_value_is_proposed_under_some_seed(agent, name, choice):
    task = task_of(name, choice)
    if issubclass(find_agent(agent), LoopAgent):
        if len(task.space) > LARGEST or any(each.when for each in task.space.parameters):
            pytest.skip("takes minutes; the conformance kit covers spaces with conditions")
        assert not reached(find_agent(agent), task, 120, 4)
        return
    seen = [np.zeros(int(count), np.bool_) for count in task.space.cardinalities]
    for seed in range(SEEDS):
        searcher = make_agent(agent, task.space, seed=seed)
        for _ in range(3):
            rows = searcher.ask(16)
            searcher.tell(rows, task.evaluate(rows))
            active = task.space.active(rows)
            for j, values in enumerate(seen):
                values[rows[active[:, j], j]] = True
        if all(values.all() for values in seen):
            return
    missing = {
        name: np.flatnonzero(~values).tolist()
        for name, values in zip(task.space.names, seen, strict=True)
        if not values.all()
    }
    pytest.fail(f"never proposed: {missing}")
