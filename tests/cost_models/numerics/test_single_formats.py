"""What single formats do, against definitions worked out by hand."""

import numpy as np
import pytest

from archgym.cost_models import numerics
from archgym.cost_models.numerics.sqnr import sqnr_rows
from archgym.cost_models.numerics.validation import ML_DTYPES, validate


def test_noise_and_codes_are_those_of_other_implementations() -> None:
    checks = list(validate())
    assert [check.subject for check in checks if not check.passed] == []
    assert [check.subject for check in checks] == ["23 formats", "18 formats", *ML_DTYPES]
    # The search for its scale is ours, over more candidates: 19.1 and 17.1 there.
    (olive,) = sqnr_rows(("olive4",))
    assert 19.1 < olive.gaussian_db < 19.8
    assert 17.1 < olive.student_db < 18.0


def test_bits_cost_six_decibels() -> None:
    # A uniform step of range / 2^b: 6.02 dB a bit (Widrow and Kollar, Quantization Noise, 2008).
    rows = sqnr_rows(("bint8", "bint7", "bint6"))
    steps = -np.diff([row.gaussian_db for row in rows])
    assert steps == pytest.approx([6.02, 6.02], abs=0.15)


def test_microscaling_saturates_the_upper_quarter_of_an_octave() -> None:
    block = np.zeros((1, 32), np.float32)
    block[0, :3] = 7.9, 5.1, -0.3
    rounded = numerics.parse("mxfp4").quantize(block)[0, :3]
    assert rounded.tolist() == [6, 6, -0.5]
    assert numerics.parse("mxfp4-ceil").quantize(block)[0, :3].tolist() == [8, 6, 0]
    block[0, 0] = 1.999
    assert numerics.parse("mxint8").quantize(block[:, :1])[0, 0] == 127 / 64


def test_nvfp4_scales_blocks_in_e4m3_under_the_tensor() -> None:
    x = np.zeros((1, 48), np.float32)
    x[0, 0], x[0, 16], x[0, 32] = 6 * 448, 6 * 3.1, 1e-6
    codes = numerics.parse("nvfp4").codes(x)
    assert codes.parameters.tensor_scale == 1
    # 448; 3.1 is nearest to 3; the smallest scale for what is not zero.
    assert codes.parameters.scales.tolist() == [0x7E, 0x44, 1]
    assert numerics.parse("nvfp4").decode(codes)[0, [0, 16, 32]].tolist() == [2688, 18, 0]


def test_asymmetric_integers_keep_zero() -> None:
    fmt = numerics.parse("int4-asym")
    x = np.array([[0, 1, 2, 15]], np.float32)
    codes = fmt.codes(x)
    assert codes.elements.tolist() == [[0, 1, 2, 15]]
    assert codes.parameters.zeros.tolist() == [0]
    assert fmt.codes(x + 8).parameters.zeros.tolist() == [0]
    assert fmt.codes(-x).elements.tolist() == [[15, 14, 13, 0]]
    assert fmt.quantize(x - 4).tolist() == (x - 4).tolist()


def test_integers_above_a_minimum_need_not_reach_zero() -> None:
    x = np.array([[100, 101, 102, 103]], np.float32)
    assert numerics.parse("int2-min").quantize(x).tolist() == x.tolist()
    assert numerics.parse("int2-min").codes(-x).elements.tolist() == [[3, 2, 1, 0]]
    assert numerics.parse("int2-asym").codes(x).elements.tolist() == [[3, 3, 3, 3]]
    # Clipped around the middle.
    assert numerics.parse("int2-min").quantize(x, clip=0.5)[0, [0, 3]].tolist() == [100.75, 102.25]


def test_ties_of_integers_go_to_even() -> None:
    x = np.array([[7, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]], np.float32)
    assert numerics.parse("int4").quantize(x).tolist() == [[7, 0, 2, 2, 0, -2, -2]]


def test_bipolar_integers_are_sums_of_signed_bits() -> None:
    fmt = numerics.parse("bint3")
    x = np.array([[7, 5, 3, 1, -1, -3, -5, -7]], np.float32)
    codes = fmt.codes(x)
    assert np.array_equal(fmt.decode(codes), x)
    bits = (codes.elements[..., None] >> np.arange(3)) & 1
    assert np.array_equal((2 * bits - 1) @ (2 ** np.arange(3)), x)


