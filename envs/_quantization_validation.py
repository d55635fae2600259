"""What is known of quantization, looked for with the cost models of `Quantization-v0`.

`archgym validate quantization` prints it: the noise of formats, orders of formats and failures in
the measured losses of a small network, how well sums of single layers rank mixed configurations,
processing elements beside published ones, and published perplexities of other networks, which
nothing here is computed from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Protocol

import numpy as np

from archgym.cost_models import measured, numerics
from archgym.cost_models.measured.orderings import NETWORK, orderings
from archgym.cost_models.measured.settings import Measurements
from archgym.cost_models.numerics import sqnr_rows
from archgym.cost_models.numerics import validation as numerics_validation
from archgym.cost_models.processing_elements.validation import hardware_checks
from archgym.cost_models.validation import Check, Target, compare
from archgym.envs._quantization_additive import TOKENS, key_of, measure, read_table, shipped
from archgym.envs._quantization_choices import WeightChoice
from archgym.envs._quantization_published import published
from archgym.envs._quantization_quality import Matrices
from archgym.metric import FloatArray

REFERENCE_NEEDED = False

MIXED = (
    *("int2-asym", "int3-asym", "bitmod3", "int4-asym", "mxfp4", "nvfp4", "int6", "int8"),
)  # fmt: skip
"""Formats that mixed configurations choose from, layer by layer, with groups of 32."""
CONFIGURATIONS, QUICK_CONFIGURATIONS = 24, 12
QUICK_SEQUENCES = 64
METRICS = ("kl_nats", "growth of cross_entropy_nats")
SPEARMAN = 0.95
"""Least rank correlation of sums of single layers with what was measured."""


class Row(Protocol):
    """A row of a table."""

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """Its columns."""
        ...


@dataclass(frozen=True)
class Noise:
    """Signal to noise of a format on random values, groups of 128 where it has no blocks.

    Attributes:
        format: its name.
        bits_per_value: with scales, zeros and selectors.
        gaussian_db: on a unit Gaussian, in dB.
        student_db: on Student's t with four degrees of freedom.
    """

    format: str
    bits_per_value: float
    gaussian_db: float
    student_db: float

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """The fields."""
        return asdict(self)


def validate(reference: Path | None = None, quick: bool = False) -> Iterator[Row]:
    """Everything, the fast parts first.

    Args:
        reference: folder of reference figures, or one with a folder `quant` of them, for published
            perplexities; without one, a few are shown that are written here.
        quick: 64 sequences of the validation split in place of all, and 12 mixed configurations in
            place of 24. Orders that are found on all may be within the noise then.
    """
    yield from numerics_validation.validate()
    yield from hardware_checks()
    yield from (
        Noise(row.name, row.bits_per_value, row.gaussian_db, row.student_db) for row in sqnr_rows()
    )
    sequences = QUICK_SEQUENCES if quick else None
    yield from orderings(Measurements(sequences))
    yield from fidelities(QUICK_CONFIGURATIONS if quick else CONFIGURATIONS, sequences)
    yield from published(reference)


def mixtures(count: int, seed: int = 0) -> list[dict[str, WeightChoice]]:
    """Configurations that draw a format for every layer.

    Args:
        count: how many.
        seed: of the draws.
    """
    layers = [layer.name for layer in measured.load(NETWORK).layers]
    drawn = np.random.default_rng(seed).integers(len(MIXED), size=(count, len(layers)))
    choices = [choice(name) for name in MIXED]
    return [{x: choices[i] for x, i in zip(layers, row, strict=True)} for row in drawn]


def choice(name: str) -> WeightChoice:
    """A format with groups of 32, or its own blocks."""
    return WeightChoice(name, 32 if numerics.parse(name).block is None else None, 1.0)


def fidelities(count: int, sequences: int | None) -> Iterator[Check]:
    """Rank correlations between sums of single layers, 2,048 tokens, and the validation split.

    Args:
        count: mixed configurations.
        sequences: of the validation split; None for all.
    """
    configurations = mixtures(count)
    length = measured.load(NETWORK).tokens_per_sequence
    sums = additive(configurations)
    found = {
        "additive": (sums, sums),
        "2,048 tokens": losses(configurations, TOKENS // length),
        "validation split": losses(configurations, sequences),
    }
    for cheap, dear in combinations(found, 2):
        for metric, ours, theirs in zip(METRICS, found[cheap], found[dear], strict=True):
            target = Target(spearman=SPEARMAN) if cheap == "additive" else None
            yield compare("mixed formats", f"{cheap}, {dear}", metric, ours, theirs, target)


def additive(configurations: Sequence[dict[str, WeightChoice]]) -> FloatArray:
    """Sums of the divergences of single layers `(n,)`, in nats per token."""
    network = measured.load(NETWORK)
    path = shipped(NETWORK)
    table = read_table(path) if path else {}
    wanted = {layer.name: [choice(name) for name in MIXED] for layer in network.layers}
    missing = {
        layer: [each for each in choices if key_of(layer, each) not in table]
        for layer, choices in wanted.items()
    }
    known = {**table, **dict(measure(network, missing))}
    return np.array([sum(known[key_of(*pair)] for pair in c.items()) for c in configurations])


def losses(
    configurations: Sequence[dict[str, WeightChoice]], sequences: int | None
) -> tuple[FloatArray, FloatArray]:
    """Measured divergence, and growth of the cross-entropy, `(n,)` each, in nats per token.

    Args:
        configurations: choices by layer.
        sequences: of the validation split, the first so many; None for all.
    """
    network = measured.load(NETWORK)
    matrices = Matrices(network)
    wanted = slice(None) if sequences is None else sequences
    base = network.evaluate(sequences=wanted).cross_entropy
    found = []
    for chosen in configurations:
        weights = {
            layer: matrices.get(layer, each, None, "nearest") for layer, each in chosen.items()
        }
        told = network.evaluate(weights, sequences=wanted)
        found.append((told.divergence, told.cross_entropy - base))
    kl, growth = np.array(found).T
    return kl, growth
