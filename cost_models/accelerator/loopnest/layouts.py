"""What lies side by side on the axes of an architecture's arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.loopnest.architectures import COLUMNS, Architecture
from archgym.cost_models.accelerator.loopnest.problem import DIMS, IntArray


@dataclass(frozen=True)
class Layout:
    """Parts on columns and rows at every level (L, 7) each."""

    columns: IntArray
    rows: IntArray

    @property
    def split(self) -> IntArray:
        """Parts at every level (L, 7)."""
        return self.columns * self.rows


def divisors(number: int) -> list[int]:
    """Divisors in ascending order."""
    return [each for each in range(1, number + 1) if number % each == 0]


def axis_parts(dims: str, fanout: int, sizes: IntArray) -> IntArray:
    """Parts of all dimensions (n, 7) that fit an axis: dividing the sizes, at most `fanout`."""
    found = [(1,) * len(DIMS)]
    for name in dims:
        d = DIMS.index(name)
        found = [
            (*parts[:d], each, *parts[d + 1 :])
            for parts in found
            for each in divisors(int(sizes[d]))
            if np.prod(parts) * each <= fanout
        ]
    return np.array(found, np.int64)


def layouts(architecture: Architecture, sizes: IntArray) -> list[Layout]:
    """All layouts that cost differently: one for each number of parts per level and dimension."""
    found: dict[bytes, Layout] = {}
    depth = len(architecture.hierarchy.levels)
    choices = [
        axis_parts(axis.dims, architecture.fanout(axis), sizes) for axis in architecture.axes
    ]
    for rows in _products(choices, sizes):
        columns_of = np.ones((depth, len(DIMS)), np.int64)
        rows_of = np.ones((depth, len(DIMS)), np.int64)
        for axis, parts in zip(architecture.axes, rows, strict=True):
            target = columns_of if axis.kind == COLUMNS else rows_of
            target[architecture.level(axis.level)] *= parts
        layout = Layout(columns_of, rows_of)
        found.setdefault(layout.split.tobytes(), layout)
    return list(found.values())


def _products(choices: list[IntArray], sizes: IntArray) -> Iterator[tuple[IntArray, ...]]:
    """Combinations of which the products divide the sizes."""
    for rows in itertools.product(*choices):
        whole = np.ones(len(DIMS), np.int64)
        for parts in rows:
            whole = whole * parts
        if (sizes % whole == 0).all():
            yield rows
