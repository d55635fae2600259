"""Cross-entropy and divergence of a language model, some hundred tokens' logits at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.measured.arrays import Array, Doubles, Ids
from archgym.cost_models.measured.kernels import reference_scores, score

_ROWS = 512
"""Tokens whose logits are held at once: 2 MiB with 1,024 classes, so that they stay in a cache."""


@dataclass(frozen=True)
class Reference:
    """What the unquantized network predicts for some tokens.

    Attributes:
        probability: (tokens, classes).
        entropy: (tokens,) Sum over classes of p log p.
        mass: (tokens,) Sum over classes of p, 1 up to rounding.
    """

    probability: Array
    entropy: Doubles
    mass: Doubles


class Head:
    """The output projection, and the losses of what it predicts."""

    def __init__(self, embedding: Array) -> None:
        """Take the tied embedding (classes, width)."""
        self._embedding = embedding
        self._local = threading.local()

    def reference(self, hidden: Array) -> Reference:
        """What `losses` compares with, from the unquantized network's output (tokens, width)."""
        n, classes = len(hidden), len(self._embedding)
        reference = Reference(np.empty((n, classes), np.float32), np.empty(n), np.empty(n))
        for rows in _chunks(n):
            reference_scores(
                self._logits(hidden[rows]),
                reference.probability[rows],
                reference.entropy[rows],
                reference.mass[rows],
            )
        return reference

    def losses(self, hidden: Array, targets: Ids, reference: Reference) -> Doubles:
        """(2, tokens) cross-entropy, and divergence from the reference, in nats."""
        result = np.empty((2, len(hidden)))
        for rows in _chunks(len(hidden)):
            score(
                self._logits(hidden[rows]),
                targets[rows],
                reference.probability[rows],
                reference.entropy[rows],
                reference.mass[rows],
                result[0, rows],
                result[1, rows],
            )
        return result

    def _logits(self, hidden: Array) -> Array:
        """(rows, classes) in an array of this thread, which the next call writes over."""
        kept: Array | None = getattr(self._local, "logits", None)
        if kept is None:
            kept = self._local.logits = np.empty((_ROWS, len(self._embedding)), np.float32)
        out = kept[: len(hidden)]
        np.matmul(hidden, self._embedding.T, out=out)
        return out


def _chunks(n: int) -> list[slice]:
    return [slice(i, min(i + _ROWS, n)) for i in range(0, n, _ROWS)]
