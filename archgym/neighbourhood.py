"""The neighbourhood of a design space as a graph: plateaus, local optima, steps to the optimum.

Two designs are neighbours if one parameter differs between index rows of theirs: an ordered
parameter by one step, a category by any. A parameter that becomes active may take any value, so the
relation is symmetric.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.csgraph

from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray

LARGEST = 4_000_000
"""Index rows up to which the graph of a space is built."""


def edges_of(space: DesignSpace, design: npt.NDArray[np.int64], j: int) -> IntArray:
    """Returns the neighbours along one parameter, `(e, 2)`, each pair once.

    Args:
        space: the design space.
        design: which design each index row stands for `(size,)`, -1 for rows that are left out.
        j: the parameter's column.
    """
    grid = design.reshape([int(c) for c in space.cardinalities])
    codes = []
    count = int(design.max()) + 1
    for low, high in _steps(space, j):
        one, other = grid.take(low, axis=j).ravel(), grid.take(high, axis=j).ravel()
        keep = (one >= 0) & (other >= 0) & (one != other)
        one, other = one[keep], other[keep]
        codes.append(np.minimum(one, other) * count + np.maximum(one, other))
    unique = np.unique(np.concatenate(codes)) if codes else np.zeros(0, np.int64)
    return np.stack(np.divmod(unique, max(count, 1)), axis=1)


def _steps(space: DesignSpace, j: int) -> Iterator[tuple[int, int]]:
    values = range(int(space.cardinalities[j]))
    if space.parameters[j].ordered:
        yield from itertools.pairwise(values)
    else:
        yield from ((low, high) for low in values for high in values[low + 1 :])


@dataclass(frozen=True)
class Plateaus:
    """Connected sets of neighbours with equal score, single designs included.

    Attributes:
        neighbour_pairs: number of pairs of neighbours.
        equal_share: share of them with equal score.
        count: number of plateaus.
        local_optima: number of plateaus without a better neighbour, the optima included.
        local_optimum_designs: number of designs on these.
        optima: number of plateaus with the best score.
        largest_optimum: number of designs on the largest of these.
        largest: number of designs on the largest plateau of all.
    """

    neighbour_pairs: int
    equal_share: float
    count: int
    local_optima: int
    local_optimum_designs: int
    optima: int
    largest_optimum: int
    largest: int


def plateaus(edges: IntArray, score: FloatArray) -> Plateaus:
    """Finds the plateaus of a graph `(e, 2)` whose nodes have scores `(n,)`."""
    count = len(score)
    low, high = score[edges[:, 0]], score[edges[:, 1]]
    equal = low == high
    level = edges[equal]
    graph = scipy.sparse.coo_array(
        (np.ones(len(level), np.int8), (level[:, 0], level[:, 1])), shape=(count, count)
    )
    number, member = scipy.sparse.csgraph.connected_components(graph, directed=False)
    size = np.bincount(member, minlength=number)
    climbs = np.zeros(number, np.bool_)
    climbs[member[edges[low < high, 0]]] = True
    climbs[member[edges[high < low, 1]]] = True
    best = np.unique(member[score == score.max()])
    return Plateaus(
        neighbour_pairs=len(edges),
        equal_share=float(equal.mean()) if len(edges) else 0.0,
        count=int(number),
        local_optima=int((~climbs).sum()),
        local_optimum_designs=int(size[~climbs].sum()),
        optima=len(best),
        largest_optimum=int(size[best].max()),
        largest=int(size.max()),
    )


def steps_to(edges: IntArray, targets: IntArray, count: int) -> IntArray:
    """Returns the fewest steps from each of `count` nodes to a target, -1 where there is no way."""
    both = np.concatenate((edges, edges[:, ::-1]))
    graph = scipy.sparse.csr_array(
        (np.ones(len(both), np.float32), (both[:, 0], both[:, 1])), shape=(count, count)
    )
    steps = np.full(count, -1, np.int64)
    reached = np.zeros(count, np.float32)
    reached[targets] = 1.0
    steps[targets] = 0
    for step in range(1, count + 1):
        reached = np.asarray(graph @ reached)
        new = (reached > 0) & (steps < 0)
        if not new.any():
            break
        steps[new] = step
        reached = new.astype(np.float32)
    return steps
