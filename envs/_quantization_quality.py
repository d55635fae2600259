"""The measured loss of designs: quantized weights are made once, and passes are taken up again."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from archgym.cost_models import numerics
from archgym.cost_models.measured import LanguageModel, Network, scaled_weights, smoothing_scales
from archgym.cost_models.measured.incremental import Incremental
from archgym.cost_models.numerics import Calibration, KvCache
from archgym.envs._quantization_choices import Choices, Reader, WeightChoice
from archgym.envs._quantization_space import UNROUNDED, ActivationFormat
from archgym.metric import FloatArray
from archgym.space import IntArray

F32 = npt.NDArray[np.float32]
Quantizer = Callable[[F32], F32]

_KEPT_MATRICES = 2048
_KEPT_LOSSES = 1 << 14


@dataclass(frozen=True)
class Losses:
    """Losses of designs `(n,)`.

    Attributes:
        cross_entropy: mean over the tokens, in nats.
        kl: mean divergence from the unquantized network's predictions, in nats.
        test: cross-entropy of the test split, None where it is not asked for.
    """

    cross_entropy: FloatArray
    kl: FloatArray
    test: FloatArray | None = None


class Quality(Protocol):
    """What answers for the loss of designs."""

    def losses(self, rows: IntArray) -> Losses:
        """Returns the losses of canonical rows `(n, d)`."""
        ...


class Matrices:
    """Quantized weights of a network, the last few thousand of them kept.

    Args:
        network: whose weights they are.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._kept: OrderedDict[object, F32] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, layer: str, choice: WeightChoice, smoothing: float | None, rounding: str) -> F32:
        """The matrix of a layer after a round trip; the same object while it is kept."""
        if choice.format == UNROUNDED:
            rounding = "nearest"
        key = (layer, choice, smoothing, rounding)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._make(layer, choice, smoothing, rounding)
        with self._lock:
            made = self._kept.setdefault(key, made)
            while len(self._kept) > _KEPT_MATRICES:
                self._kept.popitem(last=False)
        return made

    def _make(
        self, layer: str, choice: WeightChoice, smoothing: float | None, rounding: str
    ) -> F32:
        weight = self.network.weights[layer]
        scale = None if smoothing is None else self.scales(smoothing)[layer]
        if scale is not None:
            weight = scaled_weights(self.network, {layer: scale})[layer]
        if choice.format == UNROUNDED:
            return weight
        fmt = numerics.parse(choice.format)
        if rounding == "nearest":
            return fmt.quantize(weight, choice.group, choice.clip)
        calibration = self.network.calibration()[layer].calibration
        if scale is not None:
            calibration = _divided(calibration, np.resize(scale, weight.shape[1]))
        if rounding == "gptq":
            return fmt.decode(numerics.gptq(weight, calibration, fmt, choice.group, choice.clip))
        return numerics.awq(weight, calibration, fmt, choice.group, choice.clip).weight

    @functools.cache  # noqa: B019 (as long-lived as the model)
    def scales(self, smoothing: float) -> Mapping[str, F32]:
        """Divisors of the inputs of all layers."""
        return smoothing_scales(self.network, smoothing)


def _divided(calibration: Calibration, factors: npt.NDArray[Any]) -> Calibration:
    """Statistics of the inputs divided by factors `(columns,)`."""
    wide = factors.astype(np.float64)
    return replace(
        calibration,
        second_moment=calibration.second_moment / np.outer(wide, wide),
        mean_magnitude=calibration.mean_magnitude / wide,
        largest=calibration.largest / wide,
    )


@functools.cache
def activation_quantizer(name: str) -> Quantizer | None:
    """What rounds the inputs of a layer `(tokens, channels)`, None for what is not rounded."""
    chosen = ActivationFormat.parse(name)
    if chosen.format == UNROUNDED:
        return None
    fmt = numerics.parse(chosen.format)

    def quantizer(x: F32) -> F32:
        return fmt.quantize(x, chosen.group)

    return quantizer


