import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archgym import cli
from archgym.experiment import load_experiment
from archgym.runner import run_experiment
from archgym.store import load_trials

OUTSIDE = Path(__file__).parent / "outside"


@pytest.fixture(scope="session")
def install_outside(tmp_path_factory):
    """A function that installs the package in `outside/` for this process and those it starts."""

    def install(monkeypatch):
        folder = tmp_path_factory.mktemp("site")
        info = folder / "archgym_outside-1.0.dist-info"
        info.mkdir()
        named = "Metadata-Version: 2.1\nName: archgym-outside\nVersion: 1.0\n"
        (info / "METADATA").write_text(named)
        (info / "entry_points.txt").write_text(
            "[archgym.environments]\nOutside-v0 = archgym_outside:ENVIRONMENT\n"
            "FidelityToy-v0 = archgym_outside:GRADED\n"
            "[archgym.agents]\nloud = archgym_outside:Loud\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{OUTSIDE}")
        monkeypatch.syspath_prepend(str(OUTSIDE))
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()

    return install


@pytest.fixture
def outside(install_outside, monkeypatch):
    """The package in `outside/`, installed for this test."""
    install_outside(monkeypatch)


@pytest.fixture
def workplace(outside, tmp_path, monkeypatch):
    """An empty current folder, with the outside package installed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


TOY = """\
version: 1
name: toy
budget: {samples: 40}
seeds: 2
tasks:
  - {env: Outside-v0}
agents: [random, loud]
"""


@pytest.fixture
def toy(workplace):
    """The path of a small experiment."""
    file = workplace / "toy.yaml"
    file.write_text(TOY)
    return file


@pytest.fixture
def run(toy):
    """A function that runs the small experiment with other settings and returns its folder."""

    def make(folder, *settings):
        return run_experiment(load_experiment(toy, list(settings)), folder, workers=1).folder

    return make


@pytest.fixture
def archgym_command():
    """Runs the command in a process of its own and returns (exit status, stdout, stderr)."""

    def run(*arguments, **options):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "archgym.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def command(capsys):
    """Runs the command in this process and returns (exit status, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def unfinish():
    """A function that turns a complete run into one that was stopped after some trials."""

    def stop(run, keep):
        trials = load_trials(run)
        manifest = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
        metrics = [metric["name"] for metric in manifest["metrics"]]
        with (run / "trials.jsonl").open("w") as file:
            for row in trials.head(keep).iter_rows(named=True):
                line = {k: row[k] for k in ("sample", "design", "feasible", "violations")}
                line["score"] = "-inf" if math.isinf(row["score"]) else row["score"]
                line["metrics"] = {k: str(row[k]) for k in metrics}
                file.write(json.dumps({**line, "breakdown": {}}) + "\n")
        (run / "trials.parquet").unlink()
        (run / "times.parquet").unlink()

    return stop
