"""Costs of every layer of every design, compiled: what `layers` says, and unions of multipliers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.jit import forget_stale_kernels, inlined, vectorising

forget_stale_kernels(Path(__file__).parent)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@vectorising
def layer_costs(
    work: FloatArray,
    designs: FloatArray,
    weight_bits: FloatArray,
    activation_bits: FloatArray,
    macs_per_cycle: FloatArray,
    energy_pj_per_mac: FloatArray,
    gated: bool,
    compute_cycles: FloatArray,
    dram_bits: FloatArray,
    element_pj: FloatArray,
    sram_pj: FloatArray,
) -> None:
    """Costs of all runs of each layer, written into the last four arrays `(n, l)`.

    Args:
        work: Batch, rows, columns, tokens and count of each layer `(5, l)`.
        designs: `(11, n)`: array rows and columns, inputs and outputs of an element, bytes of both
            memories, bits of DRAM per cycle, and pJ to read and to write a bit of both memories.
        weight_bits: As in `layers.LayerFormats`, `(n, l)`, as are the next three.
        activation_bits: Of inputs and outputs.
        macs_per_cycle: Of an element.
        energy_pj_per_mac: Of an element.
        gated: As in `layers.layer_costs`.
        compute_cycles: Of the array.
        dram_bits: Moved.
        element_pj: Before place and route.
        sram_pj: Of both memories.
    """
    for i in range(designs.shape[1]):
        rows, columns, inputs, outputs = designs[0, i], designs[1, i], designs[2, i], designs[3, i]
        weight_sram, activation_sram = designs[4, i], designs[5, i]
        per_step = inputs * outputs
        for k in range(work.shape[1]):
            batch, m, c, t = work[0, k], work[1, k], work[2, k], work[3, k]
            count = work[4, k]
            w, a = weight_bits[i, k], activation_bits[i, k]
            row_tiles = np.ceil(m / (rows * outputs))
            token_tiles = np.ceil(t / columns)
            steps = np.ceil(c / inputs) * row_tiles * token_tiles
            compute_cycles[i, k] = count * batch * steps * (per_step / macs_per_cycle[i, k])
            # A row has whole bytes.
            weights = np.ceil(c * w / 8) * m * batch
            given = np.ceil(c * a / 8) * t * batch
            made = np.ceil(m * a / 8) * t * batch
            weight_fulls = np.ceil(weights / weight_sram)
            given_fulls = np.ceil(given / activation_sram)
            if weight_fulls > 1 and given_fulls > 1:
                if given_fulls * weights + given < weight_fulls * given + weights:
                    weights = given_fulls * weights
                else:
                    given = weight_fulls * given
            dram_bits[i, k] = count * (8 * (weights + given + made))
            busy = batch * m * c * t
            if not gated:
                busy = batch * steps * rows * columns * per_step
            element_pj[i, k] = count * busy * energy_pj_per_mac[i, k]
            sram = designs[7, i] * (batch * m * c * token_tiles * w)
            sram += designs[8, i] * 8 * weights
            sram += designs[9, i] * (batch * t * c * row_tiles * a)
            sram += designs[10, i] * 8 * (given + made)
            sram_pj[i, k] = count * sram


@inlined
def sums_nand2(
    tenths: float, count: int, bits: np.int64, floats: bool, adders: FloatArray, parts: FloatArray
) -> float:
    """Multipliers with the adders, selection and accumulator of their products.

    Args:
        tenths: Of the multipliers, in tenths of a gate equivalent.
        count: Of multipliers.
        bits: Of the widest integer sum, 0 without one.
        floats: Whether there are sums of floats.
        adders: Of an integer adder, by bits.
        parts: Of a binary32 adder, of a selection of one bit, and of a flip-flop.
    """
    float_adder, select, flip_flop = parts
    area = tenths / 10 + (adders[bits] + (float_adder if floats else 0.0))
    width = max(bits, 32 if floats else 0)
    return float(area + max(count - 1, 0) * width * select + flip_flop * width)


@vectorising
def union_nand2(
    used: BoolArray,
    stored: tuple[FloatArray, FloatArray],
    units_of: IntArray,
    tenths: FloatArray,
    bits: IntArray,
    floats: BoolArray,
    covers: BoolArray,
    adders: FloatArray,
    parts: FloatArray,
    area: FloatArray,
) -> None:
    """Area of an element for all pairs that it multiplies, in gate equivalents, into `area` `(n,)`.

    Args:
        used: Which pairs `(n, w, a)`.
        stored: Bits of both operands, `(w,)` and `(a,)`, which the widest registers hold.
        units_of: Multipliers of each pair `(w, a, m)`, filled up with -1.
        tenths: Area of each of k multipliers, in tenths of a gate equivalent.
        bits: Of its sums, 0 for floats.
        floats: Whether its sums are floats.
        covers: Whether one multiplier does what another one does `(k, k)`, never both ways.
        adders: As in `sums_nand2`.
        parts: As in `sums_nand2`.
        area: Of everything.
    """
    k = len(tenths)
    asked = np.empty(k, np.bool_)
    listed, kept = np.empty(k, np.int64), np.empty(k, np.int64)
    for i in range(used.shape[0]):
        asked[:] = False
        first, second = 0.0, 0.0
        for w in range(used.shape[1]):
            for a in range(used.shape[2]):
                if used[i, w, a]:
                    first, second = max(first, stored[0][w]), max(second, stored[1][a])
                    for unit in units_of[w, a]:
                        if unit >= 0:
                            asked[unit] = True
        many = 0
        for unit in range(k):
            if asked[unit]:
                listed[many] = unit
                many += 1
        count, total, widest, any_float = 0, 0.0, np.int64(0), False
        for x in range(many):
            unit = listed[x]
            spare = False
            for y in range(many):
                spare |= covers[listed[y], unit]
            if not spare:
                kept[count] = unit
                count += 1
                total += tenths[unit]
                widest = max(widest, bits[unit])
                any_float |= floats[unit]
        least = sums_nand2(total, count, widest, any_float, adders, parts)
        # One more multiplier in place of those that it covers, where it covers any.
        for unit in range(k):
            left, rest, idle = 0, tenths[unit], False
            widest, any_float = bits[unit], floats[unit]
            for x in range(count):
                other = kept[x]
                idle |= other == unit or covers[other, unit]
                if not covers[unit, other]:
                    left += 1
                    rest += tenths[other]
                    widest = max(widest, bits[other])
                    any_float |= floats[other]
            if left < count and not idle:
                least = min(least, sums_nand2(rest, left + 1, widest, any_float, adders, parts))
        area[i] = least + parts[2] * (first + second)
