"""Side by side with DRAMSys 4.0, DRAMSys 5.0, Ramulator 2.1 and DRAMsim3.

Reads reference figures from a folder (`archgym_dramsys4_ddr3.csv`, `ramulator21_dramsim3.csv`,
`dramsys50.csv`, `golden_latency_ramulator21_C*.csv.gz`, `golden_cmds_ramulator21_*.csv.gz` and
`traces/`), repeats every run in it, and compares. Every check runs for which the folder has files.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.devices import DramDevice, load_device
from archgym.cost_models.dram.mapping import AddressMapping
from archgym.cost_models.dram.policy import CONTROLLERS, IntArray, policy_row
from archgym.cost_models.dram.power import energy
from archgym.cost_models.dram.simulator import CommandTrace, DramResult, DramSimulator
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import load_trace
from archgym.cost_models.validation import Check, Target, compare

_EXACT = Target(exact=1.0)
_DRAMSYS4_TIME = Target(median_error=0.015, p95_error=0.08, spearman=0.99)
_DRAMSYS4_TIME_STREAM = Target(median_error=0.015, p95_error=0.08, spearman=0.95)
_DRAMSYS4_POWER = Target(median_error=0.03, spearman=0.99)
_DRAMSYS5_TIME = Target(median_error=0.01, max_error=0.03)
_DRAMSYS5_POWER = Target(max_error=0.03)

_DRAMSIM3_ENERGY = Target(max_error=0.03)

_RAMULATOR = "Ramulator 2.1"
# Configurations of the reference whose policy the `ramulator` controller has.
_CONFIGURATIONS = ("C1", "C2", "C3", "C4", "C6", "C7")
# DDR4-3200AA of configuration C3: JESD79-4 speed bin as in Ramulator 2.1.
_DDR4_3200 = {
    "tCL": 22,
    "tCWL": 16,
    "tRCD": 22,
    "tRP": 22,
    "tRAS": 52,
    "tRC": 74,
    "tRTP": 12,
    "tWR": 24,
    "tCCD_L": 8,
    "tRRD_L": 8,
    "tWTR_S": 4,
    "tWTR_L": 12,
    "tFAW": 34,
    "tRTW": 12,
    "tRFC": 576,
    "tREFI": 12480,
}
_MAP_A = "row:16 bank:2 bankgroup:2 rank:{ranks} column:10 offset:3"
_MAP_B = "rank:{ranks} bankgroup:2 bank:2 row:16 column:10 offset:3"


def validate(reference: Path) -> list[Check]:
    """Run every check for which the folder has files.

    Args:
        reference: Folder of reference figures, or one with a folder `dram` of them.

    Returns:
        The comparisons, in the order of the documentation's table.

    Raises:
        ValueError: If the folder has no such file, or a file lacks a column, a row or a trace; the
            message names the file and what is missing.
    """
    folder = reference / "dram" if (reference / "dram").is_dir() else reference
    steps: tuple[tuple[str, Callable[[Path], Iterator[Check]]], ...] = (
        ("archgym_dramsys4_ddr3.csv", _dramsys4),
        ("ramulator21_dramsim3.csv", _ramulator),
        ("ramulator21_dramsim3.csv", _dramsim3),
        ("golden_latency_ramulator21_C1.csv.gz", _golden_latency),
        ("golden_latency_ramulator21_C2.csv.gz", _golden_latency),
        ("golden_cmds_ramulator21_C1_chase.csv.gz", _golden_commands),
        ("golden_cmds_ramulator21_C1_mixed70_small.csv.gz", _golden_commands),
        ("golden_cmds_ramulator21_C1_strided.csv.gz", _golden_commands),
        ("golden_cmds_ramulator21_C2_mixed70_small.csv.gz", _golden_commands),
        ("dramsys50.csv", _dramsys5),
    )
    checks: list[Check] = []
    for name, step in steps:
        if (folder / name).is_file():
            checks.extend(step(folder / name))
    if not checks:
        raise ValueError(
            f"{reference}: no DRAM reference figures, expected at least one of "
            f"{', '.join(name for name, _ in steps)}"
        )
    return checks


def _dramsys4(path: Path) -> Iterator[Check]:
    """Random designs of the ten-parameter grid, DRAMSys 4.0 as shipped with ArchGym in 2023."""
    fields = [field.name for field in CONTROLLERS["dramsys"]]
    columns = ("total_time_ns", "average_power_mw", "total_energy_pj")
    rows = _read(path, ("trace", *fields, *columns))
    device = load_device("ddr3-1600-1gb-x8")
    by_trace: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_trace.setdefault(row["trace"], []).append(row)
    ours: dict[str, list[float]] = {column: [] for column in columns}
    theirs: dict[str, list[float]] = {column: [] for column in columns}
    for name, part in by_trace.items():
        trace = _dramsys_trace(path, name)
        policies = np.stack([_dramsys_policy({f: row[f] for f in fields}) for row in part])
        result = DramSimulator(device, trace).run(policies)
        for column, values in zip(
            columns, (result.total_time_ns, result.power_mw, result.energy_pj), strict=True
        ):
            reference = [float(row[column]) for row in part]
            ours[column] += list(values)
            theirs[column] += reference
            yield compare(
                "DRAMSys 4.0, random designs",
                name,
                column,
                values,
                reference,
                _dramsys4_target(column, name),
                tolerance=0.005 if column == "average_power_mw" else 1e-6,
            )
    for column in columns:
        yield compare(
            "DRAMSys 4.0, random designs",
            "all",
            column,
            ours[column],
            theirs[column],
            _dramsys4_target(column, "all"),
            tolerance=0.005 if column == "average_power_mw" else 1e-6,
        )


def _dramsys4_target(column: str, trace: str) -> Target | None:
    if column == "total_time_ns":
        return _DRAMSYS4_TIME_STREAM if trace == "stream" else _DRAMSYS4_TIME
    return _DRAMSYS4_POWER if column == "average_power_mw" else None


def _ramulator(path: Path) -> Iterator[Check]:
    """Whole runs of Ramulator 2.1; DRAMsim3's, whose policy differs, for information."""
    counts = ("n_act", "n_pre", "n_rd", "n_wr", "n_ref")
    rows = _read(path, ("simulator", "config", "trace", "cycles_total", "n_preab", *counts))
    for configuration in _CONFIGURATIONS:
        part = [
            row
            for row in rows
            if row["simulator"].startswith("ramulator") and row["config"].startswith(configuration)
        ]
        if not part:
            continue
        results = [_run_ramulator(path, configuration, row["trace"]) for row in part]
        for metric in ("cycles", *counts):
            mine = [_figure(result, metric, configuration) for result in results]
            column = "cycles_total" if metric == "cycles" else metric
            others = [float(row[column]) for row in part]
            check = f"{_RAMULATOR} {configuration}"
            if configuration == "C1" and metric in ("cycles", "n_act"):
                for row, one, other in zip(part, mine, others, strict=True):
                    yield compare(check, row["trace"], metric, [one], [other], _EXACT)
            yield compare(check, "all", metric, mine, others, _EXACT)


