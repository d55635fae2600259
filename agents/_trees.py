"""Extremely randomised trees that are grown and asked by compiled code.

scikit-learn's are not used: for a hundred designs it spends a hundred times longer on the objects
of an ensemble than on its trees, and a forest is grown anew for every batch of designs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray
from archgym.space import IntArray

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Forest:
    """Regression trees of `k` targets.

    Attributes:
        feature: what each node asks `(trees, nodes)`; -1 at leaves.
        threshold: inputs up to it go to the first child `(trees, nodes)`.
        child: number of the first child, the other one follows it `(trees, nodes)`.
        mean: of the targets at the node `(trees, nodes, k)`.
        variance: of the first target at the node `(trees, nodes)`.
    """

    feature: IntArray
    threshold: Features
    child: IntArray
    mean: FloatArray
    variance: FloatArray

    def leaves(self, inputs: Features) -> IntArray:
        """Returns the node that each input `(n, p)` ends at in each tree `(n, trees)`."""
        return np.asarray(_leaves(self.feature, self.threshold, self.child, inputs))

    def at(self, leaves: IntArray) -> tuple[FloatArray, FloatArray]:
        """Returns `mean` `(n, trees, k)` and `variance` `(n, trees)` at leaves `(n, trees)`."""
        trees = np.arange(leaves.shape[1])
        return self.mean[trees, leaves], self.variance[trees, leaves]


def grow_forest(
    inputs: Features,
    targets: FloatArray,
    trees: int,
    leaf: int,
    features: float,
    rng: np.random.Generator,
    offsets: FloatArray | None = None,
) -> Forest:
    """Grows extremely randomised trees (Geurts, Ernst and Wehenkel 2006).

    Every tree sees all inputs. A node draws a threshold for each of some random features and takes
    the one that leaves the least squared error, summed over the targets.

    Args:
        inputs: `(n, p)`, at least one.
        targets: `(n, k)`.
        trees: number of trees.
        leaf: least number of inputs in a leaf.
        features: share of the `p` features that a node chooses from; constant ones do not count.
        rng: where features and thresholds are drawn from.
        offsets: what each tree's first target is less by `(trees, n)`, 0 if left out.
    """
    tries = max(1, int(features * inputs.shape[1]))
    if offsets is None:
        offsets = np.zeros((trees, len(inputs)))
    return Forest(*_grow(np.ascontiguousarray(inputs.T), targets, offsets, leaf, tries, rng))


@numba.njit(cache=True, nogil=True)
def _grow(
    inputs: Features,
    common: FloatArray,
    offsets: FloatArray,
    leaf: int,
    tries: int,
    rng: np.random.Generator,
) -> tuple[IntArray, Features, IntArray, FloatArray, FloatArray]:
    p, n = inputs.shape
    trees, k = len(offsets), common.shape[1]
    capacity = 2 * n - 1
    feature = np.full((trees, capacity), -1, np.int64)
    threshold = np.zeros((trees, capacity), np.float32)
    child = np.zeros((trees, capacity), np.int64)
    mean = np.zeros((trees, capacity, k))
    variance = np.zeros((trees, capacity))
    bounds = np.zeros((capacity, 2), np.int64)
    order, columns = np.arange(n), np.arange(p)
    targets = common.copy()
    for t in range(trees):
        targets[:, 0] = common[:, 0] - offsets[t]
        bounds[0] = 0, n
        nodes, node = 1, 0
        while node < nodes:
            start, stop = bounds[node]
            spread = 0.0
            for j in range(k):
                total = squares = 0.0
                for i in order[start:stop]:
                    total += targets[i, j]
                for i in order[start:stop]:
                    squares += (targets[i, j] - total / (stop - start)) ** 2
                mean[t, node, j] = total / (stop - start)
                spread += squares
                if j == 0:
                    variance[t, node] = squares / (stop - start)
            if spread > 0.0 and stop - start >= 2 * leaf:
                rows = order[start:stop]
                column, cut = _split(
                    inputs, targets, rows, mean[t, node], leaf, tries, columns, rng
                )
                if column >= 0:
                    middle = start
                    for i in range(start, stop):
                        if inputs[column, order[i]] <= cut:
                            order[middle], order[i] = order[i], order[middle]
                            middle += 1
                    feature[t, node], threshold[t, node], child[t, node] = column, cut, nodes
                    bounds[nodes] = start, middle
                    bounds[nodes + 1] = middle, stop
                    nodes += 2
            node += 1
    return feature, threshold, child, mean, variance


@numba.njit(cache=True, nogil=True)
def _split(
    inputs: Features,
    targets: FloatArray,
    rows: IntArray,
    mean: FloatArray,
    leaf: int,
    tries: int,
    columns: IntArray,
    rng: np.random.Generator,
) -> tuple[int, np.float32]:
    """Returns feature and threshold of the best of some random splits, feature -1 for none."""
    best, at, chosen = -1, np.float32(0.0), -1.0
    p, tried = len(columns), 0
    errors = np.empty((len(mean), len(rows)))
    for j in range(len(mean)):
        for r, i in enumerate(rows):
            errors[j, r] = targets[i, j] - mean[j]
    values = np.empty(len(rows), np.float32)
    for first in range(p):
        other = first + int(rng.random() * (p - first))
        columns[first], columns[other] = columns[other], columns[first]
        column = columns[first]
        low = high = inputs[column, rows[0]]
        for r, i in enumerate(rows):
            values[r] = inputs[column, i]
            low, high = min(low, values[r]), max(high, values[r])
        if low == high:
            continue
        # Rounding may give the largest value, beyond which nothing is.
        cut = np.float32(low + (high - low) * rng.random())
        cut = cut if cut < high else low
        inside = values <= cut
        count = inside.sum()
        rest = len(rows) - count
        if count >= leaf and rest >= leaf:
            fall = 0.0
            for j in range(len(mean)):
                total = 0.0
                for r in range(len(rows)):
                    total += inside[r] * errors[j, r]
                fall += total * total
            fall *= 1.0 / count + 1.0 / rest
            if fall > chosen:
                best, at, chosen = column, cut, fall
        tried += 1
        if tried == tries:
            break
    return best, at


@numba.njit(cache=True, nogil=True)
def _leaves(feature: IntArray, threshold: Features, child: IntArray, inputs: Features) -> IntArray:
    leaves = np.zeros((len(inputs), len(feature)), np.int64)
    for t in range(len(feature)):
        for i in range(len(inputs)):
            node = 0
            while feature[t, node] >= 0:
                right = inputs[i, feature[t, node]] > threshold[t, node]
                node = child[t, node] + right
            leaves[i, t] = node
    return leaves
