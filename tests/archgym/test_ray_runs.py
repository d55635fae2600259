"""Experiments as tasks of Ray: the same trials as local runs, resumable, on nodes of any kind."""

import json
import os

import pytest

from archgym import ray_runs
from archgym.experiment import load_experiment
from archgym.runner import run_experiment
from archgym.store import read_manifest
from archgym.worker import carry_out

TOY = """\
version: 1
name: toy
budget: {samples: 40}
seeds: 2
tasks:
  - {env: DramController-v0, space: archgym2023, workload: sort, fidelity: table}
agents: [random, genetic]
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The path of a small experiment of an environment that Ray's workers find."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "toy.yaml"
    file.write_text(TOY)
    return file


@pytest.fixture(scope="session")
def ray_here():
    """Ray on this machine, started once."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def trials(root):
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.name in ("trials.parquet", "trials.jsonl", "experiment.yaml", "runs.json")
    }


def test_trials_are_those_of_the_local_run(toy, ray_here):
    experiment = load_experiment(toy)
    ended = []

    class Listener:
        def note(self, text): ...

        def start(self, total, complete): ...

        def ended(self, spec, failure):
            ended.append((spec.folder, failure))

    local = run_experiment(experiment, toy.parent / "local", workers=1)
    other = run_experiment(experiment, toy.parent / "ray", ray="auto", listener=Listener())
    assert (other.complete, other.total, other.failures) == (4, 4, ())
    assert trials(local.folder) == trials(other.folder)
    assert sorted(ended) == sorted((f, None) for f, _ in ended) and len(ended) == 4
    assert not list(other.folder.glob(".ray-*"))


def test_what_is_complete_is_not_run_again(toy, ray_here):
    experiment = load_experiment(toy)
    specs = experiment.runs()
    root = toy.parent / "out"
    run_experiment(experiment, root, workers=1)
    before = trials(root)
    for name in ("trials.parquet", "times.parquet", "run.json"):
        (root / specs[0].folder / name).unlink()
    outcome = run_experiment(experiment, root, resume=True, ray="auto", workers=1)
    assert outcome.complete == 4
    assert trials(root) == before


def test_a_node_without_the_folder_sends_back_what_it_wrote(toy, tmp_path):
    spec = load_experiment(toy).runs()[0]
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    assert carry_out(spec, here) is None
    failure, files = ray_runs._carry_out(spec.to_dict(), str(elsewhere), "no such token", {})
    assert failure is None
    assert not elsewhere.exists()
    ray_runs._write(elsewhere / spec.folder, files)
    assert trials(here) == trials(elsewhere)
    assert read_manifest(elsewhere / spec.folder)["status"] == "complete"


def test_a_node_continues_what_the_driver_holds(toy, tmp_path):
    spec = load_experiment(toy).runs()[0]
    carry_out(spec, tmp_path)
    folder = tmp_path / spec.folder
    whole = ray_runs._read(folder)
    manifest = json.loads(whole["run.json"]) | {"status": "running"}
    started = {"run.json": json.dumps(manifest).encode()}
    failure, files = ray_runs._carry_out(spec.to_dict(), "nowhere", "token", started)
    assert failure is None
    assert files["trials.parquet"] == whole["trials.parquet"]
    (folder / "trials.jsonl").write_text("left over")
    ray_runs._write(folder, files)
    assert not (folder / "trials.jsonl").exists()


def test_failures_are_told(toy, ray_here, monkeypatch):
    experiment = load_experiment(toy)

    def broken(spec, root, token, given):
        return "it broke", {}

    monkeypatch.setattr(ray_runs, "_carry_out", broken)
    outcome = run_experiment(experiment, toy.parent / "broken", ray="auto")
    assert outcome.complete == 0
    assert {reason for _, reason in outcome.failures} == {"it broke"}


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    import ray

    def no_answer(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", no_answer)
    message = r"ray: no cluster answers at 'there:1' \(no route\)"
    with pytest.raises(ValueError, match=message), ray_runs.connected("there:1", None):
        pass
