"""Uniform steps: integers, integers with a shared exponent, ternary values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.numerics.format import F32, LARGEST_FP16, Format, Parameters, as_fp16
from archgym.cost_models.numerics.kernels import (
    extremes,
    integer_codes,
    integer_round_trip,
    integer_values,
)
from archgym.cost_models.numerics.scales import as_e8m0, e8m0_values, magnitudes

TWN_THRESHOLD = 0.7  # of the mean magnitude: Li et al., arXiv:1605.04711, section 2.2


def _none(groups: F32) -> F32:
    return np.zeros(groups.shape[0], np.float32)


@dataclass(frozen=True)
class SymmetricInteger(Format):
    """Codes of -(2^(b-1) - 1) to 2^(b-1) - 1 times a float16 scale."""

    @property
    def top(self) -> float:
        """The largest code."""
        return float((1 << int(self.element_bits) - 1) - 1)

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale maps the clipped largest magnitude to the largest code."""
        return Parameters(as_fp16(magnitudes(groups) * (clip / self.top)))

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / scale`."""
        steps = parameters.scales.astype(np.float32)
        return integer_codes(groups, steps, _none(groups), 0.0, -self.top, self.top)

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Without the codes."""
        steps = parameters.scales.astype(np.float32)
        integer_round_trip(groups, steps, _none(groups), 0.0, -self.top, self.top, out)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`code * scale`."""
        steps = parameters.scales.astype(np.float32)
        return integer_values(elements, steps, np.zeros_like(steps), 0.0)


@dataclass(frozen=True)
class AsymmetricInteger(Format):
    """Codes of 0 to 2^b - 1, less the code of zero, times a float16 scale.

    The range of a group always holds zero, so that the code of zero has b bits and zeros stay zero.
    """

    @property
    def group_bits(self) -> int:
        """Scale and code of zero."""
        return 16 + int(self.element_bits)

    @property
    def top(self) -> float:
        """The largest code."""
        return float((1 << int(self.element_bits)) - 1)

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale maps the clipped range to all codes."""
        low, high = extremes(groups.view(np.int32)).view(np.float32) * np.float32(clip)
        # Twice halved: the range of float32 may be wider than its largest number.
        scales = as_fp16((high / 2 - low / 2) * (2 / self.top))
        steps = np.where(scales > 0, scales, 1).astype(np.float32)
        zeros = np.minimum(np.rint(-low / steps), self.top).astype(np.uint8)
        return Parameters(scales, zeros)

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / scale` and adds the code of zero."""
        steps, zeros = _steps_and_zeros(parameters)
        return integer_codes(groups, steps, zeros, 0.0, 0.0, self.top)

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Without the codes."""
        steps, zeros = _steps_and_zeros(parameters)
        integer_round_trip(groups, steps, zeros, 0.0, 0.0, self.top, out)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`(code - zero) * scale`."""
        return integer_values(elements, *_steps_and_zeros(parameters), 0.0)


def _steps_and_zeros(parameters: Parameters) -> tuple[F32, F32]:
    if parameters.zeros is None:
        raise ValueError("parameters.zeros: missing, of another format.")
    return parameters.scales.astype(np.float32), parameters.zeros.astype(np.float32)


@dataclass(frozen=True)
class IntegerFromMinimum(Format):
    """Codes of 0 to 2^b - 1 times a float16 scale, above a float16 minimum.

    For values that are all far from zero, where codes that must reach zero are wasted.
    """

    @property
    def group_bits(self) -> int:
        """Scale and minimum."""
        return 32

    @property
    def top(self) -> float:
        """The largest code."""
        return float((1 << int(self.element_bits)) - 1)

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale maps the range, clipped around its middle, to all codes."""
        low, high = groups.min(axis=1) / 2, groups.max(axis=1) / 2
        half = (high - low) * clip
        minima = np.clip(low + high - half, -LARGEST_FP16, LARGEST_FP16).astype(np.float16)
        return Parameters(as_fp16(half * (2 / self.top)), minima=minima)

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `(x - minimum) / scale`."""
        steps, minima = _steps_and_minima(parameters)
        return integer_codes(groups - minima, steps, _none(groups), 0.0, 0.0, self.top)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`code * scale + minimum`."""
        steps, minima = _steps_and_minima(parameters)
        return integer_values(elements, steps, np.zeros_like(steps), 0.0) + minima


def _steps_and_minima(parameters: Parameters) -> tuple[F32, F32]:
    if parameters.minima is None:
        raise ValueError("parameters.minima: missing, of another format.")
    minima = parameters.minima.astype(np.float32)[:, None]
    return parameters.scales.astype(np.float32), minima


