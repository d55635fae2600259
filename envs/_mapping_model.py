"""The cost model of `Mapping-v0`: mappings of one operator on fixed hardware."""

from __future__ import annotations

from collections.abc import Mapping as Dict

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.accelerator.loopnest import (
    TENSORS,
    Machines,
    Mapping,
    Mappings,
    Problem,
    evaluate,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.architectures import Architecture
from archgym.cost_models.accelerator.loopnest.model import LoopNestResult
from archgym.envs._mapping_metrics import METRICS, features_of
from archgym.envs._mapping_space import MappingSpace
from archgym.metric import FloatArray, Metric
from archgym.space import DesignSpace, IntArray, Value


class MappingModel:
    """Costs of mappings by `loopnest.evaluate`, counting every element that has to move.

    Args:
        architecture: The hardware.
        problem: The operator.
        orders: `all` or `pruned`, see `MappingSpace`.
        free_bypass: Whether what is optional may be bypassed.
        factors: `perfect` or `imperfect`, see `loopnest.Mapping.check`.
    """

    def __init__(
        self,
        architecture: Architecture,
        problem: Problem,
        orders: str,
        free_bypass: bool,
        factors: str = "perfect",
    ) -> None:
        self.architecture, self.problem = architecture, problem
        self.mapping_space = MappingSpace(architecture, problem, orders, free_bypass, factors)
        self.space: DesignSpace = self.mapping_space.space
        self.metrics: tuple[Metric, ...] = METRICS
        self.default: Dict[str, Value] = self.mapping_space.default
        self.features: FloatFeatures = features_of(problem)
        self._machines, self._rows = Machines.of([architecture.hierarchy]), problem_rows([problem])

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates mappings; those that do not fit too, so that it can be said by how much."""
        mappings = self.mapping_space.mappings(designs)
        levels = self.architecture.hierarchy.levels
        if not len(designs):
            return Costs(
                {metric.name: np.zeros(0) for metric in METRICS},
                self.mapping_space.wide(mappings) | self._overflows(np.zeros((0, len(levels)))),
                self._parts(
                    np.zeros((5, 0, len(levels), len(TENSORS))), np.zeros((0, len(levels)))
                ),
            )
        found = self._evaluated(mappings)
        counts = _counts(found)
        traffic = self._traffic(counts)
        metrics = {
            "latency_cycles": found.cycles,
            "energy_pj": found.energy_pj,
            "edp_pjcycles": found.energy_pj * found.cycles,
            "utilisation_percent": 100.0 * found.utilisation,
            "dram_traffic_bytes": traffic[:, -1],
        }
        violations = self.mapping_space.wide(mappings) | self._overflows(found.overflow_words)
        return Costs(metrics, violations, self._parts(counts, found.overflow_words))

    def mapping(self, design: Dict[str, Value]) -> Mapping:
        """The mapping that a design stands for."""
        return self.mapping_space.mapping(self.space.encode(design))

    def design(self, mapping: Mapping) -> dict[str, Value]:
        """The design that stands for a mapping; see `MappingSpace.design`."""
        return self.mapping_space.design(mapping)

    def explain(self, design: Dict[str, Value]) -> list[str]:
        """Why a mapping does not fit: a line per array or memory, with by how much."""
        mapping = self.mapping(design)
        mappings = self.mapping_space.mappings(self.space.encode(design)[None])
        lines = [rule for rule, broken in self.mapping_space.wide(mappings).items() if broken[0]]
        found = self._evaluated(mappings)
        held = _counts(found)[3, 0] * self._machines.words[0] * self._machines.copies[0][:, None]
        for i, level in enumerate(self.architecture.hierarchy.levels):
            over = found.overflow_words[0, i]
            if over > 0:
                kept = [t for t in range(3) if TENSORS[t] not in mapping.levels[i].bypass]
                parts = ", ".join(f"{TENSORS[t]} {held[i, t]:g}" for t in kept)
                lines.append(
                    f"{level.name}: tiles take {held[i].sum():g} words of {level.word_bits} bits "
                    f"({parts}), the capacity is {level.capacity_words:g}: {over:g} too many"
                )
        return lines

    def _evaluated(self, mappings: Mappings) -> LoopNestResult:
        """Everything of mappings, which are valid by construction."""
        return evaluate(
            self._machines,
            mappings,
            self._rows,
            factors=self.mapping_space.factors,
            counts=True,
            checked=False,
        )

    def _overflows(self, overflow: FloatArray) -> dict[str, np.ndarray]:
        """Per memory that is limited, which mappings overflow it."""
        return {
            f"{level.name}: overflow": overflow[:, i] > 0
            for i, level in enumerate(self.architecture.hierarchy.levels)
            if np.isfinite(level.capacity_words)
        }

    def _traffic(self, counts: FloatArray) -> FloatArray:
        """Bytes read and written at every level `(n, L)`."""
        levels = self.architecture.hierarchy.levels
        bits = np.array([level.word_bits for level in levels])
        words = counts[:3].sum(axis=0) * self._machines.words[0]
        traffic: FloatArray = words.sum(axis=2) * bits / 8
        return traffic

    def _parts(self, counts: FloatArray, overflow: FloatArray) -> dict[str, FloatArray]:
        """Energy and traffic of every level, what its tiles take and by how much it overflows."""
        traffic, parts = self._traffic(counts), {}
        mac_pj = self.architecture.hierarchy.mac_pj * self.problem.macs
        parts["energy_pj/MAC"] = np.full(counts.shape[1], mac_pj)
        room = self._machines.words[0] * self._machines.copies[0][:, None]
        keeps = self.architecture.keeps()
        for i, level in enumerate(self.architecture.hierarchy.levels):
            parts[f"energy_pj/{level.name}"] = counts[4, :, i].sum(axis=1)
            parts[f"traffic_bytes/{level.name}"] = traffic[:, i]
            if np.isfinite(level.capacity_words):
                parts[f"overflow_words/{level.name}"] = overflow[:, i]
                for t, tensor in enumerate(TENSORS):
                    if keeps[i][t]:
                        held = counts[3, :, i, t] * room[i, t]
                        parts[f"held_words/{level.name} {tensor}"] = held
        return parts


def _counts(found: LoopNestResult) -> FloatArray:
    """Reads, fills, updates, elements held and energy `(5, n, L, 3)`."""
    parts = (found.reads, found.fills, found.updates, found.held, found.access_pj)
    return np.stack([part for part in parts if part is not None])
