"""What networks cost on chips with a spatial array, each product by its best mapping."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.chip import FloatArray, formats_of, vector_pj
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.spatial.chips import (
    SpatialDesigns,
    chip_rows,
    outside_bytes_per_s,
)
from archgym.cost_models.accelerator.spatial.layers import layers_of
from archgym.cost_models.accelerator.spatial.pricing import (
    BUS_PJ,
    COSTS,
    CYCLE_PJ,
    CYCLES,
    DRAM_PJ,
    FILE_PJ,
    INPUT_BYTES,
    INPUT_READ_PJ,
    INPUT_WRITE_PJ,
    MAC_PJ,
    OUTPUT_READ_PJ,
    OUTPUT_WRITE_PJ,
    SUM_BYTES,
    TOTALS,
    WEIGHT_READ_PJ,
    WEIGHT_WRITE_PJ,
)
from archgym.cost_models.accelerator.spatial.search import MAPPING_CELLS, OBJECTIVES
from archgym.cost_models.accelerator.work import products_of, work_of

ENERGY_PARTS = ("products", "registers", "network", "vector", "sram", "dram", "leakage")
LEVELS = ("registers", "network", "buffers", "dram")
# Designs at a time, so that intermediate results stay small.
_CHUNK = 512


@dataclass(frozen=True)
class SpatialCosts:
    """Costs of a network on chips.

    Attributes:
        latency_s: `(d,)`; infinite where a product has no mapping.
        totals: `(d, totals)` sums over all runs of all products, in the order of `pricing.TOTALS`.
        energy_j: `(d,)` by name of `ENERGY_PARTS`.
        traffic_bytes: `(d,)` read and written, by name of `LEVELS`.
    """

    latency_s: FloatArray
    totals: FloatArray
    energy_j: dict[str, FloatArray]
    traffic_bytes: dict[str, FloatArray]

    @property
    def dram_bytes(self) -> FloatArray:
        """`(d,)` moved between chip and DRAM."""
        return self.traffic_bytes["dram"]


@dataclass(frozen=True)
class Mapped:
    """Best mappings of layers on chips.

    Attributes:
        costs: `(d, l, COSTS)`, see `pricing`; infinite where nothing fits.
        mappings: `(d, l, MAPPING_CELLS)`, see `search`.
        evaluated: `(d, l)` mappings that were looked at.
    """

    costs: FloatArray
    mappings: FloatArray
    evaluated: NDArray[np.int64]


def objective_number(name: str) -> int:
    """Number of what mappings make small.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in OBJECTIVES:
        near = difflib.get_close_matches(name, OBJECTIVES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"objective: unknown name {name!r}{hint} Allowed: {', '.join(OBJECTIVES)}")
    return OBJECTIVES.index(name)


def best_mappings(
    layers: FloatArray, designs: SpatialDesigns, objective: str = "edp", *, prune: bool = True
) -> Mapped:
    """The best mapping of every layer on every chip, of those that `search` describes.

    Args:
        layers: See `layers.Layers.rows`.
        designs: Chips.
        objective: A name of `search.OBJECTIVES`.
        prune: Whether to leave out mappings that cannot win, which changes nothing but the time.

    Raises:
        ValueError: For an unknown objective, or a memory that is not known at the node.
    """
    return map_rows(layers, chip_rows(designs), objective, prune=prune)


def map_rows(
    layers: FloatArray, chips: FloatArray, objective: str = "edp", *, prune: bool = True
) -> Mapped:
    """`best_mappings` on chips as `pricing` reads them `(d, CHIP_CELLS)`."""
    from archgym.cost_models.accelerator.spatial.dataflows import FILLS
    from archgym.cost_models.accelerator.spatial.search import search

    number = objective_number(objective)
    shape = (len(chips), len(layers))
    costs = np.zeros((*shape, COSTS))
    mappings = np.zeros((*shape, MAPPING_CELLS))
    evaluated = np.zeros(shape, np.int64)
    search(layers, chips, number, prune, FILLS, costs, mappings, evaluated)
    return Mapped(costs, mappings, evaluated)


