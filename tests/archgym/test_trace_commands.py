"""`archgym trace` and `archgym curve`: the commands, their output and their errors."""

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


CURVE = ["curve", "dram", "--device", "ddr4-3200-8gb-x8", "--output", "out"]


def test_curve(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("--requests", 300, "--read-fraction", "1", "--channels", 2)
    status, out, _ = command(*CURVE, *arguments, "--policy", "PagePolicy=Closed")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "traffic      reads  unloaded ns  knee GB/s  peak GB/s  of the bus"
    assert [line.split()[0] for line in lines[1:3]] == ["random", "sequential"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["curve.csv", "curve.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["curve", "drm", *CURVE[2:]], "curve: unknown name 'drm'; did you mean 'dram'?"),
        ([*CURVE, "--read-fraction", "1,x"], "--read-fraction: 'x' is not a number"),
        ([*CURVE, "--read-fraction", "2"], "read_fractions must lie in 0..1, got 2.0"),
        ([*CURVE, "--policy", "PagePolicy"], "policy 'PagePolicy' is not KEY=VALUE"),
        ([*CURVE, "--policy", "PagPolicy=Open"], "did you mean 'PagePolicy'"),
        ([*CURVE, "--channels", "3"], "channels must be a power of two, got 3"),
        (["curve", "dram", "--device", "ddr4", "-o", "out"], "device 'ddr4' is unknown"),
    ],
)
def test_mistakes_about_curves(command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
