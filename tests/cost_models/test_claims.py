"""Paired statements: the statistic is the paired t, and noise is neither a yes nor a no."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from archgym.cost_models.claims import decided, paired_z


def test_z_is_the_paired_t_statistic():
    rng = np.random.default_rng(0)
    better = rng.normal(size=50)
    worse = better + rng.normal(0.1, 0.5, size=50)
    assert paired_z(worse, better) == pytest.approx(ttest_rel(worse, better).statistic)


def test_equal_differences_have_no_noise():
    losses = np.arange(4.0)
    assert paired_z(losses, losses) == 0
    assert paired_z(losses + 1, losses) == np.inf
    assert paired_z(losses - 1, losses) == -np.inf


@pytest.mark.parametrize(("z", "found"), [(4.1, True), (4.0, None), (-4.0, None), (-4.1, False)])
def test_only_four_standard_errors_decide(z, found):
    assert decided(z) is found
