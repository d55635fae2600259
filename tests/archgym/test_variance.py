import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from archgym.variance import average_ranks, variance_components, variance_shares


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_ranks_are_those_of_scipy(values):
    assert average_ranks(values).tolist() == scipy.stats.rankdata(values).tolist()


def test_ranks_keep_the_shape_and_put_infinity_last():
    assert average_ranks([[3.0, np.inf], [3.0, 1.0]]).tolist() == [[2.5, 4.0], [2.5, 1.0]]


def test_two_factors_by_hand():
    values = np.array([[1.0, 2.0, 3.0], [5.0, 6.0, 10.0]])
    # Means: rows 2 and 7, columns 3, 4 and 6.5, all 4.5. Sums of squares: rows 37.5,
    # columns 2 (2.25 + 0.25 + 4) = 13, rest 2 (0.5^2 + 0.5^2 + 1^2) = 3.
    rest = 3.0 / 2.0
    assert variance_components(values) == pytest.approx(
        {(0,): (37.5 - rest) / 3.0, (1,): (13.0 / 2.0 - rest) / 2.0, (0, 1): rest}
    )


@pytest.mark.parametrize("effect", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_a_single_effect_is_found_as_such(effect):
    rng = np.random.default_rng(1)
    sizes = (60, 50, 40)
    shape = tuple(n if axis in effect else 1 for axis, n in enumerate(sizes))
    values = 7.0 + np.broadcast_to(3.0 * rng.standard_normal(shape), sizes)
    found = variance_components(values)
    # Over 40 levels the sample variance of a normal deviates by up to half its size.
    assert found.pop(effect) == pytest.approx(9.0, rel=0.5)
    assert max(map(abs, found.values())) < 0.5


def test_the_estimate_is_unbiased_over_many_draws():
    rng = np.random.default_rng(2)
    true = {(0,): 4.0, (1,): 1.0, (2,): 0.0, (0, 1): 2.0, (0, 2): 0.5, (1, 2): 0.0, (0, 1, 2): 1.0}
    sizes, draws = (20, 4, 3), 400
    total = dict.fromkeys(true, 0.0)
    for _ in range(draws):
        values = np.zeros(sizes)
        for effect, variance in true.items():
            shape = tuple(n if axis in effect else 1 for axis, n in enumerate(sizes))
            values = values + np.sqrt(variance) * rng.standard_normal(shape)
        for effect, variance in variance_components(values).items():
            total[effect] += variance / draws
    # The tasks have 3 degrees of freedom, so one draw deviates by about (1 + 2 / 20) sqrt(2 / 3).
    assert total == pytest.approx(true, abs=0.16)


def test_shares_count_all_interactions_of_a_seed_as_its_own():
    values = np.random.default_rng(3).standard_normal((30, 4, 3))
    values += 2.0 * np.random.default_rng(4).standard_normal((30, 1, 1))
    plain, nested = variance_shares(values), variance_shares(values, within=2)
    assert sum(plain.values()) == pytest.approx(1.0)
    assert list(nested) == [(0,), (1,), (2,), (0, 1)]
    seed = sum(share for effect, share in plain.items() if 2 in effect)
    assert nested[(2,)] == pytest.approx(seed)
    assert nested[(0,)] == pytest.approx(plain[(0,)])
    # Variances 4 and 1.
    assert nested[(0,)] == pytest.approx(0.8, abs=0.1)


def test_equal_values_have_no_shares():
    assert set(variance_shares(np.ones((3, 2))).values()) == {0.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [(np.ones((3, 1)), "one level"), (1.0, "one level"), ([[1.0, np.inf], [0, 0]], "not finite")],
)
def test_what_cannot_be_split_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        variance_components(values)
