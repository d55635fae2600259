"""From an experiment to its runs: names and values checked, sweeps expanded, folders named."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from archgym.agent import (
    Agent,
    check_external,
    check_fidelities,
    check_goals,
    check_installed,
    find_agent,
)
from archgym.environment import Environment, find_environment
from archgym.experiment import (
    AgentEntry,
    Experiment,
    ExperimentError,
    SampleBudget,
    TaskEntry,
)
from archgym.hyperparameters import Choice, Hyperparameter, Range, declared, resolve
from archgym.preset import Preset, load_preset, problem_of
from archgym.task import resolve_objective, task_name
from archgym.warm import check_can_be_told

MAX_RUNS = 100_000
_MAX_SLUG = 80
_T = TypeVar("_T")


@dataclass(frozen=True)
class RunSpec:
    """One run as plain data.

    Attributes:
        folder: where its trials go, relative to the results folder; unique in the experiment.
        task: keyword arguments of `make_task`.
        task_name: the task's readable name.
        agent: the agent's name.
        label: the agent's name in tables, which tells its settings apart.
        hyperparameters: of the agent, defaults included.
        seed: the run's seed.
        budget: unique designs that it may evaluate.
        max_repeats: repeated proposals in a row that end it, None for the usual cap.
        max_proposals: proposals that end it, None for any number.
        warm_start: folder of the dataset that the agent is told of first, None for none.
        stop_at_optimum: whether it ends with the first design that is optimal.
        external: whether a loop outside of archgym makes it, see `archgym.external`.
    """

    folder: str
    task: dict[str, Any]
    task_name: str
    agent: str
    label: str
    hyperparameters: dict[str, Any]
    seed: int
    budget: int
    max_repeats: int | None = None
    max_proposals: int | None = None
    warm_start: str | None = None
    stop_at_optimum: bool = False
    external: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns the run as a JSON-ready mapping; `RunSpec(**mapping)` builds it again."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Variant:
    """One agent with one setting of its hyperparameters."""

    agent: str
    label: str
    hyperparameters: dict[str, Any]
    tuned: bool = False
    budget: SampleBudget | None = None
    warm_start: str | None = None
    external: bool = False


class _Problems:
    """Collects the messages of ValueErrors, each with the field they belong to."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tried(self, field: str, action: Callable[..., _T], *arguments: Any) -> _T | None:
        """Returns the action's result, None if it failed."""
        try:
            return action(*arguments)
        except ValueError as error:
            self.lines.append(f"{field}: {error}")
            return None

    def add(self, line: str) -> None:
        self.lines.append(line)


def plan(experiment: Experiment) -> list[RunSpec]:
    """Lists every run of an experiment: tasks x agents (with their sweeps) x seeds.

    Raises:
        ExperimentError: with everything that environments and agents do not accept.
    """
    problems = _Problems()
    tasks = _tasks(experiment.tasks, problems)
    reported = [name for name, _ in tasks]
    variants: list[_Variant] = []
    for i, entry in enumerate(experiment.agents):
        found = _variants(f"agents[{i}]", entry, reported, problems)
        _check_fidelities(f"agents[{i}]", found, tasks, problems)
        variants += found
    _check_goals(experiment.agents, tasks, problems)
    variants = _labelled(variants, experiment.agents, problems)
    count = len(tasks) * len(variants) * len(experiment.seeds)
    if count > MAX_RUNS:
        problems.add(f"the experiment has {count:,} runs, at most {MAX_RUNS:,} are allowed")
    if problems.lines:
        raise ExperimentError(problems.lines)
    task_slugs = _slugs([name for name, _ in tasks])
    label_slugs = _slugs([variant.label for variant in variants])
    return [
        RunSpec(
            folder=f"runs/{task_slugs[name]}/{label_slugs[variant.label]}/seed-{seed}",
            task=spec,
            task_name=name,
            agent=variant.agent,
            label=variant.label,
            hyperparameters=variant.hyperparameters,
            seed=seed,
            budget=budget.samples,
            max_repeats=budget.max_repeats,
            max_proposals=budget.max_proposals,
            warm_start=variant.warm_start,
            stop_at_optimum=budget.stop_at_optimum,
            external=variant.external,
        )
        for name, spec in tasks
        for variant in variants
        for budget in [variant.budget or experiment.budget]
        for seed in experiment.seeds
    ]


def _tasks(entries: Sequence[TaskEntry], problems: _Problems) -> list[tuple[str, dict[str, Any]]]:
    """Returns name and specification of every task."""
    found: dict[str, dict[str, Any]] = {}
    first: dict[str, int] = {}
    for i, entry in enumerate(entries):
        field = f"tasks[{i}]"
        environment = problems.tried(field, find_environment, entry.env)
        if environment is None:
            continue
        name, spec = _task(field, entry, environment, problems)
        if name in found:
            problems.add(f"{field}: is the same task as tasks[{first[name]}] ({name})")
        first.setdefault(name, i)
        found[name] = spec
    return list(found.items())


