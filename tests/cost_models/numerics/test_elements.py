"""Codes of single values against ml_dtypes and against definitions."""

import ml_dtypes
import numpy as np
import pytest

from archgym.cost_models import numerics
from archgym.cost_models.numerics import floats
from archgym.cost_models.numerics.codebooks import NF4_VALUES, bitmod_values
from archgym.cost_models.numerics.scales import as_e8m0, e8m0_values
from archgym.cost_models.numerics.validation import ML_DTYPES, hard_cases

ONE = np.ones(1, np.float32)


@pytest.mark.parametrize("name", ML_DTYPES)
def test_small_floats_are_those_of_ml_dtypes(name) -> None:
    element = getattr(floats, name)
    theirs = getattr(ml_dtypes, ML_DTYPES[name])
    x = hard_cases(element)
    codes = element.encode(x, ONE)
    assert np.array_equal(codes, x.astype(theirs).view(np.uint8))
    assert np.array_equal(element.restore(codes, ONE), x.astype(theirs).astype(np.float32))
    assert element.top == float(ml_dtypes.finfo(theirs).max)
    assert element.bits == ml_dtypes.finfo(theirs).bits


@pytest.mark.parametrize("name", ML_DTYPES)
def test_small_floats_saturate(name) -> None:
    element = getattr(floats, name)
    x = np.array([[element.top * 1.01, element.top * 1e9, -3e38, 3e38]], np.float32)
    assert np.array_equal(
        element.restore(element.encode(x, ONE), ONE), element.top * np.array([[1, 1, -1, 1]])
    )


def test_exponents_alone_round_to_the_nearest_power_with_ties_to_even_codes() -> None:
    x = np.array([[0.5, 0.75, 1.25, 1.5, 1.75, 3.0, 3.5, 5.0]], np.float32)
    rounded = [0, 1, 1, 2, 2, 2, 4, 4]
    assert floats.E2M0.restore(floats.E2M0.encode(x, ONE), ONE).tolist() == [rounded]


def test_casts_are_those_of_numpy_and_ml_dtypes() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20000, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    x = np.concatenate([x[np.isfinite(x)], np.float32([1 + 2**-8, 1 + 3 * 2**-8, 1e-45])])[None]
    top = float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
    small = x[:, np.abs(x[0]) < 65520]
    half = small.astype(np.float16).astype(np.float32)
    assert np.array_equal(numerics.parse("fp16").quantize(small), half)
    assert np.array_equal(
        numerics.parse("bf16").quantize(x),
        np.clip(x.astype(ml_dtypes.bfloat16).astype(np.float32), -top, top),
    )
    assert numerics.parse("fp16").quantize([[7e4, -1e30]]).tolist() == [[65504, -65504]]


def test_shared_exponents_are_those_of_ml_dtypes() -> None:
    codes = np.arange(255, dtype=np.uint8)
    exact = codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    assert np.array_equal(e8m0_values(codes), exact)
    largest = np.array([1.0, 1.99, 2.0, 6.0, 6.01, 7.99, 8.0, 0.0, 1e-45, 3.4e38])
    floor = as_e8m0(largest, 2, 6.0, "floor").astype(int) - 127
    assert floor.tolist() == [-2, -2, -1, 0, 0, 0, 1, -127, -127, 125]
    ceil = as_e8m0(largest, 2, 6.0, "ceil").astype(int) - 127
    assert ceil.tolist() == [-2, -1, -1, 0, 1, 1, 1, -127, -127, 125]


def test_lists_give_the_nearest_value_and_ties_the_even_place() -> None:
    for values in (NF4_VALUES, *bitmod_values(3), *bitmod_values(4)):
        book = numerics.codebooks.Codebook("list", "", "", "codebook", 4, values=(values,))
        table = np.array(values, np.float32)
        middles = ((table[1:].astype(float) + table[:-1]) / 2).astype(np.float32)
        x = np.concatenate([table, middles, np.random.default_rng(1).normal(0, 3, 4000)])
        x = x.astype(np.float32)[None]
        parameters = numerics.Parameters(np.ones(1, np.float16))
        off = np.abs(x[0].astype(float)[:, None] - table.astype(float))
        nearest = off == off.min(axis=1, keepdims=True)
        even = nearest & (np.arange(len(table)) % 2 == 0)
        expected = np.where(nearest.sum(axis=1) > 1, even.argmax(axis=1), nearest.argmax(axis=1))
        assert np.array_equal(book.encode(x, parameters)[0], expected)


def test_lists_of_bitmod() -> None:
    assert bitmod_values(3) == (
        (-4, -2, -1, 0, 1, 2, 3, 4),
        (-4, -3, -2, -1, 0, 1, 2, 4),
        (-4, -2, -1, 0, 1, 2, 4, 6),
        (-6, -4, -2, -1, 0, 1, 2, 4),
    )
    assert all(len(values) == 16 for values in bitmod_values(4))
    assert [max(values, key=abs) for values in bitmod_values(4)] == [-6, -6, 8, -8]
