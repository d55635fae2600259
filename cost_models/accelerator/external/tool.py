"""A tool that another interpreter has, asked through a worker process."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archgym.cost_models.accelerator.external.process import Worker, WorkerError, seconds_of

_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Tool:
    """What is to be known of a tool.

    Attributes:
        name: As its users call it.
        versions: Beginnings of those whose names and files are known.
        install: How to get it, as a part of a sentence.
        adapter: The module beside `worker` that runs it.
        variable: Beginning of its environment variables: `_PYTHON` names the interpreter that has
            it, this one where it is not set; `_TIMEOUT_S` the most seconds that an answer may take.
    """

    name: str
    versions: tuple[str, ...]
    install: str
    adapter: str
    variable: str

    @property
    def python_variable(self) -> str:
        """Environment variable with its interpreter."""
        return f"{self.variable}_PYTHON"

    @property
    def timeout_variable(self) -> str:
        """Environment variable with the most seconds that an answer may take."""
        return f"{self.variable}_TIMEOUT_S"

    def given(self) -> bool:
        """Whether the user has named an interpreter that has it."""
        return bool(os.environ.get(self.python_variable))

    def command(self) -> tuple[str, ...]:
        """What starts its worker."""
        python = os.environ.get(self.python_variable) or sys.executable
        return (python, str(Path(__file__).with_name("worker.py")), self.adapter)

    def timeout_s(self) -> float:
        """The most seconds that an answer may take.

        Raises:
            ValueError: If the variable holds something else.
        """
        return seconds_of(self.timeout_variable, _TIMEOUT_S)


class RunningTool:
    """A tool in a worker process, see `process.Worker`.

    Attributes:
        version: Of the tool.
        cpu_s: CPU time that it has told for questions that it answered.

    Args:
        tool: Which.
        command: That starts the worker.
        timeout_s: The most that an answer may take.

    Raises:
        ValueError: If the interpreter does not have it, or another version.
    """

    def __init__(self, tool: Tool, command: Sequence[str], timeout_s: float) -> None:
        self._tool = tool
        self._worker = Worker(command, timeout_s)
        self.version = self._version(command[0])
        self.cpu_s = 0.0

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer.

        Raises:
            WorkerError: If it fails on it, takes too long or says what is no answer.
        """
        said = self._worker.ask({"question": question})
        if "error" in said:
            raise WorkerError(f"failed: {str(said['error'])[:200]}")
        answer = said.get("answer")
        if not isinstance(answer, dict):
            raise WorkerError("answered without figures")
        self.cpu_s += float(said.get("cpu_s", 0.0))
        return answer

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _version(self, python: str) -> str:
        """The version that the worker runs, if it is one that this was made for."""
        tool = self._tool
        try:
            hello = self._worker.hello()
        except WorkerError as error:
            raise ValueError(f"{tool.name}: its worker does not start: {error}") from error
        version = str(hello.get("version", ""))
        if not version.startswith(tool.versions):
            self.close()
            why = str(hello.get("missing", hello)).splitlines()[0]
            found = f"has version {version}" if version else f"does not run it ({why})"
            raise ValueError(
                f"{tool.name} {tool.versions[0].rstrip('.')}: {python} {found}; {tool.install}, "
                f"and name its interpreter in {tool.python_variable}"
            )
        return version


def installed(tool: Tool) -> RunningTool:
    """A tool of the interpreter and time-out that its environment variables name.

    Raises:
        ValueError: If it is not installed there, or a variable is no time.
    """
    return _shared(tool, tool.command(), tool.timeout_s())


@functools.cache
def _shared(tool: Tool, command: tuple[str, ...], timeout_s: float) -> RunningTool:
    """One worker for all models of this process."""
    return RunningTool(tool, command, timeout_s)


def number(answer: Mapping[str, Any], name: str) -> float:
    """A figure of an answer.

    Raises:
        WorkerError: If it is missing or no number from 0.
    """
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WorkerError(f"answered {name}: {value!r}")
    if not math.isfinite(value) or value < 0:
        raise WorkerError(f"answered {name}: {value!r}")
    return float(value)
