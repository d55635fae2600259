"""GPTQ, AWQ, SmoothQuant, sorted channels and caches of keys and values."""

import re

import numpy as np
import pytest

from archgym.cost_models import numerics

RNG = np.random.default_rng(0)


def layer(rows: int = 24, n: int = 64, samples: int = 300):
    """A weight, and correlated inputs of which two channels are large."""
    rng = np.random.default_rng(5)
    mixing = np.eye(n) + rng.standard_normal((n, n)) / np.sqrt(n)
    inputs = (rng.standard_normal((samples, n)) @ mixing).astype(np.float32)
    inputs[:, :2] *= 10
    return rng.standard_normal((rows, n)).astype(np.float32), numerics.calibrate(inputs)


def reference_gptq(weight, calibration, fmt, damping=0.01):
    """Optimal brain quantization in order, with an inverse for every step; groups are rows."""
    w = weight.astype(np.float64)
    hessian = 2 * calibration.second_moment
    hessian = hessian + np.eye(len(hessian)) * damping * np.diag(hessian).mean()
    parameters = fmt.fit(weight, 1.0)
    for i in range(w.shape[1]):
        inverse = np.linalg.inv(hessian[i:, i:])
        column = np.ascontiguousarray(w[:, i : i + 1], np.float32)
        rounded = fmt.restore(fmt.encode(column, parameters), parameters)[:, 0]
        error = (w[:, i] - rounded) / inverse[0, 0]
        w[:, i + 1 :] -= np.outer(error, inverse[0, 1:])
        w[:, i] = rounded
    return w


@pytest.mark.parametrize("name", ["int3", "int4-asym", "nf4", "bitmod3"])
def test_gptq_is_optimal_brain_quantization_in_order(name) -> None:
    weight, calibration = layer(8, 24)
    fmt = numerics.parse(name)
    codes = numerics.gptq(weight, calibration, fmt)
    assert fmt.decode(codes) == pytest.approx(reference_gptq(weight, calibration, fmt), abs=1e-6)


@pytest.mark.parametrize("by_activation", [False, True])
@pytest.mark.parametrize(
    ("name", "group"),
    [("int3", "channel"), ("int3", 16), ("int4-asym", "tensor"), ("bitmod3", 32), ("mxfp4", None),
     ("nvfp4", None), ("ternary-twn", 64), ("fp4", 16), ("bint3", 32), ("bfp4", 16)],
)  # fmt: skip
def test_gptq_changes_outputs_less_than_rounding(name, group, by_activation) -> None:
    weight, calibration = layer()
    fmt = numerics.parse(name)
    codes = numerics.gptq(weight, calibration, fmt, group, by_activation=by_activation)
    plain = fmt.codes(weight, group)
    assert codes.elements.shape == plain.elements.shape
    assert codes.parameters.scales.shape == plain.parameters.scales.shape
    found = calibration.output_error(fmt.decode(codes) - weight)
    assert found < 0.7 * calibration.output_error(fmt.decode(plain) - weight)


def test_gptq_rounds_to_nearest_where_inputs_do_not_correlate() -> None:
    weight = RNG.standard_normal((6, 300)).astype(np.float32)
    inputs = np.concatenate([np.eye(300), np.zeros((1, 300))])
    inputs[7] = 0  # an input channel that is always zero
    calibration = numerics.calibrate(inputs)
    for name, group in (("int4", 50), ("nf4", "tensor"), ("mxfp4", None)):
        fmt = numerics.parse(name)
        for by_activation in (False, True):
            codes = numerics.gptq(weight, calibration, fmt, group, by_activation=by_activation)
            assert np.array_equal(fmt.decode(codes), fmt.quantize(weight, group))


def test_awq_takes_the_exponent_with_the_least_output_error() -> None:
    weight, calibration = layer()
    fmt = numerics.parse("int3")
    found = numerics.awq(weight, calibration, fmt, 32)
    plain = calibration.output_error(fmt.quantize(weight, 32) - weight)
    assert found.output_errors[0] == pytest.approx(plain)
    assert min(found.output_errors) < 0.8 * plain
    assert found.exponent == np.argmin(found.output_errors) / 20 > 0
    assert calibration.output_error(found.weight - weight) == min(found.output_errors)
    # The channels with large inputs are the ones that are scaled up most.
    assert set(np.argsort(found.factors)[-2:]) == {0, 1}
    assert numerics.awq(weight, calibration, fmt, 32, steps=1).exponent == 0


def test_output_errors_are_those_of_the_inputs() -> None:
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((50, 8)).astype(np.float32)
    change = rng.standard_normal((5, 8)).astype(np.float32)
    direct = np.square(inputs @ change.T).sum(axis=1).mean()
    assert numerics.calibrate(inputs).output_error(change) == pytest.approx(direct, rel=1e-5)


def test_smoothing_keeps_the_product_and_undoes_scaled_channels() -> None:
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((10, 16)).astype(np.float32)
    inputs = rng.standard_normal((40, 16)).astype(np.float32)
    inputs[:, 4] = 0
    absmax = np.abs(inputs).max(axis=0)
    plain = numerics.smooth(weight, absmax, 0.5)
    assert plain.factors[4] == 1
    product = (inputs / plain.factors) @ plain.weight.T
    assert product == pytest.approx(inputs @ weight.T, abs=1e-4)
    assert np.abs(inputs / plain.factors).max(axis=0) == pytest.approx(
        np.where(absmax > 0, np.abs(plain.weight).max(axis=0), 0), rel=1e-5
    )
    injected = np.where(np.arange(16) == 2, 128, 1).astype(np.float32)
    found = numerics.smooth(weight / injected, absmax * injected, 0.5)
    assert found.weight == pytest.approx(plain.weight, rel=1e-5)
    assert found.factors == pytest.approx(plain.factors * injected, rel=1e-5)


