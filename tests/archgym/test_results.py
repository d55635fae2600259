import json
import math

import numpy as np
import pytest

import archgym
from archgym.experiment import load_experiment
from archgym.results import load_results
from archgym.runner import run_experiment


@pytest.fixture
def folder(toy):
    """Results of three seeds of two agents."""
    experiment = load_experiment(toy, ["seeds=3"])
    return run_experiment(experiment, "out", workers=1).folder


def test_a_summary_says_what_searches_in_memory_say(folder):
    results = load_results(folder)
    assert (results.planned, results.complete) == (6, 6)
    [task] = results.tasks
    assert task.name == "Outside-v0 walk fast"
    agents = {agent.label: agent for agent in task.agents}
    assert list(agents) == sorted(agents, key=lambda a: -agents[a].score.value)
    problem = archgym.make_task("Outside-v0")
    alone = [archgym.search(problem, "loud", budget=40, seed=seed) for seed in range(3)]
    loud = agents["loud"]
    assert [run.best for run in loud.runs] == [each.best.score for each in alone]
    assert loud.score.value == np.median([each.best.score for each in alone])
    assert loud.score.low <= loud.score.value <= loud.score.high
    assert loud.metrics["cost_ns"] == np.median([each.best.metrics["cost_ns"] for each in alone])
    assert loud.times_better == pytest.approx(math.exp(loud.score.value))
    best = max(
        alone + [archgym.search(problem, budget=40, seed=s) for s in range(3)],
        key=lambda each: each.best.score,
    )
    assert task.best.best == best.best.score
    assert task.design(task.best.design) == best.best.design
    assert loud.median_of("evaluation_seconds") > 0
    assert loud.median_of("samples_per_second") > 0
    assert loud.curve.samples[-1] == 40
    assert loud.curve.middle[-1] == loud.score.value
    assert loud.state == ""


def test_shown_metrics_begin_with_the_objective(folder):
    [task] = load_results(folder).tasks
    assert task.shown_metrics == ["cost_ns", "area_mm2"]
    assert [metric["name"] for metric in task.metrics] == ["cost_ns", "area_mm2", "spare_mw"]


def test_plain_data_is_strict_json(folder):
    text = json.dumps(load_results(folder).to_dict(), allow_nan=False)
    assert json.loads(text)["tasks"][0]["agents"][0]["runs"]["complete"] == 3


def test_partial_and_missing_runs_are_counted_not_dropped(folder, unfinish):
    runs = folder / "runs/Outside-v0_walk_fast"
    unfinish(runs / "loud/seed-2", keep=5)
    for seed in range(3):
        unfinish(runs / f"random/seed-{seed}", keep=seed * 4)
    results = load_results(folder)
    assert results.complete == 2
    agents = {agent.label: agent for agent in results.tasks[0].agents}
    assert agents["loud"].state == "2 of 3 runs, 1 partial"
    assert len(agents["loud"].runs) == 2
    assert agents["random"].state == "0 of 3 runs, 2 partial"
    assert [len(run.scores) for run in agents["random"].runs] == [4, 8]
    assert agents["random"].score is not None
    json.dumps(results.to_dict(), allow_nan=False)


def test_results_without_any_trial(folder):
    for file in folder.rglob("run.json"):
        file.unlink()
    results = load_results(folder)
    assert results.complete == 0
    [task] = results.tasks
    assert task.best is None
    assert task.shown_metrics == []
    assert {agent.score for agent in task.agents} == {None}
    json.dumps(results.to_dict(), allow_nan=False)


def test_pareto_tasks_and_missed_budgets(toy):
    text = toy.read_text().replace("agents: [random, loud]", "agents: [random]")
    budget = "{metrics: [cost_ns], budgets: [{metric: area_mm2, limit: 1.0e-3}], name: tight}"
    toy.write_text(
        text.replace(
            "  - {env: Outside-v0}",
            "  - {env: Outside-v0, objective: both}\n"
            f"  - {{env: Outside-v0, objective: {budget}}}",
        )
    )
    results = load_results(run_experiment(load_experiment(toy), "out", workers=1).folder)
    both, tight = results.tasks
    assert both.name == "Outside-v0 walk both"
    assert both.counted == ["cost_ns", "area_mm2"]
    assert both.agents[0].times_better == pytest.approx(math.exp(both.agents[0].score.value))
    assert tight.counted == ["cost_ns", "area_mm2"]
    assert tight.agents[0].times_better is None


def test_folders_without_results(folder, tmp_path):
    with pytest.raises(ValueError, match=r"holds no results \(there is no runs.json\)"):
        load_results(tmp_path / "nothing")
    trials = folder / "runs/Outside-v0_walk_fast/loud/seed-0/trials.parquet"
    trials.write_bytes(trials.read_bytes()[:200])
    with pytest.raises(ValueError, match="loud/seed-0: the trials cannot be read"):
        load_results(folder)
    (folder / "runs.json").write_text("[{}]")
    with pytest.raises(ValueError, match=r"runs\.json: is not a list of runs"):
        load_results(folder)
