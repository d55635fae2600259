"""Tasks on which agents are compared."""

import pytest

from archgym.agent import check_installed, find_agent
from archgym.testing.toys import nk_task


@pytest.fixture(scope="session")
def entangled_task():
    """A task of ten parameters that interact in threes."""
    return nk_task((4, 3, 3, 8, 2, 2, 4, 4, 3, 8), 2, seed=1)


@pytest.fixture(autouse=True)
def installed(request):
    """Skips a test with an argument `agent` whose extra is not installed, and says which."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("agent")
    if isinstance(name, str):
        try:
            check_installed(name, find_agent(name))
        except ValueError as error:
            pytest.skip(str(error))
