"""Energy of attention: arithmetic, DRAM, and words through the buffer.

Energies per operation are published with FuseMax' artifact (45 nm); those of a buffer word follow
from its published totals, see `fused_attention_energy` of the constants.
"""

from __future__ import annotations

from math import log2

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.fusion.linear import Linear
from archgym.cost_models.accelerator.fusion.traffic import columns
from archgym.cost_models.accelerator.fusion.types import (
    Array,
    AttentionSizes,
    Fusion,
    FusionDesigns,
    RowMapping,
)

# Words of a score read from and written to the buffer, by passes, where lanes do the softmax: of
# three passes read for maximum, exponential, quotient and product, written thrice; of one read for
# the product, written twice. Two passes, and the array's elements doing it, by the same counting.
_APART = {1: (1.0, 2.0), 2: (2.0, 2.0), 3: (4.0, 3.0)}
_SHARED = {1: (0.0, 0.0), 2: (1.0, 1.0), 3: (2.0, 2.0)}
# Scores that pass DRAM: on their way from and to lanes.
_STREAMED = (3.0, 2.0)


def energy_j(
    sizes: AttentionSizes,
    designs: FusionDesigns,
    result: Fusion,
    mapping: RowMapping | None = None,
) -> Array:
    """Energy `(d, w)` of designs and attentions.

    Args:
        sizes: As for `fusion`.
        designs: Likewise.
        result: What `fusion` gave for them.
        mapping: Given to it, if any.
    """
    from array_api_compat import array_namespace

    xp = array_namespace(designs.array)
    each = columns(designs)
    dram = constants()["fused_attention_energy"]["dram_byte"] * result.dram_bytes
    work = _operations(xp, sizes, each) + _buffer(xp, sizes, each, result, mapping)
    return 1e-12 * (dram + work)


def linear_energy_j(layers: Linear, designs: FusionDesigns) -> Array:
    """Energy `(d, w)` of the layers around attention: both operands read once per D products."""
    each = constants()["fused_attention_energy"]
    read, _ = word_pj(designs.buffer_bytes[:, None])
    per_mac = each["mac"] + 2.0 * read / designs.array[:, None]
    return 1e-12 * (layers.macs * per_mac + each["dram_byte"] * layers.dram_bytes)


def word_pj(buffer_bytes: Array) -> tuple[Array, Array]:
    """Energy of a word read from and written to a buffer, by its size.

    The power laws through 16 and 32 MiB, where it is known.
    """
    each = constants()["fused_attention_energy"]
    size = buffer_bytes / 2.0**24
    read, write = (
        each[f"{way}_16_mib"] * size ** log2(each[f"{way}_32_mib"] / each[f"{way}_16_mib"])
        for way in ("read", "write")
    )
    return read, write


def _operations(xp: Array, sizes: AttentionSizes, designs: FusionDesigns) -> Array:
    each = constants()["fused_attention_energy"]
    mac, add, top, divide = (each[name] for name in ("mac", "add", "max", "divide"))
    e, f, once = sizes.key_size, sizes.value_size, designs.passes == 1
    rows = sizes.batch * sizes.heads * sizes.queries
    scores = rows * sizes.keys
    shared = designs.binding >= 2
    # With its subtraction: multiply-accumulates on elements, a unit on lanes.
    x = xp.where(shared, (designs.exp_cycles - 1.0) * mac + add, each["exp"] + add + 0.0 * e)
    products = scores * (e + f) * mac
    softmax = scores * (x + add + top)
    quotient = xp.where(shared, scores * mac + rows * divide, scores * divide)
    fix = xp.where(once, x + mac * (1.0 + f) + add * (1.0 + f) + top, x + mac + top + 0.0 * f)
    fix = xp.where(designs.passes == 3, 0.0 * fix, fix) * scores / designs.array
    end = xp.where(once, rows * f * divide, quotient)
    registers = scores * (each["registers_score"] + each["registers_mac"] * (e + f))
    return products + softmax + fix + end + xp.where(shared, registers, 0.0 * registers)


def _buffer(
    xp: Array,
    sizes: AttentionSizes,
    designs: FusionDesigns,
    result: Fusion,
    mapping: RowMapping | None,
) -> Array:
    read, write = word_pj(designs.buffer_bytes)
    e, f, m = sizes.key_size, sizes.value_size, sizes.keys
    rows = sizes.batch * sizes.heads * sizes.queries
    tiles = rows * m / designs.array
    kv = sizes.batch * sizes.heads * m * (e + f)
    tiled = tiles * (2.0 * e * read + f * (2.0 * read + write))
    tiled = tiled + rows * (e * write + f * read) + result.kv_passes * kv * write
    apart = tiles * (e + f) * (2.0 * read + write / 2.0) + rows * (e + f) * write
    kept = 0.0 * tiled
    streams = 0.0 * designs.passes
    if mapping is not None:
        stays = mapping.weights_stay
        outputs = xp.where(stays > 0, tiles * f * (read + write), rows * f * write)
        kept = (
            mapping.keep_queries * e * (tiles * read + rows * write)
            + mapping.keep_keys * e * (tiles * read + write * kv / (e + f))
            + mapping.keep_values * f * (tiles * read + write * kv / (e + f))
            + mapping.keep_outputs * outputs
        )
        streams = 1.0 - mapping.keep_scores
    once, never = designs.passes == 1, designs.binding == 0
    operands = xp.where(never, apart, xp.where(once, tiled, kept))
    per_score = _cost(_STREAMED, read, write)
    for passes in (1, 2, 3):
        for counts, those in ((_APART, designs.binding == 1), (_SHARED, designs.binding >= 2)):
            mask = (designs.passes == passes) & those & ((streams == 0) | once)
            per_score = xp.where(mask, _cost(counts[passes], read, write), per_score)
    per_score = xp.where(never, _cost(_STREAMED, read, write), per_score)
    return operands + rows * m * per_score


def _cost(counts: tuple[float, float], read: Array, write: Array) -> Array:
    return counts[0] * read + counts[1] * write
