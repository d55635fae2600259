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

import math
from pathlib import Path

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import BoolArray, FloatArray
from archgym.cost_models.accelerator.loopnest.problem import (
    INPUTS,
    OUTPUTS,
    RELEVANT,
    WEIGHTS,
    C,
    IntArray,
    K,
    N,
    P,
    Q,
    R,
    S,
)
from archgym.cost_models.accelerator.loopnest.window import (
    CELLS as SET_CELLS,
)
from archgym.cost_models.accelerator.loopnest.window import (
    RUNS,
    SIZE,
    describe,
    finish_marks,
    overlap,
    spread,
)
from archgym.cost_models.jit import apart, compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

# Columns of the table of loops, and of the counts of a level and tensor; drains are some of the
# reads.
L_FACTOR, L_STEP, L_CELLS = range(3)
READS, FILLS, UPDATES, DRAINS, COUNTS = range(5)
# Which loops move which tensor.
MOVES = RELEVANT
# Rows of the table of sets: rows and columns of the input, in a tile and in the union of tiles.
TILE_H, TILE_W, UNION_H, UNION_W, SETS = range(5)
# Columns of the totals.
CYCLES, STEPS, ENERGY, TOTALS = range(4)


@inlined
def list_loops(
    temporal: IntArray,
    order: IntArray,
    split: IntArray,
    tile: IntArray,
    dims: IntArray,
    loops: IntArray,
    outside: FloatArray,
    first: IntArray,
) -> int:
    """List the temporal loops of more than one iteration, innermost first; their number.

    Fills `tile` (levels, 7): what a level holds; `first` (levels + 1): the first loop of a level;
    `outside` (loops + 1, 3): iterations of all loops from there outwards, and from the next one
    outwards that moves the weights or the outputs: so many tiles of them.
    """
    n = 0
    for level in range(temporal.shape[0]):
        first[level] = n
        for d in range(7):
            tile[level, d] = (tile[level - 1, d] if level > 0 else 1) * split[level, d]
        for k in range(7):
            # Written without a branch, which would be taken at random.
            d = order[level, k]
            f = temporal[level, d]
            dims[n] = d
            loops[n, L_FACTOR] = f
            loops[n, L_STEP] = tile[level, d]
            tile[level, d] *= f
            n += f > 1
    first[temporal.shape[0]] = n
    outside[n] = 1.0
    for i in range(n - 1, -1, -1):
        d = dims[i]
        steps = outside[i + 1, 0] * loops[i, L_FACTOR]
        outside[i, 0] = steps
        outside[i, 1] = steps if MOVES[WEIGHTS, d] else outside[i + 1, 1]
        outside[i, 2] = steps if MOVES[OUTPUTS, d] else outside[i + 1, 2]
    return n


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


@inlined
def count_weights(
    split: IntArray,
    keep: BoolArray,
    tile: IntArray,
    outside: FloatArray,
    first: IntArray,
    instances: FloatArray,
    counts: FloatArray,
) -> None:
    """Reads and fills of the weights at every level."""
    child = -1
    for parent in range(keep.shape[0]):
        if not keep[parent, WEIGHTS]:
            continue
        parts = 1.0
        for level in range(child + 1, parent + 1):
            parts *= split[level, K] * split[level, C] * split[level, R] * split[level, S]
        if child < 0:
            counts[parent, WEIGHTS, READS] = instances[parent] * parts * outside[0, 0]
        else:
            t = tile[child]
            volume = float(t[K] * t[C]) * (t[R] * t[S])
            tiles = outside[first[child + 1], 1]
            counts[child, WEIGHTS, FILLS] = instances[child] * volume * tiles
            counts[parent, WEIGHTS, READS] = instances[parent] * parts * volume * tiles
        child = parent


@inlined
def count_outputs(
    split: IntArray,
    keep: BoolArray,
    tile: IntArray,
    outside: FloatArray,
    first: IntArray,
    instances: FloatArray,
    counts: FloatArray,
    timeloop: bool,
) -> None:
    """Reads, fills and updates of the outputs at every level.

    Children hand their partial sums in whenever their tile changes, added up on the way, and fetch
    those of their next tile, unless nothing was added to them yet. Timeloop counts no reads for
    what is handed in, and every new tile of a child as filled.
    """
    levels = keep.shape[0]
    last = tile[levels - 1]
    total = float(last[N] * last[K]) * (last[P] * last[Q])
    # Instances of the parent in which the sum of one output is started.
    started = 1.0
    for level in range(levels):
        started *= split[level, C] * split[level, R] * split[level, S]
    child = -1
    for parent in range(levels):
        added = 1.0
        if not keep[parent, OUTPUTS]:
            continue
        parts = 1.0
        for level in range(child + 1, parent + 1):
            parts *= split[level, N] * split[level, K] * split[level, P] * split[level, Q]
            added *= split[level, C] * split[level, R] * split[level, S]
        started /= added
        volume, tiles = 1.0, outside[0, 0]
        if child >= 0:
            t = tile[child]
            volume = float(t[N] * t[K]) * (t[P] * t[Q])
            tiles = outside[first[child + 1], 2]
        handed = instances[parent] * parts * volume * tiles
        fetched = handed - total * started
        counts[parent, OUTPUTS, UPDATES] = handed
        counts[parent, OUTPUTS, READS] = fetched
        if child >= 0 and timeloop:
            counts[child, OUTPUTS, FILLS] = handed * added
        elif child >= 0:
            counts[child, OUTPUTS, READS] += handed * added
            counts[child, OUTPUTS, DRAINS] = handed * added
            counts[child, OUTPUTS, FILLS] = fetched
        child = parent


