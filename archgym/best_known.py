"""Best-known designs: what solvers proved or long searches found where there is no table.

One YAML file per workload, `{env, options, tasks: {objective name: entry}}`. An entry holds what
`Optimum` needs, and the metrics of the default design: where those of a task are others, the model
has changed since and the entry says nothing. An entry of kind `solver` is a proven optimum, others
are the best that is known. `tools/best_known.py` and `tools/mapping_optima.py` write such files.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from archgym import yamlfile
from archgym.environment import Environment
from archgym.errors import unknown
from archgym.metric import Objective
from archgym.optimum import Optimum

KNOWN_KINDS: tuple[Literal["solver", "best-known"], ...] = ("solver", "best-known")


def counted(objective: Objective) -> list[str]:
    """Returns the names of the metrics that an objective looks at."""
    return [*objective.metrics, *(budget.metric for budget in objective.budgets)]


def identity(objective: Objective) -> dict[str, Any]:
    """Returns what makes an objective the same one: everything but its name and its words."""
    told = objective.describe()
    return {key: told[key] for key in ("metrics", "budgets", "pareto")}


@functools.lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int) -> Mapping[str, Any]:
    told: Mapping[str, Any] = yamlfile.read(path)
    return told


def read_best_known(path: Path) -> Mapping[str, Any]:
    """Returns a file of best-known designs as plain data."""
    return _read(path, path.stat().st_mtime_ns)


def best_known_optimum(
    environment: Environment,
    options: Mapping[str, Any],
    objective: Objective,
    reference: Mapping[str, float],
) -> Optimum | None:
    """Returns the best-known design of a task.

    Args:
        environment: of the task.
        options: resolved keyword arguments of the environment.
        objective: of the task.
        reference: the default design's metrics.

    Returns:
        The design; None where the environment knows none for this very task and version.

    Raises:
        ValueError: for an entry of another kind.
    """
    path = environment.best_known(**options) if environment.best_known else None
    if path is None or not path.is_file():
        return None
    told = read_best_known(path)
    if told["options"] != dict(options):
        return None
    for entry in told["tasks"].values():
        if entry["objective"] != identity(objective):
            continue
        names = counted(objective)
        if not environment.same_default(entry["reference"], reference, names):
            return None
        kind = entry.get("kind", "best-known")
        if kind not in KNOWN_KINDS:
            raise unknown(f"{path}: kind", kind, KNOWN_KINDS)
        return Optimum(
            score=entry["score"],
            design=entry["design"],
            metrics=entry["metrics"],
            count=1,
            kind=kind,
            source=entry["found_by"],
            median_random_score=entry["median_random_score"],
            bound=entry["bound"],
        )
    return None
