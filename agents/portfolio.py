"""Portfolio: several agents on one pool of trials; the budget moves to those that improve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np

from archgym.agent import Agent, LoopAgent, agent_names, find_agent, make_agent
from archgym.agents._operators import finite_or_worst, keys
from archgym.hyperparameters import AgentNames, Range
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation


def _possible_members() -> Iterable[str]:
    return (
        name
        for name in agent_names()
        if name != "portfolio" and not issubclass(find_agent(name), LoopAgent)
    )


class PortfolioAgent(Agent):
    """Members take turns to propose, and every member is told every trial.

    Who proposes next is drawn by Thompson sampling: a turn succeeds in so far as its designs enter
    the best `elite` designs told so far, and past turns are discounted, so that the budget moves to
    the members that improve on what all have found together (adaptive operator selection by
    area-free credit: Fialho et al. 2010, doi:10.1007/s10472-010-9213-y; Thompson sampling with
    discounting: Raj and Kalyani 2017, arXiv:1707.09727).

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        members: names of the agents, joined by `+`; their hyperparameters are the defaults.
        turn: designs that a member proposes in a row.
        elite: number of the best designs; a new design counts as a success if it is one of them.
        discount: factor on past successes and failures per design told.

    Attributes:
        names: of the members.
        proposals: how many designs each member proposed `(members,)`.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        members: Annotated[str, AgentNames(_possible_members, least=2)] = (
            "genetic+hill-climbing+simulated-annealing+cross-entropy"
        ),
        turn: Annotated[int, Range(1, 256, log=True)] = 8,
        elite: Annotated[int, Range(1, 256, log=True)] = 8,
        discount: Annotated[float, Range(0.5, 1.0)] = 0.98,
    ) -> None:
        super().__init__(space, seed)
        self.names = tuple(members.split("+"))
        seeds = self.rng.integers(2**63, size=len(self.names)).tolist()
        self._members = [
            make_agent(name, space, seed=each) for name, each in zip(self.names, seeds, strict=True)
        ]
        self.proposals: IntArray = np.zeros(len(self.names), np.int64)
        self._turn = turn
        self._discount = discount
        self._best = np.full(elite, -np.inf)
        self._successes = np.zeros(len(self.names))
        self._failures = np.zeros(len(self.names))
        self._proposer: dict[bytes, int] = {}
        self._told: set[bytes] = set()

    @property
    def batch_size(self) -> int:
        """One turn."""
        return self._turn

    def ask(self, n: int) -> IntArray:
        """Lets members propose, one turn after the other."""
        parts = [np.zeros((0, len(self.space)), np.int64)]
        for start in range(0, n, self._turn):
            member = self._next()
            count = min(self._turn, n - start)
            rows = self.space.canonical(self._members[member].ask(count))
            self.proposals[member] += count
            for key in keys(rows):
                self._proposer.setdefault(key, member)
            parts.append(rows)
        return np.concatenate(parts)

    def _next(self) -> int:
        """Draws each member's rate of success from its posterior and returns the largest."""
        rates = self.rng.beta(1.0 + self._successes, 1.0 + self._failures)
        return int(np.argmax(rates))

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Tells every member, and credits those that proposed the designs."""
        rows = self.space.canonical(designs)
        for i, key in enumerate(keys(rows)):
            member = self._proposer.pop(key, None)
            fresh = key not in self._told
            self._told.add(key)
            success = fresh and self._enters(float(finite_or_worst(evaluation)[i]))
            if member is not None:
                self._successes *= self._discount
                self._failures *= self._discount
                (self._successes if success else self._failures)[member] += 1.0
        for each in self._members:
            each.tell(rows, evaluation)

    def _enters(self, score: float) -> bool:
        """Takes a score into the best ones, if it is one of them."""
        worst = int(np.argmin(self._best))
        if score <= self._best[worst]:
            return False
        self._best[worst] = score
        return True

    def get_state(self) -> dict[str, Any]:
        """Returns the state with the states of the members."""
        members, self._members = self._members, []
        try:
            state = super().get_state()
        finally:
            self._members = members
        return {**state, "_members": [each.get_state() for each in members]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues from a state that `get_state` returned."""
        members = self._members
        super().set_state({**state, "_members": []})
        self._members = members
        for each, its in zip(members, state["_members"], strict=True):
            each.set_state(its)
