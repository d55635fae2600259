"""Hill climbing over single-parameter moves, started anew at every local optimum."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import (
    Seen,
    finite_or_worst,
    keys,
    mutate,
    ordered_mask,
    pick_genes,
    propose_new,
)
from archgym.hyperparameters import Choice, Range
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


class HillClimbingAgent(Agent):
    """Climbs to better neighbours until there is none, then starts again elsewhere.

    Neighbours differ in one parameter: by one step where it is ordered, by any other value where it
    is a category. At a local optimum the climb starts again from the best design with some
    parameters changed (iterated local search, Lourenço, Martin and Stützle 2003,
    doi:10.1007/0-306-48056-5_11); with `kick=1.0` that is a random design, the classical random
    restart. Neighbours that were proposed before are not proposed again, but the climb remembers
    their scores. Asked for more designs than a neighbourhood has left, it adds designs two or more
    changes away.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        strategy: `first` moves to a better neighbour as soon as it is told, `steepest` evaluates
            the whole neighbourhood and moves to its best.
        kick: share of the parameters that a restart changes in the best design.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        strategy: Annotated[str, Choice(("first", "steepest"))] = "first",
        kick: Annotated[float, Range(0.05, 1.0)] = 0.3,
    ) -> None:
        super().__init__(space, seed)
        self._first = strategy == "first"
        self._kick = max(1, round(kick * len(space)))
        self._ordered = ordered_mask(space)
        self._proposed = Seen()
        self._known: dict[bytes, float] = {}
        self._outstanding: set[bytes] = set()
        self._here = self._better = self._best = self._nowhere()
        self._queue = np.zeros((0, len(space)), np.int64)

    @property
    def batch_size(self) -> int:
        """A part of a neighbourhood."""
        return 8

    def ask(self, n: int) -> IntArray:
        """Proposes the next neighbours, or a new start where there are none left."""
        if not len(self._queue) and not self._outstanding:
            self._advance()
        rows, self._queue = self._queue[:n], self._queue[n:]
        if len(rows) < n:
            rows = np.concatenate([rows, self._further(n - len(rows))])
        rows = propose_new(self.space, rows, self._proposed, self.rng, self._changed)
        self._outstanding.update(keys(rows))
        return rows

    def _changed(self, rows: IntArray, genes: int) -> IntArray:
        """Changes `genes` parameters that have an effect in each row `(n, d)`."""
        mask = pick_genes(self.space, rows, genes, self.rng)
        return mutate(self.space, self._ordered, rows, mask, self.rng)

    def _further(self, n: int) -> IntArray:
        """Returns designs beyond the neighbourhood, or more starts where nothing is known yet."""
        if self._here.score == -np.inf:
            return self._starts(n)
        return self._changed(np.tile(self._here.row, (n, 1)), 2)

    def _starts(self, n: int) -> IntArray:
        """Returns `n` designs from which to climb."""
        if self._best.score == -np.inf or self._kick >= len(self.space):
            return self.space.sample(n, self.rng)
        return self._changed(np.tile(self._best.row, (n, 1)), self._kick)

    def _nowhere(self) -> _Point:
        """Returns the point of a climb that has not begun."""
        return _Point(np.zeros(len(self.space), np.int64), -np.inf)

    def _advance(self) -> None:
        """Climbs while something better is known and nothing is left to try, else starts anew."""
        while self._better.score > self._here.score and not len(self._queue):
            self._move()
        if not len(self._queue):
            self._here = self._better = self._nowhere()
            self._queue = self._starts(1)

    def _move(self) -> None:
        """Steps to the best design told in this climb and queues its new neighbours."""
        self._here = self._better
        neighbours = self.rng.permutation(self.space.neighbours(self._here.row))
        for row, key in zip(neighbours, keys(neighbours), strict=True):
            if self._known.get(key, -np.inf) > self._better.score:
                self._better = _Point(row, self._known[key])
        self._queue = self._open(neighbours)

    def _open(self, rows: IntArray) -> IntArray:
        """Returns those of the rows `(n, d)` that are neither told nor waited for."""
        known, outstanding = self._known, self._outstanding
        mask = [key not in known and key not in outstanding for key in keys(rows)]
        return rows[np.array(mask, np.bool_)]

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Remembers the scores and moves; a better design that was not asked for is taken too."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        scores = finite_or_worst(evaluation).tolist()
        foreign = False
        for row, key, score in zip(rows, keys(rows), scores, strict=True):
            foreign |= key not in self._outstanding
            self._outstanding.discard(key)
            self._known[key] = score
            if score > self._better.score:
                self._better = _Point(row.copy(), score)
            if score > self._best.score:
                self._best = _Point(row.copy(), score)
        if self._first and self._better.score > self._here.score:
            self._move()
        elif foreign:
            self._queue = self._open(self._queue)


class _Point(NamedTuple):
    """A design and its score, `-inf` where there is no design yet."""

    row: IntArray
    score: float