def _dramsim3(path: Path) -> Iterator[Check]:
    """DRAMsim3's energies of commands, for the numbers of commands that it issued."""
    counts = {c.O_ACT: "n_act", c.O_PRE: "n_act", c.O_RD: "n_rd", c.O_WR: "n_wr", c.O_REF: "n_ref"}
    columns = {
        "activate": "act_energy_pJ",
        "read": "read_energy_pJ",
        "write": "write_energy_pJ",
        "refresh": "ref_energy_pJ",
    }
    rows = [
        row
        for row in _read(path, ("simulator", "config", *counts.values(), *columns.values()))
        if row["simulator"] == "dramsim3"
    ]
    for device, part in (
        (load_device("ddr4-2400-8gb-x8"), [row for row in rows if "_2400_" in row["config"]]),
        (load_device("ddr4-3200-8gb-x8"), [row for row in rows if "_3200_" in row["config"]]),
    ):
        outputs = np.zeros((len(part), c.OUTPUTS), np.int64)
        for cell, column in counts.items():
            outputs[:, cell] = [int(row[column]) for row in part]
        ours = energy(device, outputs, np.zeros(len(part), np.int64))
        # DRAMsim3 counts an ACT and its PRE as one part.
        parts = {name: getattr(ours, name) for name in columns}
        parts["activate"] = ours.activate + ours.precharge
        for name, column in columns.items():
            theirs = np.array([float(row[column]) for row in part])
            issued = theirs > 0
            if issued.any():
                yield compare(
                    "DRAMsim3, equal command counts",
                    device.name,
                    f"{name} energy",
                    parts[name][issued],
                    theirs[issued],
                    _DRAMSIM3_ENERGY,
                    tolerance=0.5,
                )


