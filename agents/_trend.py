"""A sum of one term per parameter, for models that learn the rest on top of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray

PENALTIES = np.geomspace(0.1, 100.0, 13)
"""Weights of the squared coefficients that are tried."""


@dataclass(frozen=True)
class Trend:
    """A ridge regression on the main effects, as the normal distribution that it is the mean of.

    Attributes:
        middle: mean of the columns `(p,)`.
        slopes: coefficients of the columns less their mean `(p,)`.
        precision: inverse of their covariance, in units of the error `(p, p)`.
        error: mean squared error of designs that are left out.
    """

    middle: FloatArray
    slopes: FloatArray
    precision: FloatArray
    error: float

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draws slopes `(p, count)`."""
        noise = rng.standard_normal((len(self.slopes), count))
        factor = np.linalg.cholesky(self.precision)
        return np.asarray(self.slopes[:, None] + self.error**0.5 * np.linalg.solve(factor.T, noise))

    def at(self, space: DesignSpace, rows: IntArray, slopes: FloatArray) -> FloatArray:
        """Returns deviations from the mean target of rows `(n, d)` at slopes `(p, m)`, `(n, m)`."""
        return np.asarray((main_effects(space, rows) - self.middle) @ slopes)


def main_effects(space: DesignSpace, rows: IntArray) -> FloatArray:
    """Returns rows `(n, d)` as columns `(n, p)` that stand for one parameter each.

    An ordered parameter gives its index scaled to [-1, 1] and the second Legendre polynomial of it,
    a category one column per value. Where a parameter is inert its columns are 0.
    """
    active = space.active(rows)
    columns = [np.zeros((len(rows), 0))]
    for j, parameter in enumerate(space.parameters):
        count = len(parameter.values)
        if count == 1:
            continue
        if parameter.ordered:
            x = 2.0 * rows[:, j] / (count - 1) - 1.0
            found = np.stack([x, 1.5 * x * x - 0.5][: count - 1], axis=1)
        else:
            found = (rows[:, j : j + 1] == np.arange(count)) * (count / 2) ** 0.5
        columns.append(np.where(active[:, j : j + 1], found, 0.0))
    return np.concatenate(columns, axis=1)


def fit_trend(space: DesignSpace, rows: IntArray, targets: FloatArray) -> Trend | None:
    """Fits a trend with the penalty of the least error when each design is left out.

    Args:
        space: the design space.
        rows: designs `(n, d)`, at least two.
        targets: `(n,)`.

    Returns:
        The trend, None where the mean alone predicts the left-out designs as well.
    """
    columns = main_effects(space, rows)
    middle, centred = columns.mean(axis=0), targets - targets.mean()
    left, sizes, right = np.linalg.svd(columns - middle, full_matrices=False)
    shares = sizes**2 / (sizes**2 + PENALTIES[:, None])
    inside = left.T @ centred
    # Allen's PRESS statistic: residuals over one less the leverage.
    residuals = centred - (shares * inside) @ left.T
    leverages = shares @ (left**2).T + 1.0 / len(rows)
    errors = np.mean((residuals / np.maximum(1.0 - leverages, 1e-3)) ** 2, axis=1)
    best = int(np.argmin(errors))
    alone = np.var(targets) * (len(rows) / (len(rows) - 1)) ** 2
    if errors[best] >= alone:
        return None
    penalty, inner = PENALTIES[best], columns - middle
    return Trend(
        middle,
        right.T @ (sizes / (sizes**2 + penalty) * inside),
        inner.T @ inner + penalty * np.eye(len(middle)),
        float(errors[best]),
    )
