"""Programs: finding, running and ending them."""

from pathlib import Path

import pytest

from archgym.cost_models.accelerator.external import Program, WorkerError
from archgym.cost_models.accelerator.external.binary import run

TOOL = Program("Doubler", "doubler", "ARCHGYM_DOUBLER")


def script(folder: Path, body: str) -> str:
    path = folder / "doubler"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_found_on_path_or_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script(tmp_path, "true")
    monkeypatch.delenv("ARCHGYM_DOUBLER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert TOOL.path() == path and not TOOL.given()
    monkeypatch.setenv("ARCHGYM_DOUBLER", "/no/doubler")
    with pytest.raises(ValueError, match="no program '/no/doubler' as in ARCHGYM_DOUBLER; put it"):
        TOOL.path()
    assert TOOL.given()


def test_reads_what_it_writes_in_a_folder_of_its_own(tmp_path: Path) -> None:
    path = script(tmp_path, 'cat in.txt > out.txt; echo "$1" >> out.txt; ls >> out.txt')
    for _ in range(2):
        found = run(path, ("--fast",), {"in.txt": "seven\n"}, "out.txt", 10.0)
        assert found.split() == ["seven", "--fast", "in.txt", "out.txt"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("exit 3", "failed: exit status 3"),
        ("echo WARNING odd; echo ERROR: too wide >&2; echo bye; exit 1", "failed: ERROR: too wide"),
        ("echo done", "failed: done"),
        ("touch out.txt; echo boom; exit 1", "failed: boom"),
        ("exec sleep 20", r"no answer in 0\.5 s"),
    ],
)
def test_failures_have_a_reason(tmp_path: Path, body: str, why: str) -> None:
    with pytest.raises(WorkerError, match=why):
        run(script(tmp_path, body), (), {}, "out.txt", 0.5)


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="No such file"):
        run(str(tmp_path / "none"), (), {}, "out.txt", 1.0)


@pytest.mark.parametrize("text", ["soon", "0", "nan"])
def test_time_out_must_be_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARCHGYM_DOUBLER_TIMEOUT_S", text)
    with pytest.raises(ValueError, match=f"ARCHGYM_DOUBLER_TIMEOUT_S: {text!r} is not a positive"):
        TOOL.timeout_s()
