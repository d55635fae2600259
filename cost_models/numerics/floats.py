"""Small floating-point elements under a scale of the group, of the block or of none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.numerics.format import F32, LARGEST_FP16, Format, Parameters, as_fp16
from archgym.cost_models.numerics.kernels import minifloat_codes, minifloat_round_trip, table_values
from archgym.cost_models.numerics.scales import as_e8m0, e8m0_values, magnitudes


@dataclass(frozen=True)
class Element:
    """A small float: sign, exponent and mantissa, with subnormals, nearest even, saturating.

    Attributes:
        exponent_bits: At least two.
        mantissa_bits: May be none.
        bias: Of the exponent.
        last: Largest code that is a finite number; with the sign above.
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int
    last: int
    table: F32 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = np.arange(2 ** (self.exponent_bits + self.mantissa_bits))
        exponent, mantissa = np.divmod(codes, 2**self.mantissa_bits)
        significand = mantissa / 2**self.mantissa_bits + (exponent > 0)
        values = np.ldexp(significand, np.maximum(exponent, 1) - self.bias)
        # Codes beyond the last are infinities or NaNs, which nothing is rounded to.
        values[self.last + 1 :] = 0
        table = np.concatenate([values, -values]).astype(np.float32)[None]
        object.__setattr__(self, "table", table)

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def top(self) -> float:
        """The largest value."""
        return float(self.table[0, self.last])

    @property
    def top_exponent(self) -> int:
        """The exponent of the largest value."""
        return int(np.frexp(self.top)[1]) - 1

    def encode(self, groups: F32, scales: F32) -> NDArray[np.uint8]:
        """Codes of `groups / scale`."""
        return minifloat_codes(
            groups, scales, self.exponent_bits, self.mantissa_bits, self.bias, self.last
        )

    def restore(self, codes: NDArray[np.uint8], scales: F32) -> F32:
        """`value * scale` of codes."""
        return table_values(codes, scales, np.zeros(scales.shape, np.uint8), self.table)

    def round(self, groups: F32, scales: F32, out: F32) -> None:
        """`restore(encode(groups))` to `out`, without the codes."""
        minifloat_round_trip(groups, scales, self.mantissa_bits, self.bias, self.top, out)


# OCP 8-bit Floating Point Specification v1.0 (E4M3 has no infinity and one NaN), OCP Microscaling
# Formats v1.0, table 1 (FP6 and FP4 are all finite). The last two have exponents only.
E4M3 = Element(4, 3, 7, 0x7E)
E5M2 = Element(5, 2, 15, 0x7B)
E2M3 = Element(2, 3, 1, 0x1F)
E3M2 = Element(3, 2, 3, 0x1F)
E2M1 = Element(2, 1, 1, 0x07)
E2M0 = Element(2, 0, 1, 0x03)
E3M0 = Element(3, 0, 1, 0x07)
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ScaledFloat(Format):
    """Small floats times a scale of the group: float16, or float32 for elements of eight bits.

    Eight-bit floats keep the float32 scale of the libraries that use them, since the largest E5M2
    number, 57344, would make scales that float16 holds with few digits.
    """

    element: Element = E2M1

    @property
    def _wide(self) -> bool:
        return self.element.bits == 8

    @property
    def group_bits(self) -> int:
        """The scale."""
        return 32 if self._wide else 16

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale maps the clipped largest magnitude to the largest element."""
        scales = magnitudes(groups) * (clip / self.element.top)
        if not self._wide:
            return Parameters(as_fp16(scales))
        limit = np.nextafter(np.float32(_LARGEST / self.element.top), np.float32(0))
        return Parameters(np.minimum(scales.astype(np.float32), limit))

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / scale`."""
        return self.element.encode(groups, parameters.scales.astype(np.float32))

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Without the codes."""
        self.element.round(groups, parameters.scales.astype(np.float32), out)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`element * scale`."""
        return self.element.restore(elements, parameters.scales.astype(np.float32))


@dataclass(frozen=True)
class MicroscalingFloat(Format):
    """OCP MX: small floats times a power of two of the block."""

    element: Element = E2M1
    rule: str = "floor"

    @property
    def group_bits(self) -> int:
        """The shared exponent."""
        return 8

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The exponent by the rule, of the clipped largest magnitude."""
        e = self.element
        return Parameters(as_e8m0(magnitudes(groups) * clip, e.top_exponent, e.top, self.rule))

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / scale`."""
        return self.element.encode(groups, e8m0_values(parameters.scales))

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Without the codes."""
        self.element.round(groups, e8m0_values(parameters.scales), out)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`element * scale`."""
        return self.element.restore(elements, e8m0_values(parameters.scales))


@dataclass(frozen=True)
class Nvfp4(Format):
    """E2M1 times an E4M3 scale of 16 values times a float32 scale of the tensor.

    The tensor's scale maps its largest magnitude to 6 * 448, so that the largest scale of a block
    is 448. A block that is not all zero has at least the smallest scale, 2^-9.
    """

    @property
    def group_bits(self) -> int:
        """The E4M3 scale."""
        return 8

    @property
    def tensor_bits(self) -> int:
        """The float32 scale."""
        return 32

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """Scale of the tensor, then E4M3 scales of its blocks."""
        largest = magnitudes(groups) * clip
        top = largest.max() if whole is None else np.abs(whole).max() * clip
        scale = np.float32(top / (E2M1.top * E4M3.top))
        if scale == 0:  # nothing, or less than float32 can scale
            return Parameters(np.zeros(largest.shape, np.uint8), tensor_scale=scale)
        wanted = (largest / E2M1.top / float(scale)).astype(np.float32)
        codes = E4M3.encode(wanted[None], np.ones(1, np.float32))[0]
        codes = np.where(largest > 0, np.maximum(codes, 1), 0).astype(np.uint8)
        return Parameters(codes, tensor_scale=scale)

    @staticmethod
    def _scales(parameters: Parameters) -> F32:
        if parameters.tensor_scale is None:
            raise ValueError("parameters.tensor_scale: missing, of another format.")
        scales: F32 = E4M3.table[0, parameters.scales] * parameters.tensor_scale
        return scales

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / scale`."""
        return E2M1.encode(groups, self._scales(parameters))

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Without the codes."""
        E2M1.round(groups, self._scales(parameters), out)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`element * scale`."""
        return E2M1.restore(elements, self._scales(parameters))


@dataclass(frozen=True)
class Cast(Format):
    """float16 or bfloat16: no scale, so that groups and clips make no difference."""

    @property
    def group_bits(self) -> int:
        """None."""
        return 0

    @property
    def _half(self) -> bool:
        return self.name == "fp16"

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """Nothing to fit."""
        return Parameters(np.empty(0, np.float16))

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Nearest even, saturating."""
        if self._half:
            limit = np.float32(LARGEST_FP16)
            return np.clip(groups, -limit, limit).astype(np.float16).view(np.uint16)
        bits = groups.view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        infinite = (rounded & 0x7FFF) == 0x7F80
        return np.where(infinite, rounded - 1, rounded).astype(np.uint16)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """Exact."""
        if self._half:
            return np.ascontiguousarray(elements, np.uint16).view(np.float16).astype(np.float32)
        return (elements.astype(np.uint32) << 16).view(np.float32)
