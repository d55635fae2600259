"""Memory, latency, energy and area of designs of `Quantization-v0`, from their number formats."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.cost_models import numerics, processing_elements
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.measured import LanguageModel, Network
from archgym.cost_models.numerics import Group, KvCache
from archgym.cost_models.processing_elements.layers import (
    ArrayDesigns,
    LayerFormats,
    Layers,
    array_designs,
    chip_area_mm2,
    layer_costs,
    layers,
    network_layers,
)
from archgym.envs._quantization_choices import Reader
from archgym.envs._quantization_space import (
    ACTIVATIONS,
    ATTENTIONS,
    CACHES,
    FAMILIES,
    WEIGHTS,
    ActivationFormat,
    default_design,
    group_of,
)
from archgym.metric import FloatArray
from archgym.space import IntArray

CLOCK_MHZ = 1000.0
"""Of all arrays, that of BitMoD's synthesis (Chen et al., HPCA 2025, section V)."""

SHAPES = ("own", "llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b")
"""What costs are told of: the measured network's own layers, or those of a larger one."""

_STORED = tuple(dict.fromkeys((*WEIGHTS, *CACHES)))
_INPUTS = tuple(
    dict.fromkeys(ActivationFormat.parse(name).format for name in (*ACTIVATIONS, *ATTENTIONS))
)
_CHUNK = 4096
_HALF_BITS = 16


@dataclass(frozen=True)
class Product:
    """A product of a stage.

    Attributes:
        of: layer of the measured network whose formats it has, empty for attention.
        batch, rows, columns, tokens, count: as in `processing_elements.layers.Layers`.
        head: width of a head, for products with keys or values; else 0.
    """

    of: str
    batch: float
    rows: float
    columns: float
    tokens: float
    count: float
    head: int = 0


def own_products(network: Network, context: int, batch: int, stage: str) -> list[Product]:
    """The products of the measured network; of an image classifier for `prefill` only."""
    if not isinstance(network, LanguageModel):
        if stage == "decode":
            return []
        return [
            Product(
                x.name, 1, x.rows, x.columns, batch * x.macs_per_token / (x.rows * x.columns), 1
            )
            for x in network.layers
        ]
    shape = network.shape
    tokens = batch * (context if stage == "prefill" else 1)
    products = [Product(x.name, 1, x.rows, x.columns, tokens, 1) for x in network.layers]
    width, heads = shape.width // shape.heads, batch * shape.heads
    seen = tokens / batch
    for _ in range(shape.blocks):
        products.append(Product("", heads, context, width, seen, 1, head=width))
        products.append(Product("", heads, width, context, seen, 1, head=width))
    return products


def named_products(
    network: LanguageModel, name: str, context: int, batch: int, stage: str
) -> list[Product]:
    """The products of a larger decoder; a block of the measured network stands for several.

    Fused projections are taken apart, so that each has the formats of its kind. The output head is
    left out, as that of the measured network.
    """
    work = network_layers(name, batch=batch, context=context, stage=stage)
    blocks = network.shape.blocks
    found = []
    for i, full in enumerate(work.names):
        label = full.removeprefix("layer.")
        sizes = (float(work.columns[i]), float(work.tokens[i]), float(work.count[i]) / blocks)
        if bool(work.cached[i]):
            keys = label == "attention.0"
            head = int(work.columns[i] if keys else work.rows[i])
            each = Product("", float(work.batch[i]), float(work.rows[i]), *sizes, head=head)
            found += [each] * blocks
        for kind, rows in _parts(label, float(work.rows[i]), float(work.columns[i])):
            found += [Product(f"{b}.{kind}", 1, rows, *sizes) for b in range(blocks)]
    return found


