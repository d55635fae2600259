"""The best tiling of a layer on a chip: all of a pruned set, none evaluated that cannot win.

Two lists are made: tiles of the buffers and tiles of the array. Both hold only tiles that cannot
grow, because a larger tile never moves more:

- buffers: for tiles of output and input channels (bounds divided by 1, 2, 3, 4, 6, 9, ... and
  rounded up) the most output positions that fit (part of a row, whole rows, whole images), with the
  order of loops outside that moves the least;
- array: which dimensions go side by side and what stays, as the dataflow says (a flexible one tries
  all); in the register files filter taps together or one by one, powers of two of channels and
  positions.

All pairs are candidates, each also with the buffers' tile rounded down to whole tiles of the array.
A pair costs at least what the array's tile costs in buffers without end plus the DRAM traffic of
the buffers' tile; pairs are left out where that is no better than the best found. What is found is
the best of the set.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.loopnest.problem import C, K, N, P, Q, R, S
from archgym.cost_models.accelerator.spatial.dataflows import (
    FLEXIBLE,
    ROW_STATIONARY,
    STAYS,
    TEMPLATES,
    unroll,
)
from archgym.cost_models.accelerator.spatial.pricing import (
    COSTS,
    CYCLE_PJ,
    CYCLES,
    DRAM,
    DRAM_PJ,
    FILE_ROOM,
    FLOW,
    INPUT_BYTES,
    INPUT_ROOM,
    INSIDE_CYCLES,
    NETWORK_PJ,
    OUTPUT_ROOM,
    OUTSIDE_PJ,
    PRODUCTS_PJ,
    REGISTERS_PJ,
    SRAM_PJ,
    SUM_BYTES,
    WEIGHT_BYTES,
    WEIGHT_ROOM,
    price,
)
from archgym.cost_models.accelerator.spatial.tiling import (
    COUNTS,
    CUTS,
    DILATION_H,
    DILATION_W,
    DRAM_INPUTS,
    DRAM_WEIGHTS,
    GROUPS,
    IN_BUFFER,
    IN_CLUSTER,
    IN_FILE,
    ON_COLUMNS,
    ON_ROWS,
    OUTPUT_PASSES,
    PARAMETERS,
    STRIDE_H,
    STRIDE_W,
    FloatArray,
    count_array,
    count_dram,
    extent,
)
from archgym.cost_models.jit import apart, compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

IntArray = NDArray[np.int64]

OBJECTIVES = ("edp", "latency", "energy", "dram-traffic")
EDP, LATENCY, ENERGY, _TRAFFIC = range(4)
# A mapping: `CUTS` sizes per dimension, then template, what stays in the array and in the buffers.
TEMPLATE, ARRAY_STAYS, BUFFER_STAYS = range(CUTS * 7, CUTS * 7 + 3)
MAPPING_CELLS = CUTS * 7 + 3
_ALL_STAYS = 3
_MOST_TILES, _MOST_FILES, _MOST_SPLITS = 1600, 16384, 40
# A candidate of the array: template, what stays, and the register file's iterations.
_F_TEMPLATE, _F_STAYS, _F_SIZES = 0, 1, 2


@inlined
def first_value(objective: int, energy: float, cycles: float, moved: float) -> float:
    """What is to be small."""
    if objective == EDP:
        return energy * cycles
    if objective == LATENCY:
        return cycles
    return energy if objective == ENERGY else moved


@inlined
def second_value(objective: int, energy: float, cycles: float) -> float:
    """What decides between equals."""
    if objective == LATENCY:
        return energy
    return cycles if objective == ENERGY else energy * cycles


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
                    for stay in range(_ALL_STAYS):
                        if (stays < 0 or stays == stay) and n < files.shape[0]:
                            files[n, _F_TEMPLATE], files[n, _F_STAYS] = template, stay
                            for d in range(7):
                                files[n, _F_SIZES + d] = 1.0
                            files[n, _F_SIZES + K], files[n, _F_SIZES + C] = k, c
                            files[n, _F_SIZES + R], files[n, _F_SIZES + S] = r, s
                            files[n, _F_SIZES + P], files[n, _F_SIZES + Q] = p, q
                            n += 1
                if more_c == c:
                    break
                c = more_c
            if k == most_k:
                break
            k = min(2.0 * k, most_k)
    return n


@inlined
def on_chip_pj(costs: FloatArray) -> float:
    """Energy of all but DRAM and leakage."""
    inside = costs[PRODUCTS_PJ] + costs[REGISTERS_PJ]
    return float(inside + costs[NETWORK_PJ] + costs[SRAM_PJ])


@inlined
def evaluate(
    layer: FloatArray,
    chip: FloatArray,
    cuts: FloatArray,
    array_stays: int,
    buffer_stays: int,
    counts: FloatArray,
    costs: FloatArray,
) -> None:
    """Costs of one pair of tiles."""
    count_dram(layer, cuts[IN_BUFFER], buffer_stays, counts)
    count_array(layer, cuts, array_stays, counts)
    price(layer, chip, counts, costs)


@inlined
def set_files(cuts: FloatArray, file: FloatArray) -> None:
    """Put a candidate's iterations into the cuts."""
    for d in range(7):
        cuts[IN_FILE, d] = file[_F_SIZES + d]


