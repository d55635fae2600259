"""Leaderboards: many results folders read run by run and summarised per task, budget and agent.

Only runs that can be compared are: a task is split where runs differ in budget, design space, cost
model or version of archgym, and the leaderboard says so. Memory holds the runs of one task.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym import yamlfile
from archgym.bulk import load_runs
from archgym.hidden import hide
from archgym.leaderboard_notes import Facts, fairness, methods
from archgym.plan import RunSpec
from archgym.ranking import THRESHOLDS, rankings
from archgym.run_summary import RunSummary, summarise_run
from archgym.task_board import Entry, TaskBoard, summarise
from archgym.workspace import read_plan

if TYPE_CHECKING:
    from archgym.submission import Submission

FORMAT = 1


@dataclass(frozen=True)
class Source:
    """One run that an experiment planned.

    Attributes:
        root: the results folder.
        spec: of the run.
        tuned: whether its hyperparameters come from `archgym tune`.
    """

    root: Path
    spec: RunSpec
    tuned: bool

    @property
    def warm(self) -> bool:
        """Whether its agent was told of known designs first."""
        return self.spec.warm_start is not None

    @functools.cached_property
    def settings(self) -> str:
        """Text that is equal for runs of the same agent with the same settings."""
        spec = self.spec
        told = [spec.agent, self.tuned, spec.hyperparameters, spec.warm_start]
        return json.dumps(told, sort_keys=True)


@dataclass(frozen=True)
class Agent:
    """One row of a leaderboard: a search method with its settings.

    Attributes:
        label: unique name.
        method: the agent's name.
        hyperparameters: defaults included.
        tuned: whether they come from `archgym tune`.
        warm: whether it was told of known designs first.
    """

    label: str
    method: str
    hyperparameters: Mapping[str, Any]
    tuned: bool
    warm: bool = False


@dataclass(frozen=True)
class Leaderboard:
    """Everything that a leaderboard's page shows.

    Attributes:
        title: of the page.
        description: of the experiment, where there is only one.
        agents: in order of their labels.
        tasks: in order of the experiments.
        rankings: see `archgym.ranking.rankings`.
        warnings: what makes comparisons unfair or uncertain.
        methods: what is needed to judge and repeat the results, named lists of lines.
        runs: number of runs planned, complete and partial.
    """

    title: str
    description: str
    agents: tuple[Agent, ...]
    tasks: tuple[TaskBoard, ...]
    rankings: Sequence[Mapping[str, Any]]
    warnings: tuple[str, ...]
    methods: tuple[tuple[str, list[str]], ...]
    runs: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Returns the leaderboard as JSON-ready data."""
        return {
            "format": FORMAT,
            "title": self.title,
            "description": self.description,
            "runs": dict(self.runs),
            "agents": [vars(agent) for agent in self.agents],
            "thresholds": list(THRESHOLDS),
            "rankings": list(self.rankings),
            "tasks": [task.data for task in self.tasks],
            "warnings": list(self.warnings),
            "methods": [list(each) for each in self.methods],
        }


