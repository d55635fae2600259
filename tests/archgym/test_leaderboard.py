import csv
import io
import json
import math
import shutil

import numpy as np
import polars
import pytest

from archgym import submission, yamlfile
from archgym.archive import write_archive
from archgym.best_designs import _one_changed
from archgym.leaderboard import load_leaderboard
from archgym.leaderboard_page import render, table
from archgym.results import load_results
from archgym.run_summary import progress_of
from archgym.space import DesignSpace, Parameter
from archgym.task import make_task

EVIL = "<script>alert('x')</script> & \"Ж 焼\" </script>"
AGENTS = f"agents=[random, {{name: genetic, label: {json.dumps(EVIL)}}}]"
TASKS = "tasks=[{env: Outside-v0}, {env: Outside-v0, workload: run}]"


def edit(folder, change):
    for file in folder.rglob("run.json"):
        manifest = json.loads(file.read_text())
        change(manifest)
        file.write_text(json.dumps(manifest))


def test_progress_keeps_every_step_of_a_run():
    scores = np.array([-np.inf, 1.0, 0.5, 3.0, 3.0, 4.0, 0.0])
    every = np.arange(1.0, 9.0)
    progress = progress_of(scores, np.arange(1.0, 8.0) / 10, np.append(every[:7], 7.0))
    best = np.maximum.accumulate(scores)
    assert progress.after_samples(every).tolist() == [*best, best[-1]]
    assert progress.after_seconds([0.05, 0.2, 0.4, 9.0]).tolist() == [-np.inf, 1.0, 3.0, 4.0]
    assert [progress.reached(s) for s in (0.5, 1.0, 2.0, 4.0, 4.1)] == [2, 2, 4, 6, math.inf]
    assert (progress.best, progress.spent, progress.duration) == (4.0, 7, 0.7)
    nothing = progress_of(np.array([-np.inf]), np.array([0.1]), np.array([1.0, 1.0]))
    assert nothing.best == -np.inf
    assert nothing.after_samples([1]).tolist() == [-np.inf]


def test_the_numbers_are_those_of_the_results(run):
    folder = run("out", TASKS, "seeds=3")
    board = load_leaderboard([folder])
    results = load_results(folder)
    assert board.runs == {"planned": 12, "complete": 12, "partial": 0}
    for task, there in zip(board.tasks, results.tasks, strict=True):
        scores = {agent.label: agent.score for agent in there.agents}
        for row in task.data["agents"]:
            expected = scores[row["label"]]
            assert row["score"] == pytest.approx(
                [expected.value, expected.low, expected.high], rel=1e-4
            )
        assert task.data["designs"]["best"][0]["score"] == pytest.approx(there.best.best, rel=1e-5)
        for curve, row in zip(task.data["curves"], task.data["agents"], strict=True):
            assert curve[1][-1] == row["score"][0]
    json.dumps(board.to_dict(), allow_nan=False)


def test_unknown_optimum_takes_the_best_found_and_says_so(run):
    task = load_leaderboard([run("out")]).tasks[0]
    assert task.data["optimum"]["kind"] == "best-found"
    assert min(min(each) for each in task.regrets.values()) == 0.0
    assert all(hits["ecdf"] for hits in task.data["targets"])


def test_rankings_exist_for_every_filter(run):
    board = load_leaderboard([run("a", TASKS), run("b", "budget.samples=30")])
    by_key = {key: each for each in board.rankings for key in each["selections"]}
    assert by_key["one|||"]["tasks"] == [0, 1, 2]
    assert by_key["one|Outside-v0||"] is by_key["one|||"]
    assert by_key["one||40|"]["tasks"] == [0, 1]
    assert by_key["|||2"] is by_key["one||30|"]
    for each in board.rankings:
        ranks = [row["rank"] for row in each["rows"]]
        assert ranks == sorted(ranks)
        assert [row["iqm"][0] for row in each["rows"]] == sorted(r["iqm"][0] for r in each["rows"])
    names = [task.name for task in board.tasks]
    assert len(set(names)) == 3
    assert "30 samples" in names[2]


def test_runs_in_two_folders_count_once_and_a_folder_twice_is_refused(run):
    a, b = run("a"), run("b", "seeds=3")
    board = load_leaderboard([a, b])
    assert board.runs["complete"] == 6
    assert any("4 runs are in a and b both" in warning for warning in board.warnings)
    with pytest.raises(ValueError, match="is given twice"):
        load_leaderboard([a, a])
    with pytest.raises(ValueError, match="holds no results"):
        load_leaderboard([a / "runs"])


