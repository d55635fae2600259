"""Compiled loops over groups of values: extremes, rounding to codes, codes back to values.

All take `groups`, float32 `(groups, length)`, and work in float32: a value is divided by the scale
of its group, rounded to the nearest code with ties to the even one, and saturates. A scale of zero
divides by one, which gives the code of zero for the values that such a group holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.jit import compiled, forget_stale_kernels, inlined

forget_stale_kernels(Path(__file__).parent)

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]

_OUTLIER_FROM = np.float32(9.5)  # halfway between the largest normal value, 7, and 12


@compiled
def largest_magnitudes(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """The largest magnitude of each group, on the bit patterns of float32, `(groups,)`.

    Magnitudes order as their bits do, and maxima of integers are what compilers vectorise.
    """
    out = np.empty(bits.shape[0], np.int32)
    for group in range(bits.shape[0]):
        top = np.int32(0)
        for i in range(bits.shape[1]):
            top = max(top, np.int32(bits[group, i] & np.int32(0x7FFFFFFF)))
        out[group] = top
    return out


@compiled
def extremes(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Smallest and largest value of each group or zero, as bits of float32, `(2, groups)`."""
    out = np.empty((2, bits.shape[0]), np.int32)
    magnitude = np.int32(0x7FFFFFFF)
    for group in range(bits.shape[0]):
        low = np.int32(0)
        high = np.int32(0)
        for i in range(bits.shape[1]):
            raw = bits[group, i]
            ordered = np.int32(raw ^ ((raw >> np.int32(31)) & magnitude))
            low = min(low, ordered)
            high = max(high, ordered)
        out[0, group] = low ^ ((low >> np.int32(31)) & magnitude)
        out[1, group] = high
    return out


@compiled
def integer_codes(
    groups: F32, steps: F32, zeros: F32, shift: float, low: float, high: float
) -> I16:
    """`rint(x / step + shift) + zero` between `low` and `high`."""
    out = np.empty(groups.shape, np.int16)
    shift_, low_, high_ = np.float32(shift), np.float32(low), np.float32(high)
    for group in range(groups.shape[0]):
        step = steps[group] if steps[group] > np.float32(0) else np.float32(1)
        zero = zeros[group]
        for i in range(groups.shape[1]):
            code = np.rint(groups[group, i] / step + shift_) + zero
            out[group, i] = np.int16(min(max(code, low_), high_))
    return out


@compiled
def integer_values(codes: I16, steps: F32, zeros: F32, shift: float) -> F32:
    """`(code - zero - shift) * step`."""
    out = np.empty(codes.shape, np.float32)
    for group in range(codes.shape[0]):
        step = steps[group]
        offset = zeros[group] + np.float32(shift)
        for i in range(codes.shape[1]):
            out[group, i] = (np.float32(codes[group, i]) - offset) * step
    return out


@compiled
def integer_round_trip(
    groups: F32, steps: F32, zeros: F32, shift: float, low: float, high: float, out: F32
) -> None:
    """`integer_values` of `integer_codes`, without the codes; `out` may be `groups`."""
    shift_, low_, high_ = np.float32(shift), np.float32(low), np.float32(high)
    for group in range(groups.shape[0]):
        stored = steps[group]
        step = stored if stored > np.float32(0) else np.float32(1)
        zero = zeros[group]
        offset = zero + shift_
        for i in range(groups.shape[1]):
            code = np.rint(groups[group, i] / step + shift_) + zero
            out[group, i] = (min(max(code, low_), high_) - offset) * stored


