"""The design space of accelerators: array, memories, DRAM, clock, formats, dataflow and batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from archgym.cost_models.accelerator.arithmetic import FORMATS
from archgym.cost_models.accelerator.chip import DRAM_NAMES, ChipDesigns, format_number
from archgym.cost_models.accelerator.sram import sram_range
from archgym.cost_models.accelerator.systolic import DATAFLOWS, dataflow_number
from archgym.metric import FloatArray
from archgym.space import (
    BoolArray,
    Columns,
    Constraint,
    DesignSpace,
    IntArray,
    Parameter,
    Value,
)

_EDGES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_KIB = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 24576, 32768)
MEMORIES = {"InputMemoryKiB": "inputs", "WeightMemoryKiB": "weights", "OutputMemoryKiB": "outputs"}
"""Parameters of the memories' sizes, and what they hold."""

BASELINES: Mapping[str, Mapping[str, Value]] = {
    # Jouppi et al., In-Datacenter Performance Analysis of a Tensor Processing Unit, ISCA 2017: 256
    # x 256 8-bit units at 700 MHz, weights in place, 24 MiB of activations, 4 MiB of sums, four
    # tiles of weights (256 KiB), activations 256 at a time, two channels of DDR3 (there 2133, of
    # 34 GB/s; here 1600). Banks are not published: 32, which the model knows at every node.
    "tpu-v1": {
        "Rows": 256,
        "Columns": 256,
        "Dataflow": "ws",
        "InputMemoryKiB": 24576,
        "WeightMemoryKiB": 256,
        "OutputMemoryKiB": 4096,
        "Banks": 32,
        "ClockGHz": 0.7,
        "VectorLanes": 256,
        "Dram": "DDR3",
        "Channels": 2,
        "Batch": 1,
    },
    # Genc et al., Gemmini, DAC 2021: the 16 x 16 8-bit array at 1 GHz with a scratchpad of 256 KiB
    # (here halved between inputs and weights) in 4 banks and 64 KiB of sums. Its memory and vector
    # unit depend on the system: one channel of LPDDR5, and a lane per column.
    "gemmini": {
        "Rows": 16,
        "Columns": 16,
        "Dataflow": "ws",
        "InputMemoryKiB": 128,
        "WeightMemoryKiB": 128,
        "OutputMemoryKiB": 64,
        "Banks": 4,
        "ClockGHz": 1.0,
        "VectorLanes": 16,
        "Dram": "LPDDR5",
        "Channels": 1,
        "Batch": 1,
    },
}
"""Designs that can be a task's default, by name, in the narrowest integers of 8 bits or more."""


def default_design(baseline: str, space: DesignSpace, least_bits: int) -> Mapping[str, Value]:
    """Returns a baseline as a design of the space."""
    integers = [e for e in FORMATS.values() if not e.is_float and e.bits >= max(8, least_bits)]
    narrowest = min(integers, key=lambda each: each.bits).name
    formats = {"WeightFormat": narrowest, "ActivationFormat": narrowest}
    chosen = {**BASELINES[baseline], **formats}
    return {name: value for name, value in chosen.items() if name in space.names}


def accelerator_space(
    node_nm: int, word_bytes: float, least_bits: int, batches: Sequence[int]
) -> DesignSpace:
    """Returns the space.

    Args:
        node_nm: process, which limits the sizes of memory banks.
        word_bytes: width of an access to a memory, likewise.
        least_bits: of weights and activations.
        batches: that may be chosen; the parameter is left out where there is one only.
    """
    parameters = [*_array(), *_memories(), *_dram(), *_formats(least_bits)]
    if len(batches) > 1:
        doc = "inferences that run together"
        parameters.append(Parameter("Batch", tuple(batches), doc, "", "workload", ordered=True))
    return DesignSpace(parameters, _constraints(node_nm, word_bytes))


