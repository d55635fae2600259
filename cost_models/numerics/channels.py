"""Sorting channels, so that those of like size share a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.format import Format
from archgym.cost_models.numerics.groups import F32, Group, as_matrix


def channel_order(x: ArrayLike) -> NDArray[np.int64]:
    """Columns of `x (rows, n)` by mean magnitude, ascending, the earlier first among equals.

    Found on calibration data it can be folded into the layers before and after: nothing is stored.
    """
    return np.argsort(np.abs(as_matrix(x)).mean(axis=0, dtype=np.float64), kind="stable")


def quantize_in_order(
    fmt: Format, x: ArrayLike, order: ArrayLike, group: Group = None, clip: float = 1.0
) -> F32:
    """Round `x (rows, n)` with its columns in an order, and put them back.

    Raises:
        ValueError: If the order is no permutation of the columns, or another argument not allowed.
    """
    matrix = as_matrix(x)
    places = np.asarray(order)
    if not np.array_equal(np.sort(places), np.arange(matrix.shape[1])):
        raise ValueError(f"order: not a permutation of {matrix.shape[1]} columns.")
    out = np.empty_like(matrix)
    out[:, places] = fmt.quantize(matrix[:, places], group, clip)
    return out
