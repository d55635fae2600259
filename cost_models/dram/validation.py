"""Side by side with DRAMSys 4.0, DRAMSys 5.0 with DRAMPower, Ramulator 2.1 and DRAMsim3.

Reads reference figures from a folder (`archgym_dramsys4_ddr3.csv`, `ramulator21_dramsim3.csv`,
`dramsys50.csv`, `golden_latency_ramulator21_C*.csv.gz`, `golden_cmds_ramulator21_*.csv.gz` and
`traces/`), repeats every run in it, and compares. Every check runs for which the folder has files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from archgym.cost_models.dram.validation_dramsys import dramsys4, dramsys5
from archgym.cost_models.dram.validation_energy import drampower, dramsim3
from archgym.cost_models.dram.validation_ramulator import (
    golden_commands,
    golden_latency,
    whole_runs,
)
from archgym.cost_models.validation import Check

_STEPS: tuple[tuple[str, Callable[[Path], Iterator[Check]]], ...] = (
    ("archgym_dramsys4_ddr3.csv", dramsys4),
    ("ramulator21_dramsim3.csv", whole_runs),
    ("golden_latency_ramulator21_C1.csv.gz", golden_latency),
    ("golden_latency_ramulator21_C2.csv.gz", golden_latency),
    ("golden_cmds_ramulator21_C1_chase.csv.gz", golden_commands),
    ("golden_cmds_ramulator21_C1_mixed70_small.csv.gz", golden_commands),
    ("golden_cmds_ramulator21_C1_strided.csv.gz", golden_commands),
    ("golden_cmds_ramulator21_C2_mixed70_small.csv.gz", golden_commands),
    ("dramsys50.csv", dramsys5),
    ("ramulator21_dramsim3.csv", dramsim3),
    ("dramsys50.csv", drampower),
)


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
    checks: list[Check] = []
    for name, step in _STEPS:
        if (folder / name).is_file():
            checks.extend(step(folder / name))
    if not checks:
        raise ValueError(
            f"{reference}: no DRAM reference figures, expected at least one of "
            f"{', '.join(dict.fromkeys(name for name, _ in _STEPS))}"
        )
    return checks
