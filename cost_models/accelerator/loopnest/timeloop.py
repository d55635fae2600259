"""Inputs as Timeloop counts them: what its tiles save of sliding windows, and what they do not.

Timeloop (Parashar et al., ISPASS 2019; `src/loop-analysis` of the version of December 2022) counts
weights and outputs as the ideal model does. Of the inputs a tile is a box (rows and columns skipped
by a stride count), and a box loads what the box before it did not hold, with these exceptions:

- A loop is walked in its first two iterations only, and the second stands for all others. A step of
  an outer loop is thus seen from the second iteration of the loops inside it, not from their last.
- If a box moves by another vector than the one before, all of it is loaded, and the next move is
  free to differ. A box that stays where it was has moved by zero.
- Instances share a word only if they load equal sets in that step: neighbours whose boxes overlap
  load the overlap once each. An instance also takes from a neighbour on the array the set that it
  loaded in the step before, if that spares the parent reads; this is read once more at the
  neighbour.
- A bypassed level passes its reads on to the next outer one, divided by the mean multicast found
  there.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import BoolArray, FloatArray
from archgym.cost_models.accelerator.loopnest.problem import INPUTS, C, IntArray, N, P, Q, R, S
from archgym.cost_models.jit import apart, compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

# The order in which Timeloop's mappings list parts on the array, for its neighbours.
_NEST = np.array([2, 1, 5, 6, 0, 3, 4])
_MOVES = 4


@inlined
def axis_of(d: int) -> int:
    """Axis of the inputs that a dimension moves along: batch, channels, rows, columns; or -1."""
    if d in (N, C):
        return 0 if d == N else 1
    if d in (P, R):
        return 2
    return 3 if d in (Q, S) else -1


@inlined
def pace(d: int, window: IntArray) -> int:
    """How far a unit of a dimension moves along its axis; `window` strides, then dilations."""
    if d in (P, Q):
        return int(window[0] if d == P else window[1])
    if d in (R, S):
        return int(window[2] if d == R else window[3])
    return 1


@apart
def place_instances(
    spatial_x: IntArray, spatial_y: IntArray, inner: IntArray, window: IntArray, places: IntArray
) -> int:
    """Fill `places` (instances, 4): how far each child's box is from the first; their number."""
    n = 1
    for axis in range(4):
        places[0, axis] = 0
    for column in range(2):
        for k in range(7):
            d = _NEST[k]
            parts = spatial_x[d] if column == 0 else spatial_y[d]
            step = inner[d] * (1 if column == 0 else spatial_x[d]) * pace(d, window)
            for part in range(1, parts):
                for i in range(n):
                    for axis in range(4):
                        moved = step * part if axis == axis_of(d) else 0
                        places[part * n + i, axis] = places[i, axis] + moved
            n *= parts
    return n


@apart
def fetch_from_neighbours(
    places: IntArray, n: int, width: int, height: int, shift: IntArray, fed: BoolArray
) -> int:
    """Mark the instances of which a neighbour just loaded what they load now; their number."""
    found = 0
    for i in range(n):
        fed[i] = False
        for side in range(4):
            column, row = i % width, i // width
            column += (side == 0) - (side == 1)
            row += (side == 2) - (side == 3)
            j = row * width + column
            if column < 0 or column >= width or row < 0 or row >= height or j >= n:
                continue
            same = True
            for axis in range(4):
                same = same and places[j, axis] - places[i, axis] == shift[axis]
            fed[i] = fed[i] or same
        found += fed[i]
    return found


@compiled
def distinct(places: IntArray, n: int, fed: BoolArray) -> int:
    """Different places of instances that are not fed by a neighbour."""
    keys = np.zeros(n, np.int64)
    for axis in range(4):
        base = 1 + places[:n, axis].max()
        for i in range(n):
            keys[i] = keys[i] * base + places[i, axis]
    m = 0
    for i in range(n):
        if not fed[i]:
            keys[m] = keys[i]
            m += 1
    ordered = np.sort(keys[:m])
    found = 0
    for i in range(m):
        found += i == 0 or ordered[i] != ordered[i - 1]
    return found


