"""Accelerators and attentions of the FuseMax study, and where tensors are best kept.

Sources: Nayak et al., FuseMax, MICRO 2024 (arXiv 2406.10491) and its published artifact: the cloud
accelerator, the mappings of FLAT (Kao et al., ASPLOS 2023) that it evaluates, models and contexts.
"""

from __future__ import annotations

import difflib

import numpy as np

from archgym.cost_models.accelerator.fusion.model import fusion
from archgym.cost_models.accelerator.fusion.types import (
    Array,
    AttentionSizes,
    Fusion,
    FusionDesigns,
    RowMapping,
    binding_number,
    designs_of,
    sizes_of,
)

# The five steps of the study: passes, binding, cycles of an exponential, tiles of scores that wait
# in the buffer, and the buffer in MiB. On lanes with an exponential unit, the study counts one
# cycle for it with its subtraction in three passes and two in one pass; without it, six multiply-
# accumulates and a sum. The tiles of `cascade` (scores and numerators, two of each) are inferred
# from its traffic.
_STEPS: dict[str, tuple[int, str, int, int, int]] = {
    "unfused": (3, "unfused", 1, 0, 32),
    "flat": (3, "apart", 1, 0, 32),
    "cascade": (1, "apart", 2, 4, 32),
    "architecture": (1, "stalled", 7, 0, 16),
    "fusemax": (1, "interleaved", 7, 0, 16),
}
PRESETS = tuple(_STEPS)
# Heads, width of the model, key (and value) size, width of the feed-forward network.
MODELS: dict[str, tuple[int, int, int, int]] = {
    "BERT": (12, 768, 64, 3072),
    "TrXL": (16, 1024, 64, 4096),
    "T5": (8, 512, 64, 2048),
    "XLM": (16, 2048, 128, 8192),
}
BATCH = 64
CLOCK_HZ = 940e6
DRAM_BYTES_PER_S = 400.0 * 2**30


def preset(name: str, array: int = 256, buffer_bytes: float | None = None) -> FusionDesigns:
    """One of `PRESETS`, as a batch of one design.

    Args:
        name: Of the preset.
        array: Side of the square array, and lanes of the vector array.
        buffer_bytes: If another than the preset's.

    Raises:
        ValueError: If there is no preset of this name, or a size is not allowed.
    """
    if name not in _STEPS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"preset: unknown name {name!r}{hint} Allowed: {', '.join(PRESETS)}.")
    passes, binding, exp_cycles, tiles, mebibytes = _STEPS[name]
    return designs_of(
        array=array,
        lanes=array,
        buffer_bytes=mebibytes * 2.0**20 if buffer_bytes is None else buffer_bytes,
        dram_bytes_per_s=DRAM_BYTES_PER_S,
        clock_hz=CLOCK_HZ,
        word_bytes=2,
        exp_cycles=exp_cycles,
        passes=passes,
        binding=binding_number(binding),
        score_tiles=tiles,
    )


def model_sizes(models: list[str], contexts: list[int]) -> AttentionSizes:
    """Self-attention of `MODELS` over contexts, batch 64, pair by pair.

    Raises:
        ValueError: If a model is unknown or a context below 1.
    """
    for model in models:
        if model not in MODELS:
            raise ValueError(f"model: unknown name {model!r}. Allowed: {', '.join(MODELS)}.")
    heads, _, size, _ = np.array([MODELS[model] for model in models], np.float64).T
    return sizes_of(
        batch=BATCH,
        heads=heads,
        queries=np.array(contexts),
        keys=np.array(contexts),
        key_size=size,
        value_size=size,
    )


