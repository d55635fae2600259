"""Cheaper fidelities in a run: what they cost, how they are logged, and that they are no trials."""

import json
import math
import re

import numpy as np
import polars
import pytest

import archgym
from archgym.evaluator import Evaluator
from archgym.experiment import ExperimentError, load_experiment, parse_experiment
from archgym.leaderboard import load_leaderboard
from archgym.results import load_results
from archgym.runner import run_experiment
from archgym.screening import budget_spent, load_screened, screened_frame
from archgym.statistics import anytime
from archgym.store import TrialStore, load_times, load_trials, read_manifest
from archgym.submission import read_submission, submit
from archgym.testing.toys import fidelity_task, toy_task
from archgym.verify import verify

BUDGET = 20
FILES = ["run.json", "screened.parquet", "times.parquet", "trials.parquet"]
EXPERIMENT = """\
version: 1
name: graded
budget: {samples: 20}
seeds: 2
tasks: [{env: FidelityToy-v0}]
agents: [random, successive-halving]
"""
RUN = "runs/FidelityToy-v0_toy/successive-halving/seed-0"


class Stop(Exception):
    pass


@pytest.fixture
def task():
    return fidelity_task()


@pytest.fixture
def rows(task):
    drawn = task.space.canonical(task.space.sample(400, np.random.default_rng(0)))
    return np.unique(drawn, axis=0)


@pytest.fixture
def results(workplace):
    (workplace / "graded.yaml").write_text(EXPERIMENT)
    return run_experiment(load_experiment("graded.yaml"), "out", workers=1).folder


def run(task, path, budget=BUDGET, **options):
    return archgym.search(task, "successive-halving", budget=budget, seed=1, path=path, **options)


def stop_before_finish(task, path, monkeypatch):
    """Leaves a run as a kill just before its end does: all lines, no parquet."""

    def stop(*arguments):
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(TrialStore, "finish", stop)
        run(task, path)


def test_cheaper_designs_cost_their_part_and_repeats_nothing(task, rows) -> None:
    evaluator = Evaluator(task, budget=10)
    rough = evaluator.evaluate(rows[:40], "rough")
    assert evaluator.spent == pytest.approx(2.0)
    assert (evaluator.samples, evaluator.remaining) == (0, 8)
    again = evaluator.evaluate(rows[:40][::-1], "rough")
    assert evaluator.spent == pytest.approx(2.0)
    assert np.array_equal(again.score[::-1], rough.score)
    assert np.array_equal(rough.score, task.at("rough").evaluate(rows[:40]).score)
    fine = evaluator.evaluate(rows[:3])
    assert evaluator.spent == pytest.approx(5.0)
    assert np.array_equal(fine.score, evaluator.evaluate(rows[:3], "fine").score)
    assert evaluator.samples == 3
    assert len(evaluator.trials()) == 3
    (screening,) = evaluator.cheaper()
    assert screening.fidelity.name == "rough"
    assert len(screening.evaluation) == 40


def test_the_budget_is_exact_in_fractions(task, rows) -> None:
    evaluator = Evaluator(task, budget=10)
    with pytest.raises(archgym.BudgetExhausted, match="10 designs is spent"):
        evaluator.evaluate(rows[:300], "rough")
    assert len(evaluator.cheaper()[0].evaluation) == 200
    assert evaluator.exhausted
    evaluator = Evaluator(task, budget=10)
    for row in rows[:198]:
        evaluator.evaluate(row[None], "rough")
    assert (evaluator.remaining, evaluator.affordable("rough")) == (0, 2)
    assert evaluator.stop_reason == "budget"
    evaluator = Evaluator(task, budget=10)
    evaluator.evaluate(rows[:36], "fair")
    assert (evaluator.remaining, evaluator.affordable("fair")) == (1, 4)
    evaluator.evaluate(rows[:1])
    assert evaluator.exhausted


def test_repeats_at_a_cheaper_fidelity_end_a_stuck_search(task, rows) -> None:
    evaluator = Evaluator(task, budget=50, max_repeats=30)
    for _ in range(5):
        evaluator.evaluate(rows[:8], "rough")
    assert evaluator.stop_reason == "repeats"


def test_an_unknown_fidelity_costs_nothing(task, rows) -> None:
    evaluator = Evaluator(task, budget=10)
    with pytest.raises(ValueError, match="did you mean 'rough'"):
        evaluator.evaluate(rows[:1], "roug")
    with pytest.raises(ValueError, match=r"unknown name 'rough'\. Allowed: full"):
        Evaluator(toy_task()).evaluate(np.zeros((1, 10), np.int64), "rough")
    assert evaluator.proposals == 0