def _task(
    field: str, entry: TaskEntry, environment: Environment, problems: _Problems
) -> tuple[str, dict[str, Any]]:
    known = {}
    for key, value in entry.options.items():
        if problems.tried(field, environment.resolve, {key: value}):
            known[key] = value
    options = environment.resolve(known)
    objective: Any = entry.objective
    if isinstance(objective, Mapping):
        title = str(objective.get("name", "custom"))
    else:
        chosen = problems.tried(field, environment.objective, objective)
        title = objective = chosen.name if chosen else ""
    return (
        task_name(environment, options, title),
        {"env": environment.id, **options, "objective": objective},
    )


def _check_fidelities(
    field: str,
    variants: Sequence[_Variant],
    tasks: Sequence[tuple[str, dict[str, Any]]],
    problems: _Problems,
) -> None:
    """Finds settings that ask for a fidelity which a task does not have, each once."""
    asked = _Problems()
    for name, spec in tasks:
        ladder = find_environment(spec["env"]).ladder(
            {key: value for key, value in spec.items() if key not in ("env", "objective")}
        )
        for each in (variant for variant in variants if not variant.external):
            settings = (each.agent, find_agent(each.agent), each.hyperparameters)
            asked.tried(field, check_fidelities, *settings, ladder, name)
    problems.lines += dict.fromkeys(asked.lines)


def _check_goals(
    entries: Sequence[AgentEntry],
    tasks: Sequence[tuple[str, dict[str, Any]]],
    problems: _Problems,
) -> None:
    """Finds agents of one goal for tasks with several."""
    quiet = _Problems()  # what is wrong with the names was said already
    for name, spec in tasks:
        environment = find_environment(spec["env"])
        objective = quiet.tried(name, resolve_objective, environment, spec["objective"])
        for i, entry in enumerate(entries if objective else ()):
            if entry.external:
                continue
            agent = quiet.tried(name, find_agent, entry.name)
            if agent is not None:
                problems.tried(f"agents[{i}]", check_goals, entry.name, agent, objective, name)


def _preset(
    field: str, entry: AgentEntry, reported: Sequence[str], problems: _Problems
) -> Preset | None:
    """Reads the entry's preset, which must not come from the tasks that are reported."""
    if entry.preset is None:
        return None
    preset = problems.tried(f"{field}.preset", load_preset, entry.preset, entry.name)
    for task in preset.tasks if preset else ():
        if problem_of(task) in map(problem_of, reported):
            problems.add(f"{field}.preset: {entry.preset} was tuned on task {task!r} of this file")
    return preset


def _variants(
    field: str, entry: AgentEntry, reported: Sequence[str], problems: _Problems
) -> list[_Variant]:
    """Expands one entry of the agents into its settings."""
    if entry.external:
        return _external(field, entry, problems)
    before = len(problems.lines)
    agent = problems.tried(field, find_agent, entry.name)
    preset = _preset(field, entry, reported, problems)
    if agent is None:
        return []
    problems.tried(field, check_installed, entry.name, agent)
    if entry.warm_start is not None:
        problems.tried(field, check_can_be_told, entry.name, agent)
    tuned = preset.hyperparameters if preset else {}
    for key, value in tuned.items():
        problems.tried(f"{field}.preset", resolve, entry.name, agent, {key: value})
    for key, value in entry.hyperparameters.items():
        problems.tried(field, resolve, entry.name, agent, {key: value})
    for key, values in entry.sweep.items():
        _check_swept(f"{field}.sweep", key, values, entry, agent, problems)
    if len(problems.lines) > before:
        return []
    points = (_grid if entry.sample is None else _sampled)(field, entry, agent, problems)
    given = {**tuned, **entry.hyperparameters}
    missing = _Problems()
    for point in points.values():
        settings = resolve(entry.name, agent, {**given, **point})
        missing.tried(field, check_installed, entry.name, agent, settings)
    problems.lines += dict.fromkeys(missing.lines)
    return [
        _Variant(
            entry.name,
            label,
            resolve(entry.name, agent, {**given, **point}),
            bool(preset),
            entry.budget,
            entry.warm_start,
        )
        for label, point in points.items()
    ]


def _external(field: str, entry: AgentEntry, problems: _Problems) -> list[_Variant]:
    """Returns the one setting of a loop of one's own: what it takes is not known here."""
    problems.tried(field, check_external, entry.name)
    for key in ("preset", "warm_start", "sweep", "sample"):
        if getattr(entry, key):
            problems.add(f"{field}.{key}: external agents have none, only archgym's own do")
    title = entry.label or entry.name
    settings = entry.hyperparameters
    return [_Variant(entry.name, title, settings, budget=entry.budget, external=True)]


def _title(entry: AgentEntry) -> str:
    words = [entry.name, *(["tuned"] if entry.preset else [])]
    return entry.label or " ".join([*words, *(["warm"] if entry.warm_start else [])])


def _check_swept(
    field: str,
    key: str,
    values: list[Any],
    entry: AgentEntry,
    agent: type[Agent],
    problems: _Problems,
) -> None:
    """Checks the values that are swept of one hyperparameter."""
    if key not in declared(agent):
        problems.tried(field, resolve, entry.name, agent, {key: None})
        return
    if key in entry.hyperparameters:
        problems.add(f"{field}.{key}: is also given one value, leave one of them out")
    if not values:
        problems.add(f"{field}.{key}: is empty, at least one value is needed")
    if len({json.dumps(value) for value in values}) < len(values):
        problems.add(f"{field}.{key}: {values} repeats a value")
    for value in values:
        problems.tried(field, resolve, entry.name, agent, {key: value})


