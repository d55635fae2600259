"""Accesses of weights and outputs, whose tiles are boxes of whole elements."""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.arrays import (
    DRAINS,
    FILLS,
    READS,
    UPDATES,
    BoolArray,
    FloatArray,
)
from archgym.cost_models.accelerator.loopnest.problem import (
    OUTPUTS,
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
from archgym.cost_models.jit import inlined


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