def load_leaderboard(
    folders: Sequence[str | Path],
    submissions: Sequence[Submission] = (),
    *,
    evaluate: bool = True,
    hide_files: bool = False,
) -> Leaderboard:
    """Reads results folders, finished or not.

    Args:
        folders: to read.
        submissions: that were unpacked and verified.
        evaluate: whether the cost models are asked what makes the best designs good.
        hide_files: whether the files that tasks are made of are named by label and digest only.

    Raises:
        ValueError: for a folder without results, one given twice, files that cannot be read, or
            none to hide.
    """
    roots = [*map(Path, folders), *(each.folder for each in submissions)]
    shown = {root: str(root) for root in roots} | {s.folder: str(s.file) for s in submissions}
    for root in roots:
        if [each.resolve() for each in roots].count(root.resolve()) > 1:
            raise ValueError(f"{root}: is given twice")
    experiments = {}
    sources: list[Source] = []
    for root in roots:
        specs = read_plan(root)
        experiments[root] = yamlfile.read(root / "experiment.yaml")
        tuned = _tuned_titles(experiments[root])
        sources += [Source(root, spec, _is_tuned(spec, tuned)) for spec in specs]
    facts = Facts()
    sources = _without_repeats(sources, shown, facts)
    agents = _agents(sources)
    boards: list[TaskBoard] = []
    for name, group in _by_task(sources).items():
        boards += _boards(name, group, agents, facts, evaluate)
    labels = [agent.label for agent in agents.values()]
    ranked = rankings(boards, labels)
    counts = {
        key: sum(getattr(entry, key) for board in boards for entry in board.entries)
        for key in ("planned", "complete", "partial")
    }
    only = next(iter(experiments.values()))
    board = Leaderboard(
        title=only["name"] if len(roots) == 1 else "Leaderboard",
        description=only.get("description", "") if len(roots) == 1 else "",
        agents=tuple(agents.values()),
        tasks=tuple(boards),
        rankings=ranked,
        warnings=tuple([*facts.notes, *fairness(boards, list(agents.values()), facts, ranked)]),
        methods=tuple(
            methods(folders, submissions, experiments, boards, list(agents.values()), facts)
        ),
        runs=counts,
    )
    return hide(board, [source.spec.task for source in sources]) if hide_files else board


