"""Experiments: a YAML file that says which agents search which tasks, how long, and how often.

The file is checked as a whole before anything runs: shape and types by the models here, names and
values against the environments' options and the agents' declared hyperparameters. `Experiment.runs`
then lists every run as plain data: tasks x agents (with their sweeps) x seeds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from archgym import yamlfile
from archgym.errors import unknown

if TYPE_CHECKING:
    from archgym.plan import RunSpec

FORMAT = 1
_MAX_SEEDS = 10_000
_MAX_NODES = 100_000
_MAX_DEPTH = 20
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class ExperimentError(ValueError):
    """Everything that is wrong with an experiment, one line per problem.

    Attributes:
        problems: the lines.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    def within(self, source: str) -> ExperimentError:
        """Returns the same problems, each with the file they are in."""
        return ExperimentError([f"{source}: {problem}" for problem in self.problems])


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SampleBudget(_Model):
    """How much each run may spend."""

    samples: int = Field(ge=1, le=10**9, description="unique designs that a run may evaluate")
    max_repeats: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="proposals in a row without a new design that end a run; left out, the larger "
        "of 1,000 and the samples",
    )
    max_proposals: int | None = Field(
        default=None,
        ge=1,
        le=10**12,
        description="proposals, repeats included, that end a run; left out, any number",
    )
    stop_at_optimum: bool = Field(
        default=False,
        description="whether a run ends with the first design that is optimal; for tasks with one "
        "goal and a proven optimum",
    )


class TaskEntry(_Model):
    """A task: an environment, an objective, and any options of the environment beside them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    env: str = Field(description="environment id, such as DramController-v0")
    objective: str | dict[str, Any] | None = Field(
        default=None,
        description="name of an objective, or a mapping with metrics, budgets, pareto; left out, "
        "the environment's first",
    )

    @property
    def options(self) -> dict[str, Any]:
        """The environment options that are given."""
        return dict(self.model_extra or {})


class AgentEntry(_Model):
    """An agent, its hyperparameters beside its name, and what to vary of them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: str = Field(description="name of an agent, such as genetic")
    label: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="name in tables; left out, the agent's name with what is varied",
    )
    preset: str | None = Field(
        default=None,
        min_length=1,
        description="file of hyperparameters that `archgym tune` wrote; those given beside it "
        "take precedence",
    )
    warm_start: str | None = Field(
        default=None,
        min_length=1,
        description="folder of a dataset, whose trials of the task the agent is told of before it "
        "searches",
    )
    sweep: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="values to try per hyperparameter; all combinations are run",
    )
    sample: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="number of settings to draw at random from the declared ranges of the "
        "hyperparameters that are not given",
    )
    sample_seed: int = Field(default=0, ge=0, description="seed of those draws")
    budget: SampleBudget | None = Field(
        default=None, description="what its runs may spend; left out, the budget of the experiment"
    )
    external: bool = Field(
        default=False,
        description="whether it is a loop of one's own, which a script runs through "
        "`archgym.external_runs`; the name is then no registered agent, and the keys beside it are "
        "recorded as its hyperparameters",
    )

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters that are given one value."""
        return dict(self.model_extra or {})


def _agent_from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _seeds_from_count(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= _MAX_SEEDS:
            raise ValueError(f"is outside 1..{_MAX_SEEDS}")
        return list(range(value))
    if isinstance(value, list) and len({repr(seed) for seed in value}) < len(value):
        raise ValueError("repeats a seed")
    return value


Seeds = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**63)]],
    BeforeValidator(_seeds_from_count),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MAX_SEEDS},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0},
                    "minItems": 1,
                    "maxItems": _MAX_SEEDS,
                    "uniqueItems": True,
                },
            ]
        }
    ),
]


class Tuning(_Model):
    """How `archgym tune` chooses hyperparameters, on tasks and seeds that are not reported."""

    trials: int = Field(
        ge=1, le=10_000, description="settings to try per agent, the default one among them"
    )
    tasks: list[TaskEntry] = Field(min_length=1, description="what is searched while tuning")
    seeds: Seeds = Field(
        min_length=1, max_length=_MAX_SEEDS, description="a list that shares none with the seeds"
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="unique designs that a run may evaluate; left out, those of the experiment",
    )
    sampler_seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the choice")


class Experiment(_Model):
    """An experiment file."""

    version: Literal[1] = Field(description="version of this file format")
    name: str = Field(pattern=_NAME, description="names the default output folder")
    description: str = Field(default="", description="what the experiment is for")
    budget: SampleBudget
    seeds: Seeds = Field(
        min_length=1, max_length=_MAX_SEEDS, description="number of seeds (0, 1, ...), or a list"
    )
    tasks: list[TaskEntry] = Field(min_length=1, description="what is searched")
    agents: list[
        Annotated[
            AgentEntry,
            BeforeValidator(_agent_from_name, json_schema_input_type=str | AgentEntry),
        ]
    ] = Field(min_length=1, description="what searches")
    tuning: Tuning | None = Field(
        default=None, description="how `archgym tune` chooses hyperparameters of the agents"
    )

    def dump(self) -> dict[str, Any]:
        """Returns the experiment as plain data, as an experiment file holds it."""
        data = self.model_dump(exclude_defaults=True)
        return {name: data[name] for name in Experiment.model_fields if name in data}

    def runs(self) -> list[RunSpec]:
        """Lists every run, task by task.

        Raises:
            ExperimentError: for names and values that no environment or agent knows.
        """
        from archgym.plan import plan

        return plan(self)


_REASONS = {
    "int_type": "is not a whole number",
    "string_type": "is not a text",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "greater_than_equal": "is below {ge}",
    "less_than_equal": "is above {le}",
    "less_than": "is not below {lt}",
    "literal_error": "is not {expected}",
    "string_pattern_mismatch": "is not a name of at most 64 letters, digits and . _ - (it names a "
    "folder)",
    "value_error": "{error}",
}
_ENTRY_MODELS: Mapping[str, type[BaseModel]] = {
    "": Experiment,
    "budget": SampleBudget,
    "tasks": TaskEntry,
    "agents": AgentEntry,
    "tuning": Tuning,
}


def _field(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _problem(error: Mapping[str, Any]) -> str:
    """Turns one pydantic error into one line."""
    # A union adds the name of the branch to the location, which means nothing to a user.
    location = [part for part in error["loc"] if part not in ("str", "dict[str,any]")]
    field = _field(location)
    kind = error["type"]
    if kind == "extra_forbidden":
        # The innermost part that names a model tells which keys are allowed there.
        named = [str(part) for part in location[:-1] if part in _ENTRY_MODELS]
        model = _ENTRY_MODELS[named[-1] if named else ""]
        where = _field(location[:-1])
        return str(unknown(f"{where}: key" if where else "key", location[-1], model.model_fields))
    if kind == "missing":
        return f"{field}: is missing, it must be given"
    if kind == "too_short":
        return f"{field}: is empty, at least one entry is needed"
    reason = _REASONS.get(kind)
    text = reason.format(**error.get("ctx", {})) if reason else f"does not fit: {error['msg']}"
    return f"{field}: value {_short(error['input'])} {text}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_plain(data: Any) -> None:
    """Refuses what no manifest can hold: endless nesting, not-a-number, anything but plain data."""
    count = 0
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    while pending:
        location, value = pending.pop()
        count += 1
        if len(location) > _MAX_DEPTH or count > _MAX_NODES:
            raise ExperimentError([f"{_field(location[:3])}: is nested too deeply or too large"])
        if isinstance(value, Mapping):
            pending += [((*location, str(key)), each) for key, each in value.items()]
        elif isinstance(value, list):
            pending += [((*location, i), each) for i, each in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ExperimentError([f"{_field(location)}: value {value} is not finite"])
        elif value is not None and not isinstance(value, str | int | float | bool):
            raise ExperimentError([f"{_field(location)}: value {value!r} is not plain data"])


def parse_experiment(data: Any) -> Experiment:
    """Checks plain data against the model of an experiment.

    Raises:
        ExperimentError: with one line per problem.
    """
    _check_plain(data)
    if not isinstance(data, Mapping):
        keys = ", ".join(Experiment.model_fields)
        raise ExperimentError([f"the document is not a mapping with the keys {keys}"])
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        lines = dict.fromkeys(_problem(each) for each in error.errors())
        raise ExperimentError(list(lines)) from None


@functools.cache
def bundled_experiments() -> dict[str, Path]:
    """Returns the files of the experiments that come with the package, by name."""
    folder = Path(str(resources.files("archgym.experiments")))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def experiment_file(source: str | Path) -> Path:
    """Returns the file of an experiment given by path or by the name of a bundled one.

    Raises:
        ValueError: for a folder, a missing file, or an unknown name, naming the closest one.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir() and (path / "experiment.yaml").is_file():
        raise ValueError(f"{source}: is a results folder, run {path / 'experiment.yaml'}")
    if path.is_dir() and str(source) not in bundled_experiments():
        raise ValueError(f"{source}: is a folder, not an experiment file")
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise ValueError(f"{source}: there is no such file")
    if str(source) in bundled_experiments():
        return bundled_experiments()[str(source)]
    raise unknown("experiment", str(source), bundled_experiments())


