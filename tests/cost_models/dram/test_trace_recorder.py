"""The recording script; the one test that runs a program under valgrind needs it installed."""

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from archgym.cost_models.dram import lackey
from archgym.cost_models.dram.trace_formats import load_trace

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(scope="module")
def recorder():
    sys.path.insert(0, str(TOOLS))
    yield importlib.import_module("record_trace")
    sys.path.remove(str(TOOLS))


def test_lackey_lines_become_accesses(recorder):
    text = b"==12== banner, 7\n M 1ff,2\nI  0400a,3\nI  0400d,5\n L 1fff00ABcd,8\n S 10,16\n"
    first, second = lackey._parsed(iter([text, b"I  1,1\n L 0,4\n"]))
    assert first.instruction.tolist() == [0, 2, 2] and second.instruction.tolist() == [3]
    assert first.address.tolist() == [0x1FF, 0x1FFF00ABCD, 0x10]
    assert first.size.tolist() == [2, 8, 16]
    assert first.is_write.tolist() == [True, False, True]


def test_every_shipped_trace_has_a_recipe_and_back(recorder):
    shipped = Path(recorder.save_trace.__code__.co_filename).parent / "traces"
    described = yaml.safe_load((shipped / "traces.yaml").read_text())
    assert list(described) == list(recorder.RECIPES)
    assert {path.name for path in shipped.glob("*.csv.gz")} == {f"{n}.csv.gz" for n in described}
    for name, recipe in recorder.RECIPES.items():
        facts = described[name]
        assert facts["description"] == recipe.description
        assert facts["skipped"] == recipe.skip
        assert facts["ns_per_instruction"] == recipe.ns_per_instruction


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "0"], "keep must be at least 1, got 0"),
        (["--skip", "-1"], "skip must be at least 0, got -1"),
        (["--ns-per-instruction", "0"], "ns_per_instruction must be positive, got 0.0"),
    ],
)
def test_options_out_of_range(recorder, capsys, tmp_path, arguments, message):
    command = ["run", "-o", str(tmp_path / "t.csv"), *arguments, "--", "true"]
    assert recorder.main(command) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_missing_valgrind_is_told_in_one_line(recorder, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert recorder.main(["run", "-o", str(tmp_path / "t.csv"), "--", "true"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: valgrind is not installed") and error.count("\n") == 1


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_records_a_program_the_same_way_twice(recorder, capsys, tmp_path):
    traces = []
    for name in ("a.csv.gz", "b.csv.gz"):
        path = tmp_path / name
        options = ["--skip", "100", "--keep", "400", "--ns-per-instruction", "0.5"]
        assert recorder.main(["run", "-o", str(path), *options, "--", "true"]) == 0
        traces.append(load_trace(path))
    first, second = traces
    assert first.n_requests == 400 and first.clock_ps == 1000 and first.cycle[0] == 0
    assert (first.address < 1 << 30).all()
    assert np.array_equal(first.address, second.address)
    assert np.array_equal(first.cycle, second.cycle)
    too_many = ["run", "-o", str(tmp_path / "c.csv"), "--skip", "9999999", "--", "true"]
    assert recorder.main(too_many) == 2
    assert "memory requests; skip + keep is" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-program"], "program 'no-such-program' is not installed"),
        (["false"], "false failed with status 1: no message"),
    ],
)
def test_programs_that_fail(recorder, capsys, tmp_path, command, message):
    assert recorder.main(["run", "-o", str(tmp_path / "t.csv"), "--", *command]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
