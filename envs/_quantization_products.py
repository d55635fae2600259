"""The matrix products that costs of `Quantization-v0` are of: the network's, or a larger one's."""

from __future__ import annotations

from dataclasses import dataclass

from archgym.cost_models.measured import LanguageModel, Network
from archgym.cost_models.processing_elements.layers import network_layers

SHAPES = ("own", "llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b")
"""What costs are told of: the measured network's own layers, or those of a larger one."""


@dataclass(frozen=True)
class Product:
    """A product of a stage.

    Attributes:
        of: layer of the measured network whose formats it has, empty for attention.
        batch, rows, columns, tokens, count: as in `processing_elements.layers.Layers`.
        head: width of a head, for products with keys or values; else 0.
    """

    of: str
    batch: float
    rows: float
    columns: float
    tokens: float
    count: float
    head: int = 0


def own_products(network: Network, context: int, batch: int, stage: str) -> list[Product]:
    """The products of the measured network; of an image classifier for `prefill` only."""
    if not isinstance(network, LanguageModel):
        if stage == "decode":
            return []
        return [
            Product(
                x.name, 1, x.rows, x.columns, batch * x.macs_per_token / (x.rows * x.columns), 1
            )
            for x in network.layers
        ]
    shape = network.shape
    tokens = batch * (context if stage == "prefill" else 1)
    products = [Product(x.name, 1, x.rows, x.columns, tokens, 1) for x in network.layers]
    width, heads = shape.width // shape.heads, batch * shape.heads
    seen = tokens / batch
    for _ in range(shape.blocks):
        products.append(Product("", heads, context, width, seen, 1, head=width))
        products.append(Product("", heads, width, context, seen, 1, head=width))
    return products


def named_products(
    network: LanguageModel, name: str, context: int, batch: int, stage: str
) -> list[Product]:
    """The products of a larger decoder; a block of the measured network stands for several.

    Fused projections are taken apart, so that each has the formats of its kind. The output head is
    left out, as that of the measured network.
    """
    work = network_layers(name, batch=batch, context=context, stage=stage)
    blocks = network.shape.blocks
    found = []
    for i, full in enumerate(work.names):
        label = full.removeprefix("layer.")
        sizes = (float(work.columns[i]), float(work.tokens[i]), float(work.count[i]) / blocks)
        if bool(work.cached[i]):
            keys = label == "attention.0"
            head = int(work.columns[i] if keys else work.rows[i])
            each = Product("", float(work.batch[i]), float(work.rows[i]), *sizes, head=head)
            found += [each] * blocks
        for kind, rows in _parts(label, float(work.rows[i]), float(work.columns[i])):
            found += [Product(f"{b}.{kind}", 1, rows, *sizes) for b in range(blocks)]
    return found


def _parts(label: str, rows: float, columns: float) -> list[tuple[str, float]]:
    """Kinds of layers in a product of a decoder, with their rows."""
    if label == "qkv":
        shared = (rows - columns) / 2
        return [("q", columns), ("k", shared), ("v", shared)]
    if label == "gate_up":
        return [("gate", rows / 2), ("up", rows / 2)]
    return [({"project": "o", "down": "down"}[label], rows)] if label in ("project", "down") else []


def stages_of(network: Network, shapes: str, context: int, batch: int) -> dict[str, list[Product]]:
    """The products of each stage that has some, all of them about the same layers in order.

    Args:
        network: the measured network.
        shapes: one of `SHAPES`.
        context: tokens read before the first is generated.
        batch: sequences, or images.

    Raises:
        ValueError: for shapes of a language model where the network is none.
    """
    found = {}
    for stage in ("prefill", "decode"):
        if shapes == "own":
            found[stage] = own_products(network, context, batch, stage)
        elif isinstance(network, LanguageModel):
            found[stage] = named_products(network, shapes, context, batch, stage)
        else:
            raise ValueError(
                f"cost_shapes: {shapes!r} is a language model, {network.name} is none; take own"
            )
    return {stage: products for stage, products in found.items() if products}
