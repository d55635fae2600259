"""The example environment of the docs works as written."""

import re
from pathlib import Path

import pytest

import archgym
from archgym.task import Task
from archgym.testing.environments import check_cost_model, check_environment

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def environment() -> archgym.Environment:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope: dict[str, object] = {}
    exec(code.group(1), scope)
    return scope["ENVIRONMENT"]


@pytest.mark.parametrize("objective", ["fast", "fast-and-small"])
def test_example_passes_the_kits(environment: archgym.Environment, objective: str) -> None:
    options = environment.resolve({})
    task = Task(
        environment, options, environment.objective(objective), environment.build(**options)
    )
    check_cost_model(task)
    check_environment(task)
    result = archgym.search(task, budget=30)
    assert result.best.score > 0
    assert not task.evaluate(
        task.space.encode({"sets": 512, "ways": 8, "prefetcher": "none"})
    ).feasible[0]


def test_example_draws_its_designs(environment: archgym.Environment) -> None:
    from dataclasses import replace

    from archgym import plot

    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1]
    scope: dict[str, object] = {}
    exec(code, scope)
    drawn = replace(environment, plots=scope["PLOTS"])
    options = drawn.resolve({})
    task = Task(drawn, options, drawn.objective(None), drawn.build(**options))
    picture = plot.draw("occupancy", plot.Chosen(task, task.default, "the default design"), None)
    assert picture.svg.startswith("<svg") and picture.text.splitlines()[-1].split() == ["data", "4"]


def test_example_knows_its_optimum(environment: archgym.Environment) -> None:
    from dataclasses import replace

    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope: dict[str, object] = {"Cache": type(environment.build(workload="small"))}
    exec(next(each for each in code if "EnumeratedModel" in each), scope)
    known = replace(environment, tabulated=scope["tabulated"])
    task = Task(known, known.resolve({}), known.objective(None), known.build(workload="small"))
    every = task.evaluate(task.space.enumerate(0, task.space.size))
    assert task.optimum.kind == "proven" and task.optimum.score == every.score.max()
