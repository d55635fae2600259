"""Submissions: packed the same byte for byte, read without trusting them."""

import pytest
import yaml

from archgym.experiment import load_experiment
from archgym.results import load_results
from archgym.runner import run_experiment
from archgym.submission import read_submission, submit
from archgym.verify import verify

FILLED = {
    "version": 1,
    "title": "Loud against random",
    "authors": ["Ada Lovelace"],
    "code": "https://example.org/loud",
    "description": "random search that prints",
    "tuning": "defaults",
    "hardware": "one core",
}


@pytest.fixture
def results(toy):
    """Results of two seeds of two agents, 40 designs each."""
    return run_experiment(load_experiment(toy), "out", workers=1).folder


@pytest.fixture
def description(workplace):
    file = workplace / "about.yaml"
    file.write_text(yaml.safe_dump(FILLED))
    return file


def test_results_come_back_as_they_were_handed_in(results, description, workplace):
    told = submit(results, "one.tar.zst", description)
    assert told.ok
    submit(results, "two.tar.zst", description)
    assert (workplace / "one.tar.zst").read_bytes() == (workplace / "two.tar.zst").read_bytes()
    read = read_submission("one.tar.zst", "unpacked")
    assert read.description.authors == ["Ada Lovelace"]
    assert len(read.specs) == 4
    verification = verify(read.folder, sample=None)
    assert verification.ok and verification.complete
    for file in results.rglob("*.parquet"):
        there = read.folder / file.relative_to(results)
        assert there.read_bytes() == file.read_bytes()
    assert load_results(read.folder).to_dict() == load_results(results).to_dict()
