"""Soft actor-critic (Haarnoja et al. 2018, arXiv:1801.01290) of RLlib."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from archgym.agent import LoopAgent
from archgym.agents._rllib import EXTRA, NEEDS, require_rllib, train, vector_maker
from archgym.evaluator import Evaluator
from archgym.hyperparameters import Choice, Range
from archgym.space import DesignSpace


class SacAgent(LoopAgent):
    """A stochastic policy in the unit cube, trained off-policy with an entropy bonus.

    An action is a point of the cube, which is cut into equal bins, one per value of a parameter; an
    episode is one design, its reward the score. All designs so far are replayed.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        designs_per_update: designs proposed between two rounds of training.
        learning_rate: of actor, critics and temperature.
        replay: how often each design is replayed, on average, per design proposed.
        batch: designs in a training batch.
        warm_up: designs proposed before training begins.
        initial_alpha: weight of the entropy at the start; it is learned.
        hidden: units of each of the two hidden layers of actor and critics.
        encoding: the cube cut into bins, or `round-2023`, which rounds to -1, 0 or 1 first and so
            cannot reach most designs; it is there to be compared with.
    """

    extra: ClassVar[str] = EXTRA
    needs: ClassVar[tuple[str, ...]] = NEEDS

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        designs_per_update: Annotated[int, Range(1, 128, log=True)] = 8,
        learning_rate: Annotated[float, Range(1e-5, 0.1, log=True)] = 0.003,
        replay: Annotated[int, Range(1, 256, log=True)] = 32,
        batch: Annotated[int, Range(8, 512, log=True)] = 64,
        warm_up: Annotated[int, Range(8, 1024, log=True)] = 64,
        initial_alpha: Annotated[float, Range(0.001, 10.0, log=True)] = 0.016,
        hidden: Annotated[int, Range(4, 512, log=True)] = 64,
        encoding: Annotated[str, Choice(("box", "round-2023"))] = "box",
    ) -> None:
        super().__init__(space, seed)
        require_rllib()
        self._designs_per_update = designs_per_update
        self._learning_rate = learning_rate
        self._replay = replay
        self._batch = batch
        self._warm_up = warm_up
        self._initial_alpha = initial_alpha
        self._hidden = hidden
        self._encoding = encoding

    @property
    def batch_size(self) -> int:
        """Designs proposed between two rounds of training."""
        return self._designs_per_update

    def search(self, evaluator: Evaluator) -> None:
        """Trains actor and critics until the budget is spent."""
        from ray.rllib.algorithms.sac import SACConfig
        from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

        config = (
            SACConfig()
            .framework("torch")
            .env_runners(
                num_env_runners=0,
                num_envs_per_env_runner=self._designs_per_update,
                rollout_fragment_length=1,
                gym_env_vectorize_mode="vector_entry_point",
            )
            .learners(num_learners=0)
            .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=1)
            .training(
                train_batch_size_per_learner=self._batch,
                training_intensity=self._replay,
                num_steps_sampled_before_learning_starts=self._warm_up,
                actor_lr=self._learning_rate,
                critic_lr=self._learning_rate,
                alpha_lr=self._learning_rate,
                initial_alpha=self._initial_alpha,
                replay_buffer_config={"type": "EpisodeReplayBuffer", "capacity": 1_000_000},
            )
            .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[self._hidden] * 2))
        )
        maker = vector_maker(evaluator, action=self._encoding)
        train(config, maker, evaluator, int(self.rng.integers(2**31 - 1)))
