"""Accesses of weights and outputs under factors that do not multiply to the bounds.

A tile changes wherever one of the loops above it steps and moves it, or a loop inside of that one
did. With sums over all instances and iterations, per dimension e,

    words = first tiles + sum over loops j of (product over e of begun_e(j) - product of same_e(j))

where `begun` are sizes of the tile after a step of j, when all loops inside begin anew, and `same`
is what of them was there before. An instance without anything to do keeps its tile.
"""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.arrays import (
    DRAINS,
    FILLS,
    READS,
    UPDATES,
    BoolArray,
    FloatArray,
)
from archgym.cost_models.accelerator.loopnest.imperfect_parts import (
    DIM,
    EACH,
    FACTOR,
    FULL,
    INNER,
    LAST,
    LEADER,
    NUMBER,
    OWN,
    WEIGHT,
    Nest,
    everything,
    instances_of,
    list_classes,
    standing,
    stepping,
)
from archgym.cost_models.accelerator.loopnest.loops import MOVES
from archgym.cost_models.accelerator.loopnest.problem import OUTPUTS, WEIGHTS
from archgym.cost_models.jit import apart, inlined

# The row of sums that belongs to the step of a loop; those before belong to the dimensions.
STEPPED = 7


@inlined
def first_tiles(nest: Nest, d: int, moves: bool) -> float:
    """Sizes of the first tiles of all instances, or their number."""
    found = 0.0
    for c in range(nest.dims[d, NUMBER]):
        row = nest.classes[d, c]
        size = 1
        if moves:
            size = row[LAST] if row[OWN] == 1 else nest.dims[d, FULL]
        found += float(row[WEIGHT]) * size
    return found


@apart
def box_words(nest: Nest, sums: FloatArray, tensor: int, child: int) -> float:
    """Words that come to the tiles of a level, over all classes."""
    start, n = nest.first[child + 1], nest.first[nest.cut.shape[0] - 1]
    words = 1.0
    for d in range(7):
        words *= first_tiles(nest, d, MOVES[tensor, d])
        nest.dims[d, INNER] = 1
        standing(nest, d, MOVES[tensor, d], sums[d])
    for i in range(start, n):
        d, factor = nest.loops[i, DIM], nest.loops[i, FACTOR]
        moves = MOVES[tensor, d]
        stepping(nest, d, factor, moves, sums[STEPPED])
        begun, same = sums[STEPPED, 0], sums[STEPPED, 1]
        for e in range(7):
            if e != d:
                begun *= sums[e, 0]
                same *= sums[e, 1]
        words += begun - same
        nest.dims[d, INNER] *= factor
        standing(nest, d, moves, sums[d])
    return words


@inlined
def all_words(nest: Nest, tensor: int) -> float:
    """Words of all tiles of all iterations."""
    words = 1.0
    for d in range(7):
        words *= everything(nest, d, MOVES[tensor, d])
    return words


@inlined
def touched(nest: Nest, tensor: int) -> float:
    """Different words of every instance, over all instances."""
    words = 1.0
    for d in range(7):
        if MOVES[tensor, d]:
            words *= everything(nest, d, True)
        else:
            words *= instances_of(nest, d)
    return words


@apart
def list_box(nest: Nest, tensor: int, child: int, parent: int, reads: bool, first: bool) -> None:
    """List classes of instances, or for the parent's reads of those that share no word."""
    for d in range(7):
        kind = LEADER if first else EACH
        if reads:
            kind = EACH if MOVES[tensor, d] else LEADER
        list_classes(nest, d, child, parent, kind, first)


@apart
def count_box_weights(
    nest: Nest, sums: FloatArray, keep: BoolArray, first: bool, counts: FloatArray
) -> None:
    """Reads and fills of the weights at every level, or at the first instance of each."""
    child = -1
    for parent in range(keep.shape[0]):
        if not keep[parent, WEIGHTS]:
            continue
        list_box(nest, WEIGHTS, child, parent, True, first)
        if child < 0:
            counts[parent, WEIGHTS, READS] = all_words(nest, WEIGHTS)
        else:
            counts[parent, WEIGHTS, READS] = box_words(nest, sums, WEIGHTS, child)
            list_box(nest, WEIGHTS, child, parent, False, first)
            counts[child, WEIGHTS, FILLS] = box_words(nest, sums, WEIGHTS, child)
        child = parent


@apart
def count_box_outputs(
    nest: Nest, sums: FloatArray, keep: BoolArray, first: bool, counts: FloatArray
) -> None:
    """Reads, fills, updates and drains of the outputs, likewise; as `box_counts.count_outputs`."""
    child = -1
    for parent in range(keep.shape[0]):
        if not keep[parent, OUTPUTS]:
            continue
        list_box(nest, OUTPUTS, child, parent, True, first)
        known = touched(nest, OUTPUTS)
        handed = all_words(nest, OUTPUTS) if child < 0 else box_words(nest, sums, OUTPUTS, child)
        counts[parent, OUTPUTS, UPDATES] = handed
        counts[parent, OUTPUTS, READS] = handed - known
        if child >= 0:
            list_box(nest, OUTPUTS, child, parent, False, first)
            drained = box_words(nest, sums, OUTPUTS, child)
            counts[child, OUTPUTS, READS] += drained
            counts[child, OUTPUTS, DRAINS] = drained
            # One of those that add up to a sum fetches what the parent has of it, each in turn.
            fetched = handed - known
            if first:
                fetched = drained - touched(nest, OUTPUTS)
                for d in range(7):
                    if not MOVES[OUTPUTS, d]:
                        list_classes(nest, d, child, parent, EACH, True)
                        fetched /= instances_of(nest, d)
            counts[child, OUTPUTS, FILLS] = fetched
        child = parent
