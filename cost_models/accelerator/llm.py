"""Latency and memory of language models from operator rooflines, batched over designs.

`ideal` takes the operators of the network. `genz` and `llm-viewer` count as GenZ 0.0.16 (Bambhaniya
et al., arXiv 2406.01698) and LLM-Viewer (Yuan et al., arXiv 2402.16363) do, whatever one thinks of
it, so that their figures can be reproduced and their differences told apart from ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from archgym.cost_models.accelerator.llm_genz import genz
from archgym.cost_models.accelerator.llm_types import LlmCosts, LlmDesigns
from archgym.cost_models.accelerator.llm_viewer import llm_viewer
from archgym.cost_models.accelerator.networks.language import Decoder, decoder
from archgym.cost_models.accelerator.vector_operators import Attention


def ideal(size: Decoder, batch: int, context: int, stage: str, designs: LlmDesigns) -> LlmCosts:
    """The operators of the network, each the longer of its arithmetic and what it moves.

    Weights, activations and cache move in their own formats; attention is fused; what a vector unit
    does hides behind the products. Arithmetic is at the 8-bit peak if weights and activations have
    at most 8 bits: weights alone are expanded before they are used. The embedding is a look-up, and
    a prefill gives the logits of the last token. Memory holds all parameters, the cache up to the
    last token of the stage, and the activations of the largest operator.
    """
    network = decoder("network", batch, context, stage, size)
    weight, activation, cache = designs.bytes_each
    peak = designs.peak_for(designs.weight_bits, designs.activation_bits)
    seconds = {"attention": np.zeros_like(peak), "linear": np.zeros_like(peak)}
    traffic, largest = np.zeros_like(peak), np.zeros_like(peak)
    for each in network:
        # Operators without products run on the results of the one before them.
        io = each.input_elements + each.output_elements if each.products else 0
        # Keys and values of new tokens are read in the format of the cache, too.
        new = sum(map(prod, each.input_shapes[1:])) if isinstance(each, Attention) else 0
        moved = (
            each.weight_elements * weight
            + (io - new) * activation
            + (each.cache_elements + new) * cache
        )
        time = np.maximum(2.0 * each.macs / peak, moved / designs.bandwidth_bytes_per_s)
        seconds["attention" if isinstance(each, Attention) else "linear"] += each.count * time
        traffic += each.count * moved
        largest = np.maximum(largest, io * activation)
    tokens = context + (stage == "decode")
    held = 2.0 * size.layers * batch * tokens * size.kv_heads * size.head_dim * cache
    weights = network.parameters * weight
    return LlmCosts(
        latency_s=seconds["attention"] + seconds["linear"],
        attention_s=seconds["attention"],
        weight_memory_bytes=weights,
        cache_memory_bytes=held,
        memory_bytes=weights + held + largest,
        traffic_bytes=traffic,
        operations=np.full_like(peak, 2.0 * network.macs + network.operations),
    )


_Model = Callable[[Decoder, int, int, str, LlmDesigns], LlmCosts]
_MODES: dict[str, _Model] = {"ideal": ideal, "genz": genz, "llm-viewer": llm_viewer}
LLM_MODES = tuple(_MODES)


def llm_costs(
    size: Decoder,
    designs: LlmDesigns,
    *,
    batch: int,
    context: int,
    stage: str,
    mode: str = "ideal",
) -> LlmCosts:
    """Costs of reading a context or of making one token, on many designs.

    Args:
        size: Of the model.
        designs: Hardware and formats.
        batch: Sequences.
        context: Tokens read (`prefill`) or cached (`decode`) per sequence.
        stage: `prefill` or `decode`.
        mode: One of `LLM_MODES`.

    Raises:
        ValueError: For an unknown mode or stage, sizes below 1, or what a mode does not know.
    """
    for name, given, allowed in (
        ("mode", mode, LLM_MODES),
        ("stage", stage, ("prefill", "decode")),
    ):
        if given not in allowed:
            near = difflib.get_close_matches(given, allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"{name}: unknown name {given!r}{hint} Allowed: {', '.join(allowed)}.")
    for name, number in (("batch", batch), ("context", context)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} is {number!r}, must be an integer of at least 1")
    if mode != "ideal" and size.experts > 1:
        raise ValueError(f"mode {mode!r} does not know mixtures of experts; allowed: ideal")
    return _MODES[mode](size, batch, context, stage, designs)


def llm_designs(
    *,
    peak_tops: ArrayLike,
    bandwidth_gb_per_s: ArrayLike,
    peak_int8_tops: ArrayLike | None = None,
    weight_bits: ArrayLike = 16,
    activation_bits: ArrayLike | None = None,
    cache_bits: ArrayLike | None = None,
    onchip_bytes: ArrayLike = 0,
    flash_attention: bool = True,
) -> LlmDesigns:
    """Designs from figures as data sheets have them; each a number or one per design.

    Args:
        peak_tops: Dense tera-operations per second in 16 bits, a multiply-accumulate being two.
        bandwidth_gb_per_s: Of the memory, in 1e9 bytes.
        peak_int8_tops: Likewise in 8 bits; None for twice `peak_tops`.
        weight_bits: Per weight.
        activation_bits: Per activation; None for those of weights.
        cache_bits: Per element of keys and values; None for those of activations.
        onchip_bytes: Of memory near the arithmetic, which `llm-viewer` makes blocks of.
        flash_attention: Whether scores stay on the chip; `llm-viewer` alone asks.

    Raises:
        ValueError: If a figure is not positive.
    """
    activations = weight_bits if activation_bits is None else activation_bits
    int8 = 2.0 * np.asarray(peak_tops, np.float64) if peak_int8_tops is None else peak_int8_tops
    given = {
        "peak_tops": peak_tops,
        "peak_int8_tops": int8,
        "bandwidth_gb_per_s": bandwidth_gb_per_s,
        "weight_bits": weight_bits,
        "activation_bits": activations,
        "cache_bits": activations if cache_bits is None else cache_bits,
    }
    arrays = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, np.float64)) for value in given.values()),
        np.asarray(onchip_bytes, np.float64),
    )
    for name, values in zip(given, arrays, strict=False):
        if not np.all(values > 0):
            raise ValueError(f"{name} is {values[~(values > 0)][0]:g}, must be positive")
    tops, tops8, speed, weights, acts, cache, onchip = arrays
    return LlmDesigns(
        tops * 1e12, tops8 * 1e12, speed * 1e9, weights, acts, cache, onchip, flash_attention
    )
