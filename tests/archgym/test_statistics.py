import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from archgym.statistics import anytime, best_so_far, bootstrap, iqm, log_grid, median, quantile

FINITE = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-100, 100))


def test_best_so_far():
    assert best_so_far([-np.inf, 1, 0.5, 3, 2]).tolist() == [-np.inf, 1, 1, 3, 3]


@given(FINITE, st.floats(0, 1))
def test_quantile_is_numpys_for_finite_values(values, q):
    assert quantile(values, q) == pytest.approx(np.quantile(values, q), abs=1e-9)


def test_quantile_next_to_minus_infinity_is_minus_infinity():
    assert median(np.array([-np.inf, 1.0])) == -np.inf
    assert median(np.array([-np.inf, 1.0, 2.0])) == 1.0
    assert median(np.array([-np.inf, -np.inf])) == -np.inf


@given(FINITE)
def test_iqm_is_scipys_trimmed_mean(values):
    assert iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), abs=1e-9)


def test_iqm_by_hand():
    assert iqm(np.array([0.0, 1.0, 2.0, 100.0])) == 1.5


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).normal(3.0, 1.0, 40)
    ours = bootstrap(values, lambda v: v.mean(axis=-1), resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == values.mean()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_bootstrap_covers_at_about_its_level():
    rng = np.random.default_rng(5)
    hits = 0
    for i in range(300):
        estimate = bootstrap(rng.normal(size=30), resamples=300, seed=i)
        hits += estimate.low <= 0.0 <= estimate.high
    assert 0.90 <= hits / 300 <= 0.99


def test_bootstrap_is_repeatable_and_carries_minus_infinity():
    assert bootstrap([1, 2, 3, 4]) == bootstrap([1, 2, 3, 4])
    assert bootstrap([-np.inf, 1, 1, 1, 1]).value == 1
    assert bootstrap([-np.inf, 1]).low == -np.inf
    one = bootstrap([2.0])
    assert (one.value, one.low, one.high) == (2.0, 2.0, 2.0)


def test_bootstrap_refuses_nothing():
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        bootstrap([])


@pytest.mark.parametrize("stop", [1, 2, 7, 500, 10_000])
def test_log_grid(stop):
    grid = log_grid(stop)
    assert grid[0] == 1
    assert grid[-1] == stop
    assert (np.diff(grid) > 0).all()


def test_anytime_keeps_the_last_value_of_a_run_that_ended_early():
    curve = anytime([np.array([1.0, 3.0]), np.array([0.0, 1.0, 2.0, 5.0]), np.array([2.0] * 4)])
    assert curve.samples.tolist() == [1, 2, 3, 4]
    assert curve.middle.tolist() == [1, 2, 2, 3]
    assert curve.low.tolist() == [0.5, 1.5, 2, 2.5]
    assert curve.high.tolist() == [1.5, 2.5, 2.5, 4]