def chips(space: DesignSpace, rows: IntArray, node_nm: int, word_bytes: float) -> ChipDesigns:
    """Returns the chips of index rows `(n, d)` of the space."""

    def chosen(name: str, code: Callable[[str], int] | None = None) -> FloatArray:
        j = space.position(name)
        values = space.parameters[j].values
        codes = values if code is None else [code(str(value)) for value in values]
        return np.array(codes, np.float64)[rows[:, j]]

    return ChipDesigns(
        chosen("Rows"),
        chosen("Columns"),
        chosen("Dataflow", dataflow_number),
        chosen("InputMemoryKiB") * 1024,
        chosen("WeightMemoryKiB") * 1024,
        chosen("OutputMemoryKiB") * 1024,
        chosen("Banks"),
        chosen("ClockGHz"),
        chosen("VectorLanes"),
        chosen("Dram", DRAM_NAMES.index).astype(np.int64),
        chosen("Channels"),
        chosen("WeightFormat", format_number).astype(np.int64),
        chosen("ActivationFormat", format_number).astype(np.int64),
        node_nm,
        word_bytes,
    )


def _array() -> Sequence[Parameter]:
    return (
        Parameter("Rows", _EDGES, "rows of the array", "", "array", ordered=True),
        Parameter("Columns", _EDGES, "columns of the array", "", "array", ordered=True),
        Parameter(
            "Dataflow",
            DATAFLOWS,
            "what stays in the array: outputs, weights or inputs",
            subsystem="array",
        ),
        Parameter(
            "ClockGHz",
            (0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0),
            "clock of everything but the DRAM",
            unit="GHz",
            subsystem="array",
            ordered=True,
        ),
        Parameter(
            "VectorLanes",
            (4, 8, 16, 32, 64, 128, 256, 512, 1024),
            "operations of the vector unit per cycle",
            subsystem="vector unit",
            ordered=True,
        ),
    )


def _memories() -> Sequence[Parameter]:
    sizes = [
        Parameter(name, _KIB, f"double-buffered memory of {what}", "KiB", "memories", ordered=True)
        for name, what in MEMORIES.items()
    ]
    banks = Parameter(
        "Banks",
        (1, 2, 4, 8, 16, 32, 64),
        "equal banks that each of the three memories is made of",
        subsystem="memories",
        ordered=True,
    )
    return (*sizes, banks)


def _dram() -> Sequence[Parameter]:
    return (
        Parameter("Dram", DRAM_NAMES, "type of the memory outside", subsystem="DRAM"),
        Parameter(
            "Channels",
            (1, 2, 4, 8),
            "channels of it (stacks of HBM)",
            subsystem="DRAM",
            ordered=True,
        ),
    )


def _formats(least_bits: int) -> Sequence[Parameter]:
    names = tuple(each.name for each in FORMATS.values() if each.bits >= least_bits)
    if not names:
        widest = max(each.bits for each in FORMATS.values())
        raise ValueError(f"least_bits: {least_bits} is above {widest}, the widest format's")
    return (
        Parameter("WeightFormat", names, "number format of weights", subsystem="formats"),
        Parameter("ActivationFormat", names, "number format of activations", subsystem="formats"),
    )


def _constraints(node_nm: int, word_bytes: float) -> Sequence[Constraint]:
    low, high = sram_range(node_nm, word_bytes)

    def known(name: str) -> Callable[[Columns], BoolArray]:
        def satisfied(columns: Columns) -> BoolArray:
            bank = columns[name] * 1024 / columns["Banks"]
            return np.asarray((bank >= low) & (bank <= high))

        return satisfied

    banks = [
        Constraint(
            f"bank of {what} not from {low // 1024} to {high // 1024} KiB",
            known(name),
            f"SRAM is known for banks of {low} to {high} bytes at {node_nm} nm",
        )
        for name, what in MEMORIES.items()
    ]
    tile = Constraint(
        "tile in the array larger than half its memory",
        _tile_fits,
        "what stays (ws: weights, is: inputs) is loaded from one half while the other is filled",
    )
    return (*banks, tile)


def _tile_fits(columns: Columns) -> BoolArray:
    bits = {name: each.bits for name, each in FORMATS.items()}
    fits = np.ones(len(columns["Rows"]), np.bool_)
    for flow, memory, format_of in (
        ("ws", "WeightMemoryKiB", "WeightFormat"),
        ("is", "InputMemoryKiB", "ActivationFormat"),
    ):
        width = np.array([bits[str(name)] for name in columns[format_of]], np.float64)
        tile = columns["Rows"] * columns["Columns"] * width / 8
        fits &= (columns["Dataflow"] != flow) | (tile <= columns[memory] * 512)
    return fits
