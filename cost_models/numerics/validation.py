"""Formats beside an independent implementation, and beside `ml_dtypes` where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from archgym.cost_models.numerics import floats
from archgym.cost_models.numerics.sqnr import sqnr_rows
from archgym.cost_models.validation import Check, Target, compare

# Signal to noise in dB, groups of 128, of an implementation that shares no code with this one, on
# other random values: unit Gaussian, and Student's t with four degrees of freedom. Its OliVe
# searches other scales and is left out.
SQNR_DB: dict[str, tuple[float, float | None]] = {
    "int8": (43.8, 39.4),
    "int6": (31.5, 27.1),
    "mxfp6-e2m3": (31.0, 30.0),
    "fp8-e4m3": (31.8, 32.4),
    "mxfp8-e4m3": (30.7, None),
    "mxint8": (41.7, None),
    "nf4": (20.4, 17.8),
    "nvfp4": (20.4, 20.8),
    "bitmod4": (20.2, 19.0),
    "int4-asym": (19.9, 16.8),
    "fp4": (19.2, 17.6),
    "mxfp4": (18.8, 17.7),
    "int4": (18.6, 14.3),
    "mxint4": (17.6, 15.4),
    "bfp4": (16.7, 12.2),
    "pot4": (14.3, 15.0),
    "bitmod3": (14.2, 12.1),
    "int3-asym": (13.3, 10.3),
    "fp3": (12.4, 9.5),
    "int3": (11.2, 7.6),
    "ternary-twn": (7.2, None),
    "int2-asym": (5.9, None),
    "ternary": (5.8, None),
}
ML_DTYPES = {
    "E4M3": "float8_e4m3fn",
    "E5M2": "float8_e5m2",
    "E2M3": "float6_e2m3fn",
    "E3M2": "float6_e3m2fn",
    "E2M1": "float4_e2m1fn",
}
# Gaussian noise is known to the reference's last digit; that of Student's t, which few large values
# decide, differs by 0.2 dB from one draw to the next.
_DECIBELS = {"gaussian": 0.1, "student": 0.3}


REFERENCE_NEEDED = False


def validate(reference: Path | None = None) -> Iterator[Check]:
    """All comparisons; the figures are written here, so that a folder with others is of no use."""
    yield from _noise()
    yield from _codes()


def _noise() -> Iterator[Check]:
    rows = sqnr_rows(tuple(SQNR_DB))
    for metric, ours, theirs in (
        ("gaussian", [row.gaussian_db for row in rows], [pair[0] for pair in SQNR_DB.values()]),
        ("student", [row.student_db for row in rows], [pair[1] for pair in SQNR_DB.values()]),
    ):
        both = [(a, b) for a, b in zip(ours, theirs, strict=True) if b is not None]
        yield compare(
            "independent implementation",
            f"{len(both)} formats",
            f"{metric} SQNR dB",
            [a for a, _ in both],
            [b for _, b in both],
            Target(exact=1.0, spearman=0.99),
            tolerance=_DECIBELS[metric],
        )


def hard_cases(element: floats.Element) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Values for a comparison of codes, `(1, n)`, in the element's range.

    All its numbers, the middles between them, the float32 numbers beside both, and 10,000 random
    ones, half of them over all its exponents and below.
    """
    numbers = np.unique(np.abs(element.table))
    exact = np.concatenate([numbers, (numbers[1:] + numbers[:-1]) / 2]).astype(np.float32)
    beside = [np.nextafter(exact, np.float32(to)) for to in (-np.inf, np.inf)]
    rng = np.random.default_rng(3)
    wide = np.ldexp(rng.uniform(0.5, 1, 5000), rng.integers(-30, 18, 5000))
    size = np.abs(np.concatenate([exact, *beside, wide, rng.uniform(0, element.top, 5000)]))
    size = size[size <= element.top].astype(np.float32)
    return np.concatenate([size, -size])[None]


def _codes() -> Iterator[Check]:
    try:
        types = importlib.import_module("ml_dtypes")
    except ImportError:
        return
    for name, dtype in ML_DTYPES.items():
        element: floats.Element = getattr(floats, name)
        x = hard_cases(element)
        ours = element.encode(x, np.ones(1, np.float32))[0]
        theirs = x.astype(getattr(types, dtype)).view(np.uint8)[0]
        yield compare("ml_dtypes", name, "codes", ours, theirs, Target(exact=1.0))
