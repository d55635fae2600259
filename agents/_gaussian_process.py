"""A Gaussian process over designs, for agents that learn a model of the score.

scikit-learn's regressor is not used: it refactors the whole matrix for every new point, holds the
kernel's gradient as an array of n x n x parameters, and has no kernel for categories. Here a point
is appended to the Cholesky factor, and a fit with ten parameters and 300 points takes a few tenths
of a second.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

ROOT5 = 5.0**0.5
FITTED = 300
"""Largest number of designs that kernels are fitted to."""

NOISE = (1e-6, 0.1)
"""Least and largest variance of the noise, as a share of the signal's."""

SMALLEST = 1e-9
"""Least variance of a candidate as a share of the signal's, against rounding."""


@functools.cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 (a library that is loaded later would not be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Holds linear algebra to one thread: faster for small matrices, and the same bits always."""
    limited: AbstractContextManager[object] = _controller().limit(limits=1)
    return limited


class Encoding:
    """Designs as points whose squared distance adds up over the parameters.

    An ordered parameter is its index divided by the largest, so that its ends are at distance 1,
    and lies in the middle where it is inert. Two categories are at distance 1, inert being one more
    category.

    Args:
        space: the design space.
    """

    def __init__(self, space: DesignSpace) -> None:
        owner = []
        for j, parameter in enumerate(space.parameters):
            count = len(parameter.values) + bool(parameter.when)
            owner += [j] * (1 if parameter.ordered else count)
        self.owner: IntArray = np.array(owner, np.int64)

    def encode(self, space: DesignSpace, rows: IntArray) -> FloatArray:
        """Returns the points `(n, p)` of canonical rows `(n, d)`; `owner` maps `p` to `d`."""
        active = space.active(rows)
        points = np.zeros((len(rows), len(self.owner)))
        first = np.searchsorted(self.owner, np.arange(len(space)))
        for j, parameter in enumerate(space.parameters):
            if parameter.ordered:
                last = max(1, len(parameter.values) - 1)
                points[:, first[j]] = np.where(active[:, j], rows[:, j] / last, 0.5)
            else:
                column = np.where(active[:, j], rows[:, j], len(parameter.values))
                points[np.arange(len(rows)), first[j] + column] = 0.5**0.5
        return points


@dataclass(frozen=True)
class Kernel:
    """Matérn 5/2 of a distance with one weight per parameter.

    Attributes:
        weights: `(d,)`, inverse squared length scales.
        noise: variance of the noise as a share of the signal's.
        signal: variance of the signal.
    """

    weights: FloatArray
    noise: float
    signal: float = 1.0

    def scaled(self, points: FloatArray, owner: IntArray) -> FloatArray:
        """Returns points `(n, p)` between which the plain distance is the weighted one."""
        return np.asarray(points * np.sqrt(self.weights)[owner])


def matern(squared: FloatArray) -> FloatArray:
    """Correlation at squared distances (Rasmussen and Williams 2006, equation 4.17)."""
    r = ROOT5 * np.sqrt(np.maximum(squared, 0.0))
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Returns the correlations `(n, m)` of scaled points `(n, p)` and `(m, p)`."""
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * (a @ b.T)
    return matern(squared)


def fit_kernel(
    points: FloatArray,
    targets: FloatArray,
    owner: IntArray,
    start: Kernel | None = None,
    cut: bool = False,
) -> Kernel:
    """Finds the kernel with the largest posterior density.

    The signal's variance is profiled out. The prior on the length scales is the one of Hvarfner,
    Hellsten and Nardi 2024 (arXiv:2402.02229), whose median grows with the root of the number of
    parameters; the noise has a log-normal prior around 1e-4.

    Args:
        points: `(n, p)`, see `Encoding`.
        targets: `(n,)` of mean 0.
        owner: `(p,)`, the parameter of each coordinate.
        start: where to begin, the median of the prior if left out.
        cut: whether length scales stay below the median of the prior. A parameter without an effect
            so far may have one elsewhere; a longer scale would deny that.
    """
    import scipy.optimize

    d = int(owner[-1]) + 1
    squares = _squares(points, owner, d)
    centre = np.append(np.full(d, -2.0 * (2.0**0.5 + 0.5 * np.log(d))), np.log(1e-4))
    spread = np.append(np.full(d, 2.0 * 3.0**0.5), 2.0)
    first = centre if start is None else np.log(np.append(start.weights, start.noise))
    bounds = [(float(centre[0]) if cut else -12.0, 6.0)] * d + [
        (float(np.log(NOISE[0])), float(np.log(NOISE[1])))
    ]
    found = scipy.optimize.minimize(
        _loss,
        np.clip(first, *np.array(bounds).T),
        args=(squares, targets, centre, spread),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 40 if start is None else 15},
    )
    weights, noise = np.exp(found.x[:-1]), float(np.exp(found.x[-1]))
    kernel = Kernel(weights, noise)
    factor = Factor(kernel.scaled(points, owner), noise)
    half = factor.half_solve(targets)
    return Kernel(weights, noise, max(float(half @ half) / len(targets), 1e-12))


