"""Stable-Baselines3 works on the environments without adapters."""

import numpy as np
import pytest

from archgym.gym import DesignEnv, DesignVectorEnv
from archgym.testing.toys import toy_task

sb3 = pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 and torch")


@pytest.mark.parametrize(
    ("method", "action", "episode"),
    [("PPO", "multi-discrete", "single"), ("DQN", "one-knob", "refine"), ("SAC", "box", "single")],
)
def test_learns_on_the_toy(method: str, action: str, episode: str) -> None:
    task = toy_task((4, 3, 5))
    env = DesignEnv(task=task, action=action, episode=episode)
    small = {"PPO": {"n_steps": 64, "batch_size": 32}, "DQN": {}, "SAC": {}}[method]
    model = getattr(sb3, method)("MlpPolicy", env, seed=0, device="cpu", **small)
    model.learn(128)
    observation, _ = env.reset(seed=0)
    chosen, _ = model.predict(observation, deterministic=True)
    _, reward, *_ = env.step(chosen)
    assert np.isfinite(reward)
    assert env.evaluator.samples > 1


def test_learns_on_the_vector_environment() -> None:
    from archgym.stable_baselines import SB3VecEnv

    task = toy_task((4, 3, 5))
    env = SB3VecEnv(DesignVectorEnv(8, task=task))
    model = sb3.PPO("MlpPolicy", env, n_steps=4, batch_size=32, seed=0, device="cpu")
    model.learn(96)
    assert env.env.evaluator.proposals == 96
    observation = env.reset()
    assert observation.shape == (8, *env.observation_space.shape)
    rows = np.zeros((8, 3), np.int64)
    _, rewards, ended, infos = env.step(rows)
    assert ended.all() and len(infos) == 8
    assert np.array_equal(infos[3]["design"], rows[3])
    assert rewards[3] == pytest.approx(infos[3]["score"])
    assert infos[3]["terminal_observation"].shape == observation.shape[1:]


def test_refinement_is_truncated() -> None:
    from archgym.stable_baselines import SB3VecEnv

    env = SB3VecEnv(DesignVectorEnv(2, task=toy_task((4, 3, 5)), episode="refine", horizon=2))
    env.reset()
    _, _, ended, infos = env.step(np.array([0, 1]))
    assert not ended.any() and "terminal_observation" not in infos[0]
    _, _, ended, infos = env.step(np.array([2, 3]))
    assert ended.all() and infos[0]["TimeLimit.truncated"]
