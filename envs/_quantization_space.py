"""Design spaces of `Quantization-v0`: number formats of a network's layers, and the hardware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archgym.cost_models import numerics, processing_elements
from archgym.cost_models.measured import Layer, Network
from archgym.cost_models.numerics import Group
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, Parameter, Value

WEIGHTS = (
    *("fp16", "int8", "mxint8", "mxfp8-e4m3", "int6", "mxfp6-e2m3", "int5", "int4", "int4-asym"),
    *("fp4", "nf4", "pot4", "bitmod4", "olive4", "bfp4", "nvfp4", "mxfp4", "mxint4", "int3"),
    *("int3-asym", "bitmod3", "int2-asym", "ternary"),
)
"""Formats of weights; aliases of others up to a scale (docs/formats.md) are left out."""

THREE = ("int4-asym", "int3-asym", "int2-asym")
"""Formats of the space `three-formats`, all with groups of 32."""

CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6)
UNROUNDED = "fp16"
"""Weights and activations in this format are as trained: shipped weights are in fp16 already."""


@dataclass(frozen=True)
class ActivationFormat:
    """A format of activations with its granularity, `int8/token` in the space."""

    format: str
    group: Group

    @classmethod
    def parse(cls, name: str) -> ActivationFormat:
        """The inverse of the names in `ACTIVATIONS`."""
        fmt, _, group = name.partition("/")
        return cls(fmt, group_of(group) if group else None)


ACTIVATIONS = (
    *("fp16", "int8/tensor", "int8/token", "int8/g32", "int6/token", "int4/token", "int4/g32"),
    *("fp8-e4m3/tensor", "mxfp8-e4m3", "mxfp6-e2m3", "mxint8", "nvfp4", "mxfp4", "olive4/token"),
)
ATTENTIONS = ("fp16", "int8/token", "int6/token", "fp8-e4m3/token")
"""Formats of queries, and of the probabilities that meet the values."""

CACHES = ("fp16", "int8-asym", "int4-asym", "int3-asym", "int2-asym")
SMOOTHINGS = ("none", 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
ROUNDINGS = ("nearest", "gptq", "awq")
FAMILIES = ("bit-parallel", "bit-serial", "bitmod", "lut-ternary")
SPACES = ("full", "weights", "three-formats")
TIES = ("layer", "type", "block")


def group_of(name: str) -> Group:
    """A granularity by its name in the space: `tensor`, `channel`, `token` or `g32`."""
    return int(name[1:]) if name[0] == "g" and name[1:].isdigit() else name


def units_of(network: Network, tied: str) -> dict[str, tuple[Layer, ...]]:
    """The layers that share their choices, by name of the unit, in order of first use."""
    units: dict[str, list[Layer]] = {}
    for layer in network.layers:
        name = {"layer": layer.name, "type": layer.kind, "block": f"block{layer.block}"}[tied]
        units.setdefault(name, []).append(layer)
    return {name: tuple(layers) for name, layers in units.items()}


def groups_for(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Granularities that divide the rows of all layers of a unit."""
    sizes = [f"g{n}" for n in (128, 64, 32, 16) if all(x.columns % n == 0 for x in layers)]
    wide = [name for name in sizes if any(int(name[1:]) < x.columns for x in layers)]
    return ("tensor", "channel", *wide)


