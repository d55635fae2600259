"""A network as arrays: what batched models read of its operators and products."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, TypeVar

import numpy as np

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.operators import Operator

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
        batch: Independent products: groups, heads, experts.
        window: How often a sliding window reads an input again, at least 1; infinite for fused
            chains of products, which no bound is known for beside that of their ends.
        count: Runs.
    """

    names: tuple[str, ...]
    macs: Array
    operations: Array
    weights: Array
    inputs: Array
    outputs: Array
    batch: Array
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
        parameters: 1 where the second operand is parameters, 0 where it is activations.
        count: Runs.
    """

    names: tuple[str, ...]
    batch: Array
    m: Array
    n: Array
    k: Array
    parameters: Array
    count: Array


def work_of(network: Network, *, fused: bool = True) -> Work:
    """The operators of a network as NumPy arrays.

    Args:
        network: Of which.
        fused: Whether operators without dense products run on the results of the operator before
            them, while it makes them. They then are part of its entry, with their operations,
            parameters and caches alone; what runs before the first product is an entry.
    """
    names: list[str] = []
    rows: list[list[float]] = []
    for each in network:
        if fused and rows and not each.products:
            share = each.count / rows[-1][-1]
            rows[-1][1] += share * each.operations
            rows[-1][2] += share * each.weight_elements
            rows[-1][3] += share * each.cache_elements
        else:
            names.append(each.name)
            rows.append(_row(each, bool(each.products) or not fused))
    return Work(tuple(names), *np.array(rows, np.float64).T)


def _row(operator: Operator, alone: bool) -> list[float]:
    """Figures of `Work` from `macs` on; activations only of an operator that stands alone."""
    products = operator.products
    window = 1.0 if len(products) < 2 else inf
    if len(products) == 1:
        (product,) = products
        window = max(1.0, product.r / product.stride[0]) * max(1.0, product.s / product.stride[1])
    return [
        operator.macs,
        operator.operations,
        operator.weight_elements,
        (operator.read_elements if alone else 0) + operator.cache_elements,
        operator.output_elements if alone else 0,
        products[0].batch if products else 1,
        window,
        operator.count,
    ]


def products_of(network: Network) -> Products:
    """The dense products of a network as NumPy arrays.

    Raises:
        ValueError: If it has none.
    """
    found = network.products
    if not found:
        raise ValueError(f"network {network.name!r}: has no dense products")
    columns = np.array([(*p.gemm, p.weights, each.count) for each, p in found], np.float64).T
    return Products(tuple(each.name for each, _ in found), *columns)


def moved(arrays: _Arrays, like: Array) -> _Arrays:
    """The same in the library, type and device of an array.

    Args:
        arrays: Of NumPy.
        like: An array of floats.

    Raises:
        ValueError: If the array is not of floats.
    """
    from array_api_compat import array_namespace, device

    xp = array_namespace(like)
    if not xp.isdtype(like.dtype, "real floating"):
        raise ValueError(f"designs must be arrays of floats, not of {like.dtype}")
    values = {
        field.name: xp.asarray(getattr(arrays, field.name), dtype=like.dtype, device=device(like))
        for field in fields(arrays)
        if field.name != "names"
    }
    return replace(arrays, **values)
