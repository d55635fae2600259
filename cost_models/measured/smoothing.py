"""SmoothQuant over a whole network: layers that read the same input share their factors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archgym.cost_models.measured.arrays import Array
from archgym.cost_models.measured.network import Network
from archgym.cost_models.numerics.calibration import smooth


def smoothing_scales(network: Network, alpha: float) -> dict[str, Array]:
    """The divisors of each layer's input, `numerics.smooth` of all matrices that read it.

    Pass them as `scales` to `evaluate`, with matrices from `scaled_weights`, quantized.

    Raises:
        ValueError: If alpha is not within 0 to 1.
    """
    statistics = network.calibration()
    scales: dict[str, Array] = {}
    for group in network.sharing_inputs():
        absmax = statistics[group[0]].absmax
        # The channels are last within each position of a filter, so rows of channels.
        stacked = np.concatenate([network.weights[n].reshape(-1, len(absmax)) for n in group])
        scales.update(dict.fromkeys(group, smooth(stacked, absmax, alpha).factors))
    return scales


def scaled_weights(network: Network, scales: Mapping[str, Array]) -> dict[str, Array]:
    """The matrices of the layers in `scales`, their columns multiplied by them."""
    return {
        name: network.weights[name] * np.tile(scale, network.weights[name].shape[1] // len(scale))
        for name, scale in scales.items()
    }
