"""Statistics over seeds: best-so-far curves, interquartile mean, bootstrap intervals.

Scores may be `-inf` and regrets `inf` (nothing feasible found); such a value ranks beyond every
other and carries through to quantiles and intervals instead of turning them into not-a-number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray

Statistic = Callable[[FloatArray], FloatArray]
"""Maps values `(..., n)` to one number each `(...)`, along the last axis."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its interval.

    Attributes:
        value: of the sample.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def best_so_far(scores: npt.ArrayLike) -> FloatArray:
    """Returns the best of the first `i + 1` scores for every `i`, shape `(n,)`."""
    return np.maximum.accumulate(np.asarray(scores, np.float64))


def quantile(values: FloatArray, q: float) -> FloatArray:
    """Returns the `q` quantile along the last axis, infinite where it lies next to an infinity.

    Linear interpolation between order statistics (definition 7 of Hyndman and Fan, "Sample
    quantiles in statistical packages", The American Statistician 50, 1996).
    """
    ordered = np.sort(values, axis=-1)
    position = q * (values.shape[-1] - 1)
    below = int(np.floor(position))
    above = min(below + 1, values.shape[-1] - 1)
    weight = position - below
    low = ordered[..., below]
    if weight == 0.0:
        return np.asarray(low)
    with np.errstate(invalid="ignore"):
        between = low + weight * (ordered[..., above] - low)
    return np.where(np.isinf(low), low, between)


def median(values: FloatArray) -> FloatArray:
    """Returns the median along the last axis."""
    return quantile(values, 0.5)


def iqm(values: FloatArray) -> FloatArray:
    """Returns the interquartile mean along the last axis.

    The mean of what is left after a quarter of the values, rounded down, is cut off at either end
    (Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", 2021).
    """
    count = values.shape[-1]
    cut = count // 4
    return np.asarray(np.sort(values, axis=-1)[..., cut : count - cut].mean(axis=-1))


def bootstrap(
    values: npt.ArrayLike,
    statistic: Statistic = median,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate:
    """Returns a statistic with its percentile bootstrap interval.

    Args:
        values: one per seed, `(n,)`.
        statistic: what is estimated.
        level: probability that the interval is meant to cover.
        resamples: number of bootstrap samples.
        seed: of the resampling, so that the same results give the same interval.

    Raises:
        ValueError: for no values.
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError(f"bootstrap: values of shape {sample.shape} are not (n,) with n >= 1")
    rng = np.random.default_rng(seed)
    drawn = statistic(sample[rng.integers(len(sample), size=(resamples, len(sample)))])
    tail = (1.0 - level) / 2.0
    low, high = (float(quantile(drawn, q)) for q in (tail, 1.0 - tail))
    return Estimate(float(statistic(sample)), low, high)


def log_grid(stop: int, points: int = 100) -> npt.NDArray[np.int64]:
    """Returns distinct whole numbers from 1 to `stop`, about equally far apart in logarithm."""
    return np.unique(np.geomspace(1, stop, points).round().astype(np.int64))


@dataclass(frozen=True)
class Curve:
    """Best score so far against samples, over seeds.

    Attributes:
        samples: `(k,)`.
        low: first quartile `(k,)`.
        middle: median `(k,)`.
        high: third quartile `(k,)`.
    """

    samples: npt.NDArray[np.int64]
    low: FloatArray
    middle: FloatArray
    high: FloatArray


def known_after(spent: FloatArray, samples: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Returns how many trials of a run are known after so many samples `(k,)`.

    Args:
        spent: samples spent when each trial was known `(n,)`, rising.
        samples: `(k,)`.
    """
    # Sums of fractions of samples are rounded.
    places = np.asarray(samples, np.float64) + 1e-6
    return np.searchsorted(spent, places, side="right").astype(np.int64)


def anytime(
    runs: Sequence[FloatArray], spent: Sequence[FloatArray] | None = None, points: int = 100
) -> Curve:
    """Summarises the scores of several runs as best-so-far quartiles.

    A run that ended early keeps its last value; before its first trial it has `-inf`.

    Args:
        runs: scores in order of evaluation, one array per seed, none of them empty.
        spent: samples spent when each trial was known, of the same lengths; one each if left out.
        points: about how many sample counts to report.
    """
    places = [np.arange(1.0, len(r) + 1) for r in runs] if spent is None else spent
    samples = log_grid(max(math.ceil(each[-1] - 1e-6) for each in places), points)
    curves = [np.append(-np.inf, best_so_far(scores)) for scores in runs]
    known = [known_after(each, samples) for each in places]
    table = np.stack([c[count] for c, count in zip(curves, known, strict=True)], axis=-1)
    low, middle, high = (quantile(table, q) for q in (0.25, 0.5, 0.75))
    return Curve(samples, low, middle, high)
