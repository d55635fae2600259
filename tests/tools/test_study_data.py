import shutil

import numpy as np
import pytest

from archgym.experiment import parse_experiment
from archgym.optimum import optimum_of_spec
from archgym.runner import run_experiment
from archgym.store import load_trials, read_manifest
from archgym.workspace import read_plan
from studies.data import Run, load, pack

EXPERIMENT = {
    "version": 1,
    "name": "small",
    "budget": {"samples": 40},
    "seeds": 2,
    "tasks": [
        {
            "env": "DramController-v0",
            "space": "archgym2023",
            "workload": workload,
            "objective": "low-latency",
            "fidelity": "table",
        }
        for workload in ("gcc", "stream")
    ],
    "agents": [{"name": "random"}, {"name": "genetic", "label": "ga", "population": 8}],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "small"
    run_experiment(parse_experiment(EXPERIMENT), folder, workers=1)
    return folder


def test_stored_runs_tell_the_regret_after_every_sample(results, tmp_path):
    study = pack(results, tmp_path / "small.parquet")
    assert len(study.runs) == study.planned == 8
    assert [study.short(task) for task in study.tasks] == ["gcc", "stream"]
    assert study.labels() == ["random", "ga"]
    assert study.labels("genetic") == ["ga"]
    assert study.complete_tasks() == study.tasks
    for spec in read_plan(results):
        manifest = read_manifest(results / spec.folder)
        scores = load_trials(results / spec.folder)["score"].to_numpy()
        optimum = optimum_of_spec(manifest["task"], manifest["reference"])
        run = study.cell(spec.task_name, spec.label)[spec.seed]
        expected = [optimum.regret(scores[:n].max()) for n in range(1, 41)]
        found = run.regret_after(np.arange(1, 41))
        assert found == pytest.approx(expected, rel=1e-6)
        assert run.regret_after(10_000) == found[-1]
        assert (run.samples, run.budget, run.stop_reason) == (40, 40, "budget")
        assert run.hyperparameters == manifest["hyperparameters"]
        assert run.proposals == manifest["proposals"]
    meta = study.meta
    assert meta["experiment"] == (results / "experiment.yaml").read_text()
    assert meta["seconds"]["agent"] > 0
    assert meta["tasks"][0]["optimum"]["kind"] == "proven"


def test_packing_again_gives_the_same_bytes(results, tmp_path):
    files = [tmp_path / name for name in ("one.parquet", "other.parquet")]
    for file in files:
        pack(results, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_runs_that_are_missing_or_going_on_are_left_out(results, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(results, part)
    missing, going = (part / spec.folder for spec in read_plan(part)[-2:])
    shutil.rmtree(missing)
    (going / "run.json").write_text(
        (going / "run.json").read_text().replace('"status": "complete"', '"status": "running"')
    )
    study = pack(part, tmp_path / "part.parquet")
    assert (len(study.runs), study.planned, study.meta["complete"]) == (6, 8, 6)
    gcc, stream = study.tasks
    assert study.complete_tasks() == [gcc]
    assert study.complete_tasks(["random"]) == [gcc, stream]
    assert study.cell(stream, "ga") == []


def test_what_cannot_be_packed_or_read_is_said(results, tmp_path):
    with pytest.raises(ValueError, match=r"holds no results"):
        pack(tmp_path, tmp_path / "x.parquet")
    empty = tmp_path / "empty"
    shutil.copytree(results, empty)
    shutil.rmtree(empty / "runs")
    with pytest.raises(ValueError, match="none of its 8 runs is complete"):
        pack(empty, tmp_path / "x.parquet")
    other = tmp_path / "other.parquet"
    other.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="holds no results of"):
        load(other)


def test_a_run_knows_when_it_reached_a_regret():
    steps, regrets = np.array([1, 7, 30]), np.array([1.2, 0.3, 0.0])
    run = Run("t", "a", {}, 0, 50, 50, 60, "budget", 1.0, steps, regrets)
    assert run.regret_after([0, 1, 6, 7, 50]).tolist() == [np.inf, 1.2, 1.2, 0.3, 0.0]
    assert [run.reached(r) for r in (2.0, 0.5, 0.3, 0.0)] == [1.0, 7.0, 7.0, 30.0]
    assert Run("t", "a", {}, 0, 50, 50, 60, "budget", 1.0, steps[:2], regrets[:2]).reached(0.0) == (
        np.inf
    )
