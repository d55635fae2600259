"""Rankings of agents over tasks, for every selection of tasks that a page lets its reader make."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archgym.comparison import (
    performance_profile,
    probability_of_improvement,
    rank_over_tasks,
    stratified_bootstrap,
)
from archgym.metric import FloatArray
from archgym.statistics import Estimate, quantile
from archgym.task_board import GOALS, TaskBoard, estimate_data, short, shorts

THRESHOLDS = (0.0, *np.geomspace(1e-3, 1.0, 25).round(6).tolist())
"""Regrets at which performance profiles are given."""
LEAST_SEEDS = 10
"""Runs per task below which an order of agents is not to be trusted."""


def rankings(boards: Sequence[TaskBoard], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the ranking of every selection: by goals, environment, budget, and single task.

    Tasks with one goal and tasks with several are never ranked together: the regret of the first is
    of a score, that of the others of a hypervolume. Equal selections are given once; every ranking
    names its `selections` as `goals|environment|budget|task`.

    Args:
        boards: of all tasks.
        labels: of all agents.
    """
    selections: dict[tuple[int, ...], list[str]] = {}
    envs = ["", *sorted({board.env for board in boards})]
    budgets = [0, *sorted({board.budget for board in boards})]
    for goals, env, budget in itertools.product(GOALS, envs, budgets):
        chosen = tuple(
            i
            for i, board in enumerate(boards)
            if board.goals == goals and env in ("", board.env) and budget in (0, board.budget)
        )
        if chosen:
            selections.setdefault(chosen, []).append(f"{goals}|{env}|{budget or ''}|")
    for i in range(len(boards)):
        selections.setdefault((i,), []).append(f"|||{i}")
    return [
        {"selections": keys, "tasks": list(chosen), **_ranking([boards[i] for i in chosen], labels)}
        for chosen, keys in selections.items()
    ]


def overall(ranked: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the rankings over all tasks with one goal and over all with several."""
    return [each for each in ranked if any(f"{goals}|||" in each["selections"] for goals in GOALS)]


def _ranking(boards: Sequence[TaskBoard], labels: Sequence[str]) -> dict[str, Any]:
    """Ranks the agents that have runs on some tasks; only those on all of them get a place.

    Tasks without any trial yet do not count.
    """
    boards = [board for board in boards if board.regrets]
    agents = [label for label in labels if any(label in board.regrets for board in boards)]
    values = {
        label: [board.regrets[label] for board in boards if label in board.regrets]
        for label in agents
    }
    estimates = {label: stratified_bootstrap(values[label]) for label in agents}
    whole = [label for label in agents if len(values[label]) == len(boards)]
    order = sorted(
        agents,
        key=lambda each: (each not in whole, estimates[each].value, estimates[each].high, each),
    )
    pairs = [[_improvement(boards, one, other) for other in order] for one in order]
    places = _places([estimates[label] for label in order])
    rows = []
    for i, label in enumerate(order):
        estimate = estimates[label]
        others = [p for j, p in enumerate(pairs[i]) if j != i and p is not None]
        rows.append(
            {
                "agent": labels.index(label),
                "rank": places[i] if label in whole else None,
                "shared": places.count(places[i]) > 1,
                "iqm": estimate_data(estimate),
                "improvement": short(float(np.mean(others))) if others else None,
                "tasks": len(values[label]),
                "seeds": [min(map(len, values[label])), max(map(len, values[label]))],
                "runs": sum(map(len, values[label])),
                "samples": sum(board.samples[label] for board in boards if label in board.samples),
                "profile": shorts(performance_profile(values[label], THRESHOLDS)),
                "near": short(float(performance_profile(values[label], [0.05])[0])),
            }
        )
    for i, row in enumerate(rows):
        after = estimates[order[i + 1]] if i + 1 < len(whole) else None
        row["tied"] = bool(after and row["rank"] and estimates[order[i]].high >= after.low)
    return {
        "begun": len(boards),
        "rows": rows,
        "pairs": pairs,
        "difference": _difference(boards, whole, labels),
    }


def _places(estimates: Sequence[Estimate]) -> list[int]:
    """Returns the place of each estimate of a sorted list; equal ones share the best."""
    places: list[int] = []
    for i, each in enumerate(estimates):
        same = i > 0 and each == estimates[i - 1]
        places.append(places[-1] if same else i + 1)
    return places


def _improvement(boards: Sequence[TaskBoard], one: str, other: str) -> float | None:
    """Returns how likely a run of one agent beats one of the other, on the tasks of both."""
    common = [board.regrets for board in boards if one in board.regrets and other in board.regrets]
    if one == other or not common:
        return None
    return round(
        probability_of_improvement(
            [each[one] for each in common], [each[other] for each in common]
        ),
        3,
    )


def _difference(
    boards: Sequence[TaskBoard], whole: Sequence[str], labels: Sequence[str]
) -> dict[str, Any] | None:
    """Returns mean ranks with the critical difference, None for too few tasks."""
    if not whole:
        return None
    table: FloatArray = np.array(
        [[float(quantile(board.regrets[label], 0.5)) for label in whole] for board in boards]
    )
    ranks = rank_over_tasks(table)
    if ranks is None:
        return None
    order = np.argsort(ranks.mean, kind="stable")
    return {
        "agents": [labels.index(whole[i]) for i in order],
        "ranks": shorts(ranks.mean[order]),
        "critical_difference": short(ranks.critical_difference),
        "p_value": short(ranks.p_value),
        "chi_square": short(ranks.chi_square),
        "tasks": ranks.tasks,
    }
