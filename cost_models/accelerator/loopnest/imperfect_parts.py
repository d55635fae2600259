"""Loops whose factors do not multiply to the bounds: which instances have how much to do.

Factors f_1, f_2, ... of a dimension, the innermost first, cut it up as digits of a mixed radix do;
iterations from the bound on are left out. So only a last tile is smaller than the others, and what
an instance does in the iterations of the temporal loops above it is all of them up to some last
one. Instances differ in how many these are, and in whether their last tile is whole: a few classes
per dimension, by the digits of the last iteration.
"""

from __future__ import annotations

from typing import NamedTuple

from archgym.cost_models.accelerator.loopnest.arrays import FloatArray
from archgym.cost_models.accelerator.loopnest.problem import IntArray
from archgym.cost_models.jit import apart, inlined

# Columns of the table of classes: iterations of the temporal loops in which the instances that
# share words have something to do, those of the instance itself, the size of its last tile, the
# number of instances, and how much of the dimension is left from the first of the sharing ones on.
GROUP, OWN, LAST, WEIGHT, ROOM, CLASS_CELLS = range(6)
# What the classes tell apart: instances; the first of those that share words; unions of tiles;
# the sharing ones, of which the tiles do not lie side by side.
EACH, LEADER, UNION, APART = range(4)
_EVERYTHING = 1 << 60
# Columns of the table of factors (levels + 1, 7): parts and iterations of a level, the product of
# all factors below its loops (in the last row, with all), and digits of the last iteration.
SPLIT, TEMPORAL, TILE, LAST_SPLIT, LAST_TEMPORAL, CUT_CELLS = range(6)
# Columns of the table of loops: those of more than one iteration, innermost first.
DIM, FACTOR, STEP, LOOP_CELLS = range(4)
# Columns of what stands for a dimension: number of classes, size of whole tiles, iterations inside.
NUMBER, FULL, INNER, DIM_CELLS = range(4)


class Nest(NamedTuple):
    """The loops of a point, and the classes that are looked at.

    Attributes:
        sizes: Bounds (7,).
        cut: Factors (levels + 1, 7, 5).
        loops: Loops (., 3).
        first: The first loop of every level (levels + 1,).
        classes: Classes of a dimension (7, ., 5).
        dims: What stands for a dimension (7, 3).
    """

    sizes: IntArray
    cut: IntArray
    loops: IntArray
    first: IntArray
    classes: IntArray
    dims: IntArray


@apart
def cut_up(
    nest: Nest, temporal: IntArray, order: IntArray, columns: IntArray, rows: IntArray
) -> None:
    """Fill in factors, digits of the last iteration and loops of a point."""
    cut, n = nest.cut, 0
    for level in range(temporal.shape[0]):
        nest.first[level] = n
        for k in range(7):
            d = order[level, k]
            parts, times = columns[level, d] * rows[level, d], temporal[level, d]
            tile = cut[level, d, TILE] if level > 0 else 1
            rest = (nest.sizes[d] - 1) // tile
            here = cut[level, d]
            here[SPLIT], here[TEMPORAL], here[TILE] = parts, times, tile
            here[LAST_SPLIT], here[LAST_TEMPORAL] = rest % parts, rest // parts % times
            cut[level + 1, d, TILE] = tile * parts * times
            loop = nest.loops[n]
            loop[DIM], loop[FACTOR], loop[STEP] = d, times, tile * parts
            n += times > 1
    nest.first[temporal.shape[0]] = n


@inlined
def add_class(nest: Nest, d: int, group: int, own: int, last: int, weight: int, room: int) -> None:
    """Add instances, to those before if they are alike."""
    n = nest.dims[d, NUMBER]
    if n > 0:
        before = nest.classes[d, n - 1]
        if before[GROUP] == group and before[OWN] == own and before[LAST] == last:
            before[WEIGHT] += weight
            return
    new = nest.classes[d, n]
    new[GROUP], new[OWN], new[LAST], new[WEIGHT], new[ROOM] = group, own, last, weight, room
    nest.dims[d, NUMBER] = n + 1


@apart
def led(nest: Nest, d: int, child: int, parent: int, outside: int, inner: int) -> int:
    """Iterations of the first instance below the last parent, given those outside of the parent."""
    for level in range(parent, child, -1):
        inner //= nest.cut[level, d, TEMPORAL]
        outside += nest.cut[level, d, LAST_TEMPORAL] * inner
        if nest.cut[level, d, LAST_SPLIT] > 0:
            return int(outside + inner)
    return int(outside + 1)


