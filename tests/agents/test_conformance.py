"""Every registered agent passes the conformance kit."""

import pytest

from archgym.agent import agent_names
from archgym.testing.agents import BASELINE_EXEMPT, CHECKS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("agent", agent_names())
def test_conformance(agent, check):
    if agent == "random" and check in BASELINE_EXEMPT:
        pytest.skip("random search is the baseline")
    CHECKS[check](agent)
