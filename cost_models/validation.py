"""How far a cost model agrees with reference figures: one row per comparison."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Target:
    """Limits that a comparison must keep; None where there is none.

    Attributes:
        exact: Least share of rows that are equal.
        median_error: Largest median of the relative errors.
        p95_error: Largest 95th percentile of them.
        max_error: Largest of them.
        spearman: Least rank correlation.
    """

    exact: float | None = None
    median_error: float | None = None
    p95_error: float | None = None
    max_error: float | None = None
    spearman: float | None = None

    @property
    def text(self) -> str:
        """The limits in words, empty without any."""
        parts = []
        if self.exact is not None:
            parts.append("all equal" if self.exact == 1.0 else f"equal >= {self.exact:.0%}")
        for name, value in (
            ("median", self.median_error),
            ("p95", self.p95_error),
            ("max", self.max_error),
        ):
            if value is not None:
                parts.append(f"{name} <= {value:.3g}")
        if self.spearman is not None:
            parts.append(f"spearman >= {self.spearman:g}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Check:
    """One comparison of a cost model with reference figures.

    Attributes:
        check: What it is compared with.
        subject: The part compared, such as a trace or `all`.
        metric: The quantity.
        n: Rows compared.
        exact: Share of rows that are equal (to half the reference's last digit, where it has one).
        median_error: Median of the absolute relative errors.
        p95_error: Their 95th percentile.
        max_error: Their maximum.
        spearman: Rank correlation over the rows; None with fewer than three different values.
        target: The limits in words, empty where none is set.
        passed: Whether all limits are kept; None where none is set.
    """

    check: str
    subject: str
    metric: str
    n: int
    exact: float
    median_error: float
    p95_error: float
    max_error: float
    spearman: float | None
    target: str
    passed: bool | None

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """The fields as a JSON object."""
        return asdict(self)


def compare(
    check: str,
    subject: str,
    metric: str,
    ours: ArrayLike,
    reference: ArrayLike,
    target: Target | None = None,
    *,
    tolerance: float = 0.0,
) -> Check:
    """Compare two arrays of one length, of at least one row.

    Args:
        check: See `Check`.
        subject: See `Check`.
        metric: See `Check`.
        ours: Figures of the cost model `(n,)`.
        reference: Reference figures `(n,)`.
        target: Limits, if any are set.
        tolerance: Absolute difference up to which two figures count as equal: the rounding of the
            reference's last printed digit.

    Raises:
        ValueError: If the arrays differ in length or are empty.
    """
    mine = np.asarray(ours, np.float64)
    theirs = np.asarray(reference, np.float64)
    if mine.shape != theirs.shape or mine.ndim != 1 or mine.size == 0:
        raise ValueError(
            f"check {check!r}, {subject}, {metric}: shapes {mine.shape} and {theirs.shape} must be "
            f"equal, one-dimensional and not empty"
        )
    difference = np.abs(mine - theirs)
    equal = difference <= tolerance + 1e-12 * np.abs(theirs)
    error = np.where(equal & (theirs == 0), 0.0, difference / np.where(theirs == 0, np.nan, theirs))
    error = np.nan_to_num(np.abs(error), nan=np.inf)
    exact = float(equal.mean())
    median, p95 = (float(np.quantile(error, q)) for q in (0.5, 0.95))
    largest = float(error.max())
    rank = spearman(mine, theirs)
    passed: bool | None = None
    if target is not None:
        passed = all(
            (
                target.exact is None or exact >= target.exact,
                target.median_error is None or median <= target.median_error,
                target.p95_error is None or p95 <= target.p95_error,
                target.max_error is None or largest <= target.max_error,
                target.spearman is None or (rank is not None and rank >= target.spearman),
            )
        )
    text = "" if target is None else target.text
    return Check(check, subject, metric, mine.size, exact, median, p95, largest, rank, text, passed)


def read_rows(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file, gzip or not, that has at least these columns and one row."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing")
    rows = list(reader)
    if not rows:
        raise ValueError(f"{path}: no rows below the header")
    return rows


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation; None where either side has fewer than three different values."""
    if min(np.unique(a).size, np.unique(b).size) < 3:
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2.0)[inverse]
    return mean
