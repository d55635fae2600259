"""Best-known designs stand in for an optimum, and say so."""

import dataclasses

import numpy as np
import pytest

import archgym
from archgym import yamlfile
from archgym.best_known import counted, identity
from archgym.metric import Budget, Objective
from archgym.tables import optimum_line, regret

OUTSIDE = "Outside-v0"


@pytest.fixture
def task(workplace):
    return archgym.make_task(OUTSIDE)


def known(task, path, **changes):
    """The task, with a file that knows a random design of it."""
    row = task.space.canonical(task.space.sample(1, np.random.default_rng(0)))
    found = task.evaluate(row)
    entry = {
        "objective": identity(task.objective),
        "score": float(found.score[0]),
        "bound": float(found.score[0]) + 1.0,
        "median_random_score": float(found.score[0]) - 2.0,
        "found_by": "a guess",
        "design": task.space.decode(row[0]),
        "metrics": {name: float(values[0]) for name, values in found.metrics.items()},
        "reference": {name: task.reference[name] for name in counted(task.objective)},
        **changes,
    }
    told = {"env": task.environment.id, "options": task.options, "tasks": {"first": entry}}
    path.write_text(yamlfile.dump(told))
    environment = dataclasses.replace(task.environment, best_known=lambda **_: path)
    return archgym.Task(environment, task.options, task.objective, task.model)


def test_regret_is_to_the_best_design_known(task, tmp_path):
    better = known(task, tmp_path / "known.yaml")
    optimum = better.optimum
    assert (optimum.kind, optimum.count, optimum.front) == ("best-known", 1, None)
    row = task.space.encode(optimum.design)
    assert task.evaluate(row[None]).score[0] == optimum.score
    assert optimum.bound == optimum.score + 1.0
    assert optimum.describe()["bound"] == optimum.bound
    assert optimum.regret(optimum.score) == 0.0
    assert optimum.regret(optimum.median_random_score) == 1.0
    # What is not proven can be beaten.
    assert optimum.regret(optimum.score + 0.5) == -0.25
    assert (regret(-0.25), regret(-1e-9), regret(0.0)) == ("-0.2500", "<0.0001", "0")
    assert task.optimum is None


def test_an_entry_of_a_solver_is_a_proven_optimum(task, tmp_path):
    optimum = known(task, tmp_path / "known.yaml", kind="solver").optimum
    assert optimum.kind == "solver"
    assert optimum.regret(optimum.score + 1e-12) == 0.0
    with pytest.raises(ValueError, match="kind: unknown name 'solved'; did you mean 'solver'"):
        _ = known(task, tmp_path / "other.yaml", kind="solved").optimum


def test_the_line_names_kind_and_bound(task, tmp_path):
    class Results:
        optimum = known(task, tmp_path / "known.yaml").optimum

    line = optimum_line(Results())
    assert "(best known, not proven; a guess); no design exceeds " in line


def test_other_tasks_and_versions_are_not_known(task, tmp_path):
    reference = {name: value * 2 for name, value in task.reference.items()}
    assert known(task, tmp_path / "old.yaml", reference=reference).optimum is None
    other = identity(Objective("x", task.objective.metrics, budgets=(Budget("cost_ns", 1.0),)))
    assert known(task, tmp_path / "other.yaml", objective=other).optimum is None
    there = known(task, tmp_path / "known.yaml")
    text = (tmp_path / "known.yaml").read_text()
    told = {**yamlfile.parse(text, "known"), "options": {"workload": "another"}}
    (tmp_path / "known.yaml").write_text(yamlfile.dump(told))
    assert archgym.Task(there.environment, task.options, task.objective, task.model).optimum is None
    nowhere = dataclasses.replace(task.environment, best_known=lambda **_: tmp_path / "none.yaml")
    assert archgym.Task(nowhere, task.options, task.objective, task.model).optimum is None


def test_a_renamed_objective_is_the_same(task, tmp_path):
    there = known(task, tmp_path / "known.yaml")
    renamed = dataclasses.replace(task.objective, name="mine", doc="in other words")
    assert archgym.Task(there.environment, task.options, renamed, task.model).optimum is not None


def test_a_default_design_that_another_processor_rounds_differently_is_the_same(task, tmp_path):
    reference = {name: value * (1 + 1e-6) for name, value in task.reference.items()}
    there = known(task, tmp_path / "known.yaml", reference=reference)
    assert there.optimum is None
    rounding = dataclasses.replace(there.environment, tolerance=1e-4)
    assert archgym.Task(rounding, task.options, task.objective, task.model).optimum is not None
