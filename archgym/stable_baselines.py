"""The vector environment for Stable-Baselines3, which has an interface of its own for them.

Single environments need nothing: Stable-Baselines3 takes `DesignEnv` as it is. Many designs per
step are one batched call of the cost model only through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "archgym.stable_baselines needs Stable-Baselines3: pip install stable-baselines3"
    ) from error

from archgym.gym import DesignVectorEnv, Observation


class SB3VecEnv(VecEnv):  # type: ignore[misc, unused-ignore]
    """`DesignVectorEnv` as the `VecEnv` of Stable-Baselines3 (https://stable-baselines3.readthedocs.io).

    `infos` holds one mapping per design with `design` (its index row), `score` and `feasible`, and
    `terminal_observation` where an episode has ended.

    Args:
        env: the environment.
    """

    def __init__(self, env: DesignVectorEnv) -> None:
        self.env = env
        self.render_mode = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._actions: Any = None

    def reset(self) -> Observation:
        """Starts all episodes at the default design."""
        observation, _ = self.env.reset()
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: Any) -> None:
        """Takes the next actions, one per environment."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, Any, Any, list[dict[str, Any]]]:
        """Evaluates one design per environment."""
        observation, rewards, terminated, truncated, info = self.env.step(self._actions)
        infos: list[dict[str, Any]] = [
            {
                "design": info["designs"][i],
                "score": float(info["score"][i]),
                "feasible": bool(info["feasible"][i]),
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
            }
            for i in range(self.num_envs)
        ]
        for i, last in enumerate(info.get("final_obs", ())):
            infos[i]["terminal_observation"] = last
        return observation, rewards.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Returns an attribute, the same for each environment asked for."""
        return [getattr(self.env, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of all environments."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *arguments: Any, indices: Any = None, **keywords: Any
    ) -> list[Any]:
        """Calls a method once and returns what it gave for each environment asked for."""
        value = getattr(self.env, method_name)(*arguments, **keywords)
        return [value] * len(self._chosen(indices))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Returns that no environment is wrapped."""
        return [False] * len(self._chosen(indices))

    def _chosen(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))
