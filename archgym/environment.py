"""Environments: a named design space bound to a cost model, and the lookup of names.

One file in `envs/` defines one environment as a module constant `ENVIRONMENT`. Its module name is
the environment's id in snake case (`DramController-v0` lives in `dram_controller.py`), so a name is
found without importing the others; modules that begin with an underscore are parts of one.
Packages outside add theirs through the entry point group `archgym.environments` (entry name: the
environment's id).
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import math
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.errors import unknown
from archgym.metric import Objective

if TYPE_CHECKING:
    from archgym.plot import Plot
    from archgym.table import TableModel

ENTRY_POINT_GROUP = "archgym.environments"


@dataclass(frozen=True)
class Option:
    """A keyword argument of an environment.

    Attributes:
        default: the value used when the argument is left out.
        default_for: other defaults `{(name, value): default}`, where the option `name`, an earlier
            one, has that value.
        doc: one line of meaning.
        choices: the allowed values where they are a short list; empty means the environment checks.
        prefixes: beginnings of texts that are allowed besides the choices, such as `table:`.
    """

    default: Any
    doc: str
    choices: tuple[Any, ...] = ()
    prefixes: tuple[str, ...] = ()
    default_for: Mapping[tuple[str, Any], Any] = field(default_factory=dict)

    def default_with(self, options: Mapping[str, Any]) -> Any:
        """Returns the default beside other options."""
        for (name, value), default in self.default_for.items():
            if options.get(name) == value:
                return default
        return self.default

    @property
    def allowed(self) -> tuple[str, ...]:
        """The choices as texts, and what may follow a prefix."""
        return (*map(str, self.choices), *(f"{prefix}PATH" for prefix in self.prefixes))

    def accepts(self, value: Any) -> bool:
        """Whether a value is among the choices, where there are any, or begins as allowed."""
        if not self.choices or value in self.choices:
            return True
        return isinstance(value, str) and any(
            value.startswith(prefix) and value != prefix for prefix in self.prefixes
        )


@dataclass(frozen=True)
class Fidelity:
    """One of the cost models that can answer for a task.

    Attributes:
        name: value of the environment's option `fidelity`.
        doc: one line of meaning.
        cost: of a design, as measured; in a task's ladder relative to its own fidelity.
        exact: whether its answers are those of the task's own fidelity.
    """

    name: str
    doc: str
    cost: float
    exact: bool = False


@dataclass(frozen=True)
class Environment:
    """Everything the framework knows about an environment.

    Attributes:
        id: name with version, such as `DramController-v0`; a change of dynamics or scores bumps it.
        summary: one line for lists.
        build: makes the cost model from the resolved options, called with keyword arguments.
        options: keyword arguments of `build`, each with its default.
        objectives: the named objectives; the first is the default.
        workloads: returns `{workload name: one-line description}`.
        tabulated: takes the resolved options and returns the cost model of the table that holds
            every design of this very task, or None where there is no such table. The optimum is
            read from it.
        best_known: takes the resolved options and returns the file of the best designs known, see
            `archgym.best_known`, or None where there is none.
        fidelities: takes the resolved options and returns the fidelities that a task with them may
            ask, the cheapest first, with costs per design in any one unit; see `ladder`.
        joins_workloads: whether several workloads may be joined by `+` into one.
        plots: what can be drawn of a design, by name, see `archgym.plot`.
        tolerance: relative difference of metrics between processors; 0 where all give the same.
    """

    id: str
    summary: str
    build: Callable[..., CostModel]
    options: Mapping[str, Option]
    objectives: tuple[Objective, ...]
    workloads: Callable[[], Mapping[str, str]]
    tabulated: Callable[..., TableModel | None] | None = None
    best_known: Callable[..., Path | None] | None = None
    fidelities: Callable[..., tuple[Fidelity, ...]] | None = None
    joins_workloads: bool = False
    plots: Mapping[str, Plot] = field(default_factory=dict)
    tolerance: float = 0.0

    def same_default(
        self, known: Mapping[str, float], found: Mapping[str, float], names: Iterable[str]
    ) -> bool:
        """Whether the default design has the metrics that are known of it.

        Where it has others, what is known is of another version of the cost model.
        """
        return all(math.isclose(known[x], found[x], rel_tol=self.tolerance) for x in names)

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Fills in defaults and checks option names and choices.

        Raises:
            ValueError: for an unknown option, a value outside an option's choices, or an unknown
                workload.
        """
        for name, value in given.items():
            if name not in self.options:
                raise unknown(f"{self.id}: option", name, (*self.options, "objective"))
            if not self.options[name].accepts(value):
                raise unknown(f"{self.id}: {name}", value, self.options[name].allowed)
        resolved: dict[str, Any] = {}
        for name, option in self.options.items():
            resolved[name] = given[name] if name in given else option.default_with(resolved)
        workload = resolved.get("workload")
        if workload is not None and not str(workload).startswith("file:"):
            known = self.workloads()
            for name in str(workload).split("+") if self.joins_workloads else [workload]:
                if name not in known:
                    raise unknown(f"{self.id}: workload", name, (*known, "file:PATH"))
        return resolved

    def ladder(self, options: Mapping[str, Any]) -> tuple[Fidelity, ...]:
        """Returns the fidelities of a task, the cheapest first, its own last with a cost of 1.

        A task whose fidelity is not declared, such as one that is read from a file, has no other.

        Args:
            options: resolved keyword arguments.
        """
        own = str(options.get("fidelity", "full"))
        declared = self.fidelities(**options) if self.fidelities else ()
        names = [each.name for each in declared]
        if own not in names:
            return (Fidelity(own, "the task's own", 1.0, exact=True),)
        kept = declared[: names.index(own) + 1]
        # Declared as exact is what answers like the dearest; the task's own answers like itself.
        exact = [each.exact and kept[-1].exact for each in kept[:-1]] + [True]
        return tuple(
            replace(each, cost=each.cost / kept[-1].cost, exact=same)
            for each, same in zip(kept, exact, strict=True)
        )

    def objective(self, name: str | None) -> Objective:
        """Returns a named objective, the default one for None."""
        if name is None:
            return self.objectives[0]
        by_name = {objective.name: objective for objective in self.objectives}
        if name not in by_name:
            raise unknown(f"{self.id}: objective", name, by_name)
        return by_name[name]


def module_name(environment_id: str) -> str:
    """Returns the module that an id lives in: `DramController-v0` -> `dram_controller`."""
    stem = re.sub(r"-v\d+$", "", environment_id)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()


@functools.cache
def _bundled() -> dict[str, str]:
    """Maps the bundled environments' module names to import paths."""
    package = importlib.import_module("archgym.envs")
    return {
        info.name: f"archgym.envs.{info.name}"
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")
    }


def environment_ids() -> list[str]:
    """Returns the ids of all environments, bundled and from entry points."""
    bundled = [importlib.import_module(path).ENVIRONMENT.id for path in _bundled().values()]
    outside = [entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)]
    return sorted({*bundled, *outside})


def find_environment(environment_id: str) -> Environment:
    """Returns the environment with the given id; the prefix `archgym/` may be there or not.

    Raises:
        ValueError: for an unknown id, naming the closest one.
    """
    name = environment_id.removeprefix("archgym/")
    path = _bundled().get(module_name(name))
    if path is not None:
        environment: Environment = importlib.import_module(path).ENVIRONMENT
        if environment.id == name:
            return environment
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        loaded = entry.load()
        if not isinstance(loaded, Environment):
            raise ValueError(f"entry point {entry.value!r}: {loaded!r} is not an Environment")
        return loaded
    raise unknown("environment", environment_id, environment_ids())