@inlined
def set_buffers(layer: FloatArray, cuts: FloatArray, tile: FloatArray, whole: bool) -> bool:
    """Put a tile of the buffers into the cuts, perhaps of whole tiles of the array; if it differs.

    Filter taps are not cut there.
    """
    differs = False
    for d in range(7):
        size = tile[d]
        if whole and size < layer[d]:
            inner = parts_of(cuts, d) * cuts[IN_FILE, d]
            if size > inner:
                size = np.floor(size / inner) * inner
        differs |= size != tile[d]
        cuts[IN_BUFFER, d] = size
    return differs


@apart
def keep(
    cuts: FloatArray,
    template: int,
    array_stays: int,
    buffer_stays: int,
    costs: FloatArray,
    best: FloatArray,
    mapping: FloatArray,
) -> None:
    """Write down what is best so far."""
    for part in range(CUTS):
        for d in range(7):
            mapping[part * 7 + d] = cuts[part, d]
    mapping[TEMPLATE] = template
    mapping[ARRAY_STAYS] = array_stays
    mapping[BUFFER_STAYS] = buffer_stays
    for i in range(COSTS):
        best[i] = costs[i]


@apart
def best_of_layer(
    layer: FloatArray,
    chip: FloatArray,
    objective: int,
    prune: bool,
    fills: IntArray,
    cuts: FloatArray,
    tiles: FloatArray,
    tile_stays: IntArray,
    traffic: FloatArray,
    order: IntArray,
    files: FloatArray,
    bounds: FloatArray,
    k_tiles: FloatArray,
    c_tiles: FloatArray,
    counts: FloatArray,
    costs: FloatArray,
    best: FloatArray,
    mapping: FloatArray,
) -> int:
    """Find the best pair of tiles of one layer on one chip; how many were evaluated, 0: none fits.

    Args:
        layer: `(LAYER_CELLS,)`.
        chip: `(CHIP_CELLS,)`.
        objective: Number of a name of `OBJECTIVES`.
        prune: Whether to leave out pairs that cannot win.
        fills: `(TEMPLATES, 3, _)`.
        cuts: Work memory, as all down to `costs`; one set of cuts per template.
        tiles: See `list_buffers`.
        tile_stays: Likewise.
        traffic: Likewise.
        order: Likewise.
        files: See `list_files`.
        bounds: Least energy on the chip, and cycles, of each of them `(_, 2)`.
        k_tiles: See `list_buffers`.
        c_tiles: Likewise.
        counts: `(COUNTS,)`.
        costs: `(COSTS,)`.
        best: `(COSTS,)` to fill.
        mapping: `(MAPPING_CELLS,)` to fill.
    """
    n_tiles = list_buffers(layer, chip, tiles, tile_stays, traffic, order, k_tiles, c_tiles, counts)
    if n_tiles == 0:
        return 0
    flow = int(chip[FLOW])
    flexible = flow == FLEXIBLE
    n_files = 0
    for template in range(TEMPLATES):
        if flexible or template == flow:
            unroll(layer, chip, fills[template], cuts[template])
            stays = STAYS[template] if template < FLEXIBLE and not flexible else -1
            n_files = list_files(layer, chip, template, stays, cuts[template], files, n_files)
    if n_files == 0:
        return 0
    dram_pj, idle_pj, speed = chip[DRAM_PJ], chip[CYCLE_PJ], chip[DRAM]
    least = traffic[order[0]]
    first, second, promising = np.inf, np.inf, 0
    for f in range(n_files):
        own = cuts[int(files[f, _F_TEMPLATE])]
        set_files(own, files[f])
        for d in range(7):
            own[IN_BUFFER, d] = layer[d]
        bounds[f, 0], bounds[f, 1] = np.inf, np.inf
        for stay in range(_ALL_STAYS):
            # Where the loops of one order have a single iteration, it is another order.
            if not flexible or stay == files[f, _F_STAYS]:
                evaluate(layer, chip, own, stay, 0, counts, costs)
                bounds[f, 0] = min(bounds[f, 0], on_chip_pj(costs))
                bounds[f, 1] = min(bounds[f, 1], costs[INSIDE_CYCLES])
        cycles = max(bounds[f, 1], least / speed)
        energy = bounds[f, 0] + least * dram_pj + cycles * idle_pj
        value = first_value(objective, energy, cycles, least)
        other = second_value(objective, energy, cycles)
        if value < first or (value == first and other < second):
            first, second, promising = value, other, f
    first, second = np.inf, np.inf
    evaluated = n_files
    for turn in range(-1, n_files):
        f = promising if turn < 0 else turn
        if turn == promising:
            continue
        template, array_stays = int(files[f, _F_TEMPLATE]), int(files[f, _F_STAYS])
        own = cuts[template]
        set_files(own, files[f])
        for i in range(n_tiles):
            g = order[i]
            cycles = max(bounds[f, 1], traffic[g] / speed)
            energy = bounds[f, 0] + traffic[g] * dram_pj + cycles * idle_pj
            value = first_value(objective, energy, cycles, traffic[g])
            other = second_value(objective, energy, cycles)
            if prune and (value > first or (value == first and other >= second)):
                break  # all further tiles move more
            for whole in range(2):
                differs = set_buffers(layer, own, tiles[g], whole == 1)
                if whole == 1 and not differs:
                    break
                evaluate(layer, chip, own, array_stays, tile_stays[g], counts, costs)
                evaluated += 1
                moved, cycles = moved_bytes(layer, chip, counts), costs[CYCLES]
                energy = on_chip_pj(costs) + costs[OUTSIDE_PJ] + cycles * idle_pj
                value = first_value(objective, energy, cycles, moved)
                other = second_value(objective, energy, cycles)
                if value < first or (value == first and other < second):
                    first, second = value, other
                    keep(own, template, array_stays, tile_stays[g], costs, best, mapping)
    return evaluated