@compiled
def minifloat_codes(
    groups: F32, scales: F32, exponent_bits: int, mantissa_bits: int, bias: int, last: int
) -> U8:
    """Sign, exponent and mantissa of the nearest number of a small float; `last` saturates.

    Rounds the bit pattern of float32, as hardware does; below the least normal exponent the code is
    the multiple of the least subnormal.
    """
    out = np.empty(groups.shape, np.uint8)
    cut = np.int32(23 - mantissa_bits)
    half = np.int32((1 << (cut - 1)) - 1)
    rebias = np.int32((127 - bias) << mantissa_bits)
    least_normal = np.float32(2.0 ** (1 - bias))
    per_subnormal = np.float32(2.0 ** (mantissa_bits - 1 + bias))
    to_sign = np.int32(31 - exponent_bits - mantissa_bits)
    sign_bit = np.int32(1 << (exponent_bits + mantissa_bits))
    for group in range(groups.shape[0]):
        scale = scales[group] if scales[group] > np.float32(0) else np.float32(1)
        for i in range(groups.shape[1]):
            raw = np.float32(groups[group, i] / scale).view(np.int32)
            bits = np.int32(raw & np.int32(0x7FFFFFFF))
            magnitude = bits.view(np.float32)
            code = ((bits + half + ((bits >> cut) & np.int32(1))) >> cut) - rebias
            small = np.int32(np.rint(min(magnitude, least_normal) * per_subnormal))
            code = small if magnitude < least_normal else min(code, np.int32(last))
            out[group, i] = np.uint8(code | ((raw >> to_sign) & sign_bit))
    return out


@compiled
def minifloat_round_trip(
    groups: F32, scales: F32, mantissa_bits: int, bias: int, top: float, out: F32
) -> None:
    """The values of `minifloat_codes`, without the codes; `out` may be `groups`."""
    cut = np.int32(23 - mantissa_bits)
    half = np.int32((1 << (cut - 1)) - 1)
    least_normal = np.float32(2.0 ** (1 - bias))
    per_subnormal = np.float32(2.0 ** (mantissa_bits - 1 + bias))
    subnormal = np.float32(2.0 ** (1 - bias - mantissa_bits))
    largest = np.float32(top).view(np.int32)
    for group in range(groups.shape[0]):
        stored = scales[group]
        scale = stored if stored > np.float32(0) else np.float32(1)
        for i in range(groups.shape[1]):
            raw = np.float32(groups[group, i] / scale).view(np.int32)
            bits = np.int32(raw & np.int32(0x7FFFFFFF))
            magnitude = bits.view(np.float32)
            normal = np.int32(((bits + half + ((bits >> cut) & np.int32(1))) >> cut) << cut)
            steps = np.rint(min(magnitude, least_normal) * per_subnormal)
            small_bits = np.float32(steps * subnormal).view(np.int32)
            size = small_bits if magnitude < least_normal else min(normal, largest)
            value = np.int32(size | (raw & np.int32(-0x80000000)))
            out[group, i] = value.view(np.float32) * stored


@inlined
def _nearest(value: Any, thresholds: Any) -> Any:
    code = np.uint8(0)
    for k in range(thresholds.shape[0]):
        code += np.uint8(value > thresholds[k])
    return code


@compiled
def codebook_codes(groups: F32, scales: F32, selectors: U8, thresholds: F32) -> U8:
    """Index of the nearest value: how many thresholds of the group's codebook lie below."""
    out = np.empty(groups.shape, np.uint8)
    for group in range(groups.shape[0]):
        scale = scales[group] if scales[group] > np.float32(0) else np.float32(1)
        limits = thresholds[selectors[group]]
        for i in range(groups.shape[1]):
            out[group, i] = _nearest(groups[group, i] / scale, limits)
    return out


@compiled
def best_codebooks(groups: F32, scales: F32, tables: F32, thresholds: F32) -> U8:
    """The codebook with the least squared error for each group, the first among equals.

    Args:
        groups: `(groups, length)`.
        scales: `(codebooks, groups)`.
        tables: `(codebooks, codes)`, ascending.
        thresholds: `(codebooks, codes - 1)`.
    """
    out = np.zeros(groups.shape[0], np.uint8)
    for group in range(groups.shape[0]):
        least = np.inf
        for book in range(tables.shape[0]):
            stored = scales[book, group]
            scale = stored if stored > np.float32(0) else np.float32(1)
            error = 0.0
            for i in range(groups.shape[1]):
                code = _nearest(groups[group, i] / scale, thresholds[book])
                off = tables[book, code] * stored - groups[group, i]
                error += float(off) * float(off)
                if error >= least:
                    break
            if error < least:
                least = error
                out[group] = book
    return out


