"""Language models as GenZ 0.0.16 counts them (Bambhaniya et al., arXiv 2406.01698).

What differs from `ideal`:

- a gigabyte per second of bandwidth is taken as 2^30 bytes per second, 7.4 % too fast;
- all tensors have the weights' format, and b bits multiply 16 / b times as fast as 16 bits do;
- in a decode, activations between operators stay on the chip, which moves 18000 x 2^30 bytes per
  second; in a prefill they do not, but scores do;
- the embedding is a matrix product with all rows of its table, counted in a prefill alone;
- a prefill gives logits of every token, and a decode asks `context` keys without the new one;
- memory holds the weights that the stage uses, and the cache; embedding and output layer both.
"""

from __future__ import annotations

import numpy as np

from archgym.cost_models.accelerator.llm_types import FloatArray, LlmCosts, LlmDesigns
from archgym.cost_models.accelerator.networks.language import Decoder

_GIGA = 2.0**30 / 1e9
_ONCHIP_BYTES_PER_S = 18000.0 * 2**30


def genz(size: Decoder, batch: int, context: int, stage: str, designs: LlmDesigns) -> LlmCosts:
    """Costs as GenZ has them.

    Raises:
        ValueError: If formats of weights, activations and cache differ.
    """
    bits = designs.weight_bits
    if np.any(designs.activation_bits != bits) or np.any(designs.cache_bits != bits):
        raise ValueError(
            "mode 'genz' has one format for all: activation_bits and cache_bits must be weight_bits"
        )
    each = bits / 8
    prefill = stage == "prefill"
    rows = batch * (context if prefill else 1)
    speed = designs.bandwidth_bytes_per_s * _GIGA
    moved: list[FloatArray] = []
    done: list[float] = []

    def time(macs: float, outside: float, inside: float, count: int) -> FloatArray:
        arithmetic = 2.0 * macs * (bits / 16) / designs.peak_ops_per_s
        memory = outside * each / speed + inside * each / _ONCHIP_BYTES_PER_S
        moved.append(count * outside * each)
        done.append(2.0 * count * macs)
        return count * np.maximum(arithmetic, memory)

    def product(n: int, k: int, count: int, kept: bool) -> FloatArray:
        io = rows * (n + k)
        return time(rows * n * k, n * k + (0 if kept else io), io if kept else 0, count)

    layers, hidden, wide = size.layers, size.hidden, size.wide * (1 if size.gpt else 2)
    queries = size.heads * size.head_dim
    projections = (
        (queries + 2 * size.kv_heads * size.head_dim, hidden),
        (hidden, queries),
        (wide, hidden),
        (hidden, size.wide),
    )
    linear = sum(product(n, k, layers, not prefill) for n, k in projections)
    linear = linear + product(size.vocabulary, hidden, 1, False)
    if prefill:
        linear = linear + product(hidden, size.vocabulary, 1, False)
    one = batch * context * size.kv_heads * size.head_dim
    asked, scores = rows * queries, rows * size.heads * context
    outside, inside = (one + asked, scores) if prefill else (one, scores + asked)
    attention = 2.0 * time(scores * size.head_dim, outside, inside, layers)
    table = size.vocabulary * hidden * (2 if prefill else 1)
    weights = (layers * sum(n * k for n, k in projections) + table) * each
    cache = 2.0 * layers * one * each
    return LlmCosts(
        latency_s=linear + attention,
        attention_s=attention,
        weight_memory_bytes=weights,
        cache_memory_bytes=cache,
        memory_bytes=weights + cache,
        # The product of the attention stands for both.
        traffic_bytes=np.sum(moved, axis=0) + moved[-1],
        operations=np.full_like(each, sum(done) + done[-1]),
    )
