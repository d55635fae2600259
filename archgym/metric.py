"""Metrics and objectives: what a cost model reports and how a design is scored by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from archgym.errors import unknown

FloatArray = npt.NDArray[np.float64]
Metrics = Mapping[str, FloatArray]
Direction = Literal["minimise", "maximise", "none"]

BUDGET_FLOOR = -5.0
"""Score under which no design that meets its budgets falls, and above which no other rises."""

INFEASIBLE_REWARD = -10.0
"""Reward of an infeasible design; every feasible design's reward is higher."""


@dataclass(frozen=True)
class Metric:
    """A named output of a cost model.

    Attributes:
        name: the quantity with its unit as suffix, such as `read_latency_ns`.
        unit: the unit alone, for tables.
        direction: which way is better; `none` for counts that are only reported.
        doc: one line of meaning.
    """

    name: str
    unit: str
    direction: Direction
    doc: str = ""

    def describe(self) -> dict[str, str]:
        """Returns the metric as plain data."""
        return {
            "name": self.name,
            "unit": self.unit,
            "direction": self.direction,
            "doc": self.doc,
        }


@dataclass(frozen=True)
class Budget:
    """A limit that a design must meet before anything else counts.

    Attributes:
        metric: an upper limit if the metric is minimised, a lower limit if it is maximised.
        limit: the limit in the metric's unit, or in multiples of the default design's value.
        relative: whether `limit` is such a multiple.
    """

    metric: str
    limit: float
    relative: bool = False


def floored(score: FloatArray, floor: float) -> FloatArray:
    """Keeps scores strictly above `floor` while preserving their order.

    The identity above `floor + 1`; below it `floor + exp(score - floor - 1)`, which continues with
    the same value and slope. Order is kept to the resolution of a float.
    """
    knee = floor + 1.0
    low = floor + np.exp(np.minimum(score, knee) - knee)
    return np.where(score > knee, score, low)


@dataclass(frozen=True)
class Objective:
    """How metrics become a score to maximise.

    A minimised metric scores `log(default design's value / value)`: 0 is the default design, 0.69
    is twice as good. A maximised metric scores the mirror image. Several metrics add up, so the
    score of an energy-delay product is one sum; there is no pole and no target that can be
    overshot.

    With budgets, designs that miss one rank below all that meet them, by how far they miss
    (`BUDGET_FLOOR - sum of log excess`). With `pareto`, the metrics are separate goals; the score
    is then their mean, for methods that need one number.

    Attributes:
        name: the name in experiments.
        metrics: the metrics that count.
        budgets: limits that come first.
        pareto: whether the metrics are separate goals.
        doc: one line of meaning.
    """

    name: str
    metrics: tuple[str, ...]
    budgets: tuple[Budget, ...] = ()
    pareto: bool = False
    doc: str = ""

    def check(self, metrics: Sequence[Metric]) -> None:
        """Raises ValueError unless every metric exists and has a direction."""
        known = {metric.name: metric for metric in metrics}
        if not self.metrics:
            raise ValueError(f"objective {self.name!r}: metrics is empty, at least one is needed")
        for name in (*self.metrics, *(budget.metric for budget in self.budgets)):
            if name not in known:
                raise unknown(f"objective {self.name!r}: metric", name, known)
            if known[name].direction == "none":
                raise ValueError(
                    f"objective {self.name!r}: metric {name!r} is only reported, it has no "
                    f"better direction"
                )

    def describe(self) -> dict[str, Any]:
        """Returns the objective as plain data."""
        return {
            "name": self.name,
            "metrics": list(self.metrics),
            "budgets": [vars(budget).copy() for budget in self.budgets],
            "pareto": self.pareto,
            "doc": self.doc,
        }


@dataclass(frozen=True)
class Scorer:
    """An objective bound to the default design's metrics.

    Args:
        objective: what counts.
        metrics: the cost model's metrics.
        reference: the default design's value of each metric.

    Raises:
        ValueError: if the default design has no positive finite value of a metric that counts.
    """

    objective: Objective
    metrics: tuple[Metric, ...]
    reference: Mapping[str, float]

    def __post_init__(self) -> None:
        self.objective.check(self.metrics)
        for name in (*self.objective.metrics, *(b.metric for b in self.objective.budgets)):
            value = self.reference[name]
            if not (np.isfinite(value) and value > 0):
                raise ValueError(
                    f"objective {self.objective.name!r}: metric {name!r} is {value} for the "
                    f"default design of this task, it must be positive"
                )

    def _direction(self, name: str) -> Direction:
        return next(metric.direction for metric in self.metrics if metric.name == name)

    def _gain(self, name: str, values: FloatArray, against: float) -> FloatArray:
        """Log ratio by which `values` are better than `against`, shape `(n,)`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(against / values)
        return ratio if self._direction(name) == "minimise" else -ratio

    def components(self, metrics: Metrics) -> FloatArray:
        """Returns one score per metric of the objective, shape `(n, m)`, all to be maximised."""
        columns = [
            self._gain(name, metrics[name], self.reference[name]) for name in self.objective.metrics
        ]
        return np.stack(columns, axis=1)

    def limits(self) -> dict[str, float]:
        """Returns each budget's limit in its metric's unit."""
        return {
            b.metric: b.limit * (self.reference[b.metric] if b.relative else 1.0)
            for b in self.objective.budgets
        }

    def excess(self, metrics: Metrics) -> FloatArray:
        """Returns by how much the budgets are missed, shape `(n,)`: 0 where all are met."""
        count = len(next(iter(metrics.values())))
        total = np.zeros(count)
        for name, limit in self.limits().items():
            total += np.maximum(-self._gain(name, metrics[name], limit), 0.0)
        return total

    def score(self, metrics: Metrics, feasible: npt.NDArray[np.bool_]) -> FloatArray:
        """Returns the score `(n,)`, higher is better, `-inf` for infeasible designs."""
        components = self.components(metrics)
        score = components.mean(axis=1) if self.objective.pareto else components.sum(axis=1)
        if self.objective.budgets:
            excess = self.excess(metrics)
            score = np.where(excess > 0, BUDGET_FLOOR - excess, floored(score, BUDGET_FLOOR))
        return np.where(feasible, score, -np.inf)


def reward(score: FloatArray) -> FloatArray:
    """Turns scores into finite rewards of the same order, `INFEASIBLE_REWARD` for `-inf`."""
    return floored(score, INFEASIBLE_REWARD)
