"""Area of a controller's buffers: entries times bits, in a 45 nm process.

Per channel, with E entries of request buffers, of which D hold data of writes, a bits of an address
(of a burst within the channel) and d bits of a burst:

    requests    E (a + 1 + ceil(log2 E) + ceil(log2 sources)) flip-flops: address, direction, age
                and source of each; plus SRAM(D d)
    comparators E m, where m sums the row bits if the scheduler or the page policy looks for row
                hits, and a if accesses must not pass older ones of the same address
                (FrFcfsGrp; reads that pass writes with Watermark)
    responses   with RespQueue Reorder: SRAM(E d), the data that waits for earlier requests
    arbiter     with Fifo and Reorder: M (a + 1 + ceil(log2 M)) flip-flops and SRAM(M d) of write
                data; with Reorder once more SRAM(M d), of data that waits

E is RequestBufferSize for Shared, twice that for ReadWrite (D: half of E), times the banks of the
channel for Bankwise; M is MaxActiveTransactions. SRAM(b) = 0 for b = 0, else s0 + s1 b. Counters
(row-hit cap, time-outs) and control logic are left out: they do not grow with the buffers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archgym.cost_models.dram import DramDevice
from archgym.space import Columns

FloatArray = npt.NDArray[np.float64]

FLIP_FLOP_UM2: Final = 4.522
"""DFF_X1 of the Nangate 45 nm Open Cell Library (FreePDK45)."""

MATCH_UM2: Final = 1.596 + 1.064
"""XNOR2_X1 and AND2_X1 of the same library: one bit of a comparator and of its tree."""

SRAM_UM2: Final = 1375.65
SRAM_UM2_PER_BIT: Final = 0.524635
"""Line through CACTI 7's areas of 1 and 2 KiB (5673.47 and 9971.28 um2): 45 nm, itrs-hp, 64-bit
words, one port. Smaller arrays are extrapolated."""


def buffer_area_mm2(device: DramDevice, sources: int, columns: Columns) -> FloatArray:
    """Returns the area of all channels' buffers in mm2, `(n,)`.

    Args:
        device: the device.
        sources: number of sources of requests.
        columns: of the designs, see `DesignSpace.columns`.
    """
    o = device.organisation
    ranks = columns["Ranks"]
    burst_bits = 8.0 * device.request_bytes
    row_bits = (o.rows - 1).bit_length()
    bank = o.bank_groups * o.banks_per_group
    bursts = bank * o.rows * o.columns // o.burst_length
    address_bits = _bits(ranks * bursts)
    factor = np.select(
        [columns["SchedulerBuffer"] == "Bankwise", columns["SchedulerBuffer"] == "ReadWrite"],
        [ranks * bank, 2],
        1,
    )
    entries = columns["RequestBufferSize"] * factor
    with_data = np.where(columns["SchedulerBuffer"] == "ReadWrite", entries // 2, entries)
    entry_bits = address_bits + 1 + _bits(entries) + (sources - 1).bit_length()
    area = FLIP_FLOP_UM2 * entries * entry_bits + _sram(with_data * burst_bits)
    area += MATCH_UM2 * entries * _matched_bits(columns, row_bits, address_bits)
    area += np.where(columns["RespQueue"] == "Reorder", _sram(entries * burst_bits), 0.0)
    active = columns["MaxActiveTransactions"]
    waiting = FLIP_FLOP_UM2 * active * (address_bits + 1 + _bits(active))
    held = _sram(active * burst_bits)
    area += np.where(columns["Arbiter"] != "Simple", waiting + held, 0.0)
    area += np.where(columns["Arbiter"] == "Reorder", held, 0.0)
    total: FloatArray = columns["Channels"] * area * 1e-6
    return total


def _matched_bits(columns: Columns, row_bits: int, address_bits: FloatArray) -> FloatArray:
    """Bits of an entry that are compared in every cycle."""
    by_row = columns["Scheduler"] != "Fifo"
    by_row = by_row | np.isin(columns["PagePolicy"], ("OpenAdaptive", "ClosedAdaptive"))
    by_address = columns["Scheduler"] == "FrFcfsGrp"
    by_address = by_address | (columns["WriteDrain"] == "Watermark")
    bits: FloatArray = row_bits * by_row + address_bits * by_address
    return bits


def _bits(count: npt.NDArray[np.int64]) -> FloatArray:
    """Bits that tell `count` things apart; counts are exact in float64."""
    bits: FloatArray = np.ceil(np.log2(np.asarray(count, np.float64)))
    return bits


def _sram(bits: FloatArray) -> FloatArray:
    return SRAM_UM2 + SRAM_UM2_PER_BIT * bits
