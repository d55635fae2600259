"""Sizes, counts and refusals of operators and networks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.accelerator import (
    Attention,
    Conv2d,
    ConvTranspose2d,
    Elementwise,
    Gemm,
    Network,
    Normalisation,
    Softmax,
)


def counted(conv):
    """Multiply-accumulates by visiting every output and tap, padding counted as data."""
    (_, k, p, q) = conv.output_shape
    return sum(
        1
        for _ in range(conv.n * k)
        for _ in range(p * q)
        for _ in range(conv.c // conv.groups * conv.r * conv.s)
    )


@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(5, 9), st.integers(1, 3), st.integers(1, 2),
    st.integers(1, 2), st.integers(0, 2), st.sampled_from([1, 2]),
)  # fmt: skip
def test_convolutions_count_as_loops_do(n, c, h, r, stride, dilation, padding, groups):
    conv = Conv2d(
        name="c", n=n, c=c * groups, h=h, w=h + 1, k=2 * groups, r=r, s=r,
        stride=(stride, 1), dilation=(dilation, 1), padding=(padding, padding, 0, 0), groups=groups,
    )  # fmt: skip
    assert conv.macs == counted(conv)
    (product,) = conv.products
    batch, m, columns, depth = product.gemm
    assert batch * m * columns * depth == conv.macs
    assert product.batch * product.k == conv.k
    # The outputs reach to the last row of the padded input, or a part of a stride less.
    assert 0 <= h + 2 * padding - product.input_extent[0] < stride


def test_convolution_sizes():
    conv = Conv2d(name="c", c=3, h=224, w=224, k=64, r=7, s=7, stride=(2, 2), padding=(3,) * 4)
    assert conv.output_shape == (1, 64, 112, 112)
    assert conv.macs == 118_013_952
    assert conv.weight_elements == 9408
    depthwise = Conv2d(name="d", c=32, h=8, w=8, k=32, r=3, s=3, groups=32, bias=True)
    assert depthwise.depthwise
    assert depthwise.macs == 32 * 36 * 9
    assert depthwise.parameters == 32 * 10


def test_strides_skip_inputs():
    conv = Conv2d(name="c", c=4, h=9, w=8, k=4, r=1, s=2, stride=(2, 3), padding=(0, 0, 1, 0))
    # Rows 0, 2 ... 8, and columns -1 and 0, 2 and 3, 5 and 6, of which -1 is padding.
    assert conv.read_elements == 4 * 5 * 5
    whole = Conv2d(name="c", c=4, h=9, w=8, k=4, r=3, s=3, padding=(1,) * 4)
    assert whole.read_elements == whole.input_elements


def test_transposed_convolution_is_a_product_of_inputs_and_taps():
    up = ConvTranspose2d(name="u", c=8, h=5, w=6, k=4, r=2, s=2, stride=(2, 2), bias=True)
    assert up.output_shape == (1, 4, 10, 12)
    assert up.macs == 8 * 30 * 4 * 4
    assert up.parameters == 8 * 4 * 4 + 4
    assert up.operations == 4 * 120


def test_attention_equals_its_parts():
    attention = Attention(
        name="a",
        count=3,
        batch=2,
        heads=8,
        kv_heads=2,
        queries=1,
        keys=129,
        head_dim=64,
        cached=128,
    )
    scores, softmax, context = attention.unfused
    assert attention.macs == scores.macs + context.macs == 2 * 2 * 8 * 129 * 64
    assert attention.operations == softmax.operations == 5 * attention.score_elements
    assert scores.count == softmax.count == context.count == 3
    assert attention.cache_elements == 2 * 128 * 2 * 128
    assert attention.input_elements == 2 * (512 + 2 * 128)
    assert not attention.parameters


def test_idle_and_shared_weights():
    experts = Gemm(name="e", m=1, n=10, k=20, batch=2, idle=6)
    assert experts.macs == 400
    assert experts.weight_elements == 400
    assert experts.parameters == 1600
    head = Gemm(name="h", m=1, n=10, k=20, shared=True, bias=True)
    assert head.weight_elements == 210
    assert head.parameters == 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gemm(name="g", m=0, n=1, k=1), "operator 'g': m is 0, must be an integer of at"),
        (lambda: Gemm(name="g", m=1, n=-3, k=1), "n is -3"),
        (lambda: Gemm(name="g", m=1, n=1.5, k=1), "n is 1.5"),
        (lambda: Gemm(name="g", m=True, n=1, k=1), "m is True"),
        (lambda: Gemm(name="g", count=0, m=1, n=1, k=1), "count is 0"),
        (lambda: Gemm(name="g", m=1, n=1, k=1, weights=False, bias=True), "need weights"),
        (
            lambda: Conv2d(name="c", c=6, h=8, w=8, k=8, r=3, s=3, groups=4),
            "groups is 4, must be a divisor of c = 6 and k = 8",
        ),
        (
            lambda: Conv2d(name="c", c=1, h=3, w=9, k=1, r=5, s=5, padding=(1, 0, 0, 0)),
            "the filter spans 5 rows, must be at most the 4 of the padded input",
        ),
        (
            lambda: Conv2d(name="c", c=1, h=9, w=4, k=1, r=3, s=3, dilation=(2, 2)),
            "the filter spans 5 columns",
        ),
        (lambda: Conv2d(name="c", c=1, h=9, w=4, k=1, r=1, s=1, stride=(0, 1)), "stride is"),
        (lambda: Conv2d(name="c", c=1, h=9, w=4, k=1, r=1, s=1, padding=(-1,) * 4), "padding is"),
        (
            lambda: Attention(name="a", heads=6, kv_heads=4, queries=1, keys=1, head_dim=8),
            "kv_heads is 4, must be a divisor of heads = 6",
        ),
        (lambda: Elementwise(name="e", shape=(2,), function="cosine"), "function is 'cosine'"),
        (lambda: Elementwise(name="e", shape=(2, 0)), "shape is (2, 0)"),
        (lambda: Normalisation(name="n", shape=(3,), features=2), "features is 2"),
        (lambda: Normalisation(name="n", shape=(3,), features=3, form="l2"), "form is 'l2'"),
    ],
)
def test_impossible_sizes_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def softmax(name, rows, columns):
    return Softmax(name=name, rows=rows, columns=columns)


@pytest.mark.parametrize(
    ("operators", "edges", "message"),
    [
        ([softmax("a", 2, 3)], {}, "operator 'a' is not connected, it reads no tensor"),
        ([softmax("a", 2, 3)], {"a": ("y",)}, "reads 'y', which nothing before it makes"),
        (
            [softmax("a", 2, 4)],
            {"a": ("x",)},
            "operator 'a' needs (2, 4), but 'x' gives (2, 3)",
        ),
        (
            [softmax("a", 2, 3), softmax("a", 2, 3)],
            {"a": ("x",)},
            "name 'a' is used twice",
        ),
        (
            [softmax("a", 2, 3), softmax("b", 2, 3), softmax("c", 2, 3)],
            {"a": ("x",), "b": ("a",), "c": ("a",)},
            "tensor 'b' is not connected, nothing reads it",
        ),
        ([softmax("a", 2, 3)], {"a": ("x",), "z": ("x",)}, "edges name no operator 'z'"),
        ([], {}, "has no operators"),
    ],
)  # fmt: skip
def test_unconnected_networks_are_refused(operators, edges, message):
    output = operators[-1].name if operators else "a"
    with pytest.raises(ValueError) as caught:
        Network("n", tuple(operators), edges, {"x": (2, 3)}, (output,))
    assert message in str(caught.value)


def test_images_must_fit_in_every_dimension():
    # As many elements, but not the same image.
    conv = Conv2d(name="c", c=4, h=8, w=8, k=4, r=1, s=1)
    with pytest.raises(ValueError, match=r"needs \(1, 4, 8, 8\), but 'x' gives \(1, 8, 8, 4\)"):
        Network("n", (conv,), {"c": ("x",)}, {"x": (1, 8, 8, 4)}, ("c",))
    halves = {"x": (1, 1, 8, 8), "y": (1, 3, 8, 8)}
    assert Network("n", (conv,), {"c": ("x", "y")}, halves, ("c",)).macs == 16 * 64
