"""Side by side with other tools and published figures, from SCALE-Sim to FuseMax and NASAIC.

Reads reference figures from a folder and evaluates every row of them. Every check runs for which
the folder has a file. In the modes that count as another tool does, rows must be equal; what the
`ideal` mode gives for the same rows stands beside, without a target. SCALE-Sim, ZigZag,
Timeloop and MAESTRO run rows anew where the user has named them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from archgym.cost_models.accelerator.external.validation_live import (
    maestro_live,
    scalesim_live,
    timeloop_live,
    zigzag_live,
)
from archgym.cost_models.accelerator.fusion.validation_fusemax import STEPS as FUSEMAX
from archgym.cost_models.accelerator.loopnest.validation_maestro import maestro
from archgym.cost_models.accelerator.loopnest.validation_timeloop import timeloop
from archgym.cost_models.accelerator.loopnest.validation_zigzag import zigzag
from archgym.cost_models.accelerator.multi.validation_nasaic import sub_accelerators
from archgym.cost_models.accelerator.validation_grouping import draco
from archgym.cost_models.accelerator.validation_llm import genz_rows, llm_viewer_rows
from archgym.cost_models.accelerator.validation_sram import cacti
from archgym.cost_models.accelerator.validation_systolic import scalesim
from archgym.cost_models.validation import Check

# Every step reads one file; a file may have several steps.
STEPS: tuple[tuple[str, Callable[[Path], Iterator[Check]]], ...] = (
    ("scalesim_v3_layers.csv", scalesim),
    ("scalesim_v3_layers.csv", scalesim_live),
    ("scalesim_v3_layers.csv", draco),
    ("timeloop_fixed_mappings.csv", timeloop),
    ("timeloop_fixed_mappings.csv", timeloop_live),
    ("maestro_fixed_mappings.csv", maestro),
    ("maestro_fixed_mappings.csv", maestro_live),
    ("maestro_fixed_mappings.csv", sub_accelerators),
    ("zigzag_layers.csv", zigzag),
    ("zigzag_layers.csv", zigzag_live),
    ("llm_genz.csv", genz_rows),
    ("llm_llmviewer.csv", llm_viewer_rows),
    ("sram_cacti7.csv", cacti),
    *FUSEMAX,
)


def validate(reference: Path) -> list[Check]:
    """Run every check for which the folder has files.

    Args:
        reference: Folder of reference figures, or one with folders `accel` and `fusemax` of them.

    Returns:
        The comparisons, in the order of the documentation's tables.

    Raises:
        ValueError: If the folder has no such file, or a file lacks a column or a row; the message
            names the file and what is missing.
    """
    folders = (reference, reference / "accel", reference / "fusemax")
    checks: list[Check] = []
    for name, step in STEPS:
        found = [folder / name for folder in folders if (folder / name).is_file()]
        if found:
            checks.extend(step(found[0]))
    if not checks:
        raise ValueError(
            f"{reference}: no accelerator reference figures, expected at least one of "
            f"{', '.join(dict.fromkeys(name for name, _ in STEPS))}"
        )
    return checks
