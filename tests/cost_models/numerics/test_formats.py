"""What holds for every format."""

import re

import numpy as np
import pytest

from archgym.cost_models import numerics

FORMATS = [numerics.parse(name) for name in numerics.names()]
CHOSEN = [each for each in FORMATS if each.block is None]
# A threshold or range that is absolute; a scale that comes from more than the largest magnitude;
# no gain from smaller groups (few powers of two, a wide range).
RELATIVE = [each for each in FORMATS if each.family != "cast" and each.name != "int8-mixed"]
OF_MAXIMUM = [
    each
    for each in FORMATS
    if each.family not in ("outlier", "ternary") and not each.name.endswith(("asym", "min"))
]
BETTER_IN_GROUPS = [
    each
    for each in CHOSEN
    if each.family not in ("cast", "power of two", "ternary")
    and each.name not in ("fp3", "int8-mixed", "fp8-e4m3", "fp8-e5m2")
]
every = pytest.mark.parametrize("fmt", FORMATS, ids=lambda each: each.name)


def tensor(seed: int = 0, rows: int = 6, n: int = 96) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, n)).astype(np.float32)


def stored_bits(fmt, codes: numerics.Codes) -> int:
    """Counted from the arrays."""
    values = codes.elements.size
    total = 8 * -(-values // 5) if fmt.family == "ternary" else int(fmt.element_bits) * values
    total += codes.parameters.scales.nbytes * 8
    if codes.parameters.zeros is not None:
        assert codes.parameters.zeros.max() < 2**fmt.element_bits
        total += codes.parameters.zeros.size * int(fmt.element_bits)
    if codes.parameters.minima is not None:
        total += codes.parameters.minima.nbytes * 8
    if codes.parameters.selectors is not None:
        assert codes.parameters.selectors.max() < 4
        total += codes.parameters.selectors.size * 2
    if codes.parameters.tensor_scale is not None:
        total += 32
    return total


@every
@pytest.mark.parametrize("group", ["tensor", "token", 32, 8])
def test_bits_are_those_of_what_is_stored(fmt, group) -> None:
    group = None if fmt.block else group
    x = tensor() / 3
    codes = fmt.codes(x, group)
    assert fmt.bits(6, 96, group) == stored_bits(fmt, codes)
    assert fmt.bits_per_value(6, 96, group) == fmt.bits(6, 96, group) / 576
    assert len(np.unique(codes.elements)) <= 2 ** int(np.ceil(fmt.element_bits))
    assert np.array_equal(fmt.decode(codes), fmt.quantize(x, group))


@every
def test_values_are_those_of_the_codes_to_the_last_bit(fmt) -> None:
    rng = np.random.default_rng(11)
    wide = np.ldexp(rng.uniform(-1, 1, (8, 40)), rng.integers(-20, 15, (8, 40)))
    for x in (tensor(), np.round(tensor() * 4) / 2, wide.astype(np.float32)):
        expected = fmt.decode(fmt.codes(x, clip=0.8))
        assert fmt.quantize(x, clip=0.8).tobytes() == expected.tobytes()
        given = x.copy()
        assert fmt.quantize(given, clip=0.8, out=given) is given
        assert given.tobytes() == expected.tobytes()


@every
def test_every_finite_tensor_stays_finite(fmt) -> None:
    rng = np.random.default_rng(1)
    wide = np.ldexp(rng.uniform(-1, 1, (40, 64)), rng.integers(-150, 129, (40, 1)))
    mixed = np.ldexp(rng.uniform(-1, 1, (40, 64)), rng.integers(-150, 129, (40, 64)))
    top = np.finfo(np.float32).max
    edges = np.array([[top, -top] * 32, [1e-45, -1e-45] * 32, [top, 1e-45] * 32, [0, -0.0] * 32])
    for x in (wide, mixed, edges):
        for clip in (1.0, 0.5):
            assert np.isfinite(fmt.quantize(x, clip=clip)).all()


@every
def test_groups_of_zeros_stay_zeros(fmt) -> None:
    assert not fmt.quantize(np.zeros((2, 64), np.float32)).any()
    x = tensor()
    x[2] = 0
    assert not fmt.quantize(x)[2].any()


@pytest.mark.parametrize("fmt", RELATIVE, ids=lambda each: each.name)
def test_a_scale_by_a_power_of_two_changes_no_code(fmt) -> None:
    x = tensor(2)
    assert np.array_equal(fmt.quantize(x * 4), fmt.quantize(x) * 4)
    assert np.array_equal(fmt.quantize(x / 8, clip=0.75), fmt.quantize(x, clip=0.75) / 8)


@every
def test_larger_values_never_become_smaller(fmt) -> None:
    if fmt.elementwise:
        x = np.sort(tensor(3)[:, : fmt.block or 96], axis=1)
        assert (np.diff(fmt.quantize(x), axis=1) >= 0).all()


@every
def test_the_order_of_groups_makes_no_difference(fmt) -> None:
    x = tensor(4)
    group = None if fmt.block else 16
    order = [3, 0, 5, 1, 4, 2]
    assert np.array_equal(fmt.quantize(x, group)[order], fmt.quantize(x[order], group))


@pytest.mark.parametrize("fmt", CHOSEN, ids=lambda each: each.name)
def test_groups_are_those_of_separate_tensors(fmt) -> None:
    x = tensor(5)
    whole = fmt.quantize(x, 24)
    for start in range(0, 96, 24):
        part = np.ascontiguousarray(x[:, start : start + 24])
        assert np.array_equal(whole[:, start : start + 24], fmt.quantize(part, "channel"))
    flat = fmt.quantize(x.reshape(1, -1), "channel").reshape(x.shape)
    assert np.array_equal(fmt.quantize(x, "tensor"), flat)


@pytest.mark.parametrize("fmt", OF_MAXIMUM, ids=lambda each: each.name)
def test_quantizing_again_changes_nothing(fmt) -> None:
    once = fmt.quantize(tensor(6))
    assert np.array_equal(fmt.quantize(once), once)


@pytest.mark.parametrize("name", [n for n in numerics.names() if re.match(r"b?int\d(-asym)?$", n)])
def test_errors_of_integers_are_at_most_half_a_step(name) -> None:
    fmt = numerics.parse(name)
    x = tensor(7, 50, 64)
    codes = fmt.codes(x)
    steps = codes.parameters.scales.astype(np.float64)[:, None]
    off = np.abs(fmt.decode(codes) - x) / steps
    if name.endswith("asym"):
        # The code of zero is rounded: the ends of the range may be half a step beyond the codes.
        off -= 0.5 * ((codes.elements == 0) | (codes.elements == codes.elements.max()))
    top = 2**fmt.element_bits
    assert (off <= 0.5 + top * 2**-11).all()


def test_more_bits_are_more_exact() -> None:
    x = tensor(8, 40, 128)
    for pattern in ("int{}", "int{}-asym", "int{}-min", "bint{}", "bfp{}"):
        errors = [
            np.square(numerics.parse(pattern.format(b)).quantize(x) - x).mean()
            for b in range(8, 2, -1)
        ]
        assert errors == sorted(errors)


@pytest.mark.parametrize("fmt", BETTER_IN_GROUPS, ids=lambda each: each.name)
def test_smaller_groups_are_more_exact(fmt) -> None:
    x = np.random.default_rng(9).standard_t(4, (64, 128)).astype(np.float32)
    errors = [np.square(fmt.quantize(x, g) - x).sum() for g in (16, 64, "channel", "tensor")]
    assert errors == sorted(errors)


def test_rows_that_a_block_does_not_divide_are_padded_and_counted() -> None:
    x = tensor(10, 3, 40)
    fmt = numerics.parse("mxfp4")
    whole = np.pad(x, ((0, 0), (0, 24)))
    assert np.array_equal(fmt.quantize(x), fmt.quantize(whole)[:, :40])
    assert fmt.bits(3, 40) == fmt.bits(3, 64) == 3 * 2 * (32 * 4 + 8)
    assert fmt.bits(2, 16) == 2 * (32 * 4 + 8)
    assert fmt.quantize(x[:2, :16]).shape == (2, 16)


def test_bits_of_the_literature() -> None:
    per_value = {
        ("mxfp4", None): 4.25,
        ("mxfp8-e4m3", None): 8.25,
        ("nvfp4", None): 4.5 + 32 / 2**16,
        ("int4-asym", 32): 4.625,
        ("int4", 128): 4.125,
        ("bitmod3", 128): 3 + 18 / 128,
        ("bfp4", 32): 4.25,
        ("nf4", 64): 4.25,
        ("fp16", None): 16,
    }
    for (name, group), bits in per_value.items():
        assert numerics.parse(name).bits_per_value(256, 256, group) == bits
    assert numerics.parse("ternary").bits(256, 256, 128) == 8 * 13108 + 512 * 16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: numerics.parse("int4_asym"), "'int4_asym'; did you mean 'int4-asym'?"),
        (lambda: numerics.parse("zzz"), "Allowed: fp16, bf16, int8"),
        (lambda: numerics.parse("int4").quantize(tensor(), 36), "36 does not divide the 96 values"),
        (lambda: numerics.parse("int4").bits(6, 96, 64), "64 does not divide the 96 values"),
        (lambda: numerics.parse("int4").quantize(tensor(), "row"), "'row' is none of tensor"),
        (lambda: numerics.parse("int4").quantize(tensor(), 0), "0 is none of tensor"),
        (lambda: numerics.parse("mxfp4").quantize(tensor(), 16), "mxfp4, which has blocks of 32"),
        (lambda: numerics.parse("int4").quantize(tensor(), clip=1.5), "clip: 1.5 is not in (0, 1]"),
        (lambda: numerics.parse("int4").quantize(np.zeros(3)), "shape (3,) is not (rows, n)"),
        (lambda: numerics.parse("int4").quantize([[1, np.nan]]), "nan in row 0, column 1"),
        (lambda: numerics.parse("int4").quantize([[1e300]]), "1e+300 in row 0, column 0"),
        (
            lambda: numerics.parse("int4").quantize(tensor(), out=np.empty((6, 96))),
            "out: float64 (6, 96) is not contiguous float32 (6, 96)",
        ),
        (lambda: numerics.parse("olive4").quantize(tensor()[:, :9]), "9 values with olive4"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_descriptions_are_complete() -> None:
    assert len(FORMATS) == len({each.name for each in FORMATS})
    assert all(each.summary and each.source and each.family for each in FORMATS)
    assert numerics.parse("bitmod3").source.endswith("subject to a patent application")
