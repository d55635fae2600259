import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from archgym.comparison import (
    Hits,
    combined_bootstrap,
    first_hit,
    improvement,
    parameter_importance,
    performance_profile,
    probability_of_improvement,
    rank_over_tasks,
    stratified_bootstrap,
    studentized_range,
)
from archgym.pareto import hypervolume, hypervolume_over_time
from archgym.statistics import iqm, quantile

RNG = np.random.default_rng(3)

# Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), table 6:
# areas under the curve of C4.5 and three variants on 14 data sets.
AREAS = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_ranks_of_the_example_of_demsar():
    ranks = rank_over_tasks(-AREAS)
    assert ranks.mean == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert ranks.critical_difference == pytest.approx(1.25, abs=0.005)
    theirs = scipy.stats.friedmanchisquare(*AREAS.T)
    assert ranks.chi_square == pytest.approx(theirs.statistic, rel=1e-9)
    assert ranks.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize(("agents", "q"), [(3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_those_of_demsars_table_5(agents, q):
    ranks = rank_over_tasks(RNG.normal(size=(12, agents)))
    assert ranks.critical_difference == pytest.approx(
        q * math.sqrt(agents * (agents + 1) / 72), abs=2e-3
    )


@pytest.mark.parametrize("groups", [2, 4, 15, 40])
def test_studentized_range_is_scipys(groups):
    theirs = scipy.stats.studentized_range.ppf(0.95, groups, np.inf)
    assert studentized_range(groups) == pytest.approx(theirs, abs=1e-4)


def test_few_tasks_are_not_ranked_and_equal_agents_do_not_differ():
    assert rank_over_tasks(RNG.normal(size=(9, 4))) is None
    assert rank_over_tasks(RNG.normal(size=(20, 2))) is None
    same = rank_over_tasks(np.ones((10, 3)))
    assert (same.chi_square, same.p_value) == (0.0, 1.0)


def test_probability_of_improvement_is_scipys_mann_whitney():
    ours, theirs = RNG.integers(0, 6, 17).astype(float), RNG.integers(0, 6, 9).astype(float)
    u = scipy.stats.mannwhitneyu(theirs, ours).statistic
    assert probability_of_improvement([ours], [theirs]) == pytest.approx(u / (17 * 9))


@given(st.lists(st.floats(0, 2), min_size=1, max_size=8), st.lists(st.floats(0, 2), min_size=1))
def test_probabilities_of_improvement_add_up_to_one(ours, theirs):
    one, other = [np.array(ours)], [np.array(theirs)]
    total = probability_of_improvement(one, other) + probability_of_improvement(other, one)
    assert total == pytest.approx(1.0)


def test_probability_of_improvement_is_a_mean_over_tasks_and_knows_infinity():
    better, worse = np.array([0.0, 0.1]), np.array([np.inf, 5.0, 9.0])
    assert probability_of_improvement([better, worse], [worse, worse]) == pytest.approx(0.75)


def test_performance_profile_by_hand():
    profile = performance_profile([np.array([0.0, 0.5]), np.array([0.2, np.inf])], [0, 0.2, 0.5, 9])
    assert profile.tolist() == [0.25, 0.5, 0.75, 0.75]


def test_stratified_bootstrap_agrees_with_scipy_on_one_task():
    values = RNG.normal(3.0, 1.0, 40)
    ours = stratified_bootstrap([values], resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,),
        lambda v, axis: scipy.stats.trim_mean(v, 0.25, axis=axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert ours.value == pytest.approx(scipy.stats.trim_mean(values, 0.25))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_stratified_bootstrap_resamples_within_tasks():
    # Tasks differ, seeds do not: nothing is uncertain.
    found = stratified_bootstrap([np.full(5, 0.0), np.full(5, 1.0)], lambda v: v.mean(axis=-1))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one run"):
        stratified_bootstrap([np.array([])])


def test_infinite_regrets_carry_through():
    assert iqm(np.array([0.0, 0.1, 0.2, np.inf])) == pytest.approx(0.15)
    assert quantile(np.array([0.0, np.inf, np.inf]), 0.75) == np.inf
    assert stratified_bootstrap([np.array([np.inf, np.inf])]).low == np.inf


def test_expected_running_time_and_ecdf_by_hand():
    hits = Hits(np.array([10.0, np.inf, 30.0]), np.array([100.0, 100.0, 100.0]))
    assert hits.expected_running_time == (10 + 100 + 30) / 2
    assert hits.ecdf([9, 10, 30, 1000]).tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    assert Hits(np.array([np.inf]), np.array([5.0])).expected_running_time == math.inf


def test_first_hit_counts_from_one():
    best = np.array([-np.inf, 0.5, 0.5, 2.0])
    assert [first_hit(best, t) for t in (-1.0, 0.5, 0.6, 2.0, 2.1)] == [2, 2, 4, 4, math.inf]


def test_importance_finds_the_parameter_that_matters():
    def importance(values, scores):
        return parameter_importance(
            *(np.bincount(values, w, 4).astype(float) for w in (None, scores, scores**2))
        )

    one, other = RNG.integers(0, 4, 5000), RNG.integers(0, 4, 5000)
    scores = one + 0.5 * RNG.normal(size=5000)
    # Variance of a uniform choice of 0 to 3 is 1.25, of the noise 0.25.
    assert importance(one, scores) == pytest.approx(1.25 / 1.5, abs=0.01)
    assert importance(other, scores) < 0.005
    assert importance(one, np.ones(5000)) is None
    assert importance(one[:1], scores[:1]) is None


def test_hypervolume_over_time_is_that_of_the_first_points():
    points = RNG.normal(size=(60, 2))
    points[5] = -np.inf
    counts = [1, 2, 10, 60, 90]
    volumes = hypervolume_over_time(points, (0.0, 0.0), counts)
    assert volumes == pytest.approx([hypervolume(points[:n], (0.0, 0.0)) for n in counts])


def test_improvement_has_an_interval_around_the_probability():
    rng = np.random.default_rng(5)
    ours = [rng.standard_normal(12) for _ in range(3)]
    theirs = [rng.standard_normal(9) + 0.8 for _ in range(3)]
    found = improvement(ours, theirs)
    assert found.value == pytest.approx(probability_of_improvement(ours, theirs))
    assert 0.5 < found.low < found.value < found.high < 1.0
    other = improvement(theirs, ours)
    assert other.value == pytest.approx(1.0 - found.value)
    assert other.high == pytest.approx(1.0 - found.low, abs=0.03)
    # The standard error of one task for normal values that differ by 0.8 is 0.113 (Hanley and
    # McNeil, "The meaning and use of the area under a receiver operating characteristic curve",
    # Radiology 143, 1982).
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.113 / np.sqrt(3), rel=0.3)


def test_improvement_is_certain_or_even_where_nothing_varies():
    zeros, ones = [np.zeros(4)] * 2, [np.full(5, np.inf)] * 2
    sure, even = improvement(zeros, ones), improvement(ones, ones)
    assert (sure.value, sure.low, sure.high) == (1.0, 1.0, 1.0)
    assert (even.value, even.low, even.high) == (0.5, 0.5, 0.5)


def test_improvement_of_pooled_methods_resamples_each_on_its_own():
    # Ours: one method always wins, the other never does. Drawing runs from the pool would give an
    # interval; the methods are fixed, so there is none.
    ours = [np.array([[0.0] * 5, [2.0] * 5])] * 2
    found = improvement(ours, [np.ones(4)] * 2)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_combined_bootstrap_of_a_ratio():
    rng = np.random.default_rng(6)
    groups = [[level + 0.1 * rng.standard_normal(30) for _ in range(4)] for level in (5, 3, 1)]
    found = combined_bootstrap(groups, lambda s: (s[0] - s[1]) / (s[0] - s[2]))
    assert found.low < 0.5 < found.high
    # 0.1 per run over 120 runs, divided by a difference of 4: about 0.003 on either side.
    assert 0.004 < found.high - found.low < 0.03
    with pytest.raises(ValueError, match="at least one run"):
        combined_bootstrap([[np.ones(2)], []], lambda s: s[0])


def test_combined_bootstrap_of_one_agent_is_the_stratified_one():
    values = [np.random.default_rng(7).random(6) for _ in range(3)]
    assert combined_bootstrap([values], lambda s: s[0]) == stratified_bootstrap(values)
