"""Tasks: an environment with its workload, options and objective; the unit that is ranked on."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archgym.cost_model import CostModel, Costs
from archgym.environment import Environment, Fidelity, find_environment
from archgym.errors import unknown
from archgym.metric import (
    Budget,
    FloatArray,
    Metric,
    Objective,
    Scorer,
    reward,
)
from archgym.space import BoolArray, DesignSpace, IntArray, Value

if TYPE_CHECKING:
    from archgym.optimum import Optimum

_GROUPS = ("metrics", "violations", "breakdown")
UNUSABLE = "a metric of the objective is not positive and finite"


@dataclass(frozen=True)
class Evaluation:
    """What a task says about a batch of `n` designs.

    Attributes:
        designs: canonical index rows `(n, d)`.
        metrics: `{metric name: (n,)}`, NaN for designs that were not simulated.
        feasible: boolean `(n,)`.
        violations: `{rule: (n,)}`, true where the rule is broken.
        score: `(n,)`, higher is better, `-inf` where infeasible.
        objectives: `(n, m)`, one column per metric of the objective, all to be maximised, `-inf`
            where infeasible.
        breakdown: `{"quantity/component": (n,)}`.
    """

    designs: IntArray
    metrics: Mapping[str, FloatArray]
    feasible: BoolArray
    violations: Mapping[str, BoolArray]
    score: FloatArray
    objectives: FloatArray
    breakdown: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.designs)

    @property
    def reward(self) -> FloatArray:
        """Finite rewards `(n,)` in the order of the scores, for methods that need gradients."""
        return reward(self.score)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Returns everything as flat columns, each with `n` as first dimension."""
        flat: dict[str, npt.NDArray[Any]] = {
            name: getattr(self, name) for name in ("designs", "feasible", "score", "objectives")
        }
        for group in _GROUPS:
            for name, values in getattr(self, group).items():
                flat[f"{group}:{name}"] = values
        return flat

    @classmethod
    def from_columns(cls, columns: Mapping[str, npt.NDArray[Any]]) -> Evaluation:
        """The inverse of `columns`."""
        fields: dict[str, Any] = {group: {} for group in _GROUPS}
        for key, values in columns.items():
            group, _, name = key.partition(":")
            if group in _GROUPS:
                fields[group][name] = values
            else:
                fields[key] = values
        return cls(**fields)

    def take(self, index: npt.ArrayLike) -> Evaluation:
        """Returns the evaluation of some of the designs, by position."""
        chosen = np.asarray(index)
        return Evaluation.from_columns({k: v[chosen] for k, v in self.columns().items()})

    def violated(self, i: int) -> tuple[str, ...]:
        """Returns the rules that design `i` breaks."""
        return tuple(name for name, mask in self.violations.items() if mask[i])


