"""The best designs of a task: what they are, what makes them good, which parameters matter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archgym.comparison import parameter_importance
from archgym.pareto import front
from archgym.results import counted_metrics, scorer_of
from archgym.run_summary import Design, RunSummary, spread
from archgym.space import DesignSpace, IntArray, Parameter

SHOWN = 10
DRAWN = 60


def space_of(manifest: Mapping[str, Any]) -> DesignSpace:
    """Returns the parameters of a run's task, without its constraints."""
    return DesignSpace([Parameter.parse(each) for each in manifest["parameters"]])


def best_of(runs: Sequence[RunSummary]) -> list[Design]:
    """Returns the best different designs of some runs, of equal ones that nearest to the default.

    Of one found by several runs the earliest is kept.
    """
    found: dict[tuple[int, ...], Design] = {}
    for run in runs:
        for design in run.designs:
            there = found.get(design.row)
            if there is None or design.sample < there.sample:
                found[design.row] = design
    default = runs[0].manifest["default"]

    def place(design: Design) -> tuple[float, int, int, tuple[int, ...]]:
        changed = sum(here != there for here, there in zip(design.row, default, strict=True))
        return -design.score, changed, design.sample, design.row

    return sorted(found.values(), key=place)


def _texts(space: DesignSpace, row: Sequence[int]) -> list[str]:
    array = np.array([row], np.int64)
    active = space.active(array)[0]
    return [
        str(value) if on else "no effect"
        for value, on in zip(space.decode(array[0]).values(), active, strict=True)
    ]


def front_of(found: Sequence[Design], manifest: Mapping[str, Any]) -> list[Design]:
    """Returns some of the designs that no other beats in every goal, from end to end of the front.

    Args:
        found: different designs with several goals.
        manifest: of their task.
    """
    if not found:
        return []
    names = [metric["name"] for metric in manifest["metrics"]]
    values = {name: np.array([each.metrics[name] for each in found]) for name in names}
    goals = scorer_of(manifest).components(values)
    return [found[i] for i in spread(front(goals), SHOWN)]


def describe(
    best: Sequence[Design], shown: Sequence[Design], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns designs as data for the page.

    Args:
        best: by score.
        shown: those that are given with all parameters and metrics, the objective's first.
        manifest: of one of the runs.
    """
    space = space_of(manifest)
    first = counted_metrics(manifest)
    declared = sorted(manifest["metrics"], key=lambda metric: metric["name"] not in first)
    metrics = [metric["name"] for metric in declared]

    def numbers(values: Mapping[str, float]) -> list[float | None]:
        return [
            float(f"{values[name]:.6g}") if math.isfinite(values[name]) else None
            for name in metrics
        ]

    return {
        "parameters": [
            {"name": p.name, "unit": p.unit, "doc": p.doc, "values": [str(v) for v in p.values]}
            for p in space.parameters
        ],
        "metrics": [dict(metric) for metric in declared],
        "counted": len(first),
        "default": {
            "values": _texts(space, manifest["default"]),
            "metrics": numbers(manifest["reference"]),
        },
        "best": [
            {
                "values": _texts(space, each.row),
                "metrics": numbers(each.metrics),
                "score": float(f"{each.score:.6g}"),
                "agent": each.label,
                "seed": each.seed,
                "sample": each.sample,
            }
            for each in shown
        ],
        "top": {"metrics": numbers(best[0].metrics)} if best else None,
        "drawn": [[*each.row, float(f"{each.score:.5g}")] for each in best[:DRAWN]],
    }


def importance(runs: Sequence[RunSummary]) -> list[float | None]:
    """Returns the share of the score's variance that each parameter explains alone."""
    rows = np.concatenate([run.rows for run in runs])
    scores = np.concatenate([run.scores for run in runs])
    squared = scores**2
    shares = []
    for j, parameter in enumerate(runs[0].manifest["parameters"]):
        size = len(parameter["values"])
        values = rows[:, j].astype(np.intp)
        count, total, squares = (
            np.bincount(values, weights, size).astype(np.float64)
            for weights in (None, scores, squared)
        )
        share = parameter_importance(count, total, squares)
        shares.append(None if share is None else round(share, 4))
    return shares


def changes(found: Sequence[Design], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Says what makes the best design good: each change from the default design alone.

    Each parameter in which both differ is changed in the default design, and changed back in the
    best one; these designs are evaluated with the cost model. A parameter that only then has an
    effect comes along with the value of the design that the change comes from; one without effect
    in the best design is no change of its own.

    Returns:
        `rows` (parameter, default, best, score of the default with this change alone, score that
        the best design loses without it), or `reason` why there are none.
    """
    from archgym.task import make_task

    if not found:
        return {"reason": "no feasible design was found"}
    best = found[0]
    space = space_of(manifest)
    default, row = np.array(manifest["default"]), np.array(best.row)
    differing = np.flatnonzero((default != row) & space.active(row[None])[0])
    if len(differing) == 0:
        return {"rows": []}
    try:
        task = make_task(**manifest["task"])
        if task.space.fingerprint != manifest["space"]:
            return {"reason": "the design space has changed since"}
        if any(task.reference[n] != v for n, v in manifest["reference"].items() if v == v):
            return {"reason": "the cost model answers differently now"}
        alone = _one_changed(space, default, row, differing)
        without = _one_changed(space, row, default, differing)
        scores = task.evaluate(np.concatenate([alone, without])).score
    except Exception as error:  # a cost model of another package may raise anything
        return {"reason": str(error).splitlines()[0] if str(error) else type(error).__name__}
    before, after = _texts(space, default.tolist()), _texts(space, best.row)

    def plain(value: float) -> float | None:
        return round(float(value), 5) if math.isfinite(value) else None

    rows = [
        {
            "parameter": space.names[j],
            "default": before[j],
            "best": after[j],
            "alone": plain(scores[i]),
            "lost": plain(best.score - scores[len(differing) + i]),
        }
        for i, j in enumerate(differing.tolist())
    ]
    return {"rows": rows, "score": plain(best.score)}


def _one_changed(space: DesignSpace, here: IntArray, there: IntArray, which: IntArray) -> IntArray:
    """Returns `here` with each of some values taken from `there` `(k, d)`.

    Parameters that have no effect in `here` are taken along, and count only where they then do.
    """
    usual = np.where(space.active(here[None])[0], here, there)
    rows = np.tile(usual, (len(which), 1))
    rows[np.arange(len(which)), which] = there[which]
    return rows
