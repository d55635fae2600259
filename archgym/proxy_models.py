"""What models see of designs and of metrics, and how scikit-learn trains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray
from archgym.proxy_arrays import Forest, Inputs, Model, Network, Process
from archgym.space import DesignSpace, IntArray

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "extra-trees": {"n_estimators": 50},
    "random-forest": {"n_estimators": 50, "max_features": 0.5},
    "gradient-boosting": {
        "max_iter": 400,
        "learning_rate": 0.15,
        "max_leaf_nodes": 63,
        "early_stopping": False,
    },
    "mlp": {
        "hidden_layer_sizes": [128, 128],
        "early_stopping": True,
        "max_iter": 200,
        "n_iter_no_change": 15,
    },
    "gp": {},
}
"""Models by name, with their settings in scikit-learn; the first is the default."""

GP_DESIGNS = 600
"""Most designs that a Gaussian process is fitted to: its time grows with their cube."""


def encode(space: DesignSpace, rows: IntArray) -> Inputs:
    """Returns what a model sees of designs, float32 `(n, k)` in [0, 1].

    An ordered parameter is one column, its index scaled to [0, 1]; a category is one column per
    value. A parameter without effect is 0 throughout.
    """
    active = space.active(rows)
    columns = []
    for j, parameter in enumerate(space.parameters):
        count = len(parameter.values)
        if parameter.ordered:
            column = rows[:, j : j + 1] / max(count - 1, 1)
        else:
            column = (rows[:, j : j + 1] == np.arange(count)).astype(np.float64)
        columns.append(column * active[:, j : j + 1])
    return np.ascontiguousarray(np.concatenate(columns, axis=1), np.float32)


class Scale:
    """How a metric's values become what a model predicts: a logarithm or not, mean 0, spread 1.

    Args:
        log: whether the logarithm is taken.
        mean: of the values, after the logarithm.
        spread: their standard deviation.
    """

    def __init__(self, log: bool, mean: float, spread: float) -> None:
        self.log, self.mean, self.spread = log, mean, spread

    @classmethod
    def of(cls, values: FloatArray) -> Scale:
        """Chooses a scale: the logarithm of positive values that span more than a decade."""
        log = bool(values.min() > 0 and values.max() > 10 * values.min())
        told = np.log(values) if log else values
        return cls(log, float(told.mean()), float(told.std()) or 1.0)

    def to(self, values: FloatArray) -> FloatArray:
        """Returns what a model learns of values of the metric."""
        told = np.log(values) if self.log else values
        return np.asarray((told - self.mean) / self.spread)

    def back(self, predicted: FloatArray) -> FloatArray:
        """The inverse of `to`."""
        told = predicted * self.spread + self.mean
        return np.asarray(np.exp(told) if self.log else told, np.float64)

    def describe(self) -> dict[str, Any]:
        """Returns the scale as plain data; `Scale(**mapping)` builds it again."""
        return {"log": self.log, "mean": self.mean, "spread": self.spread}


def fitted(name: str, inputs: Inputs, targets: FloatArray, seed: int) -> Model:
    """Returns a model that has learned from designs; a Gaussian process from a part of them.

    Args:
        name: one of `SETTINGS`.
        inputs: rows of `encode`.
        targets: what to predict `(n,)`.
        seed: of everything that it draws.
    """
    settings: dict[str, Any] = {**SETTINGS[name], "random_state": seed}
    if name == "gp":
        return _process(inputs, targets, settings)
    if name == "mlp":
        return _network(inputs, targets, settings)
    if name == "gradient-boosting":
        return _boosted(inputs, targets, settings)
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    kind = ExtraTreesRegressor if name == "extra-trees" else RandomForestRegressor
    trees = [each.tree_ for each in kind(**settings).fit(inputs, targets).estimators_]
    return _forest(trees, [tree.value[:, 0, 0] for tree in trees], inputs.shape[1])


def fitted_rule(inputs: Inputs, broken: npt.NDArray[np.bool_], seed: int) -> Model:
    """Returns a model of the probability that designs break a rule of the cost model."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(n_estimators=50, random_state=seed).fit(inputs, broken)
    trees = [each.tree_ for each in model.estimators_]
    if len(model.classes_) == 1:
        return _forest(
            trees, [np.full(t.node_count, float(broken[0])) for t in trees], inputs.shape[1]
        )
    shares = [tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1) for tree in trees]
    return _forest(trees, shares, inputs.shape[1])


def _forest(trees: Sequence[Any], values: Sequence[FloatArray], inputs: int) -> Forest:
    """Returns trees of scikit-learn as arrays, with the values of their leaves."""
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]

    def moved(name: str) -> IntArray:
        parts = [getattr(tree, name) for tree in trees]
        shifted = [np.where(p < 0, -1, p + s) for p, s in zip(parts, starts, strict=True)]
        return np.concatenate(shifted)

    return Forest(
        {
            "starts": starts,
            "left": moved("children_left"),
            "right": moved("children_right"),
            "feature": np.concatenate([tree.feature for tree in trees]),
            "threshold": np.concatenate([tree.threshold for tree in trees]),
            "value": np.concatenate(values),
            "base": np.array(0.0),
            "factor": np.array(1.0 / len(trees)),
        },
        inputs,
    )


def _boosted(inputs: Inputs, targets: FloatArray, settings: Mapping[str, Any]) -> Forest:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(**settings).fit(inputs, targets)
    trees = [predictor.nodes for each in model._predictors for predictor in each]
    starts = np.cumsum([0, *map(len, trees)])[:-1]

    def moved(name: str) -> IntArray:
        shifted = [
            np.where(nodes["is_leaf"] == 1, -1, nodes[name].astype(np.int64) + start)
            for nodes, start in zip(trees, starts, strict=True)
        ]
        return np.concatenate(shifted)

    nodes = np.concatenate(trees)
    return Forest(
        {
            "starts": starts,
            "left": moved("left"),
            "right": moved("right"),
            "feature": nodes["feature_idx"],
            "threshold": nodes["num_threshold"],
            "value": nodes["value"],
            "base": np.array(float(np.ravel(model._baseline_prediction)[0])),
            "factor": np.array(1.0),
        },
        inputs.shape[1],
    )


def _network(inputs: Inputs, targets: FloatArray, settings: Mapping[str, Any]) -> Network:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    # Early stopping holds out a tenth, of which a few designs leave nothing.
    few = {} if len(inputs) >= 100 else {"early_stopping": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPRegressor(**{**settings, **few}).fit(inputs.astype(float), targets)
    layers = {f"weights-{i}": each for i, each in enumerate(model.coefs_)}
    layers |= {f"biases-{i}": each for i, each in enumerate(model.intercepts_)}
    return Network(layers, inputs.shape[1])


def _process(inputs: Inputs, targets: FloatArray, settings: Mapping[str, Any]) -> Process:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if len(inputs) > GP_DESIGNS:
        rng = np.random.default_rng(settings["random_state"])
        chosen = rng.choice(len(inputs), GP_DESIGNS, replace=False)
        inputs, targets = inputs[chosen], targets[chosen]
    width = inputs.shape[1]
    matern = Matern(np.ones(width), (1e-2, 1e3), nu=2.5)
    kernel = ConstantKernel(1.0) * matern + WhiteKernel(1e-4, (1e-9, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianProcessRegressor(kernel, **settings).fit(inputs.astype(float), targets)
    signal = model.kernel_.k1
    scales = np.broadcast_to(signal.k2.length_scale, width)
    weights = signal.k1.constant_value * model.alpha_.reshape(-1)
    return Process({"points": inputs / scales, "weights": weights, "scales": scales}, width)
