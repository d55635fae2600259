"""The multi-agent methods of RLlib give the same search in every process."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("ray.rllib")

SEARCH = """
import archgym
from archgym.testing.toys import toy_task
found = archgym.search(toy_task((3, 2, 4, 5)), "ippo-shared", budget=20, seed=1, epochs=1)
print(found.evaluation.designs.tolist())
"""


def test_the_order_of_names_in_a_set_changes_nothing():
    answers = [
        subprocess.run(
            [sys.executable, "-c", SEARCH],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert answers[0].count("[") == 21
