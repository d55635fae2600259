"""The compiled walk through decision trees; imported when a forest predicts."""

from __future__ import annotations

import numba
import numpy as np

from archgym.metric import FloatArray


@numba.njit(cache=True, nogil=True)
def leaf_sums(
    inputs: FloatArray,
    starts: FloatArray,
    left: FloatArray,
    right: FloatArray,
    feature: FloatArray,
    threshold: FloatArray,
    value: FloatArray,
) -> FloatArray:
    """Returns the sum over all trees of the value of the leaf that each row falls into `(n,)`.

    Args:
        inputs: float32 `(n, k)`.
        starts: where each tree's nodes begin; its first node is the root.
        left: per node the child for inputs up to the threshold, -1 in leaves.
        right: per node the other child.
        feature: per node the column that is compared.
        threshold: per node what it is compared with.
        value: per node the prediction.
    """
    total = np.zeros(len(inputs))
    for i in range(len(inputs)):
        for start in starts:
            node = start
            while left[node] >= 0:
                node = left[node] if inputs[i, feature[node]] <= threshold[node] else right[node]
            total[i] += value[node]
    return total
