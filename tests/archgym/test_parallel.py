"""Multi-agent environments: sharing out the parameters, and PettingZoo's own checks."""

import numpy as np
import pytest

from archgym.evaluator import Evaluator
from archgym.gym import DesignEnv
from archgym.testing.toys import toy_task

pytest.importorskip("pettingzoo", reason="needs the extra rl")

from pettingzoo.test import parallel_api_test

import archgym
from archgym.parallel import share_out

SHARES = ["per-parameter", "per-subsystem", [["p0", "p2"], ["p1"], ["p3", "p4"]]]


@pytest.mark.parametrize("agents", SHARES)
@pytest.mark.parametrize("episode", ["single", "refine"])
def test_passes_the_checks_of_pettingzoo(agents, episode):
    env = archgym.parallel_env(toy_task((4, 3, 5, 2, 6)), agents, episode=episode)
    parallel_api_test(env, num_cycles=100)


@pytest.mark.parametrize("agents", SHARES)
def test_every_parameter_belongs_to_one_agent(agents):
    space = toy_task((4, 3, 5, 2, 6)).space
    groups = share_out(space, agents)
    assert sorted(j for group in groups.values() for j in group) == list(range(len(space)))


def test_subsystems_of_a_real_task():
    task = archgym.make_task("DramController-v0", workload="sort", space="archgym2023")
    groups = share_out(task.space, "per-subsystem")
    assert set(groups) == {"page policy", "scheduler", "front end", "refresh"}


def test_joint_step_is_the_design_and_reward_is_shared():
    task = toy_task((4, 3, 5), forbidden=True)
    env = archgym.parallel_env(task, [["p2"], ["p0", "p1"]], evaluator=Evaluator(task, 10))
    single = DesignEnv(task=task)
    env.reset()
    single.reset()
    rng = np.random.default_rng(0)
    for _ in range(8):
        row = task.space.sample(1, rng)[0]
        answer = env.step({"p2": row[2], "p0+p1": row[:2]})
        observations, rewards, terminated, _, infos = answer
        observed, reward, *_ = single.step(row)
        assert rewards == {"p2": reward, "p0+p1": reward}
        assert all(terminated.values()) and not env.agents
        for agent in env.possible_agents:
            assert np.array_equal(observations[agent], observed)
            assert infos[agent]["design"] == task.space.decode(row)
        env.reset()
        single.reset()
    assert env.evaluator.samples == single.evaluator.samples


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        ("per-parametre", "did you mean 'per-parameter'"),
        ([["p0", "p1"]], "no agent has parameter 'p2'"),
        ([["p0", "p1"], ["p1", "p2"]], "parameter 'p1' is given twice"),
        ([["p0", "p1", "q"]], "unknown name 'q'"),
        ([["p0", "p1", "p2"], []], "a group is empty"),
    ],
)
def test_bad_groups_are_named(agents, message):
    with pytest.raises(ValueError, match=message):
        archgym.parallel_env(toy_task((4, 3, 5)), agents)
