"""The layers of a network that a mapping is sought for: its dense products, each shape once."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.operators import Operator, Product
from archgym.cost_models.accelerator.spatial.tiling import LAYER_CELLS, FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Layers:
    """Different products of a network.

    Attributes:
        rows: As `tiling.count_dram` reads them `(l, LAYER_CELLS)`.
        products: One of each kind, as the network has it.
        of_product: Which one every product of the network is `(p,)`.
        inputs: Activations that a product reads once, padding left out `(l,)`.
    """

    rows: FloatArray
    products: tuple[Product, ...]
    of_product: IntArray
    inputs: FloatArray

    def __len__(self) -> int:
        return len(self.products)


def layers_of(network: Network) -> Layers:
    """The dense products of a network, equal ones once.

    Raises:
        ValueError: If it has none.
    """
    found = network.products
    if not found:
        raise ValueError(f"network {network.name!r}: has no dense products")
    rows: list[tuple[float, ...]] = []
    products: list[Product] = []
    which = []
    for operator, product in found:
        row = _row(operator, product)
        if row not in rows:
            rows.append(row)
            products.append(product)
        which.append(rows.index(row))
    table = np.array(rows, np.float64)
    inputs = np.array([_points(p) for p in products]) * table[:, LAYER_CELLS - 1]
    return Layers(table, tuple(products), np.array(which, np.int64), inputs)


def layer_row(product: Product, share: float = 1.0) -> tuple[float, ...]:
    """A product as a row of `Layers.rows`.

    Args:
        product: Which one.
        share: Of its inputs that is no padding.
    """
    p = product
    unit_h, unit_w = gcd(p.stride[0], p.dilation[0]), gcd(p.stride[1], p.dilation[1])
    window = (p.stride[0] // unit_h, p.stride[1] // unit_w)
    taps = (p.dilation[0] // unit_h, p.dilation[1] // unit_w)
    sizes = (p.n, p.k, p.c, p.p, p.q, p.r, p.s, *window, *taps, p.batch)
    return (*map(float, sizes), float(p.weights), share)


def _row(operator: Operator, product: Product) -> tuple[float, ...]:
    """Padding is no data: what an operator reads of what its windows cover."""
    share = 1.0
    if len(operator.products) == 1 and product.r * product.s > 1:
        share = min(1.0, operator.read_elements / _points(product))
    return layer_row(product, share)


def _points(product: Product) -> float:
    """Input points under the windows of a product, padding included."""
    area = 1.0
    for points, taps, stride, dilation in zip(
        (product.p, product.q),
        (product.r, product.s),
        product.stride,
        product.dilation,
        strict=True,
    ):
        unit = gcd(stride, dilation)
        span = (points - 1) * (stride // unit) + (taps - 1) * (dilation // unit) + 1
        area *= min(points * taps, span)
    return float(product.batch * product.n * product.c) * area
