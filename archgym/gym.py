"""Gymnasium faces of a task: a step is one design, a vector step is one batched call.

Every environment is registered under the namespace `archgym`, see `archgym.registration`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from archgym.errors import unknown
from archgym.evaluator import Evaluator
from archgym.space import IntArray
from archgym.stages import StagesView
from archgym.task import Evaluation, Task, make_task
from archgym.views import make_view

Observation = npt.NDArray[np.float32]
EPISODES = ("single", "refine", "layerwise")
MEASURED = ("each", "last")
_TINY = 1e-9  # keeps the logarithm of a count of zero finite


@dataclass(frozen=True)
class EpisodeRules:
    """Rules of an episode that the single and the vector environment share."""

    kind: str
    horizon: int
    measured: str = "each"

    @classmethod
    def make(cls, kind: str, horizon: int | None, measured: str = "each") -> EpisodeRules:
        """Returns the rules of a kind.

        Raises:
            ValueError: for an unknown kind or choice of steps, or a horizon that does not fit.
        """
        if kind not in EPISODES:
            raise unknown("episode", kind, EPISODES)
        if measured not in MEASURED:
            raise unknown("measured", measured, MEASURED)
        if measured == "last" and kind != "layerwise":
            raise ValueError(f"measured: 'last' with episode={kind!r}, it is for 'layerwise'")
        if kind == "single" and horizon not in (None, 1):
            raise ValueError(f"horizon: {horizon} with episode='single', which has one step")
        if kind == "layerwise" and horizon is not None:
            raise ValueError(f"horizon: {horizon} with episode='layerwise', which has a step each")
        if horizon is not None and horizon < 1:
            raise ValueError(f"horizon: {horizon} is not at least 1")
        default = 1 if kind == "single" else 32
        return cls(kind, default if horizon is None else horizon, measured)


class Face:
    """What both environments do with a task: decode actions, evaluate, observe."""

    def __init__(
        self, task: Task, evaluator: Evaluator | None, episode: EpisodeRules, action: str | None
    ):
        self.task = task
        self.evaluator = Evaluator(task) if evaluator is None else evaluator
        self.episode = episode
        self.stages = StagesView(task.space, action) if episode.kind == "layerwise" else None
        usual = "one-knob" if episode.kind == "refine" else "multi-discrete"
        self.view = make_view(usual if self.stages or action is None else action, task.space)
        self.action_space = self.stages.action_space if self.stages else self.view.action_space
        self._described = getattr(task.model, "stage_features", {})
        size = 1 + len(task.metrics) + len(task.space) + len(task.model.features)
        size += len(self._stage(0))
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)
        self._spans = np.maximum(task.space.cardinalities - 1, 1)
        self.default_evaluation = task.evaluate(task.default[None])

    def _stage(self, steps: int) -> Observation:
        """What is observed of the stage that is next; nothing where there are none."""
        if self.stages is None:
            return np.zeros(0, np.float32)
        return self.stages.features(steps, self._described)

    def step(self, actions: npt.NDArray[Any], current: IntArray, steps: int) -> Evaluation:
        """Evaluates one action per row of `current`, after `steps` steps of the episode."""
        if self.stages is not None:
            rows = self.stages.to_rows(actions, current, steps)
            last = self.done(steps + 1)[0]
            waits = self.episode.measured == "last" and not last
            return self._unmeasured(rows) if waits else self.evaluator.evaluate(rows)
        return self.evaluator.evaluate(self.view.to_rows(actions, current))

    def _unmeasured(self, rows: IntArray) -> Evaluation:
        """Unfinished designs: no metric is known, and the score is still the default design's."""
        usual = self.default_evaluation.take(np.zeros(len(rows), np.int64))
        unknown_ = np.full(len(rows), np.nan)
        return replace(
            usual,
            designs=self.task.space.canonical(rows),
            metrics=dict.fromkeys(usual.metrics, unknown_),
            breakdown=dict.fromkeys(usual.breakdown, unknown_),
        )

    def done(self, steps: int) -> tuple[bool, bool]:
        """Returns (terminated, truncated) after so many steps."""
        if self.stages is not None:
            return steps >= len(self.stages), False
        single = self.episode.kind == "single"
        return (True, False) if single else (False, steps >= self.episode.horizon)

    def observe(self, evaluation: Evaluation, steps: int = 0) -> Observation:
        """Returns `(n, k)` in [-1, 1].

        Columns: feasibility (1 or -1); per metric, the log ratio to the default design squashed by
        x / (1 + |x|), 0 where it was not simulated; the design's indices scaled to [-1, 1]; the
        workload's features; layerwise, what `StagesView.features` says after `steps` steps.
        """
        count = len(evaluation)
        columns = [np.where(evaluation.feasible, 1.0, -1.0)]
        for metric in self.task.metrics:
            values = evaluation.metrics[metric.name]
            against = self.task.reference[metric.name]
            ratio = np.log((np.abs(values) + _TINY) / (abs(against) + _TINY))
            columns.append(np.nan_to_num(ratio / (1.0 + np.abs(ratio)), nan=0.0))
        design = evaluation.designs / self._spans * 2.0 - 1.0
        told = np.concatenate([self.task.model.features, self._stage(steps)])
        features = np.broadcast_to(told, (count, len(told)))
        observation = np.concatenate([np.stack(columns, axis=1), design, features], axis=1)
        return observation.astype(np.float32)

    def rewards(self, evaluation: Evaluation, before: npt.NDArray[np.float64]) -> Any:
        """Returns `(n,)`: the reward of the design, or but for `single` its gain over the last."""
        now = evaluation.reward
        return now if self.episode.kind == "single" else now - before

    def info(self, evaluation: Evaluation, i: int) -> dict[str, Any]:
        """Returns the details of design `i` as plain data."""
        return {
            "design": self.task.space.decode(evaluation.designs[i]),
            "metrics": {name: float(v[i]) for name, v in evaluation.metrics.items()},
            "breakdown": {name: float(v[i]) for name, v in evaluation.breakdown.items()},
            "feasible": bool(evaluation.feasible[i]),
            "violations": evaluation.violated(i),
            "score": float(evaluation.score[i]),
        }


