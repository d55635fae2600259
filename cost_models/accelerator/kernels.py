"""The sums over a network that `systolic` and `roofline` make, compiled: totals per design.

The same equations as there, without arrays of (designs x operators). Designs go by blocks, so that
the innermost loop is over designs and its intermediate results stay in the nearest cache.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.roofline import Machine
from archgym.cost_models.accelerator.systolic import SystolicDesigns
from archgym.cost_models.accelerator.work import Products, Work
from archgym.cost_models.jit import compiled, forget_stale_kernels

forget_stale_kernels(Path(__file__).parent)

FloatArray = NDArray[np.float64]
_BLOCK = 256
SYSTOLIC_TOTALS = (
    "compute_cycles",
    "cycles",
    "sram_input_reads",
    "sram_weight_reads",
    "sram_output_reads",
    "sram_output_writes",
    "dram_input_bytes",
    "dram_weight_bytes",
    "dram_output_bytes",
)


def systolic_totals(products: Products, designs: SystolicDesigns) -> dict[str, FloatArray]:
    """Sums over all runs of all products, in mode `ideal`, on one core.

    Args:
        products: Of a network.
        designs: NumPy arrays of float64 `(d,)`.

    Returns:
        `(d,)` per name of `SYSTOLIC_TOTALS`.
    """
    names = ("batch", "m", "n", "k", "parameters", "count")
    table = np.stack([getattr(products, name) for name in names], axis=1).astype(np.float64)
    out = np.zeros((len(SYSTOLIC_TOTALS), designs.rows.size))
    _systolic(
        table,
        designs.rows,
        designs.columns,
        designs.dataflow,
        designs.input_memory_bytes,
        designs.weight_memory_bytes,
        designs.output_memory_bytes,
        designs.dram_bytes_per_cycle,
        designs.input_bytes,
        designs.weight_bytes,
        designs.output_bytes,
        designs.sum_bytes,
        out,
    )
    return dict(zip(SYSTOLIC_TOTALS, out, strict=True))


@compiled
def _systolic(
    table: FloatArray,
    array_rows: FloatArray,
    array_columns: FloatArray,
    dataflow: FloatArray,
    input_memory: FloatArray,
    weight_memory: FloatArray,
    output_memory: FloatArray,
    dram: FloatArray,
    input_bytes: FloatArray,
    weight_bytes: FloatArray,
    output_bytes: FloatArray,
    sum_bytes: FloatArray,
    out: FloatArray,
) -> None:
    for start in range(0, dram.size, _BLOCK):
        stop = min(start + _BLOCK, dram.size)
        for p in range(table.shape[0]):
            batch, m, n, k, parameters, count = table[p]
            runs = batch * count
            mk, kn, mn = m * k, k * n, m * n
            for d in range(start, stop):
                rows, columns = array_rows[d], array_columns[d]
                os, stays = dataflow[d] == 0.0, dataflow[d] == 2.0
                room_i, room_w = 0.5 * input_memory[d], 0.5 * weight_memory[d]
                room_o, pace = 0.5 * output_memory[d], 1.0 / dram[d]
                high = m if os else k
                wide = m if stays else n
                steps = k if os else (n if stays else m)
                down, across = np.ceil(high / rows), np.ceil(wide / columns)
                folds = down * across
                compute = folds * (steps - 2.0) + across * high * (1.0 if os else 2.0) + down * wide
                # On-chip memories.
                passes = across if not stays else 1.0
                sram_w = kn * down if os else (kn * across if stays else kn)
                sums = mn if os else mn * down
                # The outside memory.
                b_i, b_o, b_s = input_bytes[d], output_bytes[d], sum_bytes[d]
                b_w = weight_bytes[d] if parameters > 0.0 else b_i
                inputs, weights = mk * b_i, kn * b_w
                broad = min(columns, m if stays else n)
                deep = min(rows, k)
                left = min(columns, n)
                a_i = 1.0 if min(rows, m) * k * b_i <= room_i else across
                a_w = 1.0 if weights <= room_w else down
                b_in = 1.0 if inputs <= room_i else across
                b_we = 1.0 if k * left * b_w <= room_w else down
                first = inputs * a_i + weights * a_w <= inputs * b_in + weights * b_we
                streaming = n if stays else m
                b_x = b_w if stays else b_i
                room_x = room_w if stays else room_i
                spilled = 2.0 * (down - 1.0) * m * n * b_s
                stream = streaming * k * b_x
                i_x = 1.0 if stream <= room_x else across
                i_o = 0.0 if streaming * broad * b_s <= room_o else spilled
                o_x = 1.0 if streaming * deep * b_x <= room_x else across
                o_o = 0.0 if mn * b_s <= room_o else spilled
                better = stream * i_x + i_o <= stream * o_x + o_o
                streams = i_x if better else o_x
                times_i = (a_i if first else b_in) if os else (1.0 if stays else streams)
                times_w = (a_w if first else b_we) if os else (streams if stays else 1.0)
                partial = 0.0 if os else (i_o if better else o_o)
                dram_i, dram_w, dram_o = inputs * times_i, weights * times_w, mn * b_o + partial
                # Waiting.
                i_high = min(rows if os else (columns if stays else m), m)
                w_wide = n if stays else left
                edge = (k if os else deep) * (i_high * b_i + w_wide * b_w) + i_high * w_wide * b_o
                moving = (batch * (dram_i + dram_w + dram_o) - edge) * pace
                run = batch * compute
                wait = edge * pace + max(moving - run, 0.0)
                out[0, d] += count * run
                out[1, d] += count * (run + wait)
                out[2, d] += runs * mk * passes
                out[3, d] += runs * sram_w
                out[4, d] += runs * (sums - mn)
                out[5, d] += runs * sums
                out[6, d] += runs * dram_i
                out[7, d] += runs * dram_w
                out[8, d] += runs * dram_o


def roofline_totals(work: Work, machine: Machine) -> dict[str, FloatArray]:
    """Sums over all runs of all operators, on one core.

    Args:
        work: Of a network.
        machine: NumPy arrays of float64.

    Returns:
        `latency_s` `(d,)`, and `energy_j` `(d, 3 + levels)` by part as of `Roofline`.
    """
    table = np.stack(
        [
            work.macs,
            work.operations,
            work.weights,
            work.inputs,
            work.outputs,
            2.0 * work.macs / np.sqrt(work.window),
            2.0 * work.batch,
            work.count,
        ],
        axis=1,
    ).astype(np.float64)
    count, number = machine.below_bytes.shape
    traffic = np.zeros((number, count))
    latency = np.zeros(count)
    _roofline(
        table,
        machine.peak_macs_per_s,
        machine.vector_ops_per_s,
        machine.weight_bytes,
        machine.input_bytes,
        machine.output_bytes,
        machine.below_bytes,
        machine.bandwidth_bytes_per_s,
        latency,
        traffic,
    )
    parts = np.empty((count, 3 + number))
    parts[:, 0] = np.sum(work.macs * work.count) * machine.mac_energy_pj * 1e-12
    parts[:, 1] = np.sum(work.operations * work.count) * machine.vector_energy_pj * 1e-12
    parts[:, 2 : 2 + number] = 1e-12 * traffic.T * machine.energy_pj_per_byte
    parts[:, 2 + number] = latency * machine.static_power_w
    return {"latency_s": latency, "energy_j": parts}


@compiled
def _roofline(
    table: FloatArray,
    peak: FloatArray,
    vector: FloatArray,
    weight_bytes: FloatArray,
    input_bytes: FloatArray,
    output_bytes: FloatArray,
    below: FloatArray,
    bandwidth: FloatArray,
    latency: FloatArray,
    traffic: FloatArray,
) -> None:
    levels = below.shape[1]
    longest = np.empty(_BLOCK)
    rates = np.empty((2, _BLOCK))
    again = np.empty((3, levels, _BLOCK))
    for start in range(0, peak.shape[0], _BLOCK):
        stop = min(start + _BLOCK, peak.shape[0])
        for d in range(start, stop):
            rates[0, d - start], rates[1, d - start] = 1.0 / peak[d], 1.0 / vector[d]
            widths = weight_bytes[d] * input_bytes[d] * output_bytes[d]
            for level in range(levels):
                again[0, level, d - start] = np.sqrt(widths / below[d, level])
                again[1, level, d - start] = below[d, level]
                again[2, level, d - start] = 1.0 / bandwidth[d, level]
        for o in range(table.shape[0]):
            macs, operations, weights, inputs, outputs, reused, held, count = table[o]
            for i in range(stop - start):
                longest[i] = max(macs * rates[0, i], operations * rates[1, i])
            for level in range(levels):
                for i in range(stop - start):
                    d = start + i
                    once = (
                        weights * weight_bytes[d]
                        + inputs * input_bytes[d]
                        + outputs * output_bytes[d]
                    )
                    moved = max(once, reused * again[0, level, i] - held * again[1, level, i])
                    longest[i] = max(longest[i], moved * again[2, level, i])
                    traffic[level, d] += count * moved
            for i in range(stop - start):
                latency[start + i] += count * longest[i]
