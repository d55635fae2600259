"""How much of a result's variance each of several crossed factors is responsible for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray

Factors = tuple[int, ...]
"""Axes of an array of results, ascending; several stand for their interaction."""


def average_ranks(values: npt.ArrayLike) -> FloatArray:
    """Returns the rank of each value among all of them, from 1, ties sharing the mean of theirs."""
    given = np.asarray(values, np.float64)
    _, place, count = np.unique(given, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: FloatArray = (last - (count - 1) / 2.0)[place].reshape(given.shape)
    return ranks


def _mean_square(values: FloatArray, factors: Factors) -> float:
    """Returns the mean square of an effect: its sum of squares over its degrees of freedom."""
    effect = values
    for axis in range(values.ndim):
        mean = effect.mean(axis=axis, keepdims=True)
        effect = effect - mean if axis in factors else mean
    repeats = math.prod(n for axis, n in enumerate(values.shape) if axis not in factors)
    freedom = math.prod(values.shape[axis] - 1 for axis in factors)
    return float((effect**2).sum() * repeats / freedom)


def variance_components(values: npt.ArrayLike) -> dict[Factors, float]:
    """Splits the variance of crossed results into that of every factor and every interaction.

    The model is y = mean + the sum of one independent random effect per non-empty set of factors,
    with one value per cell, so that the interaction of all factors holds the residual too. The
    estimator is that of the balanced analysis of variance: with s(B) the variance of effect B and
    n(f) the levels of factor f, the mean square of an effect A is expected to be the sum over all
    B that contain A of s(B) times the product of n(f) over the factors outside B, which is solved
    from the largest interaction down (Searle, Casella and McCulloch, "Variance components", 1992,
    chapter 4). It is unbiased, and so may come out below zero where a variance is small.

    Args:
        values: one axis per factor, one entry per level, at least two each.

    Returns:
        The variance of each effect, in the square of the values' unit.

    Raises:
        ValueError: for a factor of one level, or values that are not finite.
    """
    table = np.asarray(values, np.float64)
    if table.ndim == 0 or min(table.shape) < 2:
        raise ValueError(f"variance_components: shape {table.shape} has a factor of one level")
    if not np.isfinite(table).all():
        raise ValueError("variance_components: some values are not finite; take ranks of them")
    axes = range(table.ndim)
    effects = [each for k in axes for each in itertools.combinations(axes, k + 1)]
    found: dict[Factors, float] = {}
    for effect in reversed(effects):
        rest = _mean_square(table, effect)
        for larger, variance in found.items():
            if set(effect) < set(larger):
                rest -= variance * math.prod(table.shape[f] for f in axes if f not in larger)
        found[effect] = rest / math.prod(table.shape[f] for f in axes if f not in effect)
    return {effect: found[effect] for effect in effects}


def variance_shares(values: npt.ArrayLike, within: int | None = None) -> dict[Factors, float]:
    """Returns each effect's share of the total variance, negative estimates counted as zero.

    Args:
        values: as for `variance_components`.
        within: a factor whose interactions all count as its own, such as the seed of a run, which
            means something else in every cell; None for no such factor.

    Returns:
        Shares that sum to 1, all of them 0 where the values do not vary.
    """
    variances: dict[Factors, float] = {}
    for effect, variance in variance_components(values).items():
        owner = (within,) if within is not None and within in effect else effect
        variances[owner] = variances.get(owner, 0.0) + max(0.0, variance)
    total = sum(variances.values())
    return {each: variance / total if total else 0.0 for each, variance in variances.items()}
