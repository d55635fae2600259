"""Losses of predictions whose logits are all at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from archgym.cost_models.measured.network import Evaluation


def classification(
    logits: NDArray[Any], reference: NDArray[Any], targets: NDArray[np.integer[Any]]
) -> Evaluation:
    """Cross-entropy, divergence from the reference, and share of right answers.

    Args:
        logits: (sequences, ..., classes).
        reference: The unquantized network's, of the same shape.
        targets: (sequences, ...) classes.
    """
    n = len(logits)
    q = log_softmax(np.asarray(logits, np.float64), axis=-1)
    p = log_softmax(np.asarray(reference, np.float64), axis=-1)
    nll = -np.take_along_axis(q, targets[..., None], axis=-1)
    kl = (np.exp(p) * (p - q)).sum(axis=-1)
    correct = np.argmax(q, axis=-1) == targets
    return Evaluation(
        nll.reshape(n, -1).mean(axis=1),
        kl.reshape(n, -1).mean(axis=1),
        targets.size,
        correct.reshape(n, -1).mean(axis=1),
    )
