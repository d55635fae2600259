"""SCALE-Sim as a function of a layer and an array, asked in a worker process."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from archgym.cost_models.accelerator.external.process import Worker, WorkerError

PYTHON_VARIABLE = "ARCHGYM_SCALESIM_PYTHON"
"""Environment variable with the interpreter that has SCALE-Sim; this one where it is not set."""

TIMEOUT_VARIABLE = "ARCHGYM_SCALESIM_TIMEOUT_S"
"""Environment variable with the most seconds that a layer may take."""

_TIMEOUT_S = 600.0
# Versions of which names in files and reports are known.
_VERSIONS = ("3.",)


@dataclass(frozen=True)
class Layer:
    """A product (m, k) x (k, n) on an array; sizes of memories in units of 1,024 words.

    Attributes:
        m: Rows of the inputs.
        n: Columns of the weights.
        k: Depth.
        rows: Of the array.
        columns: Of the array.
        dataflow: `os`, `ws` or `is`.
        ifmap_kwords: Memory of inputs, double-buffered.
        filter_kwords: Of weights, likewise.
        ofmap_kwords: Of outputs, likewise.
    """

    m: int
    n: int
    k: int
    rows: int
    columns: int
    dataflow: str
    ifmap_kwords: int
    filter_kwords: int
    ofmap_kwords: int


@dataclass(frozen=True)
class LayerCounts:
    """What SCALE-Sim counts of a layer: cycles, and words for the rest.

    Attributes:
        cycles: Of computing, stalls included.
        stall_cycles: 0 where it estimates the bandwidth it needs, as here.
        ifmap_sram_reads: Inputs read by the array.
        filter_sram_reads: Weights read by the array.
        ofmap_sram_writes: Outputs and partial sums written by the array.
        ifmap_dram_reads: Inputs read.
        filter_dram_reads: Weights read.
        ofmap_dram_writes: Outputs and partial sums written.
    """

    cycles: float
    stall_cycles: float
    ifmap_sram_reads: float
    filter_sram_reads: float
    ofmap_sram_writes: float
    ifmap_dram_reads: float
    filter_dram_reads: float
    ofmap_dram_writes: float


class ScaleSim:
    """SCALE-Sim in estimated-bandwidth mode; answers and failures are kept.

    Attributes:
        version: Of the package.
        cpu_s: CPU time that it has told for layers that it answered.

    Args:
        command: That starts the worker, see `scalesim_worker`.
        timeout_s: The most that a layer may take.

    Raises:
        ValueError: If the interpreter does not have it, or another version.
    """

    def __init__(self, command: Sequence[str], timeout_s: float = _TIMEOUT_S) -> None:
        self._worker = Worker(command, timeout_s)
        self._known: dict[Layer, LayerCounts | str] = {}
        self.version = _version(self._worker, command[0])
        self.cpu_s = 0.0

    def counts(self, layer: Layer) -> LayerCounts:
        """Counts of a layer.

        Raises:
            WorkerError: If SCALE-Sim fails on it or takes too long, why; again the same next time.
        """
        if layer not in self._known:
            try:
                answer = self._worker.ask(asdict(layer))
                self._known[layer] = _read(answer)
                self.cpu_s += float(answer.get("cpu_s", 0.0))
            except WorkerError as error:
                self._known[layer] = str(error)
        known = self._known[layer]
        if isinstance(known, str):
            raise WorkerError(known)
        return known

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()


def installed_scalesim() -> ScaleSim:
    """SCALE-Sim of the interpreter and time-out that the environment variables name.

    Raises:
        ValueError: If it is not installed there, or a variable is no time.
    """
    python = os.environ.get(PYTHON_VARIABLE) or sys.executable
    return _shared(python, _timeout_s())


@functools.cache
def _shared(python: str, timeout_s: float) -> ScaleSim:
    """One worker for all models of this process."""
    script = Path(__file__).with_name("scalesim_worker.py")
    return ScaleSim((python, str(script)), timeout_s)


def _timeout_s() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE) or str(_TIMEOUT_S)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{TIMEOUT_VARIABLE}: {text!r} is not a positive number of seconds")
    return value


def _version(worker: Worker, python: str) -> str:
    """The version that a worker runs, if it is one that this was made for."""
    try:
        hello = worker.hello()
    except WorkerError as error:
        raise ValueError(f"SCALE-Sim: its worker does not start: {error}") from error
    version = str(hello.get("version", ""))
    if not version.startswith(_VERSIONS):
        worker.close()
        found = f"has version {version}" if version else f"does not run it ({_why(hello)})"
        raise ValueError(
            f"SCALE-Sim 3: {python} {found}; install package scalesim, which does not run with "
            f"newer NumPy (`pip install scalesim 'numpy<2.4'`), and name its interpreter in "
            f"{PYTHON_VARIABLE}"
        )
    return version


def _why(hello: Mapping[str, object]) -> str:
    return str(hello.get("missing", hello)).splitlines()[0]


def _read(answer: Mapping[str, object]) -> LayerCounts:
    """The counts of an answer.

    Raises:
        WorkerError: If it is an error, or a count is missing or no number from 0.
    """
    if "error" in answer:
        raise WorkerError(f"failed: {str(answer['error'])[:200]}")
    counts = answer.get("counts")
    if not isinstance(counts, dict):
        raise WorkerError("answered without counts")
    values = {}
    for field in fields(LayerCounts):
        value = counts.get(field.name)
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise WorkerError(f"answered {field.name}: {value!r}")
        values[field.name] = float(value)
    if values["cycles"] <= 0:
        raise WorkerError("answered without cycles")
    return LayerCounts(**values)
