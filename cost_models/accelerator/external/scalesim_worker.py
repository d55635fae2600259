"""Runs SCALE-Sim one layer at a time; see `worker` for how it is asked.

    {"rows": 8, "columns": 8, "dataflow": "os", "m": 72, "n": 7, "k": 30,
     "ifmap_kwords": 64, "filter_kwords": 64, "ofmap_kwords": 64}
    {"cycles": 395, "ifmap_sram_reads": 2160, ...}

Memories are in units of 1,024 words: SCALE-Sim takes whole kilobytes of words of one byte.
"""

from __future__ import annotations

import csv
import importlib
import importlib.metadata
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = {ifmap_kwords}
FilterSramSzkB = {filter_kwords}
OfmapSramSzkB = {ofmap_kwords}
IfmapOffset = 0
FilterOffset = 1000000000000
OfmapOffset = 2000000000000
Dataflow = {dataflow}
Bandwidth = 10
MemoryBanks = 1
ReadRequestBuffer = 512
WriteRequestBuffer = 512
[sparsity]
SparsitySupport = false
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""

TRIAL = {
    **{"rows": 8, "columns": 8, "dataflow": "os", "m": 72, "n": 7, "k": 30},
    **{"ifmap_kwords": 64, "filter_kwords": 64, "ofmap_kwords": 64},
}

# Our names of what its reports call so, of one layer.
COMPUTE = {"cycles": "Total Cycles", "stall_cycles": "Stall Cycles"}
ACCESSES = {
    "ifmap_sram_reads": "SRAM IFMAP Reads",
    "filter_sram_reads": "SRAM Filter Reads",
    "ofmap_sram_writes": "SRAM OFMAP Writes",
    "ifmap_dram_reads": "DRAM IFMAP Reads",
    "filter_dram_reads": "DRAM Filter Reads",
    "ofmap_dram_writes": "DRAM OFMAP Writes",
}


def start() -> tuple[str, Callable[[dict[str, Any]], dict[str, float]]]:
    """The version of SCALE-Sim, and its answers."""
    simulator = importlib.import_module("scalesim.scale_sim").scalesim
    # What it needs may be too new for it, which shows where it is used.
    simulate(simulator, TRIAL)
    return importlib.metadata.version("scalesim"), partial(simulate, simulator)


def simulate(simulator: Any, request: dict[str, Any]) -> dict[str, float]:
    """Counts of one layer, from the reports that SCALE-Sim writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, layers, layout = (folder / f for f in ("run.cfg", "layers.csv", "layout.csv"))
        config.write_text(CONFIG.format(**request))
        layers.write_text("Layer, M, N, K,\nlayer, {m}, {n}, {k},\n".format(**request))
        layout.write_text("Layer,\n")
        run = simulator(
            save_disk_space=True,
            verbose=False,
            config=str(config),
            topology=str(layers),
            layout=str(layout),
            input_type_gemm=True,
        )
        run.run_scale(top_path=str(folder))
        return {
            **read_report(folder / "run" / "COMPUTE_REPORT.csv", COMPUTE),
            **read_report(folder / "run" / "DETAILED_ACCESS_REPORT.csv", ACCESSES),
        }


def read_report(path: Path, columns: dict[str, str]) -> dict[str, float]:
    """Some columns of a report of one layer, by our names."""
    with path.open(newline="") as stream:
        (row,) = csv.DictReader(stream, skipinitialspace=True)
    return {ours: float(row[theirs]) for ours, theirs in columns.items()}
