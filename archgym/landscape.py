"""The landscape of a task: what its optimum is, which parameters matter, how rugged it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archgym.environment import Environment, find_environment
from archgym.metric import FloatArray, Objective
from archgym.neighbourhood import LARGEST, Plateaus, edges_of, plateaus, steps_to
from archgym.optimum import (
    Optimum,
    Scored,
    active_values,
    scored,
    table_optimum,
    weighted_median,
)
from archgym.space import DesignSpace, IntArray
from archgym.table import take
from archgym.task import Evaluation, make_task, resolve_objective, task_name

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
WITHIN = (1, 5, 10)
_CURVE = 201
_DRAWN = 1_000_000  # index rows that stand for a space too large to go through


@dataclass(frozen=True)
class ParameterEffect:
    """What one parameter does.

    Attributes:
        name: of the parameter.
        explained: eta squared, the share of the score's variance between the parameter's values.
        outcome_changes: share of neighbours along it that differ in any metric; None from samples,
            and where only one of its values is feasible.
        score_changes: the same of the score.
    """

    name: str
    explained: float
    outcome_changes: float | None = None
    score_changes: float | None = None

    @property
    def inert(self) -> bool:
        """Whether it is known never to change any outcome."""
        return self.outcome_changes == 0.0


@dataclass(frozen=True)
class PairEffect:
    """What two parameters do together beyond what each does alone.

    Attributes:
        names: of the parameters.
        interaction: eta squared of the pair less those of both.
    """

    names: tuple[str, str]
    interaction: float


@dataclass(frozen=True)
class Landscape:
    """Statistics of a task's scores.

    Attributes:
        task: readable name of the task.
        source: where the outcomes come from.
        measure: what a percentage is of.
        designs: number of different designs looked at.
        feasible: number of feasible ones.
        distinct_outcomes: number of different outcomes (metrics and breakdown) of those.
        distinct_scores: number of different scores of those.
        optimum: the best, proven from a table, best-known from samples.
        within: per percentage, the share of feasible designs so close to the optimum.
        chance: the same for designs drawn at random, see `Optimum.median_random_score`.
        quantiles: of the score over feasible designs, by fraction.
        metric_quantiles: the same of each metric that counts, by name.
        curve: quantiles of the score at equal distances from 0 to 1, for a figure.
        effects: per parameter, in the order of the space.
        pairs: per pair of parameters, the largest interaction first.
        plateaus: None from samples, or where the space is too large.
        distance_correlation: correlation of score with the steps to the nearest optimum: -1 leads
            to it, 0 says nothing; None where there is no graph.
        by_distance: `(steps, designs, first quartile, median, third quartile of the score)`.
    """

    task: str
    source: str
    measure: str
    designs: int
    feasible: int
    distinct_outcomes: int
    distinct_scores: int
    optimum: Optimum
    within: Mapping[int, float]
    chance: Mapping[int, float]
    quantiles: Mapping[float, float]
    metric_quantiles: Mapping[str, Mapping[float, float]]
    curve: tuple[float, ...]
    effects: tuple[ParameterEffect, ...]
    pairs: tuple[PairEffect, ...]
    plateaus: Plateaus | None = None
    distance_correlation: float | None = None
    by_distance: tuple[tuple[int, int, float, float, float], ...] = ()

    @property
    def inert(self) -> list[str]:
        """Parameters that never change any outcome."""
        return [effect.name for effect in self.effects if effect.inert]

    def to_dict(self) -> dict[str, Any]:
        """Returns the landscape as JSON-ready data."""
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("optimum", "effects", "pairs", "plateaus", "by_distance")
        }
        keys = ("steps", "designs", "q25", "median", "q75")
        return {
            **plain,
            "optimum": self.optimum.describe(),
            "inert": self.inert,
            "effects": [dataclasses.asdict(effect) for effect in self.effects],
            "pairs": [dataclasses.asdict(pair) for pair in self.pairs],
            "plateaus": None if self.plateaus is None else dataclasses.asdict(self.plateaus),
            "by_distance": [dict(zip(keys, each, strict=True)) for each in self.by_distance],
        }


def measure(objective: Objective) -> str:
    """Returns what a percentage of an objective is of."""
    names = " and ".join(objective.metrics)
    if len(objective.metrics) == 1:
        within = ", budgets met" if objective.budgets else ""
        return f"{names}{within}"
    return f"the {'geometric mean' if objective.pareto else 'product'} of {names}"


def explained(
    space: DesignSpace, rows: IntArray, score: FloatArray
) -> tuple[list[float], list[PairEffect]]:
    """Splits the variance of scores by parameter and by pair of parameters.

    Eta squared of a parameter: variance between the means of its values / variance; of a pair: the
    same of its combinations of values, less eta squared of both. On a full grid these are the terms
    of the functional analysis of variance; on parts of one, or on samples, they can overlap, and
    few samples make them look larger.

    Args:
        space: the design space.
        rows: index rows `(n, d)`, each counting once.
        score: of the rows `(n,)`, finite.
    """
    centred = score - score.mean()
    total = float(centred @ centred)

    def share(code: IntArray, size: int) -> float:
        counts = np.bincount(code, minlength=size)
        sums = np.bincount(code, weights=centred, minlength=size)
        used = counts > 0
        between = float((sums[used] ** 2 / counts[used]).sum())
        return between / total if total > 0 else 0.0

    cards = [int(c) for c in space.cardinalities]
    main = [share(rows[:, j], cards[j]) for j in range(len(space))]
    pairs = []
    for a in range(len(space)):
        for b in range(a + 1, len(space)):
            both = share(rows[:, a] * cards[b] + rows[:, b], cards[a] * cards[b])
            interaction = both - main[a] - main[b]
            pairs.append(PairEffect((space.names[a], space.names[b]), interaction))
    return main, sorted(pairs, key=lambda pair: -pair.interaction)


def _index_rows(table: Scored) -> tuple[IntArray, FloatArray]:
    """Returns all feasible index rows, or many random ones, with their scores."""
    space = table.model.space
    if space.size <= LARGEST:
        rows = space.enumerate(0, space.size)
    else:
        rows = space.sample(_DRAWN, np.random.default_rng(0))
    place = table.model.table.position(space.canonical(rows) @ table.model.table.strides)
    score = np.where(place >= 0, table.design_score[place], -np.inf)
    keep = np.isfinite(score)
    return rows[keep], score[keep]


def _near(score: FloatArray, best: float, weights: FloatArray) -> dict[int, float]:
    # Scores are logarithms of ratios, hence the sum of logarithms for a product of metrics.
    return {
        percent: float(weights[score >= best - np.log1p(percent / 100.0)].sum() / weights.sum())
        for percent in WITHIN
    }


def _quantiles(values: FloatArray) -> dict[float, float]:
    return dict(zip(QUANTILES, map(float, np.quantile(values, QUANTILES)), strict=True))


def table_landscape(name: str, table: Scored) -> Landscape:
    """Describes the landscape of a table that holds every design."""
    model = table.model
    chosen = np.flatnonzero(table.feasible)
    score = table.design_score[chosen]
    outcome = model.table.compacted().outcome[chosen]
    optimum = table_optimum(table)
    rows, row_score = _index_rows(table)
    main, pairs = explained(model.space, rows, row_score)
    costs = take(model.table.costs, model.table.outcome[chosen])
    told = Landscape(
        task=name,
        source=optimum.source,
        measure=measure(table.scorer.objective),
        designs=len(model.table),
        feasible=len(chosen),
        distinct_outcomes=len(np.unique(outcome)),
        distinct_scores=len(np.unique(score)),
        optimum=optimum,
        within=_near(score, optimum.score, np.ones(len(score))),
        chance=_near(score, optimum.score, model.weights[chosen]),
        quantiles=_quantiles(score),
        metric_quantiles={
            metric: _quantiles(costs.metrics[metric]) for metric in table.scorer.objective.metrics
        },
        curve=tuple(np.quantile(score, np.linspace(0.0, 1.0, _CURVE)).tolist()),
        effects=tuple(map(ParameterEffect, model.space.names, main)),
        pairs=tuple(pairs),
    )
    return _with_graph(told, table, chosen, outcome) if model.space.size <= LARGEST else told


def _with_graph(told: Landscape, table: Scored, chosen: IntArray, outcome: IntArray) -> Landscape:
    """Adds what needs the neighbours of every design."""
    model = table.model
    space = model.space
    score = table.design_score[chosen]
    number = np.full(len(model.table), -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    rows = space.canonical(space.enumerate(0, space.size))
    place = model.table.position(rows @ model.table.strides)
    design = np.where(place >= 0, number[place], -1)
    effects, edges = [], []
    for j, effect in enumerate(told.effects):
        along = edges_of(space, design, j)
        edges.append(along)
        some = len(along) > 0
        effects.append(
            dataclasses.replace(
                effect,
                outcome_changes=_differ(outcome, along) if some else None,
                score_changes=_differ(score, along) if some else None,
            )
        )
    joined = np.concatenate(edges)
    steps = steps_to(joined, np.flatnonzero(score == score.max()), len(score))
    return dataclasses.replace(
        told,
        effects=tuple(effects),
        plateaus=plateaus(joined, score),
        distance_correlation=_correlation(steps, score),
        by_distance=_by_distance(steps, score),
    )


def _differ(values: np.ndarray[Any, Any], edges: IntArray) -> float:
    return float((values[edges[:, 0]] != values[edges[:, 1]]).mean())


def _correlation(steps: IntArray, score: FloatArray) -> float | None:
    reached = steps >= 0
    if steps[reached].std() == 0 or score[reached].std() == 0:
        return None
    return float(np.corrcoef(steps[reached], score[reached])[0, 1])


def _by_distance(
    steps: IntArray, score: FloatArray
) -> tuple[tuple[int, int, float, float, float], ...]:
    found = []
    for step in range(int(steps.max()) + 1):
        there = score[steps == step]
        low, middle, high = map(float, np.quantile(there, (0.25, 0.5, 0.75)))
        found.append((step, len(there), low, middle, high))
    return tuple(found)


def sampled_landscape(
    environment: Environment,
    options: Mapping[str, Any],
    objective: Objective,
    samples: int,
    seed: int = 0,
) -> Landscape:
    """Describes the landscape as far as random designs show it.

    Raises:
        ValueError: for no samples, or none that is feasible.
    """
    if samples < 2:
        raise ValueError(f"samples: {samples} is below 2")
    task = make_task(environment.id, objective=objective, **options)
    rows = task.space.sample(samples, np.random.default_rng(seed))
    evaluation = task.evaluate(rows)
    keep = evaluation.feasible
    if not keep.any():
        raise ValueError(f"samples: none of the {samples:,} designs is feasible")
    score = evaluation.score[keep]
    main, pairs = explained(task.space, rows[keep], score)
    best = int(np.argmax(evaluation.score))
    metrics = {name: float(values[best]) for name, values in evaluation.metrics.items()}
    source = f"{samples:,} random designs, seed {seed}"
    optimum = Optimum(
        score=float(evaluation.score[best]),
        design=active_values(task.space, evaluation.designs[best]),
        metrics=metrics,
        count=int((evaluation.score == evaluation.score[best]).sum()),
        kind="best-known",
        source=source,
        median_random_score=weighted_median(score, np.ones(len(score))),
    )
    near = _near(score, optimum.score, np.ones(len(score)))
    return Landscape(
        task=task.name,
        source=source,
        measure=measure(objective),
        designs=len(np.unique(evaluation.designs, axis=0)),
        feasible=len(np.unique(evaluation.designs[keep], axis=0)),
        distinct_outcomes=_distinct_outcomes(evaluation),
        distinct_scores=len(np.unique(score)),
        optimum=optimum,
        within=near,
        chance=near,
        quantiles=_quantiles(score),
        metric_quantiles={m: _quantiles(evaluation.metrics[m][keep]) for m in objective.metrics},
        curve=tuple(np.quantile(score, np.linspace(0.0, 1.0, _CURVE)).tolist()),
        effects=tuple(map(ParameterEffect, task.space.names, main)),
        pairs=tuple(pairs),
    )


def _distinct_outcomes(evaluation: Evaluation) -> int:
    columns: Sequence[FloatArray] = [
        *evaluation.metrics.values(),
        *evaluation.breakdown.values(),
    ]
    return len(np.unique(np.stack(columns, axis=1)[evaluation.feasible], axis=0))


def landscape_of(
    env: str,
    options: Mapping[str, Any],
    objective: object = None,
    *,
    table: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Landscape:
    """Describes the landscape of a task from its table, or from random designs.

    Args:
        env: environment id.
        options: keyword arguments of the environment.
        objective: a name, an `Objective`, or a mapping; None takes the environment's first.
        table: a table of one's own; None takes the one at hand.
        samples: evaluate so many random designs instead.
        seed: of the random designs.

    Raises:
        ValueError: for bad names or values, or where there is no table.
    """
    environment = find_environment(env)
    chosen = resolve_objective(environment, objective)
    if samples is not None:
        if table is not None:
            raise ValueError("landscape: --table and --samples exclude each other")
        return sampled_landscape(environment, options, chosen, samples, seed)
    resolved = environment.resolve(
        dict(options) if table is None else {**options, "fidelity": f"table:{table}"}
    )
    model = environment.tabulated(**resolved) if environment.tabulated else None
    if model is None:
        raise ValueError(
            f"landscape: there is no table of {task_name(environment, resolved, '').strip()}; make "
            f"one with `archgym tabulate` and name it with --table, or use --samples N"
        )
    return table_landscape(task_name(environment, resolved, chosen.name), scored(model, chosen))