def _step(here: Any, part: str, key: str) -> Any:
    """Goes one step down a dotted key and returns the container there."""
    if isinstance(here, dict):
        return here.setdefault(part, {})
    index = _list_index(here, part, key)
    here[index] = _agent_from_name(here[index])
    return here[index]


def _list_index(here: Any, part: str, key: str) -> int:
    if not isinstance(here, list):
        raise ValueError(f"--set {key}: there is nothing named {part!r} in {_short(here)}")
    if not (part.isdecimal() and int(part) < len(here)):
        raise ValueError(f"--set {key}: {part!r} is not an entry number in 0..{len(here) - 1}")
    return int(part)


def override(data: Any, setting: str) -> None:
    """Changes one value of an experiment's plain data in place.

    Args:
        data: the content of an experiment file.
        setting: `key=value` with a dotted key (`budget.samples=100`, `agents.1.population=64`) and
            a YAML value.

    Raises:
        ValueError: for a setting of another form, or a key that leads nowhere.
    """
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ValueError(f"--set {setting}: is not key=value, such as budget.samples=100")
    value = yamlfile.parse(text, f"--set {key}")
    here = data
    for part in parts[:-1]:
        here = _step(here, part, key)
    if isinstance(here, dict):
        here[parts[-1]] = value
    else:
        here[_list_index(here, parts[-1], key)] = value


def load_experiment(source: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Reads an experiment file.

    Args:
        source: a path, or the name of a bundled experiment.
        overrides: settings of the form `key=value`, see `override`.

    Raises:
        ValueError: with one line per problem, each naming file, field, value and what is allowed.
    """
    file = experiment_file(source)
    data = yamlfile.read(file)
    try:
        _check_plain(data)
        for setting in overrides:
            override(data, setting)
        return parse_experiment(data)
    except ExperimentError as error:
        raise error.within(str(source)) from None


def experiment_schema() -> dict[str, Any]:
    """Returns the JSON Schema of experiment files."""
    schema = Experiment.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
