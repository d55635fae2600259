"""A small convolutional network on scikit-learn's digits: three convolutions, two dense layers.

8 x 8 images of ten digits (Alpaydin and Kaynak, 1998; UCI, as `sklearn.datasets.load_digits`). It
is easy: one image of a split is a quarter of a percent, so its cross-entropy is what to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.measured.arrays import Array, Quantizer
from archgym.cost_models.measured.losses import classification
from archgym.cost_models.measured.network import (
    Evaluation,
    Layer,
    LayerStatistics,
    Network,
    Setting,
)
from archgym.cost_models.measured.recorder import Recorder
from archgym.cost_models.measured.threads import one_thread

BATCH_IMAGES = 100
"""Images that run together: what an activation quantizer is given at once comes from them."""

_KERNEL = 3
_SIZE = 8
"""Rows and columns of an image."""


@dataclass(frozen=True)
class _Step:
    """A layer, and the size of the map that a convolution works on (0 if it is dense)."""

    kind: str
    rows: int
    channels: int
    size: int
    pooled: bool = False

    @property
    def columns(self) -> int:
        return self.channels * (_KERNEL * _KERNEL if self.size else 1)


STEPS = (
    _Step("conv1", 16, 1, 8),
    _Step("conv2", 32, 16, 8, pooled=True),
    _Step("conv3", 32, 32, 4, pooled=True),
    _Step("fc1", 64, 128, 0),
    _Step("fc2", 10, 64, 0),
)


class DigitsCnn(Network):
    """The network and its images."""

    tokens_per_sequence = 1
    default_tokens = 10_000

    def __init__(
        self,
        weights: Mapping[str, Array],
        biases: Mapping[str, Array],
        images: Mapping[str, Array],
        labels: Mapping[str, NDArray[np.int64]],
    ) -> None:
        """Bind parameters by layer, and images (n, 8, 8, 1) within 0 to 1 by split."""
        self.name = "digits-cnn"
        self.weights = dict(weights)
        for matrix in self.weights.values():
            matrix.flags.writeable = False
        self.layers = tuple(
            Layer(
                step.kind,
                step.kind,
                block,
                step.rows,
                step.columns,
                step.channels,
                step.rows * step.columns * max(step.size, 1) ** 2,
            )
            for block, step in enumerate(STEPS)
        )
        self.other_parameters = sum(bias.size for bias in biases.values())
        self._biases, self._images, self._labels = biases, images, labels

    def sequences(self, split: str) -> int:
        """Number of images in a split."""
        return len(self._images[split])

    def evaluate(
        self,
        weights: Mapping[str, Array] | None = None,
        activations: Mapping[str, Quantizer] | None = None,
        *,
        scales: Mapping[str, Array] | None = None,
        split: str = "validation",
        sequences: int | slice | None = None,
        tokens: int | None = None,
    ) -> Evaluation:
        """Measure the loss as `Network.evaluate` says; by default over the whole split.

        The quantizer of a convolution's input is given the feature map, (pixels, channels).
        """
        first, end = self.chosen(split, sequences, tokens)
        settings = self.settings(weights, activations, scales)
        with one_thread():
            logits = np.concatenate(
                [
                    self._logits(self._images[split][i : min(i + BATCH_IMAGES, end)], settings)
                    for i in range(first, end, BATCH_IMAGES)
                ]
            )
            reference = self._reference[split][first:end]
        return classification(logits, reference, self._labels[split][first:end])

    def calibration(self) -> Mapping[str, LayerStatistics]:
        """Statistics of every layer's input over the calibration split; computed once."""
        return self._statistics

    @cached_property
    def _statistics(self) -> Mapping[str, LayerStatistics]:
        recorders = {layer.name: Recorder(layer) for layer in self.layers}
        with one_thread():
            self._logits(
                self._images["calibration"], self.settings(None, None, None), recorders=recorders
            )
        return {name: recorder.statistics() for name, recorder in recorders.items()}

    @cached_property
    def _reference(self) -> Mapping[str, Array]:
        settings = self.settings(None, None, None)
        with one_thread():
            return {split: self._logits(images, settings) for split, images in self._images.items()}

    def _logits(
        self,
        images: Array,
        settings: Mapping[str, Setting],
        recorders: Mapping[str, Recorder] | None = None,
    ) -> Array:
        """(n, 10) from images (n, 8, 8, 1)."""
        x = images
        for step in STEPS:
            setting = settings[step.kind]
            flat = x.reshape(-1, step.channels)
            seen = setting.input(flat, step.kind)
            operand = _patches(seen.reshape(x.shape)) if step.size else seen
            if recorders is not None:
                recorders[step.kind].see(flat, operand)
            y = operand @ setting.weight.T + self._biases[step.kind]
            if step.kind != "fc2":
                np.maximum(y, 0.0, out=y)
            x = y.reshape(-1, step.size, step.size, step.rows) if step.size else y
            if step.pooled:
                x = x.reshape(-1, step.size // 2, 2, step.size // 2, 2, step.rows).max(axis=(2, 4))
            if step.kind == "conv3":
                x = x.reshape(len(images), -1)
        return x


def _patches(x: Array) -> Array:
    """(n * rows * columns, 9 * channels): each pixel's 3 x 3 surroundings, zero outside."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (_KERNEL, _KERNEL), axis=(1, 2))
    return views.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _KERNEL * _KERNEL * x.shape[-1])


def load_digits_cnn(path: Path) -> DigitsCnn:
    """Read the parameters that ship, and scikit-learn's images in the splits they name."""
    images, labels = digits()
    with np.load(path) as arrays:
        read: dict[str, NDArray[Any]] = dict(arrays)
    splits = ("validation", "test", "calibration")
    return DigitsCnn(
        {step.kind: read[f"{step.kind}.weight"].astype(np.float32) for step in STEPS},
        {step.kind: read[f"{step.kind}.bias"].astype(np.float32) for step in STEPS},
        {split: images[read[split]] for split in splits},
        {split: labels[read[split]] for split in splits},
    )


def digits() -> tuple[Array, NDArray[np.int64]]:
    """All 1,797 images (n, 8, 8, 1) within 0 to 1, and their digits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = (data.images / 16.0).astype(np.float32).reshape(-1, _SIZE, _SIZE, 1)
    return images, data.target.astype(np.int64)
