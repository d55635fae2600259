"""What every measured network offers: layers that can be quantized, a loss, statistics."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.measured.arrays import Array, Quantizer
from archgym.cost_models.numerics.calibration import Calibration

SPLITS = ("validation", "test", "calibration")


@dataclass(frozen=True)
class Layer:
    """A weight matrix that can be quantized.

    Attributes:
        name: Unique in its network, such as `0.q`.
        kind: What layers of all blocks share, such as `q`.
        block: Index of the block that it is part of.
        rows: Output channels.
        columns: Values per output: input channels times the positions of a filter.
        channels: Input channels: the last axis of what its activation quantizer is given.
        macs_per_token: Multiply-accumulates per token, or per image.
    """

    name: str
    kind: str
    block: int
    rows: int
    columns: int
    channels: int
    macs_per_token: int


@dataclass(frozen=True)
class Setting:
    """How one layer is computed: its matrix, what quantizes its input, what divides it before."""

    weight: Array
    activation: Quantizer | None = None
    scale: Array | None = None

    def same(self, other: Setting) -> bool:
        """Whether both hold the same objects."""
        return (
            self.weight is other.weight
            and self.activation is other.activation
            and self.scale is other.scale
        )

    def input(self, x: Array, name: str) -> Array:
        """What the matrix is multiplied by, from x (rows, channels).

        Raises:
            ValueError: If the quantizer changes the shape or returns NaN or infinity.
        """
        if self.scale is not None:
            x = x / self.scale
        if self.activation is not None:
            x = quantized(self.activation, x, f"activations of layer {name}")
        return x


def quantized(quantizer: Quantizer, x: Array, what: str) -> Array:
    """Quantized values, checked to be numbers and as many.

    Raises:
        ValueError: If they are not, naming `what`.
    """
    y = np.ascontiguousarray(quantizer(x), np.float32)
    if y.shape != x.shape:
        raise ValueError(f"{what}: quantizer returned shape {y.shape} for {x.shape}")
    if not np.isfinite(y).all():
        raise ValueError(f"{what}: quantizer returned NaN or infinity")
    return y


@dataclass(frozen=True)
class Evaluation:
    """The measured loss of a network.

    Attributes:
        nll: (sequences,) Mean cross-entropy per token of each sequence, in nats.
        kl: (sequences,) Mean divergence from the unquantized network's prediction, KL(unquantized
            || this), in nats per token; 0 up to rounding for the network itself.
        tokens: Predictions that the means are over, in all.
        correct: (sequences,) Share of predictions whose most likely class is the target, where it
            is measured.
    """

    nll: NDArray[np.float64]
    kl: NDArray[np.float64]
    tokens: int
    correct: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse losses that are not numbers.

        Raises:
            ValueError: If one is NaN or infinite.
        """
        if not (np.isfinite(self.nll).all() and np.isfinite(self.kl).all()):
            raise ValueError("evaluation: NaN or infinity; a layer's output exceeds float32")

    @property
    def cross_entropy(self) -> float:
        """Mean cross-entropy in nats per token; all sequences are of one length."""
        return float(np.mean(self.nll))

    @property
    def perplexity(self) -> float:
        """Exponential of the mean cross-entropy; infinite where it exceeds the range of a float."""
        with np.errstate(over="ignore"):
            return float(np.exp(np.mean(self.nll)))

    @property
    def divergence(self) -> float:
        """Mean divergence from the unquantized network, in nats per token."""
        return float(np.mean(self.kl))


@dataclass(frozen=True)
class LayerStatistics:
    """What a layer's input looked like over the calibration data, unquantized.

    Attributes:
        calibration: Of the rows (columns of them) that the matrix multiplies, as `numerics.gptq`
            and `numerics.awq` take it.
        absmax: (channels,) Largest magnitude per input channel.
        sample: (inputs, channels) Some inputs, as an activation quantizer is given them.
    """

    calibration: Calibration
    absmax: Array
    sample: Array


