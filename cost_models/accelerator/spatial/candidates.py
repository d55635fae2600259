"""Candidates of the mapper: tiles of the buffers and of the register files, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.loopnest.problem import C, K, N, P, Q, R, S
from archgym.cost_models.accelerator.spatial.dataflows import ROW_STATIONARY
from archgym.cost_models.accelerator.spatial.pricing import (
    FILE_ROOM,
    INPUT_BYTES,
    INPUT_ROOM,
    OUTPUT_ROOM,
    SUM_BYTES,
    WEIGHT_BYTES,
    WEIGHT_ROOM,
)
from archgym.cost_models.accelerator.spatial.tiling import (
    DILATION_H,
    DILATION_W,
    DRAM_INPUTS,
    DRAM_WEIGHTS,
    GROUPS,
    IN_CLUSTER,
    ON_COLUMNS,
    ON_ROWS,
    OUTPUT_PASSES,
    PARAMETERS,
    STRIDE_H,
    STRIDE_W,
    FloatArray,
    count_dram,
    extent,
)
from archgym.cost_models.jit import apart, inlined

IntArray = NDArray[np.int64]

# Tiles of a dimension, for bounds of up to 1.5**60; and of a layer.
MOST_SPLITS = 64
MOST_TILES = MOST_SPLITS * MOST_SPLITS
# Powers of two of two dimensions of up to 2**23, filter taps together or not, 3 orders, 9 ways to
# unroll.
MOST_FILES = 24 * 24 * 2 * 3 * 9
# A candidate of the array: template, what stays, and the register file's iterations.
F_TEMPLATE, F_STAYS, F_SIZES = 0, 1, 2
ALL_STAYS = 3


@apart
def splits(bound: float, found: FloatArray) -> int:
    """Tiles of a dimension, the largest first: it, divided by ever more, rounded up; how many."""
    n = 0
    parts = 1.0
    while parts <= bound and n < found.shape[0]:
        tile = np.ceil(bound / parts)
        if n == 0 or tile < found[n - 1]:
            found[n] = tile
            n += 1
        parts = max(parts + 1.0, np.floor(parts * 1.5))
    if found[n - 1] > 1.0:
        found[n] = 1.0
        n += 1
    return n


@inlined
def most_outputs(rows: float, taps: float, stride: float, dilation: float) -> float:
    """Outputs along an axis whose inputs take at most so many rows."""
    most = np.floor(rows / taps)
    span = (taps - 1.0) * dilation + 1.0
    if rows >= span:
        most = max(most, np.floor((rows - span) / stride) + 1.0)
    return float(most)


@apart
def largest_positions(layer: FloatArray, outputs: float, inputs: float, tile: FloatArray) -> bool:
    """The most output positions of which so many fit, and the input points under them.

    Whole images if one fits, else whole rows, else a part of a row; false if not even one point.
    """
    by_h, by_w = layer[STRIDE_H], layer[STRIDE_W]
    apart_h, apart_w = layer[DILATION_H], layer[DILATION_W]
    width = extent(layer[Q], layer[S], by_w, apart_w)
    area = width * extent(layer[P], layer[R], by_h, apart_h)
    tile[N], tile[P], tile[Q] = 1.0, 1.0, 1.0
    images = min(np.floor(outputs / (layer[P] * layer[Q])), np.floor(inputs / area))
    if images >= 1.0:
        tile[N], tile[P], tile[Q] = min(images, layer[N]), layer[P], layer[Q]
        return True
    fit = most_outputs(np.floor(inputs / width), layer[R], by_h, apart_h)
    rows = min(np.floor(outputs / layer[Q]), fit)
    if rows >= 1.0:
        tile[P], tile[Q] = min(rows, layer[P]), layer[Q]
        return True
    high = extent(1.0, layer[R], by_h, apart_h)
    fit = most_outputs(np.floor(inputs / high), layer[S], by_w, apart_w)
    tile[Q] = min(outputs, fit, layer[Q])
    return bool(tile[Q] >= 1.0)


@inlined
def moved_bytes(layer: FloatArray, chip: FloatArray, counts: FloatArray) -> float:
    """Bytes between DRAM and buffers of all groups."""
    b_i = chip[INPUT_BYTES]
    b_w = chip[WEIGHT_BYTES] if layer[PARAMETERS] > 0.0 else b_i
    outputs = layer[N] * layer[K] * layer[P] * layer[Q]
    sums = b_i + 2.0 * (counts[OUTPUT_PASSES] - 1.0) * SUM_BYTES
    one = counts[DRAM_WEIGHTS] * b_w + counts[DRAM_INPUTS] * b_i + outputs * sums
    return float(layer[GROUPS] * one)


@apart
def list_buffers(
    layer: FloatArray,
    chip: FloatArray,
    tiles: FloatArray,
    stays: IntArray,
    traffic: FloatArray,
    order: IntArray,
    k_tiles: FloatArray,
    c_tiles: FloatArray,
    counts: FloatArray,
) -> int:
    """List tiles of the buffers; how many.

    Args:
        layer: `(LAYER_CELLS,)`.
        chip: `(CHIP_CELLS,)`.
        tiles: To fill, by dimension `(_, 7)`.
        stays: To fill: which tensor does.
        traffic: To fill with bytes.
        order: To fill: the numbers of the tiles, least traffic first.
        k_tiles: Work memory, as the next two.
        c_tiles: Likewise.
        counts: Likewise.
    """
    b_i = chip[INPUT_BYTES]
    b_w = chip[WEIGHT_BYTES] if layer[PARAMETERS] > 0.0 else b_i
    taps = layer[R] * layer[S]
    n_k, n_c = splits(layer[K], k_tiles), splits(layer[C], c_tiles)
    n = 0
    for i in range(n_k):
        widest = 0.0
        for j in range(n_c):
            k, c = k_tiles[i], c_tiles[j]
            if k * c * taps * b_w > chip[WEIGHT_ROOM] or n == tiles.shape[0]:
                continue
            tile = tiles[n]
            tile[K], tile[C], tile[R], tile[S] = k, c, layer[R], layer[S]
            outputs = np.floor(chip[OUTPUT_ROOM] / (SUM_BYTES * k))
            inputs = np.floor(chip[INPUT_ROOM] / (b_i * c))
            if not largest_positions(layer, outputs, inputs, tile):
                continue
            positions = tile[N] * tile[P] * tile[Q]
            if positions <= widest:
                continue  # no more positions than with more input channels
            widest = positions
            least = np.inf
            for stay in range(3):
                count_dram(layer, tile, stay, counts)
                moved = moved_bytes(layer, chip, counts)
                if moved < least:
                    least = moved
                    stays[n] = stay
            traffic[n] = least
            at = n
            while at > 0 and traffic[order[at - 1]] > least:
                order[at] = order[at - 1]
                at -= 1
            order[at] = n
            n += 1
    return n


@inlined
def fits(
    layer: FloatArray,
    cuts: FloatArray,
    room: float,
    b_w: float,
    b_i: float,
    k: float,
    c: float,
    r: float,
    s: float,
    p: float,
    q: float,
) -> bool:
    """Whether a cluster's register file holds such iterations of all three tensors."""
    c_file, r_file = c * cuts[IN_CLUSTER, C], r * cuts[IN_CLUSTER, R]
    s_file = s * cuts[IN_CLUSTER, S]
    rows = extent(p, r_file, layer[STRIDE_H], layer[DILATION_H])
    columns = extent(q, s_file, layer[STRIDE_W], layer[DILATION_W])
    held = k * c_file * r_file * s_file * b_w + c_file * rows * columns * b_i
    return bool(held + k * p * q * SUM_BYTES <= room)


