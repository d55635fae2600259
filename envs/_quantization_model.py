"""The cost model of `Quantization-v0`: a measured loss and the costs of the hardware for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.measured import LanguageModel, Layer, Network
from archgym.envs._quantization_hardware import Hardware
from archgym.envs._quantization_metrics import METRICS, TEST
from archgym.envs._quantization_quality import Losses, Quality
from archgym.envs._quantization_space import default_design, units_of
from archgym.metric import FloatArray, Metric
from archgym.space import DesignSpace, IntArray, Value

_PARTS = {
    "weight_kib": ("layers", "others"),
    "latency_us": ("prefill", "decode"),
    "energy_uj": ("elements", "sram", "dram"),
    "area_mm2": ("elements", "sram"),
}


class Quantization:
    """Designs of one network.

    Args:
        network: what is quantized.
        space: of it.
        kind: of the space.
        tied: what shares its choices.
        quality: what answers for the loss.
        hardware: what answers for the rest.
        test: whether the test split is reported.
    """

    def __init__(
        self,
        network: Network,
        space: DesignSpace,
        kind: str,
        tied: str,
        quality: Quality,
        hardware: Hardware,
        test: bool,
    ) -> None:
        self.space = space
        self.metrics: tuple[Metric, ...] = (*METRICS, TEST) if test else METRICS
        self.default: Mapping[str, Value] = default_design(space, kind)
        self.features: FloatFeatures = _features(network)
        self.stage_features = {
            name: _stage_features(network, layers)
            for name, layers in units_of(network, tied).items()
        }
        self._quality, self._hardware = quality, hardware

    def evaluate(self, designs: IntArray) -> Costs:
        """Measures every different choice of formats, and counts the costs of each design."""
        losses: Losses = self._quality.losses(designs)
        found = self._hardware.costs(designs)
        breakdown = {
            f"{name}/{part}": found[f"{name}/{part}"]
            for name, parts in _PARTS.items()
            for part in parts
        }
        with np.errstate(over="ignore"):
            perplexity = np.exp(losses.cross_entropy)
        metrics: dict[str, FloatArray] = {
            "perplexity": perplexity,
            "cross_entropy_nats": losses.cross_entropy,
            "kl_nats": losses.kl,
            "prefill_latency_us": found["latency_us/prefill"],
            **{name: found[name] for name in ("bits_per_weight", "kv_kib", "decode_latency_us")},
        }
        for name, parts in _PARTS.items():
            metrics[name] = np.sum([found[f"{name}/{part}"] for part in parts], axis=0)
        if losses.test is not None:
            with np.errstate(over="ignore"):
                metrics[TEST.name] = np.exp(losses.test)
        return Costs({each.name: metrics[each.name] for each in self.metrics}, {}, breakdown)


def _features(network: Network) -> FloatFeatures:
    """Describes a network in [-1, 1] `(4,)`: size, layers, outliers, whether it is a decoder."""
    elements = np.array([w.size for w in network.weights.values()])
    worst = max(_tails(network, layer)[1] for layer in network.layers)
    raw = [
        np.log10(elements.sum()) - 6,
        np.log2(len(elements)) - 4,
        worst - 1,
        1.0 if isinstance(network, LanguageModel) else -1.0,
    ]
    features: FloatFeatures = np.tanh(np.array(raw) / 2).astype(np.float32)
    return features


def _tails(network: Network, layer: Layer) -> tuple[float, float]:
    """Decades from the spread to the largest of weights, and of inputs by channel."""
    weight = network.weights[layer.name]
    absmax = network.calibration()[layer.name].absmax
    inputs = absmax.max() / max(float(np.median(absmax)), 1e-12)
    return float(np.log10(np.abs(weight).max() / weight.std())), float(np.log10(inputs))


def _stage_features(network: Network, layers: tuple[Layer, ...]) -> FloatFeatures:
    """What an agent sees of a unit before it chooses, in [-1, 1] `(7,)`.

    Place, share of weights and of multiply-accumulates, rows, columns, tails of weights and inputs.
    """
    weights = sum(layer.rows * layer.columns for layer in network.layers)
    macs = sum(layer.macs_per_token for layer in network.layers)
    tails = np.mean([_tails(network, layer) for layer in layers], axis=0)
    raw = [
        2 * network.layers.index(layers[0]) / max(len(network.layers) - 1, 1) - 1,
        np.log10(sum(x.rows * x.columns for x in layers) / weights) + 1,
        np.log10(sum(x.macs_per_token for x in layers) / macs) + 1,
        np.log2(layers[0].rows) / 4 - 2,
        np.log2(layers[0].columns) / 4 - 2,
        *(tails - 1),
    ]
    features: FloatFeatures = np.tanh(np.array(raw)).astype(np.float32)
    return features
