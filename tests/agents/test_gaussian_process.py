import numpy as np
import pytest
import scipy.optimize

from archgym.agents._gaussian_process import (
    Encoding,
    Factor,
    GaussianProcess,
    Kernel,
    Posterior,
    _loss,
    _squares,
    correlation,
    fit_kernel,
    subset,
)
from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import toy_task

SPACE = toy_task((5, 3, 2)).space
OWNER = Encoding(SPACE).owner


def points_of(n, seed=0):
    rows = SPACE.enumerate(0, SPACE.size)
    return Encoding(SPACE).encode(SPACE, np.random.default_rng(seed).permutation(rows)[:n])


def squared(space, one, other):
    a, b = Encoding(space).encode(space, np.array([one, other]))
    return float(np.square(a - b).sum())


def test_distances_add_up_over_steps_and_categories():
    assert squared(SPACE, [0, 0, 0], [4, 0, 0]) == pytest.approx(1.0)
    assert squared(SPACE, [0, 0, 0], [1, 0, 0]) == pytest.approx(1 / 16)
    assert squared(SPACE, [0, 0, 0], [0, 1, 0]) == pytest.approx(1.0)
    assert squared(SPACE, [0, 0, 0], [0, 2, 0]) == pytest.approx(1.0)
    assert squared(SPACE, [0, 1, 1], [1, 2, 0]) == pytest.approx(1 / 16 + 2.0)


def test_an_inert_parameter_is_no_value_of_its_own():
    space = DesignSpace(
        [
            Parameter("on", (False, True)),
            Parameter("depth", (1, 2, 3), ordered=True, when={"on": (True,)}),
            Parameter("kind", ("a", "b"), when={"on": (True,)}),
        ]
    )
    assert squared(space, [0, 0, 0], [1, 0, 0]) == pytest.approx(1.0 + 0.25 + 1.0)
    assert squared(space, [0, 0, 0], [1, 1, 1]) == pytest.approx(1.0 + 0.0 + 1.0)


def test_the_gradient_is_the_one_of_the_loss():
    points, rng = points_of(12), np.random.default_rng(1)
    args = (_squares(points, OWNER, 3), rng.normal(size=12), np.full(4, -2.0), np.full(4, 2.0))
    for x in ([-1.0, 0.3, -2.0, -5.0], [1.0, -3.0, 0.0, -3.0]):
        slope = scipy.optimize.approx_fprime(x, lambda at: _loss(at, *args)[0], 1e-6)
        assert _loss(np.array(x), *args)[1] == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_a_factor_that_grew_is_the_factor_of_all_points():
    points = points_of(20)
    grown = Factor(points[:7], 0.01)
    grown.append(points[7:9])
    grown.append(points[3:6])
    grown.truncate(9)
    grown.append(points[9:])
    matrix = correlation(points, points) + 0.01 * np.eye(20)
    assert grown.lower @ grown.lower.T == pytest.approx(matrix, abs=1e-12)
    right = np.arange(20.0)
    assert grown.solve(right) == pytest.approx(np.linalg.solve(matrix, right), abs=1e-9)


def posterior_of(kernel, points, targets):
    factor = Factor(kernel.scaled(points, OWNER), kernel.noise)
    return Posterior(kernel, factor, OWNER, factor.solve(targets))


def test_means_and_variances_are_those_of_the_textbook():
    kernel = Kernel(np.array([0.5, 1.0, 2.0]), 0.01, 3.0)
    points, targets = points_of(16), np.random.default_rng(2).normal(size=16)
    known, new = (kernel.scaled(part, OWNER) for part in (points[:10], points[10:]))
    posterior = posterior_of(kernel, points[:10], targets[:10])
    posterior.add(points[10:13])
    posterior.add(points[13:])
    inverse = np.linalg.inv(correlation(known, known) + 0.01 * np.eye(10))
    cross = correlation(new, known)
    mean, deviation = posterior.predict()
    assert mean == pytest.approx(cross @ inverse @ targets[:10])
    assert deviation**2 == pytest.approx(3.0 * (1 - np.diag(cross @ inverse @ cross.T)))


def test_believing_is_evaluating_with_the_mean_as_answer():
    kernel = Kernel(np.array([0.5, 1.0, 2.0]), 0.01, 3.0)
    points, targets = points_of(16), np.random.default_rng(2).normal(size=10)
    posterior = posterior_of(kernel, points[:10], targets)
    posterior.add(points[10:13])
    posterior.believe(1)
    posterior.add(points[13:])
    posterior.believe(4)
    mean = posterior.predict()[0]
    believed = np.concatenate([targets, mean[[1, 4]]])
    again = posterior_of(kernel, points[[*range(10), 11, 14]], believed)
    again.add(points[10:])
    for ours, theirs in zip(posterior.predict(), again.predict(), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_kernels_are_fitted_again_only_as_designs_grow_in_number(monkeypatch):
    import archgym.agents._gaussian_process as module

    fits, fit = [], module.fit_kernel
    monkeypatch.setattr(module, "fit_kernel", lambda *a: (fits.append(len(a[1])), fit(*a))[1])
    points = points_of(30)
    targets = points @ np.arange(1.0, 1.0 + points.shape[1])
    targets -= targets.mean()
    process = GaussianProcess(OWNER, 100, 0.5)
    for n in range(8, 31, 2):
        posterior = process.update(points[:n], targets[:n], points[:0], np.random.default_rng(0))
    assert fits == [8, 16, 24]
    posterior.add(points)
    assert posterior.predict()[0] == pytest.approx(targets, abs=0.2)


def test_length_scales_that_are_cut_keep_an_effect_of_every_parameter():
    points = points_of(30)
    targets = np.cos(6.0 * points[:, 0])
    targets -= targets.mean()
    free, cut = (fit_kernel(points, targets, OWNER, cut=each).weights for each in (False, True))
    median = np.exp(-2.0 * (2.0**0.5 + 0.5 * np.log(len(SPACE))))
    assert (free[1:] < 0.8 * median).any()
    assert (cut >= median * (1.0 - 1e-9)).all()
    assert cut[0] == cut.max() > 10.0 * median


def test_a_limited_model_keeps_the_best_designs():
    targets = np.random.default_rng(0).normal(size=100)
    kept = subset(targets, 20, np.random.default_rng(1))
    assert len(set(kept.tolist())) == 20
    assert set(np.argsort(-targets)[:10].tolist()) <= set(kept.tolist())
    assert subset(targets, 100, np.random.default_rng(1)).tolist() == list(range(100))
