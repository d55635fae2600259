"""The parts of a decoder between its matrix products, compiled: each passes once over its arrays.

All take C-contiguous float32 arrays and write into arrays of the caller.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from archgym.cost_models.jit import forget_stale_kernels, inlined, reducing, vectorising
from archgym.cost_models.measured.arrays import Array, Doubles, Ids

forget_stale_kernels(Path(__file__).parent)

_ZERO = np.float32(0.0)
# exp(x) = 2^k exp(r), k = round(x / ln 2), r = x - k ln 2: adding 1.5 * 2^23 rounds to an integer
# and leaves it in the low bits; ln 2 in two parts keeps r exact (Cody and Waite, 1980).
_PER_LN2 = np.float32(1.4426950408889634)
_ROUNDER = np.float32(12582912.0)
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(1.428606765330187e-06)
_C2, _C3, _C4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_C5, _C6, _ONE = np.float32(1 / 120), np.float32(1 / 720), np.float32(1.0)
# Products with exp(-80) are still normal numbers; others cost a hundred times the time.
_MIN, _MAX = np.float32(-80.0), np.float32(88.0)
_BIAS = np.int32(127 - 0x4B400000)
_MANTISSA_BITS, _SIGN_BIT = np.int32(23), np.int32(31)
_MAGNITUDE = np.int32(0x7FFFFFFF)


@inlined
def exponential(x: np.float32) -> np.float32:
    """exp(x) within 3e-7 relative for x in [-80, 88], the nearer end beyond; vectorises."""
    x = min(max(x, _MIN), _MAX)
    shifted = x * _PER_LN2 + _ROUNDER
    k = shifted - _ROUNDER
    r = x - k * _LN2_HIGH
    r = r - k * _LN2_LOW
    p = _C6 * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * r + _ONE
    p = p * r + _ONE
    # The exponent field of 2^k, from the low bits of the shifted number.
    field = np.int32(np.int32(np.float32(shifted).view(np.int32) + _BIAS) << _MANTISSA_BITS)
    return np.float32(p * np.int32(field).view(np.float32))


@inlined
def ordered(bits: np.int32) -> np.int32:
    """Integers in the order of the floats whose bits they are; its own inverse."""
    return np.int32(bits ^ np.int32(np.int32(bits >> _SIGN_BIT) & _MAGNITUDE))


@inlined
def maximum(x: Array) -> np.float32:
    """The largest number of a row, found among integers, which compilers vectorise."""
    top = ordered(np.float32(x[0]).view(np.int32))
    for j in range(x.shape[0]):
        bits = ordered(np.float32(x[j]).view(np.int32))
        top = bits if bits > top else top
    return np.int32(ordered(top)).view(np.float32)


@reducing
def sum_of_squares(x: Array) -> np.float32:
    """Sum of the squares of a row."""
    total = _ZERO
    for j in range(x.shape[0]):
        total += x[j] * x[j]
    return total


@reducing
def exponentiate(x: Array, top: np.float32, scale: np.float32) -> np.float32:
    """exp((x - top) scale) in place of a row; returns the sum."""
    total = _ZERO
    for j in range(x.shape[0]):
        x[j] = exponential((x[j] - top) * scale)
        total += x[j]
    return total


@reducing
def sum_of_exponentials(x: Array, top: np.float32) -> np.float32:
    """Sum of exp(x - top) over a row."""
    total = _ZERO
    for j in range(x.shape[0]):
        total += exponential(x[j] - top)
    return total


@reducing
def product_sum(x: Array, y: Array) -> float:
    """Sum of the products of two rows."""
    total = 0.0
    for j in range(x.shape[0]):
        total += np.float64(x[j]) * np.float64(y[j])
    return total


@reducing
def total_of(x: Array) -> float:
    """Sum of a row."""
    total = 0.0
    for j in range(x.shape[0]):
        total += np.float64(x[j])
    return total


@inlined
def log_sum_exp(x: Array) -> float:
    """Logarithm of the sum of exp over a row."""
    top = maximum(x)
    return np.float64(top) + math.log(np.float64(sum_of_exponentials(x, top)))


@vectorising
def rms_norm(x: Array, gain: Array, epsilon: np.float32, out: Array) -> None:
    """`out` = x / sqrt(mean(x^2) + epsilon) * gain over the last axis of (n, width)."""
    n, width = x.shape
    for i in range(n):
        mean = sum_of_squares(x[i]) / np.float32(width)
        scale = _ONE / np.float32(math.sqrt(mean + epsilon))
        for j in range(width):
            out[i, j] = x[i, j] * scale * gain[j]


@vectorising
def add_rms_norm(
    x: Array, y: Array, gain: Array, epsilon: np.float32, total: Array, out: Array
) -> None:
    """`total` = x + y, all (n, width), and `out` = `rms_norm` of it, in one pass."""
    n, width = x.shape
    for i in range(n):
        for j in range(width):
            total[i, j] = x[i, j] + y[i, j]
        mean = sum_of_squares(total[i]) / np.float32(width)
        scale = _ONE / np.float32(math.sqrt(mean + epsilon))
        for j in range(width):
            out[i, j] = total[i, j] * scale * gain[j]


@vectorising
def rotate(x: Array, cos: Array, sin: Array, heads: int) -> None:
    """Rotary positions in place: x (n, heads * 2 half), cos and sin (context, half).

    Row i is at position i modulo the context; a head's halves are the rotated pairs.
    """
    n = x.shape[0]
    context, half = cos.shape
    for i in range(n):
        position = i % context
        for head in range(heads):
            first = head * 2 * half
            for j in range(half):
                a, b = x[i, first + j], x[i, first + half + j]
                c, s = cos[position, j], sin[position, j]
                x[i, first + j] = a * c - b * s
                x[i, first + half + j] = b * c + a * s


@vectorising
def transpose_keys(by_token: Array, by_width: Array) -> None:
    """Keys (sequences, context, heads, width) into (sequences, heads, width, context)."""
    sequences, context, heads, width = by_token.shape
    for n in range(sequences):
        for head in range(heads):
            for i in range(context):
                for j in range(width):
                    by_width[n, head, j, i] = by_token[n, i, head, j]


@vectorising
def causal_softmax(scores: Array, scale: np.float32, queries: int) -> None:
    """Softmax in place of (matrices, context, context) scores times a scale, over columns <= row.

    Later columns become zero, up to the last row of as many as `queries` from a multiple of it;
    those after it are left as they are.
    """
    matrices, context, _ = scores.shape
    for m in range(matrices):
        for i in range(context):
            row = scores[m, i, : i + 1]
            inverse = _ONE / exponentiate(row, maximum(row), scale)
            for j in range(i + 1):
                row[j] *= inverse
            for j in range(i + 1, min(context, (i // queries + 1) * queries)):
                scores[m, i, j] = _ZERO


@vectorising
def swiglu(gate: Array, up: Array) -> None:
    """SwiGLU, gate / (1 + exp(-gate)) * up, in place of the gate; both (n, hidden)."""
    n, hidden = gate.shape
    for i in range(n):
        for j in range(hidden):
            g = gate[i, j]
            gate[i, j] = g / (_ONE + exponential(-g)) * up[i, j]


@vectorising
def reference_scores(logits: Array, probability: Array, entropy: Doubles, mass: Doubles) -> None:
    """What `score` needs of the unquantized network, from its logits (n, classes).

    Writes the probabilities (n, classes), the sum over classes of p log p (n), and the sum of the
    probabilities (n), which in float32 is not quite 1; the sums are float64.
    """
    for i in range(logits.shape[0]):
        normaliser = log_sum_exp(logits[i])
        for j in range(logits.shape[1]):
            probability[i, j] = exponential(logits[i, j] - np.float32(normaliser))
        mass[i] = total_of(probability[i])
        entropy[i] = product_sum(probability[i], logits[i]) - normaliser * mass[i]


@vectorising
def score(
    logits: Array,
    targets: Ids,
    probability: Array,
    entropy: Doubles,
    mass: Doubles,
    nll: Doubles,
    kl: Doubles,
) -> None:
    """Cross-entropy and divergence of rows of logits (n, classes), in nats, into float64 (n).

    With reference probabilities p and these q, KL(p || q) = sum p log p - sum p log q; only the
    second sum depends on the logits.
    """
    for i in range(logits.shape[0]):
        normaliser = log_sum_exp(logits[i])
        nll[i] = normaliser - np.float64(logits[i, targets[i]])
        kl[i] = entropy[i] - product_sum(probability[i], logits[i]) + normaliser * mass[i]
