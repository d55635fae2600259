"""`Mapping-v0` with the answers of other tools in place of those of the own model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import numpy as np

from archgym.cost_model import Costs
from archgym.cost_models.accelerator.external import Timeloop, WorkerError, ZigZag
from archgym.cost_models.accelerator.loopnest import Hierarchy, Mapping, Problem
from archgym.cost_models.accelerator.loopnest.architectures import Architecture
from archgym.cost_models.accelerator.loopnest.zigzag_mapping import zigzag_mapping
from archgym.envs._mapping_model import MappingModel
from archgym.space import IntArray

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figures:
    """What a tool says of a mapping.

    Attributes:
        latency_cycles: Of the operator.
        energy_pj: Of every level, and of arithmetic as `MAC`.
        traffic_bytes: Read and written, of every level.
    """

    latency_cycles: float
    energy_pj: Dict[str, float]
    traffic_bytes: Dict[str, float]


Tool = Callable[[Hierarchy, Mapping, Problem], Figures]
"""Raises `WorkerError` where there is no answer."""


def no_answer(name: str) -> str:
    """The rule that mappings break on which a tool fails or takes too long."""
    return f"{name} gives no answer"


class ExternalMapping(MappingModel):
    """Costs of mappings by another tool, one after the other.

    What fits is as in `MappingModel`; for mappings that do not, the tool is not asked.

    Args:
        architecture: The hardware.
        problem: The operator.
        orders: `all` or `pruned`, see `MappingSpace`.
        free_bypass: Whether what is optional may be bypassed.
        name: Of the tool.
        tool: That answers.
    """

    def __init__(
        self,
        architecture: Architecture,
        problem: Problem,
        orders: str,
        free_bypass: bool,
        name: str,
        tool: Tool,
    ) -> None:
        super().__init__(architecture, problem, orders, free_bypass)
        self._name, self._tool = name, tool

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates mappings; figures of those that do not fit or have no answer are not known."""
        own = super().evaluate(designs)
        n = len(designs)
        metrics = {metric.name: np.full(n, np.nan) for metric in self.metrics}
        # What tiles take and by how much they overflow is known without the tool.
        parts = {
            name: np.full(n, np.nan) if name.startswith(("energy", "traffic")) else part
            for name, part in own.breakdown.items()
        }
        fits = ~np.any([*own.violations.values(), np.zeros(n, np.bool_)], axis=0)
        silent = np.zeros(n, np.bool_)
        for i in np.flatnonzero(fits):
            mapping = self.mapping_space.mapping(designs[i])
            try:
                found = self._tool(self.architecture.hierarchy, mapping, self.problem)
            except WorkerError as error:
                _log.warning("%s, %s: %s", self._name, self.space.decode(designs[i]), error)
                silent[i] = True
                continue
            for name, value in found.energy_pj.items():
                parts[f"energy_pj/{name}"][i] = value
            for name, value in found.traffic_bytes.items():
                parts[f"traffic_bytes/{name}"][i] = value
            for name, value in self._metrics_of(found).items():
                metrics[name][i] = value
        return Costs(metrics, {**own.violations, no_answer(self._name): silent}, parts)

    def _metrics_of(self, found: Figures) -> dict[str, float]:
        cycles, energy = found.latency_cycles, sum(found.energy_pj.values())
        possible = self.architecture.hierarchy.macs * cycles
        return {
            "latency_cycles": cycles,
            "energy_pj": energy,
            "edp_pjcycles": energy * cycles,
            "utilisation_percent": 100.0 * self.problem.macs / possible,
            "dram_traffic_bytes": found.traffic_bytes[self.architecture.names[-1]],
        }


def by_zigzag(tool: ZigZag) -> Tool:
    """ZigZag as a tool of `ExternalMapping`."""

    def figures(hierarchy: Hierarchy, mapping: Mapping, problem: Problem) -> Figures:
        asked = zigzag_mapping(hierarchy, mapping, problem)
        cost = tool.evaluate(asked.accelerator, asked.layer, asked.temporal)
        energy = {level.name: 0.0 for level in hierarchy.levels}
        traffic = dict(energy)
        for operand, levels in asked.levels.items():
            for at, memory in enumerate(asked.accelerator.of(operand)):
                name = hierarchy.levels[levels[at]].name
                energy[name] += cost.level_pj[operand][at]
                traffic[name] += sum(cost.accesses[operand][at].values()) * memory.width / 8
        energy["MAC"] = hierarchy.mac_pj * problem.macs
        return Figures(cost.latency, energy, traffic)

    return figures


def by_timeloop(tool: Timeloop) -> Tool:
    """Timeloop as a tool of `ExternalMapping`."""

    def figures(hierarchy: Hierarchy, mapping: Mapping, problem: Problem) -> Figures:
        found = tool.evaluate(hierarchy, mapping, problem)
        energy, traffic = {"MAC": found.mac_pj}, {}
        for level in hierarchy.levels:
            kept = found.accesses[level.name].values()
            energy[level.name] = sum(each.energy_pj for each in kept)
            words = sum(each.instances * (each.reads + each.fills + each.updates) for each in kept)
            traffic[level.name] = words * level.word_bits / 8
        return Figures(found.cycles, energy, traffic)

    return figures
