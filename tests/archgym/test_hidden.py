"""Leaderboards of tasks that are made of files which only their owner has."""

import hashlib
import json

import pytest

from archgym.hidden import hidden_files
from archgym.leaderboard import load_leaderboard

SECRET = "secret-customer.stl"


@pytest.fixture
def results(run, workplace):
    """Two tasks, one of them of a hidden file, with an agent that is installed by entry point."""
    (workplace / "traces").mkdir()
    (workplace / "traces" / SECRET).write_text("run\n")
    tasks = f"[{{env: Outside-v0, workload: file:traces/{SECRET}}}, {{env: Outside-v0}}]"
    return run("results", f"tasks={tasks}", "agents=[random, loud]")


def test_the_report_gives_a_label_and_the_digest_only(results, workplace, archgym_command):
    digest = hashlib.sha256(b"run\n").hexdigest()
    status, _, error = archgym_command("leaderboard", results, "--hide-files", "-o", "report")
    assert status == 0, error
    public = f"Outside-v0 hidden-1 (sha256 {digest[:12]}) fast"
    for name in ("index.html", "leaderboard.json", "leaderboard.csv"):
        text = (workplace / "report" / name).read_text(encoding="utf-8")
        assert "secret" not in text and "traces/" not in text
        assert public in text
    assert "secret" not in error
    data = json.loads((workplace / "report/leaderboard.json").read_text(encoding="utf-8"))
    assert [task["name"] for task in data["tasks"]] == [public, "Outside-v0 walk fast"]
    methods = dict(data["methods"])
    assert methods["Hidden files"] == [f"hidden-1: workload, sha256 {digest}"]
    assert methods["Built with"] == ["archgym leaderboard results -o REPORT --hide-files"]
    assert {agent["label"] for agent in data["agents"]} == {"random", "loud"}


def test_numbers_are_those_of_the_open_report(results):
    shown, hidden = (load_leaderboard([results], hide_files=each) for each in (False, True))
    assert hidden.rankings == shown.rankings
    for one, other in zip(shown.tasks, hidden.tasks, strict=True):
        for key in ("agents", "curves", "targets", "changes", "importance"):
            assert one.data[key] == other.data[key]
    assert SECRET in shown.tasks[0].name


def test_nothing_to_hide_and_a_lost_file_are_refused(results, run, workplace):
    with pytest.raises(ValueError, match="no task of these results is made of a file"):
        load_leaderboard([run("open", "name=open")], hide_files=True)
    (workplace / "traces" / SECRET).unlink()
    with pytest.raises(ValueError, match=rf"workload: 'traces/{SECRET}' cannot be read"):
        load_leaderboard([results], hide_files=True, evaluate=False)


def test_folders_have_a_digest_of_all_their_files(tmp_path):
    for name, content in (("b", "2"), ("a", "1")):
        (tmp_path / name).write_text(content)
    [found] = hidden_files([{"env": "E-v0", "fidelity": f"proxy:{tmp_path}"}])
    assert (found.option, found.digest) == ("fidelity", hashlib.sha256(b"12").hexdigest())
