"""Layers of networks as MAESTRO sees them: convolutions with one stride."""

from __future__ import annotations

from dataclasses import dataclass

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.operators import Product


@dataclass(frozen=True)
class Convolution:
    """A convolution of one image; a matrix product (M, K) x (K, N) has Y = M, C = K, K = N.

    Attributes:
        k: Output channels.
        c: Input channels.
        r: Filter rows.
        s: Filter columns.
        y: Input rows, padding included.
        x: Input columns.
        stride: In both directions.
    """

    k: int
    c: int
    r: int
    s: int
    y: int
    x: int
    stride: int

    @property
    def sizes(self) -> dict[str, int]:
        """Extents by name of the dimension."""
        return {"K": self.k, "C": self.c, "R": self.r, "S": self.s, "Y": self.y, "X": self.x}


@dataclass(frozen=True)
class Layer:
    """What runs on one sub-accelerator from its beginning to its end.

    Attributes:
        name: Of the operator.
        parts: Convolutions, and how often each runs.
    """

    name: str
    parts: tuple[tuple[Convolution, int], ...]


def layers_of(network: Network) -> tuple[Layer, ...]:
    """The operators with dense products, in order.

    Groups, heads, experts and images are convolutions of their own, one after the other. Operators
    without products cost nothing here.

    Raises:
        ValueError: If a convolution has two strides or a dilation, which MAESTRO does not know.
    """
    found = []
    for operator in network:
        parts = []
        for product in operator.products:
            parts.append((_convolution(operator.name, product), _runs(product) * operator.count))
        if parts:
            found.append(Layer(operator.name, tuple(parts)))
    return tuple(found)


def _runs(product: Product) -> int:
    return product.batch * product.n


def _convolution(name: str, product: Product) -> Convolution:
    if product.stride[0] != product.stride[1] or product.dilation != (1, 1):
        raise ValueError(
            f"layer {name!r}: stride {product.stride} and dilation {product.dilation}, must be "
            f"one stride and no dilation"
        )
    y, x = product.input_extent
    return Convolution(product.k, product.c, product.r, product.s, y, x, product.stride[0])
