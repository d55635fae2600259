"""Hyperparameters of agents: declared once, as annotated keyword arguments of the constructor.

An agent writes `population: Annotated[int, Range(2, 1024, log=True)] = 32`; the type, the range and
the default are read from there by the checks, the tables, and tuning.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archgym.errors import unknown


@dataclass(frozen=True)
class Range:
    """Allowed interval of a number, both ends included; `log` says how tuning should sample it."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """Allowed values of a category."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Names:
    """A text of names joined by `+`, each different; tuning leaves it as it is.

    Attributes:
        known: returns the allowed names.
        least: at least how many there are.
    """

    known: Callable[[], Iterable[str]]
    least: int = 1


@dataclass(frozen=True)
class AgentNames(Names):
    """Names of agents that work for this one; what they need is checked with what it needs."""


@dataclass(frozen=True)
class FidelityName:
    """The name of one of the task's fidelities, or the empty text; tuning leaves it as it is.

    Whether the task has it is checked before a run, see `archgym.agent.check_fidelities`.
    """


Domain = Range | Choice | Names | FidelityName


@dataclass(frozen=True)
class Hyperparameter:
    """One declared keyword argument of an agent's constructor."""

    name: str
    kind: type
    default: Any
    domain: Domain | None

    @property
    def varies(self) -> bool:
        """Whether sampling and tuning may choose its value."""
        return isinstance(self.domain, Range | Choice) or self.kind is bool

    def describe(self) -> dict[str, Any]:
        """Returns the hyperparameter as plain data."""
        described: dict[str, Any] = {
            "name": self.name,
            "type": self.kind.__name__,
            "default": self.default,
        }
        if isinstance(self.domain, Range):
            described |= {"low": self.domain.low, "high": self.domain.high, "log": self.domain.log}
        elif isinstance(self.domain, Choice):
            described["choices"] = list(self.domain.values)
        elif isinstance(self.domain, Names):
            described["names"] = sorted(self.domain.known())
        elif isinstance(self.domain, FidelityName):
            described["fidelity"] = True
        return described

    def check(self, owner: str, value: Any) -> Any:
        """Returns the value, whole numbers converted to float where one is expected.

        Raises:
            ValueError: for a wrong type or a value outside the range, naming both.
        """
        field = f"agent {owner!r}: {self.name}"
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value).__name__ != self.kind.__name__:
            raise ValueError(f"{field}: value {value!r} is not of type {self.kind.__name__}")
        if isinstance(self.domain, Range) and not self.domain.low <= value <= self.domain.high:
            raise ValueError(
                f"{field}: value {value!r} is outside {self.domain.low}..{self.domain.high}"
            )
        if isinstance(self.domain, Choice) and value not in self.domain.values:
            raise unknown(field, value, [str(choice) for choice in self.domain.values])
        if isinstance(self.domain, Names):
            _check_names(field, value, self.domain)
        return value


def _check_names(field: str, value: str, domain: Names) -> None:
    names = value.split("+")
    known = sorted(domain.known())
    for name in names:
        if name not in known:
            raise unknown(field, name, known)
    if len(set(names)) < len(names):
        raise ValueError(f"{field}: value {value!r} repeats a name")
    if len(names) < domain.least:
        raise ValueError(
            f"{field}: value {value!r} has {len(names)} names, at least {domain.least} are needed, "
            f"joined by +"
        )


def declared(agent: type) -> dict[str, Hyperparameter]:
    """Returns the hyperparameters of an agent class by name, in order of declaration."""
    hints = typing.get_type_hints(agent.__init__, include_extras=True)  # type: ignore[misc]
    found = {}
    for name, parameter in inspect.signature(agent).parameters.items():
        if name in ("space", "seed"):
            continue
        hint = hints[name]
        domain = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Domain)), None)
        kind = typing.get_args(hint)[0] if domain is not None else hint
        found[name] = Hyperparameter(name, kind, parameter.default, domain)
    return found


def resolve(owner: str, agent: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks given hyperparameters and fills in the defaults.

    Raises:
        ValueError: for an unknown name, a wrong type or a value out of range.
    """
    table = declared(agent)
    for name in given:
        if name not in table:
            raise unknown(f"agent {owner!r}: hyperparameter", name, table)
    return {
        name: each.check(owner, given[name]) if name in given else each.default
        for name, each in table.items()
    }


def documentation(agent: type) -> str:
    """Returns the docstrings of an agent class and of the classes that it gets arguments from."""
    return "\n\n".join(
        inspect.cleandoc(each.__doc__ or "") for each in agent.__mro__ if "__init__" in vars(each)
    )
