"""Runs that end with the first optimal design."""

import json
import shutil

import numpy as np
import polars
import pytest

import archgym
from archgym.evaluator import Evaluator
from archgym.experiment import ExperimentError, parse_experiment
from archgym.leaderboard_notes import Facts
from archgym.run import search
from archgym.runner import run_experiment
from archgym.store import TrialStore, load_trials, read_manifest
from archgym.task import make_task
from archgym.verify import verify
from archgym.workspace import read_plan

TWO_GOALS = {"metrics": ["power_mw", "read_latency_ns"], "pareto": True}
GRID = {"env": "DramController-v0", "space": "archgym2023", "fidelity": "table"}
EASY = {**GRID, "workload": "stream", "objective": "low-power"}


@pytest.fixture(scope="module")
def task():
    return make_task(**EASY)


@pytest.fixture(scope="module")
def found(task, tmp_path_factory):
    """A run that ended with the optimum, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    return search(task, "genetic", budget=5_000, seed=1, path=folder, stop_at_optimum=True), folder


def experiment(**changes):
    return parse_experiment(
        {
            "version": 1,
            "name": "stopping",
            "budget": {"samples": 5_000, "stop_at_optimum": True},
            "seeds": 2,
            "tasks": [EASY],
            "agents": ["random", {"name": "genetic", "budget": {"samples": 30}}],
            **changes,
        }
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "stopping"
    assert not run_experiment(experiment(), folder, workers=1).failures
    return folder


def test_the_last_design_is_the_first_optimal_one(task, found):
    result, folder = found
    optimal = np.flatnonzero(result.evaluation.score >= task.optimum.score)
    assert optimal.tolist() == [len(result.evaluation) - 1]
    assert result.stop_reason == "optimum"
    assert result.regret == 0
    assert 1 < len(result.evaluation) < 5_000
    manifest = read_manifest(folder)
    assert manifest["stop_at_optimum"] is True
    assert manifest["samples"] == len(load_trials(folder)) == len(result.evaluation)


def test_the_same_run_without_it_begins_with_the_same_designs(task, found):
    result, _ = found
    count = len(result.evaluation)
    longer = search(task, "genetic", budget=count + 50, seed=1)
    assert longer.stop_reason == "budget"
    assert np.array_equal(longer.evaluation.designs[:count], result.evaluation.designs)


def test_nothing_is_evaluated_after_the_optimum(task):
    optimal = task.space.encode({**_default(task), **task.optimum.design})
    rows = task.space.canonical(task.space.sample(20, np.random.default_rng(0)))
    rows[10] = optimal
    evaluator = Evaluator(task, 100, stop_at_optimum=True)
    with pytest.raises(archgym.BudgetExhausted, match="the optimum is found"):
        evaluator.evaluate(rows)
    assert (evaluator.samples, evaluator.remaining, evaluator.stop_reason) == (11, 0, "optimum")
    assert len(evaluator.evaluate(rows[:11])) == 11
    # As the last of a batch it is answered, as the last of the budget it still counts.
    last = Evaluator(task, 11, stop_at_optimum=True)
    assert len(last.evaluate(rows[:11])) == 11
    assert last.stop_reason == "optimum"


def _default(task):
    return task.space.decode(task.default)


def test_a_run_killed_at_the_optimum_ends_there(task, found, tmp_path):
    result, folder = found
    manifest = {k: v for k, v in read_manifest(folder).items() if k != "digest"}
    store = TrialStore(tmp_path / "run", {**manifest, "status": "running"})
    store.append(result.evaluation, 0, 0.1, 0.1)
    again = search(
        task, "genetic", budget=5_000, seed=1, path=tmp_path / "run", stop_at_optimum=True
    )
    assert again.stop_reason == "optimum"
    assert load_trials(tmp_path / "run").equals(load_trials(folder))


def test_a_run_does_not_go_on_with_another_rule(task, tmp_path):
    search(task, "random", budget=3, seed=0, path=tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    file.write_text(file.read_text().replace('"status": "complete"', '"status": "running"'))
    with pytest.raises(ValueError, match="stop_at_optimum is null, now true"):
        search(task, "random", budget=3, seed=0, path=tmp_path / "run", stop_at_optimum=True)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({**EASY, "objective": TWO_GOALS}, "has several goals"),
        ({"env": "Outside-v0", "objective": "fast"}, "has no proven optimum"),
    ],
)
def test_tasks_without_an_optimum_to_stop_at_are_refused_at_once(bad, message, outside, tmp_path):
    with pytest.raises(ExperimentError) as raised:
        run_experiment(experiment(tasks=[EASY, bad], agents=["nsga2"]), tmp_path / "r", workers=1)
    (line,) = raised.value.problems
    assert line.startswith(f"budget.stop_at_optimum: task '{bad['env']} ")
    assert message in line
    with pytest.raises(ValueError, match=f"stop_at_optimum: .* {message}"):
        Evaluator(make_task(**bad), 10, stop_at_optimum=True)
    assert not list((tmp_path / "r").glob("runs/*/*"))


def test_every_entry_has_its_own_rule(results):
    for spec in read_plan(results):
        manifest = read_manifest(results / spec.folder)
        assert spec.stop_at_optimum == (spec.agent == "random")
        assert ("stop_at_optimum" in manifest) == spec.stop_at_optimum
        assert manifest["stop_reason"] == ("optimum" if spec.stop_at_optimum else "budget")


def test_such_runs_verify_and_repeat(results):
    told = verify(results, sample=None, rerun=True)
    assert told.ok and told.complete, [str(each) for each in told.all_findings]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stop_reason": "budget"}, "stop_reason: is 'budget', trial"),
        ({"stop_at_optimum": False}, "stop_at_optimum: is False, runs.json has True"),
        ({"stop_at_optimum": "yes"}, "stop_at_optimum: 'yes' is not of type bool"),
    ],
)
def test_a_changed_ending_is_named(results, tmp_path, fields, message):
    copy = _copy(results, tmp_path)
    file = copy / read_plan(copy)[0].folder / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    assert any(message in str(each) for each in verify(copy).all_findings)


def test_a_run_that_lost_its_last_trial_or_goes_on_is_named(results, tmp_path):
    copy = _copy(results, tmp_path)
    for spec, change in zip(read_plan(copy)[:2], (_shorter, _longer), strict=True):
        file = copy / spec.folder / "trials.parquet"
        change(polars.read_parquet(file)).write_parquet(file)
    told = " ".join(str(each) for each in verify(copy).all_findings)
    assert "is 'optimum', no trial is optimal" in told
    assert "is optimal, the run goes on to trial" in told


def _copy(results, tmp_path):
    shutil.copytree(results, tmp_path / "copy")
    return tmp_path / "copy"


def _shorter(frame):
    return frame[:-1]


def _longer(frame):
    more = frame[:1].with_columns(polars.lit(len(frame) + 1, polars.Int64).alias("sample"))
    return polars.concat([frame, more])


def test_a_leaderboard_does_not_warn_of_them():
    facts = Facts()
    for reason in ("optimum", "budget", "repeats", "optimum"):
        facts.add("a", {"stop_reason": reason})
    assert facts.at_optimum == 2
    assert dict(facts.early) == {("a", "repeats"): 1}
