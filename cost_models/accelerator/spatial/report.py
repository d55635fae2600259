"""A network on one chip, operator by operator: time, energy, traffic, what bounds it, mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.chip import vector_pj
from archgym.cost_models.accelerator.spatial.chips import (
    SpatialDesigns,
    chip_rows,
    outside_bytes_per_s,
)
from archgym.cost_models.accelerator.spatial.costs import (
    ENERGY_PARTS,
    LEVELS,
    SpatialModel,
    best_mappings,
    buffer_bytes_of,
    bus_bytes_of,
    dram_bytes_of,
    energy_of,
)
from archgym.cost_models.accelerator.spatial.nests import SpatialMapping
from archgym.cost_models.accelerator.spatial.pricing import (
    COMPUTE_CYCLES,
    CYCLE_PJ,
    CYCLES,
    DRAM_CYCLES,
    DRAM_PJ,
    EXPOSED_CYCLES,
    INPUT_CYCLES,
    OUTPUT_CYCLES,
    TOTALS,
    WEIGHT_CYCLES,
)
from archgym.cost_models.accelerator.spatial.tiling import FloatArray

BOUNDS = (
    "compute",
    "bus of weights",
    "bus of inputs",
    "bus of outputs",
    "DRAM",
    "first and last tiles",
    "vector unit",
)
_CYCLES_OF = (COMPUTE_CYCLES, WEIGHT_CYCLES, INPUT_CYCLES, OUTPUT_CYCLES, DRAM_CYCLES)


@dataclass(frozen=True)
class MappedProduct:
    """A dense product of an operator with its mapping; figures of one run.

    Attributes:
        mapping: It.
        cycles: Time in cycles.
        busy_cycles: What each of `BOUNDS` but the vector unit alone would take.
        utilisation: Multiply-accumulates per processing element and cycle.
    """

    mapping: SpatialMapping
    cycles: float
    busy_cycles: Mapping[str, float]
    utilisation: float


@dataclass(frozen=True)
class OperatorReport:
    """An operator of a network, with those that run on its results; figures of all its runs.

    Attributes:
        name: Of the operator.
        count: Runs.
        macs: Multiply-accumulates.
        operations: Other operations.
        latency_s: Time.
        energy_j: By name of `costs.ENERGY_PARTS`.
        bound: What takes longest, one of `BOUNDS`.
        traffic_bytes: By name of `costs.LEVELS`: read and written there.
        products: Its products, in order.
    """

    name: str
    count: float
    macs: float
    operations: float
    latency_s: float
    energy_j: Mapping[str, float]
    bound: str
    traffic_bytes: Mapping[str, float]
    products: tuple[MappedProduct, ...]


def operator_report(model: SpatialModel, designs: SpatialDesigns) -> tuple[OperatorReport, ...]:
    """A network on one chip, operator by operator; the figures add up to those of `model.costs`.

    Args:
        model: The network.
        designs: One chip.

    Raises:
        ValueError: If there is not exactly one chip, or a product has no mapping on it.
    """
    if len(designs.cluster) != 1:
        raise ValueError(f"designs: {len(designs.cluster)} chips, expected one")
    mapped = best_mappings(model.layers.rows, designs, model.objective)
    costs = mapped.costs[0]
    if not np.isfinite(costs[:, CYCLES]).all():
        raise ValueError("designs: a product has no mapping that fits the chip's memories")
    products = [
        _product(model, designs, layer, costs[layer], mapped.mappings[0, layer])
        for layer in range(len(model.layers))
    ]
    return tuple(
        _operator(model, designs, number, costs, products)
        for number in range(len(model.work.names))
    )


def _product(
    model: SpatialModel, designs: SpatialDesigns, layer: int, costs: FloatArray, row: FloatArray
) -> MappedProduct:
    product = model.layers.products[layer]
    busy = {name: float(costs[cell]) for name, cell in zip(BOUNDS[:5], _CYCLES_OF, strict=True)}
    busy[BOUNDS[5]] = float(costs[EXPOSED_CYCLES])
    cycles = float(costs[CYCLES])
    used = product.macs / (cycles * float(designs.elements[0]))
    return MappedProduct(SpatialMapping.of(product, row), cycles, busy, used)


def _operator(
    model: SpatialModel,
    designs: SpatialDesigns,
    number: int,
    costs: FloatArray,
    products: list[MappedProduct],
) -> OperatorReport:
    work, chips = model.work, chip_rows(designs)
    clock = float(designs.chip.clock_ghz[0]) * 1e9
    numbers = model.products_of_operator(number)
    own = [int(model.layers.of_product[p]) for p in numbers]
    count = float(work.count[number])
    other = float(model.other_bytes(designs)[0, number])
    waited = other / float(outside_bytes_per_s(designs)[0])
    vector_s = float(work.operations[number]) / (float(designs.chip.vector_lanes[0]) * clock)
    array_s = float(costs[own, CYCLES].sum()) / clock + waited
    latency = float(model.operator_s(designs, costs[None])[0, number])
    totals = count * costs[own][:, TOTALS].sum(axis=0)[None]
    outputs = count * float(model.outputs[numbers].sum())
    operations = count * float(work.operations[number])
    dram = dram_bytes_of(chips, outputs, totals) + count * other
    parts = energy_of(chips, count * float(work.macs[number]), outputs, totals)
    parts |= {
        "vector": np.array([1e-12 * operations * vector_pj(designs.chip.node_nm)]),
        "dram": 1e-12 * dram * chips[:, DRAM_PJ],
        "leakage": 1e-12 * chips[:, CYCLE_PJ] * clock * latency,
    }
    moved = (
        totals[:, 0],
        bus_bytes_of(outputs, totals),
        buffer_bytes_of(outputs, totals),
        dram,
    )
    return OperatorReport(
        work.names[number],
        count,
        count * float(work.macs[number]),
        operations,
        latency,
        {part: float(parts[part][0]) for part in ENERGY_PARTS},
        _bound(own, products, waited * clock, vector_s > array_s),
        {name: float(each[0]) for name, each in zip(LEVELS, moved, strict=True)},
        tuple(products[layer] for layer in own),
    )


def _bound(own: list[int], products: list[MappedProduct], waited: float, vector: bool) -> str:
    """What takes longest: of the longest product, or the DRAM where other reads take longer."""
    if vector:
        return "vector unit"
    longest = max((products[layer] for layer in own), key=lambda each: each.cycles, default=None)
    if longest is None or waited > longest.cycles:
        return "DRAM"
    return max(longest.busy_cycles, key=lambda name: longest.busy_cycles[name])
