"""Accesses of inputs under factors that do not multiply to the bounds.

As for boxes, with the rows (P and R) and the columns (Q and S) of a sliding window each together:
`begun` are the rows of the tile after a step, `same` those that the tile before had too, which may
be of another size. Instances that share a window go in step, and what one without anything to do
had is forgotten; what is new to all of them together is read by the parent.
"""

from __future__ import annotations

from typing import NamedTuple

from archgym.cost_models.accelerator.loopnest.arrays import FILLS, READS, BoolArray, FloatArray
from archgym.cost_models.accelerator.loopnest.imperfect_boxes import STEPPED, first_tiles
from archgym.cost_models.accelerator.loopnest.imperfect_parts import (
    APART,
    DIM,
    EACH,
    FACTOR,
    FULL,
    GROUP,
    INNER,
    LAST,
    LEADER,
    NUMBER,
    OWN,
    ROOM,
    SPLIT,
    STEP,
    TEMPORAL,
    TILE,
    UNION,
    WEIGHT,
    Nest,
    list_classes,
    standing,
    stepping,
)
from archgym.cost_models.accelerator.loopnest.input_counts import has_gap
from archgym.cost_models.accelerator.loopnest.problem import INPUTS, C, IntArray, K, N, P, Q, R, S
from archgym.cost_models.jit import apart, inlined

# Columns of the table of cases: how often, sizes before and after, and by how much it moved.
_TIMES, _BEFORE, _AFTER, _SHIFT, CASE_CELLS = range(5)
_NONE = -1


class Window(NamedTuple):
    """What sliding windows take besides.

    Attributes:
        cases: Cases of the two dimensions of an axis (2, ., 4).
        pace: Rows and columns that a step of each dimension moves (2, 7).
        marks: Room for the rows of an input (3, .).
        apart: Whether parts of an axis do not lie side by side (2,).
    """

    cases: IntArray
    pace: IntArray
    marks: IntArray
    apart: BoolArray


@inlined
def covered(p: int, r: int, a: int, b: int) -> int:
    """Different a * i + b * j, i < p, j < r, with a and b coprime."""
    return p * r - max(0, p - b) * max(0, r - a)


@inlined
def run_of(p: int, r: int, a: int, b: int) -> int:
    """Length of the rows if none is missing between them, else 0."""
    if (a == 1 and (b == 1 or p >= b or r == 1)) or (b == 1 and (r >= a or p == 1)):
        return a * (p - 1) + b * (r - 1) + 1
    return 0


@inlined
def common(one: int, other: int, shift: int) -> int:
    """Length that two runs share, the other one moved."""
    return max(0, min(one, other + shift) - max(0, shift))


@apart
def searched(p: int, r: int, p2: int, r2: int, shift: int, a: int, b: int) -> int:
    """`shared`, one row after another."""
    found = 0
    for i in range(p2):
        for j in range(r2):
            if j >= a and i + b < p2:
                continue  # the same row as (i + b, j - a)
            row = shift + a * i + b * j
            for k in range(r):
                at = row - b * k
                if at % a == 0 and 0 <= at // a < p:
                    found += 1
                    break
    return found


