"""What a number format is: codes of values, parameters of the groups that share a scale, bits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.groups import (
    Group,
    as_matrix,
    group_count,
    group_length,
    join,
    split,
)

F32 = NDArray[np.float32]
LARGEST_FP16 = 65504.0


@dataclass(frozen=True)
class Parameters:
    """What the values of a group share, as stored.

    Attributes:
        scales: `(groups,)`: float16, float32, or uint8 codes of E8M0 or E4M3.
        zeros: `(groups,)` uint8, the codes of zero of an asymmetric format.
        minima: `(groups,)` float16, the value of code zero.
        selectors: `(groups,)` uint8, which codebook a group uses.
        tensor_scale: A float32 that all groups share.
        thresholds: `(groups,)`, needed to round and not stored.
    """

    scales: NDArray[Any]
    zeros: NDArray[np.uint8] | None = None
    minima: NDArray[np.float16] | None = None
    selectors: NDArray[np.uint8] | None = None
    tensor_scale: np.float32 | None = None
    thresholds: F32 | None = None


@dataclass(frozen=True)
class Codes:
    """A tensor as it is stored.

    Attributes:
        elements: `(groups, length)` codes of the values, in the widest integer any of them needs.
        parameters: Of the groups.
        rows: Of the tensor.
        n: Values of a row, without padding.
        outlier_columns: Columns stored apart.
        outliers: float16 `(rows, columns apart)`.
    """

    elements: NDArray[Any]
    parameters: Parameters
    rows: int
    n: int
    outlier_columns: NDArray[np.int64] | None = None
    outliers: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class Format(ABC):
    """A number format; `x` is float32 `(rows, n)`, groups run along the rows.

    Rows are output channels of a weight or tokens of an activation.

    Attributes:
        name: As `parse` takes it.
        summary: One line.
        source: Paper, standard or manual.
        family: Kind of format, such as `integer` or `microscaling`.
        element_bits: Bits of one code.
        block: Group size that the format prescribes; None where the user chooses.
    """

    name: str
    summary: str
    source: str
    family: str
    element_bits: float
    block: int | None = None

    def quantize(
        self, x: ArrayLike, group: Group = None, clip: float = 1.0, out: F32 | None = None
    ) -> F32:
        """The values after a round trip through the format.

        Args:
            x: `(rows, n)`, finite.
            group: Values that share a scale: `tensor`, `channel` (a row; `token` means the same),
                or a number along a row that divides it. None is the format's own block, which may
                end beyond the row (padded with zeros), else `channel`.
            clip: Share of the largest magnitude of a group that its codes reach, in (0, 1].
            out: Contiguous float32 `(rows, n)` for the result, which may be `x` itself; a new
                array without it.

        Returns:
            float32 `(rows, n)`, the values of `decode(codes(x, group, clip))`.

        Raises:
            ValueError: For a group, clip, shape or value that is not allowed.
        """
        matrix = as_matrix(x)
        check_clip(clip)
        rows, n = matrix.shape
        result = np.empty_like(matrix) if out is None else _of_shape(out, matrix.shape)
        length = self.group_length(rows, n, group)
        groups = split(matrix, length, self.block is not None)
        padded = groups.size != matrix.size
        self.round(groups, self.fit(groups, clip), groups if padded else result.reshape(-1, length))
        if padded:
            result[:] = join(groups, rows, n)
        return result

    def codes(self, x: ArrayLike, group: Group = None, clip: float = 1.0) -> Codes:
        """The tensor as stored; arguments as for `quantize`."""
        matrix = as_matrix(x)
        check_clip(clip)
        rows, n = matrix.shape
        groups = split(matrix, self.group_length(rows, n, group), self.block is not None)
        parameters = self.fit(groups, clip)
        return Codes(self.encode(groups, parameters), parameters, rows, n)

    def decode(self, codes: Codes) -> F32:
        """The values of a stored tensor, float32 `(rows, n)`."""
        return join(self.restore(codes.elements, codes.parameters), codes.rows, codes.n)

    def bits(self, rows: int, n: int, group: Group = None) -> int:
        """Bits of a stored tensor: codes, scales, zeros and selectors, padding included."""
        length = self.group_length(rows, n, group)
        groups = group_count(rows, n, length, self.block is not None)
        return self.code_bits(groups * length) + groups * self.group_bits + self.tensor_bits

    def bits_per_value(self, rows: int, n: int, group: Group = None) -> float:
        """Mean bits of a value, all counted."""
        return self.bits(rows, n, group) / (rows * n)

    def group_length(self, rows: int, n: int, group: Group = None) -> int:
        """How many values share a scale; see `groups.group_length`."""
        return group_length(rows, n, group, self.block, self.name)

    def code_bits(self, values: int) -> int:
        """Bits of the codes of so many values."""
        return int(self.element_bits) * values

    @property
    def group_bits(self) -> int:
        """Bits of the parameters of a group."""
        return 16

    @property
    def tensor_bits(self) -> int:
        """Bits of the parameters of a tensor."""
        return 0

    @property
    def elementwise(self) -> bool:
        """Whether a value is rounded alone, once the parameters of its group are known."""
        return True

    def round(self, groups: F32, parameters: Parameters, out: F32) -> None:
        """Write `restore(encode(groups))` to `out`, which may be `groups`."""
        out[:] = self.restore(self.encode(groups, parameters), parameters)

    @abstractmethod
    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """Parameters of groups.

        Args:
            groups: float32 `(groups, length)`.
            clip: As for `quantize`.
            whole: The tensor that the groups are of, if they are not all.
        """

    @abstractmethod
    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Codes `(groups, length)` of values with given parameters."""

    @abstractmethod
    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """Values `(groups, length)` of codes."""


def check_clip(clip: float) -> None:
    """Refuse a clip outside of (0, 1].

    Raises:
        ValueError: If it is.
    """
    if not 0 < clip <= 1:
        raise ValueError(f"clip: {clip!r} is not in (0, 1].")


def _of_shape(out: F32, shape: tuple[int, ...]) -> F32:
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"out: {out.dtype} {out.shape} is not contiguous float32 {shape}.")
    return out


def as_fp16(scales: NDArray[Any]) -> NDArray[np.float16]:
    """Scales as float16: to nearest, saturating at 65504; those below its range become zero."""
    half: NDArray[np.float16] = np.minimum(scales, LARGEST_FP16).astype(np.float16)
    return half
