"""What the rows of a space say of each layer of a network, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archgym.cost_models.measured import Layer, Network
from archgym.cost_models.numerics import Group
from archgym.envs._quantization_space import group_of, units_of
from archgym.space import DesignSpace, IntArray, Value


@dataclass(frozen=True)
class WeightChoice:
    """How the weights of a layer are stored.

    Attributes:
        format: name of a number format.
        group: values that share a scale, None for the format's own blocks.
        clip: share of the largest magnitude that the codes reach.
    """

    format: str
    group: Group
    clip: float


@dataclass(frozen=True)
class Choices:
    """All choices of a design, layer by layer.

    Attributes:
        weights: by name of layer.
        activations: names as in `ACTIVATIONS`, by name of layer.
        cache: format of keys and values.
        keys_by: `token` or `channel`.
        attention: format of queries and probabilities, as in `ATTENTIONS`.
        smoothing: None for none.
        rounding: `nearest`, `gptq` or `awq`.
    """

    weights: Mapping[str, WeightChoice]
    activations: Mapping[str, str]
    cache: str = "fp16"
    keys_by: str = "token"
    attention: str = "fp16"
    smoothing: float | None = None
    rounding: str = "nearest"


class Reader:
    """Reads rows of a space.

    Args:
        space: of `quantization_space`.
        network: whose layers it is about.
        tied: what shares its choices.
    """

    def __init__(self, space: DesignSpace, network: Network, tied: str) -> None:
        self.space = space
        self.unit_of: dict[str, str] = {
            layer.name: name for name, x in units_of(network, tied).items() for layer in x
        }
        self.layers: tuple[Layer, ...] = network.layers
        hardware = [p.subsystem == "array" for p in space.parameters]
        self.measured = [j for j, own in enumerate(hardware) if not own]
        """Columns that the loss depends on."""

    def position(self, layer: str, field: str) -> int | None:
        """Column of a parameter of the unit of a layer, None where the space has none."""
        name = f"{self.unit_of[layer]}.{field}"
        return self.space.names.index(name) if name in self.space.names else None

    def read(self, row: IntArray) -> Choices:
        """The choices of one row `(d,)`."""
        values = self.space.decode(row)
        active = self.space.active(row[None])[0]
        on = {name: bool(each) for name, each in zip(self.space.names, active, strict=True)}
        smoothing = values.get("Smoothing", "none")
        return Choices(
            {layer.name: self._weight(layer.name, values, on) for layer in self.layers},
            {
                layer.name: str(values.get(f"{self.unit_of[layer.name]}.Activation", "fp16"))
                for layer in self.layers
            },
            str(values.get("KvCache", "fp16")),
            str(values.get("KeysBy", "token")),
            str(values.get("Attention", "fp16")),
            None if smoothing == "none" else float(smoothing),
            str(values.get("Rounding", "nearest")),
        )

    def _weight(
        self, layer: str, values: Mapping[str, Value], on: Mapping[str, bool]
    ) -> WeightChoice:
        unit = self.unit_of[layer]
        fmt = str(values[f"{unit}.Weight"])
        if f"{unit}.Group" not in values:
            return WeightChoice(fmt, 32, 1.0)
        group = group_of(str(values[f"{unit}.Group"])) if on[f"{unit}.Group"] else None
        clip = float(values[f"{unit}.Clip"]) if on[f"{unit}.Clip"] else 1.0
        return WeightChoice(fmt, group, clip)
