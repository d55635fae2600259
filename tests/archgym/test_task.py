import numpy as np

from archgym.cost_model import Costs
from archgym.environment import Environment
from archgym.metric import Metric, Objective
from archgym.space import Constraint, DesignSpace, Parameter
from archgym.task import Task


class Limited:
    """Breaks rules of its own, and tells the parts of its metric."""

    space = DesignSpace(
        [Parameter("size", (1, 2, 3, 4), ordered=True)],
        [Constraint("size is 2", lambda columns: columns["size"] != 2)],
    )
    metrics = (Metric("area_mm2", "mm2", "minimise"),)
    features = np.zeros(0, np.float32)

    def __init__(self):
        self.default = {"size": 1}

    def evaluate(self, designs):
        area = 1.0 + designs[:, 0]
        return Costs({"area_mm2": area}, {"too large": area > 3}, {"area_mm2/all": area})


def test_rules_of_the_space_and_of_the_model_leave_the_parts_in_place() -> None:
    environment = Environment(
        id="Limited-v0",
        summary="",
        build=lambda: Limited(),
        options={},
        objectives=(Objective("small", ("area_mm2",)),),
        workloads=dict,
    )
    task = Task(environment, {}, environment.objectives[0], Limited())
    got = task.evaluate(np.arange(4)[:, None])
    assert got.violations["size is 2"].tolist() == [False, True, False, False]
    assert got.violations["too large"].tolist() == [False, False, False, True]
    assert got.feasible.tolist() == [True, False, True, False]
    for values in (got.metrics["area_mm2"], got.breakdown["area_mm2/all"]):
        assert np.array_equal(values, [1, np.nan, 3, 4], equal_nan=True)
