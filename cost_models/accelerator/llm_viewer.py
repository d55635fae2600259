"""Language models as LLM-Viewer counts them (Yuan et al., arXiv 2402.16363; commit 472f71f).

What differs from `ideal`:

- normalisations, additions, activations and, without flash attention, scores and their softmax are
  passes over memory of their own; that of the activation has the hidden width, not the wider one;
- the feed-forward network is gated in every model;
- arithmetic is at the 8-bit peak if weights, activations and cache have at most 8 bits;
- flash attention: outputs are (tokens x context) rather than (tokens x features) per head and
  written twice, and keys and values are loaded once for every query head, per block of as many
  queries as a head has features;
- without it, queries of a prefill are loaded once per head of keys and values;
- the output layer counts a multiply-accumulate as one operation and activations of one sequence;
  the embedding counts nothing, and memory holds neither;
- memory holds the activations that a layer of the stage writes, all at once.
"""

from __future__ import annotations

import numpy as np

from archgym.cost_models.accelerator.llm_types import FloatArray, LlmCosts, LlmDesigns
from archgym.cost_models.accelerator.networks.language import Decoder

# Operations, then bytes of: weights, activations read, activations written, cache read, written.
_Pass = tuple[float, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def llm_viewer(
    size: Decoder, batch: int, context: int, stage: str, designs: LlmDesigns
) -> LlmCosts:
    """Costs as LLM-Viewer has them."""
    weight, activation, cache = designs.bytes_each
    zero = np.zeros_like(weight)
    rows = batch * (context if stage == "prefill" else 1)
    passes = [
        *_linear(size, rows, designs),
        *_attention(size, batch, context, stage, designs),
        *_vector(size, rows, designs),
    ]
    hidden, vocabulary = size.hidden, size.vocabulary
    head: _Pass = (
        float(batch * hidden * vocabulary),
        hidden * vocabulary * weight,
        hidden * activation,
        vocabulary * activation,
        zero,
        zero,
    )
    peak = designs.peak_for(designs.weight_bits, designs.activation_bits, designs.cache_bits)
    times = [_time(each, peak, designs) for each in passes]
    attention = sum(times[7:-5], zero)
    weights = size.layers * sum((each[1] for each in passes), zero)
    held = 2.0 * size.layers * batch * context * size.kv_heads * size.head_dim * cache
    written = sum((each[3] for each in passes), zero)
    moved = [sum(each[1:], zero) for each in (*passes, head)]
    return LlmCosts(
        latency_s=size.layers * sum(times, zero) + _time(head, peak, designs),
        attention_s=size.layers * attention,
        weight_memory_bytes=weights,
        cache_memory_bytes=held,
        memory_bytes=weights + held + written,
        traffic_bytes=size.layers * sum(moved[:-1], zero) + moved[-1],
        operations=zero + size.layers * sum(each[0] for each in passes) + head[0],
    )


def _time(each: _Pass, peak: FloatArray, designs: LlmDesigns) -> FloatArray:
    moved = sum(each[1:], np.zeros_like(peak))
    return np.maximum(each[0] / peak, moved / designs.bandwidth_bytes_per_s)


def _linear(size: Decoder, rows: int, designs: LlmDesigns) -> list[_Pass]:
    """Queries, keys, values, output, gate, up, down."""
    weight, activation, cache = designs.bytes_each
    zero = np.zeros_like(weight)
    hidden, wide, narrow = size.hidden, size.wide, size.kv_heads * size.head_dim
    passes: list[_Pass] = []
    for k, n, cached in (
        (hidden, hidden, False),
        (hidden, narrow, True),
        (hidden, narrow, True),
        (hidden, hidden, False),
        (hidden, wide, False),
        (hidden, wide, False),
        (wide, hidden, False),
    ):
        written = zero if cached else rows * n * activation
        stored = rows * n * cache if cached else zero
        passes.append(
            (2.0 * rows * k * n, k * n * weight, rows * k * activation, written, zero, stored)
        )
    return passes


def _attention(
    size: Decoder, batch: int, context: int, stage: str, designs: LlmDesigns
) -> list[_Pass]:
    _, activation, cache = designs.bytes_each
    zero = np.zeros_like(cache)
    tokens = context if stage == "prefill" else 1
    features, heads = size.head_dim, size.heads
    scores = batch * heads * tokens * context
    product, softmax = 2.0 * scores * features, 5.0 * scores
    asked = batch * tokens * features * heads * activation
    if designs.flash_attention:
        block = np.minimum(np.ceil(designs.onchip_bytes / (cache * features)), features)
        blocks = np.ceil(tokens / np.maximum(block, 1))
        loaded = 2.0 * blocks * batch * context * features * heads * cache
        return [(2 * product + softmax, zero, asked, 2.0 * scores * activation, loaded, zero)]
    kept = batch * context * features * size.kv_heads * cache
    read = asked * size.kv_heads / heads if stage == "prefill" else asked
    table = scores * activation
    return [
        (product, zero, read, table, kept, zero),
        (product, zero, table, asked, kept, zero),
        (softmax, zero, table, table, zero, zero),
    ]


def _vector(size: Decoder, rows: int, designs: LlmDesigns) -> list[_Pass]:
    """Two normalisations, two additions, the activation."""
    moved = rows * size.hidden * designs.activation_bits / 8
    zero = np.zeros_like(moved)
    elements = float(rows * size.hidden)
    norm: _Pass = (7 * elements, zero, moved, moved, zero, zero)
    add: _Pass = (elements, zero, moved, moved, zero, zero)
    gate: _Pass = (2 * elements, zero, 2 * moved, moved, zero, zero)
    return [norm, norm, add, add, gate]
