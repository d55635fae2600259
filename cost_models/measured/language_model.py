"""Language models whose perplexity is measured: every evaluation is a pass over real text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.measured.arrays import Array, Doubles, Ids, Quantizer
from archgym.cost_models.measured.decoder import (
    STAGES,
    AttentionQuantizers,
    Buffers,
    Decoder,
    DecoderShape,
)
from archgym.cost_models.measured.network import (
    Evaluation,
    Layer,
    LayerStatistics,
    Network,
    Setting,
)
from archgym.cost_models.measured.recorder import Recorder
from archgym.cost_models.measured.scoring import Head, Reference
from archgym.cost_models.measured.threads import one_thread

if TYPE_CHECKING:
    from archgym.cost_models.measured.incremental import Incremental

BATCH_SEQUENCES = 16
"""Sequences that run together: what an activation quantizer is given at once comes from them."""

_KEPT_REFERENCES = 8
"""Batches whose reference probabilities are kept, 8 MB each; others are computed again."""


class Batch(NamedTuple):
    """Sequences that run together, from `start` to before `end`."""

    split: str
    start: int
    end: int


def batches(split: str, first: int, end: int) -> list[Batch]:
    """The batches of some sequences, in order."""
    return [
        Batch(split, start, min(start + BATCH_SEQUENCES, end))
        for start in range(first, end, BATCH_SEQUENCES)
    ]


class LanguageModel(Network):
    """A decoder with the text that it is measured on."""

    default_tokens = 2048

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        weights: Mapping[str, Array],
        text: Mapping[str, NDArray[np.uint16]],
    ) -> None:
        """Bind a decoder and its matrices to the token ids of each split."""
        self.name, self.decoder, self.shape = name, decoder, decoder.shape
        self.weights = dict(weights)
        for matrix in self.weights.values():
            matrix.flags.writeable = False
        self.layers = tuple(_layers(self.shape))
        gains = sum(len(a) + len(b) for a, b in decoder.gains)
        self.other_parameters = decoder.embedding.size + decoder.norm.size + gains
        self.tokens_per_sequence = self.shape.context
        self.head = Head(decoder.embedding)
        self._inputs, self._targets = _windows(text, self.shape.context)
        self._hidden: dict[Batch, Array] = {}
        self._references: OrderedDict[Batch, Reference] = OrderedDict()
        self._lock = threading.Lock()
        self._local = threading.local()

    def sequences(self, split: str) -> int:
        """Number of sequences in a split."""
        return len(self._inputs[split])

    def sharing_inputs(self) -> list[tuple[str, ...]]:
        """Names of layers, together where they read the same input."""
        return [
            tuple(f"{block}.{kind}" for kind in stage)
            for block in range(self.shape.blocks)
            for stage in STAGES
        ]

    def evaluate(
        self,
        weights: Mapping[str, Array] | None = None,
        activations: Mapping[str, Quantizer] | None = None,
        *,
        scales: Mapping[str, Array] | None = None,
        kv: Sequence[Quantizer | None] | None = None,
        split: str = "validation",
        sequences: int | slice | None = None,
        tokens: int | None = None,
    ) -> Evaluation:
        """Measure the loss as `Network.evaluate` says.

        Args:
            weights: Matrices by layer.
            activations: Quantizers of layers' inputs.
            scales: Divisors of layers' inputs.
            kv: Quantizers of the operands of attention or None, as many as are wanted of those of
                `decoder.AttentionQuantizers`: keys, values, queries, probabilities.
            split: Where the text is from.
            sequences: How many, or which.
            tokens: How many instead.
        """
        first, end = self.chosen(split, sequences, tokens)
        settings = self.settings(weights, activations, scales)
        parts = []
        with one_thread():
            for batch in batches(split, first, end):
                reference = self.reference(batch)  # before the pass, whose buffers its own uses
                hidden = self._pass(batch, settings, AttentionQuantizers(*(kv or ())))
                parts.append(self.losses(batch, hidden, reference))
        return self.evaluation(parts)

    def incremental(
        self,
        *,
        split: str = "validation",
        sequences: int | slice | None = None,
        tokens: int | None = None,
    ) -> Incremental:
        """Evaluations one after another, each of which begins where the first changed layer is."""
        from archgym.cost_models.measured.incremental import Incremental

        first, end = self.chosen(split, sequences, tokens)
        return Incremental(self, batches(split, first, end))

    def calibration(self) -> Mapping[str, LayerStatistics]:
        """Statistics of every layer's input over the calibration split; computed once."""
        return self._statistics

    @cached_property
    def _statistics(self) -> Mapping[str, LayerStatistics]:
        layers = {layer.name: layer for layer in self.layers}
        groups = self.sharing_inputs()
        recorders = {group[0]: Recorder(layers[group[0]]) for group in groups}

        def see(name: str, x: Array, operand: Array) -> None:
            if name in recorders:
                recorders[name].see(x, operand)

        settings = self.settings(None, None, None)
        inputs = self._inputs["calibration"]
        with one_thread():
            for start in range(0, len(inputs), BATCH_SEQUENCES):
                ids = inputs[start : start + BATCH_SEQUENCES]
                self.decoder.run(ids, settings, self._buffers(len(ids)), tap=see)
        found = {group: recorders[group[0]].statistics() for group in groups}
        return {name: statistics for group, statistics in found.items() for name in group}

    def logits(self, ids: Ids) -> Array:
        """Unquantized logits (sequences, context, vocabulary) of (sequences, context) token ids."""
        if ids.ndim != 2 or ids.shape[1] != self.shape.context:
            raise ValueError(f"ids: shape {ids.shape}, expected (n, {self.shape.context})")
        if ids.min() < 0 or ids.max() >= self.shape.vocabulary:
            raise ValueError(f"ids: must be 0 to {self.shape.vocabulary - 1}")
        with one_thread():
            buffers = self._buffers(len(ids))
            hidden = self.decoder.run(ids, self.settings(None, None, None), buffers)
            logits = hidden @ self.decoder.embedding.T
        return logits.reshape(*ids.shape, -1)

    def _buffers(self, sequences: int) -> Buffers:
        """Arrays of this thread, kept because making them anew costs more than filling them."""
        kept: Buffers | None = getattr(self._local, "buffers", None)
        if kept is None or kept.sequences != sequences:
            kept = self._local.buffers = Buffers(self.shape, sequences, keep=False)
        return kept

    def _pass(
        self, batch: Batch, settings: Mapping[str, Setting], kv: AttentionQuantizers
    ) -> Array:
        ids = self.ids(batch)
        return self.decoder.run(ids, settings, self._buffers(len(ids)), kv=kv)

    def reference(self, batch: Batch) -> Reference:
        """The unquantized prediction of a batch; that of the last few batches is kept."""
        with self._lock:
            kept = self._references.get(batch)
            if kept is not None:
                self._references.move_to_end(batch)
                return kept
        hidden = self._hidden.get(batch)
        if hidden is None:
            hidden = self._pass(
                batch, self.settings(None, None, None), AttentionQuantizers()
            ).copy()
            self._hidden[batch] = hidden
        made = self.head.reference(hidden)
        with self._lock:
            self._references[batch] = made
            while len(self._references) > _KEPT_REFERENCES:
                self._references.popitem(last=False)
        return made

    def losses(self, batch: Batch, hidden: Array, reference: Reference) -> Doubles:
        """(2, sequences) cross-entropy and divergence, means over each sequence's tokens."""
        targets = self._targets[batch.split][batch.start : batch.end].ravel()
        losses = self.head.losses(hidden, targets, reference)
        means: Doubles = losses.reshape(2, batch.end - batch.start, -1).mean(axis=2)
        return means

    def ids(self, batch: Batch) -> NDArray[np.uint16]:
        """(sequences, context) token ids of a batch."""
        return self._inputs[batch.split][batch.start : batch.end]

    def evaluation(self, parts: list[Doubles]) -> Evaluation:
        """The losses of several batches as one result."""
        nll, kl = np.concatenate(parts, axis=1)
        return Evaluation(nll, kl, len(nll) * self.tokens_per_sequence)


def _layers(shape: DecoderShape) -> Iterator[Layer]:
    for block in range(shape.blocks):
        for kind in (kind for stage in STAGES for kind in stage):
            rows, columns = shape.matrix(kind)
            yield Layer(f"{block}.{kind}", kind, block, rows, columns, columns, rows * columns)


def _windows(
    text: Mapping[str, NDArray[np.uint16]], context: int
) -> tuple[dict[str, NDArray[np.uint16]], dict[str, NDArray[np.uint16]]]:
    """Inputs and targets (sequences, context) of each split: consecutive, one token apart."""
    inputs, targets = {}, {}
    for split, ids in text.items():
        n = (len(ids) - 1) // context
        inputs[split] = ids[: n * context].reshape(n, context)
        targets[split] = ids[1 : n * context + 1].reshape(n, context)
    return inputs, targets
