"""Statements about two measured settings, decided by a paired test over what both were run on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

LEAST_Z = 4.0
"""Standard errors from which on an order is claimed; below, the network does not show one."""


@dataclass(frozen=True)
class Claim:
    """One statement, and whether it was found.

    Attributes:
        claim: The statement in words.
        figures: What was measured, in words.
        n: Sequences that the statement rests on.
        z: Paired difference over its standard error, above zero where it has the claimed sign;
            None for a statement that is about one setting alone.
        target: What is asked for, in words.
        passed: True where the statement holds, False where its opposite was measured, None where
            neither was: the difference is within the noise.
    """

    claim: str
    figures: str
    n: int
    z: float | None
    target: str
    passed: bool | None

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """The fields as a JSON object."""
        return asdict(self)


def paired_z(worse: Doubles, better: Doubles) -> float:
    """Mean of the differences `worse - better` over its standard error.

    Args:
        worse: (n,) Losses of n sequences, at least two.
        better: (n,) Losses of the same sequences.
    """
    difference = worse - better
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    mean = float(difference.mean())
    return mean / error if error else float(np.copysign(np.inf, mean) if mean else 0.0)


def decided(z: float) -> bool | None:
    """Whether an order is found, its opposite is, or neither."""
    return None if abs(z) <= LEAST_Z else z > 0
