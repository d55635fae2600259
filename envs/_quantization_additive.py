"""Losses by addition: what quantizing each layer alone does to the predictions, summed up.

The sum of the divergences of single layers predicts that of all of them (Dong et al. 2020,
arXiv:1911.03852, take it for granted; `archgym validate quantization` measures how well).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from archgym.cost_models import numerics
from archgym.cost_models.measured import Network
from archgym.envs._quantization_choices import Reader, WeightChoice
from archgym.envs._quantization_quality import Losses, Matrices
from archgym.envs._quantization_space import (
    CLIPS,
    THREE,
    UNROUNDED,
    group_of,
    groups_for,
    weights_for,
)
from archgym.metric import FloatArray
from archgym.space import IntArray

TOKENS = 2048
"""Of the validation split, that a table is measured on."""

TABLES = Path(__file__).parent / "tables" / "quantization"


def choices_of(network: Network, layer: str) -> list[WeightChoice]:
    """All choices for the weights of a layer in the space `weights`, and those of `THREE`."""
    own = next(each for each in network.layers if each.name == layer)
    found = []
    for name in weights_for([own]):
        free = numerics.parse(name).block is None and name != UNROUNDED
        for group in [group_of(each) for each in groups_for([own])] if free else [None]:
            for clip in CLIPS if name != UNROUNDED else (1.0,):
                found.append(WeightChoice(name, group, clip))
    return found


def key_of(layer: str, choice: WeightChoice) -> str:
    """Name of an entry of a table."""
    return f"{layer}|{choice.format}|{choice.group or 'block'}|{choice.clip}"


def measure(
    network: Network, wanted: Mapping[str, list[WeightChoice]]
) -> Iterator[tuple[str, float]]:
    """Measures the divergence of each choice alone, layer by layer from the last on.

    A pass is taken up at the layer that changes, so the last layers cost little.

    Args:
        network: a language model.
        wanted: choices by layer.
    """
    from archgym.cost_models.measured import LanguageModel

    matrices = Matrices(network)
    one = network.incremental(tokens=TOKENS) if isinstance(network, LanguageModel) else None
    for layer in [each.name for each in network.layers][::-1]:
        for choice in wanted.get(layer, []):
            given = {layer: matrices.get(layer, choice, None, "nearest")}
            if one is not None:
                found = one.evaluate(given)
            else:
                found = network.evaluate(given, sequences=slice(None))
            yield key_of(layer, choice), max(found.divergence, 0.0)


def shipped(network: str) -> Path | None:
    """The file of a network's table that ships, None where there is none."""
    path = TABLES / f"divergences-{network}.npz"
    return path if path.is_file() else None


def read_table(path: Path) -> dict[str, float]:
    """A table as it ships."""
    with np.load(path) as arrays:
        return dict(zip(arrays["names"].tolist(), arrays["kl_nats"].tolist(), strict=True))


class Additive:
    """Losses by addition.

    Args:
        network: whose layers they are.
        reader: of the rows, of a space of weights alone.
        table: divergences by `key_of`; those that are missing are measured when this is made.
    """

    def __init__(self, network: Network, reader: Reader, table: Mapping[str, float]) -> None:
        self._base = _unquantized(network)
        by_layer = {layer.name: _reachable(reader, layer.name) for layer in network.layers}
        missing = {
            name: [c for c in found if key_of(name, c) not in table]
            for name, found in by_layer.items()
        }
        known = {**table, **dict(measure(network, missing))}
        self._columns: list[tuple[int, int | None, int | None, FloatArray]] = []
        for layer in network.layers:
            at = [reader.position(layer.name, field) for field in ("Weight", "Group", "Clip")]
            assert at[0] is not None
            sizes = [1 if j is None else len(reader.space.parameters[j].values) for j in at]
            values = np.full(sizes, np.nan)
            for index in np.ndindex(*sizes):
                choice = _choice(reader, at, index)
                values[index] = known[key_of(layer.name, choice)]
            self._columns.append((at[0], at[1], at[2], values))

    def losses(self, rows: IntArray) -> Losses:
        """Adds up divergences; the cross-entropy is taken to grow by as much."""
        zero = np.zeros(len(rows), np.int64)
        kl = np.zeros(len(rows))
        for w, g, c, values in self._columns:
            kl += values[
                rows[:, w], zero if g is None else rows[:, g], zero if c is None else rows[:, c]
            ]
        return Losses(self._base + kl, kl)


def _unquantized(network: Network) -> float:
    """Cross-entropy of what divergences are measured on."""
    if network.default_tokens == TOKENS:
        return network.evaluate(tokens=TOKENS).cross_entropy
    return network.evaluate(sequences=slice(None)).cross_entropy


def _choice(reader: Reader, at: list[int | None], index: tuple[int, ...]) -> WeightChoice:
    """The choice of the values number `index` of format, group and clip."""
    values = [
        None if j is None else reader.space.parameters[j].values[k]
        for j, k in zip(at, index, strict=True)
    ]
    name = str(values[0])
    if values[1] is None:
        return WeightChoice(name, 32, 1.0)
    free = numerics.parse(name).block is None and name != UNROUNDED
    clip = float(values[2] or 1.0) if name != UNROUNDED else 1.0
    return WeightChoice(name, group_of(str(values[1])) if free else None, clip)


def _reachable(reader: Reader, layer: str) -> list[WeightChoice]:
    """Choices that rows can make for a layer."""
    at = [reader.position(layer, field) for field in ("Weight", "Group", "Clip")]
    sizes = [1 if j is None else len(reader.space.parameters[j].values) for j in at]
    return list(dict.fromkeys(_choice(reader, at, index) for index in np.ndindex(*sizes)))


def whole_table(network: Network) -> dict[str, list[WeightChoice]]:
    """Everything that a shipped table holds."""
    three = [WeightChoice(name, 32, 1.0) for name in THREE]
    return {
        layer.name: list(dict.fromkeys([*choices_of(network, layer.name), *three]))
        for layer in network.layers
    }
