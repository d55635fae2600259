"""A network as arrays: what batched models read of its operators and products."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from archgym.cost_models.accelerator.network import Network

# An array of any library of the array API standard.
Array = Any
_Arrays = TypeVar("_Arrays", "Work", "Products")


@dataclass(frozen=True)
class Work:
    """Operators of a network, one entry each, of one run `(o,)`.

    Attributes:
        names: Of the operators.
        macs: Multiply-accumulates.
        operations: Others.
        weights: Parameters read.
        inputs: Activations read, cached ones included.
        outputs: Activations written.
        window: How often a sliding window reads an input again, at least 1.
        count: Runs.
    """

    names: tuple[str, ...]
    macs: Array
    operations: Array
    weights: Array
    inputs: Array
    outputs: Array
    window: Array
    count: Array


@dataclass(frozen=True)
class Products:
    """Dense products of a network as matrix products `(batch, m, k) x (k, n)`, `(p,)`.

    Attributes:
        names: Of their operators.
        batch: Products of one run, with operands of their own.
        m: Rows: images times output points, tokens.
        n: Columns: output channels.
        k: Depth: input channels times filter taps.
        count: Runs.
    """

    names: tuple[str, ...]
    batch: Array
    m: Array
    n: Array
    k: Array
    count: Array


def work_of(network: Network, *, fused: bool = True) -> Work:
    """The operators of a network as NumPy arrays.

    Args:
        network: Of which.
        fused: Whether operators without dense products read and write nothing but their parameters
            and caches, as they run on the results of the operator before them.
    """
    rows = []
    for each in network:
        alone = each.products or not fused
        inputs = each.input_elements if alone else 0
        (r, s), (t, u) = (1, 1), (1, 1)
        if len(each.products) == 1:
            product = each.products[0]
            (r, s), (t, u) = (product.r, product.s), product.stride
        rows.append(
            (
                each.macs,
                each.operations,
                each.weight_elements,
                inputs + each.cache_elements,
                each.output_elements if alone else 0,
                max(1.0, r / t) * max(1.0, s / u),
                each.count,
            )
        )
    columns = np.array(rows, np.float64).T
    return Work(tuple(each.name for each in network), *columns)


def products_of(network: Network) -> Products:
    """The dense products of a network as NumPy arrays.

    Raises:
        ValueError: If it has none.
    """
    found = network.products
    if not found:
        raise ValueError(f"network {network.name!r}: has no dense products")
    columns = np.array([(*p.gemm, each.count) for each, p in found], np.float64).T
    return Products(tuple(each.name for each, _ in found), *columns)


def moved(arrays: _Arrays, like: Array) -> _Arrays:
    """The same in the library, type and device of an array.

    Args:
        arrays: Of NumPy.
        like: An array of floats.
    """
    from array_api_compat import array_namespace, device

    xp = array_namespace(like)
    values = {
        field.name: xp.asarray(getattr(arrays, field.name), dtype=like.dtype, device=device(like))
        for field in fields(arrays)
        if field.name != "names"
    }
    return replace(arrays, **values)
