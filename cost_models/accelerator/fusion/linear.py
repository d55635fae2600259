"""The layers around attention: projections and feed-forward network on the square array."""

from __future__ import annotations

from dataclasses import dataclass

from archgym.cost_models.accelerator.fusion.types import Array, FusionDesigns


@dataclass(frozen=True)
class Linear:
    """Costs of designs and layers `(d, w)`.

    Attributes:
        latency_s: Of the six products, one after the other.
        dram_bytes: Moved.
        macs: `(w,)` multiply-accumulates.
    """

    latency_s: Array
    dram_bytes: Array
    macs: Array


def linear_layers(tokens: Array, width: Array, hidden: Array, designs: FusionDesigns) -> Linear:
    """Four products width x width (Q, K, V, output) and two with the hidden width.

    A product of M tokens, (M, K) x (K, N), takes MKN / D^2 cycles or its traffic's time: inputs and
    outputs once, and weights once if they fit in half of the buffer, else once for every group of
    tokens whose inputs do.

    Args:
        tokens: `(w,)` of all sequences.
        width: `(w,)` of the model; heads times their size equal it.
        hidden: `(w,)` of the feed-forward network.
        designs: `(d,)`.
    """
    from array_api_compat import array_namespace

    xp = array_namespace(designs.array)
    side, word = designs.array[:, None], designs.word_bytes[:, None]
    room = designs.buffer_bytes[:, None] / 2.0 / word
    speed, clock = designs.dram_bytes_per_s[:, None], designs.clock_hz[:, None]
    latency = 0.0 * (tokens + side)
    moved = latency
    for count, k, n in ((4.0, width, width), (1.0, width, hidden), (1.0, hidden, width)):
        weights = k * n
        again = xp.where(weights <= room, 1.0 + 0.0 * latency, xp.ceil(tokens * k / room))
        once = word * (tokens * (k + n) + weights * again)
        moved = moved + count * once
        cycles = tokens * weights / (side * side)
        latency = latency + count * xp.maximum(once / speed, cycles / clock)
    return Linear(latency, moved, tokens * width * (4.0 * width + 2.0 * hidden))
