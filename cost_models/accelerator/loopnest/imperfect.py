"""Points whose factors need not multiply to the bounds, one after another, compiled.

Counts are those of a walk through all iterations within the bounds (`oracle.py`). Energy is that of
all accesses. A level takes the time of its first instance, which always has something to do.
"""

from __future__ import annotations

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import (
    COUNTS,
    ENERGY,
    FILLS,
    READS,
    UPDATES,
    BoolArray,
    FloatArray,
)
from archgym.cost_models.accelerator.loopnest.costs import cost
from archgym.cost_models.accelerator.loopnest.imperfect_boxes import (
    STEPPED,
    count_box_outputs,
    count_box_weights,
)
from archgym.cost_models.accelerator.loopnest.imperfect_parts import (
    CLASS_CELLS,
    CUT_CELLS,
    DIM_CELLS,
    LOOP_CELLS,
    TEMPORAL,
    TILE,
    Nest,
    cut_up,
    led,
)
from archgym.cost_models.accelerator.loopnest.imperfect_windows import (
    CASE_CELLS,
    Window,
    count_windows,
    covered,
)
from archgym.cost_models.accelerator.loopnest.kernel import Figures, Points, row
from archgym.cost_models.accelerator.loopnest.loops import MOVES
from archgym.cost_models.accelerator.loopnest.problem import INPUTS, C, IntArray, N, P, Q, R, S
from archgym.cost_models.jit import apart, compiled


@apart
def set_point(
    nest: Nest,
    pace: IntArray,
    problem: IntArray,
    counts: FloatArray,
    held: FloatArray,
    firsts: FloatArray,
) -> None:
    """Take over a problem, and begin with counts of nothing."""
    for d in range(7):
        nest.sizes[d] = problem[d]
    pace[0, P], pace[0, R] = problem[7], problem[9]
    pace[1, Q], pace[1, S] = problem[8], problem[10]
    for level in range(counts.shape[0]):
        for t in range(3):
            held[level, t] = 0.0
            for k in range(COUNTS):
                counts[level, t, k] = firsts[level, t, k] = 0.0


@apart
def iterations(nest: Nest) -> float:
    """Iterations of the temporal loops."""
    found = 1.0
    levels = nest.cut.shape[0] - 1
    for d in range(7):
        inner = 1
        for level in range(levels):
            inner *= nest.cut[level, d, TEMPORAL]
        found *= led(nest, d, -1, levels - 1, 0, inner)
    return found


@apart
def hold_clipped(nest: Nest, pace: IntArray, keep: BoolArray, held: FloatArray) -> None:
    """Elements of the first instance's tile, the largest one."""
    for level in range(keep.shape[0]):
        for tensor in range(3):
            if not keep[level, tensor]:
                continue
            size = 1.0
            for d in range(7):
                moves = d in (N, C) if tensor == INPUTS else MOVES[tensor, d]
                if moves:
                    size *= min(nest.cut[level + 1, d, TILE], nest.sizes[d])
            if tensor == INPUTS:
                for axis, out, taps in ((0, P, R), (1, Q, S)):
                    p = min(nest.cut[level + 1, out, TILE], nest.sizes[out])
                    r = min(nest.cut[level + 1, taps, TILE], nest.sizes[taps])
                    size *= covered(p, r, pace[axis, out], pace[axis, taps])
            held[level, tensor] = size


@apart
def accesses_pj(counts: FloatArray, words: FloatArray, energy: FloatArray) -> float:
    """Energy of all accesses."""
    found = 0.0
    for level in range(counts.shape[0]):
        reads, writes = 0.0, 0.0
        for t in range(3):
            reads += counts[level, t, READS] * words[level, t]
            writes += (counts[level, t, FILLS] + counts[level, t, UPDATES]) * words[level, t]
        found += reads * energy[level, 0] + writes * energy[level, 1]
    return found


@compiled
def count_imperfect(
    points: Points,
    figures: Figures,
    nest: Nest,
    window: Window,
    sums: FloatArray,
    firsts: FloatArray,
    alone: FloatArray,
) -> None:
    """Evaluate points, with the memory that `fill` made."""
    for i in range(figures.totals.shape[0]):
        temporal = points.temporal[row(points.temporal, i)]
        keep = points.keep[row(points.keep, i)]
        counts = figures.counts[row(figures.counts, i)]
        held = figures.held[row(figures.held, i)]
        problem = points.problems[row(points.problems, i)]
        words = points.words[row(points.words, i)]
        energy = points.energy[row(points.energy, i)]
        mac_pj = points.mac_pj[row(points.mac_pj, i)]
        set_point(nest, window.pace, problem, counts, held, firsts)
        cut_up(
            nest,
            temporal,
            points.order[row(points.order, i)],
            points.spatial_x[row(points.spatial_x, i)],
            points.spatial_y[row(points.spatial_y, i)],
        )
        for table, first in ((counts, False), (firsts, True)):
            count_box_weights(nest, sums, keep, first, table)
            count_box_outputs(nest, sums, keep, first, table)
            count_windows(nest, window, sums, keep, first, table)
        hold_clipped(nest, window.pace, keep, held)
        macs = 1.0
        for d in range(7):
            macs *= problem[d]
        cost(
            firsts,
            held,
            alone,
            iterations(nest),
            macs,
            points.capacity[row(points.capacity, i)],
            points.bandwidth[row(points.bandwidth, i)],
            energy,
            words,
            points.copies[row(points.copies, i)],
            points.overlapped[row(points.overlapped, i)],
            mac_pj,
            False,
            figures.totals[i],
            figures.overflow[i],
            figures.level_cycles[i],
        )
        figures.totals[i, ENERGY] = macs * mac_pj + accesses_pj(counts, words, energy)


def fill(points: Points, extent: int, figures: Figures) -> None:
    """Evaluate points.

    Args:
        points: They; factors of a dimension multiply to its bound or more.
        extent: Room for the rows of the largest input.
        figures: To fill.
    """
    levels = points.temporal.shape[1]
    several = 2 * levels + 2
    nest = Nest(
        np.ones(7, np.int64),
        np.ones((levels + 1, 7, CUT_CELLS), np.int64),
        np.zeros((7 * levels + 1, LOOP_CELLS), np.int64),
        np.zeros(levels + 1, np.int64),
        np.zeros((7, several, CLASS_CELLS), np.int64),
        np.ones((7, DIM_CELLS), np.int64),
    )
    window = Window(
        np.zeros((2, 2 * several, CASE_CELLS), np.int64),
        np.zeros((2, 7), np.int64),
        np.zeros((3, extent), np.int64),
        np.zeros(2, np.bool_),
    )
    sums, firsts = np.zeros((STEPPED + 1, 2)), np.zeros((levels, 3, COUNTS))
    count_imperfect(points, figures, nest, window, sums, firsts, np.ones(levels))
