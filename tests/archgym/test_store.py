import json

import pytest

from archgym.manifest import run_manifest
from archgym.run import search
from archgym.store import TrialStore, load_times, load_trials, read_manifest
from archgym.task import make_task

BUDGET = 24


@pytest.fixture
def task(outside):
    return make_task("Outside-v0")


class Stop(Exception):
    pass


def run(task, path, agent="loud", budget=BUDGET, **options):
    return search(task, agent, budget=budget, seed=1, path=path, **options)


def stop_before_finish(task, path, monkeypatch, agent="loud"):
    """Leaves a run as a kill just before its end does: all lines, no parquet."""

    def stop(*arguments):
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(TrialStore, "finish", stop)
        run(task, path, agent)


def test_a_run_on_disk_reads_as_the_run_in_memory(task, tmp_path):
    result = run(task, tmp_path / "run")
    memory = run(task, None)
    trials = load_trials(tmp_path / "run")
    assert trials.equals(memory.trials.with_columns(design=trials["design"]).select(trials.columns))
    assert result.best == memory.best
    assert load_times(tmp_path / "run")["count"].sum() == BUDGET
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "run.json",
        "times.parquet",
        "trials.parquet",
    ]


@pytest.mark.parametrize("agent", ["loud", "genetic"])
def test_killed_at_any_byte_a_run_ends_with_the_same_trials(task, tmp_path, monkeypatch, agent):
    run(task, tmp_path / "whole", agent)
    expected = (tmp_path / "whole" / "trials.parquet").read_bytes()
    stop_before_finish(task, tmp_path / "cut", monkeypatch, agent)
    lines = (tmp_path / "cut" / "trials.jsonl").read_bytes()
    times = (tmp_path / "cut" / "times.jsonl").read_bytes()
    ends = [i for i in range(len(lines) + 1) if i == 0 or lines[i - 1 : i] == b"\n"]
    # Every byte of one line, and both sides of every line end.
    offsets = {*range(ends[8], ends[9] + 1)}
    offsets |= {end + step for end in ends for step in (-1, 0, 1) if 0 <= end + step <= len(lines)}
    for offset in sorted(offsets)[:: 1 if agent == "loud" else 7]:
        part = tmp_path / "part"
        part.mkdir(exist_ok=True)
        manifest = (tmp_path / "cut" / "run.json").read_text()
        (part / "run.json").write_text(manifest)
        (part / "trials.jsonl").write_bytes(lines[:offset])
        (part / "times.jsonl").write_bytes(times[: offset * len(times) // len(lines)])
        run(task, part, agent)
        assert (part / "trials.parquet").read_bytes() == expected, offset
        assert read_manifest(part)["status"] == "complete"


def test_any_offset_leaves_a_readable_prefix(task, tmp_path, monkeypatch):
    stop_before_finish(task, tmp_path / "cut", monkeypatch)
    lines = (tmp_path / "cut" / "trials.jsonl").read_bytes()
    manifest = json.loads((tmp_path / "cut" / "run.json").read_text())
    part = tmp_path / "part"
    part.mkdir()
    (part / "run.json").write_text(json.dumps(manifest))
    for offset in range(0, len(lines) + 1, 3):
        (part / "trials.jsonl").write_bytes(lines[:offset])
        store = TrialStore(part, run_manifest(task, "loud", {}, 1, BUDGET))
        assert len(store.recorded(task)) == lines[:offset].count(b"\n")
        kept = (part / "trials.jsonl").read_bytes()
        assert kept == lines[: lines[:offset].rfind(b"\n") + 1]


def test_a_resumed_run_writes_the_same_lines(task, tmp_path, monkeypatch):
    stop_before_finish(task, tmp_path / "whole", monkeypatch)
    expected = (tmp_path / "whole" / "trials.jsonl").read_bytes()
    part = tmp_path / "part"
    part.mkdir()
    (part / "run.json").write_text((tmp_path / "whole" / "run.json").read_text())
    for share in (0.0, 0.3, 0.5, 0.99):
        (part / "trials.jsonl").write_bytes(expected[: int(share * len(expected))])
        stop_before_finish(task, part, monkeypatch)
        assert (part / "trials.jsonl").read_bytes() == expected


def test_a_partial_run_reads_like_a_finished_one(task, tmp_path, monkeypatch):
    run(task, tmp_path / "whole")
    stop_before_finish(task, tmp_path / "cut", monkeypatch)
    whole, cut = load_trials(tmp_path / "whole"), load_trials(tmp_path / "cut")
    assert cut.schema == whole.schema
    assert cut.equals(whole)


def test_killed_between_the_parquet_files_and_the_manifest(task, tmp_path, monkeypatch):
    stop_before_finish(task, tmp_path / "cut", monkeypatch)
    (tmp_path / "cut" / "trials.parquet").write_bytes(b"half a file")
    run(task, tmp_path / "cut")
    assert len(load_trials(tmp_path / "cut")) == BUDGET


def test_a_complete_run_is_not_run_again(task, tmp_path):
    run(task, tmp_path)
    with pytest.raises(ValueError, match="this run is complete"):
        run(task, tmp_path)


def test_a_different_run_is_refused(task, tmp_path, monkeypatch):
    stop_before_finish(task, tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"holds a different run \(budget is 24, now 25\)"):
        run(task, tmp_path, budget=BUDGET + 1)


def test_changed_trials_are_named(task, tmp_path, monkeypatch):
    stop_before_finish(task, tmp_path, monkeypatch)
    file = tmp_path / "trials.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[4]["design"][0] = (lines[4]["design"][0] + 1) % 4
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=r"trial 5 recorded design .*, the agent now proposes"):
        run(task, tmp_path)


def test_broken_files_are_named(task, tmp_path, monkeypatch):
    stop_before_finish(task, tmp_path, monkeypatch)
    (tmp_path / "trials.jsonl").write_text("not json\n")
    with pytest.raises(ValueError, match=r"trials\.jsonl: a line is not valid JSON"):
        load_trials(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json: is not a run manifest"):
        load_trials(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99 is newer than the supported"):
        load_trials(tmp_path)
    with pytest.raises(ValueError, match="holds no run"):
        load_trials(tmp_path / "nothing")
