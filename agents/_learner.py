"""The learner of the PPO family: every epoch is one step on all designs of an update."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner


class WholeBatchLearner(PPOTorchLearner):  # type: ignore[misc]
    """PPO of RLlib without minibatches.

    RLlib appends a step to every episode, to bootstrap from, and masks it in the loss. Episodes of
    one step are so doubled, and batches of several agents grow by the number of agents, which makes
    more minibatches of what are few designs.
    """

    def _create_iterator_if_necessary(
        self, *, training_data: Any, num_epochs: int = 1, **_: Any
    ) -> Iterable[Any]:
        batch = self._make_batch_if_necessary(training_data=training_data)
        batch = self._set_slicing_by_batch_id(batch, value=True)
        return itertools.repeat(batch, num_epochs)