@inlined
def hold(tile: IntArray, keep: BoolArray, held: FloatArray) -> None:
    """Weights and outputs in an instance's tile."""
    for level in range(keep.shape[0]):
        t = tile[level]
        if keep[level, WEIGHTS]:
            held[level, WEIGHTS] = float(t[K] * t[C]) * (t[R] * t[S])
        if keep[level, OUTPUTS]:
            held[level, OUTPUTS] = float(t[N] * t[K]) * (t[P] * t[Q])


@inlined
def slowed(
    counts: FloatArray, words: FloatArray, instances: float, steps: float, bandwidth: FloatArray
) -> float:
    """Cycles of a level as Timeloop rounds them: by how much it slows down every iteration."""
    read, write = 0.0, 0.0
    for t in range(3):
        read += counts[t, READS] * words[t] / instances / steps
        write += (counts[t, FILLS] + counts[t, UPDATES]) * words[t] / instances / steps
    cycles = steps
    if read > bandwidth[0]:
        cycles = math.ceil(steps / (bandwidth[0] / read))
    if write > bandwidth[1]:
        cycles = max(cycles, math.ceil(steps / (bandwidth[1] / write)))
    return cycles


@inlined
def cost(
    counts: FloatArray,
    held: FloatArray,
    instances: FloatArray,
    steps: float,
    macs: float,
    capacity: FloatArray,
    bandwidth: FloatArray,
    energy: FloatArray,
    words: FloatArray,
    copies: FloatArray,
    overlapped: BoolArray,
    mac_pj: float,
    timeloop: bool,
    totals: FloatArray,
    overflow: FloatArray,
    level_cycles: FloatArray,
) -> None:
    """Cycles and energy of a point, into `totals`; how far each level overflows; its own cycles."""
    cycles = steps
    stalls = 0.0
    joules = macs * mac_pj
    for level in range(counts.shape[0]):
        reads, writes, fills, drains, room = 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(3):
            w = words[level, t]
            reads += counts[level, t, READS] * w
            writes += (counts[level, t, FILLS] + counts[level, t, UPDATES]) * w
            fills += counts[level, t, FILLS] * w
            drains += counts[level, t, DRAINS] * w
            room += held[level, t] * w
        per_read = instances[level] * bandwidth[level, 0]
        per_write = instances[level] * bandwidth[level, 1]
        busy = max(math.ceil(reads / per_read), math.ceil(writes / per_write))
        if timeloop:
            busy = slowed(counts[level], words[level], instances[level], steps, bandwidth[level])
        level_cycles[level] = busy
        cycles = max(cycles, busy)
        if not overlapped[level]:
            stalls += math.ceil(fills / per_write) + math.ceil(drains / per_read)
        joules += reads * energy[level, 0] + writes * energy[level, 1]
        overflow[level] = max(0.0, room * copies[level] - capacity[level])
    totals[CYCLES] = cycles + stalls
    totals[STEPS] = steps
    totals[ENERGY] = joules


