"""Datasets: every trial arrives with its values, nothing leaks in a split, nothing is hidden."""

import json
import math

import numpy as np
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archgym
import archgym.gym
from archgym import dataset_export
from archgym.dataset_export import Description, export_dataset
from archgym.dataset_runs import slug
from archgym.experiment import load_experiment
from archgym.known import known_evaluation, trials_of
from archgym.run import search
from archgym.runner import run_experiment
from archgym.store import load_trials
from archgym.task import make_task
from archgym.testing.toys import conditional_task, toy_task

RUN = "runs/Outside-v0_walk_fast/loud/seed-0"


@pytest.fixture
def results(toy):
    """Results of two seeds of two agents, 40 designs each."""
    return run_experiment(load_experiment(toy), "out", workers=1).folder


def change(folder, **fields):
    """Changes fields of a run's manifest."""
    manifest = {**json.loads((folder / "run.json").read_text()), **fields}
    (folder / "run.json").write_text(json.dumps(manifest))


def exported(*folders, **options):
    """Exports folders to `data` and opens it."""
    export_dataset(folders, "data", **options)
    return archgym.load_dataset("data")


def test_every_trial_of_every_run_arrives(results):
    found = exported(results)
    stored = polars.concat(
        [load_trials(p.parent) for p in sorted(results.glob("runs/*/*/*/run.json"))]
    )
    assert len(found) == len(stored) == 160
    (task,) = found.tasks
    names = [metric.name for metric in found.declared_metrics]
    ours = found.frame()
    both = zip(
        ours.sort(["agent", "seed", "sample"]).iter_rows(named=True),
        stored.with_columns(
            agent=polars.Series(np.repeat(["loud", "random"], 80)),
            seed=polars.Series(np.tile(np.repeat([0, 1], 40), 2)),
        )
        .sort(["agent", "seed", "sample"])
        .iter_rows(named=True),
        strict=True,
    )
    for here, there in both:
        assert list(here["design"]) == list(there["design"])
        for name in (*names, "score", "feasible", "violations", "sample", "agent", "seed"):
            assert here[name] == there[name] or math.isnan(there[name])
        decoded = found.space.decode(np.array(here["design"]))
        for name, value in decoded.items():
            assert here[name] == value
    assert set(ours["task"]) == {task}


def test_inert_parameters_are_null_and_columns_have_their_types(workplace):
    search(conditional_task(), "random", budget=60, path="run")
    frame = exported("run").frame()
    assert frame.schema["mode"] == polars.String
    assert frame.schema["depth"] == polars.Int64
    off = frame.filter(polars.col("mode") == "off")
    assert len(off) and off["depth"].null_count() == len(off)
    assert frame.filter(polars.col("mode") != "off")["depth"].null_count() == 0


def test_a_parameter_named_like_a_column_keeps_both(workplace):
    from archgym.dataset_columns import column_names

    told = column_names(["seed", "width"], ["score", "width"])
    assert told == {
        "parameter": ["parameter:seed", "width"],
        "metric": ["metric:score", "metric:width"],
    }


def test_the_same_runs_give_the_same_bytes_and_nothing_is_left_behind(results):
    export_dataset([results], "one")
    export_dataset([results], "two", Description("one"))
    files = sorted(p.relative_to("one") for p in results.parent.joinpath("one").rglob("*.*"))
    assert len(files) >= 5
    for name in files:
        here, there = (results.parent / each / name for each in ("one", "two"))
        if here.is_file():
            text = there.read_bytes().replace(b"-o two", b"-o one")
            assert here.read_bytes() == text
    assert not [p for p in results.parent.iterdir() if p.name.startswith(".one")]


