"""What the agents that learn with RLlib share: the environment, the training loop, Ray.

Everything runs in this process (no remote workers), so every design goes through the run's own
evaluator. RLlib is of the extra `rl` and takes seconds to import, so it is imported when a search
begins.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.gym import DesignVectorEnv

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

EXTRA = "rl"
"""The optional dependencies of the methods of RLlib."""

NEEDS = ("torch", "tree", "pettingzoo")
"""Modules that the extra brings and that tell whether it is installed."""

Maker = Callable[[int], Any]

# The environment makers of the searches under way, by number: RLlib copies whatever it is given,
# and a copied evaluator would count another budget.
_MAKERS: dict[int, Maker] = {}
_NUMBERS = itertools.count()


def require_rllib() -> None:
    """Imports RLlib with its notices off.

    Raises:
        ModuleNotFoundError: if the extra is not installed, with the command that installs it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    try:
        import ray.rllib  # noqa: F401
        import torch
    except ImportError as error:
        raise ModuleNotFoundError(
            f"this agent needs the extra 'rl' ({error.name or error} is missing): "
            f"pip install 'archgym[rl]'"
        ) from error
    torch.set_num_threads(1)
    for name in ("ray", "ray.rllib", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # RLlib registers its environment anew for every algorithm, and Gymnasium warns each time.
    warnings.filterwarnings("ignore", message=".*Overriding environment rllib-.*")


def start_ray() -> None:
    """Starts Ray in this process, unless it runs already. RLlib needs it even without workers."""
    import ray

    if not ray.is_initialized():
        ray.init(
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            object_store_memory=80 * 1024 * 1024,
        )


def vector_maker(evaluator: Evaluator, **settings: Any) -> Maker:
    """Returns a maker of vector environments; see `DesignVectorEnv` for the settings."""

    def maker(num_envs: int) -> NextStepEnv:
        return NextStepEnv(
            DesignVectorEnv(num_envs, task=evaluator.task, evaluator=evaluator, **settings)
        )

    return maker


def _environment(config: dict[str, Any]) -> Any:
    """Makes an environment of the search that `config` names."""
    return _MAKERS[config["search"]](config.get("num_envs", 1))


def train(config: AlgorithmConfig, maker: Maker, evaluator: Evaluator, seed: int) -> None:
    """Trains until the evaluator's budget is spent.

    Args:
        config: the algorithm with its hyperparameters, without environment.
        maker: makes the environment with so many parallel episodes.
        evaluator: what the environment evaluates through.
        seed: of everything that RLlib draws.
    """
    from ray.tune.registry import register_env
    from ray.tune.trainable import trainable

    start_ray()
    number = next(_NUMBERS)
    _MAKERS[number] = maker
    register_env("archgym-search", _environment)
    config.environment(
        "archgym-search", env_config={"search": number}, disable_env_checking=True
    ).debugging(seed=seed, log_level="ERROR")
    # RLlib keeps a folder per algorithm in the home directory, and has no setting for it.
    usual, trainable.DEFAULT_STORAGE_PATH = trainable.DEFAULT_STORAGE_PATH, tempfile.mkdtemp()
    try:
        algorithm = config.build_algo()
        if getattr(algorithm, "local_replay_buffer", None) is not None:
            # The only generator that RLlib does not seed.
            algorithm.local_replay_buffer.rng = np.random.default_rng(seed)
        while not evaluator.exhausted:
            algorithm.train()
        algorithm.stop()
    finally:
        shutil.rmtree(trainable.DEFAULT_STORAGE_PATH, ignore_errors=True)
        trainable.DEFAULT_STORAGE_PATH = usual
        del _MAKERS[number]


class NextStepEnv(VectorEnv[Any, Any, Any]):
    """`DesignVectorEnv` for RLlib, which wants ended episodes to be reset in the next step.

    That step ignores its actions and evaluates nothing. Once the budget is spent, the rest of
    RLlib's batch gets rewards of 0 without an evaluation.

    Args:
        inner: the environment.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, inner: DesignVectorEnv) -> None:
        self._inner = inner
        self.num_envs = inner.num_envs
        self.single_action_space = inner.single_action_space
        self.single_observation_space = inner.single_observation_space
        self.action_space = inner.action_space
        self.observation_space = inner.observation_space
        self._ended = False

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Starts all episodes."""
        self._ended = False
        observation, _ = self._inner.reset()
        return observation, {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps all episodes, or starts new ones after their end."""
        no = np.zeros(self.num_envs, np.bool_)
        if self._ended:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), no, no, info
        try:
            observation, rewards, terminated, truncated, info = self._inner.step(actions)
        except BudgetExhausted:
            self._ended = True
            observation, _ = self._inner.reset()
            return observation, np.zeros(self.num_envs), ~no, no, {}
        if terminated.any() or truncated.any():
            self._ended = True
            observation = info["final_obs"]
        return observation, rewards, terminated, truncated, {}
