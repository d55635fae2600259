"""The accesses of a mapping once more, by walking the loops; shares nothing with the kernel.

Every instance of every level holds a Python set of the tensor elements of its tile. Time goes
through all temporal iterations; whenever a tile changes, what is new is counted at the instance,
and what is new to all instances below one parent together at the parent. Partial sums go the other
way, and are fetched again if the parent was handed some before. Instances that differ along a
window are looked at together: they keep their tiles while all of them have nothing to do, else one
without anything to do forgets its own. For mappings of up to some thousand iterations.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from archgym.cost_models.accelerator.loopnest.mapping import Mapping
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, Problem

Element = tuple[int, ...]
Counts = dict[tuple[int, str, str], int]


class Walk:
    """The loops of a mapping, outermost first, as (level, dimension, bound, step, spatial)."""

    def __init__(self, problem: Problem, mapping: Mapping) -> None:
        self.problem = problem
        self.loops: list[tuple[int, str, int, int, bool]] = []
        step = dict.fromkeys(DIMS, 1)
        for level, here in enumerate(mapping.levels):
            for part in (here.spatial_x, here.spatial_y):
                for d in DIMS:
                    bound = part.get(d, 1)
                    self.loops.append((level, d, bound, step[d], True))
                    step[d] *= bound
            for d in [*here.order, *(d for d in DIMS if d not in here.order)]:
                bound = here.temporal.get(d, 1)
                self.loops.append((level, d, bound, step[d], False))
                step[d] *= bound
        self.loops.reverse()

    def element(self, tensor: str, point: dict[str, int]) -> Element:
        """The tensor element that an iteration touches."""
        if tensor == "weights":
            return tuple(point[d] for d in "KCRS")
        if tensor == "outputs":
            return tuple(point[d] for d in "NKPQ")
        at = self.problem
        return (
            point["N"],
            point["C"],
            at.stride_h * point["P"] + at.dilation_h * point["R"],
            at.stride_w * point["Q"] + at.dilation_w * point["S"],
        )

    def points(self, fixed: dict[int, int]) -> Iterator[dict[str, int]]:
        """All iterations within the bounds in which the loops of `fixed` are at those indices."""
        ranges = [
            [fixed[i]] if i in fixed else range(bound)
            for i, (_, _, bound, _, _) in enumerate(self.loops)
        ]
        for indices in itertools.product(*ranges):
            point = dict.fromkeys(DIMS, 0)
            for index, (_, d, _, step, _) in zip(indices, self.loops, strict=True):
                point[d] += index * step
            if all(point[d] < bound for d, bound in zip(DIMS, self.problem.sizes, strict=True)):
                yield point

    def places(self, spatial: bool, above: int) -> Iterator[dict[int, int]]:
        """Indices of the spatial or temporal loops of levels above one, in order of time."""
        chosen = [i for i, loop in enumerate(self.loops) if loop[4] == spatial and loop[0] > above]
        for indices in itertools.product(*(range(self.loops[i][2]) for i in chosen)):
            yield dict(zip(chosen, indices, strict=True))

    def tile(self, tensor: str, *fixed: dict[int, int]) -> set[Element]:
        """Elements of an instance's tile at a time."""
        at = {i: index for part in fixed for i, index in part.items()}
        return {self.element(tensor, point) for point in self.points(at)}


def count(problem: Problem, mapping: Mapping, *, first: bool = False) -> Counts:
    """Accesses of all instances by (level, tensor, `reads` | `fills` | `updates` | `drains`).

    Args:
        problem: A small operator.
        mapping: A mapping of it; iterations from the bounds on are left out.
        first: Whether to count at the first instance of each level alone.
    """
    walk = Walk(problem, mapping)
    found: Counts = {}
    for tensor in TENSORS:
        child = -1
        for parent, here in enumerate(mapping.levels):
            if tensor not in here.bypass:
                _exchange(walk, tensor, child, parent, first, found)
                child = parent
    return found


def cycles(problem: Problem, mapping: Mapping) -> int:
    """Temporal iterations in which a MAC unit has something to do."""
    walk = Walk(problem, mapping)
    steps = walk.places(False, -1)
    return sum(1 for time in steps if any(True for _ in walk.points(time)))


def _groups(walk: Walk, tensor: str, child: int, parent: int) -> list[list[dict[int, int]]]:
    """Children of one parent; of inputs, those that differ along a window only are together."""
    alike = "PQRS" if tensor == "inputs" else ""
    groups: dict[Element, dict[Element, dict[int, int]]] = {}
    for everywhere in walk.places(True, child):
        place = {i: index for i, index in everywhere.items() if walk.loops[i][0] <= parent}
        key = tuple(index for i, index in place.items() if walk.loops[i][1] not in alike)
        groups.setdefault(key, {})[tuple(place.values())] = place
    return [list(group.values()) for group in groups.values()]


def _exchange(walk: Walk, tensor: str, child: int, parent: int, first: bool, found: Counts) -> None:
    """Count what passes between a level, -1 the MAC units, and the next outer one that holds."""

    def add(level: int, what: str, n: int) -> None:
        if level >= 0:
            found[level, tensor, what] = found.get((level, tensor, what), 0) + n

    groups = _groups(walk, tensor, child, parent)
    for outer in itertools.islice(walk.places(True, parent), 1 if first else None):
        before: list[list[set[Element]]] = [[set() for _ in group] for group in groups]
        touched: set[Element] = set()
        for time in walk.places(False, child):
            moved: set[Element] = set()
            for g, group in enumerate(groups):
                tiles = [walk.tile(tensor, time, outer, place) for place in group]
                if not any(tiles):
                    continue
                old, before[g] = before[g], tiles
                new = [tile - had for tile, had in zip(tiles, old, strict=True)]
                if tensor == "outputs":
                    # A sum is handed in whole, as soon as its tile is another one.
                    new = [tile if child < 0 or tile != old[0] else set() for tile in tiles]
                    moved |= new[0]
                elif child < 0:
                    moved |= set().union(*tiles)
                else:
                    moved |= set().union(*tiles) - set().union(*old)
                if not first or g == 0:
                    here = new[:1] if first else new
                    for what in ("reads", "drains") if tensor == "outputs" else ("fills",):
                        add(child, what, sum(map(len, here)))
                    if first and tensor == "outputs":
                        add(child, "fills", len(new[0] & touched))
            if tensor != "outputs":
                add(parent, "reads", len(moved))
                continue
            add(parent, "updates", len(moved))
            add(parent, "reads", len(moved & touched))
            if not first:
                add(child, "fills", len(moved & touched))
            touched |= moved
