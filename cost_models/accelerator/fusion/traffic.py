"""DRAM traffic of attention: whole rows of scores on the chip, tiles of them, or none.

Notation: B H heads in all, P queries, M keys, sizes E and F, D the array's side, C the buffer, w
bytes per word. Tensors, of all heads, in bytes: Q = BHPEw, K = BHMEw, V = BHMFw, O = BHPFw,
S = BHPMw.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from archgym.cost_models.accelerator.fusion.types import (
    Array,
    AttentionSizes,
    FusionDesigns,
    RowMapping,
)


@dataclass(frozen=True)
class Traffic:
    """Traffic `(d, w)`.

    Attributes:
        products: Bytes moved for queries times keys, with scores written; for scores times values,
            with weights read; for the softmax between them. Fused cascades have one number, first.
        kv_passes: See `Fusion`.
        spilled: See `Fusion`.
        overflow_bytes: See `Fusion`.
    """

    products: tuple[Array, Array, Array]
    kv_passes: Array
    spilled: Array
    overflow_bytes: Array


def columns(designs: FusionDesigns) -> FusionDesigns:
    """Designs as columns `(d, 1)`, to meet attentions `(w,)`."""
    return FusionDesigns(*(getattr(designs, each.name)[:, None] for each in fields(designs)))


def tensor_bytes(sizes: AttentionSizes, word: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Bytes of Q, K, V, O and S."""
    every = sizes.batch * sizes.heads * word
    p, m, e, f = sizes.queries, sizes.keys, sizes.key_size, sizes.value_size
    return every * p * e, every * m * e, every * m * f, every * p * f, every * p * m


def tiled(
    xp: Array,
    sizes: AttentionSizes,
    designs: FusionDesigns,
    divide: bool,
    chosen: Array | None = None,
) -> Traffic:
    """One pass: scores never leave the chip; keys and values pass once per group of query blocks.

    A block of D queries keeps its queries, outputs, maximum and denominator, (E + F + 2) D words,
    and `score_tiles` tiles of D x D words; beside them one block of keys and values, (E + F) D
    words (FuseMax, section V). As many blocks as fit, and with `divide` a divisor of all, make a
    group; or as many as are chosen, of those that there are.
    """
    q, k, v, o, _ = tensor_bytes(sizes, designs.word_bytes)
    d, word = designs.array, designs.word_bytes
    both = sizes.key_size + sizes.value_size
    per_block = d * word * (both + 2.0 + designs.score_tiles * d)
    room = designs.buffer_bytes - d * word * both
    blocks = xp.ceil(sizes.queries / d)
    group = xp.floor(room / per_block) if chosen is None else xp.minimum(chosen, blocks)
    passes = xp.ceil(blocks / xp.maximum(group, xp.ones_like(group)))
    if divide:
        passes = _next_divisor(xp, blocks + 0.0 * passes, passes)
    zero = 0.0 * passes
    least = per_block if chosen is None else group * per_block
    overflow = xp.maximum(least - room, zero)
    return Traffic((q + o + passes * (k + v), zero, zero), passes, zero, overflow)


def _next_divisor(xp: Array, whole: Array, least: Array) -> Array:
    """The smallest divisor of `whole` that is at least `least`."""
    found = least
    while True:
        wrong = whole - found * xp.floor(whole / found) != 0
        if not xp.any(wrong):
            return found
        found = xp.where(wrong, found + 1.0, found)


