"""Verification: what is true passes, and whatever is changed afterwards is named."""

import json
import math
import re

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archgym.digest import trials_digest
from archgym.experiment import load_experiment
from archgym.runner import run_experiment
from archgym.store import TrialStore
from archgym.trialfile import TrialFileError, read_trials
from archgym.verify import verify

RUN = "runs/Outside-v0_walk_fast/loud/seed-0"


@pytest.fixture
def results(toy):
    """Results of two seeds of two agents, 40 designs each."""
    return run_experiment(load_experiment(toy), "out", workers=1).folder


def change(results, **fields):
    """Changes fields of a run's manifest."""
    file = results / RUN / "run.json"
    manifest = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps(manifest))


def forget_digest(results):
    """Makes a run one of a version that wrote no digest."""
    file = results / RUN / "run.json"
    manifest = json.loads(file.read_text())
    del manifest["digest"]
    file.write_text(json.dumps(manifest))


def rewrite(results, change):
    """Applies a function to a run's table of trials, which has no digest then."""
    forget_digest(results)
    file = results / RUN / "trials.parquet"
    change(polars.read_parquet(file)).write_parquet(file)


def put(name, trial, value):
    """Returns a function that changes one cell of a table of trials."""

    def apply(frame):
        values = frame[name].to_list()
        values[trial - 1] = value(values[trial - 1]) if callable(value) else value
        return frame.with_columns(polars.Series(name, values, dtype=frame[name].dtype))

    return apply


def best(results):
    frame = polars.read_parquet(results / RUN / "trials.parquet")
    return int(frame["score"].arg_max()) + 1


def texts(verification):
    return [str(each) for each in verification.all_findings]


def test_true_results_pass(results):
    told = verify(results)
    assert told.ok and told.complete, texts(told)
    assert len(told.runs) == 4
    assert told.count("trials") == 160
    assert 80 <= told.count("replayed") == told.count("agreeing") < 160
    assert told.count("digest") == 4
    assert told.notes == ()
    assert told.made_with[0].startswith("archgym 0.")
    assert json.dumps(told.to_dict(), allow_nan=False)
    everything = verify(results, sample=None, rerun=True)
    assert everything.ok
    assert everything.count("replayed") == 160


def test_one_run_by_itself(results):
    told = verify(results / RUN, sample=0, rerun=True)
    assert told.ok and told.complete
    assert [run.run for run in told.runs] == ["."]
    assert 1 <= told.count("replayed") < 20


def first_swapped(frame):
    order = [1, 0, *range(2, len(frame))]
    return frame[order]