def _figure(result: DramResult, metric: str, configuration: str) -> float:
    if metric == "cycles":
        period_ns = _ramulator_device(configuration).tCK_ps / 1000.0
        return float(np.rint(result.total_time_ns[0] / period_ns))
    value = float(getattr(result, metric)[0])
    # The reference counts PRE commands, and PREA apart.
    return value - float(result.n_pre_by_prea[0]) if metric == "n_pre" else value


def _golden_latency(path: Path) -> Iterator[Check]:
    """Latency of single requests, as Ramulator 2.1's driver saw it."""
    configuration = path.name.split("_")[-1].split(".")[0]
    rows = _read(path, ("trace", "index", "accept_minus_arrival", "latency"))
    by_trace: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_trace.setdefault(row["trace"], []).append(row)
    for name, part in by_trace.items():
        simulator = _ramulator_simulator(path, configuration, name)
        cycle_ns = simulator.device.tCK_ps / 1000.0
        cycles = np.rint(simulator.latencies(_ramulator_policy(configuration)) / cycle_ns)
        index = np.array([int(row["index"]) for row in part])
        reference = [int(row["accept_minus_arrival"]) + int(row["latency"]) for row in part]
        yield compare(
            f"{_RAMULATOR} {configuration}, request by request",
            name,
            "latency from arrival",
            cycles[index],
            reference,
            _EXACT,
        )


def _golden_commands(path: Path) -> Iterator[Check]:
    """The first DRAM commands of a run of Ramulator 2.1: cycle, command and place."""
    stem = path.name.removeprefix("golden_cmds_ramulator21_").removesuffix(".csv.gz")
    configuration, _, name = stem.partition("_")
    rows = _read(path, ("clock", "command", "Rank", "BankGroup", "Bank", "Row"))
    simulator = _ramulator_simulator(path, configuration, name)
    ours = simulator.command_trace(_ramulator_policy(configuration))
    codes = {"ACT": c.ACT, "RD": c.RD, "WR": c.WR, "PREpb": c.PRE, "PREab": c.PREAB}
    codes["REFab"] = c.REFAB
    reference = np.array(
        [[int(row["clock"]), codes[row["command"]], int(row["Rank"]), *_place(row)] for row in rows]
    )
    n = len(rows)
    yield compare(
        f"{_RAMULATOR} {configuration}, command by command",
        name,
        "cycle where command and place agree",
        _same_commands(ours, reference, n),
        reference[:, 0],
        _EXACT,
    )


def _place(row: dict[str, str]) -> tuple[int, int, int]:
    if row["command"] in ("PREab", "REFab"):
        return -1, -1, -1
    return int(row["BankGroup"]), int(row["Bank"]), int(row["Row"])


def _same_commands(ours: CommandTrace, reference: IntArray, n: int) -> IntArray:
    """Our cycles, -1 where the command or its place is another."""
    table = np.stack(
        [ours.cycle, ours.command, ours.rank, ours.bankgroup, ours.bank, ours.row], axis=1
    )[:n]
    padded = np.full((n, 6), -1, np.int64)
    padded[: table.shape[0]] = table
    same = (padded[:, 1:] == reference[:, 1:]).all(axis=1)
    return np.where(same, padded[:, 0], -1)


