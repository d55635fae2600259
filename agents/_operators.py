"""Small operators on batches of index rows that the search methods share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray
from archgym.space import BoolArray, DesignSpace, IntArray
from archgym.task import Evaluation

LOCAL = 0.5
"""Share of mutations of ordered parameters that go to a neighbouring value."""

ATTEMPTS = 6
"""How often a proposal that was seen before is made anew before it is let through."""


def finite_or_worst(evaluation: Evaluation) -> FloatArray:
    """Returns the scores `(n,)` with NaN turned into `-inf`."""
    return np.where(np.isnan(evaluation.score), -np.inf, evaluation.score)


class RunningScale:
    """Mean and spread of the scores told so far, the older ones ever less.

    Args:
        momentum: share that a batch leaves in place.
    """

    def __init__(self, momentum: float) -> None:
        self._momentum = momentum
        self._mean = self._square = self._weight = 0.0

    def standardised(self, scores: FloatArray) -> FloatArray:
        """Adds scores `(n,)` and returns them in standard deviations from the mean.

        The result is cut at `LIMIT`, and infeasible designs (`-inf`) get `INFEASIBLE`.
        """
        finite = scores[np.isfinite(scores)]
        if len(finite):
            keep = self._momentum
            self._mean = keep * self._mean + (1.0 - keep) * float(finite.mean())
            self._square = keep * self._square + (1.0 - keep) * float(np.square(finite).mean())
            self._weight = keep * self._weight + (1.0 - keep)
        if self._weight == 0.0:
            return np.zeros(len(scores))
        mean = self._mean / self._weight
        variance = max(self._square / self._weight - mean**2, 1e-12 * (1.0 + mean**2))
        known = np.where(np.isfinite(scores), scores, mean)
        standard = np.clip((known - mean) / np.sqrt(variance), -self.LIMIT, self.LIMIT)
        return np.where(np.isfinite(scores), standard, self.INFEASIBLE)

    LIMIT = 3.0
    INFEASIBLE = -2.0


class Seen:
    """The canonical designs that were proposed or told so far."""

    def __init__(self) -> None:
        self._keys: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, rows: IntArray) -> BoolArray:
        """Adds canonical rows `(n, d)` and returns which of them were new, shape `(n,)`."""
        fresh = np.zeros(len(rows), np.bool_)
        for i, key in enumerate(keys(rows)):
            if key not in self._keys:
                self._keys.add(key)
                fresh[i] = True
        return fresh


def keys(rows: IntArray) -> Iterable[bytes]:
    """Yields one hashable key per row of `(n, d)`."""
    return (row.tobytes() for row in rows)


def ordered_mask(space: DesignSpace) -> BoolArray:
    """Returns `(d,)`: which parameters are ordered."""
    return np.array([parameter.ordered for parameter in space.parameters], np.bool_)


def balanced_sample(space: DesignSpace, n: int, rng: np.random.Generator) -> IntArray:
    """Draws `n` rows in which every value of a parameter occurs equally often, up to one.

    Latin hypercube sampling on finite parameters (McKay, Beckman and Conover 1979,
    doi:10.1080/00401706.1979.10489755).
    """
    ranks = np.argsort(rng.random((n, len(space))), axis=0)
    offsets = rng.integers(0, space.cardinalities)
    return (ranks + offsets) % space.cardinalities


def mutate(
    space: DesignSpace,
    ordered: BoolArray,
    rows: IntArray,
    mask: BoolArray,
    rng: np.random.Generator,
) -> IntArray:
    """Gives the masked genes of rows `(n, d)` another value, where there is one.

    A category gets any other value. An ordered parameter goes one step up or down in a share
    `LOCAL` of the cases (from an end value: inwards), and to any other value otherwise.
    """
    cardinalities = space.cardinalities
    last = cardinalities - 1
    draw = rng.random(rows.shape)
    jump = (rows + 1 + (draw * last).astype(np.int64)) % cardinalities
    choice = rng.random(rows.shape)
    step = rows + np.where(choice < LOCAL / 2, -1, 1)
    step = np.where((step < 0) | (step > last), 2 * rows - step, step)
    moved = np.where(ordered & (choice < LOCAL), step, jump)
    return np.where(mask & (last > 0), moved, rows)


def pick_genes(
    space: DesignSpace, rows: IntArray, count: int, rng: np.random.Generator
) -> BoolArray:
    """Marks in each row `count` genes whose change has an effect, all of them if there are fewer.

    Returns:
        A mask `(n, d)`.
    """
    movable = space.active(rows) & (space.cardinalities > 1)
    draw = np.where(movable, rng.random(rows.shape), 2.0)
    count = min(count, rows.shape[1])
    limit = np.partition(draw, count - 1, axis=1)[:, count - 1 : count]
    return movable & (draw <= limit)


def propose_new(
    space: DesignSpace,
    rows: IntArray,
    seen: Seen,
    rng: np.random.Generator,
    again: Callable[[IntArray, int], npt.NDArray[np.int64]],
) -> IntArray:
    """Returns the canonical rows `(n, d)`, those seen before made anew, and marks them as seen.

    After `ATTEMPTS` a design that was seen before is let through, so that a space that is used up
    never stalls the search.

    Args:
        space: the design space.
        rows: proposals.
        seen: what was proposed or told so far.
        rng: where the last attempt, a uniform sample, is drawn from.
        again: takes canonical rows `(m, d)` that were seen and the number of the attempt, from 1,
            and returns other rows `(m, d)`.
    """
    rows = space.canonical(rows)
    stale = np.flatnonzero(~seen.add(rows))
    for attempt in range(1, ATTEMPTS + 1):
        if len(stale) == 0:
            break
        last = attempt == ATTEMPTS
        redone = space.sample(len(stale), rng) if last else again(rows[stale], attempt)
        rows[stale] = space.canonical(redone)
        stale = stale[~seen.add(rows[stale])]
    return rows
