"""Good mappings for many machines of one kind: greedy ones, the best of them improved.

The machines differ in sizes, rates and energies, not in their levels. A greedy mapping fills the
axes of the array, then the innermost level, then the middle one: dimension after dimension with the
largest divisor that still fits, in an order that is the mapping's own. All combinations of a few
such orders are tried, with two orders of loops each; the best of them then with all nine in which
one tensor stays per level. The winner is improved by exchanges, the best of all that fit at a time,
until none helps: a prime factor moves to another place, and one of another dimension from there to
a third or back. Nothing is drawn: the same machine gets the same mapping, whatever else
is in the batch.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace

import numpy as np

from archgym.cost_models.accelerator.loopnest.architectures import COLUMNS, Architecture
from archgym.cost_models.accelerator.loopnest.arrays import (
    FloatArray,
    Machines,
    Mappings,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.greedy_kernel import (
    INSIDE,
    MIDDLE,
    ON_COLUMNS,
    ON_ROWS,
    OUTSIDE,
    PLACES,
    fill,
    neighbours,
)
from archgym.cost_models.accelerator.loopnest.layouts import divisors
from archgym.cost_models.accelerator.loopnest.mapper import OBJECTIVES, STAY_ORDERS
from archgym.cost_models.accelerator.loopnest.model import evaluate
from archgym.cost_models.accelerator.loopnest.problem import DIMS, IntArray, Problem

# Orders in which places take dimensions; those that an axis cannot hold are passed over.
_ON_COLUMNS = ("KQPN", "QPKN")
_ON_ROWS = ("SCKR", "CRSK", "KCRS")
_INSIDE = ("SRCKQPN", "SRKCQPN", "KCSRQPN", "CKSRQPN", "QSRKCPN", "")
_IN_MIDDLE = ("CQPKRSN", "QPCKRSN", "KCRSQPN", "RSPQKCN")
_STAY = np.array([[DIMS.index(d) for d in order] for order in STAY_ORDERS], np.uint8)
# What stays at the middle and at the outermost level: tried first, and in the end.
_FIRST = ((0, 2), (2, 0))
_ALL = tuple(itertools.product(range(3), range(3)))
_FINALISTS = 8
# Mappings after an exchange that are tried with all that may stay; less than a rounding error is no
# improvement.
_CLOSE, _GAIN = 4, 1.0 - 1e-12
# Points evaluated at a time.
_CHUNK = 1 << 14


@dataclass(frozen=True)
class GreedyMapper:
    """Maps a problem on machines of one kind.

    Attributes:
        architecture: Their levels and axes; capacities, rates and energies are the machines' own.
        problem: The operator.
        objective: `cycles`, `energy` or `edp`, to be small.

    Raises:
        ValueError: If the architecture has not three levels of loops and one array at the middle
            one, or the objective is unknown.
    """

    architecture: Architecture
    problem: Problem
    objective: str = "edp"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective: {self.objective!r} is none of {', '.join(OBJECTIVES)}")
        levels = self.architecture.loop_levels
        arrays = {self.architecture.level(axis.level) for axis in self.architecture.axes}
        if len(levels) != 3 or arrays - {levels[1]}:
            raise ValueError(
                f"{self.architecture.name}: expected loops at three levels and an array at the "
                f"middle one"
            )

    def best(self, machines: Machines) -> Mappings:
        """The best mapping found for every machine `(n,)`.

        The innermost tile of one iteration has to fit: then there is a mapping.
        """
        n = len(machines.capacity)
        rules = self._rules()
        each = max(1, _CHUNK // (len(rules) * len(_FIRST)))
        parts = [
            self._chunk(_rows(machines, np.arange(start, min(start + each, n))), rules)
            for start in range(0, n, each)
        ]
        factors, stay = (np.concatenate(c) for c in zip(*parts, strict=True))
        exchanges = self._exchanges()
        for start in range(0, n, each):
            self._improve(
                machines, exchanges, factors, stay, np.arange(start, min(start + each, n))
            )
        return self._mappings(factors, stay)

    def _rules(self) -> IntArray:
        """Orders of filling `(s, 4, 7)`: columns, rows, inside, in the middle; -1 for none."""
        allowed = {axis.kind: axis.dims for axis in self.architecture.axes}
        columns = {_only(order, allowed.get(COLUMNS, "")) for order in _ON_COLUMNS}
        rows = {_only(order, allowed.get("rows", "")) for order in _ON_ROWS}
        big = "".join(d for d, size in zip(DIMS, self.problem.sizes, strict=True) if size > 1)
        places = [
            sorted({_only(order, big) for order in orders})
            for orders in (sorted(columns), sorted(rows), _INSIDE, _IN_MIDDLE)
        ]
        rules = np.full((int(np.prod([len(p) for p in places])), 4, len(DIMS)), -1, np.int64)
        for i, chosen in enumerate(itertools.product(*places)):
            for j, order in enumerate(chosen):
                rules[i, j, : len(order)] = [DIMS.index(d) for d in order]
        return rules

    def _chunk(self, machines: Machines, rules: IntArray) -> tuple[IntArray, IntArray]:
        """Factors `(n, 5, 7)` of the best mappings of some machines, and what stays `(n, 2)`."""
        n, s = len(machines.capacity), len(rules)
        flat = self._filled(machines, rules).reshape(n * s, PLACES, len(DIMS))
        machine = np.repeat(np.arange(n), s)
        first = [self._values(_rows(machines, machine), flat, stay) for stay in _FIRST]
        ranked = np.argsort(np.min(first, axis=0).reshape(n, s), axis=1, kind="stable")
        few = min(_FINALISTS, s)
        some = flat[(ranked[:, :few] + s * np.arange(n)[:, None]).ravel()]
        machine = np.repeat(np.arange(n), few)
        last = [self._values(_rows(machines, machine), some, stay) for stay in _ALL]
        which = np.stack(last, axis=1).reshape(n, few * len(_ALL)).argmin(axis=1)
        best, stay = np.divmod(which, len(_ALL))
        return some[np.arange(n) * few + best], np.array(_ALL)[stay]

    def _exchanges(self) -> IntArray:
        """Moves of a prime factor `(m, 2, 4)`, alone and with one of another dimension after it."""
        allowed = {axis.kind: axis.dims for axis in self.architecture.axes}
        moves = []
        for d, size in enumerate(self.problem.sizes):
            places = [INSIDE, MIDDLE, OUTSIDE]
            for kind, place in ((COLUMNS, ON_COLUMNS), ("rows", ON_ROWS)):
                if DIMS[d] in allowed.get(kind, ""):
                    places.append(place)
            for prime in (each for each in divisors(size) if len(divisors(each)) == 2):
                moves += [(d, prime, *pair) for pair in itertools.permutations(places, 2)]
        alone = [(move, (0, 1, 0, 0)) for move in moves]
        after = [(a, b) for a in moves for b in moves if a[0] != b[0] and a[3] == b[2]]
        return np.array(alone + after, np.int64).reshape(-1, 2, 4)

    def _improve(
        self,
        machines: Machines,
        exchanges: IntArray,
        factors: IntArray,
        stay: IntArray,
        which: IntArray,
    ) -> None:
        """Make the best exchange of every machine in `which`, until none makes it better."""
        values = self._best_stay(machines, factors[which], which)[0]
        middle = self.architecture.loop_levels[1]
        while len(which):
            some = _rows(machines, which)
            room = len(which) * len(exchanges) + 1
            near, owner = np.empty((room, PLACES, len(DIMS)), np.int64), np.empty(room, np.int64)
            count = neighbours(
                np.array([*self.problem.sizes, *self.problem.window], np.int64),
                exchanges,
                np.array(self.architecture.keeps()),
                middle,
                some.capacity,
                some.words * some.copies[:, :, None],
                some.fanout[:, middle],
                factors[which],
                near,
                owner,
            )
            near, owner = near[:count], owner[:count]
            costs = self._values(_rows(some, owner), near, stay[which[owner]])
            # The best few of every machine, with all that may stay.
            ranked = np.lexsort((costs, owner))
            first = np.searchsorted(owner[ranked], owner[ranked])
            few = ranked[np.arange(count) - first < _CLOSE]
            costs, kept = self._best_stay(some, near[few], owner[few])
            ranked = np.lexsort((costs, owner[few]))
            own, top = np.unique(owner[few][ranked], return_index=True)
            top = ranked[top]
            better = costs[top] < values[own] * _GAIN
            own, top = own[better], top[better]
            factors[which[own]], stay[which[own]] = near[few[top]], kept[top]
            values, which = costs[top], which[own]

    def _best_stay(
        self, machines: Machines, factors: IntArray, owner: IntArray
    ) -> tuple[FloatArray, IntArray]:
        """Objective of mappings with what had best stay `(n,)`, and that `(n, 2)`."""
        stays, n = np.array(_ALL), len(_ALL)
        found = self._values(
            _rows(machines, np.repeat(owner, n)),
            np.repeat(factors, n, axis=0),
            np.tile(stays, (len(factors), 1)),
        ).reshape(-1, n)
        best = found.argmin(axis=1)
        return found[np.arange(len(factors)), best], stays[best]

    def _filled(self, machines: Machines, rules: IntArray) -> IntArray:
        """Factors of all greedy mappings `(n, s, 5, 7)`."""
        p, middle = self.problem, self.architecture.loop_levels[1]
        found = [divisors(size) for size in p.sizes]
        table = np.zeros((len(DIMS), max(map(len, found))), np.int64)
        for d, each in enumerate(found):
            table[d, : len(each)] = each[::-1]
        factors = np.ones((len(machines.capacity), len(rules), PLACES, len(DIMS)), np.int64)
        fill(
            np.array([*p.sizes, *p.window], np.int64),
            table,
            rules,
            np.array(self.architecture.keeps()),
            middle,
            machines.capacity,
            machines.words * machines.copies[:, :, None],
            machines.fanout[:, middle],
            factors,
        )
        return factors

    def _values(
        self, machines: Machines, factors: IntArray, stay: tuple[int, int] | IntArray
    ) -> FloatArray:
        """Objective of mappings, infinite where one does not fit."""
        mappings = self._mappings(factors, np.reshape(np.asarray(stay), (-1, 2)))
        found = evaluate(machines, mappings, problem_rows([self.problem]), checked=False)
        return np.where(found.feasible, OBJECTIVES[self.objective](found), np.inf)

    def _mappings(self, factors: IntArray, stay: IntArray) -> Mappings:
        """Arrays of mappings from factors per place, and what stays in the middle and outside."""
        _, middle, outer = self.architecture.loop_levels
        shape = (len(factors), len(self.architecture.names), len(DIMS))
        temporal, columns, rows = (np.ones(shape, np.int32) for _ in range(3))
        columns[:, middle], rows[:, middle] = factors[:, ON_COLUMNS], factors[:, ON_ROWS]
        temporal[:, 0], temporal[:, middle] = factors[:, INSIDE], factors[:, MIDDLE]
        temporal[:, outer] = factors[:, OUTSIDE]
        order = np.zeros((len(stay), *shape[1:]), np.uint8)
        order[:] = np.arange(len(DIMS))
        order[:, middle], order[:, outer] = _STAY[stay[:, 0]], _STAY[stay[:, 1]]
        return Mappings(temporal, order, columns, rows, np.array(self.architecture.keeps())[None])


def _only(order: str, allowed: str) -> str:
    return "".join(d for d in order if d in allowed)


def _rows(machines: Machines, which: IntArray) -> Machines:
    """Machines of some rows."""
    return replace(machines, **{f.name: getattr(machines, f.name)[which] for f in fields(Machines)})
