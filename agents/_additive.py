"""What changes of a base design do to metrics, added up, and the best sum as an integer program.

A change sets one parameter of the base to a value, or two parameters. The value of a metric (or its
logarithm) at a design is predicted as that of the base, plus what each of its single changes does,
plus what pairs of them do beyond that. Parts of a metric that several choices share, such as the
area of a datapath that serves every layer with the same number format, are counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from archgym.agents._quiet import quiet_c_output
from archgym.metric import FloatArray
from archgym.space import IntArray

Change = tuple[tuple[int, int], ...]
"""Pairs of parameter and value number, one or two."""

_SAME = 1e-9
"""Relative difference below which two parts are the same."""

_PENALTY = 1e3
"""Cost of a budget missed by its own size, relative to the spread of what is minimised."""


@dataclass(frozen=True)
class Measured:
    """Quantities of a base design and of changes to it.

    Attributes:
        base: its row `(d,)`.
        at_base: `{quantity: value}`.
        changes: what was evaluated and is feasible, with its quantities.
        forbidden: changes that are infeasible.
    """

    base: IntArray
    at_base: Mapping[str, float]
    changes: Mapping[Change, Mapping[str, float]]
    forbidden: frozenset[Change] = frozenset()

    def effects(self, name: str, log: bool) -> dict[Change, float]:
        """What each change adds to a quantity or its logarithm, pairs beyond their single ones."""
        scale = np.log if log else np.asarray
        zero = float(scale(self.at_base[name]))
        found = {c: float(scale(told[name])) - zero for c, told in self.changes.items()}
        return {
            c: delta - sum(found.get((one,), 0.0) for one in c) if len(c) > 1 else delta
            for c, delta in found.items()
        }


@dataclass(frozen=True)
class SharedPart:
    """A part of a metric that is there once if any of some choices is made.

    Attributes:
        size: what it adds.
        choices: pairs of parameter and value number.
        at_base: whether the base design has it.
    """

    size: float
    choices: frozenset[tuple[int, int]]
    at_base: bool


def shared_parts(
    measured: Measured,
    metric: str,
    alike: Sequence[Sequence[int]],
    uniform: Mapping[tuple[int, int], Mapping[str, float]],
) -> dict[str, SharedPart]:
    """Finds the parts of a metric that several parameters share.

    Args:
        measured: singles and pairs; the parts are quantities named `metric/part`.
        metric: whose parts they are.
        alike: groups of parameters with the same values.
        uniform: quantities of the base with a whole group (its number) at one value.
    """
    names = [name for name in measured.at_base if name.startswith(f"{metric}/")]
    found = {}
    for name in names:
        for number, group in enumerate(alike):
            part = _shared(measured, name, group, number, uniform)
            if part is not None:
                found[name] = part
                break
    return found


def _shared(
    measured: Measured,
    name: str,
    group: Sequence[int],
    number: int,
    uniform: Mapping[tuple[int, int], Mapping[str, float]],
) -> SharedPart | None:
    """The part `name` as one that the parameters of a group share, None if it is none."""
    base = measured.at_base[name]
    singles = {
        c[0]: t[name] for c, t in measured.changes.items() if len(c) == 1 and c[0][0] in group
    }
    if not singles:
        return None
    if base == 0.0:
        there = {choice: value for choice, value in singles.items() if value != 0.0}
        sizes = list(there.values())
        if len({j for j, _ in there}) < 2 or not _equal(sizes):
            return None
        return SharedPart(sizes[0], frozenset(there), at_base=False)
    whole = {v: told[name] for (g, v), told in uniform.items() if g == number}
    if not _equal([base, *singles.values()]) or all(value != 0.0 for value in whole.values()):
        return None
    choices = {(j, int(measured.base[j])) for j in group}
    choices |= {(j, v) for v, value in whole.items() if value != 0.0 for j in group}
    return SharedPart(base, frozenset(choices), at_base=True)


def _equal(values: Sequence[float]) -> bool:
    return max(values) - min(values) <= _SAME * abs(max(values))


@dataclass
class Linear:
    """A quantity as a linear function of choices.

    Attributes:
        constant: its value at the base, without what is in `parts`.
        effects: of changes.
        parts: shared parts.
    """

    constant: float
    effects: dict[Change, float]
    parts: list[SharedPart] = field(default_factory=list)

    @classmethod
    def of(
        cls, measured: Measured, name: str, log: bool, parts: Mapping[str, SharedPart]
    ) -> Linear:
        """A metric from measured changes; shared parts are taken out of them."""
        effects = measured.effects(name, log)
        constant = float(np.log(measured.at_base[name]) if log else measured.at_base[name])
        if log or not parts:
            return cls(constant, effects)
        for part_name, part in parts.items():
            told = measured.effects(part_name, log=False)
            constant -= measured.at_base[part_name]
            for change in effects:
                if not part.at_base and any(choice in part.choices for choice in change):
                    effects[change] -= told[change]
        return cls(constant, effects, list(parts.values()))

    def times(self, sign: float) -> Linear:
        """Returns the function, mirrored for -1; what is mirrored may have no shared parts."""
        if sign == 1.0:
            return self
        assert not self.parts
        return Linear(-self.constant, {c: -effect for c, effect in self.effects.items()})

    def predict(self, base: IntArray, row: IntArray) -> float:
        """The quantity at a design."""
        moved = {(j, int(row[j])) for j in range(len(row)) if row[j] != base[j]}
        total = self.constant
        total += sum(e for c, e in self.effects.items() if all(one in moved for one in c))
        chosen = {(j, int(v)) for j, v in enumerate(row)}
        return total + sum(part.size for part in self.parts if part.choices & chosen)


@dataclass(frozen=True)
class Limit:
    """A budget: `function` may not exceed `most`.

    Attributes:
        metric: its name.
        function: the metric, or its logarithm, mirrored where more is better.
        most: the limit in the same terms.
        log: whether it is a logarithm.
        sign: -1 where it is mirrored.
    """

    metric: str
    function: Linear
    most: float
    log: bool
    sign: float

    def corrected(self, base: IntArray, row: IntArray, value: float) -> float:
        """The limit less what the prediction of a design fell short of its `value`."""
        real = self.sign * float(np.log(value) if self.log else value)
        return self.most + self.function.predict(base, row) - real


@dataclass(frozen=True)
class Goal:
    """What is minimised, and what may not be exceeded.

    Attributes:
        cost: linear function to minimise.
        limits: the budgets.
    """

    cost: Linear
    limits: Sequence[Limit]


class Program:
    """The integer program of choices, after Bertsimas and Tsitsiklis 1997, section 10.

    Args:
        measured: the base and its changes.
        goal: what is wanted.
    """

    def __init__(self, measured: Measured, goal: Goal) -> None:
        self._measured = measured
        self._goal = goal
        base = measured.base
        singles = {c[0] for c in measured.changes if len(c) == 1}
        paired = {choice for c in measured.changes if len(c) > 1 for choice in c}
        self._choices = sorted({(j, int(base[j])) for j in range(len(base))} | singles | paired)
        self._column = {choice: k for k, choice in enumerate(self._choices)}
        self._pairs = {c: k for k, c in enumerate(sorted(c for c in measured.changes if c[1:]))}
        functions = (goal.cost, *(limit.function for limit in goal.limits))
        self._parts = list(dict.fromkeys(part for each in functions for part in each.parts))
        self._width = len(self._choices) + len(self._pairs) + len(self._parts) + len(goal.limits)

    def solve(self, excluded: Sequence[IntArray], most: Sequence[float]) -> IntArray | None:
        """Returns the best design `(d,)` by prediction that is not excluded, None if there is none.

        Args:
            excluded: rows that may not come again.
            most: of each limit, in place of its own.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        rows, low, high = self._constraints(excluded, most)
        entries = [(i, k, value) for i, row in enumerate(rows) for k, value in row.items()]
        i, k, values = (np.array(each) for each in zip(*entries, strict=True))
        matrix = csr_array((values, (i, k)), shape=(len(rows), self._width))
        cost = self._vector(self._goal.cost)
        slack = slice(self._width - len(self._goal.limits), None)
        cost[slack] = _PENALTY * max(np.abs(cost).max(), 1e-12)
        # All variables are whole but how far limits are missed, which is first tried as nothing.
        integral = np.ones(self._width, np.int64)
        integral[slack] = 0
        upper = np.ones(self._width)
        for most_missed in (0.0, np.inf):
            upper[slack] = most_missed
            with quiet_c_output():
                answer = milp(
                    cost,
                    integrality=integral,
                    bounds=Bounds(np.zeros(self._width), upper),
                    constraints=LinearConstraint(matrix, low, high),
                    options={"node_limit": 200, "mip_rel_gap": 1e-3},
                )
            if answer.x is not None:
                break
        else:
            return None
        row = self._measured.base.copy()
        for (j, v), chosen in zip(self._choices, answer.x, strict=False):
            if chosen > 0.5:
                row[j] = v
        return row

    def _vector(self, function: Linear) -> FloatArray:
        """Coefficients `(width,)` of a linear function, without its constant."""
        vector = np.zeros(self._width)
        first = len(self._choices)
        for change, effect in function.effects.items():
            at = self._column[change[0]] if len(change) == 1 else first + self._pairs[change]
            vector[at] += effect
        for part in function.parts:
            vector[first + len(self._pairs) + self._parts.index(part)] += part.size
        return vector

    def _constraints(
        self, excluded: Sequence[IntArray], most: Sequence[float]
    ) -> tuple[list[dict[int, float]], FloatArray, FloatArray]:
        """Rows of the constraint matrix, and between what each must lie."""
        rows: list[dict[int, float]] = []
        low: list[float] = []
        high: list[float] = []

        def add(row: dict[int, float], least: float, most: float) -> None:
            rows.append(row)
            low.append(least)
            high.append(most)

        by_parameter: dict[int, dict[int, float]] = {}
        for (j, _), k in self._column.items():
            by_parameter.setdefault(j, {})[k] = 1.0
        for row in by_parameter.values():
            add(row, 1.0, 1.0)
        first = len(self._choices)
        for (one, other), number in self._pairs.items():
            a, b, z = self._column[one], self._column[other], first + number
            add({z: 1.0, a: -1.0, b: -1.0}, -1.0, np.inf)
            add({z: 1.0, a: -1.0}, -np.inf, 0.0)
            add({z: 1.0, b: -1.0}, -np.inf, 0.0)
        for number, part in enumerate(self._parts):
            y = first + len(self._pairs) + number
            for choice in sorted(part.choices & self._column.keys()):
                add({y: 1.0, self._column[choice]: -1.0}, 0.0, np.inf)
        for change in sorted(self._measured.forbidden):
            there = [self._column[c] for c in change if c in self._column]
            if len(there) == len(change):
                add(dict.fromkeys(there, 1.0), -np.inf, len(there) - 1.0)
        for number, limit in enumerate(self._goal.limits):
            vector = self._vector(limit.function)
            scale = 1.0 if limit.log else abs(limit.most)
            row = {int(k): float(vector[k]) / scale for k in np.flatnonzero(vector)}
            row[self._width - len(self._goal.limits) + number] = -1.0
            add(row, -np.inf, (most[number] - limit.function.constant) / scale)
        for design in excluded:
            there = [self._column.get((j, int(v)), -1) for j, v in enumerate(design)]
            if min(there) >= 0:
                add(dict.fromkeys(there, 1.0), -np.inf, len(there) - 1.0)
        return rows, np.array(low), np.array(high)


def total(functions: Sequence[Linear]) -> Linear:
    """Returns the sum of linear functions."""
    effects: dict[Change, float] = {}
    for function in functions:
        for change, effect in function.effects.items():
            effects[change] = effects.get(change, 0.0) + effect
    parts = [part for function in functions for part in function.parts]
    return Linear(sum(function.constant for function in functions), effects, parts)


def quantities(named: Mapping[str, Any], at: int) -> dict[str, float]:
    """Returns the values of one design of a batch."""
    return {name: float(values[at]) for name, values in named.items()}
