"""DRAM memory controller: which policies and buffers serve a program's memory trace best.

Two spaces: `modern`, what a controller of today chooses, and `archgym2023`, the ten-parameter
DRAMSys grid of the 2023 ArchGym study.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archgym.cost_model import CostModel
from archgym.environment import Environment, Fidelity, Option
from archgym.envs import _dram_2023 as grid
from archgym.envs._dram_metrics import METRICS, MODERN_OBJECTIVES
from archgym.table import TableModel

TABLES = Path(__file__).parent / "tables"
"""Folder of the shipped tables, `SPACE-WORKLOAD.parquet`, made with these options' defaults."""

BEST_KNOWN = Path(__file__).parent / "best_known"
"""Folder of the best designs known, `SPACE-WORKLOAD.yaml`."""

_AS_SHIPPED = ("clock_ps", "device")
_SHORT = 10
"""The fidelity `short` simulates one request in so many, the first ones."""
_SIMULATED = ("simulator", "short")

# CPU time of a design against the simulator's, medians over the shipped traces as printed by
# `python benchmarks/fidelities.py`.
_COST_OF_SHORT = {"modern": 0.2, "archgym2023": 0.12}
_COST_OF_TABLE = 0.002


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    allow_no_refresh = options["allow_no_refresh"]
    if not isinstance(allow_no_refresh, bool):
        raise ValueError(f"allow_no_refresh: {allow_no_refresh!r} is neither true nor false")
    if options["fidelity"] not in _SIMULATED:
        return _looked_up(options)
    from archgym.cost_models.dram import DramSimulator, load_device, load_workload

    chosen = load_device(options["device"].removeprefix("file:"))
    trace = load_workload(options["workload"], clock_ps=options["clock_ps"])
    short = options["fidelity"] == "short"
    simulated = trace.first(-(-trace.n_requests // _SHORT)) if short else trace
    if options["space"] == "modern":
        from archgym.envs._dram_modern import ModernController

        return ModernController(chosen, trace, allow_no_refresh, simulated)
    space, features = grid.space_2023(allow_no_refresh), trace.features(chosen.tCK_ps)
    return grid.DramController(DramSimulator(chosen, simulated), space, features)


def tabulated(**options: Any) -> TableModel | None:
    """Returns the table that holds every design of a task, None where there is none.

    Args:
        **options: see `ENVIRONMENT.options`.

    Raises:
        ValueError: for a table of the user that does not fit the task.
    """
    fidelity = options["fidelity"]
    if fidelity == "short":
        return None
    if options["space"] == "modern" and fidelity != "simulator":
        raise ValueError(
            f"fidelity: {fidelity!r} is not for space 'modern', which no table can hold"
        )
    if fidelity.startswith("table:"):
        path = Path(fidelity.removeprefix("table:"))
    elif _has_table(options):
        path = TABLES / _name_of_shipped(options)
    else:
        return None
    return TableModel(
        path,
        ENVIRONMENT.id,
        grid.space_2023(options["allow_no_refresh"]),
        METRICS,
        grid.DEFAULT,
        {name: options[name] for name in ("workload", "clock_ps", "space", "device")},
    )


def shipped_tables() -> list[str]:
    """Returns the file names of the shipped tables, `SPACE-WORKLOAD.parquet`."""
    return sorted(path.name for path in TABLES.glob("*.parquet"))


def best_known(**options: Any) -> Path | None:
    """Returns the file of the best designs known for a workload, None where there is none."""
    path = BEST_KNOWN / f"{options['space']}-{options['workload']}.yaml"
    return path if options["fidelity"] != "short" and path.is_file() else None


def fidelities(**options: Any) -> tuple[Fidelity, ...]:
    """Returns the fidelities of a task, the cheapest first; see `ENVIRONMENT.options`."""
    simulator = Fidelity("simulator", "the whole trace, command by command", 1.0, exact=True)
    part = f"the same on the first of {_SHORT} parts of the trace"
    short = Fidelity("short", part, _COST_OF_SHORT[options["space"]])
    # Beside `short` as a task's own fidelity, the table would answer another question.
    if options["fidelity"] == "short" or not _has_table(options):
        return (short, simulator)
    table = Fidelity("table", "the simulator's answers, looked up", _COST_OF_TABLE, exact=True)
    return (table, short, simulator)


def _has_table(options: Mapping[str, Any]) -> bool:
    return _name_of_shipped(options) in shipped_tables()


def _name_of_shipped(options: Mapping[str, Any]) -> str:
    """Returns the name of the shipped table that a task would have; the empty text for none."""
    known = ENVIRONMENT.options
    usual = all(options[name] == known[name].default_with(options) for name in _AS_SHIPPED)
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
            f"options, there are, on the space's default device: {have or 'none'}; "
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
        "space": Option("modern", "the design space", ("modern", "archgym2023")),
        "device": Option(
            "ddr4-3200-8gb-x8",
            "a device preset by name, or file:PATH",
            default_for={("space", "archgym2023"): "ddr3-1600-1gb-x8"},
        ),
        "fidelity": Option(
            "simulator",
            "cycle-level simulation, the same of a part of the trace, or a table of every design",
            ("simulator", "short", "table"),
            prefixes=("table:", "proxy:"),
        ),
        "allow_no_refresh": Option(False, "whether designs that lose data count as feasible"),
    },
    objectives=MODERN_OBJECTIVES,
    workloads=workloads,
    tabulated=tabulated,
    best_known=best_known,
    fidelities=fidelities,
)
