"""What the multi-agent methods share: PPO of RLlib on the PettingZoo environment of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from archgym.agents._central import OTHERS, AddOthers, CentralCritic, one_hot_size
from archgym.agents._learner import WholeBatchLearner
from archgym.agents._rllib import train
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.gym import Observation
from archgym.parallel import ParallelDesignEnv

SHARED = "shared"
"""Name of the policy that all agents share."""


class TeamEnv(MultiAgentEnv):  # type: ignore[misc]
    """The environment as RLlib wants it, with numbers for agents.

    RLlib goes through sets of agents, and the order of a set of names differs from process to
    process. Once the budget is spent, steps end without evaluation.

    Args:
        inner: the environment.
    """

    def __init__(self, inner: ParallelDesignEnv) -> None:
        super().__init__()
        self._inner = inner
        self._names = list(inner.possible_agents)
        self.agents = self.possible_agents = list(range(len(self._names)))
        self.observation_spaces = self._numbered(inner.observation_space)
        self.action_spaces = self._numbered(inner.action_space)
        self.observation_space = gymnasium.spaces.Dict(self.observation_spaces)
        self.action_space = gymnasium.spaces.Dict(self.action_spaces)

    def _numbered(self, value_of: Callable[[str], Any]) -> dict[Any, Any]:
        return {i: value_of(name) for i, name in enumerate(self._names)}

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, Any]:
        """Starts an episode."""
        observations, infos = self._inner.reset()
        return self._numbered(observations.__getitem__), self._numbered(infos.__getitem__)

    def step(self, action_dict: Mapping[int, Any]) -> tuple[Any, ...]:
        """Evaluates a joint design."""
        actions = {name: action_dict[i] for i, name in enumerate(self._names)}
        try:
            answer = self._inner.step(actions)
        except BudgetExhausted:
            observations, infos = self.reset()
            ended = self._numbered(lambda _: True) | {"__all__": True}
            return (
                observations,
                self._numbered(lambda _: 0.0),
                ended,
                dict.fromkeys(ended, False),
                infos,
            )
        observations, rewards, ended, truncated, infos = (
            self._numbered(each.__getitem__) for each in answer
        )
        for each in (ended, truncated):
            each["__all__"] = all(each.values())
        return observations, rewards, ended, truncated, infos


class IdentityEnv(ParallelDesignEnv):
    """Agents that one policy can play: all observe who they are and choose from equal spaces.

    The action of an agent is one head per parameter of the largest group, each with as many choices
    as the largest parameter has values; a smaller parameter's values get equal shares of them (as
    near as whole numbers allow), and spare heads do nothing.
    """

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Returns the box of `ParallelDesignEnv` with one more number per agent."""
        low = super().observation_space(agent)
        assert isinstance(low, gymnasium.spaces.Box)
        return gymnasium.spaces.Box(-1.0, 1.0, (low.shape[0] + len(self.groups),), np.float32)

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Returns the choices that fit every agent."""
        return gymnasium.spaces.MultiDiscrete([self._most] * max(map(len, self.groups.values())))

    @property
    def _most(self) -> int:
        return int(self.task.space.cardinalities.max())

    def row(self, actions: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Puts the choices of all agents together to an index row `(d,)`."""
        row = np.empty(len(self.task.space), np.int64)
        for agent, group in self.groups.items():
            chosen = np.asarray(actions[agent], np.int64)[: len(group)]
            row[group] = chosen * self.task.space.cardinalities[group] // self._most
        return row

    def _seen(self, observation: Observation) -> dict[str, Observation]:
        ones = np.eye(len(self.possible_agents), dtype=np.float32)
        return {
            agent: np.concatenate([observation, ones[i]])
            for i, agent in enumerate(self.possible_agents)
        }


def train_team(
    evaluator: Evaluator,
    agents: str,
    kind: str,
    seed: int,
    *,
    designs_per_update: int,
    learning_rate: float,
    epochs: int,
    entropy: float,
    clip: float,
    hidden: int,
) -> None:
    """Trains a team of policies by PPO until the evaluator's budget is spent.

    Args:
        evaluator: what designs are evaluated through.
        agents: how the parameters are shared out, see `archgym.parallel.share_out`.
        kind: `independent` (a policy and a critic per agent), `shared` (one of each for all), or
            `central` (per agent, the critics see the actions of the other agents).
        seed: of everything that RLlib draws.
        designs_per_update: designs proposed between two updates.
        learning_rate: of Adam.
        epochs: passes over the designs of an update.
        entropy: weight of the entropy.
        clip: how far an update may move the probability of an action.
        hidden: units of each of two hidden layers.
    """
    env = IdentityEnv if kind == "shared" else ParallelDesignEnv
    shown = env(evaluator.task, agents)
    policies = [SHARED] if kind == "shared" else shown.possible_agents
    model = asdict(DefaultModelConfig(fcnet_hiddens=[hidden] * 2, vf_share_layers=False))
    if kind == "central":
        others = {each: one_hot_size(shown, each) for each in policies}
        specs = {
            each: RLModuleSpec(
                module_class=CentralCritic, model_config=model | {OTHERS: others[each]}
            )
            for each in policies
        }
    else:
        specs = {each: RLModuleSpec(model_config=model) for each in policies}
    config = (
        PPOConfig()
        .framework("torch")
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=min(designs_per_update, 16),
            rollout_fragment_length="auto",
        )
        .learners(
            num_learners=0,
            learner_connector=(lambda *_, **__: AddOthers(shown)) if kind == "central" else None,
        )
        .multi_agent(
            policies=policies,
            policy_mapping_fn=lambda agent, *_, **__: policies[0 if kind == "shared" else agent],
        )
        .training(
            train_batch_size_per_learner=designs_per_update,
            minibatch_size=None,
            learner_class=WholeBatchLearner,
            num_epochs=epochs,
            lr=learning_rate,
            entropy_coeff=entropy,
            clip_param=clip,
            use_kl_loss=False,
            vf_clip_param=float("inf"),
            grad_clip=0.5,
        )
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
    )

    def maker(num_envs: int) -> TeamEnv:
        return TeamEnv(env(evaluator.task, agents, evaluator=evaluator))

    train(config, maker, evaluator, seed)