def test_sorted_channels_spare_the_small_ones() -> None:
    # Published: blocks that hold large channels cost the others their digits; sorting puts the
    # large ones together, which helps the more the smaller the blocks.
    x = np.random.default_rng(4).standard_normal((2000, 128)).astype(np.float32)
    large = np.random.default_rng(5).choice(128, 6, replace=False)
    x[:, large] *= 16
    order = numerics.channel_order(x)
    assert set(order[-6:]) == set(large)
    rest = np.setdiff1d(np.arange(128), large)
    for name, expected in (("bfp4", (3.2, 2.4, 1.6)), ("bfp6", (2.5, 1.9, 1.4))):
        fmt, gains = numerics.parse(name), []
        for group in (16, 32, 64):
            plain = np.square(fmt.quantize(x, group) - x)[:, rest].mean()
            in_order = numerics.quantize_in_order(fmt, x, order, group)
            gains.append(plain / np.square(in_order - x)[:, rest].mean())
        assert gains == sorted(gains, reverse=True)
        assert min(gains) > 1
        assert gains == pytest.approx(expected, rel=0.06)


def test_keys_by_channel_stand_channels_that_are_always_large() -> None:
    keys = np.random.default_rng(6).standard_normal((2, 100, 16)).astype(np.float32)
    keys[:, :, 3] += 20
    by_token = numerics.KvCache("int2-min").quantize_keys(keys)
    by_channel = numerics.KvCache("int2-min", keys="channel").quantize_keys(keys)
    assert np.square(by_channel - keys).mean() < np.square(by_token - keys).mean() / 4
    # 100 tokens are three groups of 32 and four in float16.
    assert np.array_equal(by_channel[:, 96:], keys[:, 96:].astype(np.float16))
    one = numerics.parse("int2-min").quantize(keys[1, 32:64, 5][None])
    assert np.array_equal(by_channel[1, 32:64, 5], one[0])


def test_values_are_rounded_by_token() -> None:
    values = np.random.default_rng(7).standard_normal((2, 40, 64)).astype(np.float32)
    fmt = numerics.parse("int4-asym")
    for cache in (
        numerics.KvCache("int4-asym", group=32),
        numerics.KvCache("int4-asym", keys="channel", residual=4),
    ):
        found = cache.quantize_values(values)
        first = cache.rounded_tokens(40)
        for token in range(first):
            rows = values[1, token].reshape(2, 32)
            assert np.array_equal(found[1, token], fmt.quantize(rows).reshape(-1))
        assert np.array_equal(found[:, first:], values[:, first:].astype(np.float16))
    assert numerics.KvCache("int4-asym", keys="channel", residual=4).rounded_tokens(40) == 32


def test_bits_of_caches() -> None:
    # Two bits, and 16 + 2 for each group.
    assert numerics.KvCache("int2-asym").bits(4, 64, 32) == 2 * 4 * 64 * (32 * 2 + 18)
    by_channel = numerics.KvCache("int2-asym", keys="channel")
    assert by_channel.bits(4, 64, 32) == 2 * 4 * 64 * (32 * 2 + 18)
    assert by_channel.bits(4, 31, 32) == 2 * 4 * 31 * 32 * 16
    kept = numerics.KvCache("int2-asym", keys="channel", residual=16)
    assert kept.rounded_tokens(100) == 64
    assert kept.bits(1, 100, 32) == 2 * (64 * (32 * 2 + 18) + 36 * 32 * 16)
    assert numerics.KvCache("mxfp4").bits(4, 64, 32) == 2 * 4 * 64 * (32 * 4 + 8)
    assert numerics.KvCache("fp16").bits(4, 64, 32) == 2 * 4 * 64 * 32 * 16


def test_plane_products() -> None:
    assert numerics.plane_products("bint6", "bint6") == 36
    assert numerics.plane_products("bint6", "bint8") == 48


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: numerics.smooth(np.eye(2), [1, 1], 1.5), "alpha: 1.5 is not in [0, 1]"),
        (lambda: numerics.smooth(np.eye(2), [1, 1, 1], 0.5), "shape (3,) for 2 input channels"),
        (lambda: numerics.smooth(np.eye(2), [1, np.inf], 0.5), "negative or not finite"),
        (lambda: numerics.calibrate([[1, np.nan]]), "inputs: nan in row 0, column 1"),
        (lambda: numerics.gptq(np.eye(3), layer()[1], numerics.parse("int4")), "calibration: 64"),
        (
            lambda: numerics.gptq(*layer(), numerics.parse("olive4")),
            "olive4 rounds values together",
        ),
        (lambda: numerics.gptq(*layer(), numerics.parse("int4"), 60), "60 does not divide"),
        (lambda: numerics.gptq(*layer(), numerics.parse("int4"), damping=0), "not positive"),
        (lambda: numerics.awq(*layer(), numerics.parse("int4"), steps=0), "not at least 1"),
        (lambda: numerics.KvCache("int3-asim"), "did you mean 'int3-asym'?"),
        (lambda: numerics.KvCache("int4", keys="head"), "'head' is none of token, channel"),
        (lambda: numerics.KvCache("mxfp4", group=16), "blocks of 32"),
        (lambda: numerics.KvCache("int4").quantize_keys(np.ones((3, 4))), "keys: shape (3, 4)"),
        (lambda: numerics.plane_products("int6", "bint6"), "weight: 'int6' is none of bint2"),
        (
            lambda: numerics.quantize_in_order(numerics.parse("int4"), np.eye(2), [0, 0]),
            "not a permutation of 2 columns",
        ),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
