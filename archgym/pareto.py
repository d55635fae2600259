"""Pareto fronts and the volume that they dominate; every column is to be maximised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray
from archgym.space import BoolArray, IntArray


def front(points: npt.ArrayLike) -> IntArray:
    """Returns which points no other point dominates, one of equal points, by falling first column.

    Args:
        points: `(n, m)`; rows that are not finite are never on the front.

    Returns:
        Positions `(k,)`.
    """
    values = np.asarray(points, np.float64)
    usable = np.flatnonzero(np.isfinite(values).all(axis=1))
    _, first = np.unique(values[usable], axis=0, return_index=True)
    order: IntArray = usable[
        first[::-1]
    ]  # lexicographic, so that a point is dominated only by earlier ones
    if values.shape[1] == 1:
        return order[:1]
    if values.shape[1] == 2:
        second = values[order, 1]
        before = np.concatenate(([-np.inf], np.maximum.accumulate(second)[:-1]))
        rising: IntArray = order[second > before]
        return rising
    kept: list[int] = []
    for i in order:
        if not (values[kept] >= values[i]).all(axis=1).any():
            kept.append(int(i))
    return np.array(kept, np.int64)


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Returns the volume between a reference point and what the points dominate.

    Exact, by slices along the last column (Fonseca, Paquete, López-Ibáñez, "An improved
    dimension-sweep algorithm for the hypervolume indicator", CEC 2006).

    Args:
        points: `(n, m)`; those that do not exceed the reference in every column count nothing.
        reference: `(m,)`.
    """
    gains = np.asarray(points, np.float64) - np.asarray(reference, np.float64)
    gains = gains[np.isfinite(gains).all(axis=1) & (gains > 0).all(axis=1)]
    return _volume(gains[front(gains)]) if len(gains) else 0.0


def _volume(points: FloatArray) -> float:
    """The volume between the origin and mutually non-dominated points of the first orthant."""
    if points.shape[1] == 1:
        return float(points.max())
    if points.shape[1] == 2:
        ordered = points[np.argsort(-points[:, 0])]
        below = np.concatenate(([0.0], ordered[:-1, 1]))
        return float((ordered[:, 0] * (ordered[:, 1] - below)).sum())
    heights = np.unique(points[:, -1])
    total = 0.0
    for low, high in zip(np.concatenate(([0.0], heights[:-1])), heights, strict=True):
        above: BoolArray = points[:, -1] >= high
        slice_ = points[above, :-1]
        total += (high - low) * _volume(slice_[front(slice_)])
    return total


def hypervolume_over_time(
    points: npt.ArrayLike, reference: npt.ArrayLike, samples: npt.ArrayLike
) -> FloatArray:
    """Returns the hypervolume of the first so many points, for each of some rising counts.

    Args:
        points: `(n, m)` in order of evaluation.
        reference: `(m,)`.
        samples: counts `(k,)`; those above `n` give the last volume.
    """
    values = np.asarray(points, np.float64)
    kept = values[:0]
    volumes = []
    done = 0
    for count in np.minimum(np.asarray(samples, np.int64), len(values)).tolist():
        if count > done:
            kept = np.concatenate([kept, values[done:count]])
            kept = kept[front(kept)]
            done = count
        volumes.append(hypervolume(kept, reference))
    return np.array(volumes)
