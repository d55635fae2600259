"""Latency of attention on a square array and a vector array, batched over designs.

A tile is D queries against D keys of a head. The vector array takes t(n) = ceil(n D / lanes)
cycles for n operations per query of a block, those of the scores and outputs of a query side by
side; t1 = t(1). Per tile, with x the cycles of a subtraction and exponential:

    array, products        E and F cycles (outputs stay) or D each (weights stay; E, F <= D)
    vector array, `apart`  (c + x) t(D) for scores: c = 3 with three and two passes (maximum, sum,
                           quotient), 2 with one pass (maximum, sum); and corrections between tiles
    corrections            two passes (3 + x) t1; one pass (3 + x) t1 + 2 t(F) and t(F) D / M for
                           the quotient: maximum, factor, denominator (product, sum), outputs
                           (product, sum)

The published designs have D lanes, so that t(n) = n. More lanes are our extension.

`unfused` runs products and softmax one after the other, each at the slower of memory and arrays.
`apart` overlaps them: the slowest of memory, array and lanes. `stalled` and `interleaved` give
maximum, exponential and sum to the array's elements and overlap in pairs

    (E + 1 | z)   (0 | m)   (x + 1 | c)   (F | v)          array | lanes, per tile

of z quotients and sums, m running maximum, c corrections, v running outputs; of two and three
passes F + 1 for the quotient as a product. `stalled` waits D cycles more for every maximum, and
adds outputs in the last pair, as no tile follows that would hide it (FuseMax, MICRO 2024: its
steps "+Architecture" and "+Binding").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from archgym.cost_models.accelerator.fusion.traffic import (
    Traffic,
    columns,
    rowwise,
    tiled,
    unfused,
)
from archgym.cost_models.accelerator.fusion.types import (
    Array,
    AttentionSizes,
    Fusion,
    FusionDesigns,
    RowMapping,
)


def fusion(
    sizes: AttentionSizes,
    designs: FusionDesigns,
    mapping: RowMapping | None = None,
    *,
    divide: bool = False,
    blocks: Array | None = None,
) -> Fusion:
    """Evaluate all attentions on all designs.

    Args:
        sizes: Attentions `(w,)`, of the same library and type as the designs.
        designs: Arrays `(d,)`.
        mapping: Where fused cascades of two and three passes keep tensors; needed if there are any.
        divide: Groups of query blocks, in cascades of one pass, are divisors of all blocks.
        blocks: Query blocks in a group of cascades of one pass, broadcasts to `(d, w)`; None for as
            many as fit in the buffer.

    Raises:
        ValueError: If a mapping is needed and missing.
    """
    from array_api_compat import array_namespace

    xp = array_namespace(designs.array)
    by_rows = (designs.passes > 1) & (designs.binding > 0)
    if mapping is None and bool(xp.any(by_rows)):
        raise ValueError("mapping: missing, fused cascades of two and three passes need one")
    each = columns(designs)
    moved = _traffic(xp, sizes, each, mapping, divide, blocks)
    stays = 0.0 * each.array if mapping is None else mapping.weights_stay
    stays = xp.where((each.passes > 1) & (each.binding > 0), stays, 0.0 * each.array)
    return _latency(xp, sizes, each, moved, stays)


def _traffic(
    xp: Array,
    sizes: AttentionSizes,
    designs: FusionDesigns,
    mapping: RowMapping | None,
    divide: bool,
    blocks: Array | None,
) -> Traffic:
    """Of every design, by its cascade and binding."""
    once = (designs.passes == 1) & (designs.binding > 0)
    never = designs.binding == 0
    kinds: list[tuple[Array, Callable[[], Traffic]]] = [
        (once, partial(tiled, xp, sizes, designs, divide, blocks)),
        (never, partial(unfused, xp, sizes, designs)),
    ]
    if mapping is not None:
        kinds.append((~(once | never), partial(rowwise, xp, sizes, designs, mapping)))
    found = [(mask, traffic()) for mask, traffic in kinds if bool(xp.any(mask))]
    result = found[0][1]
    for mask, other in found[1:]:
        result = _where(xp, mask, other, result)
    return result


def _where(xp: Array, mask: Array, new: Traffic, old: Traffic) -> Traffic:
    first, last, middle = (
        xp.where(mask, a, b) for a, b in zip(new.products, old.products, strict=True)
    )
    return Traffic(
        (first, last, middle),
        xp.where(mask, new.kv_passes, old.kv_passes),
        xp.where(mask, new.spilled, old.spilled),
        xp.where(mask, new.overflow_bytes, old.overflow_bytes),
    )


def _latency(
    xp: Array, sizes: AttentionSizes, designs: FusionDesigns, moved: Traffic, stays: Array
) -> Fusion:
    d, x, passes, binding = designs.array, designs.exp_cycles, designs.passes, designs.binding
    e, f = sizes.key_size, sizes.value_size
    across = xp.ceil(sizes.keys / d)
    tiles = sizes.batch * sizes.heads * xp.ceil(sizes.queries / d) * across
    t1, tf = xp.ceil(d / designs.lanes), xp.ceil(f * d / designs.lanes)
    once, twice = passes == 1, passes == 2
    nothing = 0.0 * (x + f)
    first = xp.where(stays > 0, d * xp.ceil(e / d), e + nothing)
    last = xp.where(stays > 0, d * xp.ceil(f / d), f + nothing)
    corrections = xp.where(twice, t1 * (3.0 + x) + nothing, nothing)
    corrections = xp.where(once, t1 * (3.0 + x) + 2.0 * tf + tf / across, corrections)
    scores = xp.where(once, 2.0 + x, 3.0 + x)
    softmax = scores * xp.ceil(d * d / designs.lanes) + corrections
    array, lanes, serial = _shared(xp, sizes, designs, (t1, tf), across, first, last)
    shared = binding >= 2
    array = tiles * xp.where(shared, array, first + last)
    lanes = tiles * xp.where(shared, lanes, softmax)
    total = xp.where(shared, tiles * serial, xp.maximum(array, lanes))
    clock, speed = designs.clock_hz, designs.dram_bytes_per_s
    bytes_all = moved.products[0] + moved.products[1] + moved.products[2]
    memory_s = bytes_all / speed
    fused_s = xp.maximum(memory_s, total / clock)
    parts = (tiles * first, tiles * last, lanes)
    unfused_s = 0.0 * fused_s
    for bytes_each, cycles in zip(moved.products, parts, strict=True):
        unfused_s = unfused_s + xp.maximum(bytes_each / speed, cycles / clock)
    latency_s = xp.where(binding == 0, unfused_s, fused_s)
    # Products with weights that stay use E or F of the array's D rows.
    work = xp.where(shared, array, tiles * (e + f + nothing))
    return Fusion(
        latency_s,
        memory_s,
        array / clock,
        lanes / clock,
        bytes_all,
        work / clock / latency_s,
        lanes / clock / latency_s,
        moved.kv_passes,
        moved.spilled,
        moved.overflow_bytes,
    )


def _shared(
    xp: Array,
    sizes: AttentionSizes,
    designs: FusionDesigns,
    times: tuple[Array, Array],
    across: Array,
    first: Array,
    last: Array,
) -> tuple[Array, Array, Array]:
    """Cycles per tile if both arrays do the softmax: of the array, of lanes, and in all.

    `times` are t(1) and t(F).
    """
    d, x, (t1, tf) = designs.array, designs.exp_cycles, times
    once, twice = designs.passes == 1, designs.passes == 2
    stalled = designs.binding == 2
    nothing = 0.0 * (x + tf + t1)
    # Quotients of outputs, or reciprocals of denominators.
    ends = xp.where(once, t1 + tf / across, t1 / across + nothing)
    sums = xp.where(once, tf + nothing, nothing)
    ends = xp.where(stalled, ends, ends + sums)
    fix = t1 * xp.where(once | twice, x + 1.0 + nothing, 1.0 + nothing)
    outputs = xp.where(once, tf + nothing, xp.where(twice, t1 + nothing, nothing))
    outputs = xp.where(stalled, outputs + sums, outputs)
    quotient = xp.where(once, 0.0 * x, 1.0 + 0.0 * x)
    array = (first + 1.0, x + 1.0 + nothing, last + quotient)
    serial = (
        xp.maximum(array[0], ends)
        + t1
        + xp.maximum(array[1], fix)
        + xp.maximum(array[2], outputs)
        + xp.where(stalled, d + nothing, nothing)
    )
    return array[0] + array[1] + array[2], ends + t1 + fix + outputs, serial