def test_a_failed_export_leaves_nothing(results):
    (results / RUN / "trials.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"trials\.parquet: file: is truncated or no parquet"):
        export_dataset([results], "data")
    assert sorted(p.name for p in results.parent.iterdir()) == ["out", "toy.yaml"]


def test_partial_empty_missing_and_repeated_runs_are_said(results, unfinish):
    unfinish(results / RUN, 7)
    empty = results / "runs/Outside-v0_walk_fast/random/seed-0"
    unfinish(empty, 0)
    (empty / "trials.jsonl").unlink()
    missing = results / "runs/Outside-v0_walk_fast/random/seed-1"
    (missing / "run.json").unlink()
    search(make_task("Outside-v0"), "random", budget=40, seed=5, path="alone")
    search(make_task("Outside-v0"), "random", budget=40, seed=5, path="again")
    (results.parent / "alone/screened.parquet").write_bytes(b"cheaper")
    found = exported(results, "alone", "again")
    assert found.meta["notes"] == [
        "out: 2 of 4 runs partial, exported as far as they went",
        "out: 1 of 4 runs without any trial, listed in runs.parquet only",
        "out: 1 of 4 runs not begun",
        "alone: 1 of 1 runs asked cheaper fidelities too, whose answers are left out",
        "again: 1 of 1 runs in another of the folders too, exported once",
    ]
    assert len(found) == 7 + 40 + 40
    runs = found.runs()
    assert sorted(runs["trials"]) == [0, 7, 40, 40]
    assert found.frame().filter(~polars.col("complete")).height == 7
    for note in found.meta["notes"]:
        assert note in results.parent.joinpath("data", "README.md").read_text()


@pytest.mark.parametrize(
    "field, value, word",
    [
        ("versions", {"archgym": "0.0.9"}, "version of archgym"),
        ("space", "0123456789abcdef", "design space"),
        ("reference", {"cost_ns": 9.0}, "cost model"),
    ],
)
def test_runs_that_cannot_be_compared_are_kept_apart(results, field, value, word):
    change(results / RUN, **{field: value})
    found = exported(results)
    assert len(found.tasks) == 2
    assert word in found.meta["notes"][0] and "kept apart as 2 tasks" in found.meta["notes"][0]
    assert sum(task["trials"] for task in found.meta["tasks"].values()) == 160


def test_runs_on_a_proxy_are_left_out_unless_asked_for(results):
    manifest = json.loads((results / RUN / "run.json").read_text())
    change(results / RUN, task={**manifest["task"], "fidelity": "proxy:p"})
    found = exported(results)
    assert len(found) == 120
    assert "on a proxy, whose answers are predictions: left out" in found.meta["notes"][0]
    export_dataset([results], "all", proxies=True)
    assert len(archgym.load_dataset("all").tasks) == 2


def test_files_are_cut_at_a_number_of_rows(results, monkeypatch):
    monkeypatch.setattr(dataset_export, "ROWS_PER_FILE", 50)
    found = exported(results)
    rows = [told["rows"] for name, told in found.meta["files"].items() if "part-" in name]
    assert rows == [50, 50, 50, 10]
    assert len(found) == 160
    whole = polars.read_parquet("data/trials/**/*.parquet", hive_partitioning=True)
    assert len(whole) == 160 and {"space", "task"} <= set(whole.columns)


@settings(max_examples=25, deadline=None)
@given(
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**63),
    cardinalities=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    budget=st.integers(1, 30),
)
def test_no_design_is_on_both_sides_of_a_split(
    tmp_path_factory, share, seed, cardinalities, budget
):
    root = tmp_path_factory.mktemp("split")
    task = toy_task(tuple(cardinalities))
    for number in range(3):
        search(
            task, "random", budget=budget, seed=number, path=root / f"run-{number}", max_repeats=50
        )
    export_dataset([root / f"run-{n}" for n in range(3)], root / "data")
    found = archgym.load_dataset(root / "data")
    train, test = found.split(test=share, seed=seed)
    sides = [{row.tobytes() for row in part.designs} for part in (train, test)]
    every = {row.tobytes() for row in found.designs}
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == every
    assert len(train) + len(test) == len(found)
    assert len(sides[1]) == round(share * len(every))
    again = found.split(test=share, seed=seed)[1]
    assert np.array_equal(again.designs, test.designs)
    # Which side a design is on does not depend on the other runs' order.
    export_dataset([root / f"run-{n}" for n in (2, 0, 1)], root / "other")
    other = archgym.load_dataset(root / "other").split(test=share, seed=seed)[1]
    assert {row.tobytes() for row in other.designs} == sides[1]


def test_a_part_of_a_split_can_be_split_and_sampled(results):
    train, _ = exported(results).split(test=0.5)
    inner, rest = train.split(test=0.5, seed=1)
    assert len(inner) + len(rest) == len(train)
    few = train.sample(5, seed=3)
    assert len(few) == len(np.unique(few.designs, axis=0)) == 5
    assert len(train.unique()) == len(np.unique(train.designs, axis=0))
    with pytest.raises(ValueError, match="filter before the split"):
        train.filter(agent="loud")
    with pytest.raises(ValueError, match=r"n: 999 is outside 1\.\."):
        train.sample(999)


def test_trials_are_evaluations_of_the_task(results):
    found = exported(results)
    task = make_task("Outside-v0")
    known = known_evaluation(trials_of(found, task), task)
    fresh = task.evaluate(found.designs)
    for name, values in known.columns().items():
        assert np.array_equal(values, fresh.columns()[name], equal_nan=values.dtype.kind == "f"), (
            name
        )


def test_trials_of_another_model_are_refused(results):
    for file in results.glob("runs/*/*/*/run.json"):
        change(file.parent, reference={"cost_ns": 123.0})
    found = exported(results)
    with pytest.raises(ValueError, match="another cost model"):
        trials_of(found, make_task("Outside-v0"))
    with pytest.raises(ValueError, match="problem: unknown name"):
        trials_of(found, toy_task((2, 2)))


