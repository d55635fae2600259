import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from archgym.experiment import ExperimentError, load_experiment
from archgym.runner import run_experiment
from archgym.store import load_trials, read_manifest
from archgym.workspace import locked

RUN = "import sys, archgym.cli; archgym.cli.main(sys.argv[1:])"


class Listener:
    def __init__(self):
        self.notes, self.ends, self.totals = [], [], None

    def note(self, text):
        self.notes.append(text)

    def start(self, total, complete):
        self.totals = (total, complete)

    def ended(self, spec, failure):
        self.ends.append((spec.folder, failure))


def contents(root):
    """Every trial file of a results folder."""
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.name in ("trials.parquet", "trials.jsonl", "experiment.yaml", "runs.json")
    }


def test_trials_do_not_depend_on_the_number_of_workers(toy, capfd):
    experiment = load_experiment(toy)
    one, two = (run_experiment(experiment, toy.parent / f"out{n}", workers=n) for n in (1, 2))
    assert (one.complete, one.total, one.failures, one.interrupted) == (4, 4, (), False)
    assert two.complete == 4
    assert len(contents(one.folder)) == 6
    assert contents(one.folder) == contents(two.folder)


def test_the_default_folder_and_what_is_told(toy):
    heard = Listener()
    outcome = run_experiment(load_experiment(toy), workers=1, listener=heard)
    assert str(outcome.folder) == os.path.join("results", "toy")
    assert heard.notes == ["preparing Outside-v0 walk fast"]
    assert heard.totals == (4, 0)
    assert heard.ends[0] == ("runs/Outside-v0_walk_fast/random/seed-0", None)
    manifest = read_manifest(outcome.folder / heard.ends[-1][0])
    assert manifest["agent"] == "loud"
    assert (manifest["status"], manifest["samples"], manifest["seed"]) == ("complete", 40, 1)


def test_the_copy_of_the_experiment_runs_the_same_again(toy):
    experiment = load_experiment(toy, ["seeds=[5]", "budget.samples=9"])
    outcome = run_experiment(experiment, "out", workers=1)
    again = load_experiment(outcome.folder / "experiment.yaml")
    assert again == experiment


def refused(experiment, folder="out", **options):
    with pytest.raises(ValueError) as caught:
        run_experiment(experiment, folder, workers=1, **options)
    return str(caught.value)


def test_folders_that_are_refused(toy):
    experiment = load_experiment(toy)
    run_experiment(experiment, "out", workers=1)
    before = contents(toy.parent / "out")
    assert "out: holds this experiment, complete; see it with `archgym show out`" in refused(
        experiment
    )
    more = refused(load_experiment(toy, ["budget.samples=41"]), resume=True)
    assert "holds a different experiment (budget.samples is 40 there, 41 now)" in more
    assert "another folder with -o" in more
    assert "--resume" in more
    other = refused(load_experiment(toy, ["tasks.0.workload=run"]))
    assert "(tasks[0].workload is None there, 'run' now)" in other
    assert contents(toy.parent / "out") == before
    (toy.parent / "mine").mkdir()
    (toy.parent / "mine" / "thesis.tex").touch()
    assert "mine: holds other files (thesis.tex)" in refused(experiment, "mine")
    assert "toy.yaml: is a file" in refused(experiment, "toy.yaml", resume=True)
    (toy.parent / "out" / "experiment.yaml").write_text("a: [")
    assert "cannot be read as an experiment" in refused(experiment, resume=True)


def test_a_partial_folder_needs_resume(toy):
    experiment = load_experiment(toy)
    whole = run_experiment(experiment, "whole", workers=1)
    outcome = run_experiment(experiment, "out", workers=1)
    folder = outcome.folder / "runs/Outside-v0_walk_fast/loud/seed-1"
    for file in folder.iterdir():
        file.unlink()
    assert "out: holds 3 of 4 runs of this experiment; continue it with --resume" in refused(
        experiment
    )
    heard = Listener()
    resumed = run_experiment(experiment, "out", workers=1, resume=True, listener=heard)
    assert heard.totals == (4, 3)
    assert [folder for folder, _ in heard.ends] == ["runs/Outside-v0_walk_fast/loud/seed-1"]
    assert resumed.complete == 4
    assert contents(resumed.folder) == contents(whole.folder)


def test_a_description_may_change(toy):
    run_experiment(load_experiment(toy), "out", workers=1)
    described = load_experiment(toy, ["description=better words"])
    assert run_experiment(described, "out", workers=1, resume=True).complete == 4


