"""DRAM memory controller: which policies and buffers serve a program's memory trace best.

The space `archgym2023` is the ten-parameter DRAMSys grid of the 2023 ArchGym study, all 442,368
designs of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym.cost_model import CostModel, Costs, FloatFeatures
from archgym.environment import Environment, Option
from archgym.metric import Budget, Metric, Objective
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, IntArray, Parameter, Value
from archgym.table import TableModel

if TYPE_CHECKING:
    from archgym.cost_models.dram import DramSimulator

TABLES = Path(__file__).parent / "tables"
"""Folder of the shipped tables, `SPACE-WORKLOAD.parquet`, made with these options' defaults."""

_AS_SHIPPED = ("clock_ps", "device")

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

METRICS = (
    Metric("read_latency_ns", "ns", "minimise", "mean over reads, arrival to end of data"),
    Metric("read_latency_p99_ns", "ns", "minimise", "99th percentile over reads"),
    Metric("total_time_ns", "ns", "minimise", "first arrival to end of the last response"),
    Metric("bandwidth_gb_per_s", "GB/s", "maximise", "bytes moved per total time"),
    Metric("power_mw", "mW", "minimise", "energy per total time"),
    Metric("energy_pj", "pJ", "minimise", "of all devices, from supply currents"),
    Metric("energy_per_bit_pj", "pJ", "minimise", "energy per bit moved"),
    Metric("row_hits", "", "none", "requests that found their row open"),
    Metric("row_misses", "", "none", "requests that found their bank closed"),
    Metric("row_conflicts", "", "none", "requests that found another row open"),
    Metric("activates", "", "none", "ACT commands"),
    Metric("precharges", "", "none", "banks precharged"),
    Metric("reads", "", "none", "RD and RDA commands"),
    Metric("writes", "", "none", "WR and WRA commands"),
    Metric("refreshes", "", "none", "REF commands"),
)

# Names of the simulator's counters where they differ.
_COUNTERS = {
    "activates": "n_act",
    "precharges": "n_pre",
    "reads": "n_rd",
    "writes": "n_wr",
    "refreshes": "n_ref",
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
_CYCLES = ("command", "refresh", "bank", "data_bus", "activation", "no_request")

OBJECTIVES = (
    Objective("low-latency", ("read_latency_ns",), doc="least mean read latency"),
    Objective("low-power", ("power_mw",), doc="least average power"),
    Objective("low-energy", ("energy_pj",), doc="least energy"),
    Objective("energy-delay", ("energy_pj", "total_time_ns"), doc="least energy-delay product"),
    Objective("high-bandwidth", ("bandwidth_gb_per_s",), doc="most bandwidth"),
    Objective(
        "power-under-latency",
        ("power_mw",),
        budgets=(Budget("read_latency_ns", 1.0, relative=True),),
        doc="least power among designs with no more read latency than the default design",
    ),
    Objective(
        "latency-power",
        ("read_latency_ns", "power_mw"),
        pareto=True,
        doc="trade-off of read latency and power",
    ),
)


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
            metric.name: np.asarray(getattr(result, _COUNTERS.get(metric.name, metric.name)), float)
            for metric in METRICS
        }
        breakdown = {f"energy_pj/{part}": getattr(result.energy, part) for part in _ENERGIES}
        for reason in _CYCLES:
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


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    allow_no_refresh = options["allow_no_refresh"]
    if not isinstance(allow_no_refresh, bool):
        raise ValueError(f"allow_no_refresh: {allow_no_refresh!r} is neither true nor false")
    if options["fidelity"] != "simulator":
        return _looked_up(options)
    from archgym.cost_models.dram import DramSimulator, load_device, load_workload

    chosen = load_device(options["device"].removeprefix("file:"))
    trace = load_workload(options["workload"], clock_ps=options["clock_ps"])
    simulator = DramSimulator(chosen, trace)
    return DramController(simulator, space_2023(allow_no_refresh), trace.features(chosen.tCK_ps))


def tabulated(**options: Any) -> TableModel | None:
    """Returns the table that holds every design of a task, None where there is none.

    Args:
        **options: see `ENVIRONMENT.options`.

    Raises:
        ValueError: for a table of the user that does not fit the task.
    """
    fidelity = options["fidelity"]
    if fidelity.startswith("table:"):
        path = Path(fidelity.removeprefix("table:"))
    elif _name_of_shipped(options) in shipped_tables():
        path = TABLES / _name_of_shipped(options)
    else:
        return None
    return TableModel(
        path,
        ENVIRONMENT.id,
        space_2023(options["allow_no_refresh"]),
        METRICS,
        DEFAULT,
        {name: options[name] for name in ("workload", "clock_ps", "space", "device")},
    )


def shipped_tables() -> list[str]:
    """Returns the file names of the shipped tables, `SPACE-WORKLOAD.parquet`."""
    return sorted(path.name for path in TABLES.glob("*.parquet"))


def _name_of_shipped(options: Mapping[str, Any]) -> str:
    """Returns the name of the shipped table that a task would have; the empty text for none."""
    usual = all(options[name] == ENVIRONMENT.options[name].default for name in _AS_SHIPPED)
    return f"{options['space']}-{options['workload']}.parquet" if usual else ""


def _looked_up(options: Mapping[str, Any]) -> TableModel:
    """Returns the cost model of a fidelity that is a table.

    Raises:
        ValueError: where no table is shipped, naming those that are.
    """
    model = tabulated(**options)
    if model is None:
        names = [name.removesuffix(".parquet").partition("-") for name in shipped_tables()]
        have = ", ".join(f"{workload} (space {space})" for space, _, workload in names)
        raise ValueError(
            f"fidelity: no table is shipped for workload {options['workload']!r} with these "
            f"options, there are, on {ENVIRONMENT.options['device'].default}: {have or 'none'}; "
            f"make your own with `archgym tabulate {ENVIRONMENT.id}` and give it as "
            f"fidelity=table:PATH"
        )
    return model


def workloads() -> dict[str, str]:
    """Returns `{name: description}` of the shipped workloads."""
    from archgym.cost_models.dram.workloads import workloads as known

    return {each.name: f"{each.kind}: {each.description}" for each in known()}


ENVIRONMENT = Environment(
    id="DramController-v0",
    summary="policies and buffers of a DRAM memory controller for a program's memory trace",
    build=build,
    options={
        "workload": Option("sort", "a shipped trace by name, or file:PATH"),
        "clock_ps": Option(
            None, "clock period in ps that a trace file counts in; none: the device's"
        ),
        "space": Option("archgym2023", "the design space", ("archgym2023",)),
        "device": Option("ddr3-1600-1gb-x8", "a device preset by name, or file:PATH"),
        "fidelity": Option(
            "simulator",
            "cycle-level simulation, or the same answers from a table of every design",
            ("simulator", "table"),
            prefixes=("table:",),
        ),
        "allow_no_refresh": Option(False, "whether designs that lose data count as feasible"),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    tabulated=tabulated,
)