def test_same_label_with_other_settings_is_told_apart(run):
    a = run("a", "agents=[{name: genetic, label: mine, population: 16}]")
    b = run("b", "agents=[{name: genetic, label: mine, population: 32}]")
    labels = [agent.label for agent in load_leaderboard([a, b]).agents]
    assert labels == ["mine population=16", "mine population=32"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: m["versions"].update(archgym="0.0.9"), "version of archgym"),
        (lambda m: m.update(space="0" * 64), "design space"),
        (lambda m: m["reference"].update(cost_ns=7.0), "cost model"),
    ],
)
def test_what_cannot_be_compared_is_shown_apart(run, change, what):
    a, b = run("a", "seeds=[0, 1]"), run("b", "seeds=[2, 3]")
    edit(b, change)
    board = load_leaderboard([a, b])
    assert len(board.tasks) == 2
    assert any(what in note and "cannot be compared" in note for note in board.warnings)
    assert what.split(" (")[0] in board.tasks[1].name
    assert all(len(each) == 2 for task in board.tasks for each in task.regrets.values())
    assert [entry.planned for task in board.tasks for entry in task.entries] == [2] * 4


def test_partial_and_empty_runs_are_shown(run):
    folder = run("out", "seeds=3")
    files = sorted(folder.rglob("run.json"))
    for file in files[:2]:
        shutil.rmtree(file.parent)
    board = load_leaderboard([folder])
    assert board.runs == {"planned": 6, "complete": 4, "partial": 0}
    assert any(w.startswith("Partial") and "1 of 3 complete" in w for w in board.warnings)
    assert any(w.startswith("Unequal numbers of seeds") for w in board.warnings)
    for file in files[2:]:
        shutil.rmtree(file.parent)
    empty = load_leaderboard([folder])
    assert empty.runs == {"planned": 6, "complete": 0, "partial": 0}
    assert [entry.planned for entry in empty.tasks[0].entries] == [3, 3]
    assert "Outside-v0" in render(empty)


def test_killed_runs_count_only_where_there_is_no_complete_one(run, unfinish):
    folder = run("out")
    runs = folder / "runs/Outside-v0_walk_fast"
    unfinish(runs / "random/seed-0", 7)
    unfinish(runs / "random/seed-1", 5)
    unfinish(runs / "loud/seed-1", 9)
    board = load_leaderboard([folder])
    assert board.runs == {"planned": 4, "complete": 1, "partial": 3}
    loud, random = board.tasks[0].data["agents"]
    assert (loud["complete"], loud["partial"], loud["seeds"]) == (1, 1, [0])
    assert (random["complete"], random["partial"], random["samples"]) == (0, 2, [5, 7])
    assert "random on Outside-v0 walk fast (0 of 2 complete)" in " ".join(board.warnings)
    assert "Outside-v0" in render(board)


def test_tuned_agents_beside_untuned_ones_are_named(run):
    folder = run("out", "agents=[{name: genetic, label: genetic tuned}, hill-climbing]")
    experiment = yamlfile.read(folder / "experiment.yaml")
    experiment["agents"][0] = {"name": "genetic", "preset": "genetic.yaml"}
    (folder / "experiment.yaml").write_text(yamlfile.dump(experiment))
    board = load_leaderboard([folder])
    assert [agent.tuned for agent in board.agents] == [True, False]
    assert "Tuned agents (genetic tuned) are compared with untuned ones." in board.warnings


def test_ten_tasks_have_a_critical_difference(run):
    tasks = [
        f"{{env: Outside-v0, objective: {{name: o{i}, metrics: [cost_ns]}}}}" for i in range(10)
    ]
    folder = run("out", f"tasks=[{', '.join(tasks)}]", "agents=[random, genetic, hill-climbing]")
    board = load_leaderboard([folder], evaluate=False)
    difference = board.rankings[0]["difference"]
    # Demšar's table 5: q is 2.343 for three agents.
    assert difference["critical_difference"] == pytest.approx(2.343 * math.sqrt(12 / 60), abs=1e-3)
    assert sum(difference["ranks"]) == pytest.approx(6.0, abs=1e-3)
    assert all(each["difference"] is None for each in board.rankings[1:])


def test_unfair_comparisons_are_named(run):
    a = run("a", "agents=[random]", TASKS)
    b = run("b", "agents=[genetic]", "budget.samples=30")
    warnings = " ".join(load_leaderboard([a, b]).warnings)
    for text in ("Unequal budgets", "Not on every task", "Few seeds: 2"):
        assert text in warnings


def test_changes_are_evaluated_alone(run):
    told = load_leaderboard([run("out", "agents=[genetic]")]).tasks[0].data
    task = make_task("Outside-v0")
    assert told["changes"]["rows"]
    for row in told["changes"]["rows"]:
        design = task.space.decode(task.default)
        names = {str(v): v for p in task.space.parameters for v in p.values}
        design[row["parameter"]] = names[row["best"]]
        score = task.evaluate(task.space.encode(design)[None]).score[0]
        expected = None if np.isinf(score) else pytest.approx(score, abs=1e-4)
        assert row["alone"] == expected


def test_csv_has_a_row_per_task_and_agent(run):
    board = load_leaderboard([run("out", TASKS, AGENTS)])
    rows = list(csv.DictReader(io.StringIO(table(board))))
    assert len(rows) == 4
    assert {row["agent"] for row in rows} == {"random", EVIL}
    assert float(rows[0]["regret"]) == board.tasks[0].data["agents"][0]["regret"][0]


