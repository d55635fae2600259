"""What goes into models of language models, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LlmDesigns:
    """Hardware with formats, one entry per design `(d,)`.

    Attributes:
        peak_ops_per_s: In 16 bits, a multiply-accumulate being two operations.
        peak_int8_ops_per_s: In 8 bits.
        bandwidth_bytes_per_s: Of the memory.
        weight_bits: Per weight.
        activation_bits: Per activation.
        cache_bits: Per element of keys and values.
        onchip_bytes: Of memory near the arithmetic.
        flash_attention: Whether scores stay on the chip.
    """

    peak_ops_per_s: FloatArray
    peak_int8_ops_per_s: FloatArray
    bandwidth_bytes_per_s: FloatArray
    weight_bits: FloatArray
    activation_bits: FloatArray
    cache_bits: FloatArray
    onchip_bytes: FloatArray
    flash_attention: bool = True

    @property
    def bytes_each(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Bytes of a weight, an activation, an element of the cache."""
        return self.weight_bits / 8, self.activation_bits / 8, self.cache_bits / 8

    def peak_for(self, *bits: FloatArray) -> FloatArray:
        """The 8-bit peak where all of these have at most 8 bits, else that of 16 bits."""
        few = np.all(np.stack(bits) <= 8, axis=0)
        return np.where(few, self.peak_int8_ops_per_s, self.peak_ops_per_s)


@dataclass(frozen=True)
class LlmCosts:
    """Costs of a stage `(d,)`.

    Attributes:
        latency_s: Of the stage: of reading the context, or of one token.
        attention_s: Of it, in attention.
        weight_memory_bytes: Held for parameters.
        cache_memory_bytes: Held for keys and values.
        memory_bytes: Held in all.
        traffic_bytes: Moved through the memory.
        operations: Done.
    """

    latency_s: FloatArray
    attention_s: FloatArray
    weight_memory_bytes: FloatArray
    cache_memory_bytes: FloatArray
    memory_bytes: FloatArray
    traffic_bytes: FloatArray
    operations: FloatArray
