"""Small real networks whose loss is measured after any of their layers was quantized.

`load(name)` gives a language model or an image classifier that ships with its weights and data and
runs in NumPy; `from_torch` takes a module of your own. See `docs/measured-networks.md`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from archgym.cost_models.measured.catalogue import about, load, names
from archgym.cost_models.measured.language_model import LanguageModel
from archgym.cost_models.measured.network import (
    Evaluation,
    Layer,
    LayerStatistics,
    Network,
)
from archgym.cost_models.measured.smoothing import scaled_weights, smoothing_scales

if TYPE_CHECKING:
    from torch import nn

    from archgym.cost_models.measured.torch_network import Calibrate, Evaluate, TorchNetwork

__all__ = [
    "Evaluation",
    "LanguageModel",
    "Layer",
    "LayerStatistics",
    "Network",
    "about",
    "from_torch",
    "load",
    "names",
    "scaled_weights",
    "smoothing_scales",
]


def from_torch(
    module: nn.Module,
    evaluate: Evaluate,
    calibrate: Calibrate,
    *,
    name: str = "own",
    keep: Collection[str] = (),
) -> TorchNetwork:
    """A torch module as a measured network; needs torch (extra `rl`).

    Args:
        module: Put into evaluation mode; its parameters are as before after every call.
        evaluate: Called with the module and `validation` or `test`; runs it over the split and
            returns logits (sequences, ..., classes) and targets (sequences, ...).
        calibrate: Called with the module; runs it over the calibration data.
        name: What to call it.
        keep: Names of modules that stay as they are.

    Raises:
        ValueError: On a parameter that is not finite, or a layer that is not supported or never
            runs; names it.
    """
    from archgym.cost_models.measured.torch_network import TorchNetwork

    return TorchNetwork(module, evaluate, calibrate, name=name, keep=keep)