CHANGES = {
    "metric of the best": (
        lambda n: put("cost_ns", n, lambda v: v * 0.5),
        r"trials\.parquet: trial {n}: metrics\.cost_ns: is .*, replay gives",
    ),
    "score of the best": (
        lambda n: put("score", n, lambda v: v + 0.5),
        r"trials\.parquet: trial {n}: score: is .*, computed .* from the metrics",
    ),
    "score of a bad one": (
        lambda n: put("score", 1 if n > 1 else 2, -9.0),
        r"trial [12]: score: is -9\.0, computed",
    ),
    "not a number": (
        lambda n: put("score", 1, float("nan")),
        r"trial 1: score: is nan, computed",
    ),
    "metric that is only reported": (
        lambda n: put("spare_mw", n, 1.0),
        r"trial {n}: metrics\.spare_mw: is 1\.0, replay gives",
    ),
    "design of the best": (
        lambda n: put("design", n, lambda row: [row[0], row[1], row[2], 7 - row[3], *row[4:]]),
        r"trial {n}: metrics\.cost_ns: is .*, replay gives",
    ),
    "design outside": (
        lambda n: put("design", 3, [9, 0, 0, 0, 0, 0]),
        r"trial 3: design\.p0: index 9 is outside 0\.\.3",
    ),
    "negative index": (
        lambda n: put("design", 3, [1, 1, 0, 0, -1, 0]),
        r"trial 3: design\.p4: index -1 is outside 0\.\.1",
    ),
    "same design twice": (
        lambda n: lambda f: put("design", 5, f["design"].to_list()[1])(f),
        r"trial 5: design: repeats that of trial 2",
    ),
    "last row dropped": (
        lambda n: lambda f: f.head(39),
        r"run\.json: samples: is 40, trials\.parquet holds 39 trials",
    ),
    "row in the middle dropped": (
        lambda n: lambda f: f.filter(polars.col("sample") != 7),
        r"trials\.parquet: trial 7: sample: is 8 in row 7, expected 7",
    ),
    "rows swapped": (
        lambda n: first_swapped,
        r"trials\.parquet: trial 1: sample: is 2 in row 1, expected 1",
    ),
    "row doubled": (
        lambda n: lambda f: polars.concat([f, f.tail(1)]),
        r"run\.json: budget: is 40, trials\.parquet holds 41 trials",
    ),
    "infeasible made feasible": (
        lambda n: lambda f: put("feasible", first_infeasible(f), True)(f),
        r"trial \d+: feasible: is True, computed False",
    ),
    "rule no longer listed": (
        lambda n: lambda f: put("violations", first_infeasible(f), ["p5 is 2"])(f),
        r"trial \d+: violations: lists 'p5 is 2', computed",
    ),
    "column of another type": (
        lambda n: lambda f: f.with_columns(polars.col("score").cast(polars.String)),
        r"trials\.parquet: score: has type String, expected Float64",
    ),
    "column gone": (
        lambda n: lambda f: f.drop("area_mm2"),
        r"trials\.parquet: area_mm2: the column is missing",
    ),
    "column too many": (
        lambda n: lambda f: f.with_columns(bonus=1.0),
        r"trials\.parquet: bonus: is no column of this task's trials",
    ),
    "empty cell": (
        lambda n: put("cost_ns", 4, None),
        r"trials\.parquet: cost_ns: holds empty values",
    ),
    "empty index": (
        lambda n: put("design", 4, [0, 1, None, 0, 0, 0]),
        r"trials\.parquet: design: holds empty values",
    ),
}


def first_infeasible(frame):
    return frame["feasible"].to_list().index(False) + 1


@pytest.mark.parametrize("name", CHANGES)
def test_changed_trials_are_named(results, name):
    number = best(results)
    change_of, message = CHANGES[name]
    rewrite(results, change_of(number))
    told = verify(results)
    assert not told.ok
    first = texts(told)[0]
    assert re.search(message.format(n=number), first), texts(told)
    assert first.startswith(RUN)
    assert all("\n" not in text for text in texts(told))
    assert {each.run for each in told.all_findings} == {RUN}