def _parts(label: str, rows: float, columns: float) -> list[tuple[str, float]]:
    """Kinds of layers in a product of a decoder, with their rows."""
    if label == "qkv":
        shared = (rows - columns) / 2
        return [("q", columns), ("k", shared), ("v", shared)]
    if label == "gate_up":
        return [("gate", rows / 2), ("up", rows / 2)]
    return [({"project": "o", "down": "down"}[label], rows)] if label in ("project", "down") else []


class Stage:
    """Costs of one stage, for rows of a space.

    Args:
        products: of the stage, at least one.
        reader: of the rows.
    """

    def __init__(self, products: Sequence[Product], reader: Reader) -> None:
        self.products = products
        self.work: Layers = layers(
            [
                (p.of or "attention", p.batch, p.rows, p.columns, p.tokens, p.count, not p.of)
                for p in products
            ]
        )
        self._reader = reader
        self._weight_bits = [self._stored(each) for each in products]
        self._input_bits = [_input_bits(p, self._inputs(p)) for p in products]

    def _stored(self, product: Product) -> FloatArray:
        """Bits of a stored value, by number of the format and of the group `(formats, groups)`."""
        rows, columns = int(product.rows), int(product.columns)
        if not product.of:
            tokens, head = rows * columns // product.head, product.head
            kept = [
                [_HALF_BITS if c == "fp16" else _cache_bits(c, by, tokens, head)]
                for c in CACHES
                for by in ("token", "channel")
            ]
            return np.array(kept, np.float64)
        table = []
        for name in self._formats(product.of):
            fmt = numerics.parse(name)
            fixed = fmt.block is not None or name == "fp16"
            sizes = [None if fixed else group for group in self._groups(product.of)]
            table.append([fmt.bits_per_value(rows, columns, size) for size in sizes])
        return np.array(table)

    def _formats(self, layer: str) -> tuple[str, ...]:
        at = self._reader.position(layer, "Weight")
        assert at is not None
        return tuple(str(value) for value in self._reader.space.parameters[at].values)

    def _groups(self, layer: str) -> list[Group]:
        at = self._reader.position(layer, "Group")
        if at is None:
            return [32]
        return [group_of(str(value)) for value in self._reader.space.parameters[at].values]

    def _inputs(self, product: Product) -> tuple[str, ...]:
        """Formats that the other operand of a product may have."""
        if not product.of:
            return ATTENTIONS
        at = self._reader.position(product.of, "Activation")
        if at is None:
            return ACTIVATIONS[:1]
        return tuple(str(value) for value in self._reader.space.parameters[at].values)

    def chosen(self, rows: IntArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Numbers of formats in `_STORED` and `_INPUTS`, and bits of both, all `(n, l)`."""
        n, space = len(rows), self._reader.space
        stored = np.empty((n, len(self.products)), np.int64)
        given = np.zeros((n, len(self.products)), np.int64)
        weight_bits = np.empty(stored.shape)
        input_bits = np.empty(stored.shape)
        cache = _column(space.names, rows, "KvCache")
        by = _column(space.names, rows, "KeysBy")
        operands = _column(space.names, rows, "Attention")
        for k, product in enumerate(self.products):
            if not product.of:
                stored[:, k] = np.array([_STORED.index(c) for c in CACHES])[cache]
                weight_bits[:, k] = self._weight_bits[k][2 * cache + by, 0]
                given[:, k] = _inputs_of(ATTENTIONS)[operands]
                input_bits[:, k] = self._input_bits[k][operands]
                continue
            w = rows[:, _known(self._reader.position(product.of, "Weight"))]
            at = self._reader.position(product.of, "Group")
            g = rows[:, at] if at is not None else np.zeros(n, np.int64)
            weight_bits[:, k] = self._weight_bits[k][w, g]
            names = self._formats(product.of)
            stored[:, k] = np.array([_STORED.index(name) for name in names])[w]
            at = self._reader.position(product.of, "Activation")
            a = rows[:, at] if at is not None else np.zeros(n, np.int64)
            given[:, k] = _inputs_of(self._inputs(product))[a]
            input_bits[:, k] = self._input_bits[k][a]
        return stored, given, weight_bits, input_bits


@functools.cache
def _inputs_of(names: tuple[str, ...]) -> IntArray:
    """Numbers in `_INPUTS` of the formats of operands."""
    return np.array([_INPUTS.index(ActivationFormat.parse(name).format) for name in names])


def _known(position: int | None) -> int:
    assert position is not None
    return position


def _column(names: Sequence[str], rows: IntArray, name: str) -> IntArray:
    """A column of the rows, zeros where the space has none."""
    return rows[:, names.index(name)] if name in names else np.zeros(len(rows), np.int64)


def _cache_bits(cache: str, keys_by: str, tokens: int, width: int) -> float:
    """Mean bits of a key or value of a head."""
    return KvCache(cache, keys_by).bits(1, tokens, width) / (2 * tokens * width)


def _input_bits(product: Product, names: Sequence[str]) -> FloatArray:
    """Bits of an input in each of some formats; a row of another model's may be padded."""
    tokens, columns = max(int(product.tokens), 1), int(product.columns)
    found = []
    for name in names:
        chosen = ActivationFormat.parse(name)
        size = chosen.group if isinstance(chosen.group, int) else 2
        wide = -(-columns // size) * size
        bits = numerics.parse(chosen.format).bits(tokens, wide, chosen.group)
        found.append(bits / (tokens * columns))
    return np.array(found)


class Hardware:
    """Costs of designs.

    Args:
        network: the measured network.
        reader: of the rows.
        kind: of the space; where it has no hardware, that of the default design counts.
        shapes: one of `SHAPES`.
        context: tokens read before the first is generated.
        batch: sequences, or images.
        generated: tokens generated, of language models.

    Raises:
        ValueError: for shapes of a language model where the network is none.
    """

    def __init__(
        self,
        network: Network,
        reader: Reader,
        kind: str,
        *,
        shapes: str,
        context: int,
        batch: int,
        generated: int,
    ) -> None:
        self._reader = reader
        self._generated = generated
        found: dict[str, list[Product]] = {}
        for stage in ("prefill", "decode"):
            if shapes == "own":
                found[stage] = own_products(network, context, batch, stage)
            elif isinstance(network, LanguageModel):
                found[stage] = named_products(network, shapes, context, batch, stage)
            else:
                raise ValueError(
                    f"cost_shapes: {shapes!r} is a language model, {network.name} is none; take own"
                )
        self.stages = {name: Stage(each, reader) for name, each in found.items() if each}
        weights = [p for p in found["prefill"] if p.of]
        self._elements = np.array([p.rows * p.columns * p.count for p in weights])
        if shapes == "own":
            self._others = float(network.other_parameters)
        else:
            whole = load_network(shapes, batch, context, "prefill").parameters
            self._others = float(whole) - float(self._elements.sum())
        self._kind = kind
        tables = [processing_elements.family(name).table(_STORED, _INPUTS) for name in FAMILIES]
        self._tables = tables
        self._rates = np.stack([table.macs_per_cycle for table in tables])
        self._energies = np.stack([table.energy_pj_per_mac for table in tables])
        self._steps = np.array(
            [
                [getattr(processing_elements.family(name), side) for side in ("inputs", "outputs")]
                for name in FAMILIES
            ],
            np.float64,
        )

    def costs(self, rows: IntArray) -> dict[str, FloatArray]:
        """Metrics and parts of canonical feasible rows `(n, d)`."""
        parts = [self._chunk(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        if not parts:
            parts = [self._chunk(rows)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _chunk(self, rows: IntArray) -> dict[str, FloatArray]:
        designs, family = self._arrays(rows)
        used = np.zeros((len(rows), len(_STORED), len(_INPUTS)), np.bool_)
        found: dict[str, FloatArray] = {}
        latency = {name: np.zeros(len(rows)) for name in ("prefill", "decode")}
        energy = {name: np.zeros(len(rows)) for name in ("elements", "sram", "dram")}
        for name, stage in self.stages.items():
            stored, given, weight_bits, input_bits = stage.chosen(rows)
            used[np.arange(len(rows))[:, None], stored, given] = True
            at = (family[:, None], stored, given)
            formats = LayerFormats(weight_bits, input_bits, self._rates[at], self._energies[at])
            costs = layer_costs(stage.work, designs, formats)
            runs = 1 if name == "prefill" else self._generated
            latency[name] = costs.cycles.sum(axis=1) / CLOCK_MHZ
            for part, each in (
                ("elements", costs.element_pj),
                ("sram", costs.sram_pj),
                ("dram", costs.dram_pj),
            ):
                energy[part] += runs * each.sum(axis=1) * 1e-6
            if name == "prefill":
                found |= self._memory(stage, weight_bits)
        found["latency_us/prefill"] = latency["prefill"]
        found["latency_us/decode"] = latency["decode"] * self._generated
        found["decode_latency_us"] = latency["decode"]
        found |= {f"energy_uj/{part}": values for part, values in energy.items()}
        element = self._element_area(family, used)
        found["area_mm2/elements"] = chip_area_mm2(designs, element) - chip_area_mm2(designs, 0.0)
        found["area_mm2/sram"] = chip_area_mm2(designs, 0.0)
        return found

    def _arrays(self, rows: IntArray) -> tuple[ArrayDesigns, IntArray]:
        """The arrays of designs, and the numbers of their families."""
        space = self._reader.space
        usual = default_design_of_arrays()
        values: dict[str, npt.NDArray[Any]] = {}
        for name, value in usual.items():
            if name in space.names:
                values[name] = np.array(space.parameters[space.position(name)].values)[
                    rows[:, space.position(name)]
                ]
            else:
                values[name] = np.full(len(rows), value)
        family = np.array([FAMILIES.index(str(name)) for name in values["Elements"]], np.int64)
        steps = self._steps[family]
        designs = array_designs(
            rows=values["Rows"],
            columns=values["Columns"],
            inputs=steps[:, 0],
            outputs=steps[:, 1],
            weight_sram_bytes=values["WeightSramKiB"] * 1024,
            activation_sram_bytes=values["ActivationSramKiB"] * 1024,
            dram_bits_per_cycle=values["DramBits"],
        )
        return designs, family

    def _element_area(self, family: IntArray, used: npt.NDArray[np.bool_]) -> FloatArray:
        """Area of an element of each design, for all pairs of formats that it uses."""
        area = np.empty(len(used))
        for number, table in enumerate(self._tables):
            which = np.flatnonzero(family == number)
            if len(which):
                packed = np.packbits(used[which].reshape(len(which), -1), axis=1)
                _, first, back = np.unique(packed, axis=0, return_index=True, return_inverse=True)
                area[which] = table.area_um2(used[which[first]])[back.reshape(-1)]
        return area

    def _memory(self, stage: Stage, weight_bits: FloatArray) -> dict[str, FloatArray]:
        """Sizes of weights and cache."""
        cached = np.array([not p.of for p in stage.products])
        stored = (weight_bits[:, ~cached] * self._elements).sum(axis=1)
        kept = np.array([p.batch * p.rows * p.columns * p.count for p in stage.products])
        cache = (weight_bits[:, cached] * kept[cached]).sum(axis=1)
        return {
            "bits_per_weight": stored / self._elements.sum(),
            "weight_kib/layers": stored / 8192,
            "weight_kib/others": np.full(len(stored), self._others * _HALF_BITS / 8192),
            "kv_kib": cache / 8192,
        }


def default_design_of_arrays() -> Mapping[str, Any]:
    """Hardware of the default design, for spaces that choose none."""
    from archgym.envs._quantization_space import _array_parameters
    from archgym.space import DesignSpace

    return default_design(DesignSpace(list(_array_parameters())), "full")
