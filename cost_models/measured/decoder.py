"""The forward pass of a Llama-shaped decoder, stage by stage, in NumPy and compiled loops.

A block is RMSNorm, attention with rotary positions, RMSNorm and SwiGLU, each half added to what
entered it, without bias (Touvron et al., 2023, section 2.2). It runs as four stages, after each of
which a pass can be taken up again: `q k v` and attention, `o`, `gate up`, `down`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from archgym.cost_models.measured.arrays import Array, Ids, Quantizer
from archgym.cost_models.measured.kernels import (
    add_rms_norm,
    causal_softmax,
    rms_norm,
    rotate,
    swiglu,
    transpose_keys,
)
from archgym.cost_models.measured.network import Setting, quantized

STAGES = (("q", "k", "v"), ("o",), ("gate", "up"), ("down",))
"""Layers of a block by the stage that uses them, in order."""

_ATTENDED = 2
"""Sequences whose attention is held at once: half a MiB with 4 heads, which stays in a cache."""

_QUERIES = 64
"""Queries whose scores are one product: with keys up to the last of them, not with all."""

Tap: TypeAlias = Callable[[str, Array, Array], None]


class AttentionQuantizers(NamedTuple):
    """What rounds the operands of attention, each (sequences, heads, context, n) to the same shape.

    Attributes:
        keys: After rotation.
        values: As they are kept.
        queries: After rotation.
        probabilities: Of a query over all keys, along the last axis.
    """

    keys: Quantizer | None = None
    values: Quantizer | None = None
    queries: Quantizer | None = None
    probabilities: Quantizer | None = None


_EXACT = AttentionQuantizers()


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a decoder; `width` is a multiple of `heads`."""

    width: int
    hidden: int
    blocks: int
    heads: int
    context: int
    vocabulary: int
    rope_base: float
    norm_epsilon: float

    def matrix(self, kind: str) -> tuple[int, int]:
        """(rows, columns) of a kind of layer."""
        if kind in ("gate", "up"):
            return self.hidden, self.width
        return self.width, self.hidden if kind == "down" else self.width


class Buffers:
    """Arrays of one pass over (sequences, context) tokens, rows = sequences * context.

    Attributes:
        residual: What enters each half of a block, and what leaves the last: (rows, width).
        attended: Output of attention before `o`, by block: (rows, width).
        activated: Output of SwiGLU before `down`, by block: (rows, hidden).
    """

    def __init__(self, shape: DecoderShape, sequences: int, *, keep: bool) -> None:
        """Make the arrays; with `keep`, each block has its own, so that a pass can be resumed."""
        rows = sequences * shape.context
        self.sequences = sequences
        self.residual = _several(2 * shape.blocks + 1, (rows, shape.width), None if keep else 2)
        self.attended = _several(shape.blocks, (rows, shape.width), None if keep else 1)
        self.activated = _several(shape.blocks, (rows, shape.hidden), None if keep else 1)
        self.normed, self.q, self.k, self.v, self.product = (
            np.empty((rows, shape.width), np.float32) for _ in range(5)
        )
        self.up = np.empty((rows, shape.hidden), np.float32)
        # Scores of keys after the last query of a product are never written and stay zero.
        self.scores = np.zeros((_ATTENDED, shape.heads, shape.context, shape.context), np.float32)
        each = shape.width // shape.heads
        self.keys = np.empty((_ATTENDED, shape.heads, each, shape.context), np.float32)


def _several(count: int, shape: tuple[int, int], distinct: int | None) -> list[Array]:
    """Arrays of one shape, the first `distinct` of them repeated."""
    arrays = [np.empty(shape, np.float32) for _ in range(distinct or count)]
    return [arrays[i % len(arrays)] for i in range(count)]


