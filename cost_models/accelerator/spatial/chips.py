"""Chips with a spatial array: clusters with register files, buffers, buses, DRAM; their rates."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.arithmetic import mac_area_um2, power_law
from archgym.cost_models.accelerator.chip import (
    ChipDesigns,
    FloatArray,
    dram_of,
    formats_of,
    memories_of,
    vector_pj,
)
from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.roofline import Machine
from archgym.cost_models.accelerator.spatial.dataflows import FLEXIBLE, FLOWS
from archgym.cost_models.accelerator.spatial.pricing import (
    BUS,
    BUS_PJ,
    CHIP_CELLS,
    CLUSTER,
    COLUMNS,
    CYCLE_PJ,
    DRAM,
    DRAM_PJ,
    FILE_PJ,
    FILE_ROOM,
    FLOW,
    INPUT_BYTES,
    INPUT_READ_PJ,
    INPUT_ROOM,
    INPUT_WRITE_PJ,
    MAC_PJ,
    OUTPUT_READ_PJ,
    OUTPUT_ROOM,
    OUTPUT_WRITE_PJ,
    ROWS,
    WEIGHT_BYTES,
    WEIGHT_READ_PJ,
    WEIGHT_ROOM,
    WEIGHT_WRITE_PJ,
)
from archgym.cost_models.accelerator.spatial.register_file import (
    register_file_pj_per_byte,
    register_file_um2,
)

AREA_PARTS = ("products", "registers", "network", "vector", "sram")
# Registers are known at 40 nm.
_REGISTER_NODE_NM = 40
_BUSES = 3


@dataclass(frozen=True)
class SpatialDesigns:
    """Chips, one entry per design `(d,)`.

    Rows and columns of clusters; the processing elements of a cluster multiply side by side and add
    their products up. Every element has a register file of its own. Three buffers, of inputs,
    weights and outputs, have a bus each to the clusters.

    Attributes:
        chip: What they have in common with systolic arrays; rows and columns are those of clusters,
            and the dataflow is not looked at.
        flow: Number of a name of `FLOWS`.
        cluster: Processing elements of a cluster.
        register_file_bytes: Of a processing element, double-buffered.
        bus_bytes: Width of each bus: bytes per cycle and direction.
    """

    chip: ChipDesigns
    flow: NDArray[np.int64]
    cluster: FloatArray
    register_file_bytes: FloatArray
    bus_bytes: FloatArray

    def __post_init__(self) -> None:
        if np.any((self.flow < 0) | (self.flow >= len(FLOWS))):
            raise ValueError(f"flow must be numbers from 0 to {len(FLOWS) - 1}")
        for name in ("cluster", "register_file_bytes", "bus_bytes"):
            values = getattr(self, name)
            if not np.all(values > 0):
                raise ValueError(f"{name} is {values[~(values > 0)][0]:g}, must be positive")

    @property
    def elements(self) -> FloatArray:
        """Processing elements."""
        return self.chip.rows * self.chip.columns * self.cluster

    def part(self, start: int, stop: int) -> SpatialDesigns:
        """Some of the designs."""
        chosen: dict[str, Any] = {"chip": self.chip.part(start, stop)}
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, np.ndarray):
                chosen[field.name] = values[start:stop]
        return replace(self, **chosen)


def chip_rows(designs: SpatialDesigns) -> FloatArray:
    """The chips as `pricing.price` reads them `(d, CHIP_CELLS)`."""
    chip, formats = designs.chip, formats_of(designs.chip)
    speed, dram_pj = dram_of(chip)
    clock = chip.clock_ghz * 1e9
    inputs, weights, outputs = memories_of(chip)
    word = chip.sram_word_bytes
    leakage_mw = inputs.leakage_mw + weights.leakage_mw + outputs.leakage_mw
    rows = np.empty((len(chip.rows), CHIP_CELLS))
    cells: dict[int, Any] = {
        ROWS: chip.rows,
        COLUMNS: chip.columns,
        CLUSTER: designs.cluster,
        FLOW: designs.flow,
        FILE_ROOM: designs.cluster * designs.register_file_bytes / 2,
        WEIGHT_ROOM: chip.weight_memory_bytes / 2,
        INPUT_ROOM: chip.input_memory_bytes / 2,
        OUTPUT_ROOM: chip.output_memory_bytes / 2,
        BUS: designs.bus_bytes,
        DRAM: speed / clock,
        WEIGHT_BYTES: formats.weight / 8,
        INPUT_BYTES: formats.activation / 8,
        MAC_PJ: formats.energy_pj,
        FILE_PJ: register_file_pj_per_byte(designs.register_file_bytes, chip.node_nm),
        BUS_PJ: bus_pj_per_byte(designs),
        WEIGHT_READ_PJ: weights.read_pj / word,
        WEIGHT_WRITE_PJ: weights.write_pj / word,
        INPUT_READ_PJ: inputs.read_pj / word,
        INPUT_WRITE_PJ: inputs.write_pj / word,
        OUTPUT_READ_PJ: outputs.read_pj / word,
        OUTPUT_WRITE_PJ: outputs.write_pj / word,
        DRAM_PJ: dram_pj,
        CYCLE_PJ: 1e9 * leakage_mw / clock,
    }
    for cell, values in cells.items():
        rows[:, cell] = values
    return rows


def bus_pj_per_byte(designs: SpatialDesigns) -> FloatArray:
    """Energy of a byte that passes between a buffer and the clusters `(d,)`.

    A bus drives its wire along one side of the square array and one row of it, whoever listens. A
    flexible array's byte passes a register at every level of two trees of switches.
    """
    node = designs.chip.node_nm
    area = areas_of(designs)
    side_mm = np.sqrt(area["products"] + area["registers"] + area["network"])
    wire = power_law(constants()["wire"].values, node)
    register = constants()["register"]
    hop = (register["read"] + register["write"]) * constants()["technology_energy"][node]
    clusters = designs.chip.rows * designs.chip.columns
    hops = np.where(designs.flow == FLEXIBLE, np.ceil(np.log2(clusters)), 0.0)
    found: FloatArray = 8 * (wire * 2 * side_mm + hop * hops)
    return found


def areas_of(designs: SpatialDesigns) -> dict[str, FloatArray]:
    """Square millimetres `(d,)` by name of `AREA_PARTS`.

    The buses have a register at every row. A flexible array has two trees of switches instead of
    fixed connections, after MAERI (Kwon, Samajdar and Krishna, ASPLOS 2018): one that distributes,
    with a register of each operand per cluster, and one that reduces, with an adder and a register
    of a sum.
    """
    chip, formats = designs.chip, formats_of(designs.chip)
    clusters = chip.rows * chip.columns
    shrink = (chip.node_nm / _REGISTER_NODE_NM) ** 2
    bit = constants()["register"]["area"] * shrink
    adder = constants()["int_add_area"][32] * (chip.node_nm / 45) ** 2
    switch = bit * (formats.weight + formats.activation + 2 * formats.total) + adder
    buses = chip.rows * _BUSES * 8 * designs.bus_bytes * bit
    files = register_file_um2(designs.register_file_bytes, chip.node_nm)
    lane = mac_area_um2("fp32", "fp32", node_nm=chip.node_nm)
    return {
        "products": 1e-6 * designs.elements * formats.area_um2,
        "registers": 1e-6 * designs.elements * files,
        "network": 1e-6 * (buses + np.where(designs.flow == FLEXIBLE, clusters * switch, 0.0)),
        "vector": 1e-6 * chip.vector_lanes * lane,
        "sram": np.sum([each.area_mm2 for each in memories_of(chip)], axis=0),
    }


def outside_bytes_per_s(designs: SpatialDesigns) -> FloatArray:
    """The slower of DRAM and buses, for what is no operand of a product `(d,)`."""
    buses = (_BUSES + 1) * designs.bus_bytes * designs.chip.clock_ghz * 1e9
    return np.minimum(dram_of(designs.chip)[0], buses)


def spatial_machine(designs: SpatialDesigns) -> Machine:
    """The chips for `roofline`: levels are the buffers, seen by the array, and the DRAM."""
    chip, formats = designs.chip, formats_of(designs.chip)
    clock = chip.clock_ghz * 1e9
    speed, dram_pj = dram_of(chip)
    memories = memories_of(chip)
    reads = np.min([each.read_pj for each in memories], axis=0) / chip.sram_word_bytes
    held = designs.elements * designs.register_file_bytes
    on_chip = chip.input_memory_bytes + chip.weight_memory_bytes + chip.output_memory_bytes
    buses = (_BUSES + 1) * designs.bus_bytes * clock
    activation = formats.activation / 8
    return Machine(
        designs.elements * clock,
        chip.vector_lanes * clock,
        formats.energy_pj,
        vector_pj(chip.node_nm) * np.ones_like(clock),
        formats.weight / 8,
        activation,
        activation,
        np.stack([held, on_chip + held], axis=1),
        np.stack([buses, speed], axis=1),
        np.stack([reads + bus_pj_per_byte(designs), dram_pj], axis=1),
        1e-3 * np.sum([each.leakage_mw for each in memories], axis=0),
    )
