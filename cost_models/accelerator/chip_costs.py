"""What networks cost on whole chips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.chip import (
    ChipDesigns,
    ChipFormats,
    FloatArray,
    areas_of,
    dram_of,
    edge_bytes_per_s,
    formats_of,
    memories_of,
    systolic_designs,
    vector_pj,
)
from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.systolic import (
    Systolic,
    SystolicDesigns,
    systolic,
)
from archgym.cost_models.accelerator.work import Products, Work, products_of, work_of

ArrayModel = Callable[[Products, SystolicDesigns], Systolic]
"""Counts products on systolic arrays, all of one on all of the other."""

ENERGY_PARTS = ("products", "registers", "vector", "sram", "dram", "leakage")
# Designs at a time, so that intermediate results stay small.
_CHUNK = 2048


@dataclass(frozen=True)
class ChipCosts:
    """Costs of a network on chips.

    Attributes:
        names: Of the operators, those without products fused with the one before.
        operator_s: `(d, o)` time of all runs of an operator.
        latency_s: `(d,)`.
        energy_j: `(d,)` by name of `ENERGY_PARTS`.
        area_mm2: `(d,)` by name of `AREA_PARTS`.
        utilisation: `(d,)` multiply-accumulates per element of the array and cycle, all in all.
        dram_bytes: `(d,)` moved.
    """

    names: tuple[str, ...]
    operator_s: FloatArray
    latency_s: FloatArray
    energy_j: dict[str, FloatArray]
    area_mm2: dict[str, FloatArray]
    utilisation: FloatArray
    dram_bytes: FloatArray

    @property
    def total_energy_j(self) -> FloatArray:
        """`(d,)` the sum of the parts."""
        total: FloatArray = np.stack(list(self.energy_j.values())).sum(axis=0)
        return total

    @property
    def total_area_mm2(self) -> FloatArray:
        """`(d,)` the sum of the parts."""
        total: FloatArray = np.stack(list(self.area_mm2.values())).sum(axis=0)
        return total

    @property
    def power_w(self) -> FloatArray:
        """`(d,)` on average."""
        return self.total_energy_j / self.latency_s


class ChipModel:
    """A network to be evaluated on chips.

    An operator takes as long as its products on the array and what else it reads (biases, rows of
    embeddings), or as the operations of the vector unit on their results if that is longer.
    Attention is not fused: scores pass the memories as any operand does.

    Args:
        network: With at least one dense product.
        array: What counts its products on arrays.
    """

    def __init__(self, network: Network, array: ArrayModel = systolic) -> None:
        self.work, self.products = work_of(network), products_of(network)
        self.array = array

    def costs(self, designs: ChipDesigns) -> ChipCosts:
        """Evaluate the network on chips.

        Raises:
            ValueError: If a memory has a size or word that is not known at the node.
        """
        count = len(designs.rows)
        parts = [
            costs_of(
                self.work,
                self.products,
                designs.part(start, min(start + _CHUNK, count)),
                self.array,
            )
            for start in range(0, count, _CHUNK)
        ]
        return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[ChipCosts]) -> ChipCosts:
    """Parts of a batch, one after the other."""

    def together(name: str) -> FloatArray:
        return np.concatenate([getattr(part, name) for part in parts])

    def by_name(name: str) -> dict[str, FloatArray]:
        tables = [getattr(part, name) for part in parts]
        return {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}

    return ChipCosts(
        parts[0].names,
        together("operator_s"),
        together("latency_s"),
        by_name("energy_j"),
        by_name("area_mm2"),
        together("utilisation"),
        together("dram_bytes"),
    )


def costs_of(
    work: Work, products: Products, designs: ChipDesigns, array: ArrayModel = systolic
) -> ChipCosts:
    """What operators cost on chips, one after the other.

    Args:
        work: Operators.
        products: Of these.
        designs: Chips.
        array: What counts the products on arrays.
    """
    found = array(products, systolic_designs(designs))
    clock = designs.clock_ghz[:, None] * 1e9
    # `(o, p)` which products are of which operator.
    owned = np.array([[name == each for each in products.names] for name in work.names], float)
    array_s = np.zeros((len(designs.rows), len(work.names)))
    for product, name in enumerate(products.names):
        array_s[:, work.names.index(name)] += found.cycles[:, product] / clock[:, 0]
    other_bytes = _other_bytes(work, products, owned, designs)
    speed = np.minimum(dram_of(designs)[0], edge_bytes_per_s(designs))
    vector_s = work.operations / (designs.vector_lanes[:, None] * clock)
    operator_s = work.count * np.maximum(array_s + other_bytes / speed[:, None], vector_s)
    latency = operator_s.sum(axis=1)
    macs = float((work.macs * work.count).sum())
    operations = float((work.operations * work.count).sum())
    elements = designs.rows * designs.columns
    dram_bytes = (found.dram_bytes.sum(axis=-1) * products.count).sum(axis=1)
    dram_bytes = dram_bytes + (other_bytes * work.count).sum(axis=1)
    return ChipCosts(
        work.names,
        operator_s,
        latency,
        _energy(designs, found, products, dram_bytes, macs, operations, latency),
        areas_of(designs),
        macs / (latency * clock[:, 0] * elements),
        dram_bytes,
    )


def _other_bytes(
    work: Work, products: Products, owned: FloatArray, designs: ChipDesigns
) -> FloatArray:
    """Bytes `(d, o)` that operators read beside the operands of their products.

    Biases, parameters of normalisations, rows of embeddings, states.
    """
    second = products.batch * products.k * products.n
    first = products.batch * products.m * products.k
    weights: FloatArray = work.weights - owned @ (products.parameters * second)
    inputs: FloatArray = work.inputs - owned @ (first + (1 - products.parameters) * second)
    formats = formats_of(designs)
    return (
        np.maximum(weights, 0) * formats.weight[:, None] / 8
        + np.maximum(inputs, 0) * formats.activation[:, None] / 8
    )


def _energy(
    designs: ChipDesigns,
    found: Systolic,
    products: Products,
    dram_bytes: FloatArray,
    macs: float,
    operations: float,
    latency: FloatArray,
) -> dict[str, FloatArray]:
    formats = formats_of(designs)
    activation, weight, total = formats.activation / 8, formats.weight / 8, formats.total / 8
    memories = memories_of(designs)
    read = [each.read_pj / designs.sram_word_bytes for each in memories]
    write = [each.write_pj / designs.sram_word_bytes for each in memories]
    reads = (found.sram_reads * products.count[:, None]).sum(axis=1)
    writes = (found.sram_writes * products.count).sum(axis=1)
    moved = (found.dram_bytes * products.count[:, None]).sum(axis=1)
    sram = (
        reads[:, 0] * activation * read[0]
        + moved[:, 0] * write[0]
        + reads[:, 1] * weight * read[1]
        + moved[:, 1] * write[1]
        + (reads[:, 2] * total + moved[:, 2]) * read[2]
        + writes * total * write[2]
    )
    leakage = 1e-3 * np.sum([each.leakage_mw for each in memories], axis=0) * latency
    return {
        "products": 1e-12 * macs * formats.energy_pj,
        "registers": 1e-12 * macs * _register_pj(designs, formats),
        "vector": np.full_like(latency, 1e-12 * operations * vector_pj(designs.node_nm)),
        "sram": 1e-12 * sram,
        "dram": 1e-12 * dram_bytes * dram_of(designs)[1],
        "leakage": leakage,
    }


def _register_pj(designs: ChipDesigns, formats: ChipFormats) -> FloatArray:
    """Of one multiply-accumulate: three operands read, and written what does not stay in place."""
    register = constants()["register"]
    scaling = constants()["technology_energy"][designs.node_nm]
    bits = [formats.weight, formats.activation, formats.total]
    stays = [designs.dataflow == 1, designs.dataflow == 2, np.zeros_like(designs.rows, bool)]
    written = sum(
        (np.where(kept, 0.0, each) for kept, each in zip(stays, bits, strict=True)),
        np.zeros_like(designs.rows),
    )
    return scaling * (
        register["read"] * (bits[0] + bits[1] + bits[2]) + register["write"] * written
    )
