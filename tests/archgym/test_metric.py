import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from archgym.metric import (
    BUDGET_FLOOR,
    INFEASIBLE_REWARD,
    Budget,
    Metric,
    Objective,
    Scorer,
    reward,
)

METRICS = (
    Metric("latency_ns", "ns", "minimise"),
    Metric("bandwidth_gb_per_s", "GB/s", "maximise"),
    Metric("power_mw", "mW", "minimise"),
    Metric("row_hits", "", "none"),
)
REFERENCE = {"latency_ns": 100.0, "bandwidth_gb_per_s": 10.0, "power_mw": 500.0, "row_hits": 3.0}
positive = arrays(np.float64, 40, elements=st.floats(1e-3, 1e6))


def scorer(*metrics: str, **kwargs) -> Scorer:
    return Scorer(Objective("test", metrics, **kwargs), METRICS, REFERENCE)


def batch(latency=100.0, bandwidth=10.0, power=500.0) -> dict[str, np.ndarray]:
    columns = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (latency, bandwidth, power))
    )
    return dict(zip(("latency_ns", "bandwidth_gb_per_s", "power_mw"), columns, strict=True))


def score(s: Scorer, metrics) -> np.ndarray:
    return s.score(metrics, np.ones(len(metrics["latency_ns"]), bool))


def test_zero_is_the_default_design_and_two_times_better_is_log_two() -> None:
    got = score(scorer("latency_ns"), batch(latency=[100, 50, 200]))
    assert got == pytest.approx([0, np.log(2), -np.log(2)])
    got = score(scorer("bandwidth_gb_per_s"), batch(bandwidth=[10, 20, 5]))
    assert got == pytest.approx([0, np.log(2), -np.log(2)])
    got = score(scorer("latency_ns", "power_mw"), batch(latency=[50, 50], power=[500, 1000]))
    assert got == pytest.approx([np.log(2), 0], abs=1e-12)


@given(positive)
def test_single_metric_ranks_exactly_as_the_metric(values: np.ndarray) -> None:
    got = score(scorer("latency_ns"), batch(latency=values))
    assert np.array_equal(stats.rankdata(got), stats.rankdata(-np.log(values)))
    distinct = np.unique(values)
    if len(distinct) > 1 and np.diff(np.log(distinct)).min() > 1e-12:
        assert stats.spearmanr(got, -values).statistic == pytest.approx(1.0)


@given(positive, positive, positive, st.floats(0.2, 5))
def test_a_better_design_never_scores_lower(latency, power, bandwidth, factor) -> None:
    better = 1.0 / (1.0 + abs(factor))
    for s in (
        scorer("latency_ns"),
        scorer("latency_ns", "power_mw"),
        scorer("power_mw", budgets=(Budget("latency_ns", 60.0),)),
        scorer("power_mw", budgets=(Budget("bandwidth_gb_per_s", 1.0, relative=True),)),
        scorer("latency_ns", "power_mw", pareto=True),
    ):
        base = score(s, batch(latency, bandwidth, power))
        for improved in (
            batch(latency * better, bandwidth, power),
            batch(latency, bandwidth / better, power),
            batch(latency, bandwidth, power * better),
        ):
            assert (score(s, improved) >= base - 1e-9).all()
            assert (reward(score(s, improved)) >= reward(base) - 1e-9).all()


@given(positive, positive)
def test_meeting_the_budget_comes_first(latency, power) -> None:
    s = scorer("power_mw", budgets=(Budget("latency_ns", 60.0),))
    got = score(s, batch(latency, 10.0, power))
    met = latency <= 60.0
    assert (got[met] >= BUDGET_FLOOR).all()
    assert (got[~met] <= BUDGET_FLOOR).all()


def test_budgets_can_be_relative_to_the_default_and_mirror_for_maximised() -> None:
    s = scorer("power_mw", budgets=(Budget("latency_ns", 1.5, relative=True),))
    assert s.limits() == {"latency_ns": 150.0}
    s = scorer("power_mw", budgets=(Budget("bandwidth_gb_per_s", 8.0),))
    assert s.excess(batch(bandwidth=[8.0, 16.0, 4.0])) == pytest.approx([0, 0, np.log(2)])


@given(arrays(np.float64, 30, elements=st.floats(-700, 50)))
def test_rewards_are_finite_ordered_and_infeasible_is_last(scores: np.ndarray) -> None:
    got = reward(np.append(scores, -np.inf))
    assert np.isfinite(got).all()
    assert got[-1] == INFEASIBLE_REWARD
    order = np.argsort(scores)
    assert (np.diff(got[:-1][order]) >= 0).all()
    assert (got[:-1] >= INFEASIBLE_REWARD).all()
    assert got[:-1][scores > INFEASIBLE_REWARD + 1] == pytest.approx(
        scores[scores > INFEASIBLE_REWARD + 1]
    )


def test_infeasible_never_outranks() -> None:
    s = scorer("latency_ns")
    got = s.score(batch(latency=[1e9, 1e-9]), np.array([True, False]))
    assert got[0] > got[1] == -np.inf


def test_pareto_keeps_one_column_per_goal() -> None:
    s = scorer("latency_ns", "power_mw", pareto=True)
    metrics = batch(latency=[50.0], power=[1000.0])
    assert s.components(metrics) == pytest.approx(np.array([[np.log(2), -np.log(2)]]))
    assert score(s, metrics) == pytest.approx([0.0], abs=1e-12)


def test_bad_objectives_name_the_metric() -> None:
    with pytest.raises(ValueError, match="unknown name 'latency'; did you mean 'latency_ns'"):
        scorer("latency")
    with pytest.raises(ValueError, match="'row_hits' is only reported"):
        scorer("row_hits")
    with pytest.raises(ValueError, match="metrics is empty"):
        scorer()
    with pytest.raises(ValueError, match="'latency_ns' is nan for the default design"):
        Scorer(Objective("x", ("latency_ns",)), METRICS, {**REFERENCE, "latency_ns": np.nan})
