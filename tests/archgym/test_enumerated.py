"""All designs of a small space in memory: the same as a table that a file holds."""

import numpy as np
import pytest

import archgym
from archgym.enumerated import EnumeratedModel, enumerate_designs
from archgym.optimum import scored, table_optimum
from archgym.tabulate import tabulate
from archgym.testing.toys import conditional_task


def test_it_is_the_table_that_a_file_holds(workplace) -> None:
    file = tabulate("Outside-v0", {}, "plain.parquet", workers=1)
    task = archgym.make_task("Outside-v0")
    table = enumerate_designs(task.model)
    assert np.array_equal(table.numbers, file.numbers)
    assert np.array_equal(table.rows, file.rows)
    for name, values in file.costs.metrics.items():
        assert np.array_equal(table.costs.metrics[name], values)
    for name, mask in file.costs.violations.items():
        assert np.array_equal(table.costs.violations[name], mask)


def test_it_answers_as_the_model_and_knows_the_optimum() -> None:
    task = conditional_task()
    model = EnumeratedModel("all of the toy", enumerate_designs(task.model), task.model)
    rows = task.space.canonical(task.space.sample(200, np.random.default_rng(0)))
    rows = rows[~task.space.violations(rows)["depth * width at most 256"]]
    one, other = model.evaluate(rows).metrics, task.model.evaluate(rows).metrics
    assert all(np.array_equal(values, other[name]) for name, values in one.items())
    optimum = table_optimum(scored(model, task.objective))
    every = task.evaluate(task.space.enumerate(0, task.space.size))
    assert optimum.score == every.score.max()
    assert optimum.source.startswith("table all of the toy: all ")
    with pytest.raises(ValueError, match="the table does not hold design"):
        broken = task.space.encode(
            {"mode": "fixed", "depth": 8, "width": 64, "gain": 0, "single": "only"}
        )
        model.evaluate(broken[None])
