"""Verification: what is true passes, and whatever is changed afterwards is named."""

import json

import polars
import pytest

from archgym.experiment import load_experiment
from archgym.runner import run_experiment
from archgym.verify import verify

RUN = "runs/Outside-v0_walk_fast/loud/seed-0"


@pytest.fixture
def results(toy):
    """Results of two seeds of two agents, 40 designs each."""
    return run_experiment(load_experiment(toy), "out", workers=1).folder


def change(results, **fields):
    """Changes fields of a run's manifest; None in the place of a value is kept."""
    file = results / RUN / "run.json"
    manifest = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps(manifest))


def forget_digest(results):
    """Makes a run one of a version that wrote no digest."""
    file = results / RUN / "run.json"
    manifest = json.loads(file.read_text())
    del manifest["digest"]
    file.write_text(json.dumps(manifest))


def rewrite(results, change, **changed):
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
