"""Parameters and rules that spaces of accelerators share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.arithmetic import FORMATS
from archgym.cost_models.accelerator.chip import DRAM_NAMES, ChipDesigns, format_number
from archgym.cost_models.accelerator.sram import sram_range
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

_KIB = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 24576, 32768)
MEMORIES = {"InputMemoryKiB": "inputs", "WeightMemoryKiB": "weights", "OutputMemoryKiB": "outputs"}
"""Parameters of the memories' sizes, and what they hold."""
FORMAT_BITS: Mapping[str, int] = {name: each.bits for name, each in FORMATS.items()}


class Choices:
    """Reads values of index rows `(n, d)` of a space.

    Args:
        space: of the rows.
        rows: which designs.
        fixed: values of parameters that the space has not.
    """

    def __init__(
        self, space: DesignSpace, rows: IntArray, fixed: Mapping[str, Value] | None = None
    ) -> None:
        self._space, self._rows = space, rows
        self._fixed = fixed or {}

    def __call__(self, name: str, code: Callable[[str], int] | None = None) -> FloatArray:
        """The values of a parameter `(n,)`, or the code of each."""
        values: Sequence[Value] = (self._fixed[name],) if name in self._fixed else ()
        rows = np.zeros(len(self._rows), np.int64)
        if not values:
            j = self._space.position(name)
            values, rows = self._space.parameters[j].values, self._rows[:, j]
        codes = values if code is None else [code(str(value)) for value in values]
        return np.array(codes, np.float64)[rows]

    def chips(self, dataflow: FloatArray, node_nm: int, word_bytes: float) -> ChipDesigns:
        """Chips of the parameters that all spaces have."""
        return ChipDesigns(
            self("Rows"),
            self("Columns"),
            dataflow,
            self("InputMemoryKiB") * 1024,
            self("WeightMemoryKiB") * 1024,
            self("OutputMemoryKiB") * 1024,
            self("Banks"),
            self("ClockGHz"),
            self("VectorLanes"),
            self("Dram", DRAM_NAMES.index).astype(np.int64),
            self("Channels"),
            self("WeightFormat", format_number).astype(np.int64),
            self("ActivationFormat", format_number).astype(np.int64),
            node_nm,
            word_bytes,
        )


def narrowest_integer(least_bits: int) -> str:
    """The narrowest integer format of 8 bits or more that is wide enough."""
    integers = [e for e in FORMATS.values() if not e.is_float and e.bits >= max(8, least_bits)]
    return min(integers, key=lambda each: each.bits).name


def narrowed(
    parameters: Sequence[Parameter], narrow: Mapping[str, tuple[Value, ...]]
) -> tuple[list[Parameter], dict[str, Value]]:
    """Parameters with some values only, and those that are left without a choice, as values."""
    fixed = {name: values[0] for name, values in narrow.items() if len(values) == 1}
    kept = [
        replace(each, values=narrow.get(each.name, each.values))
        for each in parameters
        if each.name not in fixed
    ]
    return kept, fixed


def with_fixed(constraint: Constraint, fixed: Mapping[str, Value]) -> Constraint:
    """A rule that finds some parameters fixed."""
    if not fixed:
        return constraint

    def satisfied(columns: Columns) -> BoolArray:
        n = len(next(iter(columns.values())))
        filled = {name: np.full(n, value) for name, value in fixed.items()}
        return constraint.satisfied({**columns, **filled})

    return replace(constraint, satisfied=satisfied)


def designed(chosen: Mapping[str, Value], space: DesignSpace) -> Mapping[str, Value]:
    """Of a design, what a space has parameters for."""
    return {name: value for name, value in chosen.items() if name in space.names}


def clock_parameter() -> Parameter:
    """The clock."""
    return Parameter(
        "ClockGHz",
        (0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0),
        "clock of everything but the DRAM",
        unit="GHz",
        subsystem="array",
        ordered=True,
    )


def vector_parameter() -> Parameter:
    """The vector unit."""
    return Parameter(
        "VectorLanes",
        (4, 8, 16, 32, 64, 128, 256, 512, 1024),
        "operations of the vector unit per cycle",
        subsystem="vector unit",
        ordered=True,
    )


def memory_parameters() -> Sequence[Parameter]:
    """The three memories."""
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


def dram_parameters() -> Sequence[Parameter]:
    """The DRAM."""
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


def format_parameters(least_bits: int) -> Sequence[Parameter]:
    """The number formats.

    Raises:
        ValueError: if none is wide enough.
    """
    names = tuple(each.name for each in FORMATS.values() if each.bits >= least_bits)
    if not names:
        widest = max(each.bits for each in FORMATS.values())
        raise ValueError(f"least_bits: {least_bits} is above {widest}, the widest format's")
    return (
        Parameter("WeightFormat", names, "number format of weights", subsystem="formats"),
        Parameter("ActivationFormat", names, "number format of activations", subsystem="formats"),
    )


def batch_parameters(batches: Sequence[int]) -> Sequence[Parameter]:
    """The batch, where there is a choice."""
    if len(batches) < 2:
        return ()
    doc = "inferences that run together"
    return (Parameter("Batch", tuple(batches), doc, "", "workload", ordered=True),)


def bank_constraints(node_nm: int, word_bytes: float) -> Sequence[Constraint]:
    """Memories are known for banks of some sizes."""
    low, high = sram_range(node_nm, word_bytes)

    def known(name: str) -> Callable[[Columns], BoolArray]:
        def satisfied(columns: Columns) -> BoolArray:
            bank = columns[name] * 1024 / columns["Banks"]
            return np.asarray((bank >= low) & (bank <= high))

        return satisfied

    return [
        Constraint(
            f"bank of {what} not from {low // 1024} to {high // 1024} KiB",
            known(name),
            f"SRAM is known for banks of {low} to {high} bytes at {node_nm} nm",
        )
        for name, what in MEMORIES.items()
    ]


def format_bytes(names: NDArray[Any]) -> FloatArray:
    """Bytes of an element in each of some formats `(n,)`."""
    return np.array([FORMAT_BITS[str(name)] for name in names], np.float64) / 8
