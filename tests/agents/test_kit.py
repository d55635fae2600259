"""The conformance kit finds what it claims to find: one broken agent per check."""

from typing import Annotated

import numpy as np
import pytest

from archgym.agent import Agent
from archgym.agents.genetic import GeneticAgent
from archgym.agents.random import RandomAgent
from archgym.hyperparameters import Range
from archgym.testing import agents as kit


class Undocumented(RandomAgent):
    """Draws at random."""

    def __init__(self, space, seed=0, strength: Annotated[int, Range(1, 5)] = 2):
        super().__init__(space, seed)


class Rangeless(RandomAgent):
    """Draws at random.

    Args:
        strength: of something.
    """

    def __init__(self, space, seed=0, strength: int = 2):
        super().__init__(space, seed)


class DefaultOutside(RandomAgent):
    """Draws at random.

    Args:
        strength: of something.
    """

    def __init__(self, space, seed=0, strength: Annotated[int, Range(1, 5)] = 7):
        super().__init__(space, seed)


class Unseeded(RandomAgent):
    def __init__(self, space, seed=0):
        super().__init__(space, np.random.default_rng())


class DeafToSeeds(RandomAgent):
    def __init__(self, space, seed=0):
        super().__init__(space, 0)


class Global(RandomAgent):
    def ask(self, n):
        rows = super().ask(n)
        rows[:, 0] = np.random.randint(self.space.cardinalities[0])  # noqa: NPY002
        return rows


class FixedBatch(RandomAgent):
    def ask(self, n):
        return super().ask(8)


class OutOfRange(RandomAgent):
    def ask(self, n):
        return super().ask(n) + 1


class Floats(RandomAgent):
    def ask(self, n):
        return super().ask(n).astype(float)


class OnlyItsOwn(RandomAgent):
    """Fails on designs told in another grouping than they were asked in."""

    def ask(self, n):
        self._asked = n
        return super().ask(n)

    def tell(self, designs, evaluation):
        if len(designs) != self._asked:
            raise AssertionError("told another number of designs than asked")


class KeepsReferences(GeneticAgent):
    def tell(self, designs, evaluation):
        self._kept = evaluation.score
        super().tell(designs, evaluation)

    def ask(self, n):
        if hasattr(self, "_kept"):
            self.rng = np.random.default_rng(
                int(1e6 * abs(self._kept[np.isfinite(self._kept)].sum()))
            )
        return super().ask(n)


class NeverLast(GeneticAgent):
    """Cannot reach the last value of a parameter, like a bad decoding of actions."""

    def ask(self, n):
        return np.minimum(super().ask(n), np.maximum(self.space.cardinalities - 2, 0))


class Forgetful(GeneticAgent):
    def get_state(self):
        return {"rng": super().get_state()["rng"]}


class SharedState(RandomAgent):
    def get_state(self):
        return self.__dict__

    def set_state(self, state):
        self.__dict__.update(state)


class Unteachable(GeneticAgent):
    """Learns only from designs it asked for."""

    def ask(self, n):
        rows = super().ask(n)
        self._mine = {*getattr(self, "_mine", ()), *(row.tobytes() for row in rows)}
        return rows

    def tell(self, designs, evaluation):
        mine = getattr(self, "_mine", ())
        keep = [i for i, row in enumerate(self.space.canonical(designs)) if row.tobytes() in mine]
        super().tell(designs[keep], evaluation.take(np.array(keep, int)))


class AfraidOfInfinity(RandomAgent):
    def tell(self, designs, evaluation):
        assert np.isfinite(evaluation.score).all(), "score is not finite"
        super().tell(designs, evaluation)


class Stubborn(RandomAgent):
    """Proposes the same design for ever."""

    def ask(self, n):
        return np.zeros((n, len(self.space)), np.int64)


class Enumerator(Agent):
    """Builds the whole space."""

    def __init__(self, space, seed=0):
        super().__init__(space, seed)
        if space.size > 10**9:
            raise AssertionError("the space does not fit into memory")

    def ask(self, n):
        return self.space.sample(n, self.rng)

    def tell(self, designs, evaluation):
        pass


class Greedy(RandomAgent):
    """Insists on batches that do not fit the budget."""

    def search(self, evaluator):
        evaluator.evaluate(self.ask(5))


class ConfusedByInertValues(RandomAgent):
    def tell(self, designs, evaluation):
        assert np.array_equal(designs, evaluation.designs), "this design was never evaluated"
        super().tell(designs, evaluation)


@pytest.mark.parametrize(
    ("check", "agent", "message"),
    [
        (kit.check_hyperparameters, Undocumented, "not explained under Args"),
        (kit.check_hyperparameters, Rangeless, "has no range"),
        (kit.check_hyperparameters, DefaultOutside, "default is not allowed"),
        (kit.check_seed, Unseeded, "same seed differ"),
        (kit.check_seed, DeafToSeeds, "different seeds are equal"),
        (kit.check_seed, Global, "differ"),
        (kit.check_batches, FixedBatch, r"ask\(1\) returned shape"),
        (kit.check_batches, OutOfRange, "is outside"),
        (kit.check_batches, Floats, "not an integer type"),
        (kit.check_empty_batch, FixedBatch, r"ask\(0\) returned shape"),
        (kit.check_ask_without_tell, OnlyItsOwn, "another number"),
        (kit.check_inputs_untouched, KeepsReferences, "changes the search"),
        (kit.check_reachability, NeverLast, "never proposed"),
        (kit.check_state, Forgetful, "does not continue"),
        (kit.check_state, SharedState, "saved state"),
        (kit.check_beats_random, RandomAgent, "beats random search in"),
        (kit.check_warm_start, RandomAgent, "does not lead the search"),
        (kit.check_warm_start, Unteachable, "does not lead the search"),
        (kit.check_infeasible, AfraidOfInfinity, "not finite"),
        (kit.check_tiny_space, Stubborn, "of the 3 designs"),
        (kit.check_huge_space, Enumerator, "does not fit"),
        (kit.check_budget_under_population, Greedy, "spent 3|spent 5|spent 1"),
        (kit.check_conditional, Stubborn, "stopped after 1 of 60"),
        (kit.check_conditional, ConfusedByInertValues, "never evaluated"),
    ],
)
def test_kit_finds_the_fault(check, agent, message):
    with pytest.raises(AssertionError, match=message):
        check(agent)


def test_every_check_is_in_the_list_and_has_a_faulty_agent():
    functions = {n.removeprefix("check_") for n in dir(kit) if n.startswith("check_")}
    assert functions - {"agent"} == set(kit.CHECKS)


def test_check_agent_runs_all_but_the_skipped():
    kit.check_agent("random", skip=kit.BASELINE_EXEMPT)
    with pytest.raises(AssertionError):
        kit.check_agent(RandomAgent, skip=("warm_start",))
    with pytest.raises(ValueError, match="unknown check 'warmstart'"):
        kit.check_agent("random", skip=("warmstart",))
