"""Views of a design space for algorithms that want their own action encoding.

Each view maps index rows to actions and back; every value of every parameter survives the round
trip, and every action decodes to a valid row, so no design is out of reach of any algorithm. The
one exception, `round-2023`, is there to measure what such a reach costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from archgym.errors import unknown
from archgym.space import DesignSpace, IntArray

if TYPE_CHECKING:
    import gymnasium
    import optuna


class View(Protocol):
    """What the environments need from an action encoding."""

    action_space: gymnasium.Space[Any]

    def to_rows(self, actions: npt.NDArray[Any], current: IntArray) -> IntArray:
        """Decodes actions, one per design, into rows `(n, d)`; `current` holds the old rows."""
        ...


class MultiDiscreteView:
    """One discrete head per parameter: the action is the index row itself."""

    def __init__(self, space: DesignSpace) -> None:
        import gymnasium

        self._space = space
        self.action_space = gymnasium.spaces.MultiDiscrete(space.cardinalities)

    def to_rows(self, actions: npt.NDArray[Any], current: IntArray | None = None) -> IntArray:
        """Decodes `(n, d)` head choices into rows `(n, d)`."""
        return self._space.validate(actions)

    def to_actions(self, rows: IntArray) -> IntArray:
        """Encodes rows `(n, d)` as head choices `(n, d)`."""
        return self._space.validate(rows)


class BoxView:
    """The unit cube: each coordinate is cut into as many equal bins as the parameter has values."""

    def __init__(self, space: DesignSpace) -> None:
        import gymnasium

        self._space = space
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (len(space),), np.float32)

    def to_rows(self, actions: npt.NDArray[Any], current: IntArray | None = None) -> IntArray:
        """Decodes points `(n, d)` of the unit cube into rows `(n, d)`.

        Raises:
            ValueError: for a coordinate outside [0, 1] or not a number.
        """
        points = np.asarray(actions, np.float64)
        bad = ~((points >= 0.0) & (points <= 1.0))
        if bad.any():
            i, j = (int(k) for k in np.argwhere(bad)[0])
            raise ValueError(
                f"action: coordinate {j} ({self._space.names[j]!r}) is {points[i, j]}, "
                f"outside [0, 1]"
            )
        last = self._space.cardinalities - 1
        return np.minimum((points * self._space.cardinalities).astype(np.int64), last)

    def to_actions(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """Encodes rows `(n, d)` as the centres of their bins `(n, d)`."""
        centres = (self._space.validate(rows) + 0.5) / self._space.cardinalities
        return centres.astype(np.float32)


class RoundView(BoxView):
    """The decoding of the 2023 study, as an ablation: it rounds and so reaches few designs.

    An action `(d,)` in [-1, 1] is rounded to -1, 0 or 1 before it is cut into bins, so of a
    parameter's values only the first, the middle and the last can be reached. In the ten-parameter
    DRAM grid that is 5.9 % of the designs. Which bin 0 fell into is not published; here it is the
    upper middle one.
    """

    def __init__(self, space: DesignSpace) -> None:
        import gymnasium

        super().__init__(space)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(space),), np.float32)

    def to_rows(self, actions: npt.NDArray[Any], current: IntArray | None = None) -> IntArray:
        """Decodes points `(n, d)` of [-1, 1] into rows `(n, d)`."""
        return super().to_rows((np.round(np.asarray(actions, np.float64)) + 1.0) / 2.0)

    def to_actions(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """Raises TypeError: most designs have no action."""
        raise TypeError("the round-2023 encoding cannot express every design")


class OneKnobView:
    """One discrete action sets one parameter of the current design to one value.

    Action `offset[j] + v` sets parameter `j` to value `v`; there are as many actions as there are
    values in all parameters together.
    """

    def __init__(self, space: DesignSpace) -> None:
        import gymnasium

        self._space = space
        self._offsets = np.concatenate([[0], np.cumsum(space.cardinalities)])
        self.action_space: gymnasium.spaces.Discrete[Any] = gymnasium.spaces.Discrete(
            int(self._offsets[-1])
        )

    def to_rows(self, actions: npt.NDArray[Any], current: IntArray) -> IntArray:
        """Applies actions `(n,)` to the current rows `(n, d)`."""
        chosen = np.asarray(actions, np.int64).reshape(-1)
        if ((chosen < 0) | (chosen >= self._offsets[-1])).any():
            raise ValueError(f"action: {chosen.tolist()} is outside 0..{self._offsets[-1] - 1}")
        knobs = np.searchsorted(self._offsets, chosen, side="right") - 1
        rows = self._space.validate(current).copy()
        rows[np.arange(len(rows)), knobs] = chosen - self._offsets[knobs]
        return rows

    def to_actions(self, parameters: IntArray, values: IntArray) -> IntArray:
        """Encodes pairs of parameter number and value index, each `(n,)`, as actions `(n,)`."""
        return np.asarray(self._offsets[parameters] + values, np.int64)


VIEWS: Mapping[str, type[MultiDiscreteView] | type[BoxView] | type[OneKnobView]] = {
    "multi-discrete": MultiDiscreteView,
    "box": BoxView,
    "round-2023": RoundView,
    "one-knob": OneKnobView,
}


def make_view(name: str, space: DesignSpace) -> MultiDiscreteView | BoxView | OneKnobView:
    """Builds the view with the given name; raises ValueError for an unknown one."""
    if name not in VIEWS:
        raise unknown("action", name, VIEWS)
    return VIEWS[name](space)


class OptunaView:
    """Optuna distributions: ordered parameters as integers, categories as choices of indices."""

    def __init__(self, space: DesignSpace) -> None:
        from optuna.distributions import CategoricalDistribution, IntDistribution

        self._space = space
        self.distributions: dict[str, optuna.distributions.BaseDistribution] = {
            p.name: (
                IntDistribution(0, len(p.values) - 1)
                if p.ordered
                else CategoricalDistribution(tuple(range(len(p.values))))
            )
            for p in space.parameters
        }

    def to_rows(self, params: Sequence[Mapping[str, Any]]) -> IntArray:
        """Turns the `params` of Optuna trials into rows `(n, d)`."""
        rows = [[int(each[name]) for name in self._space.names] for each in params]
        return self._space.validate(np.array(rows, np.int64).reshape(-1, len(self._space)))

    def to_params(self, rows: IntArray) -> list[dict[str, Any]]:
        """Turns rows `(n, d)` into the `params` of Optuna trials."""
        names = self._space.names
        return [dict(zip(names, row, strict=True)) for row in self._space.validate(rows).tolist()]
