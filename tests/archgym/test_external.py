"""Runs whose loop is a user's own: logged and budgeted like any other, resumable, verifiable."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym import cli
from archgym.errors import BudgetExhausted
from archgym.experiment import load_experiment
from archgym.external import external_runs, open_run
from archgym.gym import DesignEnv
from archgym.runner import run_experiment
from archgym.store import load_trials
from archgym.testing.toys import toy_task
from archgym.verify import verify

GUIDE = Path(__file__).parents[2] / "docs" / "agents.md"

MIXED = """\
version: 1
name: mixed
budget: {samples: 12}
seeds: 2
tasks:
  - {env: Outside-v0}
agents: [random, {name: mine, external: true, step: 2, note: plain}]
"""


def walk(run, calls=10**6):
    """Draws designs with the run's seed, as a user's loop might."""
    rng = np.random.default_rng(run.seed)
    env = DesignEnv(task=run.task, evaluator=run.evaluator)
    for _ in range(calls):
        env.step(rng.integers(run.task.space.cardinalities))


@pytest.fixture
def mixed(workplace):
    (workplace / "mixed.yaml").write_text(MIXED)
    return workplace / "mixed.yaml"


def test_the_budget_ends_the_loop():
    with open_run(toy_task(), "mine", budget=15, seed=3, hyperparameters={"a": [1, 2.5]}) as run:
        walk(run)
    result = run.result
    assert len(result.evaluation) == 15
    assert (result.agent, result.seed, result.stop_reason) == ("mine", 3, "budget")
    assert result.hyperparameters == {"a": [1, 2.5]}
    assert result.agent_seconds > 0


def test_a_stuck_loop_is_ended():
    with open_run(toy_task(), "mine", budget=15, max_repeats=30) as run:
        while True:
            run.evaluator.evaluate(np.zeros((1, len(run.task.space)), np.int64))
    assert run.result.stop_reason == "repeats"
    assert (len(run.result.evaluation), run.result.proposals) == (1, 31)


def test_a_loop_may_end_before_its_budget(workplace):
    task = archgym.make_task("Outside-v0")
    with open_run(task, "mine", budget=500, path="run") as run:
        walk(run, 20)
    assert run.result.stop_reason == "loop"
    told = verify("run", sample=None)
    assert told.ok and told.complete, told.all_findings
    with pytest.raises(ValueError, match="this run is complete"):
        open_run(task, "mine", budget=500, path="run")


def test_a_broken_run_is_resumed_without_the_cost_model(workplace):
    task = archgym.make_task("Outside-v0")
    with (
        pytest.raises(RuntimeError, match="power cut"),
        open_run(task, "mine", budget=30, path="run") as run,
    ):
        walk(run, 9)
        raise RuntimeError("power cut")
    with pytest.raises(ValueError, match="has not ended"):
        _ = run.result
    before = load_trials(Path("run"))
    assert json.loads(Path("run/run.json").read_text())["status"] == "running"
    with open_run(task, "mine", budget=30, path="run") as run:
        walk(run)
    after = load_trials(Path("run"))
    assert len(after) == 30
    assert after.head(len(before)).equals(before)
    with open_run(task, "mine", budget=30) as whole:
        walk(whole)
    assert np.array_equal(whole.result.evaluation.designs, run.result.evaluation.designs)
    with pytest.raises(ValueError, match="budget"):
        open_run(task, "mine", budget=31, path="run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": "genetic"}, r"agent 'genetic': is a registered agent"),
        ({"agent": ""}, r"agent: name '' is not a line of 1 to 200 characters"),
        ({"agent": "two\nlines"}, r"agent: name 'two\\nlines' is not a line"),
        ({"seed": -1}, r"seed: -1 is not a whole number from 0"),
        ({"budget": 0}, r"budget: samples 0 is not at least 1"),
        ({"hyperparameters": {"net": object()}}, r"hyperparameters: net is <object .* plain data"),
        ({"hyperparameters": {"rate": float("nan")}}, r"hyperparameters: rate is nan, which is"),
    ],
)
def test_what_is_refused(changes, message):
    given = {"agent": "mine", "budget": 5, **changes}
    with pytest.raises(ValueError, match=message) as caught:
        open_run(toy_task(), **given)
    assert "\n" not in str(caught.value)


def test_the_evaluator_of_a_run_stays_shut():
    with open_run(toy_task(), "mine", budget=2) as run:
        walk(run)
    with pytest.raises(BudgetExhausted, match=r"the run has ended \(budget\)"):
        run.evaluator.evaluate(run.result.evaluation.designs)


def test_runs_of_an_experiment(mixed, command):
    opened = []
    for run in external_runs(mixed, "out"):
        opened.append((run.seed, run.agent, run.hyperparameters))
        with run:
            walk(run)
        if len(opened) == 1:
            break  # the script is stopped
    assert opened == [(0, "mine", {"step": 2, "note": "plain"})]
    for run in external_runs(mixed, "out"):
        assert run.seed == 1
        with run:
            walk(run)
    assert list(external_runs(mixed, "out")) == []
    outcome = run_experiment(load_experiment(mixed), "out", resume=True, workers=1)
    assert (outcome.total, outcome.complete) == (2, 2)
    told = verify("out", sample=None, rerun=True)
    assert told.ok and told.complete, told.all_findings
    assert told.notes == (
        "2 of 4 runs are of external agents; they are checked by replay, but cannot be repeated",
    )
    status, output, _ = command("show", "out")
    assert status == 0 and "mine" in output and "random" in output
    status, output, _ = command("leaderboard", "out", "-o", "board")
    assert status == 0, output
    assert "mine" in Path("board/index.html").read_text()


def test_other_agents_may_run_first(mixed, command):
    status, output, error = command("run", mixed, "-o", "out", "--workers", "1")
    assert status == 0, error
    assert "2 runs of external agents are left to a script" in output
    for run in external_runs(mixed, "out"):
        with run:
            walk(run)
    assert verify("out").complete
    with pytest.raises(ValueError, match="holds this experiment, complete"):
        run_experiment(load_experiment(mixed), "out")


def test_a_forged_origin_is_found(mixed):
    for run in external_runs(mixed, "out"):
        with run:
            walk(run)
    file = next(Path("out").glob("runs/*/mine/seed-0/run.json"))
    manifest = json.loads(file.read_text())
    del manifest["external"]
    file.write_text(json.dumps(manifest))
    texts = [str(each) for each in verify("out").all_findings]
    assert any("external: is False, runs.json has True" in text for text in texts), texts


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: random, external: true}", "agents[0]: agent 'random': is a registered agent"),
        ("{name: mine, external: true, sweep: {a: [1, 2]}}", "agents[0].sweep: external agents"),
        ("{name: mine, external: true, sample: 3}", "agents[0].sample: external agents have none"),
        ("{name: mine}", "agents[0]: agent: unknown name 'mine'"),
    ],
)
def test_what_an_experiment_may_not_say(mixed, command, entry, message):
    mixed.write_text(
        MIXED.replace("random, {name: mine, external: true, step: 2, note: plain}", entry)
    )
    status, _, error = command("run", mixed)
    assert status == 2
    assert message in error


def test_experiments_without_work(mixed, command):
    mixed.write_text(MIXED.replace("random, ", ""))
    status, _, error = command("run", mixed)
    assert status == 2 and "agents: all are external" in error
    mixed.write_text(MIXED.replace(", {name: mine, external: true, step: 2, note: plain}", ""))
    with pytest.raises(ValueError, match="no agent is marked `external: true`"):
        next(external_runs(mixed))


def test_the_guide_with_stable_baselines(workplace, command, capsys):
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 and torch")
    section = GUIDE.read_text().partition("## Your own loop\n")[2].partition("\n## ")[0]
    blocks = dict(re.findall(r"```(yaml|python)\n(.*?)```", section, re.S))
    Path("my-ppo.yaml").write_text(blocks["yaml"])
    exec(compile(blocks["python"], str(GUIDE), "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
    results = Path("results/my-ppo")
    runs = sorted(results.glob("runs/*/sb3-ppo/seed-*"))
    assert [len(load_trials(run)) for run in runs] == [200, 200]
    assert not load_trials(runs[0])["design"].equals(load_trials(runs[1])["design"])
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", str(results)])
    assert not ended.value.code