def test_trials_are_placed_at_the_budget_spent(task, rows) -> None:
    evaluator = Evaluator(task, budget=100)
    evaluator.evaluate(rows[:20], "rough")
    evaluator.evaluate(rows[:2])
    evaluator.evaluate(rows[:4], "fair")
    evaluator.evaluate(rows[2:3])
    evaluator.evaluate(rows[20:90], "rough")
    spent = budget_spent(3, screened_frame(evaluator.cheaper()))
    assert spent.tolist() == pytest.approx([2.0, 3.0, 5.0, 8.5])
    assert spent[-1] == pytest.approx(evaluator.spent)
    assert budget_spent(3, None).tolist() == [1.0, 2.0, 3.0, 3.0]


def test_the_anytime_curve_is_over_the_budget() -> None:
    curve = anytime([np.array([1.0, 4.0])], [np.array([2.5, 4.0])])
    assert curve.samples.tolist() == [1, 2, 3, 4]
    assert curve.middle.tolist() == [-math.inf, -math.inf, 1.0, 4.0]


def test_a_run_on_disk_reads_as_the_run_in_memory(task, tmp_path) -> None:
    result, memory = run(task, tmp_path / "run"), run(task, None)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == FILES
    assert len(load_trials(tmp_path / "run")) == len(memory.evaluation) < BUDGET
    assert load_screened(tmp_path / "run").equals(memory.screened)
    assert np.array_equal(result.spent, memory.spent)
    assert BUDGET - 1 < result.spent[-1] <= BUDGET
    assert read_manifest(tmp_path / "run")["spent"] == result.spent[-1]
    times = load_times(tmp_path / "run")
    assert times["count"].sum() == len(result.evaluation)
    assert (times["count"] == 0).any()


def test_killed_at_any_byte_a_run_ends_with_the_same_files(task, tmp_path, monkeypatch) -> None:
    run(task, tmp_path / "whole")
    names = ("trials.parquet", "screened.parquet")
    expected = {name: (tmp_path / "whole" / name).read_bytes() for name in names}
    stop_before_finish(task, tmp_path / "cut", monkeypatch)
    lines = {n: (tmp_path / "cut" / n).read_bytes() for n in ("trials.jsonl", "screened.jsonl")}
    rng = np.random.default_rng(0)
    for _ in range(40):
        part = tmp_path / "part"
        part.mkdir(exist_ok=True)
        (part / "run.json").write_text((tmp_path / "cut" / "run.json").read_text())
        for name, content in lines.items():
            (part / name).write_bytes(content[: int(rng.integers(len(content) + 1))])
        run(task, part)
        for name, content in expected.items():
            assert (part / name).read_bytes() == content


def test_a_resumed_run_asks_no_cost_model_again(task, tmp_path, monkeypatch) -> None:
    stop_before_finish(task, tmp_path, monkeypatch)
    again = fidelity_task()
    for each in (again, again.at("rough"), again.at("fair")):
        model = each.model.evaluate
        monkeypatch.setattr(
            each.model, "evaluate", lambda rows, m=model: m(rows) if len(rows) == 0 else 1 / 0
        )
    assert len(load_screened(tmp_path)) > 0
    run(again, tmp_path)


def test_a_partial_run_reads_like_a_finished_one(task, tmp_path, monkeypatch) -> None:
    run(task, tmp_path / "whole")
    stop_before_finish(task, tmp_path / "cut", monkeypatch)
    whole, cut = (load_screened(tmp_path / name) for name in ("whole", "cut"))
    by = ["fidelity", "sample"]
    assert cut.sort(by).equals(whole.sort(by))


def test_changed_costs_are_named_on_resuming(task, tmp_path, monkeypatch) -> None:
    stop_before_finish(task, tmp_path, monkeypatch)
    file = tmp_path / "screened.jsonl"
    file.write_text(file.read_text().replace('"fidelity_cost": 0.05', '"fidelity_cost": 0.04'))
    with pytest.raises(
        ValueError, match=r"recorded fidelity_cost 0\.04, the agent now proposes 0\.05"
    ):
        run(task, tmp_path)


def test_a_run_that_only_screens_is_refused(task, monkeypatch) -> None:
    from archgym.agents.random import RandomAgent

    def screen(self, evaluator):
        while True:
            evaluator.evaluate(self.ask(8), "rough")

    monkeypatch.setattr(RandomAgent, "search", screen)
    with pytest.raises(ValueError, match="without a design at the task's own fidelity 'fine'"):
        archgym.search(task, "random", budget=5)


