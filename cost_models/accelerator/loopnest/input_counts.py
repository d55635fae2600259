"""Accesses of inputs, whose tiles are windows that overlap."""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.arrays import FILLS, READS, BoolArray, FloatArray
from archgym.cost_models.accelerator.loopnest.loops import L_FACTOR, L_STEP
from archgym.cost_models.accelerator.loopnest.problem import INPUTS, C, IntArray, N, P, Q, R, S
from archgym.cost_models.accelerator.loopnest.window import (
    RUNS,
    SIZE,
    describe,
    finish_marks,
    overlap,
    spread,
)
from archgym.cost_models.jit import apart, inlined

# Rows of the table of sets: rows and columns of the input, in a tile and in the union of tiles.
TILE_H, TILE_W, UNION_H, UNION_W, SETS = range(5)


@apart
def mark_axis(
    sets: IntArray,
    marks: IntArray,
    row: int,
    tile: IntArray,
    split: IntArray,
    child: int,
    parent: int,
    d_out: int,
    d_filter: int,
    a: int,
    b: int,
) -> None:
    """Describe one by one the rows under all instances of `child` below one of `parent`."""
    for v in range(marks.shape[1]):
        marks[row, v] = 0
    marks[row, 0] = 1
    top = 0
    for d, step in ((d_out, a), (d_filter, b)):
        if child >= 0:
            top = spread(marks, row, top, tile[child, d], step)
        for level in range(child + 1, parent + 1):
            inner = tile[level - 1, d] if level > 0 else 1
            top = spread(marks, row, top, split[level, d], step * inner)
    finish_marks(sets, marks, row, top)


@inlined
def has_gap(temporal: IntArray, split: IntArray, child: int, parent: int, d: int) -> bool:
    """Whether bypassed temporal loops keep the parts of a dimension apart."""
    loose = False
    for level in range(child + 1, parent + 1):
        if loose and split[level, d] > 1:
            return True
        loose = loose or temporal[level, d] > 1
    return False


@inlined
def describe_axis(
    sets: IntArray,
    marks: IntArray,
    row: int,
    temporal: IntArray,
    tile: IntArray,
    split: IntArray,
    child: int,
    parent: int,
    d_out: int,
    d_filter: int,
    steps: IntArray,
) -> None:
    """Describe one axis of the union of the tiles of `child` below `parent` (itself: the tile)."""
    a, b = steps[d_out], steps[d_filter]
    p, r = 1, 1
    if child >= 0:
        p, r = tile[child, d_out], tile[child, d_filter]
    for level in range(child + 1, parent + 1):
        p *= split[level, d_out]
        r *= split[level, d_filter]
    gap = parent > child + 1 and (
        has_gap(temporal, split, child, parent, d_out)
        or has_gap(temporal, split, child, parent, d_filter)
    )
    if gap or not describe(sets, row, p, r, a, b):
        mark_axis(sets, marks, row, tile, split, child, parent, d_out, d_filter, a, b)


@inlined
def moved_inputs(
    sets: IntArray,
    marks: IntArray,
    dims: IntArray,
    loops: IntArray,
    outside: FloatArray,
    start: int,
    n: int,
    steps: IntArray,
    rest: float,
    rest_union: float,
    moved: FloatArray,
) -> None:
    """Rows x columns x `rest` that loops `start` to `n` bring to a tile, and to the union of tiles.

    `steps` (2, 7) are the rows and columns that a step of each dimension moves, counted as the
    sets.
    """
    tile_h, tile_w = sets[TILE_H, SIZE], sets[TILE_W, SIZE]
    union_h, union_w = sets[UNION_H, SIZE], sets[UNION_W, SIZE]
    plain = True
    for row in range(SETS):
        plain = plain and sets[row, RUNS] == 1
    volume = rest * tile_h * tile_w
    union = rest_union * union_h * union_w
    moved[0] = volume
    moved[1] = union
    back_h, back_w = 0, 0
    for i in range(start, n):
        d = dims[i]
        if d in (N, C):
            moved[0] += volume * (outside[i, 0] - 1.0)
            moved[1] += union * (outside[i, 0] - 1.0)
            return
        f = loops[i, L_FACTOR]
        h = loops[i, L_STEP] * steps[0, d]
        w = loops[i, L_STEP] * steps[1, d]
        by_h, by_w = h - back_h, w - back_w
        times = (f - 1) * outside[i + 1, 0]
        if plain:
            by_h, by_w = abs(by_h), abs(by_w)
            same = max(0, tile_h - by_h) * max(0, tile_w - by_w)
            same_union = max(0, union_h - by_h) * max(0, union_w - by_w)
        else:
            same = overlap(sets, marks, TILE_H, by_h) * overlap(sets, marks, TILE_W, by_w)
            same_union = overlap(sets, marks, UNION_H, by_h) * overlap(sets, marks, UNION_W, by_w)
        moved[0] += times * (volume - rest * same)
        moved[1] += times * (union - rest_union * same_union)
        back_h += (f - 1) * h
        back_w += (f - 1) * w


@inlined
def count_inputs(
    temporal: IntArray,
    split: IntArray,
    keep: BoolArray,
    steps: IntArray,
    tile: IntArray,
    dims: IntArray,
    loops: IntArray,
    outside: FloatArray,
    first: IntArray,
    n: int,
    instances: FloatArray,
    sets: IntArray,
    marks: IntArray,
    moved: FloatArray,
    counts: FloatArray,
    held: FloatArray,
) -> None:
    """Reads and fills of the inputs at every level, and what an instance holds.

    `steps` as in `moved_inputs`; `instances` (levels,) are those in use.
    """
    child = -1
    for parent in range(temporal.shape[0]):
        if not keep[parent, INPUTS]:
            continue
        rest = 1.0
        if child >= 0:
            rest = float(tile[child, N] * tile[child, C])
        rest_union = rest
        for level in range(child + 1, parent + 1):
            rest_union *= split[level, N] * split[level, C]
        describe_axis(sets, marks, UNION_H, temporal, tile, split, child, parent, P, R, steps[0])
        describe_axis(sets, marks, UNION_W, temporal, tile, split, child, parent, Q, S, steps[1])
        if child < 0:
            union = rest_union * sets[UNION_H, SIZE] * sets[UNION_W, SIZE]
            counts[parent, INPUTS, READS] = instances[parent] * union * outside[0, 0]
        else:
            start = first[child + 1]
            moved_inputs(
                sets, marks, dims, loops, outside, start, n, steps, rest, rest_union, moved
            )
            counts[child, INPUTS, FILLS] = instances[child] * moved[0]
            counts[parent, INPUTS, READS] = instances[parent] * moved[1]
        describe_axis(sets, marks, TILE_H, temporal, tile, split, parent, parent, P, R, steps[0])
        describe_axis(sets, marks, TILE_W, temporal, tile, split, parent, parent, Q, S, steps[1])
        area = float(sets[TILE_H, SIZE]) * sets[TILE_W, SIZE]
        held[parent, INPUTS] = float(tile[parent, N] * tile[parent, C]) * area
        child = parent
