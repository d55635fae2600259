"""Designs that a run has looked at through cheaper fidelities, and what that did to its budget.

They are no trials. A run's folder holds them in `screened.jsonl`, at the end `screened.parquet`, if
there are any: one row per design and fidelity with the columns of trials (without the breakdown;
`sample` counts within the fidelity), and before them `fidelity`, `fidelity_cost` in samples,
and `trials_before`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archgym.environment import Fidelity
from archgym.metric import FloatArray
from archgym.space import IntArray
from archgym.store import lines_frame, read_lines, read_manifest, read_parquet, trials_frame
from archgym.task import Evaluation

if TYPE_CHECKING:
    import polars

PLACE = ("fidelity", "fidelity_cost", "trials_before")
"""Columns that trials do not have."""


@dataclass(frozen=True)
class Screening:
    """What a run has evaluated at one cheaper fidelity.

    Attributes:
        fidelity: with its cost.
        after: number of trials before each design `(n,)`.
        evaluation: of the `n` designs, scored at that fidelity.
    """

    fidelity: Fidelity
    after: IntArray
    evaluation: Evaluation


def screened_frame(screenings: Sequence[Screening]) -> polars.DataFrame | None:
    """Returns screened designs as a table, fidelity by fidelity, None for no design."""
    import polars

    parts = []
    for each in screenings:
        frame = trials_frame(each.evaluation).drop(list(each.evaluation.breakdown))
        place = {
            "fidelity": [each.fidelity.name] * len(frame),
            "fidelity_cost": [each.fidelity.cost] * len(frame),
            "trials_before": each.after,
        }
        parts.append(polars.DataFrame(place).hstack(frame))
    return polars.concat(parts) if parts else None


def load_screened(path: Path) -> polars.DataFrame | None:
    """Returns what a run has screened, finished or not; None where it has not.

    Raises:
        ValueError: if the folder holds no run.
    """
    manifest = read_manifest(path)
    if manifest is None:
        raise ValueError(f"{path}: holds no run (there is no run.json)")
    file = path / "screened.parquet"
    if manifest["status"] == "complete":
        return read_parquet(file) if file.exists() else None
    lines = read_lines(path / "screened.jsonl")
    return lines_frame(lines, PLACE, ("metrics",)) if lines else None


def budget_spent(trials: int, screened: polars.DataFrame | None) -> FloatArray:
    """Returns the budget that a run had spent when each trial was known, and at its end.

    Args:
        trials: number of them, n.
        screened: see `load_screened`.

    Returns:
        `(n + 1,)` in samples: the last entry is the end of the run.
    """
    before = np.arange(trials + 1)
    spent = np.append(np.arange(1.0, trials + 1), float(trials))
    if screened is not None:
        for (_, cost), part in screened.group_by("fidelity", "fidelity_cost", maintain_order=True):
            after = np.sort(part["trials_before"].to_numpy())
            spent += float(str(cost)) * np.searchsorted(after, before, side="right")
    return spent