def published_flat_mapping(sizes: AttentionSizes) -> RowMapping:
    """The mappings of FLAT on the cloud accelerator that the artifact evaluates, by rule.

    They are listed there per model and context; those of its figures (1K to 1M, by fours) follow
    these rules: up to 64K scores are kept, of a whole head up to 4K and 32 MiB of them beyond; from
    64K outputs are kept; from 256K scores pass DRAM, keys and values stay in the array, and 1024
    queries are kept. With keys of 128, values are kept up to 4K and queries from 16K.
    """
    m, wide = sizes.keys, sizes.key_size > 64
    far = m >= 2**18
    whole = m <= 2**12
    rows = np.where(far, 1024.0, np.where(whole, sizes.queries, 2.0**24 / m))
    return RowMapping(
        rows,
        keep_queries=np.where(far | (wide & ~whole), 1.0, 0.0),
        keep_keys=0.0 * m,
        keep_scores=np.where(far, 0.0, 1.0),
        keep_values=np.where(wide & whole, 1.0, 0.0),
        keep_outputs=np.where(m >= 2**16, 1.0, 0.0),
        weights_stay=np.where(far, 1.0, 0.0),
    )


def best_mapping(sizes: AttentionSizes, designs: FusionDesigns) -> RowMapping:
    """The mapping of least latency, then traffic, per design and attention; exhaustive.

    All choices of kept tensors and of what stays in the array, with the array's side times powers
    of two as rows, up to all queries. Mappings whose operands do not fit in the buffer are left
    out; where none fits, the one that exceeds it least is taken. NumPy arrays.
    """
    shape = (len(designs.array), len(sizes.queries))
    side = designs.array[:, None]
    doublings = int(np.ceil(np.log2(np.max(sizes.queries / np.min(side))))) if shape[1] else 0
    best: list[Array] = [np.full(shape, np.inf) for _ in range(3)]
    fields = [np.zeros(shape) for _ in range(7)]
    for doubling in range(max(doublings, 0) + 1):
        rows = np.broadcast_to(np.minimum(side * 2.0**doubling, sizes.queries), shape)
        for choice in range(64):
            bits = [np.full(shape, float(choice >> i & 1)) for i in range(6)]
            found = fusion(sizes, designs, RowMapping(rows, *bits))
            costs = (found.overflow_bytes, found.latency_s, found.dram_bytes)
            better = _before(costs, best)
            best = [np.where(better, new, old) for new, old in zip(costs, best, strict=True)]
            fields = [
                np.where(better, new, old) for new, old in zip((rows, *bits), fields, strict=True)
            ]
    return RowMapping(*fields)


def _before(new: tuple[Array, ...], old: list[Array]) -> Array:
    """Whether costs come first in lexicographic order."""
    first = np.zeros(new[0].shape, bool)
    equal = ~first
    for one, other in zip(new, old, strict=True):
        first = first | (equal & (one < other))
        equal = equal & (one == other)
    return first


def array_sweep(sizes: AttentionSizes, arrays: list[int]) -> tuple[FusionDesigns, Fusion]:
    """FuseMax with arrays of other sides, each with the buffer that it needs, and their costs.

    The buffer holds exactly so many blocks of queries, two and doubled as long as memory takes
    longer than the vector array; of a divisor of all blocks. So the study sweeps arrays of 16 to
    512 elements a side, at 256K tokens.

    Args:
        sizes: One attention.
        arrays: Sides of arrays, lanes of as many.

    Returns:
        Designs in the order of arrays, and their costs `(d, 1)`.

    Raises:
        ValueError: If there is more than one attention, or a side is not allowed.
    """
    if len(sizes.queries) != 1:
        raise ValueError(f"sizes: {len(sizes.queries)} attentions are not allowed, must be one")
    side = np.array(arrays, np.float64)
    both = sizes.key_size[0] + sizes.value_size[0]
    blocks = np.full(side.shape, 2.0)
    base = {name: value[0] for name, value in vars(preset("fusemax")).items()}
    while True:
        held = 2.0 * side * (both + blocks * (both + 2.0))
        designs = designs_of(**{**base, "array": side, "lanes": side, "buffer_bytes": held})
        found = fusion(sizes, designs, divide=True)
        late = (found.memory_s > found.lanes_s)[:, 0] & (blocks * side < sizes.queries[0])
        if not late.any():
            return designs, found
        blocks = np.where(late, 2.0 * blocks, blocks)
