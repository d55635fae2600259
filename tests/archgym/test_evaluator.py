import time

import numpy as np
import pytest

import archgym
from archgym.evaluator import Evaluator
from archgym.manifest import run_manifest
from archgym.space import DesignSpace, Parameter
from archgym.store import TrialStore
from archgym.testing.toys import SeparableToy, toy_task


def rows_of(task, n: int, seed: int = 0) -> np.ndarray:
    return task.space.sample(n, np.random.default_rng(seed))


def test_repeats_cost_nothing_and_answer_the_same() -> None:
    task = toy_task()
    evaluator = Evaluator(task, budget=10)
    rows = rows_of(task, 4)
    first = evaluator.evaluate(np.concatenate([rows, rows[::-1]]))
    assert evaluator.samples == 4
    assert evaluator.proposals == 8
    again = evaluator.evaluate(rows)
    assert evaluator.samples == 4
    assert np.array_equal(again.score, first.score[:4])
    assert np.array_equal(first.score[:4], first.score[4:][::-1])
    assert np.array_equal(evaluator.trials().designs, task.space.canonical(rows))


def test_answers_equal_the_task() -> None:
    task = toy_task(forbidden=True)
    rows = rows_of(task, 200)
    direct, through = task.evaluate(rows), Evaluator(task).evaluate(rows)
    for name, values in direct.columns().items():
        assert np.array_equal(values, through.columns()[name], equal_nan=values.dtype.kind == "f")


def test_equivalent_designs_are_one_design() -> None:
    task = toy_task()
    model = SeparableToy((2, 3))
    model.space = DesignSpace(
        [Parameter("p0", (0, 1)), Parameter("p1", (0, 1, 2), when={"p0": (1,)})]
    )
    task.model, task.space = model, model.space
    evaluator = Evaluator(task, budget=5)
    evaluator.evaluate(np.array([[0, 0], [0, 1], [0, 2], [1, 2]]))
    assert evaluator.samples == 2


def test_budget_is_exact_and_the_last_designs_are_kept() -> None:
    task = toy_task()
    evaluator = Evaluator(task, budget=5)
    rows = rows_of(task, 8)
    with pytest.raises(archgym.BudgetExhausted, match="5 designs is spent"):
        evaluator.evaluate(rows)
    assert evaluator.samples == 5
    assert evaluator.exhausted
    assert evaluator.stop_reason == "budget"
    assert np.array_equal(evaluator.trials().designs, task.space.canonical(rows[:5]))
    assert len(evaluator.evaluate(rows[:5])) == 5


def test_a_stuck_search_ends() -> None:
    task = toy_task()
    evaluator = Evaluator(task, budget=100, max_repeats=50)
    rows = rows_of(task, 2)
    for _ in range(25):
        assert not evaluator.exhausted
        evaluator.evaluate(rows)
    evaluator.evaluate(rows)
    assert evaluator.exhausted
    assert evaluator.stop_reason == "repeats"


def test_a_search_that_repeats_itself_ends_by_its_proposals() -> None:
    task = toy_task()
    evaluator = Evaluator(task, budget=100, max_proposals=20)
    for i in range(10):
        assert not evaluator.exhausted
        evaluator.evaluate(np.array([[0] * len(task.space), [i % 2] * len(task.space)]))
    assert evaluator.stop_reason == "proposals"


def test_the_time_of_repeats_is_logged_with_the_next_new_design(tmp_path) -> None:
    import polars

    task = toy_task()
    store = TrialStore(tmp_path / "run", run_manifest(task, "loud", {}, 1, 9))
    evaluator = Evaluator(task, 9, store)
    rows = rows_of(task, 9)
    evaluator.evaluate(rows[:1])
    time.sleep(0.05)
    evaluator.evaluate(rows[:1])
    evaluator.evaluate(rows)
    store.finish(evaluator.trials(), "budget", {})
    logged = polars.read_parquet(tmp_path / "run" / "times.parquet")["agent_seconds"].to_list()
    assert len(logged) == 2
    assert logged[1] >= 0.05
    assert sum(logged) == pytest.approx(evaluator.agent_seconds, abs=1e-4)


@pytest.mark.parametrize("cap", ["max_repeats", "max_proposals"])
def test_a_cap_of_zero_is_refused(cap) -> None:
    with pytest.raises(ValueError, match=f"{cap}: 0 is not at least 1"):
        Evaluator(toy_task(), **{cap: 0})


def test_constraints_are_named_and_never_reach_the_model() -> None:
    task = toy_task(forbidden=True)
    seen = []
    original = task.model.evaluate
    task.model.evaluate = lambda rows: (seen.append(rows), original(rows))[1]
    rows = task.space.sample(50, np.random.default_rng(0))
    rows[:3, :2] = 0
    evaluation = task.evaluate(rows)
    broken = (rows[:, 0] == 0) & (rows[:, 1] == 0)
    assert np.array_equal(evaluation.feasible, ~broken)
    assert evaluation.violated(0) == ("p0 and p1 both 0",)
    assert (evaluation.score[broken] == -np.inf).all()
    assert np.isnan(evaluation.metrics["cost_ns"][broken]).all()
    assert sum(len(r) for r in seen) == (~broken).sum()


def test_a_budget_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="samples 0 is not at least 1"):
        Evaluator(toy_task(), budget=0)


def test_search_returns_best_and_trials() -> None:
    task = toy_task((3, 2, 4))
    result = archgym.search(task, "random", budget=100, seed=3)
    assert len(result.evaluation) == 24
    assert result.stop_reason == "repeats"
    assert task.space.encode(result.best.design).tolist() == task.model.best.tolist()
    assert result.trials.columns[:4] == ["sample", "p0", "p1", "p2"]
    assert result.trials["score"].max() == result.best.score
    row = result.trials.row(result.best.sample - 1, named=True)
    assert row["cost_ns"] == result.best.metrics["cost_ns"]


def test_search_is_a_function_of_the_seed() -> None:
    task = toy_task()
    one, same, other = (archgym.search(task, budget=50, seed=s).trials for s in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_trials_are_numbered_from_one() -> None:
    task = toy_task(forbidden=True)
    result = archgym.search(task, budget=200, seed=4)
    infeasible = int(np.flatnonzero(~result.evaluation.feasible)[0]) + 1
    trial = result.trial(infeasible)
    assert trial.sample == infeasible
    assert trial.seed == 4
    assert trial.violations == ("p0 and p1 both 0",)
    assert trial.score == -np.inf
    assert trial.indices == tuple(result.evaluation.designs[infeasible - 1])
    with pytest.raises(ValueError, match=r"sample: 0 is outside 1\.\.200"):
        result.trial(0)
