import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars
import pytest

import archgym
from archgym.chunks import chunk_file
from archgym.environment import Environment, Option
from archgym.errors import unknown
from archgym.table import Table, TableModel, file_digests, read_table, write_table
from archgym.tabulate import _chunks, duration, tabulate, tabulate_command


@pytest.fixture
def table(workplace):
    return tabulate("Outside-v0", {}, "plain.parquet", workers=1)


def model_of(path, mode="ok", workload="walk"):
    task = archgym.make_task("Outside-v0", mode=mode, workload=workload)
    model = task.model
    return task, TableModel(
        path, "Outside-v0", model.space, model.metrics, model.default, {"workload": workload}
    )


def test_every_different_design_is_there_once_with_what_the_model_says(table):
    task = archgym.make_task("Outside-v0")
    rows = task.space.enumerate(0, task.space.size)
    evaluation = task.evaluate(rows)
    obeys = ~evaluation.violations["p0 and p1 both 0"]
    assert table.numbers.tolist() == np.flatnonzero(obeys).tolist()
    assert np.array_equal(table.rows, rows[obeys])
    for name, values in evaluation.metrics.items():
        assert np.array_equal(table.costs.metrics[name], values[obeys])
    assert np.array_equal(
        table.costs.violations["p5 is 1"], evaluation.violations["p5 is 1"][obeys]
    )
    frame = polars.read_parquet("plain.parquet")
    assert len(frame) == len(table)
    assert frame["p3"].to_list() == rows[obeys][:, 3].tolist()
    broken = frame["violations"].list.contains("p5 is 1").to_numpy()
    assert np.array_equal(broken, table.costs.violations["p5 is 1"])


def test_both_layouts_answer_as_the_model_does(table, workplace):
    tabulate("Outside-v0", {}, "compact.parquet", workers=1, compact=True)
    assert os.path.getsize("compact.parquet") < os.path.getsize("plain.parquet")
    rows = archgym.make_task("Outside-v0").space.sample(300, np.random.default_rng(0))
    for path in ("plain.parquet", "compact.parquet"):
        task, model = model_of(path)
        looked_up = archgym.Task(task.environment, task.options, task.objective, model)
        one, other = task.evaluate(rows), looked_up.evaluate(rows)
        for name, values in one.columns().items():
            assert np.array_equal(values, other.columns()[name], equal_nan=values.dtype == float)


def test_the_bytes_do_not_depend_on_workers_or_stops(table, workplace):
    whole = (workplace / "plain.parquet").read_bytes()
    tabulate("Outside-v0", {}, "again.parquet", workers=2)
    assert (workplace / "again.parquet").read_bytes() == whole
    assert not (workplace / "again.parquet.parts").exists()


def test_a_killed_tabulation_resumes(workplace, archgym_command):
    arguments = ["tabulate", "Outside-v0", "--set", "mode=slow", "-o", "slow.parquet"]
    command = [sys.executable, "-P", "-m", "archgym.cli", *arguments, "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    parts = workplace / "slow.parquet.parts"
    for _ in range(1200):
        if len(list(parts.glob("chunk-*.npz"))) >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)  # the workers see the end of their input
    done = len(list(parts.glob("chunk-*.npz")))
    assert 2 <= done < 17
    status, _, errors = archgym_command(*arguments)
    assert status == 2
    assert f"holds {done} chunks of an earlier tabulation; continue it with --resume" in errors
    status, out, errors = archgym_command(*arguments, "--resume", "--workers", "1")
    assert status == 0
    assert "1,056 designs" in out
    lines = errors.splitlines()
    assert not lines[0].startswith("0 of")
    assert lines[-1] == "1,152 of 1,152 designs, 0 s left"
    other = tabulate("Outside-v0", {}, "plain.parquet", workers=1)
    slow = read_table("slow.parquet")
    for name, values in other.costs.metrics.items():
        assert np.array_equal(values, slow.costs.metrics[name])
    assert not parts.exists()


def test_parts_of_another_table_are_not_mixed_in(workplace):
    parts = workplace / "t.parquet.parts"
    parts.mkdir()
    (parts / "manifest.json").write_text(json.dumps({"format": 1, "env": "Other-v0"}))
    with pytest.raises(ValueError, match=r"holds parts of another table \(env differs\)"):
        tabulate("Outside-v0", {}, "t.parquet", workers=1, resume=True)
    (parts / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        tabulate("Outside-v0", {}, "t.parquet", workers=1, resume=True)


def test_a_damaged_chunk_is_named(workplace, monkeypatch):
    def stop(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("archgym.tabulate.join_chunks", stop)
        tabulate("Outside-v0", {}, "t.parquet", workers=1)
    chunk = chunk_file(workplace / "t.parquet.parts", (0, 1))
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"chunk-0+\.npz: is not a chunk .*; remove it and resume"):
        tabulate("Outside-v0", {}, "t.parquet", workers=1, resume=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failing_model_ends_it(workplace, archgym_command, workers):
    arguments = ["tabulate", "Outside-v0", "--set", "mode=die", "-o", "t.parquet"]
    if workers == "2":
        status, _, errors = archgym_command(*arguments, "--workers", workers)
        assert status == 2
        assert "a worker process ended with exit status -9" in errors
    status, _, errors = archgym_command(
        "tabulate", "Outside-v0", "--set", "mode=fail", "-o", "u.parquet", "--workers", workers
    )
    assert status != 0
    assert "the model" in errors
    assert "broke" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Outsid-v0"], "did you mean 'Outside-v0'?"),
        (["Outside-v0", "--limit", "100"], "has 1,152 different designs (1,152 index rows)"),
        (["Outside-v0", "--limit", "100"], "allow it with --limit 1152"),
        (["Outside-v0", "--set", "mode"], "--set: 'mode' is not KEY=VALUE"),
        (["Outside-v0", "--set", "mode=ok", "--set", "mode=ok"], "option 'mode' is given twice"),
        (["Outside-v0", "--set", "mod=ok"], "did you mean 'mode'?"),
        (["Outside-v0", "--workload", "fly"], "workload: unknown name 'fly'"),
        (["Outside-v0", "--workers", "0"], "workers: value 0 is below 1"),
    ],
)
def test_bad_input_is_one_line(workplace, archgym_command, arguments, message):
    status, out, errors = archgym_command("tabulate", *arguments, "-o", "t.parquet")
    assert status == 2
    assert out == ""
    assert message in errors
    assert errors.count("\n") == 1
    assert not (workplace / "t.parquet").exists()