def test_results_and_leaderboards_count_the_budget(results) -> None:
    (told,) = load_results(results).tasks
    of = {agent.label: agent for agent in told.agents}
    for each in of["successive-halving"].runs:
        assert len(each.scores) == len(each.spent) < BUDGET
        assert each.spent[0] > 1
    curve = of["successive-halving"].curve
    assert curve.samples[-1] <= BUDGET
    assert curve.middle[0] == -math.inf
    assert curve.middle[-1] == of["successive-halving"].score.value
    board = load_leaderboard([results])
    (task,) = board.tasks
    assert task.samples["random"] == 2 * BUDGET
    assert 2 * (BUDGET - 1) < task.samples["successive-halving"] <= 2 * BUDGET
    labels = [agent["label"] for agent in task.data["agents"]]
    curves = dict(zip(labels, task.data["curves"], strict=True))
    assert curves["successive-halving"][1][0] is None
    assert curves["successive-halving"][1][-1] == pytest.approx(curve.middle[-1], rel=1e-4)
    assert curves["random"][1][0] is not None


def test_true_results_pass_and_travel(results, workplace) -> None:
    told = verify(results, rerun=True)
    assert told.ok and told.complete, told.all_findings
    about = workplace / "about.yaml"
    about.write_text(
        "{version: 1, title: t, authors: [a], code: 'https://example.org', description: d, "
        "tuning: t, hardware: h, notes: ''}"
    )
    assert submit(results, "packed.tar.zst", about).ok
    read_submission("packed.tar.zst", "unpacked")
    assert verify("unpacked").ok
    assert (workplace / "unpacked" / RUN / "screened.parquet").is_file()


def rewritten(change):
    """Returns a function that changes the table of what was screened."""

    def apply(folder):
        file = folder / "screened.parquet"
        change(polars.read_parquet(file)).write_parquet(file)

    return apply


CHANGES = {
    "cheaper than declared": (
        rewritten(lambda f: f.with_columns(polars.col("fidelity_cost") / 2)),
        r"screened\.parquet: fidelity_cost: is 0\.025 for 'rough', the task has 0\.05",
    ),
    "fewer designs": (rewritten(lambda f: f.head(3)), r"run\.json: spent: is .*, the run's files"),
    "later": (
        rewritten(lambda f: f.with_columns(polars.col("trials_before") + 99)),
        r"trials_before: is outside 0",
    ),
    "twice": (
        rewritten(lambda f: polars.concat([f, f.head(1)])),
        "design: is there twice at one fidelity",
    ),
    "no cost": (
        rewritten(lambda f: f.drop("fidelity_cost")),
        "fidelity_cost: is no column of type Float64",
    ),
    "no table": (
        lambda folder: (folder / "screened.parquet").write_text("x"),
        r"screened\.parquet: file: is truncated or no parquet file",
    ),
    "gone": (lambda folder: (folder / "screened.parquet").unlink(), r"spent: is .*, the run's"),
    "other order": (rewritten(lambda f: f.reverse()), "digest: of designs at cheaper"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_files_are_named(results, name) -> None:
    change, problem = CHANGES[name]
    change(results / RUN)
    found = " | ".join(str(each) for each in verify(results).all_findings)
    assert re.search(problem, found), found


def test_agents_that_ask_for_other_fidelities_are_refused_together(workplace) -> None:
    data = {
        "version": 1,
        "name": "refused",
        "budget": {"samples": 5},
        "seeds": 1,
        "tasks": [{"env": "FidelityToy-v0"}, {"env": "Outside-v0"}],
        "agents": [
            "successive-halving",
            {"name": "successive-halving", "lowest": "fair", "label": "from fair"},
            {"name": "successive-halving", "lowest": "fare", "sweep": {"effort": [1.0, 2.0]}},
        ],
    }
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(data).runs()
    lines = [line for line in str(caught.value).splitlines() if "fidelity" in line]
    assert len(lines) == 3, lines
    assert "'fair'. Allowed: full" in lines[0] and "Outside-v0" in lines[0]
    assert "'fare'; did you mean 'fair'? Allowed: fair, fine, rough" in lines[1]
    assert "agents[2]" in lines[2] and "Outside-v0" in lines[2]
    with pytest.raises(ValueError, match="agent 'successive-halving': lowest: fidelity of task"):
        archgym.search(toy_task(), "successive-halving", lowest="rough")


def test_the_command_shows_fidelities(workplace, command) -> None:
    status, out, _ = command("describe", "FidelityToy-v0", "--json")
    assert status == 0
    costs = {each["name"]: each["cost"] for each in json.loads(out)["fidelities"]}
    assert costs == {"rough": 0.05, "fair": 0.25, "fine": 1.0}
