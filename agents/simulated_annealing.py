"""Simulated annealing: several chains that cool down, and are heated again when they are stuck."""

from __future__ import annotations

from typing import Annotated

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

START = -1
"""Chain number of a random design that may become the start of any chain."""


class SimulatedAnnealingAgent(Agent):
    """Chains of small changes: better designs are always accepted, worse ones ever less often.

    A worse neighbour is accepted with probability `exp(difference / temperature)` (Metropolis rule;
    Kirkpatrick, Gelatt and Vecchi 1983, doi:10.1126/science.220.4598.671). A chain's temperature
    falls by a constant factor with each of its evaluations and needs no budget: a chain that has
    not improved on its own best for a while is moved and heated again. Temperatures are in
    units of the mean score difference between neighbours, learned on the way, so one default fits
    tasks of any scale. A neighbour differs in one parameter, and in more of them where all drawn
    neighbours were proposed before.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        chains: number of chains that take turns.
        temperature: at the start, in mean score differences between neighbours.
        cooling: factor on a chain's temperature per evaluated neighbour.
        reheat: evaluations of a chain without a new best of its own after which it is heated.
        restart: where a heated chain goes on: the `best` design of all chains, or a `random` one.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        chains: Annotated[int, Range(1, 64, log=True)] = 2,
        temperature: Annotated[float, Range(0.001, 10.0, log=True)] = 0.5,
        cooling: Annotated[float, Range(0.8, 0.9999)] = 0.97,
        reheat: Annotated[int, Range(5, 1000, log=True)] = 60,
        restart: Annotated[str, Choice(("best", "random"))] = "best",
    ) -> None:
        super().__init__(space, seed)
        self._hot = temperature
        self._cooling = cooling
        self._reheat = reheat
        self._restart = restart
        self._ordered = ordered_mask(space)
        self._rows = np.zeros((chains, len(space)), np.int64)
        self._scores = np.full(chains, -np.inf)
        self._placed = np.zeros(chains, np.bool_)
        self._chain_best = np.full(chains, -np.inf)
        self._temperature = np.full(chains, temperature)
        self._stuck = np.zeros(chains, np.int64)
        self._best_row = np.zeros(len(space), np.int64)
        self._best_score = -np.inf
        self._difference_sum = 0.0
        self._differences = 0
        self._turn = 0
        self._asked: dict[bytes, int] = {}
        self._proposed = Seen()
        self._told = Seen()

    @property
    def batch_size(self) -> int:
        """Four neighbours per chain."""
        return 4 * len(self._rows)

    def ask(self, n: int) -> IntArray:
        """Proposes neighbours of the chains' designs, in turn; random designs for new chains."""
        chains = (self._turn + np.arange(n)) % len(self._rows)
        self._turn = (self._turn + n) % len(self._rows)
        placed = self._placed[chains]
        rows = np.where(placed[:, None], self._neighbours(self._rows[chains], 1), 0)
        if not placed.all():
            rows[~placed] = self.space.sample(int((~placed).sum()), self.rng)
        rows = propose_new(self.space, rows, self._proposed, self.rng, self._neighbours)
        self._asked.update(zip(keys(rows), np.where(placed, chains, START).tolist(), strict=True))
        return rows

    def _neighbours(self, rows: IntArray, genes: int) -> IntArray:
        """Changes `genes` parameters that have an effect in each row `(n, d)`."""
        mask = pick_genes(self.space, rows, genes, self.rng)
        return mutate(self.space, self._ordered, rows, mask, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Moves the chains; designs that no chain asked for start chains or replace worse ones."""
        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        scores = finite_or_worst(evaluation)
        draws = self.rng.random(len(rows))
        for i, key in enumerate(keys(rows)):
            chain = self._asked.pop(key, START)
            if not fresh[i]:
                continue
            score = float(scores[i])
            if score > self._best_score:
                self._best_row, self._best_score = rows[i].copy(), score
            if chain == START:
                self._place(rows[i], score)
            else:
                self._step(chain, rows[i], score, float(draws[i]))

    def _place(self, row: IntArray, score: float) -> None:
        """Starts a chain that has no design yet, or replaces the worst chain's if it is better."""
        free = np.flatnonzero(~self._placed)
        chain = int(free[0]) if len(free) else int(np.argmin(self._scores))
        if len(free) or score > self._scores[chain]:
            self._set(chain, row, score)

    def _set(self, chain: int, row: IntArray, score: float) -> None:
        """Puts a hot chain on a design."""
        self._placed[chain] = True
        self._rows[chain] = row
        self._scores[chain] = self._chain_best[chain] = score
        self._temperature[chain] = self._hot
        self._stuck[chain] = 0

    def _step(self, chain: int, row: IntArray, score: float, draw: float) -> None:
        """Applies the Metropolis rule to one neighbour, then cools or reheats the chain."""
        difference = score - float(self._scores[chain]) if score > -np.inf else -np.inf
        if np.isfinite(difference) and difference != 0.0:
            self._difference_sum += abs(difference)
            self._differences += 1
        # An infeasible chain (-inf) takes any design: the difference is +inf or -inf - -inf.
        lost = score == self._scores[chain] == -np.inf
        scale = self._temperature[chain] * self._difference_sum / max(self._differences, 1)
        if lost or difference >= 0 or draw < np.exp(difference / max(scale, 1e-300)):
            self._rows[chain], self._scores[chain] = row, score
        self._temperature[chain] *= self._cooling
        self._stuck[chain] += 1
        if score > self._chain_best[chain]:
            self._chain_best[chain] = score
            self._stuck[chain] = 0
        elif self._stuck[chain] >= self._reheat:
            self._heat(chain)

    def _heat(self, chain: int) -> None:
        """Moves a stuck chain to the best design, or frees it for a random one."""
        if self._restart == "best":
            self._set(chain, self._best_row, self._best_score)
        else:
            self._placed[chain] = False
