"""A worker process that answers JSON lines, started when needed and ended when late."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any


class WorkerError(Exception):
    """A question without an answer: why."""


def seconds_of(variable: str, usual: float) -> float:
    """A number of seconds from an environment variable.

    Raises:
        ValueError: If it holds something else.
    """
    text = os.environ.get(variable) or str(usual)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{variable}: {text!r} is not a positive number of seconds")
    return value


class Worker:
    """A process that says one line when it starts and then one per line it is given.

    A process that is late, dies or says what is no answer is ended, the next question starts
    another. Threads take turns; a forked process gets a worker of its own.

    Args:
        command: That starts it.
        timeout_s: For an answer.
        start_timeout_s: For its first line.
    """

    def __init__(
        self, command: Sequence[str], timeout_s: float, start_timeout_s: float = 120.0
    ) -> None:
        self._command, self._timeout_s = tuple(command), timeout_s
        self._start_timeout_s = start_timeout_s
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner, self._number, self._rest = 0, 0, b""
        self._first: dict[str, Any] = {}

    def hello(self) -> Mapping[str, Any]:
        """What it says when it starts.

        Raises:
            WorkerError: If it cannot be started or says nothing.
        """
        with self._lock:
            self._running()
            return self._first

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer to a question.

        Raises:
            WorkerError: If there is none in time.
        """
        with self._lock:
            process = self._running()
            self._number += 1
            line = json.dumps({"id": self._number, **question}) + "\n"
            assert process.stdin is not None
            try:
                process.stdin.write(line.encode())
                process.stdin.flush()
            except OSError as error:
                self._end()
                raise WorkerError(f"ended: {error}") from error
            answer = self._line(process, self._timeout_s)
            if answer.get("id") != self._number:
                self._end()
                raise WorkerError(f"answered another question: {str(answer)[:200]}")
            return answer

    def close(self) -> None:
        """Ends the process, if it runs."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid():
            return self._process
        self._process, self._owner, self._rest = None, os.getpid(), b""
        try:
            started = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise WorkerError(f"{self._command[0]}: {error.strerror}") from error
        self._process = started
        weakref.finalize(self, _end_process, started, self._owner)
        self._first = self._line(started, self._start_timeout_s)
        return started

    def _line(self, process: subprocess.Popen[bytes], timeout_s: float) -> dict[str, Any]:
        """The next line that it says, as an object."""
        assert process.stdout is not None
        number, end = process.stdout.fileno(), time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([number], [], [], left)[0]:
                self._end()
                raise WorkerError(f"no answer in {timeout_s:g} s")
            read = os.read(number, 1 << 16)
            if not read:
                self._end()
                raise WorkerError("ended without an answer")
            self._rest += read
        line, self._rest = self._rest.split(b"\n", 1)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._end()
            raise WorkerError(f"said {line[:200]!r}, which is no JSON object")
        return answer

    def _end(self) -> None:
        if self._process is not None:
            _end_process(self._process, self._owner)
        self._process = None


def _end_process(process: subprocess.Popen[bytes], owner: int) -> None:
    """Ends a process that this one started."""
    if owner != os.getpid():
        return
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
