"""All formats by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache

from archgym.cost_models.numerics.codebooks import NF4_VALUES, Codebook, bitmod_values
from archgym.cost_models.numerics.floats import (
    E2M0,
    E2M1,
    E2M3,
    E3M0,
    E3M2,
    E4M3,
    E5M2,
    Cast,
    Element,
    MicroscalingFloat,
    Nvfp4,
    ScaledFloat,
)
from archgym.cost_models.numerics.format import Format
from archgym.cost_models.numerics.integers import (
    AsymmetricInteger,
    BipolarInteger,
    IntegerFromMinimum,
    SharedExponentInteger,
    SymmetricInteger,
    Ternary,
    TernaryByThreshold,
)
from archgym.cost_models.numerics.outliers import MixedDecomposition, OutlierVictimPairs

_NAGEL = "Nagel et al., A White Paper on Neural Network Quantization, arXiv:2106.08295, section 2"
_OCP_MX = "OCP Microscaling Formats (MX) Specification v1.0"
_OCP_FP8 = "OCP 8-bit Floating Point Specification (OFP8) v1.0"
_BITMOD = "Chen et al., BitMoD, HPCA 2025, arXiv:2411.11745; subject to a patent application"
_FLOATS: tuple[tuple[str, Element, str], ...] = (
    ("fp8-e4m3", E4M3, _OCP_FP8),
    ("fp8-e5m2", E5M2, _OCP_FP8),
    ("fp6-e2m3", E2M3, _OCP_MX),
    ("fp6-e3m2", E3M2, _OCP_MX),
    ("fp4", E2M1, _OCP_MX),
)


def _integers() -> Iterator[Format]:
    for bits in range(8, 1, -1):
        top = 2 ** (bits - 1) - 1
        yield SymmetricInteger(
            f"int{bits}", f"integers of -{top} to {top}", _NAGEL, "integer", bits
        )
    for bits in range(8, 1, -1):
        yield AsymmetricInteger(
            f"int{bits}-asym",
            f"integers of 0 to {2**bits - 1} with a code of zero",
            _NAGEL,
            "integer",
            bits,
        )
    for bits in range(8, 1, -1):
        yield IntegerFromMinimum(
            f"int{bits}-min",
            f"integers of 0 to {2**bits - 1} above a minimum",
            "Liu et al., KIVI, arXiv:2402.02750, equation 1",
            "integer",
            bits,
        )
    for bits in range(8, 1, -1):
        yield BipolarInteger(
            f"bint{bits}",
            f"odd integers of -{2**bits - 1} to {2**bits - 1}, each bit -1 or +1",
            "Ma et al., Efficient Arbitrary Precision Acceleration for LLMs, arXiv:2409.17870",
            "bipolar",
            bits,
        )


def _scaled_floats() -> Iterator[Format]:
    for name, element, source in _FLOATS:
        label = name.removeprefix("fp8-").removeprefix("fp6-").upper().replace("FP4", "E2M1")
        yield ScaledFloat(
            name, f"{label} floats under a scale", source, "float", element.bits, element=element
        )
    yield ScaledFloat(
        "fp3",
        "0, 1, 2 and 4 with sign (E2M0); the same as pot3",
        "Chen et al., BitMoD, HPCA 2025, arXiv:2411.11745, as its basic values",
        "float",
        3,
        element=E2M0,
    )


def _microscaling() -> Iterator[Format]:
    for name, element, _ in _FLOATS:
        yield MicroscalingFloat(
            f"mx{name}",
            f"{name} under a power of two of 32 values",
            _OCP_MX,
            "microscaling",
            element.bits,
            32,
            element=element,
        )
    yield MicroscalingFloat(
        "mxfp4-ceil",
        "mxfp4 with the least power of two that saturates nothing",
        f"{_OCP_MX}, element; the rule of its scale is a variant",
        "microscaling",
        4,
        32,
        element=E2M1,
        rule="ceil",
    )
    for bits, source in ((8, _OCP_MX), (4, f"{_OCP_MX}, its MXINT8 with four bits")):
        yield SharedExponentInteger(
            f"mxint{bits}",
            f"integers of {bits} bits under a power of two of 32 values",
            source,
            "microscaling",
            bits,
            32,
        )
    yield Nvfp4(
        "nvfp4",
        "E2M1 floats under an E4M3 scale of 16 values and a float32 scale of the tensor",
        "NVIDIA, Pretraining Large Language Models with NVFP4, arXiv:2509.25149, section 2",
        "microscaling",
        4,
        16,
    )


def _block_floating_point() -> Iterator[Format]:
    for bits in range(8, 2, -1):
        yield SharedExponentInteger(
            f"bfp{bits}",
            f"sign and {bits - 1} bits under a shared exponent of eight bits",
            "Drumond et al., Training DNNs with Hybrid Block Floating Point, arXiv:1804.01526",
            "block floating point",
            bits,
        )


def _codebooks() -> Iterator[Format]:
    yield Codebook(
        "nf4",
        "16 values that follow the quantiles of a Gaussian",
        "Dettmers et al., QLoRA, arXiv:2305.14314, appendix E",
        "codebook",
        4,
        values=(NF4_VALUES,),
    )
    for bits, element in ((4, E3M0), (3, E2M0)):
        yield ScaledFloat(
            f"pot{bits}",
            f"zero and {2 ** (bits - 1) - 1} powers of two with sign",
            "Miyashita et al., arXiv:1603.01025 (logarithmic); here rounded to the nearest value",
            "power of two",
            bits,
            element=element,
        )
    for bits in (4, 3):
        yield Codebook(
            f"bitmod{bits}",
            f"{'E2M1' if bits == 4 else '0, 1, 2, 4'} with sign and one more value of four",
            _BITMOD,
            "codebook",
            bits,
            values=bitmod_values(bits),
        )


def _others() -> Iterator[Format]:
    yield Ternary(
        "ternary",
        "-1, 0, 1 times the mean magnitude",
        "Ma et al., The Era of 1-bit LLMs, arXiv:2402.17764 (BitNet b1.58)",
        "ternary",
        1.6,
    )
    yield TernaryByThreshold(
        "ternary-twn",
        "-1, 0, 1 with a threshold of 0.7 mean magnitudes",
        "Li et al., Ternary Weight Networks, arXiv:1605.04711",
        "ternary",
        1.6,
    )
    yield OutlierVictimPairs(
        "olive4",
        "integers of -7 to 7, an outlier in the place of its neighbour",
        "Guo et al., OliVe, ISCA 2023, arXiv:2304.07493",
        "outlier",
        4,
    )
    yield MixedDecomposition(
        "int8-mixed",
        "int8, columns with magnitudes of at least 6 in float16",
        "Dettmers et al., LLM.int8(), arXiv:2208.07339",
        "outlier",
        8,
    )


@cache
def _formats() -> dict[str, Format]:
    casts = (
        Cast("fp16", "IEEE half precision", "IEEE 754-2019, binary16", "cast", 16),
        Cast("bf16", "the upper half of float32", "Kalamkar et al., arXiv:1905.12322", "cast", 16),
    )
    groups = (
        casts,
        _integers(),
        _scaled_floats(),
        _microscaling(),
        _block_floating_point(),
        _codebooks(),
        _others(),
    )
    return {each.name: each for group in groups for each in group}


def names() -> tuple[str, ...]:
    """All formats: casts, integers, small floats, microscaling, block floating point, and others.

    Within a kind those with more bits come first.
    """
    return tuple(_formats())


def parse(name: str) -> Format:
    """A format by name.

    Raises:
        ValueError: If there is none of this name.
    """
    known = _formats()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"format: unknown name {name!r}{hint} Allowed: {', '.join(known)}.")
    return known[name]
