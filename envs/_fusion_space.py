"""The design space of fused attention: arrays, buffer, DRAM, cascade, binding and tiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.fusion.presets import CLOCK_HZ, published_flat_mapping
from archgym.cost_models.accelerator.fusion.types import (
    BINDINGS,
    PASSES,
    AttentionSizes,
    FusionDesigns,
    RowMapping,
)
from archgym.metric import FloatArray
from archgym.space import Constraint, DesignSpace, IntArray, Parameter, Value

_FUSED = BINDINGS[1:]
_BY_ROWS = (2, 3)
# Tensors kept on the chip: queries, keys, scores, values, outputs. Of all 32 sets with both ways
# of keeping an operand in the array, one of these had the least traffic, the least latency and the
# least energy on every array, buffer and context that was tried; `S+O`, `S+V` and `Q+S+O` are those
# of FLAT's published mappings.
KEPT = (
    "none",
    "Q",
    "S",
    "Q+S",
    "S+O",
    "S+V",
    "Q+O",
    "Q+S+O",
    "Q+K+S",
    "Q+K+S+O",
    "Q+K+S+V",
)
WORD_BYTES = 2


@dataclass(frozen=True)
class Platform:
    """Resources that a default design has.

    Attributes:
        array: side of the square array, and lanes.
        buffer_kib: FLAT's; FuseMax has half of it, as in its study.
        dram_gib_per_s: bandwidth.
    """

    array: int
    buffer_kib: int
    dram_gib_per_s: int


PLATFORMS: Mapping[str, Platform] = {
    # Nayak et al., FuseMax, MICRO 2024, section VI.
    "cloud": Platform(256, 32768, 400),
    # The artifact's rows of FLAT on an edge accelerator (flat_validation.csv): the array from its
    # ideal latencies, the bandwidth from those that memory bounds, the buffer from shares spilled.
    "edge": Platform(32, 512, 50),
}
BASELINES = ("flat", "fusemax", "unfused")


def fusion_space() -> DesignSpace:
    """Returns the space, the same for every workload."""
    fused = {"Binding": _FUSED}
    by_rows: dict[str, tuple[Value, ...]] = {"Passes": _BY_ROWS, "Binding": _FUSED}
    parameters = [
        Parameter(
            "ArrayDim",
            (16, 32, 64, 128, 256, 512),
            "side of the square array of multiply-accumulators",
            subsystem="arrays",
            ordered=True,
        ),
        Parameter(
            "LanesPerColumn",
            (1, 2, 4, 8),
            "lanes of the vector array per column of the square one",
            subsystem="arrays",
            ordered=True,
        ),
        Parameter(
            "BufferKiB",
            (256, 512, 1024, 2048, 4096, 8192, 16384, 32768),
            "buffer that both arrays share",
            unit="KiB",
            subsystem="memories",
            ordered=True,
        ),
        Parameter(
            "DramGiBPerS",
            (50, 100, 200, 400),
            "bandwidth of the DRAM",
            unit="GiB/s",
            subsystem="memories",
            ordered=True,
        ),
        Parameter(
            "Passes",
            PASSES,
            "over a row of scores that the softmax makes (the cascade)",
            subsystem="cascade",
            ordered=True,
        ),
        Parameter(
            "Binding",
            BINDINGS,
            "which array does what of the softmax, and how they overlap",
            subsystem="binding",
        ),
        Parameter(
            "QueryBlocks",
            (1, 2, 4, 8, 16, 32, 64, 128),
            "blocks of ArrayDim queries on the chip at once, for which keys and values pass once",
            subsystem="tiling",
            ordered=True,
            when=fused,
        ),
        Parameter(
            "Kept",
            KEPT,
            "tensors of these queries that the buffer keeps whole; others stream past it",
            subsystem="tiling",
            when=by_rows,
        ),
        Parameter(
            "Stays",
            ("outputs", "weights"),
            "what stays in the square array: outputs, or keys and values",
            subsystem="tiling",
            when=by_rows,
        ),
    ]
    return DesignSpace(
        parameters,
        [
            Constraint(
                "unfused with fewer than three passes",
                lambda c: (c["Binding"] != "unfused") | (c["Passes"] == 3),
                "scores pass DRAM whole, so there is nothing to save",
            )
        ],
    )


def designs_and_mapping(
    space: DesignSpace, rows: IntArray
) -> tuple[FusionDesigns, RowMapping, FloatArray]:
    """Returns the arrays `(n,)`, where rows of scores are kept `(n, 1)`, and blocks `(n, 1)`.

    Args:
        space: `fusion_space()`.
        rows: designs of it `(n, d)`.
    """

    def chosen(name: str, codes: Sequence[float] | None = None) -> FloatArray:
        j = space.position(name)
        values = space.parameters[j].values if codes is None else codes
        return np.array(values, np.float64)[rows[:, j]]

    side, passes = chosen("ArrayDim"), chosen("Passes")
    binding = chosen("Binding", range(len(BINDINGS)))
    # As in the steps of the study: with an exponential unit one cycle for it and its subtraction in
    # three passes and two in one; two passes, which it does not have, as one. Without it six
    # multiply-accumulates and a sum. Scores and numerators wait between the arrays, two tiles each.
    exp_cycles = np.where(binding >= 2, 7.0, np.where(passes == 3, 1.0, 2.0))
    waiting = np.where((passes == 1) & (binding == 1), 4.0, 0.0)
    one = np.ones_like(side)
    designs = FusionDesigns(
        side,
        side * chosen("LanesPerColumn"),
        chosen("BufferKiB") * 1024.0,
        chosen("DramGiBPerS") * 2.0**30,
        CLOCK_HZ * one,
        WORD_BYTES * one,
        exp_cycles,
        passes,
        binding,
        waiting,
    )
    blocks = chosen("QueryBlocks")[:, None]

    def kept(letter: str) -> FloatArray:
        return chosen("Kept", [letter in name for name in KEPT])[:, None]

    mapping = RowMapping(
        rows=side[:, None] * blocks,
        keep_queries=kept("Q"),
        keep_keys=kept("K"),
        keep_scores=kept("S"),
        keep_values=kept("V"),
        keep_outputs=kept("O"),
        weights_stay=chosen("Stays", (0.0, 1.0))[:, None],
    )
    return designs, mapping, blocks


def baseline_design(baseline: str, platform: str, sizes: AttentionSizes) -> dict[str, Value]:
    """Returns a baseline on a platform; of the edge's FLAT without what its mapping chooses.

    Args:
        baseline: a name of `BASELINES`.
        platform: a name of `PLATFORMS`.
        sizes: one attention.
    """
    resources = PLATFORMS[platform]
    shares = 2 if baseline == "fusemax" else 1
    design: dict[str, Value] = {
        "ArrayDim": resources.array,
        "LanesPerColumn": 1,
        "BufferKiB": resources.buffer_kib // shares,
        "DramGiBPerS": resources.dram_gib_per_s,
        "Passes": 1 if baseline == "fusemax" else 3,
        "Binding": {"flat": "apart", "fusemax": "interleaved", "unfused": "unfused"}[baseline],
    }
    if baseline == "fusemax":
        buffer = resources.buffer_kib * 1024.0 / shares
        design["QueryBlocks"] = _fitting_blocks(resources.array, buffer, sizes)
    elif baseline == "flat" and platform == "cloud":
        design |= _published_flat(resources.array, sizes)
    return design


def _fitting_blocks(array: int, buffer_bytes: float, sizes: AttentionSizes) -> int:
    """The most blocks, a power of two, that fit beside a tile of keys and values."""
    both = float(sizes.key_size[0] + sizes.value_size[0])
    held = array * WORD_BYTES * (both + 2.0)
    room = buffer_bytes - array * WORD_BYTES * both
    blocks = 1
    while blocks < 128 and 2 * blocks * held <= room:
        blocks *= 2
    return blocks


def _published_flat(array: int, sizes: AttentionSizes) -> dict[str, Value]:
    """FLAT's published mapping."""
    mapping = published_flat_mapping(sizes)
    flags = {
        "Q": mapping.keep_queries,
        "K": mapping.keep_keys,
        "S": mapping.keep_scores,
        "V": mapping.keep_values,
        "O": mapping.keep_outputs,
    }
    kept = "+".join(letter for letter, flag in flags.items() if flag[0] > 0)
    return {
        "QueryBlocks": max(1, round(float(mapping.rows[0]) / array)),
        "Kept": kept or "none",
        "Stays": "weights" if mapping.weights_stay[0] > 0 else "outputs",
    }
