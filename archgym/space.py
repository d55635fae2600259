"""Design spaces: named finite parameters, conditions between them, and constraints.

A batch of designs is an integer array of shape `(n, d)`: row `i` holds, per parameter, the index of
the chosen value. Everything else (dictionaries of values, Gymnasium spaces, Optuna distributions)
is a view of such rows.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.errors import unknown

Value = str | int | float | bool
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Columns = Mapping[str, npt.NDArray[Any]]
# Values of a parameter that a message lists.
_MOST_LISTED = 40


@dataclass(frozen=True)
class Parameter:
    """One design choice.

    Attributes:
        name: unique name in the space.
        values: the finite list of choices, in order.
        doc: one line that says what the choice does.
        unit: unit of numeric values, empty where there is none.
        subsystem: the part of the machine the choice belongs to.
        ordered: whether neighbouring values are similar designs (sizes, counts), as opposed to
            categories.
        when: parameters declared earlier, each with the values under which this one has an effect.
            Where a condition does not hold the parameter is inert.
    """

    name: str
    values: tuple[Value, ...]
    doc: str = ""
    unit: str = ""
    subsystem: str = ""
    ordered: bool = False
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"parameter {self.name!r}: values is empty, at least one is needed")
        keys = [(type(value) is bool, value) for value in self.values]
        if len(set(keys)) != len(keys):
            raise ValueError(f"parameter {self.name!r}: values {list(self.values)} repeat a value")

    def index(self, value: object) -> int:
        """Returns the position of `value`.

        Raises:
            ValueError: if the value is not one of the parameter's values.
        """
        for position, candidate in enumerate(self.values):
            if candidate == value and isinstance(candidate, bool) == isinstance(value, bool):
                return position
        texts = [str(candidate) for candidate in self.values]
        if len(texts) <= _MOST_LISTED:
            allowed = ", ".join(texts)
            raise ValueError(f"parameter {self.name!r}: value {value!r} is not one of {allowed}")
        near = difflib.get_close_matches(str(value), texts, n=3, cutoff=0.0)
        raise ValueError(
            f"parameter {self.name!r}: value {value!r} is none of its {len(texts)} values, the "
            f"closest are {', '.join(near)}"
        )

    def describe(self) -> dict[str, Any]:
        """Returns the parameter as plain data."""
        return {
            "name": self.name,
            "values": list(self.values),
            "unit": self.unit,
            "subsystem": self.subsystem,
            "ordered": self.ordered,
            "when": {parent: list(values) for parent, values in self.when.items()},
            "doc": self.doc,
        }

    @classmethod
    def parse(cls, described: Mapping[str, Any]) -> Parameter:
        """The inverse of `describe`."""
        when = {parent: tuple(values) for parent, values in described["when"].items()}
        return cls(**{**described, "values": tuple(described["values"]), "when": when})


@dataclass(frozen=True)
class Constraint:
    """A named rule that designs must obey.

    Attributes:
        name: short text shown when the rule is violated.
        satisfied: takes the columns of a batch `{parameter name: (n,) values}` and returns a
            boolean array `(n,)`, true where the rule holds.
        doc: why the rule exists.
    """

    name: str
    satisfied: Callable[[Columns], BoolArray]
    doc: str = ""


class DesignSpace:
    """Parameters in order, with conditions and constraints.

    Args:
        parameters: the choices; a parameter's `when` may only name earlier ones.
        constraints: rules over whole designs.

    Attributes:
        names: parameter names in order.
        cardinalities: int64 array `(d,)`, number of values per parameter.
        size: number of index rows, the product of the cardinalities (a Python integer of any size).
    """

    def __init__(
        self, parameters: Sequence[Parameter], constraints: Sequence[Constraint] = ()
    ) -> None:
        self.parameters = tuple(parameters)
        self.constraints = tuple(constraints)
        self.names = tuple(parameter.name for parameter in self.parameters)
        if not self.parameters:
            raise ValueError("parameters: a design space needs at least one parameter")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"parameters: names {list(self.names)} repeat a name")
        self.cardinalities: IntArray = np.array([len(p.values) for p in self.parameters], np.int64)
        self.size = math.prod(int(c) for c in self.cardinalities)
        self._position = {name: j for j, name in enumerate(self.names)}
        self._conditions = self._compile_conditions()

    def __len__(self) -> int:
        return len(self.parameters)

    def __repr__(self) -> str:
        return f"DesignSpace({len(self)} parameters, {self.size:,} designs)"

    def _compile_conditions(self) -> list[list[tuple[int, BoolArray]]]:
        """Turns each `when` into (parent column, allowed mask over the parent's values) pairs."""
        compiled: list[list[tuple[int, BoolArray]]] = []
        for j, parameter in enumerate(self.parameters):
            conditions = []
            for parent, values in parameter.when.items():
                if self._position.get(parent, j) >= j:
                    raise ValueError(
                        f"parameter {parameter.name!r}: when names {parent!r}, which is not an "
                        f"earlier parameter"
                    )
                position = self._position[parent]
                allowed = np.zeros(int(self.cardinalities[position]), np.bool_)
                allowed[[self.parameters[position].index(value) for value in values]] = True
                conditions.append((position, allowed))
            compiled.append(conditions)
        return compiled

    def position(self, name: str) -> int:
        """Returns the column of a parameter; raises ValueError for an unknown name."""
        if name not in self._position:
            raise unknown("parameter", name, self.names)
        return self._position[name]

    def validate(self, rows: npt.ArrayLike) -> IntArray:
        """Checks a batch and returns it as an int64 array `(n, d)`.

        Raises:
            ValueError: for a wrong shape, a non-integer type, or an index outside a parameter.
        """
        array = np.asarray(rows)
        if array.ndim == 1 and array.size == len(self):
            array = array[None, :]
        if array.ndim != 2 or array.shape[1] != len(self):
            raise ValueError(f"designs: shape {array.shape} is not (n, {len(self)})")
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"designs: type {array.dtype} is not an integer type")
        outside = (array < 0) | (array >= self.cardinalities)
        if outside.any():
            i, j = (int(k) for k in np.argwhere(outside)[0])
            raise ValueError(
                f"designs: row {i}, parameter {self.names[j]!r}: index {array[i, j]} is outside "
                f"0..{self.cardinalities[j] - 1}"
            )
        return array.astype(np.int64, copy=False)

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Draws `n` independent uniform index rows, shape `(n, d)`."""
        rows: IntArray = rng.integers(0, self.cardinalities, size=(n, len(self)), dtype=np.int64)
        return rows

    def encode(self, design: Mapping[str, object]) -> IntArray:
        """Returns the canonical index row `(d,)` of a design given by values.

        Inert parameters may be left out.

        Raises:
            ValueError: for an unknown or missing parameter, or a value that is not allowed.
        """
        for name in design:
            self.position(name)
        row = np.zeros(len(self), np.int64)
        for j, parameter in enumerate(self.parameters):
            if parameter.name in design:
                row[j] = parameter.index(design[parameter.name])
            elif self.active(row[None])[0, j]:
                raise ValueError(f"design: parameter {parameter.name!r} is missing")
        canonical: IntArray = self.canonical(row[None])[0]
        return canonical

    def decode(self, row: npt.ArrayLike) -> dict[str, Value]:
        """Returns the values `{name: value}` of one index row `(d,)`."""
        indices = self.validate(np.asarray(row).reshape(1, -1))[0]
        return {p.name: p.values[int(i)] for p, i in zip(self.parameters, indices, strict=True)}

    def columns(self, rows: IntArray) -> dict[str, npt.NDArray[Any]]:
        """Returns a batch as `{name: (n,) values}`."""
        return {
            p.name: values[rows[:, j]]
            for j, (p, values) in enumerate(zip(self.parameters, self._value_arrays, strict=True))
        }

    @functools.cached_property
    def _value_arrays(self) -> list[npt.NDArray[Any]]:
        arrays = []
        for parameter in self.parameters:
            kinds = {type(value) for value in parameter.values}
            mixed = len(kinds) > 1 and not kinds <= {int, float}
            arrays.append(np.array(parameter.values, dtype=object if mixed else None))
        return arrays

    def active(self, rows: IntArray) -> BoolArray:
        """Returns `(n, d)`: whether each parameter has an effect in each design."""
        active = np.ones(rows.shape, np.bool_)
        for j, conditions in enumerate(self._conditions):
            for parent, allowed in conditions:
                active[:, j] &= active[:, parent] & allowed[rows[:, parent]]
        return active

    def canonical(self, rows: npt.ArrayLike) -> IntArray:
        """Sets inert parameters to index 0, so that equivalent designs are one row `(n, d)`."""
        validated = self.validate(rows)
        return np.where(self.active(validated), validated, 0)

    @functools.cached_property
    def canonical_size(self) -> int:
        """Number of distinct canonical designs."""
        return math.prod(self._canonical_size_of(group) for group in self._linked())

    def _linked(self) -> list[list[int]]:
        """Columns in groups that no condition connects, each in order."""
        group = list(range(len(self)))
        for j, conditions in enumerate(self._conditions):
            for parent, _ in conditions:
                old, new = group[j], group[parent]
                group = [new if each == old else each for each in group]
        return [[j for j in range(len(self)) if group[j] == g] for g in dict.fromkeys(group)]

    def _canonical_size_of(self, columns: list[int]) -> int:
        """Number of distinct canonical designs that differ in linked columns only."""
        parents = sorted({p for j in columns for p, _ in self._conditions[j]})
        if not parents:
            return math.prod(int(self.cardinalities[j]) for j in columns)
        grid = DesignSpace([Parameter(self.names[j], self.parameters[j].values) for j in parents])
        rows = np.zeros((grid.size, len(self)), np.int64)
        rows[:, parents] = grid.enumerate(0, grid.size)
        rows = np.unique(self.canonical(rows), axis=0)
        free = np.array([j for j in columns if j not in parents], np.int64)
        choices = np.where(self.active(rows)[:, free], self.cardinalities[free], 1)
        return sum(math.prod(int(c) for c in row) for row in choices)

    def violations(self, rows: IntArray) -> dict[str, BoolArray]:
        """Returns `{constraint name: (n,) true where violated}`."""
        if not self.constraints:
            return {}
        columns = self.columns(rows)
        return {c.name: ~np.asarray(c.satisfied(columns), np.bool_) for c in self.constraints}

    def neighbours(self, row: npt.ArrayLike) -> IntArray:
        """Returns the canonical designs `(m, d)` that differ from `row` in one active parameter.

        An ordered parameter moves by one step, a category to any other value.
        """
        origin = self.canonical(np.asarray(row).reshape(1, -1))[0]
        moved = []
        for j, parameter in enumerate(self.parameters):
            if not self.active(origin[None])[0, j]:
                continue
            here = int(origin[j])
            steps = (here - 1, here + 1) if parameter.ordered else range(len(parameter.values))
            for value in steps:
                if value != here and 0 <= value < len(parameter.values):
                    neighbour = origin.copy()
                    neighbour[j] = value
                    moved.append(neighbour)
        if not moved:
            return np.zeros((0, len(self)), np.int64)
        return self.canonical(np.array(moved))

    def enumerate(self, start: int, stop: int) -> IntArray:
        """Returns the index rows number `start` to `stop` (exclusive) in mixed-radix order.

        The last parameter varies fastest. The space itself is never built, so its size is free.

        Raises:
            ValueError: unless `0 <= start <= stop <= size`.
        """
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"enumerate: range {start}..{stop} is not within 0..{self.size}")
        rows = np.empty((stop - start, len(self)), np.int64)
        carry = np.arange(stop - start, dtype=np.int64)
        for j in range(len(self) - 1, -1, -1):
            radix = int(self.cardinalities[j])
            start, digit = divmod(start, radix)
            carry, rows[:, j] = np.divmod(carry + digit, radix)
        return rows

    def index(self, rows: npt.ArrayLike) -> list[int]:
        """Returns the mixed-radix number of each row, the inverse of `enumerate`."""
        numbers = [0] * len(validated := self.validate(rows))
        for j, radix in enumerate(self.cardinalities):
            column = validated[:, j].tolist()
            numbers = [n * int(radix) + digit for n, digit in zip(numbers, column, strict=True)]
        return numbers

    def describe(self) -> dict[str, Any]:
        """Returns the space as plain data."""
        return {
            "size": self.size,
            "canonical_size": self.canonical_size,
            "parameters": [parameter.describe() for parameter in self.parameters],
            "constraints": [{"name": c.name, "doc": c.doc} for c in self.constraints],
        }

    @functools.cached_property
    def fingerprint(self) -> str:
        """A short hash that changes whenever the meaning of an index row may have changed."""
        text = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
