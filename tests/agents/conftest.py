"""Tasks on which agents are compared."""

import numpy as np
import pytest

from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import function_task


def nk_task(cardinalities, neighbours, seed):
    """NK landscape (Kauffman, Levin 1987): each cost depends on `neighbours` other parameters."""
    rng = np.random.default_rng(seed)
    d = len(cardinalities)
    groups = [
        np.concatenate([[j], rng.choice(np.delete(np.arange(d), j), neighbours, replace=False)])
        for j in range(d)
    ]
    tables = [rng.random([cardinalities[j] for j in group]) for group in groups]

    def cost(rows):
        parts = [t[tuple(rows[:, j] for j in g)] for t, g in zip(tables, groups, strict=True)]
        return 0.2 + np.mean(parts, axis=0)

    space = DesignSpace(
        [
            Parameter(f"p{j}", tuple(range(c)), ordered=j % 2 == 0)
            for j, c in enumerate(cardinalities)
        ]
    )
    return function_task(space, cost)


@pytest.fixture(scope="session")
def entangled_task():
    """A task of ten parameters that interact in threes."""
    return nk_task((4, 3, 3, 8, 2, 2, 4, 4, 3, 8), 2, seed=1)
