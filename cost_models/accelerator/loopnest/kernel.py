"""The access counts of mappings, one point after another, compiled.

A point is walked once: its temporal loops with more than one iteration are listed from the
innermost outwards, and per tensor every pair of neighbouring levels that hold it (a child and its
parent) is counted. With V the child's tile and the loops above the child, of factors f,

    weights, outputs   tiles = product of f from the innermost loop that moves the tensor outwards
    inputs             words = V + sum over loops j of (f_j - 1) (product of f outside of j)
                               (V - what the tile shares with itself moved by what a step of j moves
                               it)

A step of loop j moves the tile by its own step less all that the loops inside it had moved. What
the parent reads is the same sum for the union of its children's tiles: they share words by
multicast, and pass halos on to each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.loopnest.arrays import FILLS, READS, BoolArray, FloatArray
from archgym.cost_models.accelerator.loopnest.box_counts import count_outputs, count_weights, hold
from archgym.cost_models.accelerator.loopnest.costs import cost
from archgym.cost_models.accelerator.loopnest.input_counts import SETS, count_inputs
from archgym.cost_models.accelerator.loopnest.loops import L_CELLS, list_loops
from archgym.cost_models.accelerator.loopnest.problem import INPUTS, IntArray, P, Q, R, S
from archgym.cost_models.accelerator.loopnest.window import CELLS as SET_CELLS
from archgym.cost_models.jit import apart, compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)


class Points(NamedTuple):
    """Points for a kernel; arrays of one row hold for all of them.

    Attributes:
        temporal: See `Mappings`, as the next four.
        order: Loop orders.
        spatial_x: Parts on columns.
        spatial_y: Parts on rows.
        keep: What is held.
        problems: Bounds, strides and dilations (n or 1, 11), the last two of an axis coprime.
        capacity: See `Machines`, as the next.
        bandwidth: Of reads and writes (n or 1, levels, 2).
        energy: Of reads and writes (n or 1, levels, 2).
        words: Words of an element.
        copies: Tiles held.
        overlapped: Whether exchanges are hidden.
        mac_pj: Energy of a multiply-accumulate.
    """

    temporal: IntArray
    order: IntArray
    spatial_x: IntArray
    spatial_y: IntArray
    keep: BoolArray
    problems: IntArray
    capacity: FloatArray
    bandwidth: FloatArray
    energy: FloatArray
    words: FloatArray
    copies: FloatArray
    overlapped: BoolArray
    mac_pj: FloatArray


class Figures(NamedTuple):
    """What a kernel fills in.

    Attributes:
        totals: Cycles, iterations and energy in pJ (n, 3).
        overflow: Words beyond the capacity (n, levels).
        level_cycles: Cycles that a level's own accesses take (n, levels).
        counts: Reads, fills, updates and drains of all instances (n or 1, levels, 3, 4); of one
            row, it holds the last point's.
        held: Elements of an instance's tile (n or 1, levels, 3), likewise.
    """

    totals: FloatArray
    overflow: FloatArray
    level_cycles: FloatArray
    counts: FloatArray
    held: FloatArray


class Scratch(NamedTuple):
    """Memory of one point after another: see `list_loops`, `count_inputs` and `split_point`."""

    split: IntArray
    tile: IntArray
    dims: IntArray
    loops: IntArray
    outside: FloatArray
    first: IntArray
    instances: FloatArray
    sets: IntArray
    marks: IntArray
    moved: FloatArray
    steps: IntArray


@inlined
def row(array: NDArray[Any], i: int) -> int:
    """Where an array has what point i is told by."""
    return i if array.shape[0] > 1 else 0


@inlined
def split_point(
    columns: IntArray,
    rows: IntArray,
    problem: IntArray,
    split: IntArray,
    instances: FloatArray,
    steps: IntArray,
) -> float:
    """Parts (levels, 7), instances in use (levels,) and paces of a point; units in use.

    `steps` (2, 7) are the rows and columns of the input that a step of each dimension moves.
    """
    parts = 1
    for level in range(len(split) - 1, -1, -1):
        instances[level] = parts
        here = 1
        for d in range(7):
            split[level, d] = columns[level, d] * rows[level, d]
            here *= split[level, d]
        parts *= here
    steps[0, P] = problem[7]
    steps[0, R] = problem[9]
    steps[1, Q] = problem[8]
    steps[1, S] = problem[10]
    return float(parts)


@apart
def walk_points(points: Points, given: FloatArray, figures: Figures, memory: Scratch) -> None:
    """Evaluate points, with the memory that `count_points` made."""
    split, tile, dims, loops, outside, first, instances, sets, marks, moved, steps = memory
    levels = points.temporal.shape[1]
    timeloop = given.shape[0] > 0
    for i in range(figures.totals.shape[0]):
        temporal = points.temporal[row(points.temporal, i)]
        order = points.order[row(points.order, i)]
        keep = points.keep[row(points.keep, i)]
        counts = figures.counts[row(figures.counts, i)]
        held = figures.held[row(figures.held, i)]
        units = split_point(
            points.spatial_x[row(points.spatial_x, i)],
            points.spatial_y[row(points.spatial_y, i)],
            points.problems[row(points.problems, i)],
            split,
            instances,
            steps,
        )
        counts[:] = 0.0
        held[:] = 0.0
        n = list_loops(temporal, order, split, tile, dims, loops, outside, first)
        count_weights(split, keep, tile, outside, first, instances, counts)
        count_outputs(split, keep, tile, outside, first, instances, counts, timeloop)
        if timeloop:
            for level in range(levels):
                counts[level, INPUTS, READS] = given[i, level, 0]
                counts[level, INPUTS, FILLS] = given[i, level, 1]
                held[level, INPUTS] = given[i, level, 2]
        else:
            count_inputs(
                temporal, split, keep, steps, tile, dims, loops, outside, first, n, instances,
                sets, marks, moved, counts, held,
            )  # fmt: skip
        hold(tile, keep, held)
        cost(
            counts,
            held,
            instances,
            outside[0, 0],
            # As many as iterations of all units in use.
            units * outside[0, 0],
            points.capacity[row(points.capacity, i)],
            points.bandwidth[row(points.bandwidth, i)],
            points.energy[row(points.energy, i)],
            points.words[row(points.words, i)],
            points.copies[row(points.copies, i)],
            points.overlapped[row(points.overlapped, i)],
            points.mac_pj[row(points.mac_pj, i)],
            timeloop,
            figures.totals[i],
            figures.overflow[i],
            figures.level_cycles[i],
        )


@compiled
def count_points(points: Points, extent: int, given: FloatArray, figures: Figures) -> None:
    """Evaluate points.

    Args:
        points: They.
        extent: Room for the rows of the largest input.
        given: Reads, fills and tiles of the inputs as Timeloop counts them (n, levels, 3), to count
            the outputs likewise; empty to count both here.
        figures: To fill.
    """
    levels = points.temporal.shape[1]
    most = 7 * levels + 1
    memory = Scratch(
        np.ones((levels, 7), np.int64),
        np.ones((levels, 7), np.int64),
        # Unsigned, so that it indexes without a look at its sign.
        np.zeros(most, np.uint8),
        np.zeros((most, L_CELLS), np.int64),
        np.zeros((most, 3)),
        np.zeros(levels + 1, np.int64),
        np.ones(levels),
        np.zeros((SETS, SET_CELLS), np.int64),
        np.zeros((SETS, extent), np.int64),
        np.zeros(2),
        np.zeros((2, 7), np.int64),
    )
    walk_points(points, given, figures, memory)
