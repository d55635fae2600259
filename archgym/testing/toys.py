"""Small tasks with known optima, for tests of agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from archgym.cost_model import CostModel, Costs, FloatFeatures
from archgym.environment import Environment, Fidelity, Option
from archgym.metric import FloatArray, Metric, Objective
from archgym.space import (
    BoolArray,
    Columns,
    Constraint,
    DesignSpace,
    IntArray,
    Parameter,
    Value,
)
from archgym.task import Task


class FunctionToy:
    """A cost model with one metric, `cost_ns`, computed by a function of the index rows.

    Args:
        space: its design space; the first value of every parameter is the default design.
        cost: takes index rows `(n, d)` and returns positive costs `(n,)`, NaN for a failure.
    """

    def __init__(self, space: DesignSpace, cost: Callable[[IntArray], FloatArray]) -> None:
        self.space = space
        self.metrics: tuple[Metric, ...] = (
            Metric("cost_ns", "ns", "minimise", "the function's value"),
        )
        self.default: Mapping[str, Value] = {p.name: p.values[0] for p in space.parameters}
        self.features: FloatFeatures = np.zeros(1, np.float32)
        self._cost = cost

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates index rows `(n, d)`."""
        return Costs({"cost_ns": np.asarray(self._cost(designs), np.float64)})


def function_task(space: DesignSpace, cost: Callable[[IntArray], FloatArray]) -> Task:
    """Returns a task that minimises a function of index rows; see `FunctionToy`."""
    return _task(FunctionToy(space, cost), Objective("toy", ("cost_ns",)))


def conditional_task() -> Task:
    """Returns a task in which half of the designs have inert parameters, with a constraint."""
    parameters = [
        Parameter("mode", ("off", "fixed", "adaptive")),
        Parameter("depth", (1, 2, 4, 8), ordered=True, when={"mode": ("fixed", "adaptive")}),
        Parameter("gain", (0, 1, 2, 3, 4), ordered=True, when={"mode": ("adaptive",)}),
        Parameter("single", ("only",)),
        Parameter("width", (8, 16, 32, 64), ordered=True),
    ]
    rule = Constraint("depth * width at most 256", lambda c: c["depth"] * c["width"] <= 256)
    weights = np.array([2.0, 1.0, 1.5, 0.0, 1.0])
    return function_task(DesignSpace(parameters, [rule]), lambda rows: 20.0 - rows @ weights)


class SeparableToy:
    """A sum of one independent cost per parameter, with a known best value each.

    Args:
        cardinalities: number of values per parameter; even-numbered parameters are ordered, the
            others categories.
        forbidden: whether designs whose first two parameters are both 0 break a constraint.
    """

    def __init__(self, cardinalities: tuple[int, ...], forbidden: bool = False) -> None:
        self.space = DesignSpace(
            [
                Parameter(f"p{j}", tuple(range(count)), ordered=j % 2 == 0, subsystem="toy")
                for j, count in enumerate(cardinalities)
            ],
            [Constraint("p0 and p1 both 0", _not_both_zero)] if forbidden else [],
        )
        self.metrics: tuple[Metric, ...] = (
            Metric("cost_ns", "ns", "minimise", "sum of the parameters' costs"),
            Metric("area_mm2", "mm2", "minimise", "falls where the cost rises"),
        )
        rng = np.random.default_rng(12345)
        # Ordered parameters get a bowl, categories an arbitrary permutation.
        self._tables = [
            np.square(np.arange(count) - float(rng.integers(count)))
            if j % 2 == 0
            else rng.permutation(count) * 1.0
            for j, count in enumerate(cardinalities)
        ]
        self.best = np.array([int(np.argmin(table)) for table in self._tables])
        worst = [int(np.argmax(table)) for table in self._tables]
        if forbidden and worst[:2] == [0, 0]:
            worst[0] = 1
        self.default: Mapping[str, Value] = {f"p{j}": v for j, v in enumerate(worst)}
        self.features: FloatFeatures = np.zeros(1, np.float32)

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates index rows `(n, d)`."""
        cost = np.ones(len(designs))
        for j, table in enumerate(self._tables):
            cost += table[designs[:, j]]
        return Costs({"cost_ns": cost, "area_mm2": 10.0 + 100.0 / cost})


def _not_both_zero(columns: Columns) -> BoolArray:
    return np.asarray((columns["p0"] != 0) | (columns["p1"] != 0))


def toy_task(
    cardinalities: tuple[int, ...] = (4, 3, 3, 8, 2, 2, 4, 4, 3, 8),
    forbidden: bool = False,
    pareto: bool = False,
) -> Task:
    """Returns a task over `SeparableToy`; `task.model.best` holds its optimum's indices."""
    metrics = ("cost_ns", "area_mm2") if pareto else ("cost_ns",)
    objective = Objective("toy", metrics, pareto=pareto)
    model = SeparableToy(cardinalities, forbidden)
    return _task(model, objective)


