"""Whole chips: a systolic array with its memories, vector unit and DRAM, batched over designs.

Their rates, energies and areas from the constants. Wires, controllers and pads are not counted, nor
is leakage of logic.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.arithmetic import (
    FORMATS,
    mac_area_um2,
    mac_energy_pj,
    number_format,
)
from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.roofline import Machine
from archgym.cost_models.accelerator.sram import SramCosts, sram_costs
from archgym.cost_models.accelerator.systolic import SystolicDesigns

FloatArray = NDArray[np.float64]
FORMAT_NAMES = tuple(FORMATS)
DRAM_NAMES = tuple(str(name) for name in constants()["dram_energy"].values)
AREA_PARTS = ("products", "registers", "vector", "sram")
# Registers are known at 40 nm.
_REGISTER_NODE_NM = 40


def format_number(name: str) -> int:
    """Number of a format.

    Raises:
        ValueError: If there is none of this name.
    """
    return FORMAT_NAMES.index(number_format(name).name)


@dataclass(frozen=True)
class ChipDesigns:
    """Chips, one entry per design `(d,)`; node and word width are those of all.

    Attributes:
        rows: Of the array.
        columns: Of the array.
        dataflow: Number of a name of `systolic.DATAFLOWS`.
        input_memory_bytes: Double-buffered.
        weight_memory_bytes: Double-buffered.
        output_memory_bytes: Double-buffered, of outputs and partial sums.
        banks: Of each memory.
        clock_ghz: Of everything but the DRAM.
        vector_lanes: Operations of the vector unit per cycle.
        dram: Number of a name of `DRAM_NAMES`.
        channels: Of it.
        weight_format: Number of a name of `FORMAT_NAMES`.
        activation_format: Likewise.
        node_nm: One of `sram.sram_nodes()`.
        sram_word_bytes: Width of an access to a memory.
    """

    rows: FloatArray
    columns: FloatArray
    dataflow: FloatArray
    input_memory_bytes: FloatArray
    weight_memory_bytes: FloatArray
    output_memory_bytes: FloatArray
    banks: FloatArray
    clock_ghz: FloatArray
    vector_lanes: FloatArray
    dram: NDArray[np.int64]
    channels: FloatArray
    weight_format: NDArray[np.int64]
    activation_format: NDArray[np.int64]
    node_nm: int = 45
    sram_word_bytes: float = 8

    def __post_init__(self) -> None:
        for name, most in (("dram", len(DRAM_NAMES)), ("weight_format", len(FORMAT_NAMES))):
            numbers = getattr(self, name)
            if np.any((numbers < 0) | (numbers >= most)):
                raise ValueError(f"{name} must be numbers from 0 to {most - 1}")
        for name in _POSITIVE:
            values = getattr(self, name)
            if not np.all(values > 0):
                raise ValueError(f"{name} is {values[~(values > 0)][0]:g}, must be positive")

    def part(self, start: int, stop: int) -> ChipDesigns:
        """Some of the designs."""
        chosen: dict[str, Any] = {}
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, np.ndarray):
                chosen[field.name] = values[start:stop]
        return replace(self, **chosen)


_POSITIVE = (
    "rows",
    "columns",
    "input_memory_bytes",
    "weight_memory_bytes",
    "output_memory_bytes",
    "banks",
    "clock_ghz",
    "vector_lanes",
    "channels",
)


@dataclass(frozen=True)
class ChipFormats:
    """Formats of chips `(d,)`.

    Attributes:
        weight: Bits of a weight.
        activation: Bits of an activation.
        total: Bits of a sum.
        energy_pj: Of a multiply-accumulate in them.
        area_um2: Of a unit for them.
    """

    weight: FloatArray
    activation: FloatArray
    total: FloatArray
    energy_pj: FloatArray
    area_um2: FloatArray


@functools.cache
def _pairs(node_nm: int) -> tuple[FloatArray, FloatArray]:
    """Energy and area of a multiply-accumulate, (weight format, activation format)."""
    energy, area = (
        np.array([[f(w, a, node_nm=node_nm) for a in FORMAT_NAMES] for w in FORMAT_NAMES])
        for f in (mac_energy_pj, mac_area_um2)
    )
    return energy, area


def formats_of(designs: ChipDesigns) -> ChipFormats:
    """Looked up in tables of all pairs of formats; sums have 32 bits."""
    bits = np.array([FORMATS[name].bits for name in FORMAT_NAMES], np.float64)
    energy, area = _pairs(designs.node_nm)
    w, a = designs.weight_format, designs.activation_format
    return ChipFormats(bits[w], bits[a], np.full_like(bits[w], 32.0), energy[w, a], area[w, a])


def dram_of(designs: ChipDesigns) -> tuple[FloatArray, FloatArray]:
    """Bandwidth in bytes per second and energy in pJ per byte."""
    speed = np.array([constants()["dram_bandwidth"][name] for name in DRAM_NAMES])
    energy = np.array([constants()["dram_energy"][name] for name in DRAM_NAMES])
    return 1e9 * speed[designs.dram] * designs.channels, 8 * energy[designs.dram]


def memories_of(designs: ChipDesigns) -> tuple[SramCosts, SramCosts, SramCosts]:
    """Of inputs, weights and outputs."""
    word, node, banks = designs.sram_word_bytes, designs.node_nm, designs.banks
    return (
        sram_costs(designs.input_memory_bytes, word, node, banks),
        sram_costs(designs.weight_memory_bytes, word, node, banks),
        sram_costs(designs.output_memory_bytes, word, node, banks),
    )


def systolic_designs(designs: ChipDesigns) -> SystolicDesigns:
    """The arrays of the chips."""
    formats = formats_of(designs)
    activation = formats.activation / 8
    return SystolicDesigns(
        designs.rows,
        designs.columns,
        designs.dataflow,
        designs.input_memory_bytes,
        designs.weight_memory_bytes,
        designs.output_memory_bytes,
        dram_of(designs)[0] / (designs.clock_ghz * 1e9),
        activation,
        formats.weight / 8,
        activation,
        formats.total / 8,
    )


def chip_machine(designs: ChipDesigns) -> Machine:
    """The chips for `roofline`: levels are the memories on the chip and the DRAM.

    The memories feed the array's edges, rows or columns of inputs, weights and sums at a time. Of
    energies there are those of products, vector operations, memories and DRAM.
    """
    formats = formats_of(designs)
    activation, weight = formats.activation / 8, formats.weight / 8
    total = formats.total / 8
    clock = designs.clock_ghz * 1e9
    elements = designs.rows * designs.columns
    speed, dram_pj = dram_of(designs)
    memories = memories_of(designs)
    reads = np.min([each.read_pj for each in memories], axis=0) / designs.sram_word_bytes
    held = elements * (activation + weight + total)
    on_chip = designs.input_memory_bytes + designs.weight_memory_bytes + designs.output_memory_bytes
    one = np.ones_like(clock)
    return Machine(
        elements * clock,
        designs.vector_lanes * clock,
        formats.energy_pj,
        vector_pj(designs.node_nm) * one,
        weight,
        activation,
        activation,
        np.stack([held, on_chip + held], axis=1),
        np.stack([edge_bytes_per_s(designs), speed], axis=1),
        np.stack([reads, dram_pj], axis=1),
        1e-3 * np.sum([each.leakage_mw for each in memories], axis=0),
    )


def edge_bytes_per_s(designs: ChipDesigns) -> FloatArray:
    """The most that enters and leaves the array: an input, a weight, a sum in and a sum out."""
    formats = formats_of(designs)
    bits = np.maximum(formats.activation, formats.weight) * 2 + 2 * formats.total
    return np.maximum(designs.rows, designs.columns) * bits / 8 * designs.clock_ghz * 1e9


def vector_pj(node_nm: int) -> float:
    """An operation of the vector unit: half of a multiply-accumulate in fp32."""
    return mac_energy_pj("fp32", "fp32", node_nm=node_nm) / 2


def areas_of(designs: ChipDesigns) -> dict[str, FloatArray]:
    """Square millimetres `(d,)` by name of `AREA_PARTS`."""
    formats = formats_of(designs)
    elements = designs.rows * designs.columns
    shrink = (designs.node_nm / _REGISTER_NODE_NM) ** 2
    bits = formats.weight + formats.activation + formats.total
    lane = mac_area_um2("fp32", "fp32", node_nm=designs.node_nm)
    return {
        "products": 1e-6 * elements * formats.area_um2,
        "registers": 1e-6 * elements * bits * constants()["register"]["area"] * shrink,
        "vector": 1e-6 * designs.vector_lanes * lane,
        "sram": np.sum([each.area_mm2 for each in memories_of(designs)], axis=0),
    }