@inlined
def parts_of(cuts: FloatArray, d: int) -> float:
    """How many parts of a dimension go side by side."""
    return float(cuts[IN_CLUSTER, d] * cuts[ON_ROWS, d] * cuts[ON_COLUMNS, d])


@apart
def list_files(
    layer: FloatArray,
    chip: FloatArray,
    template: int,
    stays: int,
    cuts: FloatArray,
    files: FloatArray,
    n: int,
) -> int:
    """List tiles of the register files of one way to unroll; how many there are in all.

    Args:
        layer: `(LAYER_CELLS,)`.
        chip: `(CHIP_CELLS,)`.
        template: Number of the way.
        stays: Which tensor does; -1 for any of them.
        cuts: `(CUTS, 7)` with the parts.
        files: To fill `(_, 9)`: template, what stays, iterations by dimension.
        n: How many there are before.
    """
    b_i, room = chip[INPUT_BYTES], chip[FILE_ROOM]
    b_w = chip[WEIGHT_BYTES] if layer[PARAMETERS] > 0.0 else b_i
    most_k = np.ceil(layer[K] / parts_of(cuts, K))
    most_c = np.ceil(layer[C] / parts_of(cuts, C))
    most_q = np.ceil(layer[Q] / parts_of(cuts, Q))
    most_p = np.ceil(layer[P] / parts_of(cuts, P))
    all_r = np.ceil(layer[R] / parts_of(cuts, R))
    all_s = np.ceil(layer[S] / parts_of(cuts, S))
    start = n
    for together in range(2):
        r, s = (all_r, all_s) if together == 0 else (1.0, 1.0)
        if together == 1 and all_r * all_s <= 1.0:
            break
        if together == 1 and n > start and template in ROW_STATIONARY:
            break  # filter rows stay in the register files if they fit there
        k = 1.0
        while True:
            c = 1.0
            while True:
                q, p = 1.0, 1.0
                if not fits(layer, cuts, room, b_w, b_i, k, c, r, s, p, q):
                    break
                while q < most_q:
                    wider = min(2.0 * q, most_q)
                    if not fits(layer, cuts, room, b_w, b_i, k, c, r, s, p, wider):
                        break
                    q = wider
                while q >= most_q and p < most_p:
                    higher = min(2.0 * p, most_p)
                    if not fits(layer, cuts, room, b_w, b_i, k, c, r, s, higher, q):
                        break
                    p = higher
                more_k, more_c = min(2.0 * k, most_k), min(2.0 * c, most_c)
                grows = more_k > k and fits(layer, cuts, room, b_w, b_i, more_k, c, r, s, p, q)
                grows |= more_c > c and fits(layer, cuts, room, b_w, b_i, k, more_c, r, s, p, q)
                if not grows:
                    for stay in range(ALL_STAYS):
                        if (stays < 0 or stays == stay) and n < files.shape[0]:
                            files[n, F_TEMPLATE], files[n, F_STAYS] = template, stay
                            for d in range(7):
                                files[n, F_SIZES + d] = 1.0
                            files[n, F_SIZES + K], files[n, F_SIZES + C] = k, c
                            files[n, F_SIZES + R], files[n, F_SIZES + S] = r, s
                            files[n, F_SIZES + P], files[n, F_SIZES + Q] = p, q
                            n += 1
                if more_c == c:
                    break
                c = more_c
            if k == most_k:
                break
            k = min(2.0 * k, most_k)
    return n
