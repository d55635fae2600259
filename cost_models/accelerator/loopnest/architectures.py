"""Accelerators with a fixed hierarchy, and what a mapping on them may choose.

The loops of an operator can stand at a few levels (`loops`), dimensions can be laid out on a few
axes of arrays (`axes`), and some levels can be bypassed (`optional`). Levels without loops of their
own hold tiles of the same iterations as the level below them: this is how memories that hold one
tensor each stand side by side.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass

from archgym.cost_models.accelerator.arithmetic import mac_energy_pj
from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS
from archgym.cost_models.accelerator.sram import SramCosts, sram_costs

COLUMNS, ROWS = "columns", "rows"


@dataclass(frozen=True)
class Axis:
    """One axis of an array.

    Attributes:
        level: Name of the level below which it lies.
        kind: `columns` or `rows`.
        dims: Dimensions that may be laid out on it, such as `"KQ"`.
    """

    level: str
    kind: str
    dims: str


@dataclass(frozen=True)
class Architecture:
    """A hierarchy, and what mappings on it choose.

    Attributes:
        name: Its name.
        summary: One line.
        source: Where its figures are from.
        hierarchy: Levels from the innermost outwards.
        loops: Names of the levels that have temporal loops; the innermost and the outermost do.
        axes: Axes of the arrays.
        bypassed: Pairs (level, tensor) that are never held, although the level could.
        optional: Pairs (level, tensor) that a mapping may bypass.

    Raises:
        ValueError: If a name is unknown, or the innermost or the outermost level has no loops.
    """

    name: str
    summary: str
    source: str
    hierarchy: Hierarchy
    loops: tuple[str, ...]
    axes: tuple[Axis, ...]
    bypassed: tuple[tuple[str, str], ...] = ()
    optional: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [level.name for level in self.hierarchy.levels]
        mentioned = [*self.loops, *(axis.level for axis in self.axes)]
        mentioned += [level for level, _ in (*self.bypassed, *self.optional)]
        for name in mentioned:
            if name not in names:
                raise ValueError(f"{self.name}: level {name!r} is none of {', '.join(names)}")
        for name in (names[0], names[-1]):
            if name not in self.loops:
                raise ValueError(f"{self.name}: level {name!r} has no loops, it must")
        for axis in self.axes:
            if axis.kind not in (COLUMNS, ROWS) or not set(axis.dims) <= set(DIMS):
                raise ValueError(f"{self.name}: {axis} is not of columns or rows, or of {DIMS}")
        for level, tensor in (*self.bypassed, *self.optional):
            if tensor not in TENSORS or level == names[-1]:
                raise ValueError(f"{self.name}: {level!r} cannot bypass {tensor!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the levels."""
        return tuple(level.name for level in self.hierarchy.levels)

    @property
    def loop_levels(self) -> tuple[int, ...]:
        """Levels that have temporal loops, innermost first."""
        return tuple(i for i, name in enumerate(self.names) if name in self.loops)

    def level(self, name: str) -> int:
        """Number of a level."""
        return self.names.index(name)

    def fanout(self, axis: Axis) -> int:
        """Parts that lie side by side on an axis."""
        level = self.hierarchy.levels[self.level(axis.level)]
        return level.fanout_x if axis.kind == COLUMNS else level.fanout_y

    def keeps(self, bypassed: tuple[tuple[str, str], ...] = ()) -> list[list[bool]]:
        """Whether each level holds each tensor [level][tensor], less what is bypassed besides."""
        left_out = {*self.bypassed, *bypassed}
        return [
            [t in level.tensors and (level.name, t) not in left_out for t in TENSORS]
            for level in self.hierarchy.levels
        ]


def architecture_names() -> tuple[str, ...]:
    """Names of the accelerators that ship."""
    return tuple(_MAKERS)