class Task:
    """A design problem with one answer per design.

    Build it with `make_task`.

    Args:
        environment: where the space and the cost model come from.
        options: resolved keyword arguments of the environment.
        objective: how metrics become a score.
        model: the cost model built with these options.

    Attributes:
        space: the design space.
        metrics: the metrics that are reported.
        default: the canonical row `(d,)` of the default design.
        reference: the default design's metrics.

    Raises:
        ValueError: if the objective does not fit the cost model or the default design.
    """

    def __init__(
        self,
        environment: Environment,
        options: Mapping[str, Any],
        objective: Objective,
        model: CostModel,
    ) -> None:
        self.environment = environment
        self.options = dict(options)
        self.objective = objective
        self.model = model
        self.space: DesignSpace = model.space
        self.metrics: tuple[Metric, ...] = tuple(model.metrics)
        objective.check(self.metrics)
        self.default: IntArray = self.space.encode(model.default)
        costs = self._costs(self.default[None])
        # The scorer says more about a metric that cannot be scored.
        broken = [name for name, mask in costs.violations.items() if mask[0] and name != UNUSABLE]
        if broken:
            raise ValueError(f"{self.name}: the default design breaks {broken[0]!r}")
        self.reference = {name: float(values[0]) for name, values in costs.metrics.items()}
        self.scorer = Scorer(objective, self.metrics, self.reference)
        self._at: dict[str, Task] = {}

    def __repr__(self) -> str:
        return f"Task({self.name})"

    @property
    def name(self) -> str:
        """Readable identity: environment, workload, objective, and options that are not default."""
        return task_name(self.environment, self.options, self.objective.name)

    @property
    def spec(self) -> dict[str, Any]:
        """The task as plain data; `make_task(**spec)` builds it again."""
        return {
            "env": self.environment.id,
            **self.options,
            "objective": self.objective.describe(),
        }

    @functools.cached_property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """What may be asked, the cheapest first, the task's own last at a cost of 1."""
        return self.environment.ladder(self.options)

    def fidelity(self, name: str | None) -> Fidelity:
        """Returns a fidelity by name, the task's own for None.

        Raises:
            ValueError: for one that the task does not have, naming the closest.
        """
        for each in self.fidelities:
            if each.name == name:
                return each
        if name is None:
            return self.fidelities[-1]
        raise unknown(f"{self.name}: fidelity", name, [each.name for each in self.fidelities])

    def at(self, fidelity: str | None) -> Task:
        """Returns the same task at another of its fidelities, itself at its own.

        Its scores are relative to the default design at that fidelity.

        Raises:
            ValueError: for a fidelity that the task does not have, or that cannot be built, such as
                that of a trace which begins without reads.
        """
        name = self.fidelity(fidelity).name
        if name not in self._at:
            self._at[name] = self._built_at(name)
        return self._at[name]

    def _built_at(self, name: str) -> Task:
        if name == self.fidelities[-1].name:
            return self
        options = self.environment.resolve({**self.options, "fidelity": name})
        try:
            model = self.environment.build(**options)
            there = Task(self.environment, options, self.objective, model)
        except ValueError as error:
            raise ValueError(f"{self.name}: fidelity {name!r} cannot be built: {error}") from None
        if (there.space.fingerprint, there.metrics) != (self.space.fingerprint, self.metrics):
            raise ValueError(f"{self.name}: fidelity {name!r} has another space or other metrics")
        return there

    @functools.cached_property
    def optimum(self) -> Optimum | None:
        """The best that the task allows, or the best that is known of it; None where nothing is."""
        from archgym.optimum import known_optimum

        return known_optimum(self.environment, self.options, self.objective, self.reference)

    def _costs(self, rows: IntArray) -> Costs:
        """Evaluates canonical rows; those that break a constraint never reach the cost model."""
        violations: dict[str, BoolArray] = dict(self.space.violations(rows))
        broken = np.zeros(len(rows), np.bool_)
        for mask in violations.values():
            broken |= mask
        answer = self.model.evaluate(rows[~broken])

        def spread(values: npt.NDArray[Any], fill: Any) -> npt.NDArray[Any]:
            full = np.full(len(rows), fill, dtype=values.dtype)
            full[~broken] = values
            return full

        metrics = {name: spread(values, np.nan) for name, values in answer.metrics.items()}
        breakdown = {name: spread(values, np.nan) for name, values in answer.breakdown.items()}
        for name, mask in answer.violations.items():
            violations[name] = spread(mask, False)
        infeasible = np.logical_or.reduce([broken, *violations.values()])
        violations[UNUSABLE] = self.unusable(metrics) & ~infeasible
        return Costs(metrics, violations, breakdown)

    def unusable(self, metrics: Mapping[str, FloatArray]) -> BoolArray:
        """Returns where a metric that counts is not positive and finite, shape `(n,)`."""
        names = (*self.objective.metrics, *(b.metric for b in self.objective.budgets))
        usable = [np.isfinite(metrics[name]) & (metrics[name] > 0) for name in names]
        unusable: BoolArray = ~np.logical_and.reduce(usable)
        return unusable

    def evaluate(self, designs: npt.ArrayLike) -> Evaluation:
        """Evaluates index rows `(n, d)`, without a budget and without a log.

        Raises:
            ValueError: for rows that are not designs of the space.
        """
        rows = self.space.canonical(designs)
        costs = self._costs(rows)
        return self.judge(rows, costs)

    def judge(self, rows: IntArray, costs: Costs) -> Evaluation:
        """Scores costs that are already known, such as those of recorded trials."""
        feasible = ~np.logical_or.reduce(list(costs.violations.values()))
        components = self.scorer.components(costs.metrics)
        return Evaluation(
            designs=rows,
            metrics=costs.metrics,
            feasible=feasible,
            violations=costs.violations,
            score=self.scorer.score(costs.metrics, feasible),
            objectives=np.where(feasible[:, None], components, -np.inf),
            breakdown=costs.breakdown,
        )


