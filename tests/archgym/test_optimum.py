import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import archgym
from archgym.environment import Environment
from archgym.experiment import load_experiment
from archgym.leaderboard import load_leaderboard
from archgym.metric import Budget, Objective
from archgym.optimum import Optimum, known_optimum, weighted_median
from archgym.pareto import front, hypervolume
from archgym.results import load_results
from archgym.runner import run_experiment
from archgym.table import TableModel
from archgym.tables import optimum_line, print_results, regret
from archgym.tabulate import tabulate

OUTSIDE = "Outside-v0"


@pytest.fixture
def task(workplace):
    """The outside task, with the optimum known from a table."""
    return with_table(archgym.make_task(OUTSIDE))


def with_table(task):
    tabulate(OUTSIDE, {}, "table.parquet", workers=1, compact=True)

    def tabulated(**options):
        model = task.model
        return TableModel("table.parquet", OUTSIDE, model.space, model.metrics, model.default, {})

    plain = task.environment
    environment = Environment(
        plain.id,
        plain.summary,
        plain.build,
        plain.options,
        plain.objectives,
        plain.workloads,
        tabulated,
    )
    return archgym.Task(environment, task.options, task.objective, task.model)


def everything(task):
    rows = task.space.enumerate(0, task.space.size)
    return task.evaluate(rows)


OBJECTIVES = [
    Objective("one", ("cost_ns",)),
    Objective("sum", ("cost_ns", "area_mm2")),
    Objective("budget", ("area_mm2",), budgets=(Budget("cost_ns", 0.5, relative=True),)),
    Objective("tight", ("cost_ns",), budgets=(Budget("area_mm2", 1e-3),)),
    Objective("both", ("cost_ns", "area_mm2"), pareto=True),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: each.name)
def test_the_optimum_is_the_best_of_everything(task, objective):
    task = archgym.Task(task.environment, task.options, objective, task.model)
    optimum = task.optimum
    evaluation = everything(task)
    scores = evaluation.score[evaluation.feasible]
    assert optimum.score == scores.max()
    assert optimum.count == (scores == scores.max()).sum()
    assert optimum.kind == "proven"
    assert optimum.median_random_score == pytest.approx(np.median(scores), abs=1e-12)
    again = task.evaluate(task.space.encode(optimum.design)[None])
    assert again.score[0] == optimum.score
    assert {k: v[0] for k, v in again.metrics.items()} == dict(optimum.metrics)
    assert optimum.regret(optimum.score) == 0.0
    assert optimum.regret(optimum.median_random_score) == pytest.approx(1.0)
    assert optimum.regret(-math.inf) == math.inf
    assert (optimum.front is not None) == objective.pareto
    json.dumps(optimum.describe(), allow_nan=True)


def test_the_front_is_the_true_one(task):
    task = archgym.Task(task.environment, task.options, OBJECTIVES[-1], task.model)
    evaluation = everything(task)
    points = evaluation.objectives[evaluation.feasible]
    true = {
        tuple(p) for p in points if not ((points >= p).all(axis=1) & (points > p).any(axis=1)).any()
    }
    found = task.optimum.front
    assert {tuple(p) for p in found.objectives} == true
    assert len(found.designs) == len(true)
    assert (np.diff(found.objectives[:, 0]) < 0).all()
    # The toy's metrics oppose each other, so no design exceeds the median in both.
    assert found.reference.tolist() == found.objectives.min(axis=0).tolist()
    assert found.hypervolume > 0
    assert found.regret(points) == 0.0
    assert found.regret(points[:0]) == 1.0
    for design, row in zip(found.designs, found.objectives, strict=True):
        assert task.evaluate(task.space.encode(design)[None]).objectives[0] == pytest.approx(row)


def test_no_table_and_tables_of_another_version(task):
    assert archgym.make_task(OUTSIDE).optimum is None
    other = {**task.reference, "cost_ns": 1.0}
    arguments = (task.environment, task.options, task.objective)
    assert known_optimum(*arguments, other) is None
    assert known_optimum(*arguments, {**task.reference, "spare_mw": 1.0}) is not None