MANIFESTS = {
    "task": (
        {"task": {"env": "Outside-v0", "workload": "run", "mode": "ok", "objective": {}}},
        r"run\.json: task\.workload: is 'run', runs\.json has 'walk'",
    ),
    "budget": ({"budget": 30}, r"run\.json: budget: is 30, runs\.json has 40"),
    "agent": ({"agent": "genetic"}, r"run\.json: agent: is 'genetic', runs\.json has 'loud'"),
    "hyperparameters": ({"hyperparameters": {"x": 1}}, r"hyperparameters\.x: is 1, runs\.json has"),
    "seed": ({"seed": 5}, r"run\.json: seed: is 5, runs\.json has 0"),
    "space": ({"space": "0" * 16}, r"run\.json: space: is '0+', the task has '"),
    "reference": (
        {"reference": {"cost_ns": 1e9, "area_mm2": 1.0, "spare_mw": 1.0}},
        r"run\.json: reference\.cost_ns: is 1000000000\.0, the task has ",
    ),
    "parameters": ({"parameters": []}, r"run\.json: parameters: is \[\], the task has"),
    "metrics": ({"metrics": []}, r"run\.json: metrics: is \[\], the task has"),
    "default": ({"default": [0] * 6}, r"run\.json: default\[\d\]: is 0, the task has"),
    "samples": ({"samples": 41}, r"run\.json: samples: is 41, trials\.parquet holds 40"),
    "versions": ({"versions": {"archgym": "9"}}, r"run\.json: versions: was changed after the run"),
    "host": ({"host": None}, r"run\.json: host: was changed after the run"),
    "type": ({"seed": "0"}, r"run\.json: seed: '0' is not of type int"),
    "truth value": ({"seed": True}, r"run\.json: seed: True is not of type int"),
    "status": ({"status": "done"}, r"run\.json: status: 'done' is not complete or running"),
    "format": ({"format": 99}, r"run\.json: file: format 99 is newer than the supported"),
    "digest": ({"digest": 7}, r"run\.json: digest: is 7, expected trials and fields"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_changed_manifests_are_named(results, name):
    fields, message = MANIFESTS[name]
    change(results, **fields)
    told = verify(results)
    assert re.search(message, texts(told)[0]), texts(told)
    assert texts(told)[0].startswith(f"{RUN}/run.json: ")


def test_a_run_by_itself_is_held_against_its_digests(results):
    change(results, agent="random", seed=5)
    told = verify(results / RUN)
    assert texts(told) == [
        "./run.json: agent: was changed after the run (its digest differs)",
        "./run.json: seed: was changed after the run (its digest differs)",
    ]


def test_a_trial_that_is_not_replayed_is_held_against_the_digest(results):
    rewrite(results, lambda frame: frame)
    assert verify(results).ok
    assert verify(results).notes == ("1 of 4 runs have no digest; they are checked by replay only",)
    whole = results.parent / "whole"
    run_experiment(load_experiment("toy.yaml"), whole, workers=1)
    file = whole / RUN / "trials.parquet"
    frame = polars.read_parquet(file)
    poor = int(frame["score"].replace(-math.inf, math.inf).arg_min()) + 1
    put("spare_mw", poor, 1.0)(frame).write_parquet(file)
    told = verify(whole, sample=0)
    changed = "the trials were changed after the run (run.json has another)"
    assert texts(told) == [f"{RUN}/trials.parquet: digest: {changed}"]
    assert texts(verify(whole, sample=None))[0].startswith(f"{RUN}/trials.parquet: trial {poor}: ")


def test_a_repeated_run_shows_what_replay_cannot(results):
    """True designs in another order, or of another seed."""

    def mirrored(frame):
        return frame.reverse().with_columns(sample=frame["sample"])

    rewrite(results, mirrored)
    assert verify(results).ok
    told = verify(results, rerun=True)
    assert re.search(r"trial 1: design: is \[.*, the repeated run has \[", texts(told)[0])
    change(results, seed=7)
    assert verify(results / RUN).ok
    assert not verify(results / RUN, rerun=True).ok
    change(results, agent="lod")
    [text] = texts(verify(results / RUN, rerun=True))
    assert "agent: agent: unknown name 'lod'; did you mean 'loud'" in text


def test_the_plan_is_held_against_the_experiment(results):
    plan = json.loads((results / "runs.json").read_text())
    (results / "runs.json").write_text(json.dumps(plan[1:]))
    told = verify(results)
    assert texts(told) == [
        "experiment.yaml: runs: plans 4 runs, runs.json lists 3",
        "runs/Outside-v0_walk_fast/random/seed-0/run.json: run: is not listed in runs.json",
    ]
    plan[1]["hyperparameters"] = {"lucky": 1}
    (results / "runs.json").write_text(json.dumps(plan))
    text = texts(verify(results))[0]
    assert text == "runs.json: [1].hyperparameters.lucky: is 1, experiment.yaml plans None"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"folder": "../elsewhere"},
            r"\[0\]\.folder: '\.\./elsewhere' is not runs/TASK/AGENT/seed",
        ),
        ({"folder": "runs/a/../seed-0"}, r"\[0\]\.folder: "),
        ({"folder": "/runs/a/b/seed-0"}, r"\[0\]\.folder: "),
        ({"seed": 1.5}, r"\[0\]\.seed: 1\.5 is not of type int"),
        ({"task": []}, r"\[0\]\.task: \[\] is not of type dict"),
        ({"extra": 1}, r"is not a list of runs"),
    ],
)
def test_plans_that_are_none(results, changed, message):
    plan = json.loads((results / "runs.json").read_text())
    (results / "runs.json").write_text(json.dumps([{**plan[0], **changed}, *plan[1:]]))
    told = verify(results)
    assert not told.ok and not told.complete
    [text] = texts(told)
    assert re.search(rf"^runs\.json: file: .*{message}", text), text


