"""What quantizers know of the inputs of a layer, and how they move difficulty into its weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.format import Format
from archgym.cost_models.numerics.groups import F32, Group, as_matrix

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Statistics of the inputs of a layer, per input channel.

    Attributes:
        samples: How many inputs.
        second_moment: X^T X / samples, `(n, n)`.
        mean_magnitude: Mean of |x|, `(n,)`.
        largest: Largest |x|, `(n,)`.
    """

    samples: int
    second_moment: F64
    mean_magnitude: F64
    largest: F64

    def output_error(self, difference: ArrayLike) -> float:
        """Mean over the inputs of the squared norm of `x @ difference.T`.

        Args:
            difference: Of two weights, `(rows, n)`.
        """
        d = _of_width(as_matrix(difference, "difference"), len(self.largest)).astype(np.float64)
        return float(((d @ self.second_moment) * d).sum())


def calibrate(inputs: ArrayLike) -> Calibration:
    """Statistics of inputs `(samples, n)`.

    Raises:
        ValueError: If they have another shape or are not finite.
    """
    x = as_matrix(inputs, "inputs")
    size = np.abs(x)
    wide = x.astype(np.float64)
    moment = wide.T @ wide / len(x)
    return Calibration(
        len(x), moment, size.mean(axis=0, dtype=np.float64), size.max(axis=0).astype(np.float64)
    )


def _of_width(weight: F32, n: int) -> F32:
    if weight.shape[1] != n:
        raise ValueError(f"weight: {weight.shape[1]} input channels, calibration: {n}.")
    return weight


@dataclass(frozen=True)
class Smoothed:
    """A weight that takes over the range of its inputs.

    Attributes:
        weight: `(rows, n)`: the weight times the factors.
        factors: `(n,)` float32, by which inputs are divided; in a network by the gain of the
            normalisation before the layer, so that nothing is stored.
    """

    weight: F32
    factors: F32


def smooth(weight: ArrayLike, activation_absmax: ArrayLike, alpha: float) -> Smoothed:
    """SmoothQuant: factors `max|x_j|^alpha / max|w_j|^(1 - alpha)` per input channel j.

    Xiao et al., arXiv:2211.10438, equation 4. Layers that share their inputs share factors: pass
    their weights one above the other. A channel that is all zero in inputs or weight keeps 1.

    Args:
        weight: `(rows, n)`.
        activation_absmax: Largest magnitude of each input channel, `(n,)`.
        alpha: Share of the difficulty that moves into the weight, in [0, 1].

    Raises:
        ValueError: If `alpha` or a shape is not allowed, or a value not finite.
    """
    w = as_matrix(weight, "weight")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: {alpha!r} is not in [0, 1].")
    largest = np.asarray(activation_absmax, np.float64)
    if largest.shape != (w.shape[1],):
        raise ValueError(
            f"activation_absmax: shape {largest.shape} for {w.shape[1]} input channels."
        )
    if not (np.isfinite(largest) & (largest >= 0)).all():
        raise ValueError("activation_absmax: a value is negative or not finite.")
    of_weight = np.abs(w).max(axis=0).astype(np.float64)
    used = (largest > 0) & (of_weight > 0)
    safe = [np.where(used, each, 1.0) for each in (largest, of_weight)]
    factors = (safe[0] ** alpha / safe[1] ** (1 - alpha)).astype(np.float32)
    return Smoothed(w * factors, factors)


@dataclass(frozen=True)
class ScaledWeight:
    """What a search of AWQ found.

    Attributes:
        weight: `(rows, n)`, the rounded weight divided by the factors again: its use needs no
            change of the inputs.
        factors: `(n,)` float32, by which the weight was multiplied before rounding.
        exponent: Of the mean magnitude of the inputs.
        output_errors: Of every exponent tried, the first of plain rounding.
    """

    weight: F32
    factors: F32
    exponent: float
    output_errors: tuple[float, ...]


def awq(
    weight: ArrayLike,
    calibration: Calibration,
    fmt: Format,
    group: Group = None,
    clip: float = 1.0,
    steps: int = 20,
) -> ScaledWeight:
    """Activation-aware weight scaling: multiply salient input channels before rounding.

    Lin et al., arXiv:2306.00978, section 3.2: factors are `mean|x_j|^a`, divided by the geometric
    mean of the largest and the smallest, with the exponent a of 0, 1/steps, ... that gives the
    least output error on the calibration inputs. Weights are not clipped by a search of their own.

    Args:
        weight: `(rows, n)`.
        calibration: Of the inputs of the layer.
        fmt: Any format.
        group: As for `Format.quantize`.
        clip: As for `Format.quantize`.
        steps: Number of exponents tried, at least one.

    Raises:
        ValueError: If an argument is not allowed.
    """
    w = _of_width(as_matrix(weight, "weight"), len(calibration.largest))
    if steps < 1:
        raise ValueError(f"steps: {steps!r} is not at least 1.")
    size = calibration.mean_magnitude
    size = np.where(size > 0, size, size[size > 0].min() if (size > 0).any() else 1.0)
    best, errors = None, []
    for step in range(steps):
        raw = size ** (step / steps)
        factors = (raw / np.sqrt(raw.max() * raw.min())).astype(np.float32)
        rounded = fmt.quantize(w * factors, group, clip) / factors
        errors.append(calibration.output_error(rounded - w))
        if best is None or errors[-1] < min(errors[:-1]):
            best = (rounded, factors, step / steps)
    assert best is not None
    return ScaledWeight(*best, tuple(errors))
