"""One operator as the loop-nest model sees it: seven loop bounds and a sliding window.

A convolution is the loop nest over n, k, c, p, q, r, s of

    outputs[n, k, p, q] += weights[k, c, r, s]
                           * inputs[n, c, stride_h * p + dilation_h * r, stride_w * q + dilation_w *
                           s]

A matrix product of m x k by k x n is the one with P = m, K = n, C = k and all other bounds 1.
Groups are independent problems: evaluate one and count it as often as there are groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.operators import Product

IntArray = NDArray[np.int64]

DIMS = ("N", "K", "C", "P", "Q", "R", "S")
TENSORS = ("weights", "inputs", "outputs")
N, K, C, P, Q, R, S = range(7)
WEIGHTS, INPUTS, OUTPUTS = range(3)

# Which loops move which tensor, (tensor, dimension).
RELEVANT = np.array(
    [
        [False, True, True, False, False, True, True],
        [True, False, True, True, True, True, True],
        [True, True, False, True, True, False, False],
    ]
)


@dataclass(frozen=True)
class Problem:
    """Loop bounds and sliding window of an operator; padding is part of the input.

    Attributes:
        n: Batch.
        k: Output channels.
        c: Input channels, of one group.
        p: Output rows.
        q: Output columns.
        r: Filter rows.
        s: Filter columns.
        stride_h: Input rows from one output row to the next.
        stride_w: Input columns from one output column to the next.
        dilation_h: Input rows from one filter row to the next.
        dilation_w: Input columns from one filter column to the next.

    Raises:
        ValueError: If a size is not a positive integer.
    """

    n: int = 1
    k: int = 1
    c: int = 1
    p: int = 1
    q: int = 1
    r: int = 1
    s: int = 1
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise ValueError(f"problem: {field.name} is {value!r}, expected an integer >= 1")

    @classmethod
    def gemm(cls, m: int, n: int, k: int) -> Problem:
        """The product of an m x k by a k x n matrix; the second holds the weights."""
        return cls(k=n, c=k, p=m)

    @classmethod
    def of(cls, product: Product) -> Problem:
        """One of the products of an operator; it stands `product.batch` times."""
        p = product
        return cls(p.n, p.k, p.c, p.p, p.q, p.r, p.s, *p.stride, *p.dilation)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Loop bounds in the order of `DIMS`."""
        return (self.n, self.k, self.c, self.p, self.q, self.r, self.s)

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Strides and dilations: stride_h, stride_w, dilation_h, dilation_w."""
        return (self.stride_h, self.stride_w, self.dilation_h, self.dilation_w)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return math.prod(self.sizes)
