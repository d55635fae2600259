"""GPTQ: rounding column by column, later columns making up for the errors of earlier ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.calibration import F64, Calibration
from archgym.cost_models.numerics.format import Codes, Format, Parameters, check_clip
from archgym.cost_models.numerics.groups import F32, Group, as_matrix, split

_LAZY = 128  # columns between two updates of all later ones, as in the paper


def gptq(
    weight: ArrayLike,
    calibration: Calibration,
    fmt: Format,
    group: Group = None,
    clip: float = 1.0,
    damping: float = 0.01,
    by_activation: bool = False,
) -> Codes:
    """Round a weight so that its outputs on the calibration inputs change little.

    Frantar et al., arXiv:2210.17323, algorithm 1: with the Hessian H = 2 X^T X of the squared
    output error and U the upper Cholesky factor of its inverse, column i is rounded, and its error
    over U_ii, times row i of U, is taken off the later columns. A group takes its parameters when
    its first column is reached, from the weight as it is then. An input channel that is always zero
    is rounded to nearest.

    Args:
        weight: `(rows, n)`.
        calibration: Of the inputs of the layer.
        fmt: A format that rounds value by value.
        group: As for `Format.quantize`.
        clip: As for `Format.quantize`.
        damping: Added to the diagonal of H, as a share of its mean.
        by_activation: Round the columns with the largest diagonal of H first ("act-order"), with
            parameters of all groups from the weight as given.

    Returns:
        The weight as stored; `fmt.decode` gives its values.

    Raises:
        ValueError: If an argument is not allowed, or the format rounds values together.
    """
    w = as_matrix(weight, "weight")
    check_clip(clip)
    n = w.shape[1]
    if n != len(calibration.largest):
        raise ValueError(f"weight: {n} input channels, calibration: {len(calibration.largest)}.")
    if not fmt.elementwise:
        raise ValueError(f"format: {fmt.name} rounds values together; gptq needs one by itself.")
    if not damping > 0:
        raise ValueError(f"damping: {damping!r} is not positive.")
    store = _Store(w, fmt, group, clip)
    hessian = 2 * calibration.second_moment
    if by_activation:
        order = np.argsort(-np.diag(hessian), kind="stable")
        for start in range(0, n, store.span):
            store.fit(start, w[:, start : start + store.span])
        edges = list(range(0, n, _LAZY))
    else:
        order = np.arange(n)
        edges = sorted({*range(0, n, _LAZY), *range(0, n, store.span)})
    _round(store, w, order, _factor(hessian[np.ix_(order, order)], damping), [*edges, n])
    return store.codes()


def _factor(hessian: F64, damping: float) -> F64:
    """Upper Cholesky factor of the inverse of the damped Hessian."""
    diagonal = np.diag(hessian)
    added = np.where(diagonal > 0, damping * diagonal.mean(), 1.0)
    factor: F64 = np.linalg.cholesky(np.linalg.inv(hessian + np.diag(added))).T
    return factor


def _round(store: _Store, w: F32, order: NDArray[Any], factor: F64, edges: list[int]) -> None:
    """Round all columns; the columns beyond the next edge are updated there, all at once."""
    work = w[:, order].astype(np.float64)
    for start, stop in pairwise(edges):
        if not store.fitted(start):
            store.fit(start, work[:, start : start + store.span].astype(np.float32))
        errors = np.empty((len(w), stop - start))
        for i in range(start, stop):
            rounded = store.encode(order[i], work[:, i].astype(np.float32))
            errors[:, i - start] = (work[:, i] - rounded) / factor[i, i]
            work[:, i + 1 : stop] -= np.outer(errors[:, i - start], factor[i, i + 1 : stop])
        work[:, stop:] -= errors @ factor[start:stop, stop:]


class _Store:
    """Codes of a weight that are found column by column."""

    def __init__(self, w: F32, fmt: Format, group: Group, clip: float) -> None:
        self._w, self._fmt, self._clip = w, fmt, clip
        self._rows, self._n = w.shape
        self._length = fmt.group_length(self._rows, self._n, group)
        self._single = fmt.block is None and self._length > self._n  # the tensor is one group
        self.span = self._n if self._single else self._length
        self._groups = -(-self._n // self.span)
        self._parameters: dict[int, Parameters] = {}
        self._elements: NDArray[Any] | None = None

    def fitted(self, column: int) -> bool:
        """Whether the group of a column has its parameters."""
        return column // self.span in self._parameters

    def fit(self, column: int, values: F32) -> None:
        """Parameters of the groups that start at a column."""
        values = np.ascontiguousarray(values)
        groups = values.reshape(1, -1) if self._single else split(values, self.span, pad=True)
        self._parameters[column // self.span] = self._fmt.fit(groups, self._clip, self._w)

    def encode(self, column: int, values: F32) -> F32:
        """Store the codes of a column; returns its rounded values."""
        parameters = self._parameters[column // self.span]
        codes = self._fmt.encode(values.reshape((1, -1) if self._single else (-1, 1)), parameters)
        if self._elements is None:
            self._elements = np.zeros((self._rows, self._groups * self.span), codes.dtype)
        self._elements[:, column] = codes.reshape(-1)
        return self._fmt.restore(codes, parameters).reshape(-1)

    def codes(self) -> Codes:
        """All of them, once every column is stored."""
        assert self._elements is not None
        parts = [self._parameters[j] for j in range(self._groups)]

        def joined(arrays: list[NDArray[Any] | None]) -> Any:
            found = [each for each in arrays if each is not None]
            return np.stack(found, axis=1).reshape(-1) if found else None

        parameters = Parameters(
            joined([each.scales for each in parts]),
            zeros=joined([each.zeros for each in parts]),
            minima=joined([each.minima for each in parts]),
            selectors=joined([each.selectors for each in parts]),
            tensor_scale=parts[0].tensor_scale,
            thresholds=joined([each.thresholds for each in parts]),
        )
        elements = self._elements.reshape(-1, self._length)
        return Codes(elements, parameters, self._rows, self._n)
