import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import study as study_command

from archgym import yamlfile
from archgym.experiment import parse_experiment
from archgym.optimum import optimum_of_spec
from archgym.runner import run_experiment
from archgym.store import load_trials, read_manifest
from archgym.workspace import read_plan
from studies import running
from studies.data import Run, Stored, load, pack
from studies.rows import carried_out, read_rows, write_rows
from studies.running import run_study

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


CLOCKS = ("started", "finished", "agent_seconds", "evaluation_seconds")


def _plain(row):
    return {name: value for name, value in row.items() if name not in CLOCKS}


def test_a_run_carried_out_by_itself_has_the_row_of_a_results_folder(results, tmp_path):
    pack(results, tmp_path / "small.parquet")
    rows, _ = read_rows(tmp_path / "small.parquet")
    stored = Stored(parse_experiment(EXPERIMENT), read_plan(results), tmp_path / "new.parquet")
    for spec in stored.missing():
        stored.add(spec, carried_out(spec))
    study = stored.write()
    again, _ = read_rows(tmp_path / "new.parquet")
    assert [_plain(row) for row in again] == [_plain(row) for row in rows]
    assert 0 < study.meta["seconds"]["wall"] < 60


def _file(tmp_path, **changes):
    file = tmp_path / "small.yaml"
    file.write_text(yamlfile.dump({**EXPERIMENT, **changes}))
    return str(file)


def test_only_what_is_missing_is_run(results, tmp_path, monkeypatch):
    target = tmp_path / "small.parquet"
    said, ran = [], []

    def results_of(specs, workers):
        for spec in specs:
            ran.append(spec)
            yield spec, carried_out(spec)

    monkeypatch.setattr(running, "_results", results_of)
    assert run_study(_file(tmp_path), target, 1, said.append, agents=["random"]) == []
    assert [spec.agent for spec in ran] == 4 * ["random"]
    assert len(load(target).runs) == 4
    ran.clear()
    # Another label is the same run, another budget is not, and what is not planned is dropped.
    ga = {**EXPERIMENT["agents"][1], "label": "renamed"}
    file = _file(tmp_path, agents=[{"name": "random", "label": "blind"}, ga], seeds=[0])
    run_study(file, target, 1, said.append)
    assert [spec.label for spec in ran] == 2 * ["renamed"]
    study = load(target)
    assert study.planned == len(study.runs) == 4
    assert study.labels() == ["blind", "renamed"]
    ran.clear()
    run_study(_file(tmp_path, budget={"samples": 41}), target, 1, said.append, by="task")
    assert [spec.label for spec in ran] == 2 * ["random", "random", "ga", "ga"]
    assert "8 of 8 runs to do" in said


def test_what_ran_before_a_failure_is_stored(results, tmp_path, monkeypatch):
    def results_of(specs, workers):
        yield specs[0], carried_out(specs[0])
        yield specs[1], "ValueError: no"
        raise ValueError("a worker died")

    monkeypatch.setattr(running, "_results", results_of)
    target = tmp_path / "small.parquet"
    with pytest.raises(ValueError, match="a worker died"):
        run_study(_file(tmp_path), target, 1, str)
    assert len(load(target).runs) == 1


def test_a_stored_run_is_dropped_when_the_optimum_is_another(results, tmp_path):
    target = tmp_path / "small.parquet"
    pack(results, target)
    rows, meta = read_rows(target)
    rows[0]["optimum"] += 1e-9
    write_rows(rows, meta, target)
    stored = Stored(parse_experiment(EXPERIMENT), read_plan(results), target)
    assert len(stored.missing()) == 1


def test_runs_are_carried_out_in_worker_processes(tmp_path, capsys):
    target = tmp_path / "small.parquet"
    few = _file(tmp_path, agents=["random"], seeds=1)
    assert study_command.main(["run", few, "--workers", "1", "-o", str(target)]) == 0
    assert len(load(target).runs) == 2
    assert "2 of 2 runs to do" in capsys.readouterr().out
    assert study_command.main(["run", "none", "-o", str(target)]) == 2


HOLDER = """
import pathlib, sys, time
from studies.data import writing
with writing(pathlib.Path(sys.argv[1])):
    print(flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_adds_to_a_file_and_a_killed_one_lets_go(results, tmp_path, capsys):
    target = tmp_path / "new" / "small.parquet"
    environment = {**os.environ, "PYTHONPATH": str(Path(study_command.__file__).parent)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(target)], stdout=subprocess.PIPE, env=environment
    )
    assert holder.stdout.readline()
    commands = (["run", _file(tmp_path)], ["pack", str(results)])
    for command in commands:
        assert study_command.main([*command, "-o", str(target)]) == 2
        assert capsys.readouterr().err == (
            f"error: {target}: process {holder.pid} is writing to this file, wait for it or choose "
            f"another file with -o\n"
        )
    holder.kill()
    holder.communicate()
    assert study_command.main([*commands[1], "-o", str(target)]) == 0
    assert len(load(target).runs) == 8


def test_what_cannot_be_packed_or_read_is_said(results, tmp_path):
    with pytest.raises(ValueError, match=r"holds no results"):
        pack(tmp_path, tmp_path / "x.parquet")
    empty = tmp_path / "empty"
    shutil.copytree(results, empty)
    shutil.rmtree(empty / "runs")
    with pytest.raises(ValueError, match="none of the 8 runs is complete"):
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