def _tuned_titles(experiment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns name and start of the label of the agents that have a preset."""
    return [
        (entry["name"], entry.get("label") or f"{entry['name']} tuned")
        for entry in experiment.get("agents", ())
        if isinstance(entry, Mapping) and entry.get("preset")
    ]


def _is_tuned(spec: RunSpec, tuned: Iterable[tuple[str, str]]) -> bool:
    return any(spec.agent == name and spec.label.startswith(title) for name, title in tuned)


def _without_repeats(
    sources: Sequence[Source], shown: Mapping[Path, str], facts: Facts
) -> list[Source]:
    """Keeps one of runs that several folders hold, a complete one before a partial one."""
    from archgym.workspace import run_status

    kept: dict[str, Source] = {}
    repeated: Counter[str] = Counter()
    for source in sources:
        spec = source.spec
        key = json.dumps([source.settings, spec.task, spec.seed, spec.budget], sort_keys=True)
        there = kept.setdefault(key, source)
        if there is not source:
            repeated[f"{shown[there.root]} and {shown[source.root]}"] += 1
            if run_status(there.root, there.spec) != "complete":
                kept[key] = source
    for where, count in repeated.items():
        facts.notes.append(f"{count} runs are in {where} both, and are counted once.")
    return list(kept.values())


def _agents(sources: Sequence[Source]) -> dict[str, Agent]:
    """Returns the agents by settings, each with a label of its own."""
    first: dict[str, Source] = {}
    for source in sources:
        first.setdefault(source.settings, source)
    count = Counter(source.spec.label for source in first.values())
    labels: dict[str, str] = {}
    for key, source in first.items():
        label = source.spec.label
        if count[label] > 1:
            same = [each.spec for each in first.values() if each.spec.label == label]
            given = source.spec.hyperparameters
            differing = [
                f"{k}={v}"
                for k, v in given.items()
                if any(each.hyperparameters.get(k) != v for each in same)
            ]
            marks = [*(["tuned"] if source.tuned else []), *(["warm"] if source.warm else [])]
            label = " ".join([label, *differing, *marks])
        if label in labels.values():
            label = f"{label} ({source.spec.agent} {hashlib.sha256(key.encode()).hexdigest()[:6]})"
        labels[key] = label
    found = [
        (key, Agent(labels[key], s.spec.agent, s.spec.hyperparameters, s.tuned, s.warm))
        for key, s in first.items()
    ]
    return dict(sorted(found, key=lambda each: each[1].label))


def _by_task(sources: Sequence[Source]) -> dict[str, list[Source]]:
    """Groups runs by task and budget, each with a name of its own."""
    groups: dict[tuple[str, str, int], list[Source]] = {}
    for source in sources:
        spec = source.spec
        key = (spec.task_name, json.dumps(spec.task, sort_keys=True), spec.budget)
        groups.setdefault(key, []).append(source)
    names = Counter(name for name, _, _ in groups)
    told: dict[str, list[Source]] = {}
    for (name, _, budget), group in groups.items():
        title = name if names[name] == 1 else f"{name}, {budget:,} samples"
        while title in told:
            title = f"{title} (another objective)"
        told[title] = group
    return told


def _identity(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Returns what has to agree for runs to be compared, in words."""
    reference = json.dumps(manifest["reference"], sort_keys=True)
    return {
        "version of archgym": str(manifest.get("versions", {}).get("archgym", "unknown")),
        "design space": str(manifest["space"])[:12],
        "cost model (metrics of the default design)": hashlib.sha256(
            reference.encode()
        ).hexdigest()[:8],
    }


def _boards(
    name: str,
    sources: Sequence[Source],
    agents: Mapping[str, Agent],
    facts: Facts,
    evaluate: bool,
) -> list[TaskBoard]:
    """Reads the runs of one task and summarises them, apart where they cannot be compared."""
    parts: dict[str, list[RunSummary]] = {}
    identities: dict[str, dict[str, str]] = {}
    read = load_runs([(source.root, source.spec) for source in sources])
    for source, files in zip(sources, read, strict=True):
        if files is not None:
            summary = summarise_run(source.spec, agents[source.settings].label, files)
            identity = _identity(summary.manifest)
            key = json.dumps(identity)
            identities[key] = identity
            # One manifest per part is enough, and they are long.
            shared = parts.setdefault(key, [])
            facts.add(summary.label, summary.manifest)
            shared.append(summary if not shared else _sharing(summary, shared[0]))
    titles = _titles(name, list(identities.values()), facts)
    boards = []
    for i, key in enumerate(parts or [""]):
        runs = parts.get(key, [])
        here = {(run.spec.folder, run.label) for run in runs}
        others = {
            (run.spec.folder, run.label) for k, part in parts.items() if k != key for run in part
        }
        planned = Counter(
            agents[source.settings].label
            for source in sources
            if (place := (source.spec.folder, agents[source.settings].label)) in here
            or (place not in others and i == 0)
        )
        boards.append(summarise(titles[i], _entries(agents, planned, runs), evaluate))
    return boards


def _sharing(summary: RunSummary, first: RunSummary) -> RunSummary:
    return RunSummary(**{**vars(summary), "manifest": first.manifest})


def _titles(name: str, identities: Sequence[Mapping[str, str]], facts: Facts) -> list[str]:
    """Names the parts of a task, and notes in what they differ."""
    if len(identities) < 2:
        return [name]
    differing = [k for k, v in identities[0].items() if any(e[k] != v for e in identities)]
    facts.notes.append(
        f"{name}: runs of different {' and '.join(differing)} are shown as "
        f"{len(identities)} tasks, they cannot be compared."
    )
    told = [[f"{key.split(' (')[0]} {each[key]}" for key in differing] for each in identities]
    return [f"{name} [{', '.join(words)}]" for words in told]


def _entries(
    agents: Mapping[str, Agent], planned: Mapping[str, int], runs: Sequence[RunSummary]
) -> list[Entry]:
    entries = []
    for agent in agents.values():
        if agent.label not in planned:
            continue
        own = [run for run in runs if run.label == agent.label]
        complete = tuple(run for run in own if run.complete)
        entries.append(
            Entry(
                label=agent.label,
                agent=agent.method,
                hyperparameters=agent.hyperparameters,
                planned=planned[agent.label],
                complete=len(complete),
                partial=len(own) - len(complete),
                runs=complete or tuple(own),
            )
        )
    return entries
