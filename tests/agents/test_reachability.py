"""Every agent proposes every value of every parameter of every registered design space."""

import dataclasses
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

FEW = 16
"""Values of a parameter that agents with a model or a loop are tried on, of those that it has."""

MODELS = ("gp", "random-forest", "tpe", "botorch")


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
def task_of(name, choice, few):
    """Returns a cheap task over the space: arbitrary costs, so that no value is favoured.

    With `few`, parameters of hundreds of values keep some, from the first to the last.
    """
    environment = find_environment(name)
    given = {"space": choice} if "space" in environment.options else {}
    space = environment.build(**environment.resolve(given)).space
    weights = np.random.default_rng(0).lognormal(size=len(space))

    def cost(rows):
        return 1.0 + np.abs(np.sin(rows @ weights * 37.0))

    parents = {parent for each in space.parameters for parent in each.when}
    parameters = [
        dataclasses.replace(each, values=spread(each.values))
        if few and each.name not in parents
        else each
        for each in space.parameters
    ]
    return function_task(DesignSpace(parameters), cost)


def spread(values):
    """Returns `FEW` of many values."""
    if len(values) <= FEW:
        return values
    return tuple(values[i] for i in np.linspace(0, len(values) - 1, FEW).astype(int))


@pytest.mark.parametrize(("name", "choice"), spaces())
@pytest.mark.parametrize("agent", agent_names())
def test_every_value_is_proposed_under_some_seed(agent, name, choice):
    loop = issubclass(find_agent(agent), LoopAgent)
    task = task_of(name, choice, loop or agent in MODELS)
    if loop:
        if find_agent(agent).extra and (name, choice) != ("DramController-v0", "archgym2023"):
            pytest.skip("takes minutes with a network; one space is tried")
        if len(task.space) > LARGEST:
            pytest.skip("takes minutes; the conformance kit covers spaces with conditions")
        budget = max(120, 4 * int(task.space.cardinalities.sum()))
        assert not reached(find_agent(agent), task, budget, 4)
        return
    seen = [np.zeros(int(count), np.bool_) for count in task.space.cardinalities]
    batch = max(16, int(task.space.cardinalities.max()))
    for seed in range(SEEDS):
        searcher = make_agent(agent, task.space, seed=seed)
        # In many dimensions a model takes long; its first designs show what it can express.
        for _ in range(1 if agent in MODELS and len(task.space) > LARGEST else 3):
            rows = searcher.ask(batch)
            active = task.space.active(rows)
            for j, values in enumerate(seen):
                values[rows[active[:, j], j]] = True
            if all(values.all() for values in seen):
                return
            searcher.tell(rows, task.evaluate(rows))
    missing = {
        name: np.flatnonzero(~values).tolist()
        for name, values in zip(task.space.names, seen, strict=True)
        if not values.all()
    }
    pytest.fail(f"never proposed: {missing}")
