"""The percentile of latencies against NumPy's, in every order of values."""

import numba
import numpy as np
import pytest

from archgym.cost_models.dram.quantile import clear, keep_largest, percentile, tail_of


@numba.njit
def streamed(values):
    tail = tail_of(values.size)
    clear(tail)
    for value in values:
        keep_largest(tail, value)
    return percentile(tail)


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 5000, 20_000])
def test_percentile_is_numpys(n):
    rng = np.random.default_rng(n)
    values = rng.integers(0, 200, n)
    far_apart = rng.integers(0, 1 << 50, n)
    for order in (values, np.sort(values), np.sort(values)[::-1].copy(), far_apart, 0 * values):
        assert streamed(order) == np.quantile(order, 0.99, method="inverted_cdf")


def test_percentile_of_nothing_is_zero():
    assert streamed(np.zeros(0, np.int64)) == 0
