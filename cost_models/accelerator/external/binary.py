"""A tool that is one program: run once per question, on files, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archgym.cost_models.accelerator.external.process import WorkerError, seconds_of

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Program:
    """What is to be known of a program.

    Attributes:
        name: As its users call it.
        file: What it is called on PATH.
        variable: Environment variable with its path, PATH is searched where it is not set; with
            `_TIMEOUT_S` behind it the most seconds that a run may take.
    """

    name: str
    file: str
    variable: str

    def given(self) -> bool:
        """Whether the user has named it."""
        return bool(os.environ.get(self.variable))

    def path(self) -> str:
        """Where it is.

        Raises:
            ValueError: If it is nowhere.
        """
        named = os.environ.get(self.variable) or self.file
        found = shutil.which(named)
        if found is None:
            where = self.variable if self.given() else "on PATH"
            raise ValueError(
                f"{self.name}: there is no program {named!r} {'as in ' if self.given() else ''}"
                f"{where}; put it there or name it in {self.variable}"
            )
        return found

    def timeout_s(self) -> float:
        """The most seconds that a run may take.

        Raises:
            ValueError: If the variable holds something else.
        """
        return seconds_of(f"{self.variable}_TIMEOUT_S", _TIMEOUT_S)


def run(
    path: str,
    arguments: Sequence[str],
    files: Mapping[str, str],
    output: str,
    timeout_s: float,
) -> str:
    """Runs a program in a new folder.

    Args:
        path: Of the program.
        arguments: That it gets.
        files: What the folder holds before, texts by name.
        output: Name of the file that it writes.
        timeout_s: The most that it may take.

    Returns:
        The text of that file.

    Raises:
        WorkerError: If it cannot be started, takes too long, fails or writes no such file.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text)
        try:
            done = subprocess.run(
                (path, *arguments),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            raise WorkerError(f"no answer in {timeout_s:g} s") from error
        except OSError as error:
            raise WorkerError(f"{path}: {error.strerror}") from error
        written = folder / output
        if done.returncode or not written.is_file():
            raise WorkerError(f"failed: {_reason(done)}")
        return written.read_text(errors="replace")


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line that names an error, else the last one, else the exit status."""
    text = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    last = (errors or lines or [f"exit status {done.returncode}"])[-1]
    return last[:200]
