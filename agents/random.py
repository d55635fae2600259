"""Uniform random search without replacement, the baseline that every method must beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from archgym.agent import Agent
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


class RandomAgent(Agent):
    """Draws designs uniformly and never proposes the same canonical design twice.

    Once a space is used up, it proposes designs again.
    """

    multi_objective: ClassVar[bool] = True

    def __init__(self, space: DesignSpace, seed: int | np.random.Generator = 0) -> None:
        super().__init__(space, seed)
        self._seen: set[bytes] = set()

    @property
    def batch_size(self) -> int:
        """Large, since nothing is learned between batches."""
        return 64

    def ask(self, n: int) -> IntArray:
        """Draws `n` designs, new ones as long as there are any."""
        chosen: list[IntArray] = []
        while len(chosen) < n:
            if len(self._seen) >= self.space.canonical_size:
                self._seen.clear()
            for row in self.space.canonical(self.space.sample(n - len(chosen), self.rng)):
                key = row.tobytes()
                if key not in self._seen:
                    self._seen.add(key)
                    chosen.append(row)
        return np.array(chosen, np.int64).reshape(n, len(self.space))

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Marks designs as seen, so that a warm start is not proposed again."""
        self._seen.update(row.tobytes() for row in self.space.canonical(designs))