def nk_task(cardinalities: tuple[int, ...], neighbours: int, seed: int) -> Task:
    """Returns a task in which parameters interact: an NK landscape.

    The cost is the mean of one table per parameter, indexed by it and by `neighbours` others
    (Kauffman and Levin 1987, doi:10.1016/S0022-5193(87)80029-2). Even-numbered parameters are
    ordered, the others categories.
    """
    rng = np.random.default_rng(seed)
    d = len(cardinalities)
    groups = [
        np.concatenate([[j], rng.choice(np.delete(np.arange(d), j), neighbours, replace=False)])
        for j in range(d)
    ]
    tables = [rng.random([cardinalities[j] for j in group]) for group in groups]

    def cost(rows: IntArray) -> FloatArray:
        parts = [t[tuple(rows[:, j] for j in g)] for t, g in zip(tables, groups, strict=True)]
        return np.asarray(0.2 + np.mean(parts, axis=0), np.float64)

    space = DesignSpace(
        [
            Parameter(f"p{j}", tuple(range(c)), ordered=j % 2 == 0)
            for j, c in enumerate(cardinalities)
        ]
    )
    return function_task(space, cost)


def fidelity_task(
    cardinalities: tuple[int, ...] = (4, 3, 3, 8, 2, 2, 4, 4, 3, 8), fidelity: str = "fine"
) -> Task:
    """Returns a task over `SeparableToy` that can be asked at three fidelities.

    `fine` at a cost of 1; `fair` at 0.25 and `rough` at 0.05, whose answers are off by up to a
    tenth and a half.
    """
    whole = SeparableToy(cardinalities)

    def build(fidelity: str) -> CostModel:
        spread = {"rough": 0.5, "fair": 0.1, "fine": 0.0}[fidelity]
        model = FunctionToy(
            whole.space,
            lambda rows: whole.evaluate(rows).metrics["cost_ns"] * (1.0 + spread * _noise(rows)),
        )
        model.default = whole.default
        return model

    def declared(fidelity: str) -> tuple[Fidelity, ...]:
        return (
            Fidelity("rough", "off by up to a half", 1.0),
            Fidelity("fair", "off by up to a tenth", 5.0),
            Fidelity("fine", "the function's value", 20.0, exact=True),
        )

    objective = Objective("toy", ("cost_ns",))
    environment = Environment(
        id="FidelityToy-v0",
        summary="a function with a known optimum, and two that are like it",
        build=build,
        options={"fidelity": Option("fine", "how exact", ("fine", "fair", "rough"))},
        objectives=(objective,),
        workloads=dict,
        fidelities=declared,
    )
    return Task(environment, {"fidelity": fidelity}, objective, build(fidelity))


def _noise(rows: IntArray) -> FloatArray:
    """Returns a number in [-1, 1] per design that looks random `(n,)`."""
    # Whole numbers, whose sums are the same in every batch.
    weights = np.arange(2, rows.shape[1] + 2) ** 3
    return np.asarray(np.sin((rows * weights).sum(axis=1)), np.float64)


def _task(model: CostModel, objective: Objective) -> Task:
    environment = Environment(
        id="Toy-v0",
        summary="a function with a known optimum",
        build=lambda: model,
        options={},
        objectives=(objective,),
        workloads=dict,
    )
    return Task(environment, {}, objective, model)
