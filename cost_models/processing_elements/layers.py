"""Latency and energy of matrix products on an array of processing elements, batched over designs.

The rules are those of BitMoD's simulator (Chen et al., HPCA 2025, bitmod_sim/accelerator.py): a
layer takes the longer of its arithmetic and its DRAM traffic.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.sram import sram_costs
from archgym.cost_models.processing_elements.anchors import NODE_NM

FloatArray = NDArray[np.float64]

PLACE_AND_ROUTE = 1.5
"""Energy and area of placed and routed elements over those synthesised (BitMoD's release)."""

DRAM_PJ_PER_BIT = 1200 / 64
"""Of BitMoD's simulator."""

SRAM_BANKS = 8
_NODES = (32, 22)


@dataclass(frozen=True)
class Layers:
    """Matrix products, arrays `(l,)`: `batch` times weights (rows, columns) and tokens.

    Attributes:
        names: Of the layers.
        batch: Independent products, such as heads.
        rows: Outputs of a token.
        columns: Inputs of a token.
        tokens: Vectors that meet the same weights.
        count: Runs.
        cached: Whether the weights are keys or values from the cache.
    """

    names: tuple[str, ...]
    batch: FloatArray
    rows: FloatArray
    columns: FloatArray
    tokens: FloatArray
    count: FloatArray
    cached: NDArray[np.bool_]

    @property
    def macs(self) -> FloatArray:
        """Multiply-accumulates of one run `(l,)`."""
        return self.batch * self.rows * self.columns * self.tokens

    @cached_property
    def sizes(self) -> FloatArray:
        """Batch, rows, columns, tokens and count `(5, l)`."""
        return np.stack([self.batch, self.rows, self.columns, self.tokens, self.count])


def layers(rows: list[tuple[str, float, float, float, float, float, bool]]) -> Layers:
    """Layers from rows of (name, batch, rows, columns, tokens, count, cached).

    Raises:
        ValueError: For no row, or a size below 1.
    """
    if not rows:
        raise ValueError("layers: there is none")
    names, *sizes, cached = zip(*rows, strict=True)
    arrays = [np.array(column, np.float64) for column in sizes]
    for field, values in zip(("batch", "rows", "columns", "tokens", "count"), arrays, strict=True):
        if np.any(~(values >= 1)):
            i = int(np.argmax(~(values >= 1)))
            raise ValueError(f"layer {names[i]!r}: {field} is {values[i]:g}, must be at least 1")
    batch, outputs, inputs, tokens, count = arrays
    flags = np.array(cached, np.bool_)
    return Layers(tuple(names), batch, outputs, inputs, tokens, count, flags)


def network_layers(name: str, *, batch: int = 1, context: int, stage: str) -> Layers:
    """The matrix products of a shipped language model.

    Args:
        name: As in `archgym.cost_models.accelerator.networks`, such as `llama-2-7b`; the hyphen
            before the version may be left out.
        batch: Sequences.
        context: Tokens read (`prefill`) or cached (`decode`) per sequence.
        stage: `prefill` or `decode`.

    Raises:
        ValueError: For an unknown name or stage, or a size below 1.
    """
    network = load_network(_network_name(name), batch, context, stage)
    found: list[tuple[str, float, float, float, float, float, bool]] = []
    for each in network:
        for i, product in enumerate(each.products):
            size, m, n, k = product.gemm
            label = each.name if len(each.products) == 1 else f"{each.name}.{i}"
            found.append((label, size, n, k, m, each.count, not product.weights))
    return layers(found)


def _network_name(name: str) -> str:
    return name.replace("llama2", "llama-2").replace("llama3", "llama-3")


@dataclass(frozen=True)
class Memory:
    """On-chip memories `(n,)` at 28 nm, between CACTI's 32 and 22 nm."""

    read_pj_per_bit: FloatArray
    write_pj_per_bit: FloatArray
    area_mm2: FloatArray


def _memory(size_bytes: FloatArray) -> Memory:
    """Memories of eight banks, more where these would exceed 1 MiB, fewer below 4 KiB."""
    # Batches have few different sizes.
    sizes, back = np.unique(size_bytes, return_inverse=True)
    return Memory(*(figure[back] for figure in _memory_figures(tuple(sizes))))


@lru_cache(maxsize=256)
def _memory_figures(size_bytes: tuple[float, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The attributes of `Memory`, of some sizes."""
    sizes = np.array(size_bytes, np.float64)
    banks = np.maximum(np.minimum(SRAM_BANKS, sizes // 2**12), np.ceil(sizes / 2**20))
    share = np.log(_NODES[0] / NODE_NM) / np.log(_NODES[0] / _NODES[1])
    old, new = (sram_costs(sizes, 8, node, np.maximum(banks, 1)) for node in _NODES)
    return (
        old.read_pj ** (1 - share) * new.read_pj**share / 64,
        old.write_pj ** (1 - share) * new.write_pj**share / 64,
        old.area_mm2 ** (1 - share) * new.area_mm2**share,
    )


@dataclass(frozen=True)
class ArrayDesigns:
    """Arrays of processing elements with their memories, `(n,)`.

    Attributes:
        rows: Elements along the outputs.
        columns: Elements along the tokens.
        inputs: Products that an element sums in a step; see `Family.inputs`.
        outputs: Outputs of an element; see `Family.outputs`.
        weight_sram_bytes: Memory for weights.
        activation_sram_bytes: Memory for activations.
        dram_bits_per_cycle: Bandwidth.
    """

    rows: FloatArray
    columns: FloatArray
    inputs: FloatArray
    outputs: FloatArray
    weight_sram_bytes: FloatArray
    activation_sram_bytes: FloatArray
    dram_bits_per_cycle: FloatArray

    @cached_property
    def memories(self) -> tuple[Memory, Memory]:
        """Those for weights and for activations."""
        return _memory(self.weight_sram_bytes), _memory(self.activation_sram_bytes)

    @cached_property
    def figures(self) -> FloatArray:
        """The attributes, then pJ to read and to write a bit of both memories `(11, n)`."""
        own = [getattr(self, field.name) for field in fields(self)]
        energies = [(each.read_pj_per_bit, each.write_pj_per_bit) for each in self.memories]
        return np.stack([*own, *energies[0], *energies[1]])


def array_designs(
    *,
    rows: ArrayLike,
    columns: ArrayLike,
    inputs: ArrayLike = 1,
    outputs: ArrayLike = 1,
    weight_sram_bytes: ArrayLike = 512 * 1024,
    activation_sram_bytes: ArrayLike = 512 * 1024,
    dram_bits_per_cycle: ArrayLike = 256,
) -> ArrayDesigns:
    """Designs from numbers or arrays; defaults are BitMoD's memories, 128 bits of a DDR bus.

    Raises:
        ValueError: For a figure that is not positive.
    """
    given = {
        "rows": rows,
        "columns": columns,
        "inputs": inputs,
        "outputs": outputs,
        "weight_sram_bytes": weight_sram_bytes,
        "activation_sram_bytes": activation_sram_bytes,
        "dram_bits_per_cycle": dram_bits_per_cycle,
    }
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in given.values()))
    for name, values in zip(given, arrays, strict=True):
        if not np.all(values > 0):
            raise ValueError(f"{name} is {values[~(values > 0)][0]:g}, must be positive")
    return ArrayDesigns(*arrays)


@dataclass(frozen=True)
class LayerFormats:
    """How each design computes each layer, arrays that broadcast to `(n, l)`.

    Attributes:
        weight_bits: Stored, of a weight, scales included.
        activation_bits: Of an activation, and of an output.
        macs_per_cycle: Of an element.
        energy_pj_per_mac: Of an element, before place and route.
    """

    weight_bits: FloatArray
    activation_bits: FloatArray
    macs_per_cycle: FloatArray
    energy_pj_per_mac: FloatArray


@dataclass(frozen=True)
class LayerCosts:
    """Costs of all runs of each layer `(n, l)`.

    Attributes:
        compute_cycles: Of the array.
        dram_cycles: Of the traffic.
        dram_bytes: Moved.
        element_pj: Of the processing elements.
        sram_pj: Of both memories.
        dram_pj: Of the DRAM.
    """

    compute_cycles: FloatArray
    dram_cycles: FloatArray
    dram_bytes: FloatArray
    element_pj: FloatArray
    sram_pj: FloatArray
    dram_pj: FloatArray

    @property
    def cycles(self) -> FloatArray:
        """The longer of both `(n, l)`."""
        return np.maximum(self.compute_cycles, self.dram_cycles)

    @property
    def energy_pj(self) -> FloatArray:
        """Of all parts `(n, l)`."""
        return self.element_pj + self.sram_pj + self.dram_pj


def layer_costs(
    work: Layers,
    designs: ArrayDesigns,
    formats: LayerFormats,
    *,
    dram_pj_per_bit: float = DRAM_PJ_PER_BIT,
    gated: bool = True,
) -> LayerCosts:
    """Cycles, traffic and energy of layers on arrays of processing elements.

    - compute = ceil(columns / inputs) * ceil(rows / array rows) * ceil(tokens / array columns) *
      cycles of a step, per product.
    - DRAM moves weights, activations and outputs once. Where neither weights nor activations fit
      into their memory, the one is read again for every memory full of the other that costs less.
    - SRAM: every weight is read once per tile of tokens, every activation once per tile of rows;
      what comes from DRAM, and outputs, are written once.

    Args:
        work: Layers.
        designs: Arrays.
        formats: Bits and speeds.
        dram_pj_per_bit: Energy of the DRAM.
        gated: Whether elements without work take no energy; BitMoD's take as much as the others.
    """
    from archgym.cost_models.processing_elements import kernels

    shape = (len(designs.rows), len(work.names))
    compute, bits, element, sram = np.empty((4, *shape))
    kernels.layer_costs(
        work.sizes,
        designs.figures,
        _spread(formats.weight_bits, shape),
        _spread(formats.activation_bits, shape),
        _spread(formats.macs_per_cycle, shape),
        _spread(formats.energy_pj_per_mac, shape),
        gated,
        compute,
        bits,
        element,
        sram,
    )
    return LayerCosts(
        compute,
        bits / designs.dram_bits_per_cycle[:, None],
        bits / 8,
        element * PLACE_AND_ROUTE,
        sram,
        bits * dram_pj_per_bit,
    )


def _spread(values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Values that broadcast to a shape, one after the other."""
    return np.ascontiguousarray(np.broadcast_to(values, shape), np.float64)


def chip_area_mm2(designs: ArrayDesigns, element_um2: ArrayLike) -> FloatArray:
    """Area of array and memories at 28 nm `(n,)`.

    Args:
        designs: Arrays.
        element_um2: Of an element, before place and route.
    """
    elements = designs.rows * designs.columns * np.asarray(element_um2) * PLACE_AND_ROUTE * 1e-6
    return np.asarray(elements + sum(memory.area_mm2 for memory in designs.memories))


def weight_bytes(work: Layers, weight_bits: ArrayLike) -> FloatArray:
    """Bytes of all weights, without the cache `(n,)`, for bits that broadcast to `(n, l)`."""
    elements = np.where(work.cached, 0.0, work.count * work.batch * work.rows * work.columns)
    return np.asarray((elements * np.atleast_2d(np.asarray(weight_bits, float))).sum(axis=1) / 8)
