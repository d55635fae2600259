"""Tasks on which agents are compared."""

import pytest

from archgym.testing.toys import nk_task


@pytest.fixture(scope="session")
def entangled_task():
    """A task of ten parameters that interact in threes."""
    return nk_task((4, 3, 3, 8, 2, 2, 4, 4, 3, 8), 2, seed=1)