def weights_for(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Formats for the weights of a unit; pairs of values need rows of even length."""
    odd = any(layer.columns % 2 for layer in layers)
    return tuple(name for name in WEIGHTS if not (odd and name.startswith("olive")))


def activations_for(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Formats for the inputs of a unit, of those whose groups divide its channels."""

    def fits(name: str) -> bool:
        chosen = ActivationFormat.parse(name)
        of = chosen.group if isinstance(chosen.group, int) else 1
        size = 2 if chosen.format.startswith("olive") else of
        return all(layer.channels % size == 0 for layer in layers)

    return tuple(name for name in ACTIVATIONS if fits(name))


def _unit_parameters(name: str, layers: Sequence[Layer], activations: bool) -> Iterator[Parameter]:
    weights = weights_for(layers)
    free = tuple(w for w in weights if numerics.parse(w).block is None and w != UNROUNDED)
    rounded = tuple(w for w in weights if w != UNROUNDED)
    of = " ".join(layer.name for layer in layers)
    yield Parameter(f"{name}.Weight", weights, f"format of the weights of {of}", subsystem=name)
    yield Parameter(
        f"{name}.Group",
        groups_for(layers),
        "weights that share a scale",
        subsystem=name,
        ordered=True,
        when={f"{name}.Weight": free},
    )
    yield Parameter(
        f"{name}.Clip",
        CLIPS,
        "share of the largest magnitude that the codes reach",
        subsystem=name,
        ordered=True,
        when={f"{name}.Weight": rounded},
    )
    if activations:
        yield Parameter(
            f"{name}.Activation",
            activations_for(layers),
            f"format of the inputs of {of}",
            subsystem=name,
        )


def _network_parameters(caches: bool) -> Iterator[Parameter]:
    if caches:
        yield Parameter("KvCache", CACHES, "format of keys and values", subsystem="network")
        yield Parameter(
            "KeysBy",
            ("token", "channel"),
            "what shares a scale of keys",
            subsystem="network",
            when={"KvCache": CACHES[1:]},
        )
        yield Parameter(
            "Attention",
            ATTENTIONS,
            "format of queries and of attention's probabilities",
            subsystem="network",
        )
    yield Parameter(
        "Smoothing",
        SMOOTHINGS,
        "share of the range that moves into the weights",
        subsystem="network",
    )
    yield Parameter("Rounding", ROUNDINGS, "how weights are rounded", subsystem="network")


def array_parameters() -> Iterator[Parameter]:
    """Of the hardware of the space `full`."""
    sizes = (4, 8, 16, 32, 64)
    yield Parameter("Elements", FAMILIES, "kind of processing element", subsystem="array")
    for name, along in (("Rows", "outputs"), ("Columns", "tokens")):
        yield Parameter(name, sizes, f"elements along {along}", subsystem="array", ordered=True)
    for name, held in (("WeightSramKiB", "weights"), ("ActivationSramKiB", "activations")):
        yield Parameter(
            name,
            (8, 16, 32, 64, 128, 256, 512),
            f"memory for {held}",
            unit="KiB",
            subsystem="array",
            ordered=True,
        )
    yield Parameter(
        "DramBits",
        (32, 64, 128, 256),
        "bandwidth of the DRAM per cycle",
        unit="bit",
        subsystem="array",
        ordered=True,
    )


def quantization_space(network: Network, kind: str, tied: str) -> DesignSpace:
    """The design space of a network.

    Args:
        network: whose layers are quantized.
        kind: one of `SPACES`.
        tied: one of `TIES`.

    Raises:
        ValueError: for `three-formats` of a network whose rows its groups do not divide.
    """
    units = units_of(network, tied)
    if kind == "three-formats":
        for layer in network.layers:
            if layer.columns % 32:
                raise ValueError(
                    f"space: 'three-formats' has groups of 32, which do not divide the "
                    f"{layer.columns} columns of layer {layer.name!r} of {network.name}"
                )
        return DesignSpace(
            [
                Parameter(
                    f"{name}.Weight", THREE, f"format of {name}, groups of 32", subsystem=name
                )
                for name in units
            ]
        )
    full = kind == "full"
    own = [each for name, x in units.items() for each in _unit_parameters(name, x, full)]
    if not full:
        return DesignSpace(own)
    caches = has_cache(network)
    rules = [_multiplies(f"{name}.Weight", f"{name}.Activation", name) for name in units]
    if caches:
        rules.append(_multiplies("KvCache", "Attention", "attention"))
    rules += [_rounds(name) for name in units]
    return DesignSpace([*array_parameters(), *_network_parameters(caches), *own], rules)


def has_cache(network: Network) -> bool:
    """Whether a network keeps keys and values."""
    return any(layer.kind == "k" for layer in network.layers)


def _multiplies(weight: str, activation: str, where: str) -> Constraint:
    """The element multiplies the formats of a unit, or of attention."""
    kinds = CACHES if weight == "KvCache" else WEIGHTS
    of = {name: ActivationFormat.parse(name).format for name in (*ACTIVATIONS, *ATTENTIONS)}
    inputs = tuple(dict.fromkeys(of.values()))
    tables = {
        name: processing_elements.family(name).table(kinds, inputs).supported for name in FAMILIES
    }
    able = {
        (family, w, a): bool(tables[family][i, j])
        for family in FAMILIES
        for i, w in enumerate(kinds)
        for j, a in enumerate(inputs)
    }

    def satisfied(columns: Columns) -> BoolArray:
        rows = zip(columns["Elements"], columns[weight], columns[activation], strict=True)
        return np.array([able[family, w, of[a]] for family, w, a in rows], np.bool_)

    return Constraint(
        f"{where}: the elements cannot multiply its formats",
        satisfied,
        "see docs/cost_models/processing-elements.md for what each kind multiplies",
    )


def _rounds(name: str) -> Constraint:
    """GPTQ makes up for the error of a value, so it needs formats that round values alone."""
    together = {w for w in WEIGHTS if not numerics.parse(w).elementwise}

    def obeyed(columns: Columns) -> BoolArray:
        joint = np.isin(columns[f"{name}.Weight"].astype(str), list(together))
        satisfied: BoolArray = ~(joint & (columns["Rounding"] == "gptq"))
        return satisfied

    return Constraint(
        f"{name}: gptq with a format that rounds values together",
        obeyed,
        "GPTQ spreads the error of every rounded value over later ones",
    )


def default_design(space: DesignSpace, kind: str) -> Mapping[str, Value]:
    """Eight bits everywhere, by channel and token; for `three-formats` four bits."""
    usual: dict[str, Value] = {
        "Elements": "bit-parallel",
        "Rows": 16,
        "Columns": 16,
        "WeightSramKiB": 64,
        "ActivationSramKiB": 64,
        "DramBits": 128,
        "KvCache": "int8-asym",
        "KeysBy": "token",
        "Attention": "int8/token",
        "Smoothing": "none",
        "Rounding": "nearest",
    }
    of_unit: dict[str, Value] = {
        "Weight": "int4-asym" if kind == "three-formats" else "int8",
        "Group": "channel",
        "Clip": 1.0,
        "Activation": "int8/token",
    }
    return {
        name: of_unit[name.rpartition(".")[2]] if "." in name else usual[name]
        for name in space.names
    }