def task_name(environment: Environment, options: Mapping[str, Any], objective: str) -> str:
    """Returns the readable identity of a task, without building it.

    Args:
        environment: of the task.
        options: resolved keyword arguments of the environment.
        objective: name of the objective.
    """
    parts = [environment.id]
    for key, option in environment.options.items():
        if key == "workload":
            parts.append(str(options[key]))
        elif options[key] != option.default_with(options):
            parts.append(f"{key}={options[key]}")
    return " ".join([*parts, objective])


def objective_of(described: Mapping[str, Any]) -> Objective:
    """The inverse of `Objective.describe`, also for mappings without its defaults.

    Raises:
        ValueError: for other keys.
    """
    fields = dict(described)
    try:
        budgets = tuple(Budget(**budget) for budget in fields.pop("budgets", ()))
        metrics = tuple(fields.pop("metrics", ()))
        name = fields.pop("name", "custom")
        return Objective(name=name, metrics=metrics, budgets=budgets, **fields)
    except TypeError as error:
        raise ValueError(
            f"objective: {json.dumps(described)} does not fit, allowed keys are name, metrics, "
            f"budgets (each with metric, limit, relative), pareto, doc"
        ) from error


def resolve_objective(environment: Environment, objective: object) -> Objective:
    """Accepts an objective by name, as an instance, or as the mapping of an experiment file."""
    if objective is None or isinstance(objective, str):
        return environment.objective(objective)
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, Mapping):
        return objective_of(objective)
    raise ValueError(f"objective: {objective!r} is neither a name nor a mapping")


def make_task(env: str, *, objective: object = None, **options: Any) -> Task:
    """Builds a task.

    Args:
        env: environment id, such as `DramController-v0`.
        objective: a named objective of the environment, an `Objective`, or a mapping with the keys
            `metrics`, `budgets`, `pareto`. None takes the environment's first.
        **options: keyword arguments of the environment, such as `workload=`; see
            `archgym describe ENV`.

    Raises:
        ValueError: for an unknown name anywhere, naming the closest valid one.
    """
    environment = find_environment(env)
    chosen = resolve_objective(environment, objective)
    resolved = environment.resolve(options)
    return Task(environment, resolved, chosen, _cost_model(environment, resolved))


def _cost_model(environment: Environment, resolved: Mapping[str, Any]) -> CostModel:
    """Builds the cost model that the options name, or the proxy that stands for it."""
    from archgym.proxy import ProxyModel, proxy_path

    path = proxy_path(resolved)
    if path is None:
        return environment.build(**resolved)
    usual = environment.options["fidelity"].default_with(resolved)
    base = environment.build(**{**resolved, "fidelity": usual})
    return ProxyModel(path, base, environment.id, resolved)


def format_design(design: Mapping[str, Value]) -> str:
    """Returns a design as one line of text."""
    return ", ".join(f"{name}={value}" for name, value in design.items())
