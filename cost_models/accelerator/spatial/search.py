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

from archgym.cost_models.accelerator.spatial.candidates import (
    ALL_STAYS,
    F_SIZES,
    F_STAYS,
    F_TEMPLATE,
    MOST_FILES,
    MOST_SPLITS,
    MOST_TILES,
    list_buffers,
    list_files,
    moved_bytes,
    parts_of,
)
from archgym.cost_models.accelerator.spatial.dataflows import (
    FLEXIBLE,
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
    FLOW,
    INSIDE_CYCLES,
    NETWORK_PJ,
    OUTSIDE_PJ,
    PRODUCTS_PJ,
    REGISTERS_PJ,
    SRAM_PJ,
    price,
)
from archgym.cost_models.accelerator.spatial.tiling import (
    COUNTS,
    CUTS,
    IN_BUFFER,
    IN_FILE,
    FloatArray,
    count_array,
    count_dram,
)
from archgym.cost_models.jit import apart, compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

IntArray = NDArray[np.int64]

OBJECTIVES = ("edp", "latency", "energy", "dram-traffic")
EDP, LATENCY, ENERGY, _TRAFFIC = range(4)
# A mapping: `CUTS` sizes per dimension, then template, what stays in the array and in the buffers.
TEMPLATE, ARRAY_STAYS, BUFFER_STAYS = range(CUTS * 7, CUTS * 7 + 3)
MAPPING_CELLS = CUTS * 7 + 3


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
        cuts[IN_FILE, d] = file[F_SIZES + d]


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
        own = cuts[int(files[f, F_TEMPLATE])]
        set_files(own, files[f])
        for d in range(7):
            own[IN_BUFFER, d] = layer[d]
        bounds[f, 0], bounds[f, 1] = np.inf, np.inf
        for stay in range(ALL_STAYS):
            # Where the loops of one order have a single iteration, it is another order.
            if not flexible or stay == files[f, F_STAYS]:
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
        template, array_stays = int(files[f, F_TEMPLATE]), int(files[f, F_STAYS])
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
    tiles = np.ones((MOST_TILES, 7))
    tile_stays = np.zeros(MOST_TILES, np.int64)
    traffic = np.zeros(MOST_TILES)
    order = np.zeros(MOST_TILES, np.int64)
    files = np.ones((MOST_FILES, 9))
    bounds = np.zeros((MOST_FILES, 2))
    k_tiles, c_tiles = np.zeros(MOST_SPLITS), np.zeros(MOST_SPLITS)
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