def test_the_page_is_offline_and_everything_is_escaped(run, archgym_command, tmp_path):
    folder = run(
        "out",
        AGENTS,
        f"description={json.dumps(EVIL)}",
    )
    status, out, error = archgym_command("leaderboard", folder, "-o", "report")
    assert (status, out) == (0, "page: report/index.html\n")
    assert "warning: Few seeds" in error
    text = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("plotly.js v") == 1
    assert 'src="' not in text.split("<script>")[0]
    data = json.loads((tmp_path / "report/leaderboard.json").read_text(encoding="utf-8"))
    assert EVIL in [agent["label"] for agent in data["agents"]]


def test_submissions_are_verified_before_they_are_ranked(run, archgym_command, tmp_path):
    about = {"version": 1, "title": EVIL, "authors": ["Ada Lovelace"], "tuning": "defaults"}
    about |= {"code": "https://example.org/a", "description": "some", "hardware": "one core"}
    file = tmp_path / "about.yaml"
    file.write_text(json.dumps(about))
    assert submission.submit(run("out"), "good.tar.zst", file).ok
    status, _, _ = archgym_command("leaderboard", "--submission", "good.tar.zst", "-o", "report")
    assert status == 0
    text = (tmp_path / "report/leaderboard.json").read_text(encoding="utf-8")
    methods = dict(json.loads(text)["methods"])
    assert methods["Submissions"][0].startswith(f"{EVIL} by Ada Lovelace; code: https://")
    assert methods["Built with"] == ["archgym leaderboard --submission good.tar.zst -o REPORT"]

    root = submission.read_submission("good.tar.zst", "changed").folder
    trials = next(root.rglob("trials.parquet"))
    frame = polars.read_parquet(trials)
    frame.with_columns(frame["score"] + 1.0).write_parquet(trials)
    sources = {
        each.relative_to(root).as_posix(): each.read_bytes()
        for each in root.rglob("*")
        if each.is_file() and each.name != "files.json"
    }
    sources["files.json"] = submission._index(sources)
    write_archive(tmp_path / "bad.tar.zst", sources)
    status, _, error = archgym_command("leaderboard", "--submission", "bad.tar.zst", "-o", "worse")
    assert status == 2
    assert error.startswith("error: bad.tar.zst: does not hold and is not ranked (")
    assert not (tmp_path / "worse").exists()
    status, _, error = archgym_command("leaderboard", "-o", "worse")
    assert (status, error.count("\n")) == (2, 1)


def test_tasks_with_one_and_with_several_goals_are_ranked_apart(run):
    one = run("one", "agents=[random, genetic]")
    goals = "tasks=[{env: Outside-v0, objective: both}]"
    board = load_leaderboard([one, run("several", goals, "agents=[random, nsga2]", "name=b")])
    by_key = {key: each for each in board.rankings for key in each["selections"]}
    assert [by_key[key]["tasks"] for key in ("one|||", "several|||")] == [[0], [1]]
    assert all(len({board.tasks[i].goals for i in each["tasks"]}) == 1 for each in board.rankings)
    assert not any(warning.startswith("Not on every task") for warning in board.warnings)
    front = board.tasks[1].data["designs"]["best"]
    goals = np.array([each["metrics"][:2] for each in front])
    assert len(front) > 1
    assert (np.diff(goals[:, 0]) > 0).all()
    assert (np.diff(goals[:, 1]) < 0).all()


def test_a_task_without_trials_takes_no_place_away(run):
    folder = run("out", TASKS)
    shutil.rmtree(folder / "runs/Outside-v0_run_fast")
    board = load_leaderboard([folder])
    assert all(row["rank"] for row in board.rankings[0]["rows"])
    assert board.rankings[0]["begun"] == 1
    assert not any(warning.startswith("Not on every task") for warning in board.warnings)


def test_runs_that_ended_early_are_named(run):
    warnings = load_leaderboard([run("out", "budget.samples=2000")]).warnings
    told = (
        "Ended before the budget was spent: loud (2 runs, by repeats), random (2 runs, by repeats)."
    )
    assert told in warnings


def test_a_change_brings_what_only_then_has_an_effect():
    space = DesignSpace(
        [
            Parameter("Policy", ("Open", "Timeout")),
            Parameter("Wait", (1, 2, 3), when={"Policy": ("Timeout",)}),
            Parameter("Cap", (1, 2, 3), when={"Policy": ("Open",)}),
            Parameter("Size", (1, 2)),
        ]
    )
    default, best = np.array([0, 0, 2, 0]), np.array([1, 2, 0, 1])
    alone = space.canonical(_one_changed(space, default, best, np.array([0, 1, 3])))
    assert alone.tolist() == [[1, 2, 0, 0], [0, 0, 2, 0], [0, 0, 2, 1]]
    without = space.canonical(_one_changed(space, best, default, np.array([0, 1, 3])))
    assert without.tolist() == [[0, 0, 2, 1], [1, 0, 0, 1], [1, 2, 0, 0]]
