"""Agents: search methods that propose designs and learn from their evaluations.

One file in `agents/` holds one method; its name in experiments is the file name with hyphens
(`ant_colony.py` -> `ant-colony`). Packages outside add theirs through the entry point group
`archgym.agents` (entry name: the agent's name; value: the class).
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.metadata
import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from archgym.environment import Fidelity
from archgym.errors import unknown
from archgym.evaluator import Evaluator
from archgym.hyperparameters import AgentNames, FidelityName, declared, resolve
from archgym.metric import Objective
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation

ENTRY_POINT_GROUP = "archgym.agents"


class Agent(ABC):
    """A search method with `ask` and `tell`.

    A subclass takes `space`, `seed` and its hyperparameters as keyword arguments with defaults, and
    calls `super().__init__(space, seed)`. All randomness comes from `self.rng`.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.

    Attributes:
        multi_objective: whether the method searches several goals at once
            (`evaluation.objectives`) and not only `evaluation.score`; without it, tasks with a
            Pareto objective are refused.
        extra: the optional dependencies that the method needs, empty for none.
        needs: the modules that these bring.
    """

    multi_objective: ClassVar[bool] = False
    extra: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, space: DesignSpace, seed: int | np.random.Generator = 0) -> None:
        self.space = space
        self.rng = np.random.default_rng(seed)

    @property
    def batch_size(self) -> int:
        """How many designs the method likes to be asked for at once."""
        return 1

    @abstractmethod
    def ask(self, n: int) -> IntArray:
        """Proposes `n` designs as index rows `(n, d)`; a design may be proposed again."""

    @abstractmethod
    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Learns from evaluated designs, whether it asked for them or not."""

    def search(self, evaluator: Evaluator) -> None:
        """Runs until the evaluator's budget is spent; methods that own their loop override it."""
        while not evaluator.exhausted:
            designs = self.ask(min(self.batch_size, evaluator.remaining))
            self.tell(designs, evaluator.evaluate(designs))

    def get_state(self) -> dict[str, Any]:
        """Returns everything needed to continue the search exactly from here.

        The design space is not part of it: a state is set on an agent of the same space.
        """
        state = {name: value for name, value in self.__dict__.items() if name != "space"}
        return copy.deepcopy(state, {id(self.space): self.space})

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues from a state that `get_state` returned."""
        self.__dict__.update(copy.deepcopy(state, {id(self.space): self.space}))


class LoopAgent(Agent):
    """A method that owns its loop: it steps an environment by itself and cannot be asked.

    A subclass implements `search`. A killed run is resumed by running it again: the evaluator
    answers the trials that are logged without the cost model.
    """

    def ask(self, n: int) -> IntArray:
        """Raises TypeError: such a method is used through `search`."""
        raise TypeError(f"{type(self).__name__} owns its loop: use its search, not ask and tell")

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Raises TypeError: such a method is used through `search`."""
        self.ask(0)

    @abstractmethod
    def search(self, evaluator: Evaluator) -> None:
        """Runs until the evaluator's budget is spent."""


@functools.cache
def _bundled() -> dict[str, str]:
    """Maps bundled agent names to import paths, without importing any."""
    package = importlib.import_module("archgym.agents")
    return {
        info.name.replace("_", "-"): f"archgym.agents.{info.name}"
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")
    }


def agent_names() -> list[str]:
    """Returns the names of all agents, bundled and from entry points."""
    outside = [entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)]
    return sorted({*_bundled(), *outside})


def find_agent(name: str) -> type[Agent]:
    """Returns the class of the agent with the given name.

    Raises:
        ValueError: for an unknown name, naming the closest one.
    """
    if name in _bundled():
        module = importlib.import_module(_bundled()[name])
        for each in vars(module).values():
            if (
                isinstance(each, type)
                and issubclass(each, Agent)
                and each.__module__ == module.__name__
            ):
                return each
        raise ValueError(f"agent {name!r}: module {module.__name__} defines no Agent")
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        loaded = entry.load()
        if not (isinstance(loaded, type) and issubclass(loaded, Agent)):
            raise ValueError(f"entry point {entry.value!r}: {loaded!r} is not an Agent class")
        return loaded
    raise unknown("agent", name, agent_names())


def make_agent(
    name: str, space: DesignSpace, *, seed: int | np.random.Generator = 0, **hyperparameters: Any
) -> Agent:
    """Builds an agent.

    Args:
        name: such as `genetic`; see `archgym list agents`.
        space: the design space to search.
        seed: an integer, or a generator to draw from.
        **hyperparameters: constructor arguments of the agent.

    Raises:
        ValueError: for an unknown agent or hyperparameter, or a value out of range.
    """
    agent = find_agent(name)
    settings = resolve(name, agent, hyperparameters)
    check_installed(name, agent, settings)
    return agent(space, seed=seed, **settings)


def check_installed(
    name: str, agent: type[Agent], hyperparameters: Mapping[str, Any] | None = None
) -> None:
    """Refuses an agent whose extra is not installed, without importing anything of it.

    Args:
        name: the agent's name.
        agent: its class.
        hyperparameters: of it, which may name other agents; defaults if left out.

    Raises:
        ValueError: naming what is missing, and the command that installs it.
    """
    for module in agent.needs:
        if importlib.util.find_spec(module) is None:
            raise ValueError(
                f"agent {name!r}: needs the extra {agent.extra!r} ({module} is missing): "
                f"pip install 'archgym[{agent.extra}]'"
            )
    for each in declared(agent).values():
        if isinstance(each.domain, AgentNames):
            for member in str((hyperparameters or {}).get(each.name, each.default)).split("+"):
                try:
                    check_installed(member, find_agent(member))
                except ValueError as error:
                    raise ValueError(f"agent {name!r}: {each.name}: {error}") from None


def check_external(name: str) -> None:
    """Refuses the name of a registered agent for a loop outside of archgym.

    Raises:
        ValueError: naming it.
    """
    if name in agent_names():
        raise ValueError(
            f"agent {name!r}: is a registered agent, an external one needs a name of its own"
        )


def check_goals(name: str, agent: type[Agent], objective: Objective, task: str) -> None:
    """Refuses an agent of one goal for a task with several.

    Args:
        name: the agent's name.
        agent: its class.
        objective: of the task.
        task: the task's readable name.

    Raises:
        ValueError: naming both.
    """
    if objective.pareto and not agent.multi_objective:
        raise ValueError(
            f"agent {name!r}: searches one goal, task {task!r} has {len(objective.metrics)} "
            f"(Pareto); take an agent of several goals, such as nsga2, or an objective of one"
        )


def check_fidelities(
    name: str,
    agent: type[Agent],
    hyperparameters: Mapping[str, Any],
    fidelities: Sequence[Fidelity],
    task: str,
) -> None:
    """Refuses an agent that asks for a fidelity which the task does not have.

    Args:
        name: the agent's name.
        agent: its class.
        hyperparameters: of it, defaults included.
        fidelities: of the task.
        task: the task's readable name.

    Raises:
        ValueError: naming agent, task and what the task has.
    """
    names = [each.name for each in fidelities]
    for each in declared(agent).values():
        value = hyperparameters[each.name]
        if isinstance(each.domain, FidelityName) and value and value not in names:
            raise unknown(f"agent {name!r}: {each.name}: fidelity of task {task!r}", value, names)
