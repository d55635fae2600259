"""Episodes that choose a design subsystem by subsystem, such as layer by layer.

A step sets the parameters of one subsystem; those that were not reached have the values of the
default design. Subsystems come in the order in which the space declares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from archgym.errors import unknown
from archgym.space import DesignSpace, IntArray

ACTIONS = ("box", "multi-discrete")


def subsystems(space: DesignSpace) -> dict[str, list[int]]:
    """Returns `{subsystem: positions of its parameters}` in the order of the space.

    A parameter without a label is a subsystem by itself, named after it.
    """
    groups: dict[str, list[int]] = {}
    for j, parameter in enumerate(space.parameters):
        groups.setdefault(parameter.subsystem or parameter.name, []).append(j)
    return groups


class StagesView:
    """The action of a step: values of the parameters of one subsystem.

    `multi-discrete` has one head per parameter, where the subsystems agree on them: a subsystem
    with fewer parameters ignores the last heads. `box` has a coordinate in [0, 1] per parameter,
    cut into as many equal bins as it has values, and serves any space.

    Args:
        space: the design space.
        action: `box` or `multi-discrete`; None for the latter where subsystems agree.

    Raises:
        ValueError: for another action, or heads that do not agree, naming both parameters.
    """

    def __init__(self, space: DesignSpace, action: str | None = None) -> None:
        if action is not None and action not in ACTIONS:
            raise unknown("action (episode='layerwise')", action, ACTIONS)
        self._space = space
        self.names = tuple(subsystems(space))
        self.groups = [np.array(group, np.int64) for group in subsystems(space).values()]
        width = max(len(group) for group in self.groups)
        heads, differing = self._heads(width)
        if action == "multi-discrete" and differing:
            raise ValueError(
                f"action: 'multi-discrete' with episode='layerwise' needs parameters that agree, "
                f"but {differing[0]!r} and {differing[1]!r} differ in their number of values; "
                f"take 'box'"
            )
        self.box = action == "box" or (action is None and differing is not None)
        self.action_space: gymnasium.spaces.Space[Any] = (
            gymnasium.spaces.Box(0.0, 1.0, (width,), np.float32)
            if self.box
            else gymnasium.spaces.MultiDiscrete(heads)
        )

    def _heads(self, width: int) -> tuple[IntArray, tuple[str, str] | None]:
        """Values per head, and two parameters of one head that differ in them, if there are."""
        heads, owner = np.zeros(width, np.int64), np.zeros(width, np.int64)
        for group in self.groups:
            for k, j in enumerate(group):
                if heads[k] and heads[k] != self._space.cardinalities[j]:
                    return heads, (self._space.names[owner[k]], self._space.names[j])
                heads[k], owner[k] = self._space.cardinalities[j], j
        return heads, None

    def __len__(self) -> int:
        return len(self.groups)

    def to_rows(self, actions: npt.NDArray[Any], current: IntArray, stage: int) -> IntArray:
        """Sets the parameters of a stage in the current rows `(n, d)`.

        Args:
            actions: `(n, width)`.
            current: rows `(n, d)`.
            stage: number of the subsystem.

        Raises:
            ValueError: for a coordinate outside [0, 1], or a choice that the parameter lacks.
        """
        group = self.groups[stage]
        chosen = np.asarray(actions)[:, : len(group)]
        values = self._bins(chosen, group) if self.box else chosen.astype(np.int64)
        rows = self._space.validate(current).copy()
        rows[:, group] = values
        return self._space.validate(rows)

    def _bins(self, points: npt.NDArray[Any], group: IntArray) -> IntArray:
        bad = ~((points >= 0.0) & (points <= 1.0))
        if bad.any():
            i, k = (int(each) for each in np.argwhere(bad)[0])
            raise ValueError(
                f"action: coordinate {k} ({self._space.names[group[k]]!r}) is {points[i, k]}, "
                f"outside [0, 1]"
            )
        sizes = self._space.cardinalities[group]
        return np.minimum((points.astype(np.float64) * sizes).astype(np.int64), sizes - 1)

    def features(
        self, stage: int, described: Mapping[str, npt.NDArray[np.float32]]
    ) -> npt.NDArray[np.float32]:
        """Returns what is observed of the stage that is next `(1 + k,)`, in [-1, 1].

        How far the episode is, then what the cost model says of the subsystem, zeros if nothing;
        after the last stage all of it is that of the last.

        Args:
            stage: number of the subsystem.
            described: the cost model's `stage_features`, `{subsystem: (k,)}`.
        """
        size = max((len(each) for each in described.values()), default=0)
        own = described.get(self.names[min(stage, len(self) - 1)], np.zeros(size, np.float32))
        progress = 2.0 * stage / len(self) - 1.0
        return np.concatenate([[progress], own]).astype(np.float32)
