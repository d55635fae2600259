"""`archgym trace`: the commands, their output and their errors."""

import json
import shutil

import pytest

from archgym import cli


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
def trace(tmp_path):
    path = tmp_path / "t.stl"
    path.write_text("0: read 0x0\n4: write 0x40\n8: read 0x2000\n")
    return path


def test_info_as_text_and_json(command, trace):
    status, out, err = command("trace", "info", trace, "--clock-ps", 1250)
    assert (status, err) == (0, "")
    assert "3 (2 reads, 66.7%)" in out
    assert "200.0 requests/us, 12.80 GB/s" in out
    assert "192 bytes of 64-byte lines, exact" in out
    status, out, _ = command("trace", "info", trace, "--json")
    told = json.loads(out)
    assert (told["format"], told["requests"], told["clock_ps"]) == ("dramsys", 3, None)


def test_convert_and_what_is_lost(command, trace, tmp_path):
    target = tmp_path / "t.csv.gz"
    arguments = ("--from-clock-ps", 1250, "--clock-ps", 1000)
    status, out, err = command("trace", "convert", trace, target, *arguments)
    assert (status, out, err) == (0, f"{target}: 3 requests, format csv\n", "")
    status, _, err = command("trace", "convert", target, tmp_path / "u.stl")
    assert status == 0
    assert err == "note: format dramsys does not hold clock_ps=1000\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trace", "info", "none.csv"], "none.csv: cannot read the trace: No such file"),
        (["trace", "info", "t.stl", "--clock-ps", "0"], "Invalid value for '--clock-ps'"),
        (["trace", "convert", "t.stl", "t.txt"], "its ending tells no format to write"),
        (["trace", "record", "-o", "t.txt", "--", "true"], "path must end in .csv or .csv.gz"),
        (["trace", "record", "-o", "t.csv", "--keep", "0", "--", "true"], "keep must be at least"),
    ],
)
def test_mistakes_are_told_in_one_line(command, trace, monkeypatch, arguments, message):
    monkeypatch.chdir(trace.parent)
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_recording_without_valgrind(command, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, _, err = command("trace", "record", "-o", tmp_path / "t.csv", "--", "true")
    assert status == 2
    assert err.startswith("error: valgrind is not installed")


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_recording_a_program(command, tmp_path):
    path = tmp_path / "t.csv.gz"
    status, out, _ = command("trace", "record", "-o", path, "--keep", 50, "--", "true")
    assert status == 0
    assert out.startswith(f"{path}: 50 requests")
