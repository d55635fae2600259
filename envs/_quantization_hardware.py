"""Memory, latency, energy and area of designs of `Quantization-v0`, from their number formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.cost_models import processing_elements
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.measured import Network
from archgym.cost_models.processing_elements.layers import (
    ArrayDesigns,
    LayerFormats,
    Layers,
    array_designs,
    chip_area_mm2,
    layer_costs,
    layers,
)
from archgym.envs._quantization_choices import Reader
from archgym.envs._quantization_operands import INPUTS, STORED, Operands
from archgym.envs._quantization_products import stages_of
from archgym.envs._quantization_space import FAMILIES, array_parameters, default_design
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray

CLOCK_MHZ = 1000.0
"""Of all arrays, that of BitMoD's synthesis (Chen et al., HPCA 2025, section V)."""

_CHUNK = 1024
"""Designs whose arrays are held at once: some hundred KiB each, which stay in a cache."""
_HALF_BITS = 16


class Hardware:
    """Costs of designs.

    Args:
        network: the measured network.
        reader: of the rows.
        shapes: one of `_quantization_products.SHAPES`.
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
        *,
        shapes: str,
        context: int,
        batch: int,
        generated: int,
    ) -> None:
        self._generated = generated
        stages = stages_of(network, shapes, context, batch)
        self._products = stages["prefill"]
        self._operands = Operands(self._products, reader)
        self._stages = {
            name: Stage(
                layers(
                    [
                        (
                            p.of or "attention",
                            p.batch,
                            p.rows,
                            p.columns,
                            p.tokens,
                            p.count,
                            not p.of,
                        )
                        for p in products
                    ]
                ),
                self._operands.stored_bits(products),
                self._operands.input_bits(products),
            )
            for name, products in stages.items()
        }
        self._elements = np.array([p.rows * p.columns * p.count for p in self._products if p.of])
        if shapes == "own":
            self._others = float(network.other_parameters)
        else:
            whole = load_network(shapes, batch, context, "prefill").parameters
            self._others = float(whole) - float(self._elements.sum())
        self._tables = [processing_elements.family(name).table(STORED, INPUTS) for name in FAMILIES]
        self._rates = np.stack([table.macs_per_cycle for table in self._tables])
        self._energies = np.stack([table.energy_pj_per_mac for table in self._tables])
        self._arrays = Arrays(reader.space)

    def costs(self, rows: IntArray) -> dict[str, FloatArray]:
        """Metrics and parts of canonical feasible rows `(n, d)`."""
        parts = [self._chunk(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        if not parts:
            parts = [self._chunk(rows)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _chunk(self, rows: IntArray) -> dict[str, FloatArray]:
        designs, family = self._arrays.read(rows)
        stored, given = self._operands.read(rows)
        pairs = self._operands.stored.take(stored) * len(INPUTS) + self._operands.inputs.take(given)
        of_family = pairs + (family * len(STORED) * len(INPUTS))[:, None]
        rates, energies = self._rates.take(of_family), self._energies.take(of_family)
        found: dict[str, FloatArray] = {}
        latency = {name: np.zeros(len(rows)) for name in ("prefill", "decode")}
        energy = {name: np.zeros(len(rows)) for name in ("elements", "sram", "dram")}
        for name, stage in self._stages.items():
            weight_bits = stage.stored_bits.take(stored)
            formats = LayerFormats(weight_bits, stage.input_bits.take(given), rates, energies)
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
                found |= self._memory(weight_bits)
        found["latency_us/prefill"] = latency["prefill"]
        found["latency_us/decode"] = latency["decode"] * self._generated
        found["decode_latency_us"] = latency["decode"]
        found |= {f"energy_uj/{part}": values for part, values in energy.items()}
        element = self._element_area(family, pairs)
        found["area_mm2/elements"] = chip_area_mm2(designs, element) - chip_area_mm2(designs, 0.0)
        found["area_mm2/sram"] = chip_area_mm2(designs, 0.0)
        return found

    def _element_area(self, family: IntArray, pairs: IntArray) -> FloatArray:
        """Area of an element of each design, for all pairs of formats `(n, l)` that it uses."""
        flat = np.zeros((len(pairs), len(STORED) * len(INPUTS)), np.bool_)
        flat[np.arange(len(pairs))[:, None], pairs] = True
        used = flat.reshape(len(pairs), len(STORED), len(INPUTS))
        area = np.empty(len(used))
        for number, table in enumerate(self._tables):
            which = np.flatnonzero(family == number)
            if len(which):
                area[which] = table.area_um2(used[which])
        return area

    def _memory(self, weight_bits: FloatArray) -> dict[str, FloatArray]:
        """Sizes of weights and cache."""
        cached = np.array([not p.of for p in self._products])
        stored = (weight_bits[:, ~cached] * self._elements).sum(axis=1)
        kept = np.array([p.batch * p.rows * p.columns * p.count for p in self._products])
        cache = (weight_bits[:, cached] * kept[cached]).sum(axis=1)
        return {
            "bits_per_weight": stored / self._elements.sum(),
            "weight_kib/layers": stored / 8192,
            "weight_kib/others": np.full(len(stored), self._others * _HALF_BITS / 8192),
            "kv_kib": cache / 8192,
        }


@dataclass(frozen=True)
class Stage:
    """One of reading the context and generating a token.

    Attributes:
        work: its products.
        stored_bits: of a stored value, by option; see `Operands`.
        input_bits: of an input, by option.
    """

    work: Layers
    stored_bits: FloatArray
    input_bits: FloatArray


class Arrays:
    """Reads the arrays of designs from rows; where a space has none, that of the default design.

    Args:
        space: of the rows.
    """

    def __init__(self, space: DesignSpace) -> None:
        usual = default_design(DesignSpace(list(array_parameters())), "full")
        values = {
            name: space.parameters[space.position(name)].values if name in space.names else (value,)
            for name, value in usual.items()
        }
        self._columns = {
            name: space.position(name) if name in space.names else None for name in usual
        }
        families = [str(name) for name in values.pop("Elements")]
        kinds = [processing_elements.family(name) for name in families]
        self._tables = {
            "family": np.array([FAMILIES.index(name) for name in families]),
            "inputs": np.array([kind.inputs for kind in kinds]),
            "outputs": np.array([kind.outputs for kind in kinds]),
            **{name: np.array(each) for name, each in values.items()},
        }

    def read(self, rows: IntArray) -> tuple[ArrayDesigns, IntArray]:
        """The arrays of rows `(n, d)`, and the numbers of their families."""
        values: dict[str, npt.NDArray[Any]] = {}
        for name, table in self._tables.items():
            column = self._columns[name if name in self._columns else "Elements"]
            at = np.zeros(len(rows), np.int64) if column is None else rows[:, column]
            values[name] = table.take(at)
        designs = array_designs(
            rows=values["Rows"],
            columns=values["Columns"],
            inputs=values["inputs"],
            outputs=values["outputs"],
            weight_sram_bytes=values["WeightSramKiB"] * 1024,
            activation_sram_bytes=values["ActivationSramKiB"] * 1024,
            dram_bits_per_cycle=values["DramBits"],
        )
        return designs, values["family"]
