"""The models that proxies are made of, as plain arrays.

A trained model is nothing but arrays (the nodes of its trees, the weights of its layers), saved
with NumPy and read with pickle switched off: a file cannot hold code, and does not depend on the
version of the library that trained it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray

Inputs = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]

_BLOCK = 64
_MAX_VALUES = 2**28


class Model(Protocol):
    """What predicts a metric on its scale."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """Returns predictions `(n,)` for rows of `encode`, the same for a row in every batch."""
        ...

    def arrays(self) -> Arrays:
        """Returns what is saved."""
        ...


class Forest:
    """Decision trees whose leaves are averaged or added up.

    Args:
        arrays: `starts` (a tree each), and per node `left`, `right` (children; `left` is -1 in
            leaves), `feature`, `threshold`, `value`; `base` and `factor` turn the sum of the leaves
            into the prediction.
        inputs: number of columns that the trees may ask for.

    Raises:
        ValueError: for arrays that are no trees: the compiled walk would not end, or leave them.
    """

    NAMES = ("starts", "left", "right", "feature", "threshold", "value", "base", "factor")

    def __init__(self, arrays: Arrays, inputs: int) -> None:
        def column(name: str, kind: type) -> npt.NDArray[Any]:
            return np.ascontiguousarray(arrays[name], kind).reshape(-1)

        self.starts = column("starts", np.int64)
        self.left, self.right = column("left", np.int32), column("right", np.int32)
        self.feature = column("feature", np.int32)
        self.threshold, self.value = column("threshold", float), column("value", float)
        self.base, self.factor = float(arrays["base"]), float(arrays["factor"])
        count = len(self.left)
        each = (self.right, self.feature, self.threshold, self.value)
        if any(len(column) != count for column in each) or len(self.starts) == 0:
            raise ValueError("holds damaged trees")
        inner = np.flatnonzero(self.left != -1)
        for child in (self.left[inner], self.right[inner]):
            if ((child <= inner) | (child >= count)).any():
                raise ValueError("holds damaged trees")
        features = self.feature[inner]
        if ((features < 0) | (features >= inputs)).any() or (
            (self.starts < 0) | (self.starts >= count)
        ).any():
            raise ValueError("holds damaged trees")

    def predict(self, inputs: Inputs) -> FloatArray:
        """Returns predictions `(n,)`."""
        from archgym.forest_kernel import leaf_sums

        sums: FloatArray = leaf_sums(
            np.ascontiguousarray(inputs, np.float32),
            *(self.starts, self.left, self.right, self.feature, self.threshold, self.value),
        )
        return self.base + self.factor * sums

    def arrays(self) -> Arrays:
        """Returns what is saved."""
        return {name: np.asarray(getattr(self, name)) for name in self.NAMES}


def _in_blocks(inputs: Inputs, predict: Any) -> FloatArray:
    """Predicts in blocks of one size, on which the order of a matrix product's sums depends."""
    count = len(inputs)
    filled = np.zeros((-(-count // _BLOCK) * _BLOCK, inputs.shape[1]))
    filled[:count] = inputs
    parts = [predict(filled[i : i + _BLOCK]) for i in range(0, len(filled), _BLOCK)]
    return np.concatenate(parts)[:count] if parts else np.zeros(0)


class Network:
    """Layers of rectified linear units and a linear one.

    Args:
        arrays: `weights-I` and `biases-I` per layer.
        inputs: number of columns that it sees.

    Raises:
        ValueError: for layers that do not fit each other.
    """

    def __init__(self, arrays: Arrays, inputs: int) -> None:
        count = sum(name.startswith("weights-") for name in arrays)
        self.layers = [
            tuple(np.asarray(arrays[f"{part}-{i}"], float) for part in ("weights", "biases"))
            for i in range(count)
        ]
        width = inputs
        for weights, biases in self.layers:
            if weights.shape != (width, len(biases)):
                raise ValueError("holds layers that do not fit each other")
            width = len(biases)
        if width != 1 or not self.layers:
            raise ValueError("holds layers that do not fit each other")

    def predict(self, inputs: Inputs) -> FloatArray:
        """Returns predictions `(n,)`."""

        def through(values: FloatArray) -> FloatArray:
            for i, (weights, biases) in enumerate(self.layers):
                values = values @ weights + biases
                if i + 1 < len(self.layers):
                    values = np.maximum(values, 0.0)
            return values[:, 0]

        return _in_blocks(inputs, through)

    def arrays(self) -> Arrays:
        """Returns what is saved."""
        return {
            f"{part}-{i}": values
            for i, layer in enumerate(self.layers)
            for part, values in zip(("weights", "biases"), layer, strict=True)
        }


class Process:
    """The mean of a Gaussian process with a Matérn 5/2 kernel, a length scale per column.

    (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.25, 4.17.)

    Args:
        arrays: `points` `(m, k)` divided by the length scales, `weights` `(m,)` with the kernel's
            amplitude, `scales` `(k,)`.
        inputs: number of columns that it sees.

    Raises:
        ValueError: for arrays that do not fit each other.
    """

    def __init__(self, arrays: Arrays, inputs: int) -> None:
        self.points, self.weights, self.scales = (
            np.asarray(arrays[name], float) for name in ("points", "weights", "scales")
        )
        if self.points.shape != (len(self.weights), inputs) or self.scales.shape != (inputs,):
            raise ValueError("holds points that do not fit the design space")

    def predict(self, inputs: Inputs) -> FloatArray:
        """Returns predictions `(n,)`."""
        from scipy.spatial.distance import cdist

        def mean(values: FloatArray) -> FloatArray:
            distance = np.sqrt(5.0) * cdist(values / self.scales, self.points)
            kernel = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
            return np.asarray(kernel @ self.weights)

        return _in_blocks(inputs, mean)

    def arrays(self) -> Arrays:
        """Returns what is saved."""
        return {name: getattr(self, name) for name in ("points", "weights", "scales")}


_KINDS: Mapping[str, type[Forest] | type[Network] | type[Process]] = {
    "mlp": Network,
    "gp": Process,
}


def save_model(model: Model, path: Path) -> None:
    """Writes a model's arrays, compressed."""
    arrays: dict[str, Any] = dict(model.arrays())
    np.savez_compressed(path, **arrays)


def load_model(path: Path, name: str, inputs: int) -> Model:
    """Reads a model; nothing in its file can be executed.

    Args:
        path: of the file.
        name: the sort of model that is expected, one of `SETTINGS`.
        inputs: number of columns that it must see.

    Raises:
        ValueError: for a file that is no such model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > 8 * _MAX_VALUES:
                raise ValueError(f"holds more than {_MAX_VALUES:,} numbers")
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return _KINDS.get(name, Forest)(arrays, inputs)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: is no model of a proxy ({text})") from None