def _squares(points: FloatArray, owner: IntArray, d: int) -> FloatArray:
    """Returns the squared distances `(d, n, n)` along each parameter."""
    squares = np.zeros((d, len(points), len(points)))
    for column, j in zip(points.T, owner, strict=True):
        squares[j] += np.square(column[:, None] - column)
    return squares


def _loss(
    x: FloatArray, squares: FloatArray, y: FloatArray, centre: FloatArray, spread: FloatArray
) -> tuple[float, FloatArray]:
    """Returns the negative log posterior density of log hyperparameters, and its gradient.

    Rasmussen and Williams 2006, equations 5.8 and 5.9, with the best signal variance put in.
    """
    import scipy.linalg

    n, weights, noise = len(y), np.exp(x[:-1]), np.exp(x[-1])
    squared = np.tensordot(weights, squares, 1)
    r = ROOT5 * np.sqrt(squared)
    decay = np.exp(-r)
    matrix = (1.0 + r + r * r / 3.0) * decay
    matrix[np.diag_indices(n)] += noise
    lower = scipy.linalg.cholesky(matrix, lower=True, check_finite=False)
    inverse, _ = scipy.linalg.lapack.dpotri(lower, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    alpha = inverse @ y
    fit = max(float(y @ alpha), 1e-12)
    z = (x - centre) / spread
    loss = 0.5 * n * np.log(fit / n) + np.log(lower.diagonal()).sum() + 0.5 * float(z @ z)
    # Derivative of the loss by the matrix.
    outer = 0.5 * (inverse - np.multiply.outer(alpha, alpha) * (n / fit))
    slope = outer * (-5.0 / 6.0) * (1.0 + r) * decay
    gradient = np.append(weights * np.tensordot(squares, slope, 2), noise * outer.trace())
    return float(loss), gradient + z / spread


class Factor:
    """The Cholesky factor of the correlations of a growing list of points.

    Args:
        points: scaled points `(n, p)`.
        noise: added to the diagonal.
    """

    def __init__(self, points: FloatArray, noise: float) -> None:
        self.noise = noise
        self.points = np.zeros((0, points.shape[1]))
        self._lower = np.zeros((0, 0))
        self.append(points)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def lower(self) -> FloatArray:
        """The lower triangular factor `(n, n)`."""
        n = len(self)
        return self._lower[:n, :n]

    def append(self, points: FloatArray) -> None:
        """Adds scaled points `(m, p)` at a cost of `O(n^2 m)`."""
        import scipy.linalg

        n, m = len(self), len(points)
        if m == 0:
            return
        cross = self.half_solve(correlation(self.points, points))
        corner = correlation(points, points) - cross.T @ cross
        corner[np.diag_indices(m)] += self.noise
        if len(self._lower) < n + m:
            grown = np.zeros((n + m + 64, n + m + 64))
            grown[:n, :n] = self.lower
            self._lower = grown
        self._lower[n : n + m, :n] = cross.T
        self._lower[n : n + m, n : n + m] = scipy.linalg.cholesky(
            corner, lower=True, check_finite=False
        )
        self.points = np.concatenate([self.points, points])

    def truncate(self, n: int) -> None:
        """Keeps the first `n` points."""
        self.points = self.points[:n]

    def half_solve(self, right: FloatArray) -> FloatArray:
        """Returns `L^-1 right`."""
        import scipy.linalg

        return np.asarray(
            scipy.linalg.solve_triangular(self.lower, right, lower=True, check_finite=False)
            if len(self)
            else right
        )

    def solve(self, right: FloatArray) -> FloatArray:
        """Returns `(L L')^-1 right`."""
        import scipy.linalg

        return np.asarray(
            scipy.linalg.solve_triangular(
                self.lower, self.half_solve(right), lower=True, trans=1, check_finite=False
            )
            if len(self)
            else right
        )


class GaussianProcess:
    """A process that is fitted now and then, and appended to in between.

    Args:
        owner: the parameter of each coordinate, see `Encoding`.
        limit: largest number of designs it holds after a fit.
        growth: share by which the number of designs grows between two fits.
        cut: see `fit_kernel`.
    """

    def __init__(self, owner: IntArray, limit: int, growth: float, cut: bool = False) -> None:
        self._owner, self._limit, self._growth, self._cut = owner, limit, growth, cut
        self._kernel: Kernel | None = None
        self._factor: Factor | None = None
        self._held = np.zeros(0, np.int64)
        self._known = self._due = 0

    def update(
        self,
        points: FloatArray,
        targets: FloatArray,
        pending: FloatArray,
        rng: np.random.Generator,
    ) -> Posterior:
        """Takes in all designs so far and returns what is known about others.

        Args:
            points: `(n, p)`; those of the call before come first and in the same order.
            targets: `(n,)`, which may all have changed.
            pending: points `(m, p)` that count as evaluated with their means as targets.
            rng: where the designs that are left out of the model are drawn from.
        """
        n = len(points)
        if self._kernel is None or self._factor is None or n >= self._due:
            fitted = subset(targets, FITTED, rng)
            self._kernel = fit_kernel(
                points[fitted], targets[fitted], self._owner, self._kernel, self._cut
            )
            self._held = subset(targets, self._limit, rng)
            held = self._kernel.scaled(points[self._held], self._owner)
            self._factor = Factor(held, self._kernel.noise)
            self._due = n + min(64, max(8, int(self._growth * n)))
        else:
            self._factor.truncate(len(self._held))
            self._factor.append(self._kernel.scaled(points[self._known :], self._owner))
            self._held = np.concatenate([self._held, np.arange(self._known, n)])
        self._known = n
        alpha = self._factor.solve(targets[self._held])
        self._factor.append(self._kernel.scaled(pending, self._owner))
        return Posterior(self._kernel, self._factor, self._owner, alpha)


def subset(targets: FloatArray, limit: int, rng: np.random.Generator) -> IntArray:
    """Returns at most `limit` positions: the best half of them, and a random part of the rest."""
    if len(targets) <= limit:
        return np.arange(len(targets))
    order = np.argsort(-targets, kind="stable")
    half = limit // 2
    others = rng.choice(order[half:], limit - half, replace=False)
    return np.sort(np.concatenate([order[:half], others]))


class Posterior:
    """What a process says about a growing list of candidates, some of which are chosen.

    A chosen candidate counts as evaluated with its mean as target: means stay as they are, and
    variances shrink by one row of the Cholesky factor.

    Args:
        kernel: of the process.
        factor: of its points, pending ones last.
        owner: the parameter of each coordinate.
        alpha: `(n,)`, the weights of the evaluated points in a mean.
    """

    def __init__(self, kernel: Kernel, factor: Factor, owner: IntArray, alpha: FloatArray) -> None:
        self._kernel, self._factor, self._owner, self._alpha = kernel, factor, owner, alpha
        self._points = factor.points[:0]
        self._cross = np.zeros((0, len(factor)))
        self._mean = np.zeros(0)
        self._variance = np.zeros(0)

    def add(self, points: FloatArray) -> None:
        """Adds candidates `(m, p)`."""
        scaled = self._kernel.scaled(points, self._owner)
        cross = correlation(scaled, self._factor.points)
        half = self._factor.half_solve(cross.T)
        variance = 1.0 - np.einsum("ij,ij->j", half, half)
        mean = cross[:, : len(self._alpha)] @ self._alpha
        self._points = np.concatenate([self._points, scaled])
        self._cross = np.concatenate([self._cross, cross])
        self._mean = np.append(self._mean, mean)
        self._variance = np.append(self._variance, variance)

    def predict(self, first: int = 0) -> tuple[FloatArray, FloatArray]:
        """Returns means and standard deviations of the candidates from number `first` on."""
        variance = self._kernel.signal * np.maximum(self._variance[first:], SMALLEST)
        return self._mean[first:], np.sqrt(variance)

    def believe(self, i: int) -> None:
        """Takes candidate `i` as evaluated."""
        near = correlation(self._points, self._points[i : i + 1])
        covariance = near[:, 0] - self._cross @ self._factor.solve(self._cross[i])
        self._variance -= covariance**2 / (max(self._variance[i], 0.0) + self._factor.noise)
        self._factor.append(self._points[i : i + 1])
        self._cross = np.concatenate([self._cross, near], axis=1)