class SpatialModel:
    """A network to be evaluated on chips with a spatial array.

    An operator takes as long as its products on the array and what else it reads (biases, rows of
    embeddings), or as the operations of the vector unit on their results if that is longer; as on
    the systolic chips of `chip_costs`.

    Args:
        network: With at least one dense product.
        objective: What the mapping of a product makes small, a name of `search.OBJECTIVES`.

    Raises:
        ValueError: If the network has no dense product, or the objective is unknown.
    """

    def __init__(self, network: Network, objective: str = "edp") -> None:
        objective_number(objective)
        self.objective = objective
        self.network = network
        self.work, self.products = work_of(network), products_of(network)
        self.layers = layers_of(network)
        names = self.work.names
        # Operator of every product, and runs of every layer.
        self._operator = np.array([names.index(name) for name in self.products.names])
        each = [product for _, product in network.products]
        self._macs = np.array([product.macs for product in each], np.float64)
        self.outputs = np.array([p.batch * p.n * p.k * p.p * p.q for p in each], np.float64)
        self._runs = np.bincount(
            self.layers.of_product, self.products.count, minlength=len(self.layers)
        )
        self._other = self._other_elements()

    def costs(self, designs: SpatialDesigns) -> SpatialCosts:
        """Evaluate the network on chips.

        Raises:
            ValueError: If a memory has a size or word that is not known at the node.
        """
        count = len(designs.cluster)
        parts = [
            self.costs_of(
                designs.part(start, min(start + _CHUNK, count)),
                best_mappings(
                    self.layers.rows,
                    designs.part(start, min(start + _CHUNK, count)),
                    self.objective,
                ),
            )
            for start in range(0, count, _CHUNK)
        ]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def costs_of(self, designs: SpatialDesigns, mapped: Mapped) -> SpatialCosts:
        """Costs of the network with given mappings of its layers.

        Args:
            designs: Chips.
            mapped: Mappings of `self.layers` on them.
        """
        possible = np.logical_and.reduce(np.isfinite(mapped.costs[:, :, CYCLES]), axis=1)
        costs = np.where(possible[:, None, None], mapped.costs, np.inf)
        latency = self.operator_s(designs, costs).sum(axis=1)
        # One product after the other, so that a chip's sums do not depend on the batch.
        totals = np.zeros((len(costs), len(TOTALS)))
        for layer, runs in enumerate(self._runs):
            totals += runs * costs[:, layer, TOTALS]
        return self.costs_from(designs, latency, totals)

    def operator_s(self, designs: SpatialDesigns, costs: FloatArray) -> FloatArray:
        """Time `(d, o)` of all runs of operators.

        Args:
            designs: Chips.
            costs: Of layers `(d, l, COSTS)`.
        """
        work, clock = self.work, designs.chip.clock_ghz[:, None] * 1e9
        array_s = np.zeros((len(costs), len(work.names)))
        for product, operator in enumerate(self._operator):
            array_s[:, operator] += costs[:, self.layers.of_product[product], CYCLES] / clock[:, 0]
        waited = self.other_bytes(designs) / outside_bytes_per_s(designs)[:, None]
        vector_s = work.operations / (designs.chip.vector_lanes[:, None] * clock)
        found: FloatArray = work.count * np.maximum(array_s + waited, vector_s)
        return found

    def costs_from(
        self, designs: SpatialDesigns, latency_s: FloatArray, totals: FloatArray
    ) -> SpatialCosts:
        """Costs of the network from its latency `(d,)` and its totals `(d, totals)`."""
        work = self.work
        macs = float((self.products.count * self._macs).sum())
        outputs = float((self.products.count * self.outputs).sum())
        operations = float((work.operations * work.count).sum())
        other = (self.other_bytes(designs) * work.count).sum(axis=1)
        chips = chip_rows(designs)
        energy = energy_of(chips, macs, outputs, totals)
        dram = dram_bytes_of(chips, outputs, totals) + other
        leakage_w = 1e-12 * chips[:, CYCLE_PJ] * designs.chip.clock_ghz * 1e9
        vector_j = 1e-12 * operations * vector_pj(designs.chip.node_nm)
        energy |= {
            "vector": np.full_like(latency_s, vector_j),
            "dram": 1e-12 * dram * chips[:, DRAM_PJ],
            "leakage": leakage_w * latency_s,
        }
        ordered = {part: energy[part] for part in ENERGY_PARTS}
        traffic = {
            "registers": totals[:, 0],
            "network": bus_bytes_of(outputs, totals),
            "buffers": buffer_bytes_of(outputs, totals),
            "dram": dram,
        }
        return SpatialCosts(latency_s, totals, ordered, traffic)

    def products_of_operator(self, number: int) -> list[int]:
        """Numbers of the products of an operator of `work`."""
        return [int(p) for p in np.flatnonzero(self._operator == number)]

    def other_bytes(self, designs: SpatialDesigns) -> FloatArray:
        """Bytes `(d, o)` that operators read beside their products' operands, of one run."""
        formats = formats_of(designs.chip)
        weights, inputs = self._other
        found: FloatArray = (
            weights * formats.weight[:, None] / 8 + inputs * formats.activation[:, None] / 8
        )
        return found

    def _other_elements(self) -> tuple[FloatArray, FloatArray]:
        """Parameters and activations `(o,)` that operators read beside their products' operands.

        Biases, parameters of normalisations, rows of embeddings, inputs that strides leave out.
        """
        work, products = self.work, self.products
        weights, inputs = work.weights.copy(), work.inputs.copy()
        second = products.batch * products.k * products.n
        first = self.layers.inputs[self.layers.of_product]
        for p, operator in enumerate(self._operator):
            weights[operator] -= products.parameters[p] * second[p]
            inputs[operator] -= first[p] + (1 - products.parameters[p]) * second[p]
        return np.maximum(weights, 0.0), np.maximum(inputs, 0.0)


