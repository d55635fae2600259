"""Proxies: errors are of unseen designs, files hold no code, and results on them are told apart."""

import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archgym
from archgym import proxy, proxy_train, worker
from archgym.dataset_export import export_dataset
from archgym.experiment import load_experiment
from archgym.proxy import load_proxy
from archgym.proxy_arrays import Forest, load_model, save_model
from archgym.proxy_models import SETTINGS, Scale, encode, fitted
from archgym.proxy_report import calibration, errors, fold_numbers
from archgym.proxy_train import Training, train_proxy
from archgym.run import search
from archgym.runner import run_experiment
from archgym.task import make_task
from archgym.testing.toys import conditional_task
from archgym.verify import verify

QUICK = {"gradient-boosting": {"max_iter": 40}, "mlp": {"max_iter": 40, "hidden_layer_sizes": [32]}}


@pytest.fixture
def quick(monkeypatch):
    """Makes the slow models small."""
    for name, fewer in QUICK.items():
        monkeypatch.setitem(SETTINGS, name, {**SETTINGS[name], **fewer})


@pytest.fixture
def data(workplace):
    """A dataset of 240 designs of the toy that another package brings."""
    search(make_task("Outside-v0"), "random", budget=240, seed=9, path="known")
    export_dataset(["known"], "data")
    return archgym.load_dataset("data")


@pytest.mark.parametrize("model", list(SETTINGS))
def test_every_model_predicts_saves_and_loads_the_same(model, tmp_path, quick):
    space = conditional_task().space
    rows = np.unique(space.canonical(space.sample(400, np.random.default_rng(0))), axis=0)
    values = 1.0 + rows.sum(axis=1) ** 2.0
    inputs, scale = encode(space, rows), Scale.of(values)
    made = fitted(model, inputs, scale.to(values), 0)
    told = scale.back(made.predict(inputs))
    assert np.sqrt(np.mean((told - values) ** 2)) < 0.15 * np.ptp(values)
    save_model(made, tmp_path / "m.npz")
    read = load_model(tmp_path / "m.npz", model, inputs.shape[1])
    one_by_one = [float(read.predict(row[None])[0]) for row in inputs[:40]]
    assert np.array_equal(read.predict(inputs), made.predict(inputs))
    assert np.array_equal(one_by_one, made.predict(inputs)[:40])
    again = fitted(model, inputs, scale.to(values), 0)
    assert np.array_equal(again.predict(inputs), made.predict(inputs))


@pytest.mark.parametrize("model", ["extra-trees", "random-forest", "gradient-boosting"])
def test_trees_answer_as_those_of_scikit_learn(model, quick):
    from sklearn import ensemble

    name = {
        "extra-trees": "ExtraTreesRegressor",
        "random-forest": "RandomForestRegressor",
        "gradient-boosting": "HistGradientBoostingRegressor",
    }[model]
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 4, (300, 5)).astype(np.float32) / 3
    targets = inputs[:, 0] + np.sin(5 * inputs[:, 1]) + 0.1 * rng.random(300)
    theirs = getattr(ensemble, name)(random_state=3, **SETTINGS[model]).fit(inputs, targets)
    fresh = rng.random((200, 5)).astype(np.float32)
    ours = fitted(model, inputs, targets, 3).predict(fresh)
    assert np.allclose(ours, theirs.predict(fresh), rtol=0, atol=1e-12)


def test_a_gaussian_process_answers_as_that_of_scikit_learn():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    rng = np.random.default_rng(0)
    inputs = rng.random((60, 2)).astype(np.float32)
    targets = np.sin(4 * inputs[:, 0]) + inputs[:, 1]
    kernel = ConstantKernel(1.0) * Matern(np.ones(2), (1e-2, 1e3), nu=2.5)
    theirs = GaussianProcessRegressor(kernel + WhiteKernel(1e-4, (1e-9, 1.0)), random_state=0)
    theirs.fit(inputs.astype(float), targets)
    ours = fitted("gp", inputs, targets, 0).predict(inputs)
    assert np.allclose(ours, theirs.predict(inputs.astype(float)), atol=1e-9)


def test_a_model_that_memorises_is_not_rewarded(data):
    """Extra trees know their own designs exactly; the errors are those of designs left out."""
    meta = train_proxy(data, None, "p", Training(timed=False, metrics=("cost_ns",)))
    told = meta["metrics"]["cost_ns"]
    task = make_task("Outside-v0", fidelity="proxy:p")
    seen = data.designs[data.feasible]
    known = task.evaluate(seen).metrics["cost_ns"]
    assert np.allclose(known, data.metrics["cost_ns"][data.feasible])
    everything = make_task("Outside-v0").space
    fresh = everything.canonical(everything.sample(2000, np.random.default_rng(1)))
    keys = {row.tobytes() for row in seen}
    fresh = fresh[[row.tobytes() not in keys for row in fresh]]
    truth = make_task("Outside-v0").evaluate(fresh)
    off = errors(
        truth.metrics["cost_ns"][truth.feasible],
        task.evaluate(fresh).metrics["cost_ns"][truth.feasible],
    )
    claimed = told["cross_validation"]["rmse"]
    assert 0 < off["rmse"] < 1.3 * claimed  # what is claimed was learned from fewer designs
    assert [each["designs"] for each in told["learning_curve"]] == sorted(
        each["designs"] for each in told["learning_curve"]
    )
    assert told["learning_curve"][-1]["rmse"] < told["learning_curve"][0]["rmse"]