@pytest.mark.parametrize("file", ["run.json", "trials.parquet"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_files_of_a_run(results, file, share):
    path = results / RUN / file
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    told = verify(results)
    assert texts(told)[0].startswith(f"{RUN}/{file}: file: ")
    assert len(told.all_findings) == 1


@pytest.mark.parametrize("file", ["runs.json", "experiment.yaml"])
def test_truncated_files_of_the_folder(results, file):
    path = results / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert texts(verify(results))[0].startswith(f"{file}: ")


def test_missing_files(results):
    (results / RUN / "trials.parquet").unlink()
    assert texts(verify(results)) == [f"{RUN}/trials.parquet: file: is missing"]
    (results / RUN / "run.json").unlink()
    told = verify(results)
    assert (told.ok, told.complete) == (True, False)
    assert told.notes == ("1 of 4 runs are missing",)
    with pytest.raises(ValueError, match="holds no results"):
        verify(results / "nothing")
    with pytest.raises(ValueError, match="sample: value -1 is below 0"):
        verify(results, sample=-1)


def test_unknown_environments_and_workloads(results):
    for task, message in (
        ({"env": "Outsid-v0"}, "environment: unknown name 'Outsid-v0'; did you mean 'Outside-v0'"),
        ({"env": "Outside-v0", "workload": "wlk"}, "workload: unknown name 'wlk'; did you mean"),
        ({"env": "Outside-v0", "objective": "fats"}, "objective: unknown name 'fats'; did you"),
        ({"env": 3}, ""),
        ({}, ""),
    ):
        change(results, task=task)
        [text] = texts(verify(results / RUN))
        assert text.startswith("./run.json: task: ")
        assert message in text


def test_partial_runs_are_checked_as_far_as_they_are(toy, monkeypatch):
    def stop(*arguments):
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(TrialStore, "finish", stop)
        results = run_experiment(load_experiment(toy), "out", workers=1).folder
    told = verify(results)
    assert (told.ok, told.complete) == (True, False), texts(told)
    assert told.notes == ("4 of 4 runs are partial",)
    assert told.count("trials") == 160
    file = results / RUN / "trials.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    best = max(range(40), key=lambda i: float(lines[i]["score"]))
    lines[best]["metrics"]["cost_ns"] /= 2
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert texts(verify(results))[0].startswith(
        f"{RUN}/trials.jsonl: trial {best + 1}: metrics.cost_ns: is "
    )
    for broken in ("[]\n", "{}\n", "7\n", '{"sample": []}\n', "[" * 100_000 + "\n"):
        file.write_text(broken)
        [text] = texts(verify(results))
        assert text.startswith(f"{RUN}/trials.jsonl: "), broken


def test_pareto_fronts_are_replayed(toy):
    text = toy.read_text().replace("{env: Outside-v0}", "{env: Outside-v0, objective: both}")
    toy.write_text(text.replace("[random, loud]", "[random]"))
    results = run_experiment(load_experiment(toy), "out", workers=1).folder
    assert verify(results, sample=0).ok
    run = results / "runs/Outside-v0_walk_both/random/seed-0"
    frame = polars.read_parquet(run / "trials.parquet")
    usable = frame.filter(polars.col("feasible"))
    small = int(usable["sample"][int(usable["area_mm2"].arg_min())])
    worst = int(usable["sample"][int(usable["area_mm2"].arg_max())])
    assert small != worst
    row = put("area_mm2", worst, usable["area_mm2"].min() / 2)(frame)
    row.write_parquet(run / "trials.parquet")
    told = verify(results, sample=0)
    assert f"trial {worst}: metrics.area_mm2: is " in texts(told)[0]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_change_of_a_file_raises_and_none_of_a_trial_is_missed(results, data):
    """Any byte of any file of a run; with every trial replayed, only what is not content passes."""
    name = data.draw(st.sampled_from(["run.json", "trials.parquet"]))
    file = results / RUN / name
    whole = file.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[position] ^= data.draw(st.integers(1, 255))
    try:
        before = trials_digest(polars.read_parquet(results / RUN / "trials.parquet"))
        file.write_bytes(bytes(changed))
        told = verify(results / RUN, sample=None)
        if told.ok and name == "trials.parquet":
            assert trials_digest(polars.read_parquet(file)) == before
        if told.ok and name == "run.json" and not told.notes:
            assert json.loads(changed) == json.loads(whole)
    finally:
        file.write_bytes(whole)


def test_damaged_pages_are_named_and_do_not_end_the_process(results):
    file = results / RUN / "trials.parquet"
    whole = file.read_bytes()
    manifest = json.loads((results / RUN / "run.json").read_text())
    refused = 0
    for position in range(4, 40):  # the first page's header follows the magic number
        for change in (64, 69, 128):
            changed = bytearray(whole)
            changed[position] ^= change
            file.write_bytes(bytes(changed))
            try:
                read_trials(results / RUN, manifest)
            except TrialFileError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = ["task", "seed", "budget", "samples", "parameters", "default", "metrics", "reference"]
FIELDS += ["versions", "git", "digest", "stop_reason", "status", "format", "hyperparameters"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(FIELDS), value=JSON)
def test_whatever_a_manifest_holds_is_a_finding(results, name, value):
    file = results / RUN / "run.json"
    whole = file.read_text()
    if json.dumps(json.loads(whole).get(name)) == json.dumps(value):
        return
    try:
        change(results, **{name: value})
        for told in (verify(results / RUN), verify(results, sample=0)):
            assert not told.ok
            assert all("\n" not in text for text in texts(told))
            json.dumps(told.to_dict())
    finally:
        file.write_text(whole)


def test_a_cost_model_that_fails_is_a_finding(toy):
    arguments = ["tasks.0.mode=slow", "seeds=1", "agents=[random]"]
    results = run_experiment(load_experiment(toy, arguments), "out", workers=1).folder
    [run] = results.glob("runs/*/random/seed-0")
    manifest = json.loads((run / "run.json").read_text())
    del manifest["digest"]
    manifest["task"]["mode"] = "fail"
    manifest["task_name"] = manifest["task_name"].replace("slow", "fail")
    (run / "run.json").write_text(json.dumps(manifest))
    [text] = texts(verify(run))
    assert text == "./run.json: task: the replay failed (RuntimeError: the model broke)"


def test_through_the_command(results, command):
    status, out, errors = command("verify", "out")
    assert (status, errors) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "out: 4 runs, 160 trials"
    assert re.fullmatch(r"replayed: (\d+), of which \1 agree", lines[1])
    assert lines[2].startswith("made with: archgym 0.")
    assert lines[3].startswith("checked with: archgym 0.")
    assert lines[4] == "everything that was checked holds"
    assert command("verify", "out", "--sample", "3", "--seed", "1")[1] != out
    told = json.loads(command("verify", "out", "--all", "--json")[1])
    assert (told["ok"], told["replayed"], told["digests"]) == (True, 160, 4)
    out = command("verify", f"out/{RUN}", "--rerun")[1]
    assert "agree; every run was repeated" in out
    rewrite(results, lambda frame: frame.with_columns(cost_ns=frame["cost_ns"] / 2))
    status, out, _ = command("verify", "out")
    assert status == 1
    lines = out.splitlines()
    assert re.match(rf"mismatch: {RUN}/trials\.parquet: trial \d+: metrics\.cost_ns: is ", lines[0])
    assert lines[20].startswith("and ")
    assert lines[-1].endswith(" mismatches")
    status, out, _ = command("verify", "out", "--json")
    assert status == 1
    assert json.loads(out)["findings"][0]["field"] == "metrics.cost_ns"


def test_presets_are_not_part_of_the_results(results):
    file = results / "experiment.yaml"
    file.write_text(file.read_text().replace("- name: loud", "- {name: loud, preset: gone.yaml}"))
    told = verify(results)
    assert told.ok
    assert "experiment.yaml names presets" in told.notes[0]