def energy_of(
    chips: FloatArray, macs: float, outputs: float, totals: FloatArray
) -> dict[str, FloatArray]:
    """Energy in J of products, registers, network and buffers, `(d,)` each.

    Args:
        chips: `(d, CHIP_CELLS)`.
        macs: Multiply-accumulates.
        outputs: Elements that products make.
        totals: `(d, totals)` in the order of `pricing.TOTALS`.
    """
    files, weights, inputs, updates, dram_w, dram_i, spilled = totals.T
    sums = SUM_BYTES * outputs
    fetches, drained = updates - sums, sums + spilled
    sram = (
        weights * chips[:, WEIGHT_READ_PJ]
        + dram_w * chips[:, WEIGHT_WRITE_PJ]
        + inputs * chips[:, INPUT_READ_PJ]
        + dram_i * chips[:, INPUT_WRITE_PJ]
        + (fetches + drained) * chips[:, OUTPUT_READ_PJ]
        + (updates + spilled) * chips[:, OUTPUT_WRITE_PJ]
    )
    return {
        "products": 1e-12 * macs * chips[:, MAC_PJ],
        "registers": 1e-12 * files * chips[:, FILE_PJ],
        "network": 1e-12 * bus_bytes_of(outputs, totals) * chips[:, BUS_PJ],
        "sram": 1e-12 * sram,
    }


def bus_bytes_of(outputs: float, totals: FloatArray) -> FloatArray:
    """Bytes on the buses `(d,)`; arguments as of `energy_of`."""
    found: FloatArray = totals[:, 1] + totals[:, 2] + 2 * totals[:, 3] - SUM_BYTES * outputs
    return found


def buffer_bytes_of(outputs: float, totals: FloatArray) -> FloatArray:
    """Bytes read and written in the buffers `(d,)`; arguments as of `energy_of`."""
    outside = totals[:, 4] + totals[:, 5] + 2 * totals[:, 6] + SUM_BYTES * outputs
    found: FloatArray = bus_bytes_of(outputs, totals) + outside
    return found


def dram_bytes_of(chips: FloatArray, outputs: float, totals: FloatArray) -> FloatArray:
    """Bytes between DRAM and buffers `(d,)`; arguments as of `energy_of`."""
    results = outputs * chips[:, INPUT_BYTES]
    found: FloatArray = totals[:, 4] + totals[:, 5] + 2 * totals[:, 6] + results
    return found


def _joined(parts: list[SpatialCosts]) -> SpatialCosts:
    """Parts of a batch, one after the other."""

    def by_name(tables: list[dict[str, FloatArray]]) -> dict[str, FloatArray]:
        return {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}

    return SpatialCosts(
        np.concatenate([part.latency_s for part in parts]),
        np.concatenate([part.totals for part in parts]),
        by_name([part.energy_j for part in parts]),
        by_name([part.traffic_bytes for part in parts]),
    )