@compiled
def walk_boxes(
    moves: IntArray,
    times: IntArray,
    n_loops: int,
    box: IntArray,
    places: IntArray,
    n: int,
    width: int,
    height: int,
    loads: FloatArray,
) -> None:
    """Add up what the boxes of the children of one instance load.

    Args:
        moves: How far an iteration of a loop moves a box (loops, 4), innermost first.
        times: Iterations of a loop.
        n_loops: Loops above the child.
        box: Extent of a box (4,).
        places: Of the children (n, 4).
        n: Children.
        width: Columns of the array.
        height: Rows of it.
        loads: To fill with elements read at the parent, elements that arrive at the children from
            there, and elements that children take from each other.
    """
    fed = np.zeros(n, np.bool_)
    all_distinct = distinct(places, n, fed)
    at = np.zeros(4, np.int64)
    before = np.zeros(4, np.int64)
    move = np.zeros(4, np.int64)
    last_move = np.zeros(4, np.int64)
    known, was_part, had_loaded = False, False, False
    part_move = np.zeros(4, np.int64)
    memo: dict[tuple[int, int, int, int], tuple[int, int]] = {}
    memo[(-1, -1, -1, -1)] = (0, 0)
    volume = float(box[0] * box[1]) * (box[2] * box[3])
    loads[:] = 0.0
    for visit in range(1 << n_loops):
        weight = 1.0
        for axis in range(4):
            at[axis] = 0
        for i in range(n_loops):
            if visit >> i & 1:
                weight *= times[i] - 1
                for axis in range(4):
                    at[axis] += moves[i, axis]
        same = True
        shared = 1.0
        for axis in range(4):
            move[axis] = at[axis] - before[axis]
            same = same and move[axis] == last_move[axis]
            shared *= max(0, box[axis] - abs(move[axis]))
        part = False
        if visit > 0 and known and not same:
            known = False
        elif visit > 0:
            part = shared > 0
            known = True
            last_move[:] = move
        loaded = volume - shared if part else volume
        readers, takers = all_distinct, 0
        # A neighbour has it if it loaded the same part of its box, as far away as it is.
        alike = had_loaded and part == was_part
        for axis in range(4):
            alike = alike and (not part or move[axis] == part_move[axis])
        if loaded > 0 and alike and n > 1:
            key = (move[0], move[1], move[2], move[3])
            if key not in memo:
                taking = fetch_from_neighbours(places, n, width, height, move, fed)
                memo[key] = (distinct(places, n, fed), taking)
            if memo[key][0] < all_distinct:
                readers, takers = memo[key]
        loads[0] += loaded * weight * readers
        loads[1] += loaded * weight * (n - takers)
        loads[2] += loaded * weight * takers
        before[:] = at
        part_move[:] = move
        was_part = part
        had_loaded = loaded > 0


@inlined
def fill_box(tile: IntArray, window: IntArray, box: IntArray) -> None:
    """Extents of the inputs of a tile."""
    box[0], box[1] = tile[N], tile[C]
    box[2] = (tile[P] - 1) * window[0] + (tile[R] - 1) * window[2] + 1
    box[3] = (tile[Q] - 1) * window[1] + (tile[S] - 1) * window[3] + 1


