"""What an encoding that rounds can reach of a tabulated task."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from archgym.environment import find_environment
from archgym.optimum import scored, table_optimum
from archgym.space import BoolArray, DesignSpace, IntArray
from archgym.task import resolve_objective
from archgym.views import make_view


@dataclass(frozen=True)
class Reach:
    """A task under the `round-2023` encoding.

    Attributes:
        optimum: the highest score of all feasible designs.
        optimal: number of them with it.
        close: share of the feasible designs whose metric is within 1 % of the optimum's.
        reachable: share of the feasible designs that the encoding can propose.
        reachable_optimal: number of optimal ones among these.
        least_regret: normalised regret of the best of these.
    """

    optimum: float
    optimal: int
    close: float
    reachable: float
    reachable_optimal: int
    least_regret: float


def rounded(space: DesignSpace, rows: IntArray) -> BoolArray:
    """Returns which rows `(n, d)` the `round-2023` encoding can propose."""
    corners = np.repeat(np.array([[-1.0], [0.0], [1.0]]), len(space), axis=1)
    values = make_view("round-2023", space).to_rows(corners, np.zeros((3, len(space)), np.int64))
    canonical = rows[:, None, :] == values[None, :, :]
    # A parameter without effect may have any value.
    return np.asarray((canonical.any(axis=1) | ~space.active(rows)).all(axis=1))


def reach_of(spec: Mapping[str, Any]) -> Reach:
    """Returns what of a task is reached, from the table of all its designs.

    Args:
        spec: keyword arguments of `make_task`.

    Raises:
        ValueError: for a task without a table.
    """
    return _reach(json.dumps(spec, sort_keys=True))


@functools.cache
def _reach(spec: str) -> Reach:
    given = json.loads(spec)
    environment = find_environment(given.pop("env"))
    objective = resolve_objective(environment, given.pop("objective"))
    model = environment.tabulated and environment.tabulated(**environment.resolve(given))
    if not model:
        raise ValueError(f"reach: there is no table of the task {spec}")
    table = scored(model, objective)
    optimum = table_optimum(table)
    score = table.design_score[table.feasible]
    within = rounded(model.space, model.table.rows[table.feasible])
    return Reach(
        optimum=optimum.score,
        optimal=optimum.count,
        close=float((score >= optimum.score - math.log(1.01)).mean()),
        reachable=float(within.mean()),
        reachable_optimal=int((within & (score == optimum.score)).sum()),
        least_regret=optimum.regret(float(score[within].max())),
    )
