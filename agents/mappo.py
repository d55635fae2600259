"""Multi-agent PPO with centralised critics."""

from __future__ import annotations

from archgym.agents.ippo import IndependentPpoAgent


class CentralPpoAgent(IndependentPpoAgent):
    """One policy per agent, and one critic per agent that sees what the others have chosen.

    A critic predicts the reward from the observation and the actions of all other agents, so an
    agent's advantage is what its own choice added (MAPPO: Yu et al. 2022, arXiv:2103.01955; a
    baseline of the others' actions: Foerster et al. 2018, arXiv:1705.08926). It is used in training
    only. The hyperparameters are those of `ippo`.
    """

    KIND = "central"