def test_files_that_are_there_or_cannot_be(workplace, table):
    with pytest.raises(ValueError, match=r"plain\.parquet: is there already"):
        tabulate("Outside-v0", {}, "plain.parquet", workers=1)
    with pytest.raises(ValueError, match="nowhere: is not a folder"):
        tabulate("Outside-v0", {}, "nowhere/t.parquet", workers=1)


def changed(table, path, **meta):
    other = Table({**table.meta, **meta}, table.numbers, table.outcome, table.costs)
    write_table(other, path, compact=False)
    return path


def test_tables_that_do_not_fit_are_refused_by_name(table, workplace):
    with pytest.raises(ValueError, match="there is no file 'nothing'"):
        read_table("nothing")
    (workplace / "text").write_text("hello")
    with pytest.raises(ValueError, match="text: cannot be read as a table"):
        read_table("text")
    polars.DataFrame({"a": [1]}).write_parquet("other.parquet")
    with pytest.raises(ValueError, match="is not a table written by `archgym tabulate`"):
        read_table("other.parquet")
    path = workplace / "c.parquet"
    with pytest.raises(ValueError, match="format 99 is newer than the supported 1"):
        read_table(changed(table, path, format=99))
    with pytest.raises(ValueError, match="was made with workload='walk', this task has 'run'"):
        model_of("plain.parquet", workload="run")
    with pytest.raises(ValueError, match=r"is a table of Other-v0, not of Outside-v0"):
        model_of(changed(table, path, env="Other-v0"))
    space = table.meta["space"]
    fewer = {**space, "parameters": space["parameters"][:-1]}
    with pytest.raises(ValueError, match="has other parameters than this task's"):
        model_of(changed(table, path, space=fewer))
    stricter = {**space, "constraints": [{"name": "p2 is 0", "doc": ""}]}
    with pytest.raises(ValueError, match="leaves out designs under the rule 'p2 is 0'"):
        model_of(changed(table, path, space=stricter))
    metrics = [{**metric, "unit": "s"} for metric in table.meta["metrics"]]
    with pytest.raises(ValueError, match="its metrics are not those of this version"):
        model_of(changed(table, path, metrics=metrics))


def test_a_design_that_is_not_in_the_table(table, workplace):
    keep = slice(10, None)
    part = Table(table.meta, table.numbers[keep], table.outcome[keep], table.costs)
    write_table(part, workplace / "part.parquet", compact=False)
    _, model = model_of("part.parquet")
    with pytest.raises(ValueError, match=r"part.parquet: the table does not hold design \{'p0': 0"):
        model.evaluate(table.rows[:1])


def test_workload_files_are_told_by_their_content(table, workplace):
    (workplace / "w").write_text("one")
    path = workplace / "c.parquet"
    task = archgym.make_task("Outside-v0")
    options = {"workload": "file:w"}
    changed(table, path, options=options, files=file_digests(options))
    arguments = ("Outside-v0", task.model.space, task.model.metrics, task.model.default)
    assert TableModel(path, *arguments, options).table.space.size == task.space.size
    (workplace / "w").write_text("two")
    with pytest.raises(ValueError, match="another content of that file"):
        TableModel(path, *arguments, options)


def test_chunks_cover_every_number_once():
    for size, designs in ((1, 1), (1152, 1152), (442_368, 166_464), (10**9, 1_000_000)):
        chunks = _chunks(size, designs)
        assert chunks[0][0] == 0
        assert chunks[-1][1] == size
        assert all(a[1] == b[0] for a, b in itertools.pairwise(chunks))
        assert len(chunks) <= 1_000


def test_words():
    assert duration(5.4) == "5 s"
    assert duration(65) == "1 min 5 s"
    assert duration(7_260) == "2 h 1 min"
    command = tabulate_command("Toy-v0", {"workload": "a b", "space": "s", "f": True}, True)
    assert command == "archgym tabulate Toy-v0 --workload 'a b' --space s --set f=true --compact"


def test_options_may_be_choices_or_begin_with_a_prefix():
    option = Option("a", "", ("a", "b"), prefixes=("table:",))
    assert option.accepts("b")
    assert option.accepts("table:x")
    assert not option.accepts("table:")
    assert not option.accepts("c")
    assert not option.accepts(3)
    environment = Environment("T-v0", "", lambda: None, {"o": option}, (), dict)
    with pytest.raises(ValueError) as error:
        environment.resolve({"o": "tabl:x"})
    assert str(error.value) == str(unknown("T-v0: o", "tabl:x", ("a", "b", "table:PATH")))
