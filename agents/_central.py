"""Critics that see the actions of the other agents, for PPO of RLlib."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns

from archgym.parallel import ParallelDesignEnv

OTHERS = "others_actions"
"""Column of the training batch: the one-hot actions of all other agents."""


def _sizes(env: ParallelDesignEnv, agent: str) -> list[int]:
    space = env.action_space(agent)
    if isinstance(space, gymnasium.spaces.Discrete):
        return [int(space.n)]
    assert isinstance(space, gymnasium.spaces.MultiDiscrete)
    return [int(n) for n in space.nvec]


def one_hot_size(env: ParallelDesignEnv, agent: str) -> int:
    """Returns the length of the one-hot actions of all agents but one."""
    return sum(sum(_sizes(env, each)) for each in env.possible_agents if each != agent)


def _one_hot(actions: npt.ArrayLike, sizes: list[int]) -> npt.NDArray[np.float32]:
    """Returns actions `(n, heads)` as `(n, sum(sizes))` zeros and ones."""
    chosen = np.asarray(actions, np.int64).reshape(-1, len(sizes))
    return np.concatenate(
        [np.eye(size, dtype=np.float32)[chosen[:, k]] for k, size in enumerate(sizes)], axis=1
    )


class AddOthers(ConnectorV2):  # type: ignore[misc]
    """Adds `OTHERS` to training batches.

    Args:
        env: an environment with the agents and their actions.
    """

    def __init__(self, env: ParallelDesignEnv) -> None:
        super().__init__()
        self._sizes = [_sizes(env, agent) for agent in env.possible_agents]

    def __call__(self, *, episodes: list[Any], batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Adds the column for every agent of every episode."""
        for episode in episodes:
            # RLlib knows the agents by number, see `TeamEnv`.
            single = episode.agent_episodes
            chosen = [
                _one_hot(single[i].get_actions(), sizes) for i, sizes in enumerate(self._sizes)
            ]
            for i in range(len(chosen)):
                others = [actions for j, actions in enumerate(chosen) if j != i]
                rows = np.concatenate(others, axis=1) if others else chosen[i][:, :0]
                self.add_n_batch_items(
                    batch, OTHERS, rows, num_items=len(rows), single_agent_episode=single[i]
                )
        return batch


class CentralCritic(DefaultPPOTorchRLModule):  # type: ignore[misc]
    """RLlib's usual policy network beside a critic of observation and the others' actions."""

    def setup(self) -> None:
        """Builds the networks."""
        super().setup()
        width = self.model_config["fcnet_hiddens"][0]
        seen = self.observation_space.shape[0] + self.model_config[OTHERS]
        self.critic = torch.nn.Sequential(
            torch.nn.Linear(seen, width),
            torch.nn.Tanh(),
            torch.nn.Linear(width, width),
            torch.nn.Tanh(),
            torch.nn.Linear(width, 1),
        )

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Any:
        """Predicts the reward `(n,)` of each observation and joint action."""
        seen = torch.cat([batch[Columns.OBS], batch[OTHERS]], dim=-1)
        return self.critic(seen).squeeze(-1)
