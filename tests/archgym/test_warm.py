"""Warm starts: what is told costs nothing, is told again on resuming, and is said in results."""

import json

import numpy as np
import pytest

import archgym
from archgym.dataset_export import export_dataset
from archgym.experiment import load_experiment
from archgym.leaderboard import load_leaderboard
from archgym.run import search
from archgym.runner import run_experiment
from archgym.store import load_trials
from archgym.task import make_task
from archgym.verify import verify

WARM = """\
version: 1
name: warm
budget: {samples: 30}
seeds: 2
tasks:
  - {env: Outside-v0}
agents: [genetic, {name: genetic, warm_start: data}]
"""


@pytest.fixture
def data(workplace):
    """A dataset of 200 designs of the toy."""
    task = make_task("Outside-v0")
    search(task, "random", budget=200, seed=9, path="known")
    export_dataset(["known"], "data")
    return archgym.load_dataset("data")


@pytest.fixture
def task(workplace):
    return make_task("Outside-v0")


def test_a_warm_start_helps_and_costs_no_budget(data, task):
    cold, warm = (
        [search(task, "genetic", budget=30, seed=s, warm_start=w).best.score for s in range(5)]
        for w in (None, data)
    )
    assert np.median(warm) > np.median(cold)
    result = search(task, "genetic", budget=30, warm_start="data")
    assert len(result.evaluation) == 30
    known = {row.tobytes() for row in data.designs}
    assert any(row.tobytes() not in known for row in result.evaluation.designs)


def test_what_is_told_is_the_data_scored_by_the_task(data, task, monkeypatch):
    from archgym.agents.genetic import GeneticAgent

    told = []
    usual = GeneticAgent.tell
    monkeypatch.setattr(GeneticAgent, "tell", lambda *a: (told.append(a[1:]), usual(*a))[1])
    search(task, "genetic", budget=5, warm_start=data.sample(40))
    rows, evaluation = told[0]
    assert len(rows) == 40
    fresh = task.evaluate(rows)
    assert np.array_equal(evaluation.score, fresh.score)
    assert np.array_equal(evaluation.feasible, fresh.feasible)


@pytest.mark.parametrize("agent", ["random", "genetic", "gp", "cma-es", "nsga2"])
def test_a_killed_run_resumes_byte_for_byte(data, task, agent, unfinish, tmp_path):
    for name in ("whole", "cut"):
        search(task, agent, budget=25, seed=1, path=name, warm_start="data")
    unfinish(tmp_path / "cut", 11)
    search(task, agent, budget=25, seed=1, path="cut", warm_start="data")
    here, there = (load_trials(tmp_path / name) for name in ("whole", "cut"))
    assert here.equals(there)
    manifest = json.loads((tmp_path / "whole/run.json").read_text())
    assert manifest["warm_start"]["dataset"] == data.digest
    assert manifest["warm_start"]["designs"] == 200


def test_another_warm_start_is_another_run(data, task, unfinish, tmp_path):
    search(task, "genetic", budget=25, path="run", warm_start=data)
    unfinish(tmp_path / "run", 11)
    with pytest.raises(ValueError, match="holds a different run"):
        search(task, "genetic", budget=25, path="run", warm_start=data.sample(50))
    with pytest.raises(ValueError, match="holds a different run"):
        search(task, "genetic", budget=25, path="run")


def test_in_an_experiment_it_is_labelled_verified_and_warned_of(data, workplace, command):
    (workplace / "warm.yaml").write_text(WARM)
    run_experiment(load_experiment("warm.yaml"), "out", workers=1)
    told = verify("out", rerun=True)
    assert told.ok, told.all_findings
    board = load_leaderboard(["out"])
    assert [agent.label for agent in board.agents] == ["genetic", "genetic warm"]
    assert [agent.warm for agent in board.agents] == [False, True]
    assert any("Warm-started agents (genetic warm)" in text for text in board.warnings)
    file = workplace / "data/README.md"
    file.rename(workplace / "moved")
    assert verify("out", rerun=True).ok  # only what was told counts
    (workplace / "data/dataset.json").unlink()
    assert verify("out").ok
    found = verify("out", rerun=True).all_findings
    assert len(found) == 2 and "cannot be repeated" in found[0].problem


def test_a_warm_start_that_cannot_be_is_one_line(data, workplace, command):
    (workplace / "warm.yaml").write_text(WARM.replace("warm_start: data", "warm_start: nothing"))
    status, _, err = command("run", "warm.yaml")
    assert status == 2 and "agent 'genetic warm': nothing: is no dataset" in err
    with pytest.raises(ValueError, match="agent 'ppo': owns its loop and cannot be told"):
        from archgym.agents.ppo import PpoAgent
        from archgym.warm import check_can_be_told

        check_can_be_told("ppo", PpoAgent)
    other = make_task("Outside-v0", workload="run")
    with pytest.raises(
        ValueError, match="warm_start: data: problem: unknown name 'Outside-v0 run'"
    ):
        search(other, "genetic", warm_start=data)
