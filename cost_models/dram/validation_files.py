"""Reading the reference figures that the DRAM model is compared with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import load_trace


def dramsys_trace(path: Path, name: str) -> Trace:
    """A trace in DRAMSys' format of the folder that holds `path`."""
    trace = load_trace(_trace_path(path, f"{name}.stl"))
    # The player runs at the memory clock of the device, 800 MHz.
    return dataclasses.replace(trace, clock_ps=1250)


def csv_trace(path: Path, name: str, *, limited: bool = True) -> Trace:
    """A trace of the folder; the saturated one is another's addresses, all there at once."""
    saturated = name == "random_read_sat"
    trace = load_trace(_trace_path(path, f"{'random_read' if saturated else name}.csv.gz"))
    cycle = np.zeros_like(trace.cycle) if saturated else trace.cycle
    outstanding = 1 if name == "chase" and limited else None
    return Trace(cycle, trace.is_write, trace.address, None, name, outstanding)


def _trace_path(path: Path, name: str) -> Path:
    found = path.parent / "traces" / name
    if not found.is_file():
        raise ValueError(f"{path}: trace file {found} is missing")
    return found
