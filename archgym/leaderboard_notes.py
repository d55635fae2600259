"""What a leaderboard says beside its numbers: warnings, and how the results came about."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.ranking import LEAST_SEEDS, overall
from archgym.task_board import TaskBoard

if TYPE_CHECKING:
    from archgym.leaderboard import Agent
    from archgym.submission import Submission

_LEAST_SEEDS_FOR_INTERVAL = 5
_NAMED = 4


class Facts:
    """What is collected over all runs while they are read."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.values: dict[str, Counter[str]] = {}
        self.started: list[str] = []
        self.finished: list[str] = []
        self.early: Counter[tuple[str, str]] = Counter()
        self.at_optimum = 0

    def add(self, label: str, manifest: Mapping[str, Any]) -> None:
        """Notes where one run comes from, and whether it ended early.

        Args:
            label: of its agent.
            manifest: of it.
        """
        reason = manifest.get("stop_reason")
        # After the optimum there is nothing left to find.
        if reason == "optimum":
            self.at_optimum += 1
        elif reason not in (None, "budget"):
            self.early[label, str(reason)] += 1
        git, host = manifest.get("git"), manifest.get("host") or {}
        source = "installed package"
        if git:
            changed = "" if git["clean"] else " with uncommitted changes"
            source = f"{git['commit'][:12]}{changed}"
        told = {
            "Versions": ", ".join(f"{k} {v}" for k, v in manifest.get("versions", {}).items()),
            "Source": source,
            "Machine": f"{host.get('processor', '-')}, {host.get('cpus', '-')} cores, "
            f"{host.get('system', '-')}, Python {host.get('python', '-')}",
        }
        for name, text in told.items():
            self.values.setdefault(name, Counter())[text] += 1
        self.started.append(manifest.get("started") or "")
        self.finished.append(manifest.get("finished") or "")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def fairness(
    boards: Sequence[TaskBoard],
    agents: Sequence[Agent],
    facts: Facts,
    ranked: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Says what makes the comparison unfair or uncertain."""
    told = []
    partial = [
        f"{entry.label} on {board.name} ({entry.complete} of {entry.planned} complete)"
        for board in boards
        for entry in board.entries
        if entry.complete < entry.planned
    ]
    if partial:
        told.append(f"Partial: runs are missing or have not ended: {_some(partial)}.")
    uneven = [
        board.name for board in boards if len({len(each) for each in board.regrets.values()}) > 1
    ]
    if uneven:
        told.append(f"Unequal numbers of seeds: {_some(uneven)}.")
    budgets: dict[str, set[int]] = {}
    for board in boards:
        for label in board.regrets:
            budgets.setdefault(label, set()).add(board.budget)
    if len({frozenset(each) for each in budgets.values()}) > 1:
        told.append("Unequal budgets: not every agent was run with every budget.")
    told += _lacking(ranked, agents)
    early = [
        f"{label} ({count} run{'s' if count > 1 else ''}, by {reason})"
        for (label, reason), count in sorted(facts.early.items())
    ]
    if early:
        told.append(f"Ended before the budget was spent: {_some(early)}.")
    tunable = [agent for agent in agents if agent.hyperparameters]
    tuned = [agent.label for agent in tunable if agent.tuned]
    if tuned and len(tuned) < len(tunable):
        told.append(f"Tuned agents ({_some(tuned)}) are compared with untuned ones.")
    warm = [agent.label for agent in agents if agent.warm]
    if warm and len(warm) < len(agents):
        told.append(
            f"Warm-started agents ({_some(warm)}), told of designs that cost them nothing, are "
            f"compared with cold ones."
        )
    fewest = min((len(each) for b in boards for each in b.regrets.values()), default=0)
    if boards and fewest < LEAST_SEEDS:
        least = _LEAST_SEEDS_FOR_INTERVAL
        also = f", and {least} for an interval that means something" if fewest < least else ""
        told.append(f"Few seeds: {fewest} at the least; {LEAST_SEEDS} are needed to rank{also}.")
    tied = [
        f"{agents[row['agent']].label} and {agents[after['agent']].label}"
        for each in overall(ranked)
        for row, after in itertools.pairwise(each["rows"])
        if row["tied"]
    ]
    if tied:
        told.append(
            f"Too wide to rank: the intervals of neighbours in the ranking overlap: {_some(tied)}."
        )
    return told + _mixed(facts)


def _lacking(ranked: Sequence[Mapping[str, Any]], agents: Sequence[Agent]) -> list[str]:
    """Names the agents that lack a task, apart for tasks with one goal and with several."""
    told = []
    both = len(overall(ranked)) > 1
    for each in overall(ranked):
        lacking = [
            agents[row["agent"]].label for row in each["rows"] if row["tasks"] < each["begun"]
        ]
        goals = each["selections"][0].split("|")[0]
        kind = f" with {goals} goal{'s' if goals == 'several' else ''}" if both else ""
        if lacking:
            told.append(
                f"Not on every task{kind}, so without a place over all of them: {_some(lacking)}."
            )
    return told


def _mixed(facts: Facts) -> list[str]:
    told = []
    for name, what in (
        ("Versions", "package versions"),
        ("Source", "commits"),
        ("Machine", "machines"),
    ):
        count = len(facts.values.get(name, ()))
        if count > 1:
            effect = "seconds do not compare" if name == "Machine" else "see the methods"
            told.append(f"Runs come from {count} different {what}; {effect}.")
    if any("uncommitted" in text for text in facts.values.get("Source", ())):
        told.append("Some runs come from a source tree with uncommitted changes.")
    return told


def methods(
    folders: Sequence[str | Path],
    submissions: Sequence[Submission],
    experiments: Mapping[Path, Mapping[str, Any]],
    boards: Sequence[TaskBoard],
    agents: Sequence[Agent],
    facts: Facts,
) -> list[tuple[str, list[str]]]:
    """Returns what is needed to judge and repeat the results."""
    quoted = [shlex.quote(str(folder)) for folder in folders]
    files = [f"--submission {shlex.quote(str(each.file))}" for each in submissions]
    started = min((each for each in facts.started if each), default="-")
    finished = max((each for each in facts.finished if each), default="-")
    settings = [
        f"{a.label}: {', '.join(f'{k} {v}' for k, v in a.hyperparameters.items()) or 'no settings'}"
        f"{' (tuned)' if a.tuned else ''}{' (warm start)' if a.warm else ''}"
        for a in agents
    ]
    seeds = [
        f"{e['name']}: {', '.join(map(str, _listed(e['seeds'])))}" for e in experiments.values()
    ]
    about = [
        f"{d.title} by {', '.join(d.authors)}; code: {d.code}; tuning: {d.tuning}; "
        f"hardware: {d.hardware}"
        for d in (each.description for each in submissions)
    ]
    return [
        *([("Submissions", about)] if about else []),
        (
            "Budget",
            [
                f"{budget:,} different designs per run"
                for budget in sorted({board.budget for board in boards if board.budget})
            ]
            + (
                [f"{facts.at_optimum:,} runs ended with the proven optimum before it was spent"]
                if facts.at_optimum
                else []
            ),
        ),
        ("Seeds", seeds),
        ("Agents", settings),
        ("Run", [f"{started} to {finished}"]),
        *((name, list(facts.values.get(name, ()))) for name in ("Versions", "Source", "Machine")),
        (
            "Repeat it with",
            [f"archgym run {root}/experiment.yaml -o another-folder" for root in quoted],
        ),
        ("Built with", [f"archgym leaderboard {' '.join([*quoted, *files])} -o REPORT"]),
    ]


def _listed(seeds: int | Sequence[int]) -> list[int]:
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)