@apart
def walk_points(
    temporal: IntArray,
    order: IntArray,
    spatial_x: IntArray,
    spatial_y: IntArray,
    keep: BoolArray,
    problems: IntArray,
    capacity: FloatArray,
    bandwidth: FloatArray,
    energy: FloatArray,
    words: FloatArray,
    copies: FloatArray,
    overlapped: BoolArray,
    mac_pj: FloatArray,
    given: FloatArray,
    totals: FloatArray,
    overflow: FloatArray,
    level_cycles: FloatArray,
    counts: FloatArray,
    held: FloatArray,
    split: IntArray,
    tile: IntArray,
    dims: IntArray,
    loops: IntArray,
    outside: FloatArray,
    first: IntArray,
    instances: FloatArray,
    sets: IntArray,
    marks: IntArray,
    moved: FloatArray,
    steps: IntArray,
) -> None:
    """Evaluate points, with the memory that `count_points` made."""
    levels = temporal.shape[1]
    for i in range(totals.shape[0]):
        m = i if temporal.shape[0] > 1 else 0
        o = i if order.shape[0] > 1 else 0
        x = i if spatial_x.shape[0] > 1 else 0
        y = i if spatial_y.shape[0] > 1 else 0
        k = i if keep.shape[0] > 1 else 0
        p = i if problems.shape[0] > 1 else 0
        at = i if counts.shape[0] > 1 else 0
        parts = 1
        for level in range(levels - 1, -1, -1):
            instances[level] = parts
            here = 1
            for d in range(7):
                split[level, d] = spatial_x[x, level, d] * spatial_y[y, level, d]
                here *= split[level, d]
            parts *= here
        # As many as iterations of all units in use.
        macs = float(parts)
        steps[0, P] = problems[p, 7]
        steps[0, R] = problems[p, 9]
        steps[1, Q] = problems[p, 8]
        steps[1, S] = problems[p, 10]
        counts[at] = 0.0
        held[at] = 0.0
        n = list_loops(temporal[m], order[o], split, tile, dims, loops, outside, first)
        count_weights(split, keep[k], tile, outside, first, instances, counts[at])
        count_outputs(
            split, keep[k], tile, outside, first, instances, counts[at], given.shape[0] > 0
        )
        if given.shape[0] > 0:
            for level in range(levels):
                counts[at, level, INPUTS, READS] = given[i, level, 0]
                counts[at, level, INPUTS, FILLS] = given[i, level, 1]
                held[at, level, INPUTS] = given[i, level, 2]
        else:
            count_inputs(
                temporal[m],
                split,
                keep[k],
                steps,
                tile,
                dims,
                loops,
                outside,
                first,
                n,
                instances,
                sets,
                marks,
                moved,
                counts[at],
                held[at],
            )
        hold(tile, keep[k], held[at])
        cost(
            counts[at],
            held[at],
            instances,
            outside[0, 0],
            macs * outside[0, 0],
            capacity[i if capacity.shape[0] > 1 else 0],
            bandwidth[i if bandwidth.shape[0] > 1 else 0],
            energy[i if energy.shape[0] > 1 else 0],
            words[i if words.shape[0] > 1 else 0],
            copies[i if copies.shape[0] > 1 else 0],
            overlapped[i if overlapped.shape[0] > 1 else 0],
            mac_pj[i if mac_pj.shape[0] > 1 else 0],
            given.shape[0] > 0,
            totals[i],
            overflow[i],
            level_cycles[i],
        )


@compiled
def count_points(
    temporal: IntArray,
    order: IntArray,
    spatial_x: IntArray,
    spatial_y: IntArray,
    keep: BoolArray,
    problems: IntArray,
    capacity: FloatArray,
    bandwidth: FloatArray,
    energy: FloatArray,
    words: FloatArray,
    copies: FloatArray,
    overlapped: BoolArray,
    mac_pj: FloatArray,
    extent: int,
    given: FloatArray,
    totals: FloatArray,
    overflow: FloatArray,
    level_cycles: FloatArray,
    counts: FloatArray,
    held: FloatArray,
) -> None:
    """Evaluate points; arrays of one row hold for all of them.

    Args:
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
        extent: Room for the rows of the largest input.
        given: Reads, fills and tiles of the inputs as Timeloop counts them (n, levels, 3), to count
            the outputs likewise; empty to count both here.
        totals: To fill with cycles, iterations and energy in pJ (n, 3).
        overflow: To fill with words beyond the capacity (n, levels).
        level_cycles: To fill with the cycles that a level's own accesses take (n, levels).
        counts: To fill with reads, fills, updates and drains of all instances (n or 1, levels, 3,
            4); of one row, it holds the last point's.
        held: To fill with elements of an instance's tile (n or 1, levels, 3), likewise.
    """
    levels = temporal.shape[1]
    split = np.ones((levels, 7), np.int64)
    tile = np.ones((levels, 7), np.int64)
    # Unsigned, so that it indexes without a look at its sign.
    dims = np.zeros(7 * levels + 1, np.uint8)
    loops = np.zeros((7 * levels + 1, L_CELLS), np.int64)
    outside = np.zeros((7 * levels + 1, 3))
    first = np.zeros(levels + 1, np.int64)
    instances = np.ones(levels)
    sets = np.zeros((SETS, SET_CELLS), np.int64)
    marks = np.zeros((SETS, extent), np.int64)
    moved = np.zeros(2)
    steps = np.zeros((2, 7), np.int64)
    walk_points(
        temporal,
        order,
        spatial_x,
        spatial_y,
        keep,
        problems,
        capacity,
        bandwidth,
        energy,
        words,
        copies,
        overlapped,
        mac_pj,
        given,
        totals,
        overflow,
        level_cycles,
        counts,
        held,
        split,
        tile,
        dims,
        loops,
        outside,
        first,
        instances,
        sets,
        marks,
        moved,
        steps,
    )