def test_filters_name_the_closest(results):
    found = exported(results)
    assert len(found.filter(agent="loud")) == 80
    assert len(found.filter(task="Outside-v0 walk")) == 160
    with pytest.raises(ValueError, match="agent: unknown name 'lout'; did you mean 'loud'"):
        found.filter(agent="lout")
    with pytest.raises(ValueError, match="task: unknown name 'Outside-v0 walk fats'; did you mean"):
        found.filter(task="Outside-v0 walk fats")


def test_a_dataset_that_was_changed_is_refused(results):
    found = exported(results)
    name = next(iter(found.meta["files"]))
    content = (found.path / name).read_bytes()
    (found.path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="was changed after the export"):
        _ = archgym.load_dataset("data").digest
    (found.path / name).write_bytes(content[:-1])
    with pytest.raises(ValueError, match="is missing or has another size"):
        archgym.load_dataset("data")
    meta = {**found.meta, "files": {"../secret.parquet": {"bytes": 1, "sha256": ""}}}
    (found.path / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match="which is no file of a dataset"):
        archgym.load_dataset("data")
    (found.path / "dataset.json").write_text("[1")
    with pytest.raises(ValueError, match="is not the description of a dataset"):
        archgym.load_dataset("data")


def test_the_command_exports_and_tells(results, command):
    status, out, err = command(
        "dataset", "export", "out", "-o", "data", "--license", "CC-BY-4.0", "--name", "A <b> | 数据"
    )
    assert (status, err) == (0, "")
    assert "160" in out and "loud random" in out
    status, out, _ = command("dataset", "info", "data")
    assert "licence: CC-BY-4.0" in out and "digest: " in out
    text = (results.parent / "data/README.md").read_text(encoding="utf-8")
    assert "# A &#60;b&#62; &#124; 数据" in text
    assert command("dataset", "export", "out", "-o", "data")[::2] == (
        2,
        "error: data: is there already, choose another name with -o\n",
    )
    assert "holds no results" in command("dataset", "export", "data", "-o", "x")[2]
    assert "is no dataset" in command("dataset", "info", "out")[2]


def test_names_of_folders_are_safe():
    assert slug("../a b=c/ü") == "a_b_c"
    assert slug("数据") and "/" not in slug("数据" * 100)


def test_croissant_is_valid_and_describes_every_column(results):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    found = exported(
        results, description=Description("toy", "CC0-1.0", "https://example.org", ("Lab",))
    )
    read = mlcroissant.Dataset("data/croissant.json")
    issues = read.metadata.ctx.issues
    assert not issues.errors and not issues.warnings
    trials, runs = (each.id for each in read.metadata.record_sets)
    fields = {f.name: f for each in read.metadata.record_sets for f in each.fields}
    assert set(found.frame().columns) <= set(fields)
    assert "Unit: ns." in fields["cost_ns"].description
    records = list(read.records(trials))
    assert len(records) == 160
    assert {each[f"{trials}/task"].decode() for each in records} == set(found.tasks)
    assert len(list(read.records(runs))) == 4


@pytest.mark.parametrize("episode, horizon", [("refine", 9), ("single", None)])
def test_minari_episodes_are_what_the_environment_returns(results, episode, horizon, monkeypatch):
    minari = pytest.importorskip("minari", reason="minari is not installed")
    pytest.importorskip("PIL", reason="Pillow is not installed, which Minari needs")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(results.resolve().parent / "minari"))
    found = exported(results)
    written = found.to_minari("toy/walk-v0", episode=episode, horizon=horizon)
    read = minari.load_dataset("toy/walk-v0")
    env = read.recover_environment().unwrapped
    assert isinstance(env, archgym.gym.DesignEnv)
    steps = 0
    for each in read.iterate_episodes():
        seen, _ = env.reset()
        assert np.allclose(each.observations[0], seen)
        for i, act in enumerate(each.actions):
            seen, reward, terminated, truncated, _ = env.step(act)
            assert np.allclose(each.observations[i + 1], seen)
            assert each.rewards[i] == pytest.approx(reward, abs=1e-6)
            last = i + 1 == len(each.actions)
            assert bool(each.terminations[i]) == terminated
            assert bool(each.truncations[i]) == (truncated or (last and not terminated))
            steps += 1
    assert steps == written.total_steps == 160
    with pytest.raises(ValueError, match="there is a dataset 'toy/walk-v0' already"):
        found.to_minari("toy/walk-v0")


def test_minari_says_how_it_is_installed(results, command, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, _, err = command("dataset", "export", "out", "-o", "data", "--minari", "toy-v0")
    told = "error: minari: minari is not installed: pip install minari pillow\n"
    assert (status, err) == (2, told)
    assert not (results.parent / "data").exists()