def test_mistakes_of_tasks_are_found_before_anything_is_written(toy, monkeypatch):
    monkeypatch.chdir(toy.parent)
    (toy.parent / "w").write_text("fly")
    toy.write_text(
        toy.read_text().replace(
            "{env: Outside-v0}", "{env: Outside-v0, workload: 'file:w'}\n  - {env: Outside-v0}"
        )
    )
    with pytest.raises(ExperimentError, match="task 'Outside-v0 file:w fast': workload: unknown"):
        run_experiment(load_experiment(toy), "out", workers=1)
    assert not (toy.parent / "out").exists()


def test_one_process_at_a_time(toy):
    with locked(toy.parent / "out"):
        message = refused(load_experiment(toy))
    assert f"out: process {os.getpid()} is writing to this folder" in message
    assert run_experiment(load_experiment(toy), "out", workers=1).complete == 4


def test_too_few_workers(toy):
    with pytest.raises(ValueError, match="workers: value 0 is below 1"):
        run_experiment(load_experiment(toy), "out", workers=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_run_does_not_stop_the_others(toy, workers, capfd):
    toy.write_text(toy.read_text().replace("agents:", "  - {env: Outside-v0, mode: fail}\nagents:"))
    outcome = run_experiment(load_experiment(toy), "out", workers=workers)
    assert outcome.complete == 4
    assert {reason for _, reason in outcome.failures} == {"RuntimeError: the model broke"}
    folders = [spec.folder for spec, _ in outcome.failures]
    assert folders == [
        f"runs/Outside-v0_walk_mode=fail_fast/{agent}/seed-{seed}"
        for agent in ("random", "loud")
        for seed in (0, 1)
    ]
    assert "the model\nbroke" in (outcome.folder / folders[0] / "error.txt").read_text()


def test_a_killed_worker_does_not_stop_the_others(toy):
    toy.write_text(
        toy.read_text()
        .replace("agents:", "  - {env: Outside-v0, mode: die}\nagents:")
        .replace("[random, loud]", "[random]")
        .replace("seeds: 2", "seeds: 1")
    )
    outcome = run_experiment(load_experiment(toy), "out", workers=2)
    assert outcome.complete == 1
    [(spec, reason)] = outcome.failures
    assert spec.task["mode"] == "die"
    assert "worker process was killed by signal 9 (Killed)" in reason


def slow_run(toy, workers):
    """Starts a run that takes long, and waits until it has written trials."""
    text = toy.read_text().replace("{env: Outside-v0}", "{env: Outside-v0, mode: slow}")
    toy.write_text(text.replace("[random, loud]", "[loud]").replace("samples: 40", "samples: 140"))
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", RUN, "run", "toy.yaml", "-o", "out", "--workers", workers],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not any(f.stat().st_size for f in toy.parent.glob("out/runs/*/*/*/trials.jsonl")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def check_resumes(toy):
    experiment = load_experiment("out/experiment.yaml")
    deadline = time.monotonic() + 10
    while True:
        try:
            resumed = run_experiment(experiment, "out", workers=1, resume=True)
            break
        except ValueError as error:
            assert "is writing to this folder" in str(error)
            assert time.monotonic() < deadline
    assert resumed.complete == 2
    whole = run_experiment(experiment, "whole", workers=1)
    assert contents(resumed.folder) == contents(whole.folder)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_in_progress_and_resumed(toy, workers, capfd):
    process = slow_run(toy, workers)
    process.kill()
    process.communicate()
    assert any((toy.parent / "out").rglob("trials.jsonl"))
    check_resumes(toy)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_interrupted_and_resumed(toy, workers):
    process = slow_run(toy, workers)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert re.fullmatch(
        r"interrupted: [01] of 2 runs are complete, all trials are kept; continue with "
        r"`archgym run out/experiment\.yaml -o out --resume`",
        last,
    )
    [trials, *_] = [load_trials(f.parent) for f in (toy.parent / "out").rglob("trials.jsonl")]
    assert len(trials) > 0
    if workers == "2":
        check_resumes(toy)


def test_a_worker_ends_with_its_parent(toy):
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "archgym.worker", "out"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    spec = load_experiment(toy, ["budget.samples=100", "tasks.0.mode=slow"]).runs()[-1]
    process.stdin.write(json.dumps(spec.to_dict()) + "\n")
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    assert process.stdout.read() == ""
    process.stdout.close()
