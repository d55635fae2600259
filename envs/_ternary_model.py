"""The cost model of `TernaryPe-v0`: an engine's costs for the matrices of a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.processing_elements.ternary import (
    PIPELINES,
    STYLES,
    TernaryDesigns,
    ternary_costs,
    tiles,
)
from archgym.metric import Budget, FloatArray, Metric, Objective
from archgym.space import DesignSpace, IntArray, Parameter, Value

METRICS = (
    Metric("latency_us", "us", "minimise", "of all ternary matrices, for one token"),
    Metric("energy_uj", "uJ", "minimise", "likewise, without memories"),
    Metric("energy_pj_per_mac", "pJ/MAC", "minimise", "of a multiply-accumulate"),
    Metric("area_mm2", "mm2", "minimise", "of the engine at 28 nm, synthesised"),
    Metric("throughput_gmac_per_s", "GMAC/s", "maximise", "multiply-accumulates per latency"),
    Metric("density_tmac_per_s_per_mm2", "TMAC/s/mm2", "maximise", "throughput per area"),
    Metric("power_mw", "mW", "minimise", "energy per latency"),
    Metric("weight_bandwidth_gb_per_s", "GB/s", "minimise", "of weights read, a resource"),
)

OBJECTIVES = (
    Objective("density", ("density_tmac_per_s_per_mm2",), doc="most throughput per area"),
    Objective("low-energy", ("energy_uj",), doc="least energy per token"),
    Objective(
        "latency-under-area",
        ("latency_us",),
        budgets=(Budget("area_mm2", 1.0, relative=True),),
        doc="least latency with no more area than the default design",
    ),
    Objective(
        "energy-under-budget",
        ("energy_uj",),
        budgets=(
            Budget("latency_us", 1.0, relative=True),
            Budget("area_mm2", 1.0, relative=True),
        ),
        doc="least energy with no more latency and area than the default design",
    ),
    Objective("energy-delay", ("energy_uj", "latency_us"), doc="least energy-delay product"),
    Objective("latency-area", ("latency_us", "area_mm2"), pareto=True, doc="trade-off of both"),
    Objective(
        "latency-energy-area",
        ("latency_us", "energy_uj", "area_mm2"),
        pareto=True,
        doc="trade-off of all three",
    ),
)

_LUT, _OTHERS = ("lut",), ("adders", "multipliers")
SPACE = DesignSpace(
    [
        Parameter("style", STYLES, "how products with ternary weights are made", subsystem="tile"),
        Parameter(
            "group_size",
            (3, 4, 5, 6, 7),
            "activations whose sums a table holds",
            unit="activations",
            subsystem="tile",
            ordered=True,
            when={"style": _LUT},
        ),
        Parameter(
            "tables",
            (1, 2, 4, 8, 16, 32),
            "tables that work at once",
            unit="tables",
            subsystem="tile",
            ordered=True,
            when={"style": _LUT},
        ),
        Parameter(
            "inputs",
            (4, 8, 16, 32, 64, 128),
            "activations that work at once, without tables",
            unit="activations",
            subsystem="tile",
            ordered=True,
            when={"style": _OTHERS},
        ),
        Parameter(
            "fetchers",
            (1, 2, 4, 8, 16, 32, 64, 128),
            "outputs that are made at once",
            unit="outputs",
            subsystem="tile",
            ordered=True,
        ),
        Parameter(
            "reuse",
            (1, 2, 4, 8, 16, 32),
            "tiles of outputs for which activations and tables stay, with as many sums kept",
            unit="tiles",
            subsystem="schedule",
            ordered=True,
        ),
        Parameter(
            "pipeline",
            PIPELINES,
            "registers inside: none, after tables and sums of a tile, or after every adder",
            subsystem="schedule",
            ordered=True,
        ),
    ]
)
"""All engines: 5 x 6 x 8 x 6 x 3 with tables, 2 x 6 x 8 x 6 x 3 without."""

DEFAULT: Mapping[str, Value] = {
    "style": "multipliers", "inputs": 32, "fetchers": 16, "reuse": 1, "pipeline": "parts",
}  # fmt: skip

PARTS = ("build", "read", "reduce", "accumulate", "registers")
Matrix = tuple[int, int, int]


class TernaryPe:
    """An engine that multiplies a vector by each ternary matrix of a network.

    Args:
        matrices: Outputs, inputs and number of each kind of matrix.
        activation: Operand of the activations.
    """

    def __init__(self, matrices: tuple[Matrix, ...], activation: str) -> None:
        self.space = SPACE
        self.metrics: tuple[Metric, ...] = METRICS
        self.default = DEFAULT
        self._matrices, self._activation = matrices, activation
        self._macs = float(sum(rows * columns * count for rows, columns, count in matrices))
        self._depth = max(columns for _, columns, _ in matrices)
        largest = max(rows for rows, _, _ in matrices)
        scale = [np.log2(self._macs) / 36, np.log2(self._depth) / 16, np.log2(largest) / 16]
        self.features: FloatFeatures = np.array(scale, np.float32)

    def evaluate(self, designs: IntArray) -> Costs:
        """Costs of a batch `(n, d)`; see `archgym.cost_models.processing_elements.ternary`."""
        engines = self._engines(designs)
        costs = ternary_costs(engines, self._activation, self._depth)
        cycles, changes = np.zeros(len(designs)), np.zeros(len(designs))
        for rows, columns, count in self._matrices:
            one_cycles, one_changes = tiles(engines, rows, columns)
            cycles += count * one_cycles
            changes += count * one_changes
        latency_us = cycles * costs.period_ps * 1e-6
        built_uj, tiles_uj = changes * costs.build_pj * 1e-6, cycles * costs.cycle_pj * 1e-6
        parts = {f"area_mm2/{name}": costs.area_um2[name] * 1e-6 for name in PARTS}
        area_mm2: FloatArray = np.asarray(sum(parts.values(), np.zeros(len(designs))))
        energy_uj = built_uj + tiles_uj
        rate = self._macs / latency_us * 1e-3
        # Weights of a group are one number: 3^group_size of them.
        lut = engines.style == STYLES.index("lut")
        weight_bits = np.where(lut, np.ceil(engines.group_size * np.log2(3)), 2.0)
        read_bits = cycles * engines.lanes * engines.fetchers * weight_bits
        values = (
            latency_us,
            energy_uj,
            energy_uj * 1e6 / self._macs,
            area_mm2,
            rate,
            rate / area_mm2 * 1e-3,
            energy_uj / latency_us * 1e3,
            read_bits / 8 / latency_us * 1e-3,
        )
        metrics = {each.name: v for each, v in zip(METRICS, values, strict=True)}
        energy = {"energy_uj/activations": built_uj, "energy_uj/tiles": tiles_uj}
        return Costs(metrics, breakdown={**parts, **energy})

    def _engines(self, designs: IntArray) -> TernaryDesigns:
        """Rows as engines; parameters without effect are left out."""
        values = {
            each.name: np.asarray(each.values)[designs[:, j]]
            for j, each in enumerate(self.space.parameters)
            if each.name not in ("style", "pipeline")
        }
        style = designs[:, self.space.names.index("style")]
        lut = style == STYLES.index("lut")
        return TernaryDesigns(
            style,
            np.where(lut, values["group_size"], 1),
            np.where(lut, values["tables"], values["inputs"]),
            values["fetchers"],
            values["reuse"],
            designs[:, self.space.names.index("pipeline")],
        )
