"""Operands of datapaths: the plain integers and floats that hardware multiplies.

Number formats of networks (groups, scales, code books) are mapped to these by
`archgym.cost_models.processing_elements.formats`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_EXACT_BITS = 8
"""A float of more bits is multiplied into a float instead of an exact fixed-point number."""


@dataclass(frozen=True)
class Operand:
    """What enters one side of a multiplier.

    Floats have subnormals, and no code for infinities: conversions to them saturate.

    Attributes:
        name: Such as `int8` or `e4m3`.
        bits: Of storage.
        exponent: Bits of the exponent; 0 for integers in two's complement.
        mantissa: Bits of the significand without its hidden one.
        top: Largest exponent field that stands for a number.
        bias: Of the exponent.
    """

    name: str
    bits: int
    exponent: int = 0
    mantissa: int = 0
    top: int = 0
    bias: int = 0

    @property
    def is_float(self) -> bool:
        """Whether it has an exponent."""
        return self.exponent > 0

    @property
    def is_wide(self) -> bool:
        """Whether its products are floats, because exact sums would be too wide."""
        return self.is_float and self.bits > _EXACT_BITS

    @property
    def significand(self) -> int:
        """Bits of the magnitude that a multiplier sees."""
        return self.mantissa + 1 if self.is_float else self.bits

    @property
    def fixed_bits(self) -> int:
        """Width of the signed fixed-point number that holds every value."""
        return self.significand + self.top if self.is_float else self.bits

    @property
    def terms(self) -> int:
        """Radix-4 Booth digits that hold every significand.

        An integer of b bits in two's complement has ceil(b / 2) digits, an unsigned significand of
        b bits floor(b / 2) + 1.
        """
        return self.significand // 2 + 1 if self.is_float else -(-self.bits // 2)

    def values(self) -> NDArray[np.float64]:
        """Values of all codes `(2^bits,)`; codes above `top` as if they were numbers."""
        codes = np.arange(2**self.bits)
        if not self.is_float:
            return np.where(codes < 2 ** (self.bits - 1), codes, codes - 2.0**self.bits)
        field = (codes >> self.mantissa) & (2**self.exponent - 1)
        fraction = codes & (2**self.mantissa - 1)
        magnitude = (fraction + np.where(field > 0, 2**self.mantissa, 0)) * 2.0 ** (
            np.maximum(field, 1) - self.bias - self.mantissa
        )
        sign = np.where(codes >> (self.bits - 1), -1.0, 1.0)
        return np.asarray(sign * magnitude)

    def is_number(self) -> NDArray[np.bool_]:
        """Which codes stand for numbers `(2^bits,)`."""
        codes = np.arange(2**self.bits)
        field = (codes >> self.mantissa) & (2**self.exponent - 1)
        return np.asarray(field <= self.top) if self.is_float else np.ones(len(codes), np.bool_)


def _float(name: str, exponent: int, mantissa: int, *, ieee: bool = False) -> Operand:
    top = 2**exponent - (2 if ieee else 1)
    bits = 1 + exponent + mantissa
    return Operand(name, bits, exponent, mantissa, top, 2 ** (exponent - 1) - 1)


# FP4, FP6 and FP8 as in the OCP Microscaling Formats specification v1.0, sections 5.3.1 to 5.3.3.
OPERANDS = {
    each.name: each
    for each in (
        *(Operand(f"int{bits}", bits) for bits in range(2, 10)),
        Operand("int16", 16),
        _float("e2m0", 2, 0),
        _float("e3m0", 3, 0),
        _float("e2m1", 2, 1),
        _float("e2m3", 2, 3),
        _float("e3m2", 3, 2),
        _float("e4m3", 4, 3),
        _float("e5m2", 5, 2, ieee=True),
        _float("fp16", 5, 10, ieee=True),
        _float("bf16", 8, 7, ieee=True),
        # A signed power of two up to 2^9, or zero: a radix-4 digit with its place.
        Operand("term", 5, 4, 0, 10, 7),
    )
}


@functools.cache
def covers(wide: str, narrow: str) -> bool:
    """Whether each value of one operand is one of the other's, up to one power of two.

    A datapath for the wide operand then also serves the narrow one.

    Args:
        wide: Name of an operand.
        narrow: Name of an operand.
    """
    own, other = OPERANDS[wide], OPERANDS[narrow]
    if wide == narrow or other.is_wide:
        return wide == narrow
    values = other.values()[other.is_number()]
    # The smallest magnitude is the lowest bit that any value has.
    whole = (values / np.abs(values[values != 0]).min()).astype(np.int64)
    if not own.is_float:
        limit = 2 ** (own.bits - 1)
        return bool(-limit <= whole.min() and whole.max() < limit)
    odd = np.abs(whole[whole != 0])
    odd //= odd & -odd
    span = int(np.abs(whole).max()).bit_length() - 1
    return int(odd.max()).bit_length() <= own.significand and span < own.top + own.mantissa