def architecture(name: str) -> Architecture:
    """An accelerator that ships.

    Raises:
        ValueError: For an unknown name.
    """
    if name not in _MAKERS:
        near = difflib.get_close_matches(name, _MAKERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        allowed = ", ".join(_MAKERS)
        raise ValueError(f"architecture: {name!r} is unknown{hint} Allowed: {allowed}.")
    return _MAKERS[name]()


def _eyeriss() -> Architecture:
    """Eyeriss: three scratchpads per element, a global buffer that weights pass by."""
    mac_pj = mac_energy_pj("int16", "int16", "int16", 65)
    relative = constants()["relative_to_mac"]
    pad, buffer = (mac_pj * relative[name] for name in ("register_file_0.5KB", "buffer_100KB"))
    dram = mac_pj * relative["dram"]

    def scratchpad(tensor: str, words: int) -> Level:
        name = f"{tensor}-spad"
        return Level(name, words, 2, 2, pad, pad, tensors=(tensor,))

    levels = (
        scratchpad("inputs", 12),
        scratchpad("weights", 224),
        scratchpad("outputs", 24),
        Level("GLB", 51200, 16, 16, buffer, buffer, fanout_x=14, fanout_y=12),
        Level("DRAM", math.inf, 4, 4, dram, dram),
    )
    return Architecture(
        "eyeriss",
        "Eyeriss: 12 x 14 elements with scratchpads per tensor, 100 KiB buffer, 16 bits",
        "Chen et al., JSSC 2017 (array, memories, 64-bit DRAM interface); energies relative to a "
        "MAC: Chen, Emer and Sze, ISCA 2016, table IV; bandwidth of buffer and scratchpads (16 and "
        "2 words per cycle) and dimensions on the axes as in Timeloop's exercises",
        Hierarchy(levels, mac_pj),
        ("inputs-spad", "GLB", "DRAM"),
        (Axis("GLB", COLUMNS, "KQ"), Axis("GLB", ROWS, "KCRS")),
        (("GLB", "weights"),),
        (("GLB", "inputs"), ("GLB", "outputs")),
    )


def _sram(name: str, kib: float, read: float, write: float, **rest: object) -> Level:
    """SRAM of one bank, in bytes; CACTI at 45 nm, words of 8 bytes."""
    costs = sram_costs(kib * 1024, 8, 45)
    read_pj, write_pj = float(costs.read_pj[0]) / 8, float(costs.write_pj[0]) / 8
    return Level(name, kib * 1024, read, write, read_pj, write_pj, 8, **rest)  # type: ignore[arg-type]


def _dram(kind: str, bytes_per_cycle: float) -> Level:
    """DRAM, in bytes."""
    pj = 8 * constants()["dram_energy"][kind]
    return Level("DRAM", math.inf, bytes_per_cycle, bytes_per_cycle, pj, pj, 8)


def _simba() -> Architecture:
    """A chiplet of Simba: elements of 8 x 8 MACs with a buffer per tensor."""
    levels = (
        _sram("input-buffer", 8, 64, 64, tensors=("inputs",), fanout_x=8, fanout_y=8),
        _sram("weight-buffer", 32, 64, 64, tensors=("weights",)),
        _sram("sum-buffer", 3, 24, 24, tensors=("outputs",)),
        _sram("GLB", 64, 32, 32, fanout_x=4, fanout_y=4),
        _dram("LPDDR4", 16),
    )
    return Architecture(
        "simba",
        "Simba chiplet: 4 x 4 elements of 8 8-wide lanes, 64 KiB buffer, 8 bits, sums of 24",
        "Shao et al., MICRO 2019 (array, buffers, widths); energies: constants.yaml at 45 nm; "
        "bandwidths of the buffers feed all MACs, those of GLB and DRAM (32 and 16 bytes per "
        "cycle) are chosen; weight registers of the lanes are left out",
        Hierarchy(levels, mac_energy_pj("int8", "int8", "int32", 45), (8, 8, 24)),
        ("input-buffer", "GLB", "DRAM"),
        (
            Axis("input-buffer", COLUMNS, "K"),
            Axis("input-buffer", ROWS, "C"),
            Axis("GLB", COLUMNS, "KPQ"),
            Axis("GLB", ROWS, "CPQ"),
        ),
        (("GLB", "weights"),),
        (("GLB", "inputs"), ("GLB", "outputs")),
    )


def _tpu() -> Architecture:
    """The first TPU: weights stay in the array, sums in accumulators, activations in a buffer."""
    register = 8 * constants()["register"]["read"]
    buffer = sram_costs(24 * 2**20, 8, 45, banks=256)
    sums = sram_costs(4 * 2**20, 8, 45, banks=256)

    def large(
        name: str, mib: int, tensor: str, costs: SramCosts, width: int, side: int = 1
    ) -> Level:
        read, write = float(costs.read_pj[0]) / 8, float(costs.write_pj[0]) / 8
        size = mib * 2**20
        return Level(name, size, width, width, read, write, 8, side, side, (tensor,))

    levels = (
        Level(
            "registers", 2, 1, 1, register, register, 8, tensors=("weights",), buffering="double"
        ),
        large("accumulators", 4, "outputs", sums, 1024, 256),
        large("activations", 24, "inputs", buffer, 256),
        _dram("DDR3", 30e9 / 700e6),
    )
    return Architecture(
        "tpu",
        "TPU v1: 256 x 256 MACs that hold weights, 4 MiB of sums, 24 MiB of activations, 8 bits",
        "Jouppi et al., ISCA 2017 (array, memories, 30 GB/s of DDR3 at 700 MHz); energies: "
        "constants.yaml at 45 nm, memories of 256 banks",
        Hierarchy(levels, mac_energy_pj("int8", "int8", "int32", 45), (8, 8, 32)),
        ("registers", "accumulators", "DRAM"),
        (Axis("accumulators", COLUMNS, "K"), Axis("accumulators", ROWS, "CRS")),
    )


def _edge() -> Architecture:
    """A small accelerator on which most dimensions may lie side by side."""
    register = 8 * constants()["register"].alternatives[0].values["read"]
    levels = (
        Level("RF", 128, 8, 8, register, register, 8),
        _sram("GLB", 64, 32, 32, fanout_x=8, fanout_y=8),
        _dram("LPDDR4", 8),
    )
    return Architecture(
        "edge",
        "8 x 8 elements with 128-byte registers, 64 KiB buffer, LPDDR4, 8 bits, sums of 32",
        "array in the class of ShiDianNao (Du et al., ISCA 2015: 8 x 8 elements); memories and "
        "bandwidths are chosen; energies: constants.yaml at 45 nm, register files by Eyeriss (ISCA "
        "2016, table IV)",
        Hierarchy(levels, mac_energy_pj("int8", "int8", "int32", 45), (8, 8, 32)),
        ("RF", "GLB", "DRAM"),
        (Axis("GLB", COLUMNS, "KPQN"), Axis("GLB", ROWS, "CKPRS")),
        (),
        tuple(("GLB", tensor) for tensor in TENSORS),
    )


_MAKERS: dict[str, Callable[[], Architecture]] = {
    "eyeriss": _eyeriss,
    "simba": _simba,
    "tpu": _tpu,
    "edge": _edge,
}