@apart
def shared(p: int, r: int, p2: int, r2: int, shift: int, a: int, b: int) -> int:
    """Rows that a tile of p outputs and r taps shares with one of p2 and r2, moved by `shift`."""
    if p == 0 or r == 0:
        return 0
    one, other = run_of(p, r, a, b), run_of(p2, r2, a, b)
    if one > 0 and other > 0:
        return common(one, other, shift)
    if r == 1 and r2 == 1:
        return common(p, p2, shift // a) if shift % a == 0 else 0
    if p == 1 and p2 == 1:
        return common(r, r2, shift // b) if shift % b == 0 else 0
    return searched(p, r, p2, r2, shift, a, b)


@apart
def place(nest: Nest, d: int, child: int, state: int) -> int:
    """Where a tile is in an iteration of the temporal loops above it."""
    found = 0
    for i in range(nest.first[child + 1], nest.first[nest.cut.shape[0] - 1]):
        if nest.loops[i, DIM] == d:
            factor = nest.loops[i, FACTOR]
            found += state % factor * nest.loops[i, STEP]
            state //= factor
    return found


@inlined
def size_in(row: IntArray, full: int, state: int) -> int:
    """Size of an instance's tile in an iteration."""
    if state < row[OWN] - 1:
        return full
    return int(row[LAST]) if state == row[OWN] - 1 else 0


@apart
def list_cases(nest: Nest, cases: IntArray, d: int, child: int, inner: int, factor: int) -> int:
    """List what happens to the tile when loops of `inner` iterations begin anew; how many cases.

    With a `factor`, after steps of the next loop, else in all iterations outside. Of all times
    around, only the last one is another case.
    """
    n = 0
    full = nest.dims[d, FULL]
    for c in range(nest.dims[d, NUMBER]):
        row = nest.classes[d, c]
        final = (row[OWN] - 1) // inner
        after = size_in(row, full, final * inner)
        if factor == _NONE:
            alike, rest = final, 1
            upto = min(final * inner + inner, row[GROUP]) - 1
            before = size_in(row, full, upto)
            back = place(nest, d, child, upto - final * inner)
            forth = place(nest, d, child, inner - 1)
            step = 0
        else:
            rest = 1 if final % factor != 0 else 0
            alike = final - final // factor - rest
            before = full
            back = forth = place(nest, d, child, inner - 1)
            step = place(nest, d, child, inner)
        for times, old, new, by in (
            (alike, full, full, step - forth),
            (rest, before, after, step - back),
        ):
            if times > 0:
                case = cases[n]
                case[_TIMES], case[_BEFORE], case[_AFTER] = times * row[WEIGHT], old, new
                case[_SHIFT] = by
                n += 1
    return n


@apart
def mark_parts(nest: Nest, marks: IntArray, d: int, child: int, parent: int) -> None:
    """Mark what the children of a parent hold of a dimension in their first iteration."""
    size = nest.sizes[d]
    marks[:size] = 0
    marks[: min(size, nest.cut[child + 1, d, TILE])] = 1
    for level in range(child + 1, parent + 1):
        step = nest.cut[level, d, TILE]
        for v in range(size - 1, -1, -1):
            if marks[v]:
                for k in range(1, nest.cut[level, d, SPLIT]):
                    if v + k * step < size:
                        marks[v + k * step] = 1


@apart
def marked_axis(
    nest: Nest, window: Window, axis: int, child: int, parent: int,
    stepped: int, factor: int, found: FloatArray,
) -> None:  # fmt: skip
    """`axis_sums` of parts that do not lie side by side, going through all iterations."""
    dims = (P + axis, R + axis)
    marks, rows = window.marks, window.marks[2]
    for k, d in enumerate(dims):
        mark_parts(nest, marks[k], d, child, parent)
    a, b = window.pace[axis, dims[0]], window.pace[axis, dims[1]]
    begun, same = 0.0, 0.0
    for c in range(nest.dims[dims[0], NUMBER]):
        for c2 in range(nest.dims[dims[1], NUMBER]):
            one, two = nest.classes[dims[0], c], nest.classes[dims[1], c2]
            weight = float(one[WEIGHT] * two[WEIGHT])
            inner, inner2 = nest.dims[dims[0], INNER], nest.dims[dims[1], INNER]
            for t in range(0, one[OWN], inner):
                last = min(t + inner, one[OWN]) - 1
                if stepped == dims[0]:
                    last = t - 1
                    if t // inner % factor == 0:
                        continue
                for u in range(0, two[OWN], inner2):
                    last2 = min(u + inner2, two[OWN]) - 1
                    if stepped == dims[1]:
                        last2 = u - 1
                        if u // inner2 % factor == 0:
                            continue
                    rows[:] = 0
                    for bit, at, at2 in ((1, last, last2), (2, t, u)):
                        p0, r0 = (
                            place(nest, dims[0], child, at),
                            place(nest, dims[1], child, at2),
                        )
                        for p in range(p0, min(nest.sizes[dims[0]], one[ROOM])):
                            if not marks[0, p - p0]:
                                continue
                            for r in range(r0, min(nest.sizes[dims[1]], two[ROOM])):
                                if marks[1, r - r0]:
                                    rows[a * p + b * r] |= bit
                    for v in range(len(rows)):
                        begun += weight * (rows[v] >> 1)
                        same += weight * (rows[v] == 3)
    found[0], found[1] = begun, same


@apart
def axis_sums(
    nest: Nest, window: Window, axis: int, child: int, parent: int,
    stepped: int, factor: int, found: FloatArray,
) -> None:  # fmt: skip
    """Rows (or columns) of the tiles with which loops begin anew, and those there before.

    Args:
        nest: The point.
        window: Room, and paces.
        axis: 0 rows, 1 columns.
        child: The level whose tiles these are.
        parent: Of the unions, the level that they are below.
        stepped: The dimension whose next loop steps, or none.
        factor: Of that loop.
        found: To fill.
    """
    if window.apart[axis]:
        marked_axis(nest, window, axis, child, parent, stepped, factor, found)
        return
    out, taps = P + axis, R + axis
    a, b = window.pace[axis, out], window.pace[axis, taps]
    n = list_cases(
        nest,
        window.cases[0],
        out,
        child,
        nest.dims[out, INNER],
        factor if stepped == out else _NONE,
    )
    n2 = list_cases(
        nest,
        window.cases[1],
        taps,
        child,
        nest.dims[taps, INNER],
        factor if stepped == taps else _NONE,
    )
    begun, same = 0.0, 0.0
    for i in range(n):
        one = window.cases[0, i]
        for j in range(n2):
            two = window.cases[1, j]
            if one[_AFTER] == 0 or two[_AFTER] == 0:
                continue
            times = float(one[_TIMES]) * two[_TIMES]
            begun += times * covered(one[_AFTER], two[_AFTER], a, b)
            by = a * one[_SHIFT] + b * two[_SHIFT]
            same += times * shared(one[_BEFORE], two[_BEFORE], one[_AFTER], two[_AFTER], by, a, b)
    found[0], found[1] = begun, same


@apart
def first_rows(nest: Nest, window: Window, axis: int, child: int, parent: int) -> float:
    """Rows (or columns) of the first tiles."""
    out, taps = P + axis, R + axis
    a, b = window.pace[axis, out], window.pace[axis, taps]
    if window.apart[axis]:
        mark_parts(nest, window.marks[0], out, child, parent)
        mark_parts(nest, window.marks[1], taps, child, parent)
    found = 0.0
    for c in range(nest.dims[out, NUMBER]):
        for c2 in range(nest.dims[taps, NUMBER]):
            one, two = nest.classes[out, c], nest.classes[taps, c2]
            weight = float(one[WEIGHT]) * two[WEIGHT]
            if not window.apart[axis]:
                p, r = size_in(one, nest.dims[out, FULL], 0), size_in(two, nest.dims[taps, FULL], 0)
                found += weight * covered(p, r, a, b)
                continue
            window.marks[2, :] = 0
            for p in range(min(nest.sizes[out], one[ROOM])):
                for r in range(min(nest.sizes[taps], two[ROOM])):
                    if window.marks[0, p] and window.marks[1, r]:
                        window.marks[2, a * p + b * r] = 1
            found += weight * window.marks[2].sum()
    return found


@apart
def window_words(nest: Nest, window: Window, sums: FloatArray, child: int, parent: int) -> float:
    """Words that come to tiles, or unions of tiles, over all classes; of MAC units, all words."""
    start, n = nest.first[child + 1], nest.first[nest.cut.shape[0] - 1]
    for d in range(7):
        nest.dims[d, INNER] = 1
        standing(nest, d, d != K, sums[d])
    # Rows and columns stand at P and Q; at R and S there is nothing more.
    for axis in (0, 1):
        axis_sums(nest, window, axis, child, parent, _NONE, 1, sums[P + axis])
        sums[R + axis] = 1.0
    words = 1.0
    if child < 0:
        for d in range(7):
            words *= sums[d, 0]
        return words
    for d in (N, K, C):
        words *= first_tiles(nest, d, d != K)
    for axis in (0, 1):
        words *= first_rows(nest, window, axis, child, parent)
    for i in range(start, n):
        d, factor = nest.loops[i, DIM], nest.loops[i, FACTOR]
        axis = -1
        if d in (P, R):
            axis = 0
        elif d in (Q, S):
            axis = 1
        at = d
        if axis >= 0:
            at = P + axis
            axis_sums(nest, window, axis, child, parent, d, factor, sums[STEPPED])
        else:
            stepping(nest, d, factor, d != K, sums[STEPPED])
        begun, same = sums[STEPPED, 0], sums[STEPPED, 1]
        for e in range(7):
            if e != at:
                begun *= sums[e, 0]
                same *= sums[e, 1]
        words += begun - same
        nest.dims[d, INNER] *= factor
        if axis >= 0:
            axis_sums(nest, window, axis, child, parent, _NONE, 1, sums[at])
        else:
            standing(nest, d, d != K, sums[d])
    return words


@inlined
def list_window(
    nest: Nest, window: Window, child: int, parent: int, reads: bool, first: bool
) -> None:
    """List classes of instances, or for the parent's reads of unions that share no word."""
    for d in range(7):
        kind = LEADER if first else EACH
        if reads:
            kind = LEADER if d == K else EACH
            if d >= P:
                kind = APART if window.apart[(d - P) % 2] else UNION
        list_classes(nest, d, child, parent, kind, first)


@apart
def count_windows(
    nest: Nest,
    window: Window,
    sums: FloatArray,
    keep: BoolArray,
    first: bool,
    counts: FloatArray,
) -> None:
    """Reads and fills of the inputs at every level, or at the first instance of each."""
    child = -1
    for parent in range(keep.shape[0]):
        if not keep[parent, INPUTS]:
            continue
        for axis in (0, 1):
            window.apart[axis] = has_gap(
                nest.cut[:, :, TEMPORAL], nest.cut[:, :, SPLIT], child, parent, P + axis
            ) or has_gap(nest.cut[:, :, TEMPORAL], nest.cut[:, :, SPLIT], child, parent, R + axis)
        list_window(nest, window, child, parent, True, first)
        counts[parent, INPUTS, READS] = window_words(nest, window, sums, child, parent)
        if child >= 0:
            window.apart[:] = False
            list_window(nest, window, child, parent, False, first)
            counts[child, INPUTS, FILLS] = window_words(nest, window, sums, child, parent)
        child = parent
