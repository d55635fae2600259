"""SCALE-Sim as a function of a layer and an array, asked in a worker process."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from archgym.cost_models.accelerator.external.process import WorkerError
from archgym.cost_models.accelerator.external.tool import RunningTool, Tool, installed, number

SCALESIM = Tool(
    "SCALE-Sim",
    ("3.",),
    "install package scalesim, which does not run with newer NumPy (`pip install scalesim "
    "'numpy<2.4'`)",
    "scalesim_worker",
    "ARCHGYM_SCALESIM",
)


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

    Args:
        tool: That runs it.
    """

    def __init__(self, tool: RunningTool) -> None:
        self.tool = tool
        self._known: dict[Layer, LayerCounts | str] = {}

    def counts(self, layer: Layer) -> LayerCounts:
        """Counts of a layer.

        Raises:
            WorkerError: If SCALE-Sim fails on it or takes too long, why; again the same next time.
        """
        if layer not in self._known:
            try:
                self._known[layer] = _read(self.tool.ask(asdict(layer)))
            except WorkerError as error:
                self._known[layer] = str(error)
        known = self._known[layer]
        if isinstance(known, str):
            raise WorkerError(known)
        return known


def installed_scalesim() -> ScaleSim:
    """SCALE-Sim of the interpreter and time-out that the environment variables name.

    Raises:
        ValueError: If it is not installed there, or a variable is no time.
    """
    return _shared(installed(SCALESIM))


@functools.cache
def _shared(tool: RunningTool) -> ScaleSim:
    """One memory of answers for all models of this process."""
    return ScaleSim(tool)


def _read(counts: Mapping[str, Any]) -> LayerCounts:
    """The counts of an answer.

    Raises:
        WorkerError: If a count is missing or no number from 0, or there are no cycles.
    """
    values = {field.name: number(counts, field.name) for field in fields(LayerCounts)}
    if values["cycles"] <= 0:
        raise WorkerError("answered without cycles")
    return LayerCounts(**values)
