"""Fidelities of tasks: declared ladders, and the same task at a cheaper one."""

import numpy as np
import pytest

from archgym.environment import Environment, Fidelity
from archgym.tables import description
from archgym.task import make_task
from archgym.testing.environments import check_cost_model, check_environment, check_fidelities
from archgym.testing.toys import fidelity_task, toy_task


def test_the_ladder_is_relative_to_the_tasks_own_fidelity() -> None:
    ladder = fidelity_task().fidelities
    assert [(each.name, each.cost) for each in ladder] == [
        ("rough", 0.05),
        ("fair", 0.25),
        ("fine", 1.0),
    ]
    lower = fidelity_task(fidelity="fair").fidelities
    assert [(each.name, each.cost) for each in lower] == [("rough", 0.2), ("fair", 1.0)]


@pytest.mark.parametrize("space", ["modern", "archgym2023"])
def test_every_fidelity_may_be_the_tasks_own(space: str) -> None:
    task = make_task("DramController-v0", workload="sort", space=space, fidelity="short")
    *cheaper, own = task.fidelities
    assert (own.name, own.exact) == ("short", True)
    assert not any(each.exact for each in cheaper)


def test_a_task_without_declared_fidelities_has_its_own() -> None:
    (only,) = toy_task().fidelities
    assert (only.name, only.cost, only.exact) == ("full", 1.0, True)
    task = toy_task()
    assert task.at(None) is task
    assert task.at("full") is task


def test_a_fidelity_that_is_not_declared_has_no_other() -> None:
    environment = fidelity_task().environment
    (only,) = environment.ladder({"fidelity": "table:mine.parquet"})
    assert (only.name, only.cost) == ("table:mine.parquet", 1.0)


def test_the_same_task_at_a_cheaper_fidelity() -> None:
    task = fidelity_task()
    rough = task.at("rough")
    assert rough is task.at("rough")
    assert rough.options == {"fidelity": "rough"}
    rows = task.space.sample(100, np.random.default_rng(0))
    here, there = task.evaluate(rows).score, rough.evaluate(rows).score
    assert not np.array_equal(here, there)
    assert np.corrcoef(here, there)[0, 1] > 0.5
    assert rough.evaluate(task.default[None]).score[0] == 0.0


def test_an_unknown_fidelity_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"'ruogh'; did you mean 'rough'\? Allowed: fair, fine, rough"
    ):
        fidelity_task().at("ruogh")
    with pytest.raises(ValueError, match="Allowed: full"):
        toy_task().at("rough")


def test_the_toy_passes_the_kits_and_is_described() -> None:
    task = fidelity_task()
    check_cost_model(task)
    check_environment(task)
    assert [each["cost"] for each in description(task)["fidelities"]] == [0.05, 0.25, 1.0]


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ([("rough", 0.0), ("fine", 1.0)], "do not rise from above 0"),
        ([("fair", 0.5), ("rough", 0.2), ("fine", 1.0)], "do not rise"),
        ([("rough", 0.1), ("rough", 0.2), ("fine", 1.0)], "repeat a name"),
    ],
)
def test_the_kit_finds_wrong_ladders(declared: list[tuple[str, float]], problem: str) -> None:
    task = fidelity_task()
    ladder = tuple(Fidelity(name, "toy", cost, name == "fine") for name, cost in declared)
    fields = {**vars(task.environment), "fidelities": lambda fidelity: ladder}
    task.environment = Environment(**fields)
    with pytest.raises(AssertionError, match=problem):
        check_fidelities(task)


def test_the_kit_finds_answers_that_are_not_exact() -> None:
    task = fidelity_task()
    ladder = (Fidelity("fair", "toy", 0.2, exact=True), Fidelity("fine", "toy", 1.0, exact=True))
    task.environment = Environment(
        **{**vars(task.environment), "fidelities": lambda fidelity: ladder}
    )
    with pytest.raises(AssertionError, match="'fair' is declared exact, its scores differ"):
        check_fidelities(task)
