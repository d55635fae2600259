"""Stable-Baselines3 works on the environments without adapters."""

import numpy as np
import pytest

from archgym.gym import DesignEnv
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
