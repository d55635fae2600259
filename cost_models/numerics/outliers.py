"""Formats that keep a few large values apart: OliVe's pairs, LLM.int8()'s columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.format import (
    F32,
    LARGEST_FP16,
    Codes,
    Format,
    Parameters,
    as_fp16,
)
from archgym.cost_models.numerics.groups import Group, as_matrix
from archgym.cost_models.numerics.integers import SymmetricInteger
from archgym.cost_models.numerics.kernels import best_pair_scales, pair_codes, pair_values
from archgym.cost_models.numerics.scales import magnitudes

OUTLIER_THRESHOLD = 6.0  # Dettmers et al., LLM.int8(), arXiv:2208.07339, section 3.2
COLUMN_INDEX_BITS = 16
# What the largest magnitude of a group becomes: from no outlier to the largest that there is.
_REACHES = (7, 8, 9, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96)


@dataclass(frozen=True)
class OutlierVictimPairs(Format):
    """OliVe: of two neighbours, a large one takes the other's place.

    Integers of -7 to 7, or an outlier of 12, 16, 24, 32, 48, 64, 96 steps (abfloat E2M1, bias 2)
    whose neighbour, the victim, is zero and holds the code -8 as the mark. Of two outliers in a
    pair the larger is kept. The float16 scale of a group is the one with the least squared error
    among those with which its largest magnitude is 7 to 96 steps.
    """

    @property
    def elementwise(self) -> bool:
        """A value is rounded with its neighbour."""
        return False

    def group_length(self, rows: int, n: int, group: Group = None) -> int:
        """As of every format, and even.

        Raises:
            ValueError: If it is odd.
        """
        length = super().group_length(rows, n, group)
        if length % 2:
            raise ValueError(
                f"group: {length} values with {self.name}, which needs an even number."
            )
        return length

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale with the least squared error."""
        scales = as_fp16(magnitudes(groups) * clip / np.array(_REACHES, np.float64)[:, None])
        chosen = best_pair_scales(groups, scales.astype(np.float32))
        return Parameters(scales[chosen, np.arange(len(chosen))])

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """Nibbles."""
        return pair_codes(groups, parameters.scales.astype(np.float32))

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """Values of pairs."""
        return pair_values(elements, parameters.scales.astype(np.float32))


def outlier_columns(x: ArrayLike, threshold: float = OUTLIER_THRESHOLD) -> NDArray[np.int64]:
    """Columns of `x (rows, n)` in which a magnitude is at least the threshold, ascending."""
    return np.flatnonzero((np.abs(as_matrix(x)) >= threshold).any(axis=0))


@dataclass(frozen=True)
class MixedDecomposition(SymmetricInteger):
    """LLM.int8(): columns with an outlier in float16, the others as integers.

    Meant for activations. The integers keep the layout of the whole tensor, with zeros in the
    outlier columns; those are stored beside it with their indices.
    """

    threshold: float = OUTLIER_THRESHOLD

    def quantize(
        self, x: ArrayLike, group: Group = None, clip: float = 1.0, out: F32 | None = None
    ) -> F32:
        """As of every format."""
        matrix = as_matrix(x)
        columns, outliers, rest = self._apart(matrix)
        values = super().quantize(rest, group, clip, out)
        values[:, columns] = outliers
        return values

    def _apart(self, matrix: F32) -> tuple[NDArray[np.int64], NDArray[np.float16], F32]:
        """Columns with outliers, these columns, and the tensor with zeros in them."""
        columns = outlier_columns(matrix, self.threshold)
        rest = matrix.copy()
        rest[:, columns] = 0
        outliers = np.clip(matrix[:, columns], -LARGEST_FP16, LARGEST_FP16).astype(np.float16)
        return columns, outliers, rest

    @property
    def elementwise(self) -> bool:
        """One outlier decides for its column."""
        return False

    def codes(self, x: ArrayLike, group: Group = None, clip: float = 1.0) -> Codes:
        """The tensor as stored; arguments as for `quantize`."""
        columns, outliers, rest = self._apart(as_matrix(x))
        codes = super().codes(rest, group, clip)
        return replace(codes, outlier_columns=columns, outliers=outliers)

    def decode(self, codes: Codes) -> F32:
        """The values of a stored tensor, float32 `(rows, n)`."""
        values = super().decode(codes)
        if codes.outlier_columns is not None and codes.outliers is not None:
            values[:, codes.outlier_columns] = codes.outliers
        return values

    def bits(self, rows: int, n: int, group: Group = None, outliers: int = 0) -> int:
        """Bits of a stored tensor with so many outlier columns, and their indices."""
        return super().bits(rows, n, group) + outliers * (16 * rows + COLUMN_INDEX_BITS)
