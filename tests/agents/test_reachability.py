"""Every agent proposes every value of every parameter of every registered design space."""

import dataclasses
import functools

import numpy as np
import pytest

from archgym.agent import LoopAgent, agent_names, find_agent, make_agent
from archgym.agents import _rllib, dqn
from archgym.environment import environment_ids, find_environment
from archgym.evaluator import Evaluator
from archgym.space import DesignSpace
from archgym.testing.loops import reached
from archgym.testing.toys import function_task
from archgym.views import BoxView, MultiDiscreteView, OneKnobView

SEEDS = 60
LARGEST = 10
"""Parameters of the largest space that costly methods are tried on with their own settings."""

FEW = 16
"""Values of a parameter that agents with a model or a loop are tried on, of those that it has."""

MODELS = ("gp", "random-forest", "tpe", "botorch")


WIDE = {
    "dqn": {"episodes": 128},
    "ippo": {"agents": "per-subsystem"},
    "ippo-shared": {"agents": "per-subsystem"},
    "mappo": {"agents": "per-subsystem"},
}
"""Settings of the methods of RLlib in spaces of more than `LARGEST` parameters: to save time."""


def agents_of(extra):
    """Returns the agents that need an extra."""
    return [name for name in agent_names() if find_agent(name).extra == extra]


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


class Untrained:
    """Stands for an algorithm of RLlib: its policy proposes and never learns."""

    def __init__(self, config):
        from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
        from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

        runner = MultiAgentEnvRunner if config.is_multi_agent else SingleAgentEnvRunner
        self._runner = runner(config=config)

    def train(self):
        self._runner.sample(num_timesteps=16, explore=True)

    def stop(self):
        self._runner.stop()


@pytest.fixture
def untrained(monkeypatch):
    """Leaves the training out of the methods of RLlib: it takes minutes on all spaces.

    What a method does otherwise stays: its policy, how that draws, the environment and its actions.
    The conformance kit looks at whole searches of a small space.
    """
    configs = pytest.importorskip("ray.rllib.algorithms.algorithm_config")
    monkeypatch.setattr(_rllib, "start_ray", lambda: None)
    monkeypatch.setattr(configs.AlgorithmConfig, "build_algo", lambda config: Untrained(config))


@pytest.mark.parametrize(("name", "choice"), spaces())
@pytest.mark.parametrize("agent", agents_of("rl"))
def test_untrained_policies_propose_every_value(agent, name, choice, untrained):
    task = task_of(name, choice, True)
    wide = len(task.space) > LARGEST
    settings = WIDE.get(agent, {}) if wide else {}
    assert not reached(find_agent(agent), task, 20_000, 4, max_repeats=5_000, **settings)


@pytest.mark.parametrize("agent", ["ppo", "sac"])
def test_values_that_rounding_cannot_reach_are_missed(agent, untrained):
    task = task_of("DramController-v0", "archgym2023", True)
    missing = reached(find_agent(agent), task, 2_000, 1, encoding="round-2023")
    counts = zip(task.space.names, task.space.cardinalities, strict=True)
    assert {name: len(values) for name, values in missing.items()} == {
        name: count - 3 for name, count in counts if count > 3
    }


@pytest.mark.parametrize(("name", "choice"), spaces())
@pytest.mark.parametrize("agent", [a for a in agent_names() if a not in agents_of("rl")])
def test_every_value_is_proposed_under_some_seed(agent, name, choice):
    loop = issubclass(find_agent(agent), LoopAgent)
    task = task_of(name, choice, loop or agent in MODELS)
    if loop:
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


@pytest.mark.parametrize(("name", "choice"), spaces())
def test_an_episode_of_dqn_has_a_step_for_every_parameter(name, choice, monkeypatch):
    pytest.importorskip("ray.rllib")
    task, makers = task_of(name, choice, True), []
    monkeypatch.setattr(dqn, "train", lambda config, maker, *_: makers.append(maker))
    evaluator = Evaluator(task)
    make_agent("dqn", task.space, horizon=2).search(evaluator)
    env = makers[0](1)
    env.reset()
    target = (task.default + 1) % task.space.cardinalities
    for j, value in enumerate(target):
        action = OneKnobView(task.space).to_actions(np.array([j]), np.array([value]))
        _, _, terminated, truncated, _ = env.step(action)
        assert not terminated.any()
        assert not truncated.any() or j == len(target) - 1
    samples = evaluator.samples
    evaluator.evaluate(target[None])
    assert evaluator.samples == samples, "the design with every parameter changed was not proposed"


@pytest.mark.parametrize(("name", "choice"), spaces())
def test_action_heads_encode_and_decode_every_value(name, choice):
    space = task_of(name, choice, False).space
    counts = space.cardinalities
    rows = np.arange(counts.max())[:, None] % counts
    for view in (MultiDiscreteView(space), BoxView(space)):
        actions = view.to_actions(rows)
        assert all(view.action_space.contains(action) for action in actions)
        assert np.array_equal(view.to_rows(actions), rows)
    knobs = OneKnobView(space)
    parameters = np.repeat(np.arange(len(space)), counts)
    values = np.concatenate([np.arange(count) for count in counts])
    actions = knobs.to_actions(parameters, values)
    assert np.array_equal(actions, np.arange(knobs.action_space.n))
    start = np.zeros((len(actions), len(space)), np.int64)
    after = knobs.to_rows(actions, start)
    start[np.arange(len(actions)), parameters] = values
    assert np.array_equal(after, start)


@pytest.mark.parametrize("agents", ["per-parameter", "per-subsystem"])
@pytest.mark.parametrize(("name", "choice"), spaces())
def test_agents_of_a_team_choose_every_value_together(name, choice, agents):
    team = pytest.importorskip("archgym.agents._team")
    task = task_of(name, choice, False)
    counts = task.space.cardinalities
    rows = np.arange(counts.max())[:, None] % counts
    own = team.ParallelDesignEnv(task, agents)
    for row in rows:
        actions = {agent: row[group] for agent, group in own.groups.items()}
        assert all(own.action_space(agent).contains(np.squeeze(a)) for agent, a in actions.items())
        assert np.array_equal(own.row(actions), row)
    shared = team.IdentityEnv(task, agents)
    heads = shared.action_space(shared.possible_agents[0]).nvec
    decoded = [shared.row(dict.fromkeys(shared.groups, [k] * len(heads))) for k in range(heads[0])]
    for count, column in zip(counts, np.transpose(decoded), strict=True):
        assert set(column) == set(range(count))
