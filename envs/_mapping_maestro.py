"""The mapping space of 2023: tiles, orders and parallel dimensions of two levels of clusters.

The public code of 2023 drew tile sizes, and the size of a cluster, at random below what a design
said, so that a design had no one cost, and wrote them for MAESTRO. Here a value is the size, and a
cluster has as many PEs as its parallel dimension has pieces; costs are by `loopnest.maestro`, whose
counts equal MAESTRO's.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping as Dict

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.accelerator.arithmetic import mac_energy_pj
from archgym.cost_models.accelerator.external import Maestro, WorkerError
from archgym.cost_models.accelerator.loopnest import Problem
from archgym.cost_models.accelerator.loopnest.maestro import Directive, Traffic, evaluate
from archgym.envs._mapping_metrics import MAESTRO_METRICS, features_of
from archgym.metric import Metric
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, IntArray, Parameter, Value

LEVELS = ("L2", "L1")
PARALLEL = ("K", "C", "X", "Y")
TILED = ("K", "C", "Y", "X", "R", "S")
MOST_PES = 1024
# Elements per cycle of all networks: none of the runs of 2023 was limited.
_BANDWIDTH = 2**30
# Energy of an access over that of a multiply-accumulate, as in MAESTRO (Kwon et al., MICRO 2019).
_L1_OVER_MAC, _L2_OVER_MAC = 1.68, 18.61

NO_ANSWER = "MAESTRO gives no answer"
"""Broken by designs on which MAESTRO, if it is asked, fails or takes too long."""

_log = logging.getLogger(__name__)


class MaestroMapping:
    """Mappings of a convolution or matrix product on two levels of clusters.

    Args:
        problem: The operator: one image, no dilation, the same stride in both directions.
        tool: MAESTRO itself, to be asked instead of the own model.

    Raises:
        ValueError: If the operator is another one.
    """

    def __init__(self, problem: Problem, tool: Maestro | None = None) -> None:
        if (problem.n, problem.dilation_h, problem.dilation_w) != (1, 1, 1):
            raise ValueError("workload: MAESTRO's mappings are of one image without dilation")
        if problem.stride_h != problem.stride_w:
            raise ValueError(
                f"workload: strides are {problem.stride_h} and {problem.stride_w}, MAESTRO has one"
            )
        self.problem = problem
        self.space = DesignSpace(_parameters(problem), _constraints())
        self.metrics: tuple[Metric, ...] = MAESTRO_METRICS
        self.default: Dict[str, Value] = _default(problem)
        self.features: FloatFeatures = features_of(problem)
        self._mac_pj = mac_energy_pj("int16", "int16", "int32", 45)
        self._tool = tool

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates designs one after another; they cost milliseconds each."""
        found, silent = self._traffics(designs)
        macs, p = self.problem.macs, self.problem
        weights = p.k * p.c * p.r * p.s
        rows, columns = _extents(p)
        inputs = p.c * rows * columns
        cycles = np.array([each.runtime for each in found], np.float64)
        read = np.array([sum(each.reads.values()) for each in found], np.float64)
        written = np.array([each.writes for each in found], np.float64)
        # The buffer is filled once with inputs and weights; PEs store all that they fetch.
        buffer = read + written + inputs + weights
        local = 4.0 * np.array([each.computations for each in found]) + read
        parts = {
            "energy_pj/MAC": self._mac_pj * np.array([float(x.computations) for x in found]),
            "energy_pj/L1": self._mac_pj * _L1_OVER_MAC * local,
            "energy_pj/L2": self._mac_pj * _L2_OVER_MAC * buffer,
        }
        energy = parts["energy_pj/MAC"] + parts["energy_pj/L1"] + parts["energy_pj/L2"]
        pes = self.space.columns(designs)["PEs"]
        metrics = {
            "latency_cycles": cycles,
            "energy_pj": energy,
            "edp_pjcycles": energy * cycles,
            "utilisation_percent": 100.0 * macs / np.maximum(cycles * pes, 1.0),
            "buffer_traffic_elements": read + written,
        }
        short = np.array([x.skipped > 0 or x.computations < macs for x in found], np.bool_)
        rules = {"multiply-accumulates are left out": short & ~silent}
        if self._tool is None:
            return Costs(metrics, rules, parts)
        metrics = {name: np.where(silent, np.nan, each) for name, each in metrics.items()}
        parts = {name: np.where(silent, np.nan, each) for name, each in parts.items()}
        return Costs(metrics, {**rules, NO_ANSWER: silent}, parts)

    def _traffics(self, designs: IntArray) -> tuple[list[Traffic], BoolArray]:
        """Traffic of designs, and where there is no answer."""
        found, silent = [], np.zeros(len(designs), np.bool_)
        for i, row in enumerate(designs):
            design = self.space.decode(row)
            try:
                found.append(self._traffic(design))
            except WorkerError as error:
                _log.warning("MAESTRO, %s: %s", design, error)
                silent[i] = True
                found.append(Traffic())
        return found, silent

    def _traffic(self, design: Dict[str, Value]) -> Traffic:
        p = self.problem
        rows, columns = _extents(p)
        sizes = {"K": p.k, "C": p.c, "Y": rows, "X": columns, "R": p.r, "S": p.s}
        directives = [self._directives(design, level) for level in LEVELS]
        units = cluster_size(design)
        pes, limits = int(design["PEs"]), (_BANDWIDTH, _BANDWIDTH)
        if self._tool is not None:
            asked = self._tool.evaluate(
                "conv", sizes, p.stride_h, directives, [units], pes, *limits
            )
            return asked.traffic
        return evaluate("conv", sizes, p.stride_h, directives, [units], pes, *limits)

    def _directives(self, design: Dict[str, Value], level: str) -> list[Directive]:
        """Directives of a level, the outermost first; Y and X count outputs."""
        found = []
        for name in str(design[f"{level}.order"]):
            size = step = int(design[f"{level}.{name}"])
            if name in "YX":
                taps = int(design[f"{level}.{'R' if name == 'Y' else 'S'}"])
                step = size * self.problem.stride_h
                size = (size - 1) * self.problem.stride_h + taps
            found.append(Directive(name, size, step, name == design[f"{level}.parallel"]))
        return found


