"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347) of RLlib."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from archgym.agent import LoopAgent
from archgym.agents._rllib import EXTRA, NEEDS, require_rllib, train, vector_maker
from archgym.evaluator import Evaluator
from archgym.hyperparameters import Choice, Range
from archgym.space import DesignSpace


class PpoAgent(LoopAgent):
    """A policy network proposes whole designs, one head per parameter, and is trained by PPO.

    An episode is one design, its reward the score. Every update trains on the designs proposed
    since the last one.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        designs_per_update: designs proposed between two updates of the policy.
        learning_rate: of Adam.
        epochs: passes over the designs of an update.
        entropy: weight of the policy's entropy, which keeps it exploring.
        clip: how far an update may move the probability of a design.
        hidden: units of each of the two hidden layers of policy and value network.
        encoding: how actions become designs: one categorical head per parameter, or a Gaussian in
            the unit cube that is cut into bins. `round-2023` rounds the Gaussian to -1, 0 or 1
            first, which cannot reach most designs; it is there to be compared with.
    """

    extra: ClassVar[str] = EXTRA
    needs: ClassVar[tuple[str, ...]] = NEEDS

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        designs_per_update: Annotated[int, Range(4, 512, log=True)] = 32,
        learning_rate: Annotated[float, Range(1e-5, 0.1, log=True)] = 0.003,
        epochs: Annotated[int, Range(1, 50, log=True)] = 10,
        entropy: Annotated[float, Range(0.0001, 1.0, log=True)] = 0.01,
        clip: Annotated[float, Range(0.05, 0.5)] = 0.2,
        hidden: Annotated[int, Range(4, 512, log=True)] = 64,
        encoding: Annotated[
            str, Choice(("multi-discrete", "box", "round-2023"))
        ] = "multi-discrete",
    ) -> None:
        super().__init__(space, seed)
        require_rllib()
        self._designs_per_update = designs_per_update
        self._learning_rate = learning_rate
        self._epochs = epochs
        self._entropy = entropy
        self._clip = clip
        self._hidden = hidden
        self._encoding = encoding

    @property
    def batch_size(self) -> int:
        """Designs proposed between two updates."""
        return self._designs_per_update

    def search(self, evaluator: Evaluator) -> None:
        """Trains the policy until the budget is spent."""
        from ray.rllib.algorithms.ppo import PPOConfig
        from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

        from archgym.agents._learner import WholeBatchLearner

        n = self._designs_per_update
        config = (
            PPOConfig()
            .framework("torch")
            .env_runners(
                num_env_runners=0,
                num_envs_per_env_runner=n,
                rollout_fragment_length=1,
                gym_env_vectorize_mode="vector_entry_point",
            )
            .learners(num_learners=0)
            .training(
                train_batch_size_per_learner=n,
                minibatch_size=None,
                learner_class=WholeBatchLearner,
                num_epochs=self._epochs,
                lr=self._learning_rate,
                entropy_coeff=self._entropy,
                clip_param=self._clip,
                use_kl_loss=False,
                vf_clip_param=float("inf"),
                grad_clip=0.5,
            )
            .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[self._hidden] * 2))
        )

        maker = vector_maker(evaluator, action=self._encoding)
        train(config, maker, evaluator, int(self.rng.integers(2**31 - 1)))