class Network(ABC):
    """A trained network whose layers can be replaced and whose loss is then measured.

    Attributes:
        name: As in `load`.
        layers: Matrices that can be quantized, in the order of their use.
        weights: Their values, (rows, columns) float32, read-only.
        other_parameters: Number of parameters that are not in `layers`.
        tokens_per_sequence: Predictions per sequence; an image is a sequence of one.
        default_tokens: How many an evaluation is over unless told otherwise.
    """

    name: str
    layers: tuple[Layer, ...]
    weights: Mapping[str, Array]
    other_parameters: int
    tokens_per_sequence: int
    default_tokens: int

    @abstractmethod
    def sequences(self, split: str) -> int:
        """Number of sequences in a split."""

    @abstractmethod
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
        """Measure the loss with some layers replaced.

        Args:
            weights: Matrices (rows, columns) by layer, for the layers that differ.
            activations: Quantizers of a layer's input, (rows, channels) float32 to the same shape.
                Each is called once per batch of `batch_sequences` sequences, so what it derives
                from all its rows at once is over that batch.
            scales: (channels,) positive numbers by layer that divide its input before it is
                quantized; the matrix is expected to have been multiplied by them (SmoothQuant).
            split: `validation`, `test` or `calibration`.
            sequences: The first so many sequences, or a slice of them; `slice(None)` is all.
            tokens: The first so many tokens instead, a multiple of `tokens_per_sequence`.

        Raises:
            ValueError: On an unknown layer or split, a wrong shape, or NaN or infinity.
        """

    @abstractmethod
    def calibration(self) -> Mapping[str, LayerStatistics]:
        """Statistics of every layer's input over the calibration split; computed once."""

    def sharing_inputs(self) -> list[tuple[str, ...]]:
        """Names of layers, together where they read the same input."""
        return [(layer.name,) for layer in self.layers]

    def settings(
        self,
        weights: Mapping[str, Array] | None,
        activations: Mapping[str, Quantizer] | None,
        scales: Mapping[str, Array] | None,
    ) -> dict[str, Setting]:
        """The setting of each layer.

        Raises:
            ValueError: On an unknown layer, a wrong shape, or a value that is not allowed.
        """
        weights, activations, scales = weights or {}, activations or {}, scales or {}
        known = {layer.name: layer for layer in self.layers}
        for what, given in (("weights", weights), ("activations", activations), ("scales", scales)):
            for name in given:
                if name not in known:
                    raise ValueError(f"{what}: no layer {name!r}{nearest(name, known)}")
        return {
            name: Setting(
                _matrix(weights[name], layer) if name in weights else self.weights[name],
                activations.get(name),
                _scale(scales[name], layer) if name in scales else None,
            )
            for name, layer in known.items()
        }

    def chosen(
        self, split: str, sequences: int | slice | None, tokens: int | None
    ) -> tuple[int, int]:
        """First and last-but-one index of the sequences that are asked for.

        Raises:
            ValueError: On an unknown split, or on more or other sequences than it has.
        """
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is none of {', '.join(SPLITS)}")
        there = self.sequences(split)
        if isinstance(sequences, slice):
            if tokens is not None or sequences.step not in (None, 1):
                raise ValueError("sequences: a slice has no step, and excludes tokens")
            first, end, _ = sequences.indices(there)
        else:
            first, end = 0, self._count(sequences, tokens, there)
        if not 0 <= first < end <= there:
            raise ValueError(f"sequences: {sequences} of {there} in split {split}")
        return first, end

    def _count(self, sequences: int | None, tokens: int | None, there: int) -> int:
        if sequences is not None and tokens is not None:
            raise ValueError("sequences and tokens: only one of the two")
        if sequences is not None:
            return sequences
        if tokens is None:
            return min(self.default_tokens // self.tokens_per_sequence, there)
        if tokens % self.tokens_per_sequence:
            raise ValueError(
                f"tokens: {tokens} is no multiple of the sequence's {self.tokens_per_sequence}"
            )
        return tokens // self.tokens_per_sequence


def nearest(name: str, known: Iterable[str]) -> str:
    """A suffix for an error: the closest name that is known."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"; did you mean {near[0]!r}?" if near else ""


def _matrix(given: Any, layer: Layer) -> Array:
    matrix = np.ascontiguousarray(given, np.float32)
    if matrix.shape != (layer.rows, layer.columns):
        raise ValueError(
            f"weights of layer {layer.name}: shape {matrix.shape}, "
            f"expected {(layer.rows, layer.columns)}"
        )
    if not np.isfinite(matrix).all():
        raise ValueError(f"weights of layer {layer.name}: NaN or infinity")
    return matrix


def _scale(given: Any, layer: Layer) -> Array:
    scale = np.ascontiguousarray(given, np.float32)
    if scale.shape != (layer.channels,):
        raise ValueError(
            f"scales of layer {layer.name}: shape {scale.shape}, expected {(layer.channels,)}"
        )
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError(f"scales of layer {layer.name}: must be positive and finite")
    return scale
