"""The cost model of `Fusion-v0`: one attention on arrays, and what its designs are measured by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.accelerator.fusion import AttentionSizes, Fusion, FusionDesigns, fusion
from archgym.cost_models.accelerator.fusion.area import AREA_PARTS, area_parts_um2
from archgym.cost_models.accelerator.fusion.energy import ENERGY_PARTS, energy_parts_j
from archgym.envs._fusion_space import BASELINES, baseline_design, designs_and_mapping, fusion_space
from archgym.metric import Budget, FloatArray, Metric, Objective
from archgym.space import IntArray, Value

OVERFLOW = "buffer smaller than what it must hold"

METRICS = (
    Metric("latency_ms", "ms", "minimise", "of all heads of a batch"),
    Metric("energy_mj", "mJ", "minimise", "of all heads of a batch, DRAM included"),
    Metric("power_w", "W", "minimise", "energy per latency, DRAM included"),
    Metric("area_mm2", "mm2", "minimise", "of both arrays and the buffer, 45 nm"),
    Metric("dram_traffic_gb", "GB", "minimise", "moved for a batch"),
    Metric("array_utilisation_percent", "%", "maximise", "time that the square array is at work"),
    Metric("lane_utilisation_percent", "%", "maximise", "time that the vector array is at work"),
    Metric("dram_bandwidth_gb_per_s", "GB/s", "minimise", "peak, a resource"),
    Metric("buffer_kib", "KiB", "minimise", "of the buffer"),
)

_SAME_AREA = Budget("area_mm2", 1.0, relative=True)
_SAME_RESOURCES = (_SAME_AREA, Budget("dram_bandwidth_gb_per_s", 1.0, relative=True))
OBJECTIVES = (
    Objective(
        "latency-under-budget",
        ("latency_ms",),
        budgets=_SAME_RESOURCES,
        doc="least latency with no more area and DRAM bandwidth than the default design",
    ),
    Objective(
        "latency-under-area",
        ("latency_ms",),
        budgets=(_SAME_AREA,),
        doc="least latency with no more area than the default design",
    ),
    Objective("low-latency", ("latency_ms",), doc="least latency at any price"),
    Objective("low-energy", ("energy_mj",), doc="least energy"),
    Objective(
        "energy-delay-under-budget",
        ("energy_mj", "latency_ms"),
        budgets=_SAME_RESOURCES,
        doc="least energy-delay product with no more area and DRAM bandwidth than the default",
    ),
    Objective(
        "area-under-latency",
        ("area_mm2",),
        budgets=(
            Budget("latency_ms", 1.0, relative=True),
            Budget("dram_bandwidth_gb_per_s", 1.0, relative=True),
        ),
        doc="least area with no more latency and DRAM bandwidth than the default design",
    ),
    Objective(
        "latency-area", ("latency_ms", "area_mm2"), pareto=True, doc="trade-off of latency and area"
    ),
    Objective(
        "latency-energy-area",
        ("latency_ms", "energy_mj", "area_mm2"),
        pareto=True,
        doc="trade-off of latency, energy and area",
    ),
)
"""Named objectives; those without budgets have no price, so that the largest arrays win some."""


class FusedAttention:
    """One attention, to be evaluated on arrays.

    Args:
        sizes: one attention.
        platform: of the default design, a name of `PLATFORMS`.
        baseline: the default design, a name of `BASELINES`.
        registers: whose areas count, see `archgym.cost_models.accelerator.fusion.area`.
    """

    def __init__(self, sizes: AttentionSizes, platform: str, baseline: str, registers: str) -> None:
        self.space = fusion_space()
        self.metrics: tuple[Metric, ...] = METRICS
        self._sizes, self._registers, self._platform = sizes, registers, platform
        design = baseline_design(baseline, platform, sizes)
        self.default: Mapping[str, Value] = self._completed(design)
        self.features = _features(sizes)

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates every design."""
        arrays, mapping, blocks = designs_and_mapping(self.space, designs)
        if not len(designs):
            found = {name: np.empty(0) for name in _PARTS}
            return Costs(
                {m.name: np.empty(0) for m in METRICS}, {OVERFLOW: np.empty(0, bool)}, found
            )
        result = fusion(self._sizes, arrays, mapping, blocks=blocks)
        energy = energy_parts_j(self._sizes, arrays, result, mapping)
        parts = {f"energy_mj/{name}": 1e3 * energy[name][:, 0] for name in ENERGY_PARTS}
        area = area_parts_um2(arrays, self._registers)
        parts |= {f"area_mm2/{name}": 1e-6 * area[name] for name in AREA_PARTS}
        latency = result.latency_s[:, 0]
        millijoules = _total(parts, "energy_mj")
        metrics = {
            "latency_ms": 1e3 * latency,
            "energy_mj": millijoules,
            "power_w": 1e-3 * millijoules / latency,
            "area_mm2": _total(parts, "area_mm2"),
            "dram_traffic_gb": 1e-9 * result.dram_bytes[:, 0],
            "array_utilisation_percent": 100.0 * result.array_use[:, 0],
            "lane_utilisation_percent": 100.0 * result.lanes_use[:, 0],
            "dram_bandwidth_gb_per_s": 1e-9 * arrays.dram_bytes_per_s,
            "buffer_kib": arrays.buffer_bytes / 1024.0,
        }
        return Costs(metrics, {OVERFLOW: result.overflow_bytes[:, 0] > 0}, parts)

    @property
    def macs(self) -> float:
        """Multiply-accumulates of both products."""
        s = self._sizes
        pairs = s.batch[0] * s.heads[0] * s.queries[0] * s.keys[0]
        return float(pairs * (s.key_size[0] + s.value_size[0]))

    def result(self, design: IntArray) -> tuple[FusionDesigns, IntArray, Fusion]:
        """The arrays of one design `(d,)`, its indices, and what they take."""
        row = np.asarray(design).reshape(1, -1)
        arrays, mapping, blocks = designs_and_mapping(self.space, row)
        return arrays, row[0], fusion(self._sizes, arrays, mapping, blocks=blocks)

    def baselines(self) -> dict[str, IntArray]:
        """Indices of FLAT, FuseMax and unfused attention on the platform's resources."""
        found = {}
        for name in BASELINES:
            design = self._completed(baseline_design(name, self._platform, self._sizes))
            found[name] = self.space.encode(design)
        return found

    def _completed(self, design: dict[str, Value]) -> dict[str, Value]:
        """A design whose mapping, if missing, is the one of least latency, then traffic."""
        if "QueryBlocks" in design or design["Binding"] == "unfused":
            first = {each.name: each.values[0] for each in self.space.parameters}
            return {**first, **design}
        fixed = [self.space.position(name) for name in design]
        first = {each.name: each.values[0] for each in self.space.parameters}
        row = self.space.encode({**first, **design})
        free = [j for j in range(len(self.space)) if j not in fixed]
        choices = np.indices([self.space.cardinalities[j] for j in free]).reshape(len(free), -1)
        rows = np.repeat(row[None], choices.shape[1], axis=0)
        rows[:, free] = choices.T
        found = self.evaluate(rows)
        order = np.lexsort(
            (
                found.metrics["dram_traffic_gb"],
                found.metrics["latency_ms"],
                found.violations[OVERFLOW],
            )
        )
        return self.space.decode(rows[order[0]])


_PARTS = (
    *(f"energy_mj/{name}" for name in ENERGY_PARTS),
    *(f"area_mm2/{name}" for name in AREA_PARTS),
)


def _total(parts: Mapping[str, FloatArray], quantity: str) -> FloatArray:
    """The sum of the parts of a quantity, one after the other."""
    chosen = [values for name, values in parts.items() if name.startswith(f"{quantity}/")]
    total: FloatArray = np.sum(chosen, axis=0)
    return total


def _features(sizes: AttentionSizes) -> FloatFeatures:
    """Describes an attention in [-1, 1] `(3,)`: context, heads of a batch, size of keys."""
    context = np.log2(sizes.keys[0]) / 10.0 - 1.5
    heads = np.log2(sizes.batch[0] * sizes.heads[0]) / 10.0 - 1.0
    size = np.log2(sizes.key_size[0]) / 7.0 - 0.5
    features: FloatFeatures = np.tanh(np.array([context, heads, size])).astype(np.float32)
    return features
