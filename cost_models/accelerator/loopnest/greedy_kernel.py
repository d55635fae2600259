"""Greedy filling of arrays and levels, compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import BoolArray, FloatArray
from archgym.cost_models.accelerator.loopnest.problem import (
    C,
    IntArray,
    K,
    N,
    P,
    Q,
    R,
    S,
)
from archgym.cost_models.jit import compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

# Where factors stand: on columns and rows, inside, in the middle, outside.
ON_COLUMNS, ON_ROWS, INSIDE, MIDDLE, OUTSIDE, PLACES = range(6)


@inlined
def needs(tile: IntArray, problem: IntArray, keep: BoolArray, words: FloatArray) -> float:
    """Words of a tile (7,) at a level; inputs as a box."""
    room = 0.0
    if keep[0]:
        room += words[0] * float(tile[K] * tile[C] * tile[R] * tile[S])
    if keep[1]:
        rows = (tile[P] - 1) * problem[7] + (tile[R] - 1) * problem[9] + 1
        columns = (tile[Q] - 1) * problem[8] + (tile[S] - 1) * problem[10] + 1
        rows = min(rows, tile[P] * tile[R])
        columns = min(columns, tile[Q] * tile[S])
        room += words[1] * float(tile[N] * tile[C]) * float(rows * columns)
    if keep[2]:
        room += words[2] * float(tile[N] * tile[K] * tile[P] * tile[Q])
    return room


@inlined
def fits(
    factors: IntArray,
    problem: IntArray,
    keep: BoolArray,
    middle: int,
    capacity: FloatArray,
    words: FloatArray,
    tile: IntArray,
) -> bool:
    """Whether the tiles of some factors fit all levels but the outermost."""
    for d in range(7):
        tile[d] = factors[INSIDE, d]
    for level in range(middle):
        if needs(tile, problem, keep[level], words[level]) > capacity[level]:
            return False
    for d in range(7):
        tile[d] *= factors[ON_COLUMNS, d] * factors[ON_ROWS, d] * factors[MIDDLE, d]
    for level in range(middle, keep.shape[0] - 1):
        if needs(tile, problem, keep[level], words[level]) > capacity[level]:
            return False
    return True


@compiled
def fill(
    problem: IntArray,
    divisors: IntArray,
    rules: IntArray,
    keep: BoolArray,
    middle: int,
    capacity: FloatArray,
    words: FloatArray,
    fanout: IntArray,
    factors: IntArray,
) -> None:
    """Fill in the factors of greedy mappings.

    Args:
        problem: Sizes, strides and dilations (11,).
        divisors: Of every size, in descending order, then 0 (7, any).
        rules: Orders in which places take dimensions (s, 4, 7), -1 at the end.
        keep: What levels hold (L, 3).
        middle: The level with the array.
        capacity: Words of every level, per machine (n, L).
        words: Words of an element, all tiles of it, per machine (n, L, 3).
        fanout: Columns and rows, per machine (n, 2).
        factors: Ones, to be filled (n, s, 5, 7).
    """
    tile = problem[:7].copy()
    for i in range(factors.shape[0]):
        for s in range(factors.shape[1]):
            own = factors[i, s]
            for d in range(7):
                own[OUTSIDE, d] = problem[d]
            for place in range(4):
                room = fanout[i, place] if place < 2 else 1
                for k in range(7):
                    d = rules[s, place, k]
                    if d < 0:
                        break
                    whole = own[OUTSIDE, d]
                    for j in range(divisors.shape[1]):
                        f = divisors[d, j]
                        if f <= 1:
                            break
                        if whole % f != 0 or (place < 2 and f > room):
                            continue
                        own[place, d] = f
                        own[OUTSIDE, d] = whole // f
                        if fits(own, problem, keep, middle, capacity[i], words[i], tile):
                            room //= f
                            break
                        own[place, d] = 1
                        own[OUTSIDE, d] = whole


@compiled
def neighbours(
    problem: IntArray,
    exchanges: IntArray,
    keep: BoolArray,
    middle: int,
    capacity: FloatArray,
    words: FloatArray,
    fanout: IntArray,
    factors: IntArray,
    found: IntArray,
    machine: IntArray,
) -> int:
    """List mappings that differ in one exchange and fit; how many there are.

    Args:
        problem: Bounds, strides and dilations (11,).
        exchanges: Two moves each `(m, 2, 4)`: dimension, factor, from where, to where; a factor of
            1 moves nothing.
        keep: What levels hold (levels, 3).
        middle: The level in the middle.
        capacity: Of the machines (n, levels).
        words: Words of an element, with all copies (n, levels, 3).
        fanout: Columns and rows (n, 2).
        factors: A mapping of every machine (n, 5, 7).
        found: To fill (n * m + 1, 5, 7).
        machine: To fill with their machines (n * m + 1,).
    """
    tile = np.zeros(7, np.int64)
    count = 0
    for i in range(len(factors)):
        for exchange in exchanges:
            new = found[count]
            new[:] = factors[i]
            divides = True
            for move in exchange:
                d, factor, here, there = move
                if new[here, d] % factor != 0:
                    divides = False
                    break
                new[here, d] //= factor
                new[there, d] *= factor
            if not divides:
                continue
            columns, rows = 1, 1
            for d in range(7):
                columns *= new[ON_COLUMNS, d]
                rows *= new[ON_ROWS, d]
            if columns > fanout[i, 0] or rows > fanout[i, 1]:
                continue
            if fits(new, problem, keep, middle, capacity[i], words[i], tile):
                machine[count] = i
                count += 1
    return count
