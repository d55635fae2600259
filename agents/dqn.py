"""Deep Q-learning (Mnih et al. 2015; double and dueling) of RLlib."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from archgym.agent import LoopAgent
from archgym.agents._rllib import EXTRA, NEEDS, require_rllib, train, vector_maker
from archgym.evaluator import Evaluator
from archgym.hyperparameters import Range
from archgym.space import DesignSpace


class DqnAgent(LoopAgent):
    """Learns what each change of one parameter is worth, and makes the best change.

    An episode starts at the default design; an action sets one parameter to one value, the reward
    is the gain in score. Random actions become rare as designs are proposed.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        episodes: refinements under way at the same time, each proposes a design per step.
        horizon: steps of an episode; at least one per parameter is taken, so that an episode can
            reach every design.
        learning_rate: of Adam.
        replay: how often each step is replayed, on average, per design proposed.
        batch: steps in a training batch.
        exploration: proposals after which random actions are at their least, repeats included, as
            a share of the budget.
        least_exploration: least probability of a random action.
        target_update: steps between two copies of the network to the target network.
        discount: of later rewards.
        hidden: units of each of the two hidden layers.
    """

    extra: ClassVar[str] = EXTRA
    needs: ClassVar[tuple[str, ...]] = NEEDS

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        episodes: Annotated[int, Range(1, 128, log=True)] = 12,
        horizon: Annotated[int, Range(2, 256, log=True)] = 64,
        learning_rate: Annotated[float, Range(1e-5, 0.1, log=True)] = 0.00015,
        replay: Annotated[int, Range(1, 256, log=True)] = 32,
        batch: Annotated[int, Range(8, 512, log=True)] = 64,
        exploration: Annotated[float, Range(0.05, 1.0)] = 0.5,
        least_exploration: Annotated[float, Range(0.0, 0.5)] = 0.45,
        target_update: Annotated[int, Range(8, 4096, log=True)] = 2048,
        discount: Annotated[float, Range(0.0, 0.999)] = 0.13,
        hidden: Annotated[int, Range(4, 512, log=True)] = 64,
    ) -> None:
        super().__init__(space, seed)
        require_rllib()
        self._episodes = episodes
        self._horizon = horizon
        self._learning_rate = learning_rate
        self._replay = replay
        self._batch = batch
        self._exploration = exploration
        self._least_exploration = least_exploration
        self._target_update = target_update
        self._discount = discount
        self._hidden = hidden

    @property
    def batch_size(self) -> int:
        """Designs proposed per step."""
        return self._episodes

    def search(self, evaluator: Evaluator) -> None:
        """Trains the network until the budget is spent."""
        from ray.rllib.algorithms.dqn import DQNConfig
        from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

        explored = max(1, int(self._exploration * min(evaluator.remaining, 10**6)))
        config = (
            DQNConfig()
            .framework("torch")
            .env_runners(
                num_env_runners=0,
                num_envs_per_env_runner=self._episodes,
                rollout_fragment_length=1,
                gym_env_vectorize_mode="vector_entry_point",
            )
            .learners(num_learners=0)
            .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=1)
            .training(
                train_batch_size_per_learner=self._batch,
                training_intensity=self._replay,
                num_steps_sampled_before_learning_starts=self._batch,
                lr=self._learning_rate,
                gamma=self._discount,
                epsilon=[(0, 1.0), (explored, self._least_exploration)],
                target_network_update_freq=self._target_update,
                replay_buffer_config={"type": "EpisodeReplayBuffer", "capacity": 1_000_000},
            )
            .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[self._hidden] * 2))
        )
        horizon = max(self._horizon, len(self.space))
        maker = vector_maker(evaluator, action="one-knob", episode="refine", horizon=horizon)
        train(config, maker, evaluator, int(self.rng.integers(2**31 - 1)))