def test_rules_of_the_cost_model_are_learned_and_those_of_the_space_kept(data):
    meta = train_proxy(data, None, "p", Training(timed=False, metrics=("cost_ns",)))
    assert list(meta["rules"]) == ["p5 is 1"]
    assert meta["rules"]["p5 is 1"]["found_percent"] == 100
    task, real = make_task("Outside-v0", fidelity="proxy:p"), make_task("Outside-v0")
    rows = task.space.sample(500, np.random.default_rng(3))
    here, there = task.evaluate(rows), real.evaluate(rows)
    assert list(here.violations) == list(there.violations)
    assert np.mean(here.feasible == there.feasible) > 0.99
    broken = np.logical_or.reduce(list(task.space.violations(task.space.canonical(rows)).values()))
    assert broken.any() and not here.feasible[broken].any()
    assert np.isnan(here.metrics["spare_mw"]).all()


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=30),
    shift=st.sampled_from([0.0, -5.0, 1e3]),
)
def test_scales_invert_and_keep_the_order(values, shift):
    array = np.array(values) + shift
    scale = Scale.of(array)
    assert np.allclose(scale.back(scale.to(array)), array, rtol=1e-9, atol=1e-9 * np.ptp(array))
    order = np.argsort(array, kind="stable")
    assert (np.diff(scale.to(array)[order]) >= 0).all()
    assert Scale(**scale.describe()).to(array).tolist() == scale.to(array).tolist()


def test_the_logarithm_is_for_positive_values_over_a_decade():
    assert Scale.of(np.array([1.0, 11.0])).log
    assert not Scale.of(np.array([1.0, 9.0])).log
    assert not Scale.of(np.array([-1.0, 11.0])).log
    assert not Scale.of(np.array([0.0, 11.0])).log


def test_errors_and_intervals_against_known_answers():
    values = np.array([1.0, 2.0, 3.0, 5.0])
    told = errors(values, values + np.array([0.0, 0.0, 0.0, 0.4]))
    assert told["rmse"] == pytest.approx(0.2)
    assert told["rmse_percent_of_range"] == pytest.approx(5.0)
    assert told["rmse_percent_of_value"] == pytest.approx(100 * 0.08 / 2)
    assert told["max_percent_of_range"] == pytest.approx(10.0)
    assert told["r2"] == pytest.approx(1 - 0.04 / np.var(values))
    assert told["spearman"] == 1.0
    rng = np.random.default_rng(0)
    held = calibration(np.abs(rng.normal(size=5000)), fold_numbers(5000, 5, 0))
    for level, share in held.items():
        assert abs(share - float(level)) < 2


@pytest.mark.parametrize("model", ["extra-trees", "mlp"])
def test_a_proxy_is_a_cost_model_like_any_other(data, model, quick):
    train_proxy(data, None, "p", Training(model=model, timed=False))
    task = make_task("Outside-v0", fidelity="proxy:p")
    rows = task.space.sample(50, np.random.default_rng(0))
    whole = task.evaluate(rows).columns()
    order = np.random.default_rng(1).permutation(50)
    parts = [task.evaluate(rows[i : i + 1]).columns() for i in order]
    for name, values in whole.items():
        single = np.concatenate([part[name] for part in parts])
        assert np.array_equal(single, values[order], equal_nan=values.dtype.kind == "f"), name
    assert task.optimum is None


def test_scores_on_a_proxy_are_relative_to_the_true_default_design(data, workplace):
    true = make_task("Outside-v0")
    train_proxy(data, None, "proxy", Training(timed=False))
    task = make_task("Outside-v0", fidelity="proxy:proxy")
    known = {name: value for name, value in task.reference.items() if np.isfinite(value)}
    assert known and known.items() <= true.reference.items()
    around = np.concatenate([task.default[None], task.space.sample(5, np.random.default_rng(0))])
    assert task.evaluate(around).score[0] == 0.0


