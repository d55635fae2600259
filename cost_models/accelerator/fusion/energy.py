"""Energy of attention: arithmetic, DRAM, and words through the buffer.

Energies per operation are published with FuseMax' artifact (45 nm); those of a buffer word of 16
and 32 MiB follow from its published totals, see `fused_attention_energy` of the constants. Smaller
buffers are CACTI's.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from math import log

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


ENERGY_PARTS = ("arithmetic", "registers", "buffer", "dram")
# Largest memory of CACTI's that counts, and bytes of its words and of ours.
_CACTI_BYTES, _CACTI_NODE_NM, _CACTI_WORD, _WORD = 2**20, 45, 8, 2


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
    parts = energy_parts_j(sizes, designs, result, mapping)
    return parts["arithmetic"] + parts["registers"] + parts["buffer"] + parts["dram"]


def energy_parts_j(
    sizes: AttentionSizes,
    designs: FusionDesigns,
    result: Fusion,
    mapping: RowMapping | None = None,
) -> dict[str, Array]:
    """Energy `(d, w)` by name of `ENERGY_PARTS`; arguments as of `energy_j`."""
    from array_api_compat import array_namespace

    xp = array_namespace(designs.array)
    each = columns(designs)
    arithmetic, registers = _operations(xp, sizes, each)
    return {
        "arithmetic": 1e-12 * arithmetic,
        "registers": 1e-12 * registers,
        "buffer": 1e-12 * _buffer(xp, sizes, each, result, mapping),
        "dram": 1e-12 * constants()["fused_attention_energy"]["dram_byte"] * result.dram_bytes,
    }


def linear_energy_j(layers: Linear, designs: FusionDesigns) -> Array:
    """Energy `(d, w)` of the layers around attention: both operands read once per D products."""
    each = constants()["fused_attention_energy"]
    read, _ = word_pj(designs.buffer_bytes[:, None])
    per_mac = each["mac"] + 2.0 * read / designs.array[:, None]
    return 1e-12 * (layers.macs * per_mac + each["dram_byte"] * layers.dram_bytes)


@functools.cache
def _word_points() -> tuple[tuple[float, float, float], ...]:
    """Logarithms of buffer bytes, and of the energy of a word read and written, ascending."""
    each = constants()["fused_attention_energy"]
    share = _WORD / _CACTI_WORD
    points = [
        (size, share * read, share * write)
        for node, word, size, read, write, *_ in constants().sram.rows
        if (node, word) == (_CACTI_NODE_NM, _CACTI_WORD) and size <= _CACTI_BYTES
    ]
    for mebibytes in (16, 32):
        read, write = each[f"read_{mebibytes}_mib"], each[f"write_{mebibytes}_mib"]
        points.append((mebibytes * 2.0**20, read, write))
    return tuple((log(size), log(read), log(write)) for size, read, write in sorted(points))


def word_pj(buffer_bytes: Array) -> tuple[Array, Array]:
    """Energy of a word read from and written to a buffer, by its size.

    Linear between the points' logarithms, and beyond them: memories of CACTI 7 up to 1 MiB at 45
    nm, a quarter of whose words of 8 bytes is a word here, and 16 and 32 MiB, which are fitted.
    """
    from array_api_compat import array_namespace

    xp = array_namespace(buffer_bytes)
    points = _word_points()
    size = xp.log(buffer_bytes)
    found = []
    for way in (1, 2):
        result = points[0][way] + 0.0 * size
        for i, (low, high) in enumerate(pairwise(points)):
            slope = (high[way] - low[way]) / (high[0] - low[0])
            least = size if i == 0 else xp.maximum(size, low[0] + 0.0 * size)
            up_to = least if i == len(points) - 2 else xp.minimum(least, high[0] + 0.0 * size)
            result = result + slope * (up_to - low[0])
        found.append(xp.exp(result))
    return found[0], found[1]


def _operations(xp: Array, sizes: AttentionSizes, designs: FusionDesigns) -> tuple[Array, Array]:
    """Of arithmetic, and of registers."""
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
    arithmetic = products + softmax + fix + end
    return arithmetic, xp.where(shared, registers, 0.0 * registers) + 0.0 * arithmetic


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