@compiled
def search(
    layers: FloatArray,
    chips: FloatArray,
    objective: int,
    prune: bool,
    fills: IntArray,
    costs: FloatArray,
    mappings: FloatArray,
    evaluated: IntArray,
) -> None:
    """Find the best tiling of every layer on every chip.

    Args:
        layers: `(l, LAYER_CELLS)`.
        chips: `(d, CHIP_CELLS)`.
        objective: Number of a name of `OBJECTIVES`.
        prune: Whether to leave out pairs that cannot win; the answer is the same.
        fills: `dataflows.FILLS`.
        costs: To fill `(d, l, COSTS)`; infinite where nothing fits.
        mappings: To fill `(d, l, MAPPING_CELLS)`.
        evaluated: To fill with the number of tilings evaluated `(d, l)`.
    """
    cuts = np.ones((TEMPLATES, CUTS, 7))
    tiles = np.ones((_MOST_TILES, 7))
    tile_stays = np.zeros(_MOST_TILES, np.int64)
    traffic = np.zeros(_MOST_TILES)
    order = np.zeros(_MOST_TILES, np.int64)
    files = np.ones((_MOST_FILES, 9))
    bounds = np.zeros((_MOST_FILES, 2))
    k_tiles, c_tiles = np.zeros(_MOST_SPLITS), np.zeros(_MOST_SPLITS)
    counts, work = np.zeros(COUNTS), np.zeros(COSTS)
    for d in range(chips.shape[0]):
        for i in range(layers.shape[0]):
            evaluated[d, i] = best_of_layer(
                layers[i],
                chips[d],
                objective,
                prune,
                fills,
                cuts,
                tiles,
                tile_stays,
                traffic,
                order,
                files,
                bounds,
                k_tiles,
                c_tiles,
                counts,
                work,
                costs[d, i],
                mappings[d, i],
            )
            if evaluated[d, i] == 0:
                costs[d, i, :] = np.inf


@compiled
def evaluate_mappings(
    layers: FloatArray,
    chips: FloatArray,
    mappings: FloatArray,
    counts: FloatArray,
    costs: FloatArray,
) -> None:
    """Counts and costs of given mappings, one layer, chip and mapping each.

    Args:
        layers: `(n, LAYER_CELLS)`.
        chips: `(n, CHIP_CELLS)`.
        mappings: `(n, MAPPING_CELLS)`.
        counts: To fill `(n, COUNTS)`.
        costs: To fill `(n, COSTS)`.
    """
    cuts = np.ones((CUTS, 7))
    for i in range(layers.shape[0]):
        for part in range(CUTS):
            for d in range(7):
                cuts[part, d] = mappings[i, part * 7 + d]
        array_stays, buffer_stays = int(mappings[i, ARRAY_STAYS]), int(mappings[i, BUFFER_STAYS])
        evaluate(layers[i], chips[i], cuts, array_stays, buffer_stays, counts[i], costs[i])