def cluster_size(design: Dict[str, Value]) -> int:
    """PEs of a cluster: pieces of its parallel dimension, at most all PEs."""
    name = design["L1.parallel"]
    pieces = math.ceil(int(design[f"L2.{name}"]) / int(design[f"L1.{name}"]))
    return min(pieces, int(design["PEs"]))


def _extents(p: Problem) -> tuple[int, int]:
    """Rows and columns of the input."""
    return (p.p - 1) * p.stride_h + p.r, (p.q - 1) * p.stride_w + p.s


def _bounds(p: Problem) -> dict[str, int]:
    return {"K": p.k, "C": p.c, "Y": p.p, "X": p.q, "R": p.r, "S": p.s}


def _parameters(problem: Problem) -> list[Parameter]:
    orders = tuple("".join(order) for order in itertools.permutations(TILED))
    found = []
    for level, what in zip(LEVELS, ("clusters", "PEs of a cluster"), strict=True):
        found += [
            Parameter(f"{level}.order", orders, "directives, the outermost first", subsystem=level),
            Parameter(
                f"{level}.parallel", PARALLEL, f"dimension laid out over {what}", subsystem=level
            ),
        ]
        for name, bound in _bounds(problem).items():
            values = tuple(range(1, bound + 1))
            doc = "outputs of a tile" if name in "YX" else "size of a tile"
            found.append(Parameter(f"{level}.{name}", values, doc, subsystem=level, ordered=True))
    pes = tuple(range(1, MOST_PES + 1))
    return [*found, Parameter("PEs", pes, "processing elements", subsystem="array", ordered=True)]


def _constraints() -> list[Constraint]:
    def within(name: str) -> Constraint:
        def satisfied(columns: Columns) -> BoolArray:
            smaller: BoolArray = columns[f"L1.{name}"] <= columns[f"L2.{name}"]
            return smaller

        return Constraint(f"tile of {name} in L1 larger than in L2", satisfied)

    return [within(name) for name in TILED]


def _default(problem: Problem) -> dict[str, Value]:
    """Channels in parallel and weights that stay, as NVDLA: MAESTRO's `kcp_ws`."""
    bounds = _bounds(problem)
    design: dict[str, Value] = {"PEs": 256}
    for level, parallel in zip(LEVELS, "KC", strict=True):
        design |= {f"{level}.order": "KCRSYX", f"{level}.parallel": parallel}
        design |= {f"{level}.{name}": 1 for name in TILED}
        design |= {f"{level}.{name}": bounds[name] for name in "RS"}
    design["L2.C"] = min(bounds["C"], 64)
    return design
