"""Losses of a network with every layer rounded in one way, sequence by sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archgym.cost_models import numerics
from archgym.cost_models.measured.arrays import Array, Doubles, Quantizer
from archgym.cost_models.measured.catalogue import load
from archgym.cost_models.measured.network import Network
from archgym.cost_models.measured.smoothing import scaled_weights, smoothing_scales
from archgym.cost_models.numerics import Group


@dataclass(frozen=True)
class Rounding:
    """A format, what shares its scales, and how it is fitted.

    Attributes:
        format: Name of a number format.
        group: Values that share a scale; None for the blocks of a format that has them.
        clip: Share of the largest magnitude that the codes reach.
        second_order: GPTQ in place of rounding to nearest; for weights.
    """

    format: str
    group: Group = None
    clip: float = 1.0
    second_order: bool = False

    def __str__(self) -> str:
        """Such as `int3/channel`."""
        words = self.format
        if self.group is not None:
            words += f"/{'g' if isinstance(self.group, int) else ''}{self.group}"
        if self.clip != 1.0:
            words += f" clipped at {self.clip:g}"
        return f"{words} by GPTQ" if self.second_order else words


@dataclass(frozen=True)
class Setting:
    """What is rounded in all layers of a network.

    Attributes:
        network: Name of a language model.
        weights: None for the weights as trained.
        activations: Of the inputs of all layers; None for as they are.
        smoothing: Share of the range of the inputs that moves into the weights; None for none.
    """

    network: str
    weights: Rounding | None = None
    activations: Rounding | None = None
    smoothing: float | None = None


class Measurements:
    """Losses of settings on the first sequences of the validation split, each measured once.

    Args:
        sequences: How many; None for all.
    """

    def __init__(self, sequences: int | None = None) -> None:
        self._sequences = sequences
        self._known: dict[Setting, Doubles] = {}

    def nll(self, setting: Setting) -> Doubles:
        """(sequences,) Mean cross-entropy per token, in nats."""
        if setting not in self._known:
            self._known[setting] = self._measure(setting)
        return self._known[setting]

    def perplexity(self, setting: Setting) -> float:
        """Exponential of the mean cross-entropy."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nll(setting).mean()))

    def _measure(self, setting: Setting) -> Doubles:
        network = load(setting.network)
        smoothing = setting.smoothing
        scales = None if smoothing is None else smoothing_scales(network, smoothing)
        weights = dict(network.weights) if scales is None else scaled_weights(network, scales)
        if setting.weights is not None:
            weights = {
                name: _rounded(network, name, matrix, setting.weights)
                for name, matrix in weights.items()
            }
        activations = None
        if setting.activations is not None:
            quantize = _quantizer(setting.activations)
            activations = dict.fromkeys(weights, quantize)
        wanted = slice(None) if self._sequences is None else self._sequences
        return network.evaluate(weights, activations, scales=scales, sequences=wanted).nll


def _rounded(network: Network, layer: str, matrix: Array, how: Rounding) -> Array:
    fmt = numerics.parse(how.format)
    if how.second_order:
        inputs = network.calibration()[layer].calibration
        return fmt.decode(numerics.gptq(matrix, inputs, fmt, how.group, how.clip))
    return fmt.quantize(matrix, how.group, how.clip)


def _quantizer(how: Rounding) -> Quantizer:
    fmt = numerics.parse(how.format)

    def quantize(x: Array) -> Array:
        return fmt.quantize(x, how.group, how.clip)

    return quantize
