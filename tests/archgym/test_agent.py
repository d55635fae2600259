import importlib.metadata
import pickle

import numpy as np
import pytest

import archgym.agent
from archgym.agent import Agent, agent_names, find_agent, make_agent
from archgym.agents.genetic import GeneticAgent
from archgym.agents.random import RandomAgent
from archgym.testing.toys import toy_task

SHIPPED = {
    "random",
    "genetic",
    "ant-colony",
    "simulated-annealing",
    "hill-climbing",
    "tpe",
    "cross-entropy",
    "reinforce",
    "multi-bandit",
    "differential-evolution",
    "cma-es",
    "nsga2",
    "nsga3",
    "portfolio",
}


class Outside(RandomAgent):
    """An agent of another package."""


@pytest.fixture
def entry_point(monkeypatch):
    """Registers `outside`, and `broken`, which is no agent."""
    entries = importlib.metadata.EntryPoints(
        importlib.metadata.EntryPoint(name, value, archgym.agent.ENTRY_POINT_GROUP)
        for name, value in (("outside", "outside_package:Outside"), ("broken", "json:loads"))
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", entries.select)
    module = type(archgym)("outside_package")
    module.Outside = Outside
    monkeypatch.setitem(__import__("sys").modules, "outside_package", module)


def test_names_are_the_files_of_the_folder():
    assert set(agent_names()) >= SHIPPED
    assert not any(name.startswith(("_", "-")) for name in agent_names())


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_names_lead_to_classes_and_instances(name):
    cls = find_agent(name)
    assert issubclass(cls, Agent)
    assert cls.__module__ == f"archgym.agents.{name.replace('-', '_')}"
    assert type(make_agent(name, toy_task().space)) is cls


def test_an_unknown_name_is_answered_with_the_closest():
    with pytest.raises(
        ValueError, match="agent: unknown name 'genetics'; did you mean 'genetic'"
    ) as e:
        find_agent("genetics")
    assert "\n" not in str(e.value)


def test_operators_are_no_agent():
    with pytest.raises(ValueError, match="unknown name '_operators'"):
        find_agent("_operators")


def test_entry_points_add_agents(entry_point):
    assert "outside" in agent_names()
    assert find_agent("outside") is Outside
    assert find_agent("genetic") is GeneticAgent
    with pytest.raises(ValueError, match=r"json:loads.*not an Agent class"):
        find_agent("broken")


def test_make_agent_checks_hyperparameters():
    space = toy_task().space
    with pytest.raises(
        ValueError, match="'genetic': hyperparameter: unknown name 'populaton'; did you"
    ):
        make_agent("genetic", space, populaton=3)
    with pytest.raises(ValueError, match=r"'genetic': population: value 1 is outside 2..1024"):
        make_agent("genetic", space, population=1)
    assert make_agent("genetic", space, population=6, elitism=0.5).batch_size == 3


def test_a_seed_and_its_generator_are_the_same():
    space = toy_task().space
    by_seed = make_agent("random", space, seed=4).ask(5)
    by_generator = make_agent("random", space, seed=np.random.default_rng(4)).ask(5)
    assert np.array_equal(by_seed, by_generator)


def test_state_leaves_out_the_space_and_can_be_pickled():
    task = toy_task(forbidden=True)
    agent = make_agent("genetic", task.space, seed=1)
    rows = agent.ask(30)
    agent.tell(rows, task.evaluate(rows))
    state = agent.get_state()
    assert "space" not in state
    other = make_agent("genetic", toy_task(forbidden=True).space)
    space = other.space
    other.set_state(pickle.loads(pickle.dumps(state)))
    assert other.space is space
    assert np.array_equal(other.ask(9), agent.ask(9))
