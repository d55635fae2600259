"""The space `spatial`: clusters with register files, three buffers with buses, DRAM, formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archgym.cost_models.accelerator.chip import dram_of
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.spatial.chips import (
    AREA_PARTS,
    SpatialDesigns,
    areas_of,
    spatial_machine,
)
from archgym.cost_models.accelerator.spatial.costs import (
    ENERGY_PARTS,
    LEVELS,
    SpatialCosts,
    SpatialModel,
)
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS
from archgym.cost_models.accelerator.spatial.report import OperatorReport, operator_report
from archgym.envs._accelerator_fidelities import Chips, NetworkCosts, NetworkModel, RooflineNetwork
from archgym.envs._accelerator_parameters import (
    Choices,
    bank_constraints,
    batch_parameters,
    clock_parameter,
    designed,
    dram_parameters,
    format_bytes,
    format_parameters,
    memory_parameters,
    narrowed,
    narrowest_integer,
    vector_parameter,
    with_fixed,
)
from archgym.metric import FloatArray
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, IntArray, Parameter, Value

_EDGES = (1, 2, 4, 6, 8, 12, 14, 16, 24, 32, 48, 64, 96, 128)
_SUM_BYTES = 4

BASELINES: Mapping[str, Mapping[str, Value]] = {
    # NVDLA hardware, configuration nv_large (nvdla.org, 2018): 32 cells of 64 8-bit products each
    # that are added up, weights in place, a buffer of 512 KiB in 16 banks for inputs and weights
    # (here halved), which gives each 64 bytes per cycle, 1 GHz. Its memory depends on the system:
    # two channels of LPDDR5. Sums: 64 KiB, and a vector unit of 16 lanes.
    "nvdla": {
        "Rows": 1,
        "Columns": 32,
        "ClusterPEs": 64,
        "RegisterFileBytes": 16,
        "BusBytes": 128,
        "Dataflow": "ws",
        "InputMemoryKiB": 256,
        "WeightMemoryKiB": 256,
        "OutputMemoryKiB": 64,
        "Banks": 16,
        "ClockGHz": 1.0,
        "VectorLanes": 16,
        "Dram": "LPDDR5",
        "Channels": 2,
        "Batch": 1,
    },
    # Chen, Krishna, Emer and Sze, Eyeriss, JSSC 2017: 12 x 14 16-bit elements with register files
    # of about 0.5 KiB, filter rows in place, a buffer of 100 KiB for inputs and sums and 8 KiB for
    # weights (here 64, 32 and 8), buses of 64 bits, 200 MHz. Its memory depends on the system: one
    # channel of LPDDR4. It has no vector unit: 4 lanes.
    "eyeriss": {
        "Rows": 12,
        "Columns": 14,
        "ClusterPEs": 1,
        "RegisterFileBytes": 512,
        "BusBytes": 8,
        "Dataflow": "rs",
        "InputMemoryKiB": 64,
        "WeightMemoryKiB": 8,
        "OutputMemoryKiB": 32,
        "Banks": 2,
        "ClockGHz": 0.2,
        "VectorLanes": 4,
        "Dram": "LPDDR4",
        "Channels": 1,
        "Batch": 1,
    },
}
"""Designs that can be a task's default, by name, in the narrowest integers, of 16 bits or more for
Eyeriss and of 8 or more for NVDLA."""
_LEAST_BITS = {"nvdla": 8, "eyeriss": 16}
SMALL: Mapping[str, tuple[Value, ...]] = {
    "Rows": (1, 4, 16),
    "Columns": (8, 16, 32),
    "ClusterPEs": (1, 8, 64),
    "RegisterFileBytes": (16, 64, 256),
    "BusBytes": (32, 128),
    "ClockGHz": (0.5, 1.0),
    "VectorLanes": (16, 64),
    "InputMemoryKiB": (64, 256),
    "WeightMemoryKiB": (64, 256),
    "OutputMemoryKiB": (64, 256),
    "Banks": (16,),
    "Dram": ("LPDDR5", "HBM2"),
    "Channels": (1, 2),
    "WeightFormat": ("int8",),
    "ActivationFormat": ("int8",),
    "Batch": (1,),
}
"""What the space `small` has of `spatial`: designs around NVDLA, few enough to evaluate all."""


class SpatialTemplate:
    """Chips with a spatial array.

    Args:
        node_nm: process.
        word_bytes: width of an access to a memory.
        least_bits: of the number formats that may be chosen.
        mapping: what the mapping of a product makes small.
        narrow: values of parameters that may be chosen, all of those left out.
    """

    energy_parts = ENERGY_PARTS
    area_parts = AREA_PARTS
    rule = "a product has no mapping that fits"

    def __init__(
        self,
        node_nm: int,
        word_bytes: float,
        least_bits: int,
        mapping: str,
        narrow: Mapping[str, tuple[Value, ...]] | None = None,
    ) -> None:
        self._node_nm, self._word_bytes = node_nm, word_bytes
        self._least_bits, self._mapping = least_bits, mapping
        self._narrow = narrow or {}
        self._fixed: Mapping[str, Value] = {}

    def space(self, batches: Sequence[int]) -> DesignSpace:
        """The design space; without `Batch` where there is one only."""
        parameters = [
            *_array(),
            clock_parameter(),
            vector_parameter(),
            *memory_parameters(),
            *dram_parameters(),
            *format_parameters(self._least_bits),
            *batch_parameters(batches),
        ]
        parameters, self._fixed = narrowed(parameters, self._narrow)
        return DesignSpace(
            parameters, [with_fixed(rule, self._fixed) for rule in self._constraints()]
        )

    def _constraints(self) -> Sequence[Constraint]:
        word = self._word_bytes

        def fed(columns: Columns) -> BoolArray:
            return np.asarray(columns["BusBytes"] <= columns["Banks"] * word)

        return (
            *bank_constraints(self._node_nm, word),
            Constraint(
                "bus wider than what the banks give",
                fed,
                f"a bank gives a word of {word:g} bytes per cycle",
            ),
            Constraint(
                "register file too small for an element of each operand, twice",
                _operands_fit,
                "an input, a weight and a sum are at work while the next ones are loaded",
            ),
        )

    def default(self, baseline: str, space: DesignSpace) -> Mapping[str, Value]:
        """A baseline as a design of the space."""
        narrowest = narrowest_integer(max(self._least_bits, _LEAST_BITS[baseline]))
        formats = {"WeightFormat": narrowest, "ActivationFormat": narrowest}
        return designed({**BASELINES[baseline], **formats}, space)

    def chips(self, space: DesignSpace, rows: IntArray) -> Chips[SpatialDesigns]:
        """The chips of index rows."""
        chosen = Choices(space, rows, self._fixed)
        chips = chosen.chips(np.zeros(len(rows)), self._node_nm, self._word_bytes)
        designs = SpatialDesigns(
            chips,
            chosen("Dataflow", FLOWS.index).astype(np.int64),
            chosen("ClusterPEs"),
            chosen("RegisterFileBytes"),
            chosen("BusBytes"),
        )
        return Chips(
            designs,
            designs.elements * chips.clock_ghz * 1e9,
            dram_of(chips)[0],
            chips.input_memory_bytes + chips.weight_memory_bytes + chips.output_memory_bytes,
            areas_of(designs),
        )

    def model(self, fidelity: str, network: Network) -> NetworkModel[SpatialDesigns]:
        """A network on such chips, at the fidelity `roofline` or `loopnest`."""
        if fidelity == "roofline":
            return RooflineNetwork(
                network, spatial_machine, lambda d: dram_of(d.chip)[1], self.energy_parts
            )
        return LoopNestNetwork(network, self._mapping)

    def levels(self, fidelity: str) -> tuple[str, ...]:
        """Levels of traffic; a roofline tells that of the DRAM alone."""
        return LEVELS if fidelity == "loopnest" else ()


class LoopNestNetwork:
    """Every product by its best mapping, see `archgym.cost_models.accelerator.spatial`."""

    def __init__(self, network: Network, mapping: str) -> None:
        self.model = SpatialModel(network, mapping)

    def costs(self, designs: SpatialDesigns) -> NetworkCosts:
        """Evaluates chips."""
        return _as_network_costs(self.model.costs(designs))

    def costs_from(
        self, designs: SpatialDesigns, latency_s: FloatArray, totals: FloatArray
    ) -> NetworkCosts:
        """What `costs` says, from latencies and totals that were kept."""
        return _as_network_costs(self.model.costs_from(designs, latency_s, totals))

    def report(self, designs: SpatialDesigns) -> tuple[OperatorReport, ...]:
        """One chip, operator by operator."""
        return operator_report(self.model, designs)


def _as_network_costs(costs: SpatialCosts) -> NetworkCosts:
    return NetworkCosts(costs.latency_s, costs.energy_j, costs.dram_bytes, costs.traffic_bytes)


def _array() -> Sequence[Parameter]:
    return (
        Parameter("Rows", _EDGES, "rows of clusters", "", "array", ordered=True),
        Parameter("Columns", _EDGES, "columns of clusters", "", "array", ordered=True),
        Parameter(
            "ClusterPEs",
            (1, 2, 4, 8, 16, 32, 64),
            "processing elements of a cluster, whose products are added up",
            subsystem="array",
            ordered=True,
        ),
        Parameter(
            "RegisterFileBytes",
            (16, 32, 64, 128, 256, 512, 1024),
            "double-buffered register file of a processing element",
            "bytes",
            "array",
            ordered=True,
        ),
        Parameter(
            "BusBytes",
            (8, 16, 32, 64, 128, 256, 512),
            "per cycle on each of the three buses between buffers and clusters",
            "bytes",
            "network",
            ordered=True,
        ),
        Parameter(
            "Dataflow",
            FLOWS,
            "what goes side by side and what stays: outputs, weights, inputs, filter rows, or any",
            subsystem="array",
        ),
    )


def _operands_fit(columns: Columns) -> BoolArray:
    operands = format_bytes(columns["WeightFormat"]) + format_bytes(columns["ActivationFormat"])
    return np.asarray(2 * (operands + _SUM_BYTES) <= columns["RegisterFileBytes"])
