"""How many partial products a bit-serial element makes of weights: radix-4 digits, zeros skipped.

After the bit-weight MACs of HPCA 2025 (wqzustc/High-Performance-Tensor-Processing-Engines).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ENCODINGS = ("carry", "booth")
_PLACES = 16


def digits(values: ArrayLike, encoding: str = "carry") -> NDArray[np.int8]:
    """Radix-4 digits, the lowest first.

    `carry`: of the magnitude, digits -1, 0, 1, 2; a 3 becomes -1 with a carry. `booth`: of the
    two's complement, digits -2 to 2 from overlapping groups of three bits.

    Args:
        values: Integers `(n,)`, magnitudes below 2^30.
        encoding: One of `ENCODINGS`.

    Returns:
        `(n, 16)`; of `carry` without the sign.

    Raises:
        ValueError: For values that are not integers or too large, or an unknown encoding.
    """
    given = np.asarray(values)
    whole = given.astype(np.int64)
    if given.ndim != 1 or np.any(whole != given) or np.any(np.abs(whole) >= 2**30):
        raise ValueError("values: must be integers (n,) with magnitudes below 2^30")
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding: {encoding!r} is not one of {', '.join(ENCODINGS)}")
    found = np.zeros((len(whole), _PLACES), np.int8)
    if encoding == "booth":
        bits = (whole[:, None] >> np.arange(2 * _PLACES)) & 1
        below = np.pad(bits, ((0, 0), (1, 0)))[:, : 2 * _PLACES : 2]
        found[:] = below + bits[:, 0::2] - 2 * bits[:, 1::2]
        return found
    rest = np.abs(whole)
    for place in range(_PLACES):
        digit = rest & 3
        found[:, place] = np.where(digit == 3, -1, digit)
        rest = (rest + (digit == 3)) >> 2
    return found


def mean_terms(values: ArrayLike, encoding: str = "carry") -> float:
    """Mean number of digits that are not zero: cycles per weight where zeros are skipped.

    Arguments and errors as of `digits`; at least one value.
    """
    found = digits(values, encoding)
    if not len(found):
        raise ValueError("values: there is none")
    return float((found != 0).sum(axis=1).mean())


def plane_products(weight_bits: int, activation_bits: int) -> int:
    """One-bit matrix products of a matrix product of integers: one per pair of bit planes.

    As in FlexQ and bipolar-INT, where every bit of a weight meets every bit of an activation.

    Raises:
        ValueError: For fewer than 1 bit.
    """
    for name, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
        if bits < 1:
            raise ValueError(f"{name} is {bits}, must be at least 1")
    return weight_bits * activation_bits
