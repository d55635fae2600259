"""The space `systolic`: a systolic array whose dataflow is fixed, three memories, DRAM, formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archgym.cost_models.accelerator.chip import (
    AREA_PARTS,
    ChipDesigns,
    areas_of,
    chip_machine,
    dram_of,
)
from archgym.cost_models.accelerator.chip_costs import ENERGY_PARTS, ArrayModel, ChipModel
from archgym.cost_models.accelerator.chip_report import chip_report
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.spatial.report import OperatorReport
from archgym.cost_models.accelerator.systolic import DATAFLOWS, dataflow_number, systolic
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
    narrowest_integer,
    vector_parameter,
)
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, IntArray, Parameter, Value

_EDGES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)

SCALESIM_RULE = "SCALE-Sim gives no answer"
"""Broken by designs on which SCALE-Sim fails or takes too long."""

BASELINES: Mapping[str, Mapping[str, Value]] = {
    # Jouppi et al., In-Datacenter Performance Analysis of a Tensor Processing Unit, ISCA 2017: 256
    # x 256 8-bit units at 700 MHz, weights in place, 24 MiB of activations, 4 MiB of sums, four
    # tiles of weights (256 KiB), activations 256 at a time, two channels of DDR3 (there 2133, of
    # 34 GB/s; here 1600). Banks are not published: 32, which the model knows at every node.
    "tpu-v1": {
        "Rows": 256,
        "Columns": 256,
        "Dataflow": "ws",
        "InputMemoryKiB": 24576,
        "WeightMemoryKiB": 256,
        "OutputMemoryKiB": 4096,
        "Banks": 32,
        "ClockGHz": 0.7,
        "VectorLanes": 256,
        "Dram": "DDR3",
        "Channels": 2,
        "Batch": 1,
    },
    # Genc et al., Gemmini, DAC 2021: the 16 x 16 8-bit array at 1 GHz with a scratchpad of 256 KiB
    # (here halved between inputs and weights) in 4 banks and 64 KiB of sums. Its memory and vector
    # unit depend on the system: one channel of LPDDR5, and a lane per column.
    "gemmini": {
        "Rows": 16,
        "Columns": 16,
        "Dataflow": "ws",
        "InputMemoryKiB": 128,
        "WeightMemoryKiB": 128,
        "OutputMemoryKiB": 64,
        "Banks": 4,
        "ClockGHz": 1.0,
        "VectorLanes": 16,
        "Dram": "LPDDR5",
        "Channels": 1,
        "Batch": 1,
    },
}
"""Designs that can be a task's default, by name, in the narrowest integers of 8 bits or more."""


class SystolicTemplate:
    """Chips with a systolic array."""

    energy_parts = ENERGY_PARTS
    area_parts = AREA_PARTS

    def __init__(
        self, node_nm: int, word_bytes: float, least_bits: int, fidelity: str = "systolic"
    ) -> None:
        self._node_nm, self._word_bytes = node_nm, word_bytes
        self._least_bits = least_bits
        self.rule = SCALESIM_RULE if fidelity == "scalesim" else ""

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
        tile = Constraint(
            "tile in the array larger than half its memory",
            _tile_fits,
            "what stays (ws: weights, is: inputs) is loaded from one half while the other is "
            "filled",
        )
        return DesignSpace(parameters, (*bank_constraints(self._node_nm, self._word_bytes), tile))

    def default(self, baseline: str, space: DesignSpace) -> Mapping[str, Value]:
        """A baseline as a design of the space."""
        narrowest = narrowest_integer(self._least_bits)
        formats = {"WeightFormat": narrowest, "ActivationFormat": narrowest}
        return designed({**BASELINES[baseline], **formats}, space)

    def chips(self, space: DesignSpace, rows: IntArray) -> Chips[ChipDesigns]:
        """The chips of index rows."""
        chosen = Choices(space, rows)
        flow = chosen("Dataflow", dataflow_number)
        chips = chosen.chips(flow, self._node_nm, self._word_bytes)
        return Chips(
            chips,
            chips.rows * chips.columns * chips.clock_ghz * 1e9,
            dram_of(chips)[0],
            chips.input_memory_bytes + chips.weight_memory_bytes + chips.output_memory_bytes,
            areas_of(chips),
        )

    def model(self, fidelity: str, network: Network) -> NetworkModel[ChipDesigns]:
        """A network on such chips, at the fidelity `roofline`, `systolic` or `scalesim`.

        Raises:
            ValueError: If SCALE-Sim is not installed.
        """
        if fidelity == "roofline":
            return RooflineNetwork(
                network, chip_machine, lambda d: dram_of(d)[1], self.energy_parts
            )
        if fidelity == "scalesim":
            from archgym.cost_models.accelerator.external import ScaleSimArray, installed_scalesim

            return SystolicNetwork(network, ScaleSimArray(installed_scalesim()))
        return SystolicNetwork(network)

    def levels(self, fidelity: str) -> tuple[str, ...]:
        """None: of traffic, these models tell that of the DRAM."""
        return ()


class SystolicNetwork:
    """Fold by fold on systolic arrays, see `archgym.cost_models.accelerator.chip_costs`.

    Args:
        network: that runs.
        array: what counts its products; infinite cycles where it cannot.
    """

    def __init__(self, network: Network, array: ArrayModel = systolic) -> None:
        self._model = ChipModel(network, array)

    def costs(self, designs: ChipDesigns) -> NetworkCosts:
        """Evaluates chips."""
        found = self._model.costs(designs)
        known = np.isfinite(found.latency_s)
        energy = {part: np.where(known, each, np.nan) for part, each in found.energy_j.items()}
        return NetworkCosts(found.latency_s, energy, found.dram_bytes)

    def report(self, designs: ChipDesigns) -> tuple[OperatorReport, ...]:
        """One chip, operator by operator."""
        return chip_report(self._model, designs)


def _array() -> Sequence[Parameter]:
    return (
        Parameter("Rows", _EDGES, "rows of the array", "", "array", ordered=True),
        Parameter("Columns", _EDGES, "columns of the array", "", "array", ordered=True),
        Parameter(
            "Dataflow",
            DATAFLOWS,
            "what stays in the array: outputs, weights or inputs",
            subsystem="array",
        ),
    )


def _tile_fits(columns: Columns) -> BoolArray:
    fits = np.ones(len(columns["Rows"]), np.bool_)
    for flow, memory, format_of in (
        ("ws", "WeightMemoryKiB", "WeightFormat"),
        ("is", "InputMemoryKiB", "ActivationFormat"),
    ):
        tile = columns["Rows"] * columns["Columns"] * format_bytes(columns[format_of])
        fits &= (columns["Dataflow"] != flow) | (tile <= columns[memory] * 512)
    return fits