@compiled
def count_inputs(
    temporal: IntArray,
    order: IntArray,
    spatial_x: IntArray,
    spatial_y: IntArray,
    keep: BoolArray,
    problems: IntArray,
    fanout: IntArray,
    most: int,
    counts: FloatArray,
) -> None:
    """Reads and fills of the inputs at all instances of every level.

    Args:
        temporal: See `Mappings`, as the next four; each of n rows or one.
        order: Loop orders.
        spatial_x: Parts on columns.
        spatial_y: Parts on rows.
        keep: What is held.
        problems: Bounds, strides and dilations (n or 1, 11).
        fanout: Columns and rows below a level (n or 1, levels, 2).
        most: Most children in use below an instance.
        counts: To fill with reads, fills and elements of an instance's box (n, levels, 3).
    """
    levels = temporal.shape[1]
    places = np.zeros((most, 4), np.int64)
    moves = np.zeros((7 * levels, _MOVES), np.int64)
    times = np.zeros(7 * levels, np.int64)
    starts = np.zeros(levels + 1, np.int64)
    before = np.ones((levels, 7), np.int64)
    tile = np.ones((levels, 7), np.int64)
    box = np.ones(4, np.int64)
    loads = np.zeros((levels, 3))
    inside = np.zeros(levels)
    children = np.ones(levels)
    for i in range(counts.shape[0]):
        f = temporal[i if temporal.shape[0] > 1 else 0]
        turn = order[i if order.shape[0] > 1 else 0]
        x = spatial_x[i if spatial_x.shape[0] > 1 else 0]
        y = spatial_y[i if spatial_y.shape[0] > 1 else 0]
        kept = keep[i if keep.shape[0] > 1 else 0]
        window = problems[i if problems.shape[0] > 1 else 0, 7:]
        array = fanout[i if fanout.shape[0] > 1 else 0]
        n = 0
        steps = 1.0
        for level in range(levels):
            starts[level] = n
            for d in range(7):
                before[level, d] = tile[level - 1, d] if level > 0 else 1
                tile[level, d] = before[level, d] * x[level, d] * y[level, d]
            for k in range(7):
                d = turn[level, k]
                if f[level, d] > 1:
                    times[n] = f[level, d]
                    moves[n] = 0
                    if axis_of(d) >= 0:
                        moves[n, axis_of(d)] = tile[level, d] * pace(d, window)
                    steps *= f[level, d]
                    tile[level, d] *= f[level, d]
                    n += 1
        starts[levels] = n
        for parent in range(levels):
            found = place_instances(x[parent], y[parent], before[parent], window, places)
            children[parent] = found
            if parent == 0:
                fed = np.zeros(found, np.bool_)
                loads[0, 0] = steps * distinct(places, found, fed)
                loads[0, 1] = steps * found
                loads[0, 2] = 0.0
                continue
            fill_box(tile[parent - 1], window, box)
            start = starts[parent]
            walk_boxes(
                moves[start:],
                times[start:],
                n - start,
                box,
                places,
                found,
                array[parent, 0],
                array[parent, 1],
                loads[parent],
            )
        spread_over_levels(kept, children, loads, inside, counts[i])
        for level in range(levels):
            fill_box(tile[level], window, box)
            counts[i, level, 2] = kept[level, INPUTS] * float(box[0] * box[1]) * (box[2] * box[3])


@apart
def spread_over_levels(
    keep: BoolArray,
    children: FloatArray,
    loads: FloatArray,
    instances: FloatArray,
    counts: FloatArray,
) -> None:
    """From what every pair of levels exchanges to reads and fills of all instances."""
    levels = keep.shape[0]
    n = 1.0
    for level in range(levels - 1, -1, -1):
        instances[level] = n
        n *= children[level]
    for level in range(levels - 1):
        counts[level, 1] = loads[level + 1, 1] / children[level + 1]
    for level in range(levels - 1):
        if not keep[level, INPUTS]:
            ratio = loads[level, 0] * children[level + 1] / loads[level + 1, 1]
            loads[level + 1, 0] *= ratio
            loads[level + 1, 1] *= ratio
            loads[level + 1, 2] = 0.0
    for level in range(levels):
        taken = loads[level + 1, 2] // instances[level] if level < levels - 1 else 0.0
        counts[level, 0] = instances[level] * (round(loads[level, 0]) + taken)
        counts[level, 1] = instances[level] * math.floor(counts[level, 1] + taken)
        if not keep[level, INPUTS]:
            counts[level, 0] = 0.0
            counts[level, 1] = 0.0
    counts[levels - 1, 1] = 0.0
