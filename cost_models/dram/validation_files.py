"""Reading the reference figures that the DRAM model is compared with."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
from collections.abc import Iterable
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


def read_rows(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file, gzip or not, that has at least these columns and one row."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing")
    rows = list(reader)
    if not rows:
        raise ValueError(f"{path}: no rows below the header")
    return rows
