import gymnasium
import numpy as np
import pytest

from archgym.evaluator import Evaluator
from archgym.gym import DesignEnv, DesignVectorEnv
from archgym.parallel import ParallelDesignEnv
from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import function_task, toy_task


def layered(*sizes, lone=False):
    """A task of two parameters per layer, of the given numbers of values."""
    parameters = [
        Parameter(f"{layer}.{name}", tuple(range(size)), subsystem=f"layer {layer}")
        for layer in range(3)
        for name, size in zip(("format", "group"), sizes, strict=True)
    ]
    if lone:
        parameters.insert(0, Parameter("array", (1, 2, 4, 8, 16)))
    return function_task(DesignSpace(parameters), lambda rows: 1.0 + rows.sum(axis=1))


def test_an_episode_sets_one_layer_after_the_other_and_its_rewards_add_up() -> None:
    task = layered(4, 2)
    evaluator = Evaluator(task)
    env = DesignEnv(task=task, evaluator=evaluator, episode="layerwise")
    assert env.action_space == gymnasium.spaces.MultiDiscrete([4, 2])
    first, _ = env.reset(seed=0)
    actions, total, progress = [[3, 1], [0, 0], [2, 1]], 0.0, [first[-1]]
    for step, action in enumerate(actions):
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        progress.append(observation[-1])
        chosen = np.ravel(actions[: step + 1]).tolist()
        assert list(info["design"].values()) == chosen + task.default[len(chosen) :].tolist()
        assert (terminated, truncated) == (step == 2, False)
    assert total == pytest.approx(info["score"])
    np.testing.assert_allclose(progress, [-1, -1 / 3, 1 / 3, 1], atol=1e-6)
    assert evaluator.samples == len({(3, 1, 0, 0, 0, 0), (3, 1, 0, 0, 2, 1)})


def test_only_the_last_design_is_measured_if_so_wanted() -> None:
    task = layered(4, 2)
    evaluator = Evaluator(task)
    env = DesignEnv(task=task, evaluator=evaluator, episode="layerwise", measured="last")
    env.reset(seed=0)
    actions = [[3, 1], [1, 0], [2, 1]]
    for action in actions[:2]:
        observation, reward, terminated, _, info = env.step(action)
        assert (reward, terminated, evaluator.samples) == (0.0, False, 0)
        assert np.isnan(list(info["metrics"].values())).all()
        assert observation in env.observation_space
        assert (observation[1 : 1 + len(task.metrics)] == 0.0).all()
    _, reward, terminated, _, info = env.step(actions[2])
    assert (terminated, evaluator.samples) == (True, 1)
    assert list(info["design"].values()) == np.ravel(actions).tolist()
    assert reward == pytest.approx(info["score"]) != 0.0
    many = DesignVectorEnv(2, task=task, episode="layerwise", measured="last")
    many.reset()
    for action in actions:
        _, rewards, ended, *_ = many.step([action, [0, 0]])
    assert ended.all() and rewards[0] == reward


def test_layers_that_differ_are_cut_into_bins() -> None:
    task = layered(4, 2, lone=True)
    env = DesignEnv(task=task, episode="layerwise")
    assert env.action_space == gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    env.reset(seed=0)
    for k in range(5):
        env.reset()
        *_, info = env.step(np.array([(k + 0.5) / 5, 0.0], np.float32))
        assert info["design"]["array"] == task.space.parameters[0].values[k]
    with pytest.raises(ValueError, match=r"'array' and '0.format' differ .* take 'box'"):
        DesignEnv(task=task, episode="layerwise", action="multi-discrete")
    with pytest.raises(ValueError, match=r"coordinate 0 \('0.format'\) is 1.5, outside"):
        env.step(np.array([1.5, 0.0]))


def test_every_design_is_reached() -> None:
    task = layered(2, 2)
    env = DesignVectorEnv(4, task=task, episode="layerwise")
    seen = set()
    choices = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    for a in range(4):
        for b in range(4):
            env.reset()
            env.step(np.tile(choices[a], (4, 1)))
            env.step(np.tile(choices[b], (4, 1)))
            *_, terminated, _, info = env.step(choices)
            assert terminated.all()
            seen |= {tuple(row) for row in info["designs"].tolist()}
    assert len(seen) == task.space.size


def test_what_a_model_says_of_a_layer_is_observed() -> None:
    task = layered(4, 2)
    task.model.stage_features = {
        f"layer {k}": np.array([k / 10, -k / 10], np.float32) for k in range(3)
    }
    env = DesignEnv(task=task, episode="layerwise")
    observation, _ = env.reset(seed=0)
    for k in range(3):
        np.testing.assert_allclose(observation[-2:], [k / 10, -k / 10])
        observation, *_ = env.step([0, 0])
    assert observation in env.observation_space


def test_what_does_not_fit_is_refused() -> None:
    task = toy_task()
    with pytest.raises(ValueError, match="horizon: 5 with episode='layerwise'"):
        DesignEnv(task=task, episode="layerwise", horizon=5)
    with pytest.raises(ValueError, match=r"'one-knob'. Allowed: box, multi-discrete"):
        DesignEnv(task=task, episode="layerwise", action="one-knob")
    with pytest.raises(ValueError, match="measured: 'last' with episode='single'"):
        DesignEnv(task=task, measured="last")
    with pytest.raises(ValueError, match="measured: unknown name 'final'"):
        DesignEnv(task=task, episode="layerwise", measured="final")
    with pytest.raises(ValueError, match="'layerwise' has one agent"):
        ParallelDesignEnv(task, episode="layerwise")