def test_ternary_values() -> None:
    x = np.array([[4, 1, -1, 0.5, -3.5, 0]], np.float32)
    mean = 10 / 6
    assert numerics.parse("ternary").codes(x).elements.tolist() == [[1, 1, -1, 0, -1, 0]]
    assert numerics.parse("ternary").quantize(x)[0, 0] == pytest.approx(mean, rel=1e-3)
    assert numerics.parse("ternary-twn").codes(x).elements.tolist() == [[1, 0, 0, 0, -1, 0]]
    assert numerics.parse("ternary-twn").quantize(x)[0, 0] == 3.75


def test_an_outlier_takes_the_place_of_its_neighbour() -> None:
    fmt = numerics.parse("olive4")
    x = np.array([[1, 2, 3, 96, -48, 7, -5, 4] + [1, -2, 3, -4] * 8], np.float32)
    codes = fmt.codes(x)
    assert codes.parameters.scales.tolist() == [1]
    assert fmt.decode(codes)[0, :8].tolist() == [1, 2, 0, 96, -48, 0, -5, 4]
    assert codes.elements[0, :8].tolist() == [1, 2, 8, 7, 13, 8, 11, 4]
    both = np.array([[30, -50], [-50, 30]], np.float32)
    ones = numerics.Parameters(np.ones(2, np.float16))
    kept = fmt.restore(fmt.encode(both, ones), ones)
    assert kept.tolist() == [[0, -48], [-48, 0]]


def test_abfloat_rounds_to_the_nearest_outlier() -> None:
    from archgym.cost_models.numerics.kernels import pair_codes, pair_values

    magnitudes = np.linspace(9.51, 96, 4000, dtype=np.float32)
    pairs = np.stack([magnitudes, np.zeros_like(magnitudes)], axis=1)
    one = np.ones(len(pairs), np.float32)
    values = np.array([12, 16, 24, 32, 48, 64, 96.0])
    nearest = np.abs(magnitudes[:, None] - values).min(axis=1)
    found = pair_values(pair_codes(pairs, one), one)[:, 0]
    assert np.isin(found, values).all()
    assert np.abs(found - magnitudes) == pytest.approx(nearest, abs=1e-5)


def test_columns_with_outliers_stay_in_half_precision() -> None:
    fmt = numerics.parse("int8-mixed")
    x = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    x[3, 5], x[:, 9] = -6.5, 40.1
    codes = fmt.codes(x)
    assert codes.outlier_columns.tolist() == [5, 9] == numerics.outlier_columns(x).tolist()
    rounded = fmt.quantize(x)
    assert np.array_equal(rounded[:, [5, 9]], x[:, [5, 9]].astype(np.float16).astype(np.float32))
    rest = np.delete(x, [5, 9], axis=1)
    assert np.array_equal(np.delete(rounded, [5, 9], axis=1), numerics.parse("int8").quantize(rest))
    assert fmt.bits(8, 64, outliers=2) == 8 * 64 * 8 + 8 * 16 + 2 * (8 * 16 + 16)


def test_formats_that_are_the_same() -> None:
    x = np.random.default_rng(1).standard_normal((20, 128)).astype(np.float32)

    def rounded(name, group=None):
        return numerics.parse(name).quantize(x, group)

    assert np.array_equal(rounded("fp3", 32), rounded("pot3", 32))
    assert np.array_equal(rounded("bfp4", 32), rounded("mxint4"))
    assert np.array_equal(rounded("bfp8", 32), rounded("mxint8"))
    # E3M2 and E5M2 have the same mantissa: equal under equal scales, above E3M2's subnormals.
    x[:, 0] = 28
    normal = np.abs(x) >= 0.25
    assert np.array_equal(rounded("fp6-e3m2")[normal], rounded("fp8-e5m2")[normal])
    assert not np.array_equal(rounded("fp6-e3m2"), rounded("fp8-e5m2"))


def test_clipping_helps_few_bits_and_not_many() -> None:
    x = np.random.default_rng(2).standard_normal((64, 256)).astype(np.float32)

    def best(name):
        clips = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
        errors = [np.square(numerics.parse(name).quantize(x, clip=c) - x).mean() for c in clips]
        return clips[int(np.argmin(errors))]

    assert best("int8") == 1.0
    assert 0.5 <= best("int3") < best("int4") <= 0.9
