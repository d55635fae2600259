"""Independent PPO: one agent per parameter or subsystem, one policy each."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np

from archgym.agent import LoopAgent
from archgym.agents._rllib import EXTRA, NEEDS, require_rllib
from archgym.evaluator import Evaluator
from archgym.hyperparameters import Choice, Range
from archgym.space import DesignSpace


class IndependentPpoAgent(LoopAgent):
    """Independent learners that choose a design together and share its reward.

    Each has its own policy and value network, trained by PPO (de Witt et al. 2020,
    arXiv:2011.09533). For the others' changing choices it has no model: they are noise to it.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        agents: how the parameters are shared out, one agent per parameter or per subsystem.
        designs_per_update: designs proposed between two updates of the policies.
        learning_rate: of Adam.
        epochs: passes over the designs of an update.
        entropy: weight of the policies' entropy, which keeps them exploring.
        clip: how far an update may move the probability of an action.
        hidden: units of each of the two hidden layers of policy and value network.
    """

    KIND = "independent"

    extra: ClassVar[str] = EXTRA
    needs: ClassVar[tuple[str, ...]] = NEEDS

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        agents: Annotated[str, Choice(("per-parameter", "per-subsystem"))] = "per-parameter",
        designs_per_update: Annotated[int, Range(4, 512, log=True)] = 32,
        learning_rate: Annotated[float, Range(1e-5, 0.1, log=True)] = 0.003,
        epochs: Annotated[int, Range(1, 50, log=True)] = 10,
        entropy: Annotated[float, Range(0.0001, 1.0, log=True)] = 0.01,
        clip: Annotated[float, Range(0.05, 0.5)] = 0.2,
        hidden: Annotated[int, Range(4, 512, log=True)] = 64,
    ) -> None:
        super().__init__(space, seed)
        require_rllib()
        self._agents = agents
        self._settings: dict[str, Any] = {
            "designs_per_update": designs_per_update,
            "learning_rate": learning_rate,
            "epochs": epochs,
            "entropy": entropy,
            "clip": clip,
            "hidden": hidden,
        }

    def search(self, evaluator: Evaluator) -> None:
        """Trains the policies until the budget is spent."""
        from archgym.agents._team import train_team

        seed = int(self.rng.integers(2**31 - 1))
        train_team(evaluator, self._agents, self.KIND, seed, **self._settings)
