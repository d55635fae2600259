"""Cycles, energy and overflow of counted accesses."""

from __future__ import annotations

import math

from archgym.cost_models.accelerator.loopnest.arrays import (
    CYCLES,
    DRAINS,
    ENERGY,
    FILLS,
    READS,
    STEPS,
    UPDATES,
    BoolArray,
    FloatArray,
)
from archgym.cost_models.jit import inlined


@inlined
def slowed(
    counts: FloatArray, words: FloatArray, instances: float, steps: float, bandwidth: FloatArray
) -> float:
    """Cycles of a level as Timeloop rounds them: by how much it slows down every iteration."""
    read, write = 0.0, 0.0
    for t in range(3):
        read += counts[t, READS] * words[t] / instances / steps
        write += (counts[t, FILLS] + counts[t, UPDATES]) * words[t] / instances / steps
    cycles = steps
    if read > bandwidth[0]:
        cycles = math.ceil(steps / (bandwidth[0] / read))
    if write > bandwidth[1]:
        cycles = max(cycles, math.ceil(steps / (bandwidth[1] / write)))
    return cycles


@inlined
def cost(
    counts: FloatArray,
    held: FloatArray,
    instances: FloatArray,
    steps: float,
    macs: float,
    capacity: FloatArray,
    bandwidth: FloatArray,
    energy: FloatArray,
    words: FloatArray,
    copies: FloatArray,
    overlapped: BoolArray,
    mac_pj: float,
    timeloop: bool,
    totals: FloatArray,
    overflow: FloatArray,
    level_cycles: FloatArray,
) -> None:
    """Cycles and energy of a point, into `totals`; how far each level overflows; its own cycles."""
    cycles = steps
    stalls = 0.0
    joules = macs * mac_pj
    for level in range(counts.shape[0]):
        reads, writes, fills, drains, room = 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(3):
            w = words[level, t]
            reads += counts[level, t, READS] * w
            writes += (counts[level, t, FILLS] + counts[level, t, UPDATES]) * w
            fills += counts[level, t, FILLS] * w
            drains += counts[level, t, DRAINS] * w
            room += held[level, t] * w
        per_read = instances[level] * bandwidth[level, 0]
        per_write = instances[level] * bandwidth[level, 1]
        busy = max(math.ceil(reads / per_read), math.ceil(writes / per_write))
        if timeloop:
            busy = slowed(counts[level], words[level], instances[level], steps, bandwidth[level])
        level_cycles[level] = busy
        cycles = max(cycles, busy)
        if not overlapped[level]:
            stalls += math.ceil(fills / per_write) + math.ceil(drains / per_read)
        joules += reads * energy[level, 0] + writes * energy[level, 1]
        overflow[level] = max(0.0, room * copies[level] - capacity[level])
    totals[CYCLES] = cycles + stalls
    totals[STEPS] = steps
    totals[ENERGY] = joules