@functools.cache
def attention_quantizers(cache: str, keys_by: str, operands: str) -> tuple[Quantizer | None, ...]:
    """What rounds keys, values, queries and probabilities `(sequences, heads, tokens, n)`."""

    def of(quantize: Callable[[F32], F32], dimensions: int) -> Quantizer:
        def quantizer(x: F32) -> F32:
            return quantize(x.reshape(-1, *x.shape[4 - dimensions + 1 :])).reshape(x.shape)

        return quantizer

    kept = KvCache(cache, keys_by)
    stored = (of(kept.quantize_keys, 3), of(kept.quantize_values, 3))
    each = activation_quantizer(operands)
    rounded = None if each is None else of(each, 2)
    return (*((None, None) if cache == UNROUNDED else stored), rounded, rounded)


class Measured:
    """Losses that are measured.

    Args:
        network: what is quantized.
        reader: of the rows.
        tokens: of the validation split; None for all of it.
        test: whether the test split is measured too, on as many tokens.
    """

    def __init__(
        self, network: Network, reader: Reader, tokens: int | None, test: bool = False
    ) -> None:
        self._network, self._reader = network, reader
        self._matrices = Matrices(network)
        self._splits = ("validation", "test") if test else ("validation",)
        self._tokens = tokens
        self._passes = threading.local()
        self._known: OrderedDict[bytes, tuple[float, float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def losses(self, rows: IntArray) -> Losses:
        """Measures each different choice once, in an order in which passes share their begin."""
        told = np.ascontiguousarray(rows[:, self._reader.measured])
        keys = [row.tobytes() for row in told]
        found: dict[bytes, tuple[float, float, float]] = {}
        for i in np.lexsort(told.T[::-1]) if len(told) else ():
            if keys[i] not in found:
                found[keys[i]] = self._one(keys[i], rows[i])
        table = np.array([found[key] for key in keys]).reshape(-1, 3)
        test = table[:, 2] if len(self._splits) > 1 else None
        return Losses(table[:, 0], table[:, 1], test)

    def _one(self, key: bytes, row: IntArray) -> tuple[float, float, float]:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        choices = self._reader.read(row)
        told = [self._evaluate(choices, split) for split in self._splits]
        losses = (*told[0], told[1][0] if len(told) > 1 else np.nan)
        with self._lock:
            self._known[key] = losses
            while len(self._known) > _KEPT_LOSSES:
                self._known.popitem(last=False)
        return losses

    def _evaluate(self, choices: Choices, split: str) -> tuple[float, float]:
        """Cross-entropy and divergence on a split."""
        settings: dict[str, Any] = {
            "weights": {
                name: self._matrices.get(name, choice, choices.smoothing, choices.rounding)
                for name, choice in choices.weights.items()
            },
            "activations": {
                name: quantizer
                for name, chosen in choices.activations.items()
                if (quantizer := activation_quantizer(chosen)) is not None
            },
            "scales": None
            if choices.smoothing is None
            else self._matrices.scales(choices.smoothing),
        }
        network = self._network
        if isinstance(network, LanguageModel):
            settings["kv"] = attention_quantizers(choices.cache, choices.keys_by, choices.attention)
            if self._tokens is not None:
                found = self._incremental(network, split).evaluate(**settings)
                return found.cross_entropy, found.divergence
        wanted = {"sequences": slice(None)} if self._tokens is None else {"tokens": self._tokens}
        found = network.evaluate(**settings, split=split, **wanted)
        return found.cross_entropy, found.divergence

    def _incremental(self, network: LanguageModel, split: str) -> Incremental:
        """The pass of this thread that is taken up where a design first differs from the last."""
        kept: dict[str, Incremental] = self._passes.__dict__
        if split not in kept:
            kept[split] = network.incremental(split=split, tokens=self._tokens)
        return kept[split]
