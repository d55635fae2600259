"""Mappings on a hierarchy in the terms of ZigZag.

A level is a memory of the operands that a mapping keeps there. Its words are read and written by a
port each, whose width is the bandwidth and whose least access is a word; so an access costs what it
does in `loopnest`. Loops of a level that does not keep an operand belong to that operand's next
outer memory. Rows and columns of every array are dimensions of ZigZag's array.

Buffering is not told: whether an exchange overlaps with computing is what ZigZag finds out from
what else fits a memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.mapping import LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, Problem
from archgym.cost_models.accelerator.loopnest.zigzag import Accelerator, Layer, Loop, Memory

LOOPS = dict(zip(DIMS, ("B", "K", "C", "OY", "OX", "FY", "FX"), strict=True))
"""ZigZag's names of the dimensions."""

_OPERANDS = dict(zip(TENSORS, ("W", "I", "O"), strict=True))
_READS = {"W": ("rd_low",), "I": ("rd_low",), "O": ("rd_low", "rd_high")}
_WRITES = {"W": ("wr_high",), "I": ("wr_high",), "O": ("wr_low", "wr_high")}
# ZigZag names dimensions of an array D0 to D9.
_MOST_AXES = 10


@dataclass(frozen=True)
class ZigZagMapping:
    """A mapping as `zigzag.evaluate` takes it.

    Attributes:
        accelerator: Memories, and what lies side by side.
        layer: The operator.
        temporal: Loops of every operand and memory, innermost first.
        levels: Per operand, the levels of the hierarchy that its memories are.
    """

    accelerator: Accelerator
    layer: Layer
    temporal: dict[str, list[list[Loop]]]
    levels: dict[str, list[int]]


def check_expressible(hierarchy: Hierarchy) -> None:
    """Check that a hierarchy has nothing that ZigZag has no words for.

    Raises:
        ValueError: If a bandwidth is unlimited or differs between reads and writes, computing is to
            wait for an exchange in any case, or arrays have too many axes; one line that names it.
    """
    axes = 0
    for level in hierarchy.levels:
        read, write = level.read_words_per_cycle, level.write_words_per_cycle
        if read != write or math.isinf(read):
            raise ValueError(
                f"level {level.name!r}: it reads {read:g} and writes {write:g} words per cycle, "
                f"ZigZag takes one limited bandwidth"
            )
        if level.buffering == "single":
            raise ValueError(
                f"level {level.name!r}: its buffering is 'single', ZigZag overlaps what fits"
            )
        axes += (level.fanout_x > 1) + (level.fanout_y > 1)
    if axes > _MOST_AXES:
        raise ValueError(f"hierarchy: arrays have {axes} axes, ZigZag takes up to {_MOST_AXES}")


def zigzag_mapping(hierarchy: Hierarchy, mapping: Mapping, problem: Problem) -> ZigZagMapping:
    """A mapping in ZigZag's terms.

    Raises:
        ValueError: If the mapping is not one of the problem on the hierarchy, or ZigZag has no
            words for the hierarchy; one line that names it.
    """
    check_expressible(hierarchy)
    mapping.check(hierarchy, problem)
    levels = {
        operand: [i for i, here in enumerate(mapping.levels) if tensor not in here.bypass]
        for tensor, operand in _OPERANDS.items()
    }
    loops = [_loops(here) for here in mapping.levels]
    temporal = {operand: _held(loops, kept) for operand, kept in levels.items()}
    bits = {op: hierarchy.bits[i] for i, op in enumerate(_OPERANDS.values())}
    stride_h, stride_w, dilation_h, dilation_w = problem.window
    layer = Layer(
        dict(zip(LOOPS.values(), problem.sizes, strict=True)),
        (stride_h, stride_w),
        bits,
        bits["O"],
        (dilation_h, dilation_w),
    )
    return ZigZagMapping(_accelerator(hierarchy, mapping, levels), layer, temporal, levels)


def _loops(here: LevelMapping) -> list[Loop]:
    """Temporal loops of a level with several iterations, innermost first."""
    named = [(DIMS[d], int(here.temporal.get(DIMS[d], 1))) for d in here.full_order]
    return [(LOOPS[d], factor) for d, factor in named if factor > 1]


def _held(loops: list[list[Loop]], kept: list[int]) -> list[list[Loop]]:
    """Loops of the memories of an operand: those of its level and of levels that it bypasses."""
    first = [0, *(level + 1 for level in kept[:-1])]
    return [
        [loop for level in loops[start : end + 1] for loop in level]
        for start, end in zip(first, kept, strict=True)
    ]


def _accelerator(
    hierarchy: Hierarchy, mapping: Mapping, levels: dict[str, list[int]]
) -> Accelerator:
    memories: list[Memory] = []
    unrolling: dict[str, tuple[Loop, ...]] = {}
    for i, (level, here) in enumerate(zip(hierarchy.levels, mapping.levels, strict=True)):
        for fanout, part in ((level.fanout_x, here.spatial_x), (level.fanout_y, here.spatial_y)):
            if fanout > 1:
                unrolling[f"D{len(unrolling)}"] = tuple(
                    (LOOPS[d], int(part[d])) for d in DIMS if part.get(d, 1) > 1
                )
        operands = [operand for operand, kept in levels.items() if i in kept]
        if operands:
            memories.append(_memory(level, operands, tuple(unrolling)))
    return Accelerator(hierarchy.mac_pj, tuple(memories), unrolling)


def _memory(level: Level, operands: list[str], serves: tuple[str, ...]) -> Memory:
    words = level.read_words_per_cycle
    return Memory(
        level.name,
        level.capacity_words * level.word_bits,
        level.read_pj * words,
        level.write_pj * words,
        words * level.word_bits,
        level.word_bits,
        serves,
        tuple(
            tuple((op, way) for op in operands for way in ways[op]) for ways in (_READS, _WRITES)
        ),
    )
