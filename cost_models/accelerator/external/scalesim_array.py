"""SCALE-Sim in place of the own model of systolic arrays."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.external.process import WorkerError
from archgym.cost_models.accelerator.external.scalesim_model import Layer, LayerCounts, ScaleSim
from archgym.cost_models.accelerator.systolic import (
    DATAFLOWS,
    Systolic,
    SystolicDesigns,
    stall_cycles,
    systolic,
)
from archgym.cost_models.accelerator.work import Products

FloatArray = NDArray[np.float64]
_log = logging.getLogger(__name__)
_KI = 1024


class ScaleSimArray:
    """Counts of products on arrays by SCALE-Sim, one after the other.

    Every product is a layer of its GEMM form, as `systolic` sees it too. SCALE-Sim tells cycles
    without waiting, what the array reads and writes, and what passes the DRAM; partial sums it
    writes there but does not read again. Waiting for the DRAM is that of `systolic` with this
    traffic: its own mode with a given bandwidth takes whole words per cycle and gives every operand
    all of it. Partial sums read in the memory, which it does not count, are as in `systolic`.

    Args:
        simulator: That is asked.
    """

    def __init__(self, simulator: ScaleSim) -> None:
        self._simulator = simulator

    def __call__(self, products: Products, designs: SystolicDesigns) -> Systolic:
        """Evaluates all products on all designs, as `systolic`; failed ones take infinite cycles.

        Raises:
            ValueError: If a memory does not hold whole thousands (1,024) of its words.
        """
        own = systolic(products, designs, "scalesim")
        cycles = np.full(own.cycles.shape, np.inf)
        reads, writes = own.sram_reads.copy(), own.sram_writes.copy()
        dram = np.zeros(own.dram_bytes.shape)
        for d in range(len(designs.rows)):
            for p, counts in enumerate(self._design(products, designs, d)):
                batch = products.batch[p]
                cycles[d, p] = batch * counts.cycles
                reads[d, p, :2] = counts.ifmap_sram_reads, counts.filter_sram_reads
                reads[d, p, :2] *= batch
                writes[d, p] = batch * counts.ofmap_sram_writes
                dram[d, p] = batch * _dram_bytes(products, designs, d, p, counts)
        known = np.isfinite(cycles)
        stalls = stall_cycles(products, designs, np.where(known, cycles, 0.0), dram)
        share = products.batch * products.m * products.n * products.k
        elements = (designs.rows * designs.columns)[:, None]
        return replace(
            own,
            compute_cycles=cycles,
            cycles=cycles + stalls,
            utilisation=share / (cycles * elements),
            sram_reads=reads,
            sram_writes=writes,
            dram_bytes=dram,
        )

    def _design(self, products: Products, designs: SystolicDesigns, d: int) -> list[LayerCounts]:
        """Counts of the products of one design, none from the first failure on."""
        found: list[LayerCounts] = []
        for p in range(len(products.names)):
            layer = layer_of(products, designs, d, p)
            try:
                found.append(self._simulator.counts(layer))
            except WorkerError as error:
                _log.warning("SCALE-Sim, %s as %s: %s", products.names[p], layer, error)
                break
        return found


def layer_of(products: Products, designs: SystolicDesigns, d: int, p: int) -> Layer:
    """One product of a design as a layer; memories in words of what they hold.

    The memory of outputs holds partial sums.

    Raises:
        ValueError: If a memory does not hold whole thousands (1,024) of its words.
    """
    inputs, weights = _operand_bytes(products, designs, d, p)
    sizes = (
        ("input_memory_bytes", designs.input_memory_bytes[d], inputs),
        ("weight_memory_bytes", designs.weight_memory_bytes[d], weights),
        ("output_memory_bytes", designs.output_memory_bytes[d], designs.sum_bytes[d]),
    )
    words = []
    for name, size, word in sizes:
        held = size / word / _KI
        if held != int(held) or held < 1:
            raise ValueError(
                f"{name}: {size:g} holds {held:g} x 1,024 words of {word:g} bytes, SCALE-Sim takes "
                f"whole multiples"
            )
        words.append(int(held))
    return Layer(
        int(products.m[p]),
        int(products.n[p]),
        int(products.k[p]),
        int(designs.rows[d]),
        int(designs.columns[d]),
        DATAFLOWS[int(designs.dataflow[d])],
        words[0],
        words[1],
        words[2],
    )


def _operand_bytes(
    products: Products, designs: SystolicDesigns, d: int, p: int
) -> tuple[float, float]:
    """Of both operands; the second is in the inputs' format where it is no parameters."""
    inputs = float(designs.input_bytes[d])
    return inputs, float(designs.weight_bytes[d]) if products.parameters[p] > 0 else inputs


def _dram_bytes(
    products: Products, designs: SystolicDesigns, d: int, p: int, counts: LayerCounts
) -> FloatArray:
    """Bytes of inputs, weights, outputs `(3,)`; what is written above all outputs is sums."""
    inputs, weights = _operand_bytes(products, designs, d, p)
    outputs = min(counts.ofmap_dram_writes, float(products.m[p] * products.n[p]))
    sums = counts.ofmap_dram_writes - outputs
    return np.array(
        [
            counts.ifmap_dram_reads * inputs,
            counts.filter_dram_reads * weights,
            outputs * float(designs.output_bytes[d]) + sums * float(designs.sum_bytes[d]),
        ]
    )
