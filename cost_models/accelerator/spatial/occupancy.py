"""How full a mapping makes register files and buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archgym.cost_models.accelerator.chip import formats_of
from archgym.cost_models.accelerator.operators import Product
from archgym.cost_models.accelerator.spatial.chips import SpatialDesigns
from archgym.cost_models.accelerator.spatial.nests import SpatialMapping
from archgym.cost_models.accelerator.spatial.pricing import SUM_BYTES


@dataclass(frozen=True)
class Occupancy:
    """A memory with a tile; the other half of it is filled meanwhile.

    Attributes:
        name: Of the memory.
        room_bytes: Half of it.
        held_bytes: Of the tile, by tensor.
    """

    name: str
    room_bytes: float
    held_bytes: dict[str, float]


def occupancy(mapping: SpatialMapping, designs: SpatialDesigns) -> tuple[Occupancy, ...]:
    """The register files of a cluster and the three buffers under a mapping.

    Args:
        mapping: Of a product.
        designs: One chip.
    """
    chip, formats = designs.chip, formats_of(designs.chip)
    inputs = float(formats.activation[0]) / 8
    weights = float(formats.weight[0]) / 8 if mapping.product.weights else inputs
    turns = list(mapping.in_file)
    # Elements of a cluster share what they add up.
    for d in (_C, _R, _S):
        turns[d] *= mapping.in_cluster[d]
    file, tile = _elements(mapping.product, turns), _elements(mapping.product, mapping.in_buffer)
    room = float(designs.cluster[0] * designs.register_file_bytes[0]) / 2
    each = {"weights": weights, "inputs": inputs, "outputs": float(SUM_BYTES)}
    memories = {
        "weights": chip.weight_memory_bytes,
        "inputs": chip.input_memory_bytes,
        "outputs": chip.output_memory_bytes,
    }
    return (
        Occupancy("register files", room, {t: n * each[t] for t, n in file.items()}),
        *(
            Occupancy(f"buffer of {t}", float(size[0]) / 2, {t: tile[t] * each[t]})
            for t, size in memories.items()
        ),
    )


# Positions of the dimensions, in the order of `loopnest.DIMS`.
_N, _K, _C, _P, _Q, _R, _S = range(7)


def _elements(product: Product, sizes: Sequence[int]) -> dict[str, float]:
    """Elements of the tensors of a tile."""
    rows = _extent(sizes[_P], sizes[_R], product.stride[0], product.dilation[0])
    columns = _extent(sizes[_Q], sizes[_S], product.stride[1], product.dilation[1])
    return {
        "weights": float(sizes[_K] * sizes[_C] * sizes[_R] * sizes[_S]),
        "inputs": float(sizes[_N] * sizes[_C] * rows * columns),
        "outputs": float(sizes[_N] * sizes[_K] * sizes[_P] * sizes[_Q]),
    }


def _extent(points: int, taps: int, stride: int, dilation: int) -> int:
    """Input rows under outputs and taps, gaps left out."""
    return min(points * taps, (points - 1) * stride + (taps - 1) * dilation + 1)