@apart
def list_classes(nest: Nest, d: int, child: int, parent: int, kind: int, first: bool) -> None:
    """List the classes of a dimension of the instances of `child`, or of their unions.

    Goes from the outermost parts inwards along the digits of the last iteration: instances with a
    smaller digit than its one do whole rounds inside, those with a larger one do none.

    Args:
        nest: The point.
        d: The dimension.
        child: A level, -1 the MAC units.
        parent: The level whose instances' children share words.
        kind: What is told apart.
        first: Only below the first parent.
    """
    levels = nest.cut.shape[0] - 1
    nest.dims[d, NUMBER] = 0
    full = nest.cut[child + 1, d, TILE]
    inner, parts = 1, 1
    for level in range(child + 1, levels):
        inner *= nest.cut[level, d, TEMPORAL]
        shared = level <= parent
        if shared and kind == UNION:
            full *= nest.cut[level, d, SPLIT]
        if (shared and kind == EACH) or (not shared and not first):
            parts *= nest.cut[level, d, SPLIT]
    nest.dims[d, FULL] = full
    outside, room, group = 0, nest.sizes[d], 0
    for level in range(levels - 1, child, -1):
        if level == parent:
            group = led(nest, d, child, parent, outside, inner)
            if kind == APART:
                # Its last tile is left to `ROOM`, so that it is like no other class.
                add_class(nest, d, group, group, 0, 1, room)
                return
        inner //= nest.cut[level, d, TEMPORAL]
        outside += nest.cut[level, d, LAST_TEMPORAL] * inner
        shared, here = level <= parent, nest.cut[level, d, SPLIT]
        if here == 1 or (shared and kind == UNION):
            continue
        last = nest.cut[level, d, LAST_SPLIT]
        if (shared and kind != EACH) or (not shared and first):
            if last > 0:
                own = outside + inner
                add_class(nest, d, group if shared else own, own, full, parts, _EVERYTHING)
                return
            continue
        parts //= here
        if last > 0:
            own = outside + inner
            add_class(nest, d, group if shared else own, own, full, last * parts, _EVERYTHING)
        more = here - 1 - last
        if more > 0 and outside > 0:
            add_class(
                nest, d, group if shared else outside, outside, full, more * parts, _EVERYTHING
            )
        room -= last * nest.cut[level, d, TILE]
    if kind == UNION:
        group = outside + 1
    add_class(nest, d, group, outside + 1, (nest.sizes[d] - 1) % full + 1, 1, room)


@inlined
def instances_of(nest: Nest, d: int) -> float:
    """Instances that have something to do."""
    found = 0.0
    for c in range(nest.dims[d, NUMBER]):
        found += nest.classes[d, c, WEIGHT]
    return found


@apart
def everything(nest: Nest, d: int, moves: bool) -> float:
    """Sizes of all tiles, of all instances and iterations; of what does not move, their number."""
    found = 0.0
    for c in range(nest.dims[d, NUMBER]):
        row = nest.classes[d, c]
        size = row[OWN]
        if moves:
            size = nest.dims[d, FULL] * (row[OWN] - 1) + row[LAST]
        found += float(row[WEIGHT]) * size
    return found


@apart
def standing(nest: Nest, d: int, moves: bool, sums: FloatArray) -> None:
    """Sum over the iterations outside of loops that begin anew.

    Into `sums`: sizes of the tile with which they begin, and what of that was there at their end;
    of what the dimension does not move, how often.
    """
    begun, same = 0.0, 0.0
    full, inner = nest.dims[d, FULL], nest.dims[d, INNER]
    for c in range(nest.dims[d, NUMBER]):
        row = nest.classes[d, c]
        weight, own, last = float(row[WEIGHT]), row[OWN], row[LAST]
        outer = (own + inner - 1) // inner
        # Whether the last time around is one iteration.
        short = (own - 1) % inner == 0
        if not moves:
            begun += weight * outer
            same += weight * outer
            continue
        size = full * outer - (full - last if short else 0)
        begun += weight * size
        if inner == 1:
            same += weight * size
        elif short:
            same += weight * last
    sums[0], sums[1] = begun, same


@apart
def stepping(nest: Nest, d: int, factor: int, moves: bool, sums: FloatArray) -> None:
    """The same sums over the steps of the next loop, of `factor` iterations."""
    begun, same = 0.0, 0.0
    full, inner = nest.dims[d, FULL], nest.dims[d, INNER]
    for c in range(nest.dims[d, NUMBER]):
        row = nest.classes[d, c]
        weight, own, last = float(row[WEIGHT]), row[OWN], row[LAST]
        final = (own - 1) // inner
        steps = final - final // factor
        if not moves:
            begun += weight * steps
            same += weight * steps
            continue
        short = final % factor != 0 and final * inner == own - 1
        begun += weight * (full * steps - (full - last if short else 0))
    sums[0], sums[1] = begun, same
