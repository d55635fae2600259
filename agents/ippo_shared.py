"""Independent PPO with one policy that all agents share."""

from __future__ import annotations

from archgym.agents.ippo import IndependentPpoAgent


class SharedPpoAgent(IndependentPpoAgent):
    """One policy plays every agent; it observes which agent it plays.

    The experience of all agents trains the same network (parameter sharing: Gupta, Egorov and
    Kochenderfer, AAMAS 2017). The hyperparameters are those of `ippo`.
    """

    KIND = "shared"
