"""Known orders of formats, on the first sequences of the validation split."""

import numpy as np
import pytest

from archgym.cost_models.claims import Claim
from archgym.cost_models.measured import load, orderings
from archgym.cost_models.measured.settings import Measurements, Rounding, Setting
from archgym.cost_models.numerics import parse

SEQUENCES = 32


@pytest.fixture(scope="module")
def some():
    return Measurements(SEQUENCES)


def found(measurements, part):
    return {claim.claim: claim for claim in part(measurements)}


def test_formats(some):
    claims = found(some, orderings.formats)
    assert claims["NVFP4 better than MXFP4"].passed
    assert claims["ternary weights collapse without training"].passed
    assert all(claim.passed is not False for claim in claims.values())
    assert all(claim.n == SEQUENCES for claim in claims.values())


def test_outliers(some):
    claims = list(orderings.outliers(some))
    assert [claim.passed for claim in claims] == [True] * 5
    collapsed, kept, restored, *_ = claims
    assert collapsed.z > 20
    assert kept.z is None and restored.z is None


def test_a_claim_the_other_way_round_is_a_failure(some):
    good, bad = orderings.weights("int4", 32), orderings.weights("int3-asym", "tensor")
    assert orderings.better(some, "", good, bad).passed is True
    assert orderings.better(some, "", bad, good).passed is False
    assert orderings.better(some, "", good, good).passed is None


def test_nothing_is_claimed_of_what_changes_nothing(some):
    base = Setting(orderings.NETWORK)
    claim = orderings.collapse(some, "", base)
    assert isinstance(claim, Claim)
    assert (claim.z, claim.passed) == (0, False)
    assert orderings.unhurt(some, "", base).passed is True


def test_settings_are_what_the_network_is_given(some):
    network = load(orderings.NETWORK)
    net = orderings.weights("nf4", "channel", clip=0.9)
    rounded = {n: parse("nf4").quantize(w, "channel", 0.9) for n, w in network.weights.items()}
    expected = network.evaluate(rounded, sequences=SEQUENCES).nll
    assert np.array_equal(some.nll(net), expected)
    assert str(net.weights) == "nf4/channel clipped at 0.9"
    assert str(Rounding("int3", 32, second_order=True)) == "int3/g32 by GPTQ"
