"""Scales of groups: largest magnitudes, and powers of two in eight bits (E8M0)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.numerics.kernels import largest_magnitudes

F32 = NDArray[np.float32]
E8M0_BIAS = 127
RULES = ("floor", "ceil")


def magnitudes(groups: F32) -> NDArray[np.float64]:
    """The largest magnitude of each group, `(groups,)`."""
    return largest_magnitudes(groups.view(np.int32)).view(np.float32).astype(np.float64)


def as_e8m0(
    largest: NDArray[np.float64], top_exponent: int, top: float, rule: str
) -> NDArray[np.uint8]:
    """Powers of two as E8M0 codes, exponent + 127.

    `floor` is the rule of OCP Microscaling Formats v1.0, section 6.3: floor(log2 of the largest
    magnitude) less the exponent of the largest element; what is beyond it after scaling saturates.
    `ceil` is the least power of two with which nothing saturates.

    Args:
        largest: Largest magnitude of each group.
        top_exponent: Exponent of the largest element.
        top: The largest element.
        rule: `floor` or `ceil`.

    Returns:
        0 to 254; 0 for groups of zeros.
    """
    fraction, exponent = np.frexp(largest)
    shared = exponent.astype(np.int64) - 1 - top_exponent
    if rule == "ceil":
        shared += np.ldexp(2 * fraction, top_exponent) > top
        # The largest numbers of float32 saturate all the same: there is no larger one.
        shared = np.minimum(shared, E8M0_BIAS - top_exponent)
    shared = np.where(largest > 0, shared, -E8M0_BIAS)
    return (np.clip(shared, -E8M0_BIAS, E8M0_BIAS) + E8M0_BIAS).astype(np.uint8)


def e8m0_values(codes: NDArray[Any]) -> F32:
    """2^(code - 127) as float32."""
    return np.ldexp(np.float32(1), codes.astype(np.int32) - E8M0_BIAS)
