"""Cycles and energy of what a tiling moves on one chip, compiled.

A product takes

    max( first tiles in and last results out + max(steps, weights / bus, inputs / bus, sums / bus),
         bytes of the DRAM / its bandwidth )

cycles: everything is double-buffered, so that transfers hide behind each other and behind the
array's steps, but for what the array needs before its first step and gives after its last.
"""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.problem import C, K, N, P, Q, R, S
from archgym.cost_models.accelerator.spatial.tiling import (
    DRAM_INPUTS,
    DRAM_WEIGHTS,
    FILE_READS,
    FILE_UPDATES,
    FIRST_INPUTS,
    FIRST_WEIGHTS,
    GROUPS,
    INPUT_FILLS,
    INPUT_READS,
    LAST_OUTPUTS,
    OUTPUT_FETCHES,
    OUTPUT_PASSES,
    OUTPUT_UPDATES,
    PARAMETERS,
    STEPS,
    WEIGHT_FILLS,
    WEIGHT_READS,
    FloatArray,
)
from archgym.cost_models.jit import apart

SUM_BYTES = 4.0
# A chip: sizes in bytes, rates in bytes per cycle, energies in pJ per byte or cycle. Rooms are what
# one of two buffers holds; that of the register file is a cluster's.
(
    ROWS,
    COLUMNS,
    CLUSTER,
    FLOW,
    FILE_ROOM,
    WEIGHT_ROOM,
    INPUT_ROOM,
    OUTPUT_ROOM,
    BUS,
    DRAM,
    WEIGHT_BYTES,
    INPUT_BYTES,
    MAC_PJ,
    FILE_PJ,
    BUS_PJ,
    WEIGHT_READ_PJ,
    WEIGHT_WRITE_PJ,
    INPUT_READ_PJ,
    INPUT_WRITE_PJ,
    OUTPUT_READ_PJ,
    OUTPUT_WRITE_PJ,
    DRAM_PJ,
    CYCLE_PJ,
    CHIP_CELLS,
) = range(24)
# Costs of a product, all groups of it: cycles, pJ, bytes.
(
    CYCLES,
    COMPUTE_CYCLES,
    WEIGHT_CYCLES,
    INPUT_CYCLES,
    OUTPUT_CYCLES,
    DRAM_CYCLES,
    EXPOSED_CYCLES,
    INSIDE_CYCLES,
    PRODUCTS_PJ,
    REGISTERS_PJ,
    NETWORK_PJ,
    SRAM_PJ,
    OUTSIDE_PJ,
    FILE_BYTES,
    WEIGHT_BUS_BYTES,
    INPUT_BUS_BYTES,
    UPDATE_BYTES,
    DRAM_WEIGHT_BYTES,
    DRAM_INPUT_BYTES,
    SPILLED_BYTES,
    COSTS,
) = range(21)
# What energy and traffic of a network are made of: sums of these over its products.
TOTALS = (
    FILE_BYTES,
    WEIGHT_BUS_BYTES,
    INPUT_BUS_BYTES,
    UPDATE_BYTES,
    DRAM_WEIGHT_BYTES,
    DRAM_INPUT_BYTES,
    SPILLED_BYTES,
)
TOTAL_NAMES = (
    "file_bytes",
    "weight_bus_bytes",
    "input_bus_bytes",
    "update_bytes",
    "dram_weight_bytes",
    "dram_input_bytes",
    "spilled_bytes",
)


@apart
def price(layer: FloatArray, chip: FloatArray, counts: FloatArray, costs: FloatArray) -> None:
    """What counts cost on a chip.

    Args:
        layer: `(LAYER_CELLS,)`.
        chip: `(CHIP_CELLS,)`.
        counts: Of one of the layer's independent products.
        costs: `(COSTS,)` to fill, of all of them.
    """
    groups, bus, outside = layer[GROUPS], chip[BUS], chip[DRAM]
    b_i = chip[INPUT_BYTES]
    b_w = chip[WEIGHT_BYTES] if layer[PARAMETERS] > 0.0 else b_i
    outputs = layer[N] * layer[K] * layer[P] * layer[Q]
    macs = outputs * layer[C] * layer[R] * layer[S]
    weights, inputs = groups * counts[WEIGHT_READS] * b_w, groups * counts[INPUT_READS] * b_i
    updates = groups * counts[OUTPUT_UPDATES] * SUM_BYTES
    fetches = groups * counts[OUTPUT_FETCHES] * SUM_BYTES
    dram_w, dram_i = groups * counts[DRAM_WEIGHTS] * b_w, groups * counts[DRAM_INPUTS] * b_i
    spilled = groups * outputs * (counts[OUTPUT_PASSES] - 1.0) * SUM_BYTES
    drained = groups * outputs * SUM_BYTES + spilled
    dram_o = groups * outputs * b_i + 2.0 * spilled
    dram = dram_w + dram_i + dram_o
    edge = counts[FIRST_WEIGHTS] * b_w + (counts[FIRST_INPUTS] + counts[LAST_OUTPUTS]) * b_i
    costs[COMPUTE_CYCLES] = groups * counts[STEPS]
    costs[WEIGHT_CYCLES] = weights / bus
    costs[INPUT_CYCLES] = inputs / bus
    costs[OUTPUT_CYCLES] = updates / bus
    costs[DRAM_CYCLES] = dram / outside
    costs[EXPOSED_CYCLES] = edge / outside
    inside = max(costs[COMPUTE_CYCLES], costs[WEIGHT_CYCLES], costs[INPUT_CYCLES])
    inside = max(inside, costs[OUTPUT_CYCLES])
    costs[INSIDE_CYCLES] = costs[EXPOSED_CYCLES] + inside
    costs[CYCLES] = max(costs[INSIDE_CYCLES], costs[DRAM_CYCLES])
    costs[FILE_BYTES] = groups * (
        macs * (b_w + b_i)
        + (counts[FILE_READS] + counts[FILE_UPDATES] + counts[OUTPUT_FETCHES]) * SUM_BYTES
        + counts[WEIGHT_FILLS] * b_w
        + counts[INPUT_FILLS] * b_i
    )
    costs[WEIGHT_BUS_BYTES] = weights
    costs[INPUT_BUS_BYTES] = inputs
    costs[UPDATE_BYTES] = updates
    costs[PRODUCTS_PJ] = groups * macs * chip[MAC_PJ]
    costs[REGISTERS_PJ] = costs[FILE_BYTES] * chip[FILE_PJ]
    costs[NETWORK_PJ] = (weights + inputs + updates + fetches) * chip[BUS_PJ]
    costs[SRAM_PJ] = (
        weights * chip[WEIGHT_READ_PJ]
        + dram_w * chip[WEIGHT_WRITE_PJ]
        + inputs * chip[INPUT_READ_PJ]
        + dram_i * chip[INPUT_WRITE_PJ]
        + (fetches + drained) * chip[OUTPUT_READ_PJ]
        + (updates + spilled) * chip[OUTPUT_WRITE_PJ]
    )
    costs[OUTSIDE_PJ] = dram * chip[DRAM_PJ]
    costs[DRAM_WEIGHT_BYTES] = dram_w
    costs[DRAM_INPUT_BYTES] = dram_i
    costs[SPILLED_BYTES] = spilled