def test_runs_on_a_proxy_are_marked_and_verified(data, workplace):
    train_proxy(data, None, "p", Training(timed=False))
    (workplace / "e.yaml").write_text(
        "version: 1\nname: e\nbudget: {samples: 30}\nseeds: 1\n"
        "tasks: [{env: Outside-v0, fidelity: 'proxy:p'}]\nagents: [random, genetic]\n"
    )
    folder = run_experiment(load_experiment("e.yaml"), "out", workers=1).folder
    manifest = json.loads(next(folder.glob("runs/*/*/*/run.json")).read_text())
    assert manifest["proxy"] == load_proxy("p").digest
    assert verify(folder, rerun=True).ok
    (workplace / "p").rename(workplace / "old")
    train_proxy(data, None, "p", Training(seed=1, timed=False))
    worker._task.cache_clear()  # another process would read it anew
    fields = {finding.field for finding in verify(folder).all_findings}
    assert "proxy" in fields
    (workplace / "out2").mkdir()
    with pytest.raises(ValueError, match="no trial that can be exported"):
        export_dataset([folder], "data2")


def test_a_proxy_of_something_else_is_refused_in_one_line(data, workplace):
    train_proxy(data, None, "p", Training(timed=False))
    with pytest.raises(ValueError, match="was trained for workload='walk', this task has 'run'"):
        make_task("Outside-v0", workload="run", fidelity="proxy:p")
    with pytest.raises(ValueError, match="'nothing' is no proxy"):
        make_task("Outside-v0", fidelity="proxy:nothing")
    file = workplace / "p/proxy.json"
    meta = json.loads(file.read_text())
    for change, said in (
        ({"fingerprint": "0123"}, "was trained on another design space"),
        ({"env": "Other-v0"}, "is a proxy of Other-v0, not of Outside-v0"),
        ({"format": 99}, "format 99 is newer"),
        ({"inputs": 3}, "is no model of a proxy"),
    ):
        file.write_text(json.dumps({**meta, **change}))
        with pytest.raises(ValueError, match=said):
            make_task("Outside-v0", fidelity="proxy:p")
    file.write_text("{")
    with pytest.raises(ValueError, match="is not the description of a proxy"):
        make_task("Outside-v0", fidelity="proxy:p")


def test_files_cannot_hold_code_or_damaged_trees(data, workplace):
    meta = train_proxy(data, None, "p", Training(timed=False, metrics=("cost_ns",)))
    file = workplace / "p" / meta["metrics"]["cost_ns"]["file"]
    with zipfile.ZipFile(file) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())

    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('code ran')",))

    bomb = workplace / "bomb.npz"
    np.savez(bomb, starts=np.array([Bomb()], object))
    with pytest.raises(ValueError, match="is no model of a proxy"):
        load_model(bomb, "extra-trees", 4)
    bomb.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is no model of a proxy"):
        load_model(bomb, "extra-trees", 4)
    good = dict(np.load(file))
    for name, value in (("left", 0), ("right", 10**6), ("feature", 99), ("starts", -1)):
        arrays = {key: values.copy() for key, values in good.items()}
        arrays[name][0] = value
        with pytest.raises(ValueError, match="damaged trees"):
            Forest(arrays, load_proxy("p").meta["inputs"])
    file.write_bytes(file.read_bytes()[:-1])
    proxy._load.cache_clear()
    with pytest.raises(ValueError, match="was changed after the training"):
        load_proxy("p")


def test_the_command_trains_prints_and_refuses(data, command):
    status, out, err = command("proxy", "train", "data", "-o", "p", "--metric", "cost_ns")
    assert (status, err) == (0, "")
    assert "cost_ns" in out and "times faster" in out and "rule 'p5 is 1'" in out
    assert "fidelity=proxy:p" in command("proxy", "info", "p")[1]
    told = json.loads(command("proxy", "info", "p", "--json")[1])
    assert told["digest"] == load_proxy("p").digest
    for arguments, said in (
        (("-o", "p"), "p: is there already"),
        (("-o", "q", "--model", "extratrees"), "did you mean 'extra-trees'"),
        (("-o", "q", "--metric", "cost"), "did you mean 'cost_ns'"),
        (("-o", "q", "--task", "nothing"), "task: unknown name 'nothing'"),
        (("-o", "q", "--designs", "5"), "designs: 5 is below 20"),
        (("-o", "q", "--folds", "1"), "folds: 1 is below 2"),
        (("-o", "q", "--designs", "9999"), "n: 9999 is outside"),
    ):
        status, _, err = command("proxy", "train", "data", *arguments)
        assert status == 2 and said in err and err.count("\n") == 1


def test_too_few_designs_are_said(workplace):
    search(make_task("Outside-v0"), "random", budget=12, path="few")
    export_dataset(["few"], "data")
    with pytest.raises(ValueError, match="feasible designs have it, at least 20 are needed"):
        train_proxy(archgym.load_dataset("data"), None, "p", Training(timed=False))
    assert not proxy_train.Path("p").exists()