class Decoder:
    """The parameters that are never replaced, and the pass through them and the layers."""

    def __init__(
        self,
        shape: DecoderShape,
        embedding: Array,
        norm: Array,
        gains: Sequence[tuple[Array, Array]],
    ) -> None:
        """Take (vocabulary, width), (width,), and each block's gains before attention and MLP."""
        self.shape, self.embedding, self.norm, self.gains = shape, embedding, norm, gains
        half = shape.width // shape.heads // 2
        angle = np.outer(
            np.arange(shape.context), shape.rope_base ** (-np.arange(half, dtype=np.float64) / half)
        )
        self._cos, self._sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        self._epsilon = np.float32(shape.norm_epsilon)

    @property
    def stages(self) -> int:
        """Number of stages that a pass has."""
        return self.shape.blocks * len(STAGES)

    def run(
        self,
        ids: Ids,
        settings: Mapping[str, Setting],
        buffers: Buffers,
        *,
        kv: AttentionQuantizers = _EXACT,
        start: int = 0,
        tap: Tap | None = None,
    ) -> Array:
        """Pass from a stage to the end; returns the normed output (rows, width), a buffer.

        Args:
            ids: (sequences, context) token ids.
            settings: By layer name.
            buffers: With `start` above 0, those of a pass that was the same up to there.
            kv: Quantizers of the operands of attention.
            start: Stage to take the pass up at.
            tap: Sees each layer's name, its input, and what its matrix multiplies.
        """
        if start == 0:
            np.take(self.embedding, ids.ravel(), axis=0, out=buffers.residual[0], mode="clip")
        pass_ = _Pass(self.shape, settings, buffers, tap)
        if start % len(STAGES) in (0, 2):
            half = start // 2
            rms_norm(buffers.residual[half], self._gain(half), self._epsilon, buffers.normed)
        for stage in range(start, self.stages):
            block, step = divmod(stage, len(STAGES))
            attended, activated = buffers.attended[block], buffers.activated[block]
            if step == 0:
                self._attend(pass_, block, kv, attended)
            elif step == 1:
                pass_.multiply(block, ("o",), attended, (buffers.product,))
                self._leave(2 * block, buffers)
            elif step == 2:
                pass_.multiply(block, ("gate", "up"), buffers.normed, (activated, buffers.up))
                swiglu(activated, buffers.up)
            else:
                pass_.multiply(block, ("down",), activated, (buffers.product,))
                self._leave(2 * block + 1, buffers)
        return buffers.normed

    def _gain(self, half: int) -> Array:
        """Of the norm before a half of a block, or after the last one."""
        block, second = divmod(half, 2)
        return self.norm if block == self.shape.blocks else self.gains[block][second]

    def _leave(self, half: int, buffers: Buffers) -> None:
        """Add a half's product to what entered it, and norm the sum for the next."""
        residual = buffers.residual
        add_rms_norm(
            residual[half],
            buffers.product,
            self._gain(half + 1),
            self._epsilon,
            residual[half + 1],
            buffers.normed,
        )

    def _attend(self, pass_: _Pass, block: int, kv: AttentionQuantizers, out: Array) -> None:
        buffers, shape = pass_.buffers, self.shape
        pass_.multiply(block, ("q", "k", "v"), buffers.normed, (buffers.q, buffers.k, buffers.v))
        rotate(buffers.q, self._cos, self._sin, shape.heads)
        rotate(buffers.k, self._cos, self._sin, shape.heads)
        q, k, v, attended = (
            x.reshape(buffers.sequences, shape.context, shape.heads, -1).transpose(0, 2, 1, 3)
            for x in (buffers.q, buffers.k, buffers.v, out)
        )
        rounded = ((k, kv.keys, "keys"), (v, kv.values, "values"), (q, kv.queries, "queries"))
        for x, quantizer, name in rounded:
            if quantizer is not None:
                x[:] = quantized(quantizer, np.ascontiguousarray(x), f"{name} of block {block}")
        by_token = buffers.k.reshape(buffers.sequences, shape.context, shape.heads, -1)
        for first in range(0, buffers.sequences, _ATTENDED):
            some = slice(first, min(first + _ATTENDED, buffers.sequences))
            scores, keys = (x[: some.stop - first] for x in (buffers.scores, buffers.keys))
            transpose_keys(by_token[some], keys)
            self._score(q[some], keys, scores)
            if kv.probabilities is not None:
                what = f"probabilities of block {block}"
                scores = quantized(kv.probabilities, scores, what)
            for start, end in self._queries():
                np.matmul(
                    scores[..., start:end, :end], v[some, :, :end], out=attended[some, :, start:end]
                )

    def _queries(self) -> Iterator[tuple[int, int]]:
        """First and last-but-one of the queries of each product."""
        context = self.shape.context
        for start in range(0, context, _QUERIES):
            yield start, min(start + _QUERIES, context)

    def _score(self, q: Array, keys: Array, scores: Array) -> None:
        """Probabilities of (sequences, heads, context) queries over keys (.., width, context)."""
        for start, end in self._queries():
            np.matmul(q[:, :, start:end], keys[..., :end], out=scores[..., start:end, :end])
        scale = np.float32((self.shape.width // self.shape.heads) ** -0.5)
        context = self.shape.context
        causal_softmax(scores.reshape(-1, context, context), scale, _QUERIES)


@dataclass(frozen=True)
class _Pass:
    """What stays the same through one pass."""

    shape: DecoderShape
    settings: Mapping[str, Setting]
    buffers: Buffers
    tap: Tap | None

    def multiply(self, block: int, kinds: Sequence[str], x: Array, outs: Sequence[Array]) -> None:
        """Write `x` times each layer's matrix; layers that quantize alike share their input."""
        inputs: list[tuple[Setting, Array]] = []
        for kind, out in zip(kinds, outs, strict=True):
            name = f"{block}.{kind}"
            setting = self.settings[name]
            operand = next(
                (
                    y
                    for other, y in inputs
                    if other.activation is setting.activation and other.scale is setting.scale
                ),
                None,
            )
            if operand is None:
                operand = setting.input(x, name)
                inputs.append((setting, operand))
            if self.tap is not None:
                self.tap(name, x, operand)
            np.matmul(operand, setting.weight.T, out=out)