def test_regret_of_a_search(task):
    result = archgym.search(task, "genetic", budget=600, seed=1)
    assert result.regret == task.optimum.regret(result.best.score)
    assert 0.0 <= result.regret < 1.0
    assert archgym.search(archgym.make_task(OUTSIDE), budget=5).regret is None


def test_regret_of_best_known_optima_may_fall_below_zero():
    fields = {"design": {}, "metrics": {}, "count": 1, "source": "", "median_random_score": -1.0}
    assert Optimum(score=0.0, kind="best-known", **fields).regret(0.5) == -0.5
    assert Optimum(score=0.0, kind="proven", **fields).regret(1e-17) == 0.0
    flat = Optimum(score=-1.0, kind="proven", **fields)
    assert (flat.regret(-1.0), flat.regret(-2.0)) == (0.0, math.inf)


def test_regret_in_tables_and_reports(toy, task, monkeypatch, capsys):
    monkeypatch.setattr("archgym.optimum.find_environment", lambda name: task.environment)
    tasks = "tasks=[{env: Outside-v0}, {env: Outside-v0, objective: both}]"
    experiment = load_experiment(toy, [tasks])
    results = load_results(run_experiment(experiment, "out", workers=1).folder)
    single, both = results.tasks
    for agent in single.agents:
        assert agent.regret.value == single.optimum.regret(agent.score.value)
        assert agent.regret.low <= agent.regret.value <= agent.regret.high
        assert agent.hypervolume_regret is None
    for agent in both.agents:
        shares = [both.optimum.front.regret(run.objectives) for run in agent.runs]
        assert agent.hypervolume_regret.value == np.median(shares)
    told = json.loads(json.dumps(results.to_dict(), allow_nan=False))["tasks"][0]
    assert told["optimum"]["score"] == single.optimum.score
    assert told["agents"][0]["regret"]["median"] == single.agents[0].regret.value
    print_results(results)
    out = capsys.readouterr().out
    assert optimum_line(single) in out
    assert "proven: every design was evaluated" in out
    assert "hv regret" in out
    board = load_leaderboard([results.folder], evaluate=False)
    assert f"optimum: {board.tasks[0].data['optimum']['text']}" == optimum_line(single)
    for there, task_board in zip(results.tasks, board.tasks, strict=True):
        rows = {row["label"]: row["regret"] for row in task_board.data["agents"]}
        for agent in there.agents:
            expected = agent.regret if there is single else agent.hypervolume_regret
            told = [expected.value, expected.low, expected.high]
            assert rows[agent.label] == pytest.approx(told, rel=1e-4)


def test_nothing_is_said_about_an_optimum_that_is_not_known(toy, capsys):
    results = load_results(run_experiment(load_experiment(toy), "out", workers=1).folder)
    assert results.tasks[0].optimum is None
    print_results(results)
    assert "regret" not in capsys.readouterr().out


def test_regrets_in_words():
    assert [regret(v) for v in (None, 0.0, 1e-9, 0.12345)] == ["-", "0", "<0.0001", "0.1235"]


@given(
    hnp.arrays(float, st.integers(1, 30), elements=st.integers(0, 9).map(float)),
    st.integers(0, 2**32 - 1),
)
def test_weighted_median_is_the_median_of_repeats(values, seed):
    weights = np.random.default_rng(seed).integers(1, 5, len(values))
    expected = np.median(np.repeat(values, weights))
    assert weighted_median(values, weights.astype(float)) == expected


points = st.integers(1, 3).flatmap(
    lambda m: hnp.arrays(
        float, st.tuples(st.integers(1, 7), st.just(m)), elements=st.integers(0, 4)
    )
)


@given(points)
def test_hypervolume_counts_unit_cells(values):
    cells = itertools.product(range(4), repeat=values.shape[1])
    expected = sum(bool((values > np.array(cell)).all(axis=1).any()) for cell in cells)
    assert hypervolume(values, np.zeros(values.shape[1])) == pytest.approx(expected)


@given(points)
def test_the_front_dominates_the_rest(values):
    kept = front(values)
    best = values[kept]
    assert len(np.unique(best, axis=0)) == len(best)
    for i, point in enumerate(values):
        assert (best >= point).all(axis=1).any()
        worse = (values >= point).all(axis=1) & (values > point).any(axis=1)
        assert not (i in kept and worse.any())
