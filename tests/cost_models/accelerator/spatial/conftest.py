"""Chips with a spatial array to evaluate."""

from collections.abc import Callable

import numpy as np
import pytest

from archgym.cost_models.accelerator.chip import DRAM_NAMES, ChipDesigns, format_number
from archgym.cost_models.accelerator.spatial.chips import SpatialDesigns
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS

NVDLA = {
    "rows": 1,
    "columns": 32,
    "cluster": 64,
    "file": 16,
    "bus": 128,
    "inputs": 256,
    "weights": 256,
    "outputs": 64,
    "banks": 16,
    "clock": 1.0,
    "lanes": 16,
    "dram": "LPDDR5",
    "channels": 2,
    "format": "int8",
}


def chips(flow: str, **given: object) -> SpatialDesigns:
    """NVDLA with another dataflow and sizes; a list makes several chips."""
    chosen = {**NVDLA, **given}
    count = max(len(v) if isinstance(v, list) else 1 for v in chosen.values())

    def column(name: str) -> np.ndarray:
        value = chosen[name]
        return np.array(value if isinstance(value, list) else [value] * count, np.float64)

    number = np.full(count, format_number(chosen["format"]))
    chip = ChipDesigns(
        column("rows"),
        column("columns"),
        np.zeros(count),
        column("inputs") * 1024,
        column("weights") * 1024,
        column("outputs") * 1024,
        column("banks"),
        column("clock"),
        column("lanes"),
        np.full(count, DRAM_NAMES.index(chosen["dram"])),
        column("channels"),
        number,
        number,
        node_nm=22,
    )
    flows = np.full(count, FLOWS.index(flow))
    return SpatialDesigns(chip, flows, column("cluster"), column("file"), column("bus"))


@pytest.fixture(scope="session")
def spatial() -> Callable[..., SpatialDesigns]:
    return chips
