"""Side by side with DRAMSys 4.0 (as shipped with ArchGym in 2023) and DRAMSys 5.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from archgym.cost_models.dram.devices import DramDevice, load_device
from archgym.cost_models.dram.policy import CONTROLLERS, IntArray, policy_row
from archgym.cost_models.dram.simulator import DramResult, DramSimulator
from archgym.cost_models.dram.validation_files import csv_trace, dramsys_trace
from archgym.cost_models.validation import Check, Target, compare, read_rows

_DRAMSYS4_TIME = Target(median_error=0.015, p95_error=0.08, spearman=0.99)
_DRAMSYS4_TIME_STREAM = Target(median_error=0.015, p95_error=0.08, spearman=0.95)
_DRAMSYS4_POWER = Target(median_error=0.03, spearman=0.99)
_DRAMSYS5_TIME = Target(median_error=0.01, max_error=0.03)
_DRAMSYS5_POWER = Target(max_error=0.03)


def dramsys4(path: Path) -> Iterator[Check]:
    """Random designs of the ten-parameter grid, DRAMSys 4.0 as shipped with ArchGym in 2023."""
    fields = [field.name for field in CONTROLLERS["dramsys"]]
    columns = ("total_time_ns", "average_power_mw", "total_energy_pj")
    rows = read_rows(path, ("trace", *fields, *columns))
    device = load_device("ddr3-1600-1gb-x8")
    by_trace: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_trace.setdefault(row["trace"], []).append(row)
    ours: dict[str, list[float]] = {column: [] for column in columns}
    theirs: dict[str, list[float]] = {column: [] for column in columns}
    for name, part in by_trace.items():
        trace = dramsys_trace(path, name)
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


def dramsys5_device() -> DramDevice:
    """The device of those runs."""
    return load_device("ddr4-2400-8gb-x8")


def dramsys5_results(
    path: Path, columns: Iterable[str]
) -> tuple[list[dict[str, str]], list[DramResult]]:
    """Repeat the comparable runs of DRAMSys 5.0.

    Args:
        path: Its file.
        columns: Columns that it must have, besides those that say what was run.

    Returns:
        Its rows, and the model's results for each.
    """
    needed = ("config", "trace", "cycles_total", *columns)
    rows = [row for row in read_rows(path, needed) if _comparable(row)]
    simulators = {
        name: DramSimulator(dramsys5_device(), csv_trace(path, name, limited=False))
        for name in {row["trace"] for row in rows}
    }
    return rows, [simulators[row["trace"]].run(_dramsys5_policy(row)[np.newaxis]) for row in rows]


def dramsys5(path: Path) -> Iterator[Check]:
    """DRAMSys 5.0: the baseline D1 on every trace, and one parameter changed at a time."""
    rows, results = dramsys5_results(path, ("avg_power_mW", "n_ACT"))
    cycle_ns = dramsys5_device().tCK_ps / 1000.0
    for subject in ("D1", "one change"):
        part = [
            (result, row)
            for result, row in zip(results, rows, strict=True)
            if row["config"].startswith("D1") == (subject == "D1")
        ]
        if not part:
            continue
        for metric, field, unit, column, target in (
            ("cycles", "total_time_ns", cycle_ns, "cycles_total", _DRAMSYS5_TIME),
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
