"""Signal-to-quantization-noise ratios of formats on random values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from archgym.cost_models.numerics.groups import Group, as_matrix
from archgym.cost_models.numerics.registry import names, parse

STUDENT_FREEDOM = 4


@dataclass(frozen=True)
class SqnrRow:
    """One format on two distributions.

    Attributes:
        name: Of the format.
        bits_per_value: With all overheads, in a tensor of the size measured.
        gaussian_db: On unit Gaussian values.
        student_db: On Student's t with four degrees of freedom, which has outliers.
    """

    name: str
    bits_per_value: float
    gaussian_db: float
    student_db: float


def sqnr_db(x: ArrayLike, rounded: ArrayLike) -> float:
    """10 log10 of the sum of squares over that of the errors; infinite without errors."""
    signal = as_matrix(x).astype(np.float64)
    noise = float(np.square(signal - as_matrix(rounded, "rounded")).sum())
    return float(10 * np.log10(np.square(signal).sum() / noise)) if noise else float("inf")


def sqnr_rows(
    formats: Sequence[str] = (), group: Group = 128, rows: int = 2000, n: int = 128, seed: int = 0
) -> list[SqnrRow]:
    """Every format on the same two random tensors.

    Args:
        formats: Names; all without any.
        group: For formats without blocks of their own.
        rows: Of each tensor.
        n: Values of a row.
        seed: Of the random values.
    """
    rng = np.random.default_rng(seed)
    gaussian = rng.standard_normal((rows, n)).astype(np.float32)
    student = rng.standard_t(STUDENT_FREEDOM, (rows, n)).astype(np.float32)
    out = []
    for name in formats or names():
        fmt = parse(name)
        size = None if fmt.block else group
        found = [sqnr_db(x, fmt.quantize(x, size)) for x in (gaussian, student)]
        out.append(SqnrRow(name, fmt.bits_per_value(rows, n, size), *found))
    return out
