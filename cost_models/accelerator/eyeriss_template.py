"""Chips after a template of Eyeriss, whose memories are of any class, size and rate.

An array of elements has three scratchpads each, for inputs, weights and sums, a buffer per column
that holds nothing, and a buffer for inputs and sums, banked. Words are 16 bits. This is the
template of Timeloop's exercises that the design space of ArchGym (2023) varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.arithmetic import mac_area_um2, mac_energy_pj
from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.loopnest.arrays import Machines
from archgym.cost_models.accelerator.sram import sram_costs, sram_range

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLASSES = ("regfile", "smartbuffer_SRAM", "smartbuffer_RF", "SRAM")
"""Of memories: registers or SRAM, with (`smartbuffer`) or without generators of addresses."""
SCRATCHPADS = ("inputs", "weights", "sums")
AREA_PARTS = ("products", "scratchpads", "column buffers", "buffer")
WORD_BITS = 16
CLOCK_HZ = 200e6
"""Of Eyeriss (Chen et al., JSSC 2017)."""
DRAM_WORDS = 4.0
"""Per cycle: 64 bits wide, as the template's LPDDR4."""
_ROW_BYTES = 8
_REGISTER_NODE_NM = 40


@dataclass(frozen=True)
class Memory:
    """One kind of memory of every chip `(d,)`.

    Attributes:
        kind: Number of its class in `CLASSES`.
        depth: Rows.
        block: Words of a row, which are read and written at once.
        read_words: Per cycle.
        write_words: Per cycle.
        banks: Equal parts.
    """

    kind: IntArray
    depth: IntArray
    block: IntArray
    read_words: IntArray
    write_words: IntArray
    banks: IntArray

    @property
    def words(self) -> FloatArray:
        """Words of one instance."""
        return np.asarray(self.depth * self.block, np.float64)

    @property
    def bytes(self) -> FloatArray:
        """Bytes of one instance."""
        return self.words * WORD_BITS / 8

    def costs(self, node_nm: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Energy of reading and of writing a word in pJ, and area of an instance in mm2.

        SRAM by CACTI; a bank below its smallest memory costs as that one, and a row of any width as
        one of 8 bytes. Registers by Aladdin, whatever their number. A smart buffer adds a 16-bit
        adder for addresses.
        """
        table, scale = constants(), constants()["technology_energy"][node_nm]
        smallest, largest = sram_range(node_nm, _ROW_BYTES)
        bank = np.clip(self.bytes / self.banks, smallest, None)
        if (bank > largest).any():
            raise ValueError(f"bank of {bank.max():g} bytes, must be at most {largest}")
        sram = sram_costs(bank * self.banks, _ROW_BYTES, node_nm, self.banks)
        bit = table["register"]
        registers = np.isin(self.kind, [CLASSES.index("regfile"), CLASSES.index("smartbuffer_RF")])
        smart = np.isin(
            self.kind, [CLASSES.index("smartbuffer_RF"), CLASSES.index("smartbuffer_SRAM")]
        )
        address = np.where(smart, table["int_add_energy"][16] * scale, 0.0)
        reads = np.where(registers, WORD_BITS * bit["read"] * scale * self.block, sram.read_pj)
        writes = np.where(registers, WORD_BITS * bit["write"] * scale * self.block, sram.write_pj)
        shrink = 1e-6 * (node_nm / _REGISTER_NODE_NM) ** 2
        area = np.where(registers, self.words * WORD_BITS * bit["area"] * shrink, sram.area_mm2)
        adder = table["int_add_area"][16] * 1e-6 * (node_nm / 45) ** 2
        return (
            (reads + address) / self.block,
            (writes + address) / self.block,
            area + np.where(smart, adder, 0.0),
        )


@dataclass(frozen=True)
class TemplateChips:
    """Chips `(d,)`.

    Attributes:
        pes: Elements.
        columns: Of the array.
        scratchpads: By name of `SCRATCHPADS`.
        column_buffer: One per column; everything passes by.
        buffer: For inputs and sums.
        node_nm: Process.
    """

    pes: IntArray
    columns: IntArray
    scratchpads: Mapping[str, Memory]
    column_buffer: Memory
    buffer: Memory
    node_nm: int

    def __len__(self) -> int:
        return len(self.pes)

    def machines(self) -> Machines:
        """Their hierarchies: scratchpads of inputs, weights and sums, buffer, DRAM."""
        n, levels = len(self), len(SCRATCHPADS) + 2
        memories = [*(self.scratchpads[name] for name in SCRATCHPADS), self.buffer]
        dram = WORD_BITS * constants()["dram_energy"]["LPDDR4"] * np.ones(n)
        costs = [memory.costs(self.node_nm) for memory in memories]
        outside = np.full(n, DRAM_WORDS)
        fanout = np.ones((n, levels, 2), np.int64)
        fanout[:, 3, 0], fanout[:, 3, 1] = self.columns, self.pes // self.columns
        mac = mac_energy_pj("int16", "int16", "int16", self.node_nm)
        return Machines(
            np.stack([*(m.words for m in memories), np.full(n, np.inf)], axis=1),
            np.stack([*(m.read_words.astype(float) for m in memories), outside], axis=1),
            np.stack([*(m.write_words.astype(float) for m in memories), outside], axis=1),
            np.stack([*(cost[0] for cost in costs), dram], axis=1),
            np.stack([*(cost[1] for cost in costs), dram], axis=1),
            np.ones((n, levels, 3)),
            np.ones((n, levels)),
            np.ones((n, levels), np.bool_),
            fanout,
            np.full(n, mac),
        )

    def area_mm2(self) -> dict[str, FloatArray]:
        """Areas by name of `AREA_PARTS`."""
        mac = mac_area_um2("int16", "int16", "int16", self.node_nm)
        pads = [memory.costs(self.node_nm)[2] for memory in self.scratchpads.values()]
        return {
            "products": 1e-6 * mac * self.pes,
            "scratchpads": np.sum(pads, axis=0) * self.pes,
            "column buffers": self.column_buffer.costs(self.node_nm)[2] * self.columns,
            "buffer": self.buffer.costs(self.node_nm)[2],
        }

    def memory_bytes(self) -> FloatArray:
        """Of all memories together."""
        pads = np.sum([memory.bytes for memory in self.scratchpads.values()], axis=0)
        held: FloatArray = (
            pads * self.pes + self.column_buffer.bytes * self.columns + self.buffer.bytes
        )
        return held