@dataclass(frozen=True)
class BipolarInteger(Format):
    """Odd integers of -(2^b - 1) to 2^b - 1 times half a step: each bit of a code is -1 or +1.

    The codes have no zero. The float16 scale is the step, of which the largest value is 2^b - 1
    halves; code c stands for (2 c - (2^b - 1)) / 2 steps.
    """

    @property
    def top(self) -> float:
        """The largest code."""
        return float((1 << int(self.element_bits)) - 1)

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale maps the clipped largest magnitude to the largest code."""
        return Parameters(as_fp16(magnitudes(groups) * (2 * clip / self.top)))

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / step + (2^b - 1) / 2`."""
        steps = parameters.scales.astype(np.float32)
        return integer_codes(groups, steps, _none(groups), self.top / 2, 0.0, self.top)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`(code - (2^b - 1) / 2) * step`."""
        steps = parameters.scales.astype(np.float32)
        return integer_values(elements, steps, np.zeros_like(steps), self.top / 2)


@dataclass(frozen=True)
class SharedExponentInteger(Format):
    """Symmetric integers with a step that is a power of two, stored as eight bits.

    With e = floor(log2 of the largest magnitude), the step is 2^(e - (b - 2)): the largest code,
    2^(b-1) - 1, is just below 2^(e+1).
    """

    rule: str = "floor"

    @property
    def group_bits(self) -> int:
        """The exponent."""
        return 8

    @property
    def top(self) -> float:
        """The largest code."""
        return float((1 << int(self.element_bits) - 1) - 1)

    @property
    def _fraction(self) -> float:
        return math.ldexp(1.0, 2 - int(self.element_bits))

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The exponent by the rule of OCP, of the clipped largest magnitude."""
        return Parameters(
            as_e8m0(magnitudes(groups) * clip, 0, self.top * self._fraction, self.rule)
        )

    def _steps(self, parameters: Parameters) -> F32:
        return e8m0_values(parameters.scales) * np.float32(self._fraction)

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / step`."""
        return integer_codes(
            groups, self._steps(parameters), _none(groups), 0.0, -self.top, self.top
        )

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Without the codes."""
        steps = self._steps(parameters)
        integer_round_trip(groups, steps, _none(groups), 0.0, -self.top, self.top, out)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`code * step`."""
        steps = self._steps(parameters)
        return integer_values(elements, steps, np.zeros_like(steps), 0.0)


@dataclass(frozen=True)
class Ternary(Format):
    """-1, 0 and 1 times a float16 scale; five of them are stored in a byte, 3^5 = 243 of 256."""

    def code_bits(self, values: int) -> int:
        """Five values in eight bits."""
        return 8 * -(-values // 5)

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale is the mean magnitude, times `clip`."""
        means = np.abs(groups).mean(axis=1, dtype=np.float64)
        return Parameters(as_fp16(means * clip))

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Rounds `x / scale`."""
        steps = parameters.scales.astype(np.float32)
        return integer_codes(groups, steps, _none(groups), 0.0, -1.0, 1.0)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`code * scale`."""
        steps = parameters.scales.astype(np.float32)
        return integer_values(elements, steps, np.zeros_like(steps), 0.0)


@dataclass(frozen=True)
class TernaryByThreshold(Ternary):
    """Ternary weight networks: zero up to a threshold, the mean of the magnitudes beyond it."""

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """Threshold of 0.7 mean magnitudes, times `clip`."""
        size = np.abs(groups)
        thresholds = size.mean(axis=1, dtype=np.float64) * TWN_THRESHOLD * clip
        limits = thresholds.astype(np.float32)
        beyond = size > limits[:, None]
        sums = np.where(beyond, size, 0).sum(axis=1, dtype=np.float64)
        return Parameters(as_fp16(sums / np.maximum(beyond.sum(axis=1), 1)), thresholds=limits)

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """The sign beyond the threshold."""
        if parameters.thresholds is None:
            raise ValueError("parameters.thresholds: missing, of another format.")
        beyond = np.abs(groups) > parameters.thresholds[:, None]
        return (np.sign(groups) * beyond).astype(np.int16)


def plane_products(weight: str, activation: str) -> int:
    """Products of one-bit matrices that a product of two bipolar formats takes.

    Every bit of one meets every bit of the other: FlexQ (Zhang et al., arXiv:2508.04405) counts 36
    with six bits each, 48 with six and eight.

    Args:
        weight: Name of a bipolar format.
        activation: Name of a bipolar format.

    Raises:
        ValueError: If a format is not bipolar.
    """
    total = 1
    for field, name in (("weight", weight), ("activation", activation)):
        bits = name.removeprefix("bint")
        if name == bits or bits not in "2345678":
            raise ValueError(f"{field}: {name!r} is none of bint2 to bint8.")
        total *= int(bits)
    return total
