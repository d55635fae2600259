"""Outlier channels, put into a decoder without changing what it computes.

Large language models have a few channels of far larger magnitude than the others (Dettmers et al.,
2022, "LLM.int8()", section 4), small ones have none. Here the gains of both norms of each block
are multiplied by a power of two in four channels, and the columns of the matrices that read them
divided by it. Every product and sum then is the same number, to the last bit, while a quantizer of
activations meets the outliers. Unlike in a large model, the weights of these channels are small,
and smoothing by exactly the same factors undoes them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archgym.cost_models.measured.arrays import Array
from archgym.cost_models.measured.decoder import Decoder

CHANNELS = 4
"""Outlier channels per norm, evenly spread over the width."""

READERS = (("q", "k", "v"), ("gate", "up"))
"""Layers that read the output of a block's first and second norm."""


def with_outliers(
    decoder: Decoder, weights: Mapping[str, Array], scale: int
) -> tuple[Decoder, dict[str, Array]]:
    """The same function, with some channels of the normed activations `scale` times as large.

    Raises:
        ValueError: If the scale is no power of two; other factors would round.
    """
    if scale < 1 or scale & (scale - 1):
        raise ValueError(f"scale of outliers: {scale} is no power of two")
    width = decoder.shape.width
    factor = np.ones(width, np.float32)
    factor[width // (2 * CHANNELS) :: width // CHANNELS] = scale
    gains = [(first * factor, second * factor) for first, second in decoder.gains]
    readers = {kind for kinds in READERS for kind in kinds}
    divided = {
        name: matrix / factor if name.split(".")[1] in readers else matrix
        for name, matrix in weights.items()
    }
    return Decoder(decoder.shape, decoder.embedding, decoder.norm, gains), divided