@compiled
def table_values(codes: U8, scales: F32, selectors: U8, tables: F32) -> F32:
    """`tables[selector, code] * scale`."""
    out = np.empty(codes.shape, np.float32)
    for group in range(codes.shape[0]):
        scale = scales[group]
        table = tables[selectors[group]]
        for i in range(codes.shape[1]):
            out[group, i] = table[codes[group, i]] * scale
    return out


@inlined
def _abfloat(magnitude: Any) -> Any:
    """Code 1 to 7 of 12, 16, 24, 32, 48, 64, 96: the nearest, ties to the even code."""
    code = np.uint8(1)
    code += np.uint8(magnitude >= np.float32(14))
    code += np.uint8(magnitude > np.float32(20))
    code += np.uint8(magnitude >= np.float32(28))
    code += np.uint8(magnitude > np.float32(40))
    code += np.uint8(magnitude >= np.float32(56))
    code += np.uint8(magnitude > np.float32(80))
    return code


@inlined
def _abfloat_value(code: Any) -> Any:
    return np.float32((2 + (code & 1)) << ((code >> 1) + 2))


@compiled
def best_pair_scales(groups: F32, scales: F32) -> NDArray[np.int64]:
    """Of several scales the one with the least squared error of outlier-victim pairs, `(groups,)`.

    Args:
        groups: `(groups, length)`, an even length.
        scales: `(candidates, groups)`; the first among equals is taken.
    """
    out = np.zeros(groups.shape[0], np.int64)
    seven = np.float32(7)
    for group in range(groups.shape[0]):
        least = np.inf
        for candidate in range(scales.shape[0]):
            stored = scales[candidate, group]
            scale = stored if stored > np.float32(0) else np.float32(1)
            error = 0.0
            for i in range(0, groups.shape[1], 2):
                a, b = groups[group, i], groups[group, i + 1]
                left, right = a / scale, b / scale
                if max(abs(left), abs(right)) > _OUTLIER_FROM:
                    big, other = (a, b) if abs(left) >= abs(right) else (b, a)
                    off = abs(big) - _abfloat_value(int(_abfloat(abs(big / scale)))) * stored
                else:
                    off = a - min(max(np.rint(left), -seven), seven) * stored
                    other = b - min(max(np.rint(right), -seven), seven) * stored
                error += float(off) * float(off) + float(other) * float(other)
                if error >= least:
                    break
            if error < least:
                least = error
                out[group] = candidate
    return out


@compiled
def pair_codes(groups: F32, scales: F32) -> U8:
    """Nibbles of outlier-victim pairs: integers of -7 to 7, or an outlier beside the mark 8."""
    out = np.empty(groups.shape, np.uint8)
    seven = np.float32(7)
    for group in range(groups.shape[0]):
        scale = scales[group] if scales[group] > np.float32(0) else np.float32(1)
        for i in range(0, groups.shape[1], 2):
            left, right = groups[group, i] / scale, groups[group, i + 1] / scale
            if max(abs(left), abs(right)) > _OUTLIER_FROM:
                first = abs(left) >= abs(right)
                big = left if first else right
                code = _abfloat(abs(big)) | np.uint8(8 if big < 0 else 0)
                out[group, i] = code if first else np.uint8(8)
                out[group, i + 1] = np.uint8(8) if first else code
            else:
                for j, value in ((i, left), (i + 1, right)):
                    out[group, j] = np.uint8(int(min(max(np.rint(value), -seven), seven)) & 15)
    return out


@compiled
def pair_values(codes: U8, scales: F32) -> F32:
    """Values of outlier-victim pairs."""
    out = np.empty(codes.shape, np.float32)
    for group in range(codes.shape[0]):
        for i in range(codes.shape[1]):
            code = int(codes[group, i])
            partner = codes[group, i ^ 1]
            if code == 8:
                value = np.float32(0)
            elif partner == 8:
                value = _abfloat_value(code & 7)
                if code & 8:
                    value = -value
            else:
                value = np.float32(code - 16 if code & 8 else code)
            out[group, i] = value * scales[group]
    return out
