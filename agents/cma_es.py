"""CMA-ES with margin, joined by categorical distributions, by the library cmaes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import finite_or_worst, ordered_mask
from archgym.hyperparameters import Range
from archgym.space import BoolArray, DesignSpace, IntArray
from archgym.task import Evaluation

if TYPE_CHECKING:
    from cmaes import CatCMAwM

FOCUS = 0.5
"""Probability that a search which starts from a design gives the design's own categories."""


class Encoding:
    """Index rows as CatCMAwM's solutions: integers, one-hot categories; single values left out.

    Args:
        space: the design space.

    Attributes:
        integers: positions of the ordered parameters with more than two values.
        categories: positions of the other parameters with more than one.
    """

    def __init__(self, space: DesignSpace) -> None:
        integer = ordered_mask(space) & (space.cardinalities > 2)
        self.integers: IntArray = np.flatnonzero(integer)
        self.categories: IntArray = np.flatnonzero(~integer & (space.cardinalities > 1))
        self.integer_counts = space.cardinalities[self.integers]
        self.category_counts = space.cardinalities[self.categories]
        self._d = len(space)

    def __len__(self) -> int:
        return len(self.integers) + len(self.categories)

    def to_row(self, solution: CatCMAwM.Solution) -> IntArray:
        """Decodes a solution into an index row `(d,)`."""
        row = np.zeros(self._d, np.int64)
        if len(self.integers):
            row[self.integers] = np.rint(solution.z)
        if len(self.categories):
            row[self.categories] = np.argmax(solution.c, axis=1)
        return row

    def to_solution(self, row: IntArray) -> CatCMAwM.Solution:
        """Encodes an index row `(d,)`; the Gaussian part lies in the middle of its cell."""
        from cmaes import CatCMAwM

        z = row[self.integers].astype(np.float64) if len(self.integers) else None
        return CatCMAwM.Solution(None, z, self.one_hot(row), z)

    def one_hot(self, row: IntArray) -> BoolArray | None:
        """Returns the categories of a row as `(categories, most values)`, None without any."""
        if not len(self.categories):
            return None
        values = np.arange(int(self.category_counts.max()))
        hot: BoolArray = row[self.categories][:, None] == values
        return hot


class CMAESAgent(Agent):
    """A Gaussian over ordered parameters and a categorical per category, adapted together.

    CatCMA with margin (Hamano et al. 2025, arXiv:2504.07884; the margin: Hamano et al. 2022,
    doi:10.1145/3512290.3528827; CMA-ES: Hansen and Ostermeier 2001, doi:10.1162/106365601750190398)
    of the library `cmaes`. The margin keeps every value's probability above a least one, so that no
    parameter is stuck on one value. Scores enter as ranks. A draw that was evaluated before joins
    its generation with the score that is known and is not proposed again; once nearly all draws are
    known, the search starts anew, in turn from the best design and from the whole space.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        population: designs per generation, as a multiple of `4 + 3 * ln(number of parameters)`.
        spread: standard deviation of a fresh Gaussian, as a share of a parameter's range.
        patience: generations in a row without a better design after which the search starts anew.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        population: Annotated[float, Range(0.5, 16.0, log=True)] = 1.0,
        spread: Annotated[float, Range(0.02, 1.0, log=True)] = 0.25,
        patience: Annotated[int, Range(2, 200, log=True)] = 15,
    ) -> None:
        super().__init__(space, seed)
        self._encoding = Encoding(space)
        size = population * (4 + 3 * math.log(max(1, len(self._encoding))))
        self._size = max(4, round(size))
        self._spread = spread
        self._patience = patience
        self._known: dict[bytes, float] = {}
        self._asked: dict[bytes, Any] = {}
        self._generation: list[tuple[Any, float]] = []
        self._best: tuple[IntArray, float] | None = None
        self._reached = -np.inf
        self._idle = 0
        self._restarts = 0
        self._optimiser: CatCMAwM | None = None

    @property
    def batch_size(self) -> int:
        """One generation."""
        return self._size

    def _start(self) -> None:
        """Begins a search, from the best design if there is one and it is its turn."""
        from cmaes import CatCMAwM

        encoding = self._encoding
        start = self._best[0] if self._best is not None and self._restarts % 2 == 0 else None
        last = encoding.integer_counts - 1.0
        mean = last / 2.0 if start is None else start[encoding.integers].astype(np.float64)
        self._optimiser = CatCMAwM(
            z_space=[list(range(count)) for count in encoding.integer_counts] or None,
            c_space=encoding.category_counts.tolist() or None,
            population_size=self._size,
            mean=mean if len(last) else None,
            cov=np.diag((self._spread * last) ** 2) if len(last) else None,
            cat_param=self._categories(start),
            seed=int(self.rng.integers(2**31)),
        )
        self._generation, self._asked = [], {}
        self._reached, self._idle = -np.inf, 0
        self._restarts += 1

    def _categories(self, start: IntArray | None) -> Any:
        """Returns probabilities `(categories, most values)` for a search from a design."""
        hot = self._encoding.one_hot(
            np.zeros(len(self.space), np.int64) if start is None else start
        )
        if hot is None:
            return None
        counts = self._encoding.category_counts[:, None]
        uniform = (np.arange(hot.shape[1]) < counts) / counts
        return uniform if start is None else (1.0 - FOCUS) * uniform + FOCUS * hot

    def ask(self, n: int) -> IntArray:
        """Draws `n` designs that were not evaluated yet, as far as the search still finds any."""
        if not len(self._encoding):
            return np.zeros((n, len(self.space)), np.int64)
        return np.array([self._suggest() for _ in range(n)], np.int64).reshape(n, len(self.space))

    def _suggest(self) -> IntArray:
        for _ in range(8 * self._size):
            if self._optimiser is None:
                self._start()
            assert self._optimiser is not None
            solution = self._optimiser.ask()
            row: IntArray = self.space.canonical(self._encoding.to_row(solution))[0]
            key = row.tobytes()
            if key in self._known:
                self._collect(solution, self._known[key])
            elif key not in self._asked:
                self._asked[key] = solution
                return row
        # Nothing new within eight generations: start anew, and let a random design through.
        self._optimiser = None
        anywhere: IntArray = self.space.canonical(self.space.sample(1, self.rng))[0]
        return anywhere

    def _collect(self, solution: Any, score: float) -> None:
        """Adds a design to the generation; a full one adapts the distributions."""
        assert self._optimiser is not None
        self._generation.append((solution, score))
        if len(self._generation) < self._size:
            return
        scores = np.array([score for _, score in self._generation])
        ranks = np.unique(-scores, return_inverse=True)[1]
        self._optimiser.tell(
            [(each, float(rank)) for (each, _), rank in zip(self._generation, ranks, strict=True)]
        )
        self._generation = []
        self._idle = 0 if scores.max() > self._reached else self._idle + 1
        self._reached = max(self._reached, float(scores.max()))
        if self._idle >= self._patience:
            self._optimiser = None

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Adds designs to the generation; a better one from elsewhere starts a search from it."""
        rows = self.space.canonical(designs)
        for row, score in zip(rows, finite_or_worst(evaluation).tolist(), strict=True):
            key = row.tobytes()
            solution = self._asked.pop(key, None)
            if key in self._known:
                continue
            self._known[key] = score
            better = score > (-np.inf if self._best is None else self._best[1])
            if better:
                self._best = (row.copy(), score)
            if solution is not None and self._optimiser is not None:
                self._collect(solution, score)
            elif better:
                self._optimiser, self._restarts = None, 0
