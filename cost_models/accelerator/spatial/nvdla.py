"""Frame rates that NVIDIA publishes of NVDLA, and ours for the same arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.chip import DRAM_NAMES, ChipDesigns, format_number
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.spatial.chips import SpatialDesigns, chip_rows
from archgym.cost_models.accelerator.spatial.costs import SpatialModel, map_rows
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS
from archgym.cost_models.accelerator.spatial.pricing import CYCLES, DRAM


@dataclass(frozen=True)
class Configuration:
    """A configuration of NVDLA at 1 GHz, with int8.

    Attributes:
        cells: Multiply-accumulate cells, one output channel each.
        depth: Products of a cell, which are added up.
        buffer_kib: Convolution buffer, here halved between inputs and weights.
        dram_gb_per_s: Bandwidth.
        frames_per_s: Published for ResNet-50.
    """

    cells: int
    depth: int
    buffer_kib: int
    dram_gb_per_s: float
    frames_per_s: float


# "Example Area and Performance with NVDLA", nvdla.org/primer.html (2018, read in 2026), NVIDIA's
# estimates. Cells and depths of the first four: MAC_ATOMIC_K_SIZE and MAC_ATOMIC_C_SIZE of
# nv_large, nv_medium_1024_full, nv_medium_512 and nv_small_256 in github.com/nvdla/hw, of 64
# products those of nv_small; the others lie between by halves.
PUBLISHED = (
    Configuration(32, 64, 512, 20.0, 269.0),
    Configuration(32, 32, 256, 15.0, 153.0),
    Configuration(16, 32, 256, 10.0, 93.0),
    Configuration(8, 32, 256, 5.0, 46.0),
    Configuration(8, 16, 256, 2.0, 20.0),
    Configuration(8, 8, 128, 1.0, 7.3),
    Configuration(4, 8, 128, 0.5, 3.6),
)


def frame_rate(configuration: Configuration) -> float:
    """Frames per second of ResNet-50, convolutions alone, each with its fastest mapping."""
    one = np.ones(1)
    half = configuration.buffer_kib / 2 * 1024 * one
    int8 = np.array([format_number("int8")])
    chip = ChipDesigns(
        rows=one,
        columns=configuration.cells * one,
        dataflow=0 * one,
        input_memory_bytes=half,
        weight_memory_bytes=half,
        output_memory_bytes=64 * 1024 * one,
        banks=16 * one,
        clock_ghz=one,
        vector_lanes=16 * one,
        dram=np.array([DRAM_NAMES.index("LPDDR5")]),
        channels=one,
        weight_format=int8,
        activation_format=int8,
        node_nm=22,
    )
    flow = np.array([FLOWS.index("ws")])
    designs = SpatialDesigns(chip, flow, configuration.depth * one, 16 * one, 128 * one)
    rows = chip_rows(designs)
    rows[:, DRAM] = configuration.dram_gb_per_s
    model = SpatialModel(load_network("resnet50"))
    cycles = map_rows(model.layers.rows, rows, "latency").costs[0, :, CYCLES]
    return float(1e9 / (cycles[model.layers.of_product] @ model.products.count))
