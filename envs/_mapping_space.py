"""The space of mappings: factors, orders and bypasses as parameters, and back.

Every dimension has one parameter, its ordered factorisations over the places where its loops can
stand: a factor per level with loops and per axis of an array. So factors always multiply to the
bound, or cover it where they are imperfect, and every mapping is one design. A place that no
mapping could fill so far is left out (more parts than an axis has, more of one dimension than a
memory holds).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    TENSORS,
    LevelMapping,
    Machines,
    Mapping,
    Mappings,
    Problem,
    evaluate,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.architectures import COLUMNS, Architecture, Axis
from archgym.cost_models.accelerator.loopnest.arrays import AnyInt
from archgym.cost_models.accelerator.loopnest.layouts import divisors
from archgym.cost_models.accelerator.loopnest.orders import has_window, pruned_orders
from archgym.space import BoolArray, DesignSpace, IntArray, Parameter, Value

# Dimensions in the order in which a level's loops stand where nothing is said: weights stay.
_USUAL = "PQNCRSK"
# The order in which levels take dimensions in the default design.
_FILLED = "SRCKQPN"


@dataclass(frozen=True)
class Place:
    """Where factors of dimensions can stand: temporal loops of a level, or an axis."""

    level: int
    label: str
    axis: Axis | None = None


def places_of(architecture: Architecture) -> tuple[Place, ...]:
    """Places from the innermost outwards; the arrays below a level come before its loops."""
    found = []
    for level, name in enumerate(architecture.names):
        for axis in architecture.axes:
            if axis.level == name:
                found.append(Place(level, f"{name}.{axis.kind}", axis))
        if name in architecture.loops:
            found.append(Place(level, name))
    return tuple(found)


def factorisations(size: int, most: list[int]) -> list[tuple[int, ...]]:
    """Ways to write a size as an ordered product with factors of at most `most`."""
    if len(most) == 1:
        return [(size,)] if size <= most[0] else []
    return [
        (each, *rest)
        for each in divisors(size)
        if each <= most[0]
        for rest in factorisations(size // each, most[1:])
    ]


def coverings(size: int, most: list[int]) -> list[tuple[int, ...]]:
    """Ways to cover a size by an ordered product with factors of at most `most`.

    Of the factors of a place that leave as many parts to those outside, only the smallest, which
    makes the parts as even as can be.
    """
    if len(most) == 1:
        return [(size,)] if size <= most[0] else []
    found = []
    outside = None
    for each in range(1, min(size, most[0]) + 1):
        parts = -(-size // each)
        if parts != outside:
            found += [(each, *rest) for rest in coverings(parts, most[1:])]
        outside = parts
    return found


class MappingSpace:
    """Mappings of a problem on an architecture as index rows.

    Args:
        architecture: What maps where.
        problem: The operator.
        orders: `all` permutations of a level's loops, or the `pruned` ones that hold the optimum.
        free_bypass: Whether what is optional may be bypassed.
        factors: `perfect` or `imperfect`, see `loopnest.Mapping.check`.

    Attributes:
        space: The design space.
        default: A greedy mapping: arrays, then the levels from the innermost take as much of one
            dimension after the other as fits, the outermost has the rest; weights stay.
    """

    def __init__(
        self,
        architecture: Architecture,
        problem: Problem,
        orders: str,
        free_bypass: bool,
        factors: str = "perfect",
    ) -> None:
        self.architecture, self.problem, self.factors = architecture, problem, factors
        self.places = places_of(architecture)
        self._dims = [d for d, size in enumerate(problem.sizes) if size > 1]
        self._factors = {d: self._factors_of(d) for d in self._dims}
        self._known = {d: set(map(tuple, each.tolist())) for d, each in self._factors.items()}
        self._order_levels = architecture.loop_levels[1:]
        self._orders = self._orders_of(orders)
        self._optional = architecture.optional if free_bypass else ()
        self.space = DesignSpace(self._parameters())
        self.default: Dict[str, Value] = self._default()

    def _factors_of(self, d: int) -> AnyInt:
        """Factorisations of a dimension `(n, places)`."""
        size = self.problem.sizes[d]
        most = [size if p.axis is None or DIMS[d] in p.axis.dims else 1 for p in self.places]
        for i, place in enumerate(self.places):
            if place.axis is not None:
                most[i] = min(most[i], self.architecture.fanout(place.axis))
        ways = factorisations if self.factors == "perfect" else coverings
        found = np.array(ways(size, most), np.int32).reshape(-1, len(self.places))
        return found[self._fits_alone(d, found)]

    def _fits_alone(self, d: int, found: AnyInt) -> BoolArray:
        """Whether memories could hold the tiles if all other dimensions were 1."""
        fits = np.ones(len(found), np.bool_)
        tile = np.ones(len(found), np.int64)
        levels = self.architecture.hierarchy.levels
        keeps = self.architecture.keeps(self.architecture.optional)
        for i, place in enumerate(self.places):
            tile = np.minimum(tile * found[:, i], self.problem.sizes[d])
            if place.axis is not None:
                continue
            upto = self._upto(place.level)
            for level in range(place.level, upto):
                words = np.zeros(len(found))
                for t, tensor in enumerate(TENSORS):
                    if keeps[level][t]:
                        elements = tile if _moves(d, tensor) else 1
                        bits = self.architecture.hierarchy.bits[t] / levels[level].word_bits
                        words = words + elements * bits
                copies = 2 if levels[level].buffering == "double" else 1
                fits &= words * copies <= levels[level].capacity_words
        return fits

    def _upto(self, level: int) -> int:
        """The next level that has loops or an array."""
        others = [p.level for p in self.places if p.level > level]
        return min(others, default=len(self.architecture.names))

    def _orders_of(self, orders: str) -> AnyInt:
        """Orders of a level's loops `(n, 7)`."""
        big = [DIMS.index(d) for d in _USUAL if DIMS.index(d) in self._dims]
        if orders == "pruned":
            return pruned_orders(frozenset(big), has_window(self.problem))
        rest = [d for d in range(len(DIMS)) if d not in big]
        return np.array([(*each, *rest) for each in itertools.permutations(big)], np.uint8)

    def _order_text(self, order: AnyInt) -> str:
        return "".join(DIMS[d] for d in order if d in self._dims) or "-"

    def _factor_text(self, factors: AnyInt) -> str:
        pairs = zip(self.places, factors, strict=True)
        return ",".join(f"{place.label}:{factor}" for place, factor in pairs if factor > 1)

    def _parameters(self) -> list[Parameter]:
        found = []
        for d in self._dims:
            size = self.problem.sizes[d]
            values = tuple(self._factor_text(each) for each in self._factors[d])
            words = "factors of" if self.factors == "perfect" else "factors that cover"
            doc = f"{words} {size} over levels and axes, 1 where none is named"
            found.append(Parameter(DIMS[d], values, doc, subsystem="tiling"))
        for level in self._order_levels:
            name = self.architecture.names[level]
            values = tuple(self._order_text(each) for each in self._orders)
            doc = "loops of the level, the innermost first"
            found.append(Parameter(f"{name}.order", values, doc, subsystem="order"))
        for name, tensor in self._optional:
            doc = f"whether {name} holds {tensor}, or they pass by"
            found.append(Parameter(f"{name}.{tensor}", ("hold", "bypass"), doc, subsystem="bypass"))
        return found

    def _default(self) -> dict[str, Value]:
        """A greedy mapping: arrays, then every level from the innermost take what still fits."""
        factors = {d: [1] * len(self.places) for d in self._dims}
        for d in self._dims:
            factors[d][-1] = self.problem.sizes[d]
        axes = [i for i, place in enumerate(self.places) if place.axis is not None]
        levels = [i for i, place in enumerate(self.places[:-1]) if place.axis is None]
        for i in (*axes, *levels):
            axis = self.places[i].axis
            for name in axis.dims if axis else _FILLED:
                d = DIMS.index(name)
                if d in self._dims:
                    self._fill(factors, d, i)
        return self._named(factors)

    def _fill(self, factors: dict[int, list[int]], d: int, i: int) -> None:
        """Move as much of a dimension from the outermost level to a place as fits."""
        whole = factors[d][-1]
        for each in reversed(divisors(whole)):
            factors[d][i], factors[d][-1] = each, whole // each
            if tuple(factors[d]) in self._known[d] and self._fits(factors):
                return

    def _fits(self, factors: dict[int, list[int]]) -> bool:
        mappings = self.mappings(self.space.encode(self._named(factors))[None])
        machines = Machines.of([self.architecture.hierarchy])
        rows = problem_rows([self.problem])
        found = evaluate(machines, mappings, rows, factors=self.factors, checked=False)
        return bool(found.feasible[0]) and not any(wide[0] for wide in self.wide(mappings).values())

    def _named(self, factors: dict[int, list[int]]) -> dict[str, Value]:
        """The design of some factors; everything else has its first value."""
        design = {p.name: p.values[0] for p in self.space.parameters}
        return design | {DIMS[d]: self._factor_text(np.array(each)) for d, each in factors.items()}

    def mappings(self, designs: IntArray) -> Mappings:
        """Arrays of the mappings of index rows `(n, d)`."""
        n, depth = len(designs), len(self.architecture.names)
        parts = {kind: np.ones((n, depth, len(DIMS)), np.int32) for kind in ("", COLUMNS, "rows")}
        for j, d in enumerate(self._dims):
            chosen = self._factors[d][designs[:, j]]
            for i, place in enumerate(self.places):
                kind = place.axis.kind if place.axis else ""
                parts[kind][:, place.level, d] = chosen[:, i]
        order = np.empty((n, depth, len(DIMS)), np.uint8)
        order[:] = np.arange(len(DIMS))
        column = len(self._dims)
        for level in self._order_levels:
            order[:, level] = self._orders[designs[:, column]]
            column += 1
        keep = np.repeat(np.array(self.architecture.keeps())[None], n, axis=0)
        for name, tensor in self._optional:
            held = designs[:, column] == 0
            keep[:, self.architecture.level(name), TENSORS.index(tensor)] &= held
            column += 1
        return Mappings(parts[""], order, parts[COLUMNS], parts["rows"], keep)

    def wide(self, mappings: Mappings) -> dict[str, BoolArray]:
        """Per axis, which mappings `(n,)` lay out more parts than there are."""
        found = {}
        for place in self.places:
            if place.axis is not None:
                kind = mappings.spatial_x if place.axis.kind == COLUMNS else mappings.spatial_y
                used = kind[:, place.level].prod(axis=1, dtype=np.int64)
                room = self.architecture.fanout(place.axis)
                found[f"{place.label}: more than {room} parts"] = used > room
        return found

    def mapping(self, row: IntArray) -> Mapping:
        """The mapping of an index row `(d,)`."""
        return self.mappings(self.space.validate(row)).at(0)

    def design(self, mapping: Mapping) -> dict[str, Value]:
        """The design of a mapping; orders count as far as loops have several iterations.

        Raises:
            ValueError: If the mapping is not one of the problem on the architecture.
        """
        mapping.check(self.architecture.hierarchy, self.problem, self.factors)
        design: dict[str, Value] = {}
        for d in self._dims:
            factors = np.array([self._factor(mapping, place, DIMS[d]) for place in self.places])
            if factors.prod() != np.prod(mapping.factors(DIMS[d])):
                raise ValueError(
                    f"mapping: {DIMS[d]} stands where {self.architecture.name} has no loops of it"
                )
            if tuple(factors) not in self._known[d]:
                raise ValueError(
                    f"mapping: factors {self._factor_text(factors)!r} of {DIMS[d]} are not in the "
                    "space: no memory holds that many, or smaller ones leave as many parts"
                )
            design[DIMS[d]] = self._factor_text(factors)
        for level in self._order_levels:
            design[f"{self.architecture.names[level]}.order"] = self._order(mapping.levels[level])
        for name, tensor in self._optional:
            here = mapping.levels[self.architecture.level(name)]
            design[f"{name}.{tensor}"] = "bypass" if tensor in here.bypass else "hold"
        return design

    def _factor(self, mapping: Mapping, place: Place, dim: str) -> int:
        here = mapping.levels[place.level]
        if place.axis is None:
            return int(here.temporal.get(dim, 1))
        part = here.spatial_x if place.axis.kind == COLUMNS else here.spatial_y
        return int(part.get(dim, 1))

    def _order(self, here: LevelMapping) -> str:
        """The first of the space's orders in which loops of several iterations stand as here."""

        def shown(order: tuple[int, ...]) -> list[int]:
            return [d for d in order if here.temporal.get(DIMS[d], 1) > 1]

        for order in self._orders:
            if shown(tuple(order)) == shown(here.full_order):
                return self._order_text(order)
        raise ValueError(f"mapping: order {here.order!r} is not among the pruned ones")


def _moves(d: int, tensor: str) -> bool:
    """Whether a dimension moves a tensor; of inputs, one that surely takes room."""
    moving = {"weights": "KCRS", "inputs": "NCPQ", "outputs": "NKPQ"}[tensor]
    return DIMS[d] in moving