def rowwise(
    xp: Array, sizes: AttentionSizes, designs: FusionDesigns, mapping: RowMapping
) -> Traffic:
    """Two or three passes, fused: whole rows of scores are kept, or pass DRAM.

    What is streamed past the buffer is read again for every D keys or queries, unless it stays in
    the array: keys and values then pass once per `rows` queries. Of scores kept, the share s that
    does not fit beside the other tensors is spilled at each of its passages: 7 for three passes
    (scores written, read for the maximum, read and written for the exponential, read and written
    for the quotient, read for the product), 4 for two (numerators written, read and written for
    the quotient, read). Scores not kept pass 4 times, and a row of them waits in the buffer. Kept
    tensors hold s of their traffic likewise. Tiles and kept tensors are doubly buffered, scores are
    not.
    """
    q, k, v, o, s = tensor_bytes(sizes, designs.word_bytes)
    d, word, m = designs.array, designs.word_bytes, sizes.keys
    rows = xp.minimum(mapping.rows, sizes.queries)
    held = _held(xp, sizes, designs, mapping, rows)
    scores = m * rows * word
    need = held + mapping.keep_scores * scores
    spilled = xp.maximum(1.0 - designs.buffer_bytes / need, 0.0 * need)
    left = xp.maximum(designs.buffer_bytes - held, 0.0 * held)
    row_spilled = 1.0 - xp.minimum(left / (m * word), xp.ones_like(left))
    down, across = xp.ceil(sizes.queries / d), xp.ceil(m / d)
    chunks = xp.ceil(sizes.queries / rows)
    deep, wide = xp.ceil(sizes.key_size / d), xp.ceil(sizes.value_size / d)
    stays = mapping.weights_stay
    kv_again = xp.where(stays > 0, chunks, down)
    # Partial sums of outputs are written for every block of keys, and read for all but the first.
    sums = xp.where(stays > 0, 2.0 * across - 1.0, xp.ones_like(across))
    score_sums = xp.where(stays > 0, 2.0 * deep - 1.0, xp.ones_like(deep))

    def moved(keep: Array, streamed: Array) -> Array:
        kept = (1.0 - spilled) + spilled * streamed
        return xp.where(keep > 0, kept, streamed)

    operands = (
        q * moved(mapping.keep_queries, across)
        + k * moved(mapping.keep_keys, kv_again)
        + v * moved(mapping.keep_values, kv_again)
        + o * moved(mapping.keep_outputs, sums)
    )
    kept_moves = xp.where(designs.passes == 3, 7.0 + 0.0 * s, 4.0 + 0.0 * s)
    out_moves = 2.0 + score_sums + wide + 3.0 * row_spilled
    total = operands + s * xp.where(mapping.keep_scores > 0, spilled * kept_moves, out_moves)
    zero = 0.0 * total
    overflow = xp.maximum(held - designs.buffer_bytes, zero)
    return Traffic((total, zero, zero), zero + 1.0, zero + spilled, overflow)


def _held(
    xp: Array, sizes: AttentionSizes, designs: FusionDesigns, mapping: RowMapping, rows: Array
) -> Array:
    """Bytes of operands in the buffer, twice for double buffering: whole if kept, else a tile."""
    e, f, m = sizes.key_size, sizes.value_size, sizes.keys
    d = designs.array + 0.0 * rows
    tall, long = xp.minimum(d, rows), xp.minimum(d, m + 0.0 * rows)
    words = (
        e * xp.where(mapping.keep_queries > 0, rows, tall)
        + e * xp.where(mapping.keep_keys > 0, m + 0.0 * rows, long)
        + f * xp.where(mapping.keep_values > 0, m + 0.0 * rows, long)
        + f * xp.where(mapping.keep_outputs > 0, rows, tall)
    )
    return 2.0 * words * designs.word_bytes


def unfused(xp: Array, sizes: AttentionSizes, designs: FusionDesigns) -> Traffic:
    """Scores pass DRAM: written, read and written by the softmax, read.

    Half of the buffer keeps keys, or values, of a head or a part of them; queries, or scores and
    outputs, stream past. If only a part fits, the other operand would be read again: instead, as
    much of queries (outputs) is kept and keys (values) are read again.
    """
    q, k, v, o, s = tensor_bytes(sizes, designs.word_bytes)
    room = designs.buffer_bytes / 2.0 / designs.word_bytes
    e, f, p, m = sizes.key_size, sizes.value_size, sizes.queries, sizes.keys
    one = xp.ones_like(room + 0.0 * p)

    def again(mine: Array, other: Array) -> Array:
        return xp.where(other <= room, one, xp.maximum(xp.ceil(mine / room), one))

    first = q + k * again(p * e, m * e) + s
    last = s + v * again(p * f, m * f) + o
    left = xp.minimum(designs.buffer_bytes / (m * designs.word_bytes), one)
    middle = s * (2.0 + 3.0 * (1.0 - left))
    zero = 0.0 * middle
    return Traffic((first, last, middle), zero + 1.0, zero + 1.0, zero)
