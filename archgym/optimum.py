"""The known optimum of a task, and regret: what a search has left on the table.

Where a table holds every design of a task, the optimum of any objective is a lookup; where none
does, the best design that long searches have found may stand in for it. Regret is
(optimum - score) / (optimum - median score of a random design): 0 is the optimum, 1 is what one
random design gives in the median, more is worse than that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archgym.environment import Environment, find_environment
from archgym.metric import FloatArray, Objective, Scorer
from archgym.pareto import front, hypervolume
from archgym.space import BoolArray, DesignSpace, IntArray, Value
from archgym.table import TableModel
from archgym.task import resolve_objective

if TYPE_CHECKING:
    from archgym.task import Task

Kind = Literal["proven", "solver", "best-known"]
KINDS: Mapping[str, str] = {
    "proven": "proven: every design was evaluated",
    "solver": "proven by a solver",
    "best-known": "best known, not proven",
}


@dataclass(frozen=True)
class Front:
    """The true Pareto front of a task.

    Attributes:
        designs: one per point, from the best in the objective's first metric on.
        metrics: of these designs.
        objectives: `(k, m)`, log ratios to the default design, higher is better.
        reference: `(m,)`, the point from which the hypervolume is measured: the median of each
            objective over random designs, or, where no design exceeds all of them, the front's
            worst of each. (The default design is often on the front, and nothing lies beyond it.)
        hypervolume: the volume that the front dominates beyond the reference point.
    """

    designs: tuple[Mapping[str, Value], ...]
    metrics: tuple[Mapping[str, float], ...]
    objectives: FloatArray
    reference: FloatArray
    hypervolume: float

    def regret(self, points: FloatArray) -> float:
        """Returns the share of the hypervolume that points `(n, m)` leave undominated."""
        if self.hypervolume == 0.0:
            return 0.0
        return max(0.0, 1.0 - hypervolume(points, self.reference) / self.hypervolume)


@dataclass(frozen=True)
class Optimum:
    """The best that a task allows.

    Attributes:
        score: the highest score of a feasible design.
        design: with this score, without parameters that have no effect in it; of several the one
            in which the fewest parameters differ from the default design.
        metrics: of the design.
        count: number of different designs with this score.
        kind: how it is known.
        source: where from, in words.
        median_random_score: median score of a feasible design whose parameters are drawn uniformly,
            as by `DesignSpace.sample`.
        front: the true Pareto front, for Pareto objectives.
        bound: a score that no design exceeds, for one that is best known; None where there is none.
    """

    score: float
    design: Mapping[str, Value]
    metrics: Mapping[str, float]
    count: int
    kind: Kind
    source: str
    median_random_score: float
    front: Front | None = None
    bound: float | None = None

    def regret(self, score: float) -> float:
        """Returns the normalised regret of a score; infinite where nothing feasible was found.

        It is negative where a search found more than was known.
        """
        gap = self.score - score
        if gap <= 0 and self.kind != "best-known":
            return 0.0
        span = self.score - self.median_random_score
        return gap / span if span > 0 else math.copysign(math.inf, gap) if gap else 0.0

    def describe(self) -> dict[str, Any]:
        """Returns the optimum as JSON-ready data."""
        told: dict[str, Any] = {
            "score": self.score,
            "design": dict(self.design),
            "metrics": _plain(self.metrics),
            "count": self.count,
            "kind": self.kind,
            "source": self.source,
            "median_random_score": self.median_random_score,
            "bound": self.bound,
        }
        if self.front is not None:
            told["front"] = {
                "designs": [dict(design) for design in self.front.designs],
                "metrics": [_plain(metrics) for metrics in self.front.metrics],
                "reference": self.front.reference.tolist(),
                "hypervolume": self.front.hypervolume,
            }
        return told


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Returns metrics as JSON can hold them, None for what is no finite number."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


@dataclass(frozen=True)
class Scored:
    """A table's outcomes under an objective.

    Attributes:
        model: the table with the task's space.
        scorer: the objective bound to the default design.
        score: per outcome `(k,)`, `-inf` where infeasible.
        objectives: per outcome `(k, m)`, `-inf` where infeasible.
    """

    model: TableModel
    scorer: Scorer
    score: FloatArray
    objectives: FloatArray

    @functools.cached_property
    def design_score(self) -> FloatArray:
        """Score per design of the table `(n,)`, `-inf` where infeasible."""
        return np.where(self.model.allowed, self.score[self.model.table.outcome], -np.inf)

    @property
    def feasible(self) -> BoolArray:
        """Which designs of the table are feasible `(n,)`."""
        return np.isfinite(self.design_score)


def scored(model: TableModel, objective: Objective) -> Scored:
    """Scores every outcome of a table.

    Raises:
        ValueError: if the objective does not fit the metrics, or no design is feasible.
    """
    costs = model.table.costs
    default = model.evaluate(model.space.encode(model.default)[None]).metrics
    reference = {name: float(values[0]) for name, values in default.items()}
    scorer = Scorer(objective, model.metrics, reference)
    feasible = np.ones(len(next(iter(costs.metrics.values()))), np.bool_)
    for mask in costs.violations.values():
        feasible &= ~mask
    for name in (*objective.metrics, *(budget.metric for budget in objective.budgets)):
        values = costs.metrics[name]
        feasible &= np.isfinite(values) & (values > 0)
    objectives = np.where(feasible[:, None], scorer.components(costs.metrics), -np.inf)
    result = Scored(model, scorer, scorer.score(costs.metrics, feasible), objectives)
    if not result.feasible.any():
        raise ValueError(f"{model.path}: no design of the table is feasible")
    return result


def weighted_median(values: FloatArray, weights: FloatArray) -> float:
    """Returns the median of values `(n,)` that count `weights` times each."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    half = total[-1] / 2.0
    low = int(np.searchsorted(total, half, side="left"))
    high = int(np.searchsorted(total, half, side="right"))
    return float((values[order[low]] + values[order[min(high, len(order) - 1)]]) / 2.0)