def _dramsys5(path: Path) -> Iterator[Check]:
    """DRAMSys 5.0: the baseline D1 on every trace, and one parameter changed at a time."""
    columns = ("config", "trace", "cycles_total", "avg_power_mW", "n_ACT")
    rows = [row for row in _read(path, columns) if _comparable(row)]
    device = load_device("ddr4-2400-8gb-x8")
    names = [row["trace"] for row in rows]
    simulators = {
        name: DramSimulator(device, _csv_trace(path, name, limited=False)) for name in set(names)
    }
    results = [simulators[row["trace"]].run(_dramsys5_policy(row)[np.newaxis]) for row in rows]
    for subject in ("D1", "one change"):
        part = [
            (result, row)
            for result, row in zip(results, rows, strict=True)
            if row["config"].startswith("D1") == (subject == "D1")
        ]
        if not part:
            continue
        for metric, field, unit, column, target in (
            ("cycles", "total_time_ns", device.tCK_ps / 1000.0, "cycles_total", _DRAMSYS5_TIME),
            ("power", "power_mw", 1.0, "avg_power_mW", _DRAMSYS5_POWER),
            ("n_act", "n_act", 1.0, "n_ACT", None),
        ):
            yield compare(
                "DRAMSys 5.0",
                subject,
                metric,
                [float(getattr(result, field)[0]) / unit for result, _ in part],
                [float(row[column]) for _, row in part],
                target,
                tolerance=0.5 if metric == "cycles" else 0.005,
            )


def _comparable(row: dict[str, str]) -> bool:
    """Runs that finished, of policies that the controller has, with the trace's own limits kept."""
    config = row["config"]
    unknown = ("CmdMux", "PowerDown", "=GrpFrFcfs", "FAILED", "DID NOT FINISH")
    if any(word in config for word in unknown) or not row["cycles_total"]:
        return False
    return int(row["cycles_total"]) > 0 and row["trace"] != "chase"


def _dramsys5_policy(row: dict[str, str]) -> IntArray:
    changes = {"RefreshMaxPostponed": "0", "RefreshMaxPulledin": "0"}
    for change in filter(None, row["config"].partition(":")[2].split(";")):
        name, _, value = change.partition("=")
        changes[name] = value
    return _dramsys_policy(changes)


def _dramsys_policy(values: dict[str, str]) -> IntArray:
    return policy_row(**{k: int(v) if v.isdigit() else v for k, v in values.items()})


def _ramulator_policy(configuration: str) -> IntArray:
    return policy_row(
        "ramulator",
        Scheduler="FrFcfsRowHit" if configuration == "C7" else "FrFcfs",
        RefreshPolicy="NoRefresh" if configuration == "C6" else "AllBank",
    )


def _ramulator_simulator(path: Path, configuration: str, trace: str) -> DramSimulator:
    device = _ramulator_device(configuration)
    order = _MAP_B if configuration == "C4" else _MAP_A
    mapping = AddressMapping.parse(order.format(ranks=device.organisation.ranks - 1))
    return DramSimulator(device, _csv_trace(path, trace), mapping=mapping, controller="ramulator")


def _run_ramulator(path: Path, configuration: str, trace: str) -> DramResult:
    simulator = _ramulator_simulator(path, configuration, trace)
    return simulator.run(_ramulator_policy(configuration)[np.newaxis])


def _ramulator_device(configuration: str) -> DramDevice:
    device = load_device("ddr4-2400-8gb-x8")
    if configuration == "C3":
        timing = dataclasses.replace(device.timing, **_DDR4_3200)
        return dataclasses.replace(device, timing=timing, tCK_ps=625)
    if configuration == "C2":
        organisation = dataclasses.replace(device.organisation, ranks=2)
        return dataclasses.replace(device, organisation=organisation)
    return device


def _dramsys_trace(path: Path, name: str) -> Trace:
    trace = load_trace(_trace_path(path, f"{name}.stl"))
    # The player runs at the memory clock of the device, 800 MHz.
    return dataclasses.replace(trace, clock_ps=1250)


def _csv_trace(path: Path, name: str, *, limited: bool = True) -> Trace:
    """A trace of the folder; the saturated one is another's addresses, all there at once."""
    saturated = name == "random_read_sat"
    trace = load_trace(_trace_path(path, f"{'random_read' if saturated else name}.csv.gz"))
    cycle = np.zeros_like(trace.cycle) if saturated else trace.cycle
    outstanding = 1 if name == "chase" and limited else None
    return Trace(cycle, trace.is_write, trace.address, None, name, outstanding)


def _trace_path(path: Path, name: str) -> Path:
    found = path.parent / "traces" / name
    if not found.is_file():
        raise ValueError(f"{path}: trace file {found} is missing")
    return found


def _read(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file, gzip or not, that has at least these columns and one row."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing")
    rows = list(reader)
    if not rows:
        raise ValueError(f"{path}: no rows below the header")
    return rows
