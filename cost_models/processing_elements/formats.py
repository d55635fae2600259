"""Number formats of networks and the operands that hardware multiplies for them.

The scales of groups are outside of a processing element: a sum over a group is scaled after it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

OUTLIER_SHARE = 0.001
"""Share of features that LLM.int8() keeps in 16 bits, about (Dettmers et al., arXiv 2208.07339)."""


@dataclass(frozen=True)
class Decoded:
    """What a format is for a multiplier.

    Attributes:
        operands: Names of operands; more than one where values are of several kinds.
        shares: Of the values, by operand.
        bits: Of a stored value.
        ternary: Whether all values are -1, 0 or 1.
    """

    operands: tuple[str, ...]
    bits: float
    shares: tuple[float, ...] = (1.0,)
    ternary: bool = False


def _formats() -> dict[str, Decoded]:
    found = {name: Decoded((name,), 16) for name in ("fp16", "bf16")}
    for bits in range(8, 1, -1):
        found[f"int{bits}"] = Decoded((f"int{bits}",), bits, ternary=bits == 2)
    for bits in range(8, 1, -1):
        # The zero point is subtracted first, which takes a bit more. Codes above a minimum have no
        # sign; the minimum times the sum of the other operand is added once per group.
        found[f"int{bits}-asym"] = found[f"int{bits}-min"] = Decoded((f"int{bits + 1}",), bits)
    for bits in range(8, 1, -1):
        # Odd integers up to 2^bits - 1.
        found[f"bint{bits}"] = Decoded((f"int{bits + 1}",), bits)
    for kind, operand, bits in (
        ("fp8-e4m3", "e4m3", 8),
        ("fp8-e5m2", "e5m2", 8),
        ("fp6-e2m3", "e2m3", 6),
        ("fp6-e3m2", "e3m2", 6),
        ("fp4", "e2m1", 4),
    ):
        found[kind] = found[f"mx{kind}"] = Decoded((operand,), bits)
    found["mxfp4-ceil"] = found["nvfp4"] = found["fp4"]
    found |= {f"mxint{bits}": Decoded((f"int{bits}",), bits) for bits in (8, 4)}
    found |= {f"bfp{bits}": Decoded((f"int{bits}",), bits) for bits in range(8, 2, -1)}
    found["fp3"] = found["pot3"] = Decoded(("e2m0",), 3)
    found["pot4"] = Decoded(("e3m0",), 4)
    # Sixteen real values, looked up.
    found["nf4"] = Decoded(("fp16",), 4)
    # 0, 1, 2, 3, 4, 6, 8, 12 and one of 10, 16 (BitMoD, section III-B); 0, 1, 2, 4 and one of 3, 6.
    found["bitmod4"] = Decoded(("int6",), 4)
    found["bitmod3"] = Decoded(("int4",), 3)
    found["ternary"] = found["ternary-twn"] = Decoded(("int2",), 1.6, ternary=True)
    # Integers up to 7 and outliers up to 96 (OliVe, section 4.2).
    found["olive4"] = Decoded(("int8",), 4)
    found["int8-mixed"] = Decoded(("int8", "fp16"), 8, (1 - OUTLIER_SHARE, OUTLIER_SHARE))
    return found


_FORMATS = _formats()
_SHORT = {name: f"fp{bits}-{name}" for name, bits in
          (("e4m3", 8), ("e5m2", 8), ("e2m3", 6), ("e3m2", 6))} | {
    "e2m1": "fp4", "mxfp8": "mxfp8-e4m3", "mxfp6": "mxfp6-e2m3",
}  # fmt: skip


def format_names() -> tuple[str, ...]:
    """Formats that are known, without short names such as `e4m3`."""
    return tuple(_FORMATS)


def full_name(name: str) -> str:
    """A format's name, where a short one such as `e4m3` or `mxfp8` may be given.

    Raises:
        ValueError: For an unknown name.
    """
    full = _SHORT.get(name, name)
    if full not in _FORMATS:
        near = difflib.get_close_matches(str(name), [*_FORMATS, *_SHORT], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"format: unknown name {name!r}{hint} Allowed: {', '.join(_FORMATS)}.")
    return full


def decoded(name: str) -> Decoded:
    """What a format is for a multiplier.

    Raises:
        ValueError: For an unknown name.
    """
    return _FORMATS[full_name(name)]