def table_optimum(table: Scored) -> Optimum:
    """Returns the proven optimum of a table that holds every design of its task."""
    model = table.model
    score = table.design_score
    best = np.flatnonzero(score == score.max())
    feasible = table.feasible
    i = _nearest(model, best)
    source = f"table {model.path.name}: all {int(feasible.sum()):,} feasible designs"
    return Optimum(
        score=float(score.max()),
        design=active_values(model.space, model.table.rows[i]),
        metrics=_metrics(model, i),
        count=len(best),
        kind="proven",
        source=source,
        median_random_score=weighted_median(score[feasible], model.weights[feasible]),
        front=_front(table) if table.scorer.objective.pareto else None,
    )


def score_to_stop_at(task: Task) -> float:
    """Returns the score at which a search that stops at the optimum has ended.

    Args:
        task: of one goal, with a proven optimum.

    Raises:
        ValueError: for any other task, naming it.
    """
    if task.objective.pareto:
        raise ValueError(
            f"stop_at_optimum: task {task.name!r} has several goals (Pareto) and so no one optimum"
        )
    optimum = task.optimum
    if optimum is None or optimum.kind == "best-known":
        raise ValueError(f"stop_at_optimum: task {task.name!r} has no proven optimum, leave it out")
    return optimum.score


def active_values(space: DesignSpace, row: IntArray) -> dict[str, Value]:
    """Returns the values of one index row `(d,)`, without those that have no effect in it."""
    active = space.active(row[None])[0]
    return {
        name: value
        for (name, value), on in zip(space.decode(row).items(), active, strict=True)
        if on
    }


def _nearest(model: TableModel, designs: IntArray) -> int:
    """Returns which of some designs has the fewest parameters unlike the default design."""
    default = model.space.encode(model.default)
    return int(designs[np.argmin((model.table.rows[designs] != default).sum(axis=1))])


def _metrics(model: TableModel, i: int) -> dict[str, float]:
    outcome = model.table.outcome[i]
    return {name: float(values[outcome]) for name, values in model.table.costs.metrics.items()}


def _front(table: Scored) -> Front:
    model = table.model
    used = np.unique(model.table.outcome[table.feasible])
    outcomes = used[front(table.objectives[used])]
    feasible = table.feasible
    designs = [
        _nearest(model, np.flatnonzero(feasible & (model.table.outcome == outcome)))
        for outcome in outcomes
    ]
    drawn = table.objectives[model.table.outcome[feasible]]
    weights = model.weights[feasible]
    reference = np.array([weighted_median(column, weights) for column in drawn.T])
    points = table.objectives[outcomes]
    if not (points > reference).all(axis=1).any():
        reference = points.min(axis=0)
    return Front(
        designs=tuple(active_values(model.space, model.table.rows[i]) for i in designs),
        metrics=tuple(_metrics(model, i) for i in designs),
        objectives=points,
        reference=reference,
        hypervolume=hypervolume(points, reference),
    )


def optimum_of_spec(spec: Mapping[str, Any], reference: Mapping[str, float]) -> Optimum | None:
    """Returns the optimum of a task as a run's manifest records it, without building the task.

    Args:
        spec: the task, see `Task.spec`.
        reference: the default design's metrics in the run.

    Returns:
        The optimum; None where it is not known, or the environment or its table is not there.
    """
    given = {name: value for name, value in spec.items() if name not in ("env", "objective")}
    try:
        environment = find_environment(spec["env"])
        objective = resolve_objective(environment, spec["objective"])
        return known_optimum(environment, environment.resolve(given), objective, reference)
    except ValueError:
        return None


def known_optimum(
    environment: Environment,
    options: Mapping[str, Any],
    objective: Objective,
    reference: Mapping[str, float],
) -> Optimum | None:
    """Returns the optimum of a task where a table of it is at hand, else the best design known.

    Args:
        environment: of the task.
        options: resolved keyword arguments of the environment.
        objective: of the task.
        reference: the default design's metrics, by which a table of another version of the cost
            model is told.

    Returns:
        The optimum; None where nothing is known, or where the default design has other metrics in
        it than `reference` says.
    """
    from archgym.best_known import best_known_optimum
    from archgym.proxy import proxy_path

    if proxy_path(options) is not None:
        return None  # what is known of the cost model is not of what predicts it
    model = environment.tabulated(**options) if environment.tabulated else None
    if model is None:
        return best_known_optimum(environment, options, objective, reference)
    table = scored(model, objective)
    counted = (*objective.metrics, *(budget.metric for budget in objective.budgets))
    if not environment.same_default(table.scorer.reference, reference, counted):
        return None
    return table_optimum(table)