def _grid(
    field: str, entry: AgentEntry, agent: type[Agent], problems: _Problems
) -> dict[str, dict[str, Any]]:
    """Returns every point of a sweep by label; without a sweep, the one empty point."""
    size = math.prod(len(values) for values in entry.sweep.values())
    if size > MAX_RUNS:
        problems.add(f"{field}.sweep: has {size:,} points, at most {MAX_RUNS:,} are allowed")
        return {}
    points = [
        dict(zip(entry.sweep, values, strict=True))
        for values in itertools.product(*entry.sweep.values())
    ]
    return {" ".join([_title(entry), *_settings(point)]): point for point in points}


def _sampled(
    field: str, entry: AgentEntry, agent: type[Agent], problems: _Problems
) -> dict[str, dict[str, Any]]:
    """Returns points drawn from the declared ranges by label, each different."""
    assert entry.sample is not None
    if entry.sweep:
        problems.add(f"{field}: sweep and sample exclude each other, give one of them")
        return {}
    free = [
        each
        for each in declared(agent).values()
        if each.name not in entry.hyperparameters and each.varies
    ]
    points = _draw(free, entry.sample, entry.sample_seed)
    if len(points) < entry.sample:
        problems.add(
            f"{field}.sample: value {entry.sample} is above the number of settings that agent "
            f"{entry.name!r} has in its free ranges ({', '.join(e.name for e in free) or 'none'})"
        )
    base = _title(entry)
    return {f"{base} #{i + 1}": point for i, point in enumerate(points)}


def _settings(point: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in point.items()]


def _draw(free: Sequence[Hyperparameter], count: int, seed: int) -> list[dict[str, Any]]:
    """Draws settings from declared ranges, each different if there are enough."""
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    for _ in range(100 * count if free else 0):
        point = {each.name: _draw_one(each, rng) for each in free}
        found.setdefault(json.dumps(point), point)
        if len(found) == count:
            break
    return list(found.values())


def _draw_one(each: Hyperparameter, rng: np.random.Generator) -> Any:
    if isinstance(each.domain, Choice):
        return each.domain.values[int(rng.integers(len(each.domain.values)))]
    if not isinstance(each.domain, Range):
        return bool(rng.integers(2))
    low, high = each.domain.low, each.domain.high
    if each.domain.log:
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
    elif each.kind is int:
        return int(rng.integers(int(low), int(high) + 1))
    else:
        value = rng.uniform(low, high)
    # Four digits keep tables readable; rounding may leave the range by a hair.
    value = min(max(float(f"{value:.4g}"), low), high)
    return round(value) if each.kind is int else value


def _labelled(
    variants: list[_Variant], entries: Sequence[AgentEntry], problems: _Problems
) -> list[_Variant]:
    """Makes labels unique by naming the settings that differ, and refuses repeated agents."""
    settings: dict[str, str] = {}
    for variant in variants:
        # Tuning may have found that the defaults are best.
        key = json.dumps(
            [
                *(variant.agent, variant.hyperparameters, variant.tuned),
                *(repr(variant.budget), variant.warm_start),
            ]
        )
        if key in settings:
            problems.add(
                f"agents: {variant.label!r} and {settings[key]!r} are the same agent with the same "
                f"hyperparameters"
            )
        settings[key] = variant.label
    named = {entry.label for entry in entries}
    groups: dict[str, list[_Variant]] = {}
    for variant in variants:
        groups.setdefault(variant.label, []).append(variant)
    result = []
    for variant in variants:
        group = groups[variant.label]
        if len(group) == 1:
            result.append(variant)
            continue
        if variant.label in named:
            problems.add(f"agents: label {variant.label!r} is given twice")
        first = group[0].hyperparameters
        differing = [
            key for key in first if any(v.hyperparameters.get(key) != first[key] for v in group)
        ]
        point = {key: variant.hyperparameters[key] for key in differing}
        label = " ".join([variant.label, *_settings(point)])
        result.append(dataclasses.replace(variant, label=label))
    labels = [variant.label for variant in result]
    for label in sorted({label for label in labels if labels.count(label) > 1} - named):
        problems.add(f"agents: two entries are named {label!r} in tables, give one a label")
    return result


def _slugs(texts: Sequence[str]) -> dict[str, str]:
    """Returns a unique folder name per text, readable, with a short hash where needed."""
    plain = {text: re.sub(r"[^A-Za-z0-9._=+-]+", "_", text).strip("._") for text in texts}
    folded = [slug.casefold() for slug in plain.values()]
    slugs = {}
    for text, slug in plain.items():
        if not slug or len(slug) > _MAX_SLUG or folded.count(slug.casefold()) > 1:
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            slug = f"{slug[:_MAX_SLUG]}-{digest}".lstrip("-")
        slugs[text] = slug
    return slugs
