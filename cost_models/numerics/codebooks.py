"""Lists of values times a scale of the group: NormalFloat, and BitMoD with several lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.numerics.format import F32, Format, Parameters, as_fp16
from archgym.cost_models.numerics.kernels import best_codebooks, codebook_codes, table_values
from archgym.cost_models.numerics.scales import magnitudes

# Dettmers et al., QLoRA, arXiv:2305.14314, appendix E.
NF4_VALUES = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
# Chen et al., BitMoD, arXiv:2411.11745, table of section III: the basic values, and the one value
# that takes the code of minus zero, of extra resolution or extra asymmetry.
_BITMOD = {
    3: ((0.0, 1.0, 2.0, 4.0), (3.0, -3.0, 6.0, -6.0)),
    4: ((0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0), (5.0, -5.0, 8.0, -8.0)),
}


def bitmod_values(bits: int) -> tuple[tuple[float, ...], ...]:
    """The four lists that a group of BitMoD chooses from, each ascending."""
    basic, special = _BITMOD[bits]
    both = {sign * value for value in basic for sign in (1, -1)}
    return tuple(tuple(sorted(both | {extra})) for extra in special)


@dataclass(frozen=True)
class Codebook(Format):
    """The nearest of a list of values, times a float16 scale.

    Codes are places in the ascending list; of two values equally near, the one with the even place.
    With several lists a group takes the one with the least squared error, and stores which.
    """

    values: tuple[tuple[float, ...], ...] = ()
    _tables: F32 = field(init=False, repr=False, compare=False)
    _thresholds: F32 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tables = np.array(self.values, np.float32)
        middle = (tables[:, 1:].astype(np.float64) + tables[:, :-1].astype(np.float64)) / 2
        below = middle.astype(np.float32)
        # A code is the number of thresholds below the value. The largest float32 not above the
        # middle does for ties that go down, the one before it for ties that go up.
        below = np.where(below > middle, np.nextafter(below, np.float32(-np.inf)), below)
        odd = np.arange(middle.shape[1]) % 2 == 1
        up = odd & (below == middle)
        thresholds = np.where(up, np.nextafter(below, np.float32(-np.inf)), below)
        object.__setattr__(self, "_tables", tables)
        object.__setattr__(self, "_thresholds", np.ascontiguousarray(thresholds, np.float32))

    @property
    def group_bits(self) -> int:
        """Scale and which list."""
        return 16 + (len(self.values) - 1).bit_length()

    def fit(self, groups: F32, clip: float, whole: F32 | None = None) -> Parameters:
        """The scale maps the clipped largest magnitude to the largest value of the list."""
        tops = np.abs(self._tables).max(axis=1).astype(np.float64)
        scales = as_fp16(magnitudes(groups) * clip / tops[:, None])
        if len(scales) == 1:
            return Parameters(scales[0])
        chosen = best_codebooks(groups, scales.astype(np.float32), self._tables, self._thresholds)
        return Parameters(scales[chosen, np.arange(len(chosen))], selectors=chosen)

    @staticmethod
    def _selectors(parameters: Parameters) -> NDArray[np.uint8]:
        if parameters.selectors is None:
            return np.zeros(parameters.scales.shape, np.uint8)
        return parameters.selectors

    def encode(self, groups: F32, parameters: Parameters) -> NDArray[Any]:
        """The nearest value of `x / scale`."""
        scales = parameters.scales.astype(np.float32)
        return codebook_codes(groups, scales, self._selectors(parameters), self._thresholds)

    def restore(self, elements: NDArray[Any], parameters: Parameters) -> F32:
        """`value * scale`."""
        scales = parameters.scales.astype(np.float32)
        return table_values(elements, scales, self._selectors(parameters), self._tables)
