"""The script that workers are, with adapters of this test's own beside it."""

import shutil
import sys
from pathlib import Path

import pytest

from archgym.cost_models.accelerator.external import RunningTool, Tool, WorkerError, worker

TOOL = Tool("Doubler", ("2.",), "get it", "adapter", "ARCHGYM_DOUBLER")
GOOD = """
import os, sys
def start():
    print("a tool that chats")
    os.write(1, b"below Python too\\n")
    return "2.1", lambda question: {"twice": 2 * question["n"], "path": sys.path[0]}
"""


def running(folder: Path, adapter: str) -> RunningTool:
    script = folder / "worker.py"
    shutil.copy(worker.__file__, script)
    (folder / "adapter.py").write_text(adapter)
    return RunningTool(TOOL, (sys.executable, "-S", str(script), "adapter"), 30.0)


def test_answers_questions_and_drops_chatter(tmp_path: Path) -> None:
    tool = running(tmp_path, GOOD)
    assert tool.version == "2.1"
    assert tool.ask({"n": 21})["twice"] == 42
    # Modules beside the script would hide those of the tool.
    assert tool.ask({"n": 1})["path"] != str(tmp_path)
    with pytest.raises(WorkerError, match="failed: KeyError: 'n'"):
        tool.ask({})
    assert tool.ask({"n": 2})["twice"] == 4
    assert tool.cpu_s >= 0
    tool.close()


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        ("def start():\n    raise SystemExit('no licence')\n", "does not run it .SystemExit: no l"),
        ("def start():\n    return '1.0', len\n", "has version 1.0; get it, and name its interp"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, adapter: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        running(tmp_path, adapter)
    assert "ARCHGYM_DOUBLER_PYTHON" in str(caught.value) and "\n" not in str(caught.value)