class DesignEnv(gymnasium.Env[Observation, Any]):
    """One design per step.

    `episode="single"`: the action is a whole design, the episode ends after it, and the reward is
    the design's score (0 is the default design; `INFEASIBLE_REWARD` if infeasible).
    `episode="refine"`: the episode starts at the default design, an action changes the current
    design, the reward is the gain in score, and the episode is truncated after `horizon` steps.
    `episode="layerwise"`: a step chooses the parameters of one subsystem, such as a layer, see
    `archgym.stages`; the reward is the gain in score, the episode ends with the last subsystem.
    With `measured="last"` only the design of the last step is evaluated, as in HAQ (Wang et al.
    2019, arXiv:1811.08886): rewards before are 0, and metrics NaN in `info` and 0 where observed.

    Args:
        env: environment id; ignored if a task is given.
        task: a task, instead of an id and options.
        evaluator: the door to count and log through; its own unlimited one by default.
        episode: `single`, `refine` or `layerwise`.
        horizon: steps per episode of `refine`, 32 by default.
        measured: `each` step, or the `last` one, for `layerwise`.
        action: action encoding, `multi-discrete`, `box` or `one-knob`; by default whole designs for
            `single` and one knob for `refine`; for `layerwise` see `StagesView`.
        objective: see `make_task`.
        **options: of the environment, such as `workload=`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}  # noqa: RUF012 (Gymnasium's interface)

    def __init__(
        self,
        env: str = "",
        *,
        task: Task | None = None,
        evaluator: Evaluator | None = None,
        episode: str = "single",
        horizon: int | None = None,
        measured: str = "each",
        action: str | None = None,
        objective: object = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        task = make_task(env, objective=objective, **options) if task is None else task
        rules = EpisodeRules.make(episode, horizon, measured)
        self._face = Face(task, evaluator, rules, action)
        self.task = task
        self.evaluator = self._face.evaluator
        self.render_mode = render_mode
        self.action_space = self._face.action_space
        self.observation_space = self._face.observation_space
        self._steps = 0
        self._last = self._face.default_evaluation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode at the default design."""
        super().reset(seed=seed)
        self._steps = 0
        self._last = self._face.default_evaluation
        return self._face.observe(self._last)[0], self._face.info(self._last, 0)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Evaluates the design that the action stands for."""
        before = self._last.reward
        evaluation = self._face.step(np.asarray(action)[None], self._last.designs, self._steps)
        self._steps += 1
        self._last = evaluation
        gained = float(self._face.rewards(evaluation, before)[0])
        terminated, truncated = self._face.done(self._steps)
        observation = self._face.observe(evaluation, self._steps)[0]
        return observation, gained, terminated, truncated, self._face.info(evaluation, 0)

    def render(self) -> str | None:  # type: ignore[override]
        """Returns the current design and its metrics as text, for `render_mode="ansi"`."""
        if self.render_mode != "ansi":
            return None
        info = self._face.info(self._last, 0)
        lines = [f"{name} = {value}" for name, value in info["design"].items()]
        lines += [f"{name}: {value:.6g}" for name, value in info["metrics"].items()]
        return "\n".join(lines)


class DesignVectorEnv(VectorEnv[Observation, Any, Any]):
    """Many designs per step through one batched call of the cost model.

    Same rules as `DesignEnv`. Episodes that end are reset in the same step
    (`AutoresetMode.SAME_STEP`), so a step of `single` episodes is always `num_envs` designs. The
    arrays of `info` (`metrics`, `breakdown`, `feasible`, `score`, `designs`) have one entry per
    environment.

    Args:
        num_envs: designs per step.
        env: environment id; ignored if a task is given.
        task: a task, instead of an id and options.
        evaluator: the door to count and log through; its own unlimited one by default.
        episode: `single`, `refine` or `layerwise`.
        horizon: steps per episode of `refine`, 32 by default.
        measured: see `DesignEnv`.
        action: action encoding, see `DesignEnv`.
        objective: see `make_task`.
        **options: of the environment.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        env: str = "",
        *,
        task: Task | None = None,
        evaluator: Evaluator | None = None,
        episode: str = "single",
        horizon: int | None = None,
        measured: str = "each",
        action: str | None = None,
        objective: object = None,
        **options: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs: {num_envs} is not at least 1")
        task = make_task(env, objective=objective, **options) if task is None else task
        rules = EpisodeRules.make(episode, horizon, measured)
        self._face = Face(task, evaluator, rules, action)
        self.task = task
        self.evaluator = self._face.evaluator
        self.num_envs = num_envs
        self.single_action_space = self._face.action_space
        self.single_observation_space = self._face.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._start = self._face.default_evaluation.take(np.zeros(num_envs, np.int64))
        self._last = self._start
        self._steps = 0

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts all episodes at the default design."""
        super().reset(seed=seed if not isinstance(seed, list) else seed[0])
        self._steps = 0
        self._last = self._start
        return self._face.observe(self._start), _vector_info(self._start)

    def step(
        self, actions: Any
    ) -> tuple[
        Observation,
        npt.NDArray[np.float64],
        npt.NDArray[np.bool_],
        npt.NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Evaluates one design per environment."""
        before = self._last.reward
        evaluation = self._face.step(np.asarray(actions), self._last.designs, self._steps)
        self._steps += 1
        self._last = evaluation
        gained = self._face.rewards(evaluation, before)
        terminated, truncated = self._face.done(self._steps)
        info = _vector_info(evaluation)
        observation = self._face.observe(evaluation, self._steps)
        if terminated or truncated:
            # All episodes have the same length, so they end together.
            everywhere = np.ones(self.num_envs, np.bool_)
            info |= {"final_obs": observation, "_final_obs": everywhere}
            info |= {"final_info": _vector_info(evaluation), "_final_info": everywhere}
            observation, _ = self.reset()
        ended = np.full(self.num_envs, terminated), np.full(self.num_envs, truncated)
        return observation, gained, *ended, info


def _vector_info(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "designs": evaluation.designs,
        "metrics": dict(evaluation.metrics),
        "breakdown": dict(evaluation.breakdown),
        "feasible": evaluation.feasible,
        "score": evaluation.score,
    }
