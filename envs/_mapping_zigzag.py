"""`Mapping-v0` with ZigZag's answers in place of those of the own model."""

from __future__ import annotations

import logging

import numpy as np

from archgym.cost_model import Costs
from archgym.cost_models.accelerator.external import WorkerError, ZigZag
from archgym.cost_models.accelerator.loopnest.architectures import Architecture
from archgym.cost_models.accelerator.loopnest.problem import Problem
from archgym.cost_models.accelerator.loopnest.zigzag import Cost
from archgym.cost_models.accelerator.loopnest.zigzag_mapping import (
    ZigZagMapping,
    check_expressible,
    zigzag_mapping,
)
from archgym.envs._mapping_model import MappingModel
from archgym.space import IntArray

RULE = "ZigZag gives no answer"
"""Broken by mappings on which ZigZag fails or takes too long."""

_log = logging.getLogger(__name__)


class ExternalMapping(MappingModel):
    """Costs of mappings by ZigZag, one after the other.

    What fits is as in `MappingModel`; for mappings that do not, ZigZag is not asked.

    Args:
        architecture: The hardware.
        problem: The operator.
        orders: `all` or `pruned`, see `MappingSpace`.
        free_bypass: Whether what is optional may be bypassed.
        tool: That answers.

    Raises:
        ValueError: If ZigZag has no words for the hardware.
    """

    def __init__(
        self,
        architecture: Architecture,
        problem: Problem,
        orders: str,
        free_bypass: bool,
        tool: ZigZag,
    ) -> None:
        super().__init__(architecture, problem, orders, free_bypass)
        check_expressible(architecture.hierarchy)
        self._tool = tool
        # Parts whose amounts ZigZag tells; what tiles take is known without it.
        self._told = [f"energy_pj/{name}" for name in (*architecture.names, "MAC")]
        self._told += [f"traffic_bytes/{name}" for name in architecture.names]

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates mappings; figures of those that do not fit or have no answer are not known."""
        own = super().evaluate(designs)
        n = len(designs)
        metrics = {metric.name: np.full(n, np.nan) for metric in self.metrics}
        parts = {**own.breakdown, **{name: np.full(n, np.nan) for name in self._told}}
        fits = ~np.any([*own.violations.values(), np.zeros(n, np.bool_)], axis=0)
        silent = np.zeros(n, np.bool_)
        for i in np.flatnonzero(fits):
            mapping = self.mapping_space.mapping(designs[i])
            asked = zigzag_mapping(self.architecture.hierarchy, mapping, self.problem)
            try:
                cost = self._tool.evaluate(asked.accelerator, asked.layer, asked.temporal)
            except WorkerError as error:
                _log.warning("ZigZag, %s: %s", self.space.decode(designs[i]), error)
                silent[i] = True
                continue
            found = self._parts_of(asked, cost)
            for name, value in found.items():
                parts[name][i] = value
            for name, value in self._metrics_of(cost, found).items():
                metrics[name][i] = value
        return Costs(metrics, {**own.violations, RULE: silent}, parts)

    def _metrics_of(self, cost: Cost, parts: dict[str, float]) -> dict[str, float]:
        possible = self.architecture.hierarchy.macs * cost.latency
        return {
            "latency_cycles": cost.latency,
            "energy_pj": cost.energy_pj,
            "edp_pjcycles": cost.energy_pj * cost.latency,
            "utilisation_percent": 100.0 * self.problem.macs / possible,
            "dram_traffic_bytes": parts[f"traffic_bytes/{self.architecture.names[-1]}"],
        }

    def _parts_of(self, asked: ZigZagMapping, cost: Cost) -> dict[str, float]:
        """Energy and traffic of every level, and energy of arithmetic."""
        found = dict.fromkeys(self._told, 0.0)
        found["energy_pj/MAC"] = self.architecture.hierarchy.mac_pj * self.problem.macs
        for operand, levels in asked.levels.items():
            memories = asked.accelerator.of(operand)
            for at, level in enumerate(levels):
                name = self.architecture.names[level]
                found[f"energy_pj/{name}"] += cost.level_pj[operand][at]
                words = sum(cost.accesses[operand][at].values())
                found[f"traffic_bytes/{name}"] += words * memories[at].width / 8
        return found
