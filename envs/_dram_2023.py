"""The space `archgym2023`: the ten-parameter DRAMSys grid of the 2023 ArchGym study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.envs._dram_metrics import COUNTERS, METRICS
from archgym.metric import Metric
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, IntArray, Parameter, Value

if TYPE_CHECKING:
    from archgym.cost_models.dram import DramSimulator

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_COUNTS = (1, 2, 4, 8)

PARAMETERS = (
    Parameter(
        "PagePolicy",
        ("Open", "OpenAdaptive", "Closed", "ClosedAdaptive"),
        "when a row is closed: on a conflict, after each access, or by what waits in the queue",
        subsystem="page policy",
    ),
    Parameter(
        "Scheduler",
        ("Fifo", "FrFcfsGrp", "FrFcfs"),
        "which request of a bank goes next: the oldest, or row hits first (grouped by direction)",
        subsystem="scheduler",
    ),
    Parameter(
        "SchedulerBuffer",
        ("Bankwise", "ReadWrite", "Shared"),
        "whether request buffers are per bank, per direction, or one for all",
        subsystem="scheduler",
    ),
    Parameter(
        "RequestBufferSize",
        _SIZES,
        "entries of each request buffer",
        unit="requests",
        subsystem="scheduler",
        ordered=True,
    ),
    Parameter(
        "RespQueue",
        ("Fifo", "Reorder"),
        "whether responses return in the order of service or in the order of requests",
        subsystem="front end",
    ),
    Parameter(
        "RefreshPolicy",
        ("NoRefresh", "AllBank"),
        "whether rows are refreshed; without refresh data is lost",
        subsystem="refresh",
    ),
    Parameter(
        "RefreshMaxPostponed",
        _COUNTS,
        "refreshes that may be postponed while the rank is busy",
        unit="refreshes",
        subsystem="refresh",
        ordered=True,
        when={"RefreshPolicy": ("AllBank",)},
    ),
    Parameter(
        "RefreshMaxPulledin",
        _COUNTS,
        "refreshes that may be pulled in while the rank is idle",
        unit="refreshes",
        subsystem="refresh",
        ordered=True,
        when={"RefreshPolicy": ("AllBank",)},
    ),
    Parameter(
        "Arbiter",
        ("Simple", "Fifo", "Reorder"),
        "how requests reach the controller: handed on, or queued with in- or out-of-order return",
        subsystem="front end",
    ),
    Parameter(
        "MaxActiveTransactions",
        _SIZES,
        "requests in flight that the arbiter allows",
        unit="requests",
        subsystem="front end",
        ordered=True,
        when={"Arbiter": ("Fifo", "Reorder")},
    ),
)

# The FR-FCFS configuration that DRAMSys ships (resources/configs/mcconfigs/fr_fcfs.json), which
# leaves buffer organisation and arbiter open: per bank, and the simple one.
DEFAULT: Mapping[str, Value] = {
    "PagePolicy": "Open",
    "Scheduler": "FrFcfs",
    "SchedulerBuffer": "Bankwise",
    "RequestBufferSize": 8,
    "RespQueue": "Fifo",
    "RefreshPolicy": "AllBank",
    "RefreshMaxPostponed": 8,
    "RefreshMaxPulledin": 8,
    "Arbiter": "Simple",
}

# What energy and cycles go to on the 2023 grid, which never powers down. Named one by one, so that
# tables hold the same parts when the simulator learns new ones.
_ENERGIES = (
    "activate",
    "precharge",
    "read",
    "write",
    "refresh",
    "active_standby",
    "precharge_standby",
)
CYCLES = ("command", "refresh", "bank", "data_bus", "activation", "no_request")


def _refreshed(columns: Columns) -> BoolArray:
    return np.asarray(columns["RefreshPolicy"] != "NoRefresh")


def space_2023(allow_no_refresh: bool) -> DesignSpace:
    """Returns the 2023 grid; designs without refresh are infeasible unless allowed."""
    keep_data = Constraint(
        "row data lost after 64 ms", _refreshed, "a cell must be refreshed within 64 ms (JESD79)"
    )
    return DesignSpace(PARAMETERS, () if allow_no_refresh else (keep_data,))


class DramController:
    """The cycle-level DRAM simulator behind the 2023 grid.

    Args:
        simulator: device and trace.
        space: the design space.
        features: description of the trace.
    """

    def __init__(
        self, simulator: DramSimulator, space: DesignSpace, features: Mapping[str, float]
    ) -> None:
        self.space = space
        self.metrics: tuple[Metric, ...] = METRICS
        self.default: Mapping[str, Value] = DEFAULT
        self.features: FloatFeatures = np.array(list(features.values()), np.float32) * 2 - 1
        self._simulator = simulator

    def evaluate(self, designs: IntArray) -> Costs:
        """Simulates every design on the trace; see `archgym.cost_models.dram`."""
        from archgym.cost_models.dram import STALL_REASONS

        result = self._simulator.run(self._policies(designs))
        metrics = {
            metric.name: np.asarray(getattr(result, COUNTERS.get(metric.name, metric.name)), float)
            for metric in METRICS
        }
        breakdown = {f"energy_pj/{part}": getattr(result.energy, part) for part in _ENERGIES}
        for reason in CYCLES:
            cycles = result.stall_cycles[:, STALL_REASONS.index(reason)]
            breakdown[f"cycles/{reason}"] = cycles.astype(float)
        return Costs(metrics, breakdown=breakdown)

    def _policies(self, designs: IntArray) -> dict[str, IntArray]:
        """Codes of the named choices, which are in the simulator's order, and plain counts."""
        return {
            parameter.name: (
                designs[:, j]
                if isinstance(parameter.values[0], str)
                else np.array(parameter.values, np.int64)[designs[:, j]]
            )
            for j, parameter in enumerate(self.space.parameters)
        }
