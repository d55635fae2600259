"""PettingZoo face of a task: several agents choose one design together.

The parameters are shared out over the agents; a joint step is one design, and every agent gets the
same reward for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

try:
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "multi-agent environments need the extra 'rl': pip install 'archgym[rl]'"
    ) from error

from archgym.errors import unknown
from archgym.evaluator import Evaluator
from archgym.gym import EpisodeRules, Face, Observation
from archgym.space import DesignSpace
from archgym.stages import subsystems
from archgym.task import Task

SPLITS = ("per-parameter", "per-subsystem")

Grouping = str | Sequence[Sequence[str]]


def share_out(space: DesignSpace, agents: Grouping) -> dict[str, list[int]]:
    """Shares the parameters of a space out over agents.

    Args:
        space: the design space.
        agents: `per-parameter`, `per-subsystem` (by the label of the parameters), or lists of
            parameter names, one per agent, that hold every parameter once.

    Returns:
        `{agent name: positions of its parameters}`; an agent is named after its subsystem, or after
        its parameters joined by "+".

    Raises:
        ValueError: for an unknown way to share, or lists that miss or repeat a parameter.
    """
    names = list(space.names)
    if isinstance(agents, str):
        if agents not in SPLITS:
            raise unknown("agents", agents, SPLITS)
        if agents == "per-parameter":
            return {name: [j] for j, name in enumerate(names)}
        return subsystems(space)
    seen: set[str] = set()
    for group in agents:
        if not group:
            raise ValueError("agents: a group is empty, every agent needs a parameter")
        for name in group:
            if name not in names:
                raise unknown("agents: parameter", name, names)
            if name in seen:
                raise ValueError(f"agents: parameter {name!r} is given twice")
            seen.add(name)
    missing = [name for name in names if name not in seen]
    if missing:
        raise ValueError(f"agents: no agent has parameter {missing[0]!r}")
    return {"+".join(group): [names.index(name) for name in group] for group in agents}


class ParallelDesignEnv(ParallelEnv[str, Observation, Any]):  # type: ignore[misc]
    """One design per joint step.

    Every agent observes what `DesignEnv` shows (the current design, its metrics relative to the
    default design, the workload) and chooses the values of its own parameters: `Discrete` with one
    parameter, `MultiDiscrete` with several. All get the same reward, that of the design; it is not
    split, so algorithms that add up the rewards of all agents must not (see docs/agents.md).

    Args:
        task: what is searched.
        agents: see `share_out`.
        evaluator: the door to count and log through; its own unlimited one by default.
        episode: `single` (one step, reward = score) or `refine` (`horizon` steps from the default
            design, reward = gain in score).
        horizon: steps per episode of `refine`, 32 by default.
    """

    metadata: dict[str, Any] = {"name": "archgym_v0", "render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        task: Task,
        agents: Grouping = "per-parameter",
        *,
        evaluator: Evaluator | None = None,
        episode: str = "single",
        horizon: int | None = None,
    ) -> None:
        if episode == "layerwise":
            raise ValueError("episode: 'layerwise' has one agent; take 'single' or 'refine'")
        rules = EpisodeRules.make(episode, horizon)
        self._face = Face(task, evaluator, rules, "multi-discrete")
        self.task = task
        self.evaluator = self._face.evaluator
        self.groups = share_out(task.space, agents)
        self.possible_agents = list(self.groups)
        self.agents: list[str] = []
        self.render_mode = None
        self._actions = {
            agent: _action_space(task.space.cardinalities[group])
            for agent, group in self.groups.items()
        }
        self._steps = 0
        self._last = self._face.default_evaluation

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Returns the box that all agents observe."""
        return self._face.observation_space

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Returns the choices of an agent."""
        return self._actions[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Starts an episode at the default design."""
        self.agents = list(self.possible_agents)
        self._steps = 0
        self._last = self._face.default_evaluation
        observation = self._face.observe(self._last)[0]
        return self._seen(observation), self._everyone(self._face.info(self._last, 0))

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Observation],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Evaluates the design that the agents have chosen together."""
        before = self._last.reward
        evaluation = self._face.step(self.row(actions)[None], self._last.designs, self._steps)
        self._steps += 1
        self._last = evaluation
        reward = float(self._face.rewards(evaluation, before)[0])
        terminated, truncated = self._face.done(self._steps)
        answer = (
            self._seen(self._face.observe(evaluation)[0]),
            self._everyone(reward),
            self._everyone(terminated),
            self._everyone(truncated),
            self._everyone(self._face.info(evaluation, 0)),
        )
        if terminated or truncated:
            self.agents = []
        return answer

    def row(self, actions: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Puts the choices of all agents together to an index row `(d,)`."""
        row = np.empty(len(self.task.space), np.int64)
        for agent, group in self.groups.items():
            row[group] = actions[agent]
        return row

    def _seen(self, observation: Observation) -> dict[str, Observation]:
        """Returns what each agent observes."""
        return self._everyone(observation)

    def _everyone(self, value: Any) -> dict[str, Any]:
        return dict.fromkeys(self.agents, value)


def _action_space(cardinalities: npt.NDArray[np.int64]) -> gymnasium.spaces.Space[Any]:
    if len(cardinalities) == 1:
        return gymnasium.spaces.Discrete(int(cardinalities[0]))
    return gymnasium.spaces.MultiDiscrete(cardinalities)


def parallel_env(
    task: Task, agents: Grouping = "per-parameter", **settings: Any
) -> ParallelDesignEnv:
    """Returns the PettingZoo environment of a task; see `ParallelDesignEnv` for the settings."""
    return ParallelDesignEnv(task, agents, **settings)
