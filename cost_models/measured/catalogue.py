"""The networks that ship with their weights, by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from archgym.cost_models.measured.arrays import Array
from archgym.cost_models.measured.decoder import STAGES, Decoder, DecoderShape
from archgym.cost_models.measured.language_model import LanguageModel
from archgym.cost_models.measured.network import Network, nearest
from archgym.cost_models.measured.outliers import with_outliers

DATA = Path(__file__).parent / "data"

OUTLIER_SCALES = (8, 32, 128)
"""Of the variants with outlier channels, `NAME-outlier-SCALE`."""


@cache
def _entries() -> dict[str, dict[str, Any]]:
    entries = yaml.safe_load((DATA / "models.yaml").read_text(encoding="utf-8"))
    return dict(entries)


def names() -> tuple[str, ...]:
    """All names that `load` takes."""
    found: list[str] = []
    for name, entry in _entries().items():
        found.append(name)
        if "shape" in entry:
            found.extend(f"{name}-outlier-{scale}" for scale in OUTLIER_SCALES)
    return tuple(found)


def about(name: str) -> dict[str, Any]:
    """How a network that ships came about: its shape, recipe, seed and the losses after training.

    Raises:
        ValueError: If there is no such network; variants are not listed apart.
    """
    if name not in _entries():
        raise ValueError(f"network: no {name!r}{nearest(name, _entries())}")
    return _entries()[name]


@cache
def load(name: str) -> Network:
    """A network with its data, read once per process.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in names():
        raise ValueError(f"network: no {name!r}{nearest(name, names())}")
    if name == "digits-cnn":
        from archgym.cost_models.measured.digits import load_digits_cnn

        return load_digits_cnn(DATA / "digits-cnn.npz")
    base, _, scale = name.partition("-outlier-")
    decoder, weights = _read_decoder(base)
    if scale:
        decoder, weights = with_outliers(decoder, weights, int(scale))
    return LanguageModel(name, decoder, weights, _text())


@cache
def _text() -> dict[str, NDArray[np.uint16]]:
    with np.load(DATA / "kjv-tokens.npz") as arrays:
        return dict(arrays)


def _read_decoder(name: str) -> tuple[Decoder, dict[str, Array]]:
    """Parameters, which ship in half precision, as float32."""
    shape = DecoderShape(**_entries()[name]["shape"])
    with np.load(DATA / f"{name}.npz") as arrays:
        read = {key: values.astype(np.float32) for key, values in arrays.items()}
    gains = [
        (read[f"{block}.attention_norm"], read[f"{block}.mlp_norm"])
        for block in range(shape.blocks)
    ]
    kinds = [kind for stage in STAGES for kind in stage]
    weights = {
        f"{block}.{kind}": read[f"{block}.{kind}"]
        for block in range(shape.blocks)
        for kind in kinds
    }
    return Decoder(shape, read["embedding"], read["norm"], gains), weights
