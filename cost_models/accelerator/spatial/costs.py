"""What networks cost on chips with a spatial array, each product by its best mapping."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.chip import FloatArray, dram_of, formats_of, vector_pj
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.spatial.chips import (
    SpatialDesigns,
    areas_of,
    chip_rows,
    outside_bytes_per_s,
)
from archgym.cost_models.accelerator.spatial.layers import layers_of
from archgym.cost_models.accelerator.spatial.pricing import (
    COSTS,
    CYCLE_PJ,
    CYCLES,
    DRAM_INPUT_BYTES,
    DRAM_OUTPUT_BYTES,
    DRAM_WEIGHT_BYTES,
    NETWORK_PJ,
    PRODUCTS_PJ,
    REGISTERS_PJ,
    SRAM_PJ,
)
from archgym.cost_models.accelerator.spatial.search import MAPPING_CELLS, OBJECTIVES
from archgym.cost_models.accelerator.work import products_of, work_of

ENERGY_PARTS = ("products", "registers", "network", "vector", "sram", "dram", "leakage")
# Designs at a time, so that intermediate results stay small.
_CHUNK = 512


@dataclass(frozen=True)
class SpatialCosts:
    """Costs of a network on chips.

    Attributes:
        operator_s: `(d, o)` time of all runs of an operator.
        latency_s: `(d,)`; infinite where a product has no mapping.
        energy_j: `(d,)` by name of `ENERGY_PARTS`.
        area_mm2: `(d,)` by name of `chips.AREA_PARTS`.
        dram_bytes: `(d,)` moved.
        possible: `(d,)` whether every product has a mapping.
    """

    operator_s: FloatArray
    latency_s: FloatArray
    energy_j: dict[str, FloatArray]
    area_mm2: dict[str, FloatArray]
    dram_bytes: FloatArray
    possible: NDArray[np.bool_]


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
        work, costs = self.work, mapped.costs
        possible = np.logical_and.reduce(np.isfinite(costs[:, :, CYCLES]), axis=1)
        costs = np.where(possible[:, None, None], costs, np.inf)
        clock = designs.chip.clock_ghz[:, None] * 1e9
        array_s = np.zeros((len(costs), len(work.names)))
        for product, operator in enumerate(self._operator):
            array_s[:, operator] += costs[:, self.layers.of_product[product], CYCLES] / clock[:, 0]
        other = self.other_bytes(designs)
        vector_s = work.operations / (designs.chip.vector_lanes[:, None] * clock)
        waited = other / outside_bytes_per_s(designs)[:, None]
        operator_s = work.count * np.maximum(array_s + waited, vector_s)
        latency = operator_s.sum(axis=1)
        totals = np.einsum("dlc,l->dc", costs, self._runs)
        dram = totals[:, DRAM_WEIGHT_BYTES] + totals[:, DRAM_INPUT_BYTES]
        dram = dram + totals[:, DRAM_OUTPUT_BYTES] + (other * work.count).sum(axis=1)
        chips = chip_rows(designs)
        operations = float((work.operations * work.count).sum())
        leakage_w = 1e-12 * chips[:, CYCLE_PJ] * clock[:, 0]
        energy = {
            "products": 1e-12 * totals[:, PRODUCTS_PJ],
            "registers": 1e-12 * totals[:, REGISTERS_PJ],
            "network": 1e-12 * totals[:, NETWORK_PJ],
            "vector": np.full_like(latency, 1e-12 * operations * vector_pj(designs.chip.node_nm)),
            "sram": 1e-12 * totals[:, SRAM_PJ],
            "dram": 1e-12 * dram * dram_of(designs.chip)[1],
            "leakage": leakage_w * latency,
        }
        return SpatialCosts(operator_s, latency, energy, areas_of(designs), dram, possible)

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


def _joined(parts: list[SpatialCosts]) -> SpatialCosts:
    """Parts of a batch, one after the other."""

    def by_name(tables: list[dict[str, FloatArray]]) -> dict[str, FloatArray]:
        return {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}

    return SpatialCosts(
        np.concatenate([part.operator_s for part in parts]),
        np.concatenate([part.latency_s for part in parts]),
        by_name([part.energy_j for part in parts]),
        by_name([part.area_mm2 for part in parts]),
        np.concatenate([part.dram_bytes for part in parts]),
        np.concatenate([part.possible for part in parts]),
    )
