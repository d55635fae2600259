"""Verilog of combinational arithmetic units, each with its arithmetic in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.processing_elements.operands import OPERANDS, Operand

Inputs = list[np.ndarray]
"""One array of codes (n,) per input."""


@dataclass(frozen=True)
class Design:
    """A unit to synthesise.

    Attributes:
        kind: What it does, such as `multiply`.
        first: What it does it with: operand or width.
        second: Second operand, or empty.
        width: Bits of the output.
        inputs: Bits of each input; inputs are `x0`, `x1`, ..., the output is `y`.
        body: Verilog statements that drive `y`.
        expected: Codes of the output for codes of the inputs.
        valid: Which inputs the answer is defined for.
    """

    kind: str
    first: str
    second: str
    width: int
    inputs: tuple[int, ...]
    body: str
    expected: Callable[[Inputs], np.ndarray]
    valid: Callable[[Inputs], np.ndarray] | None = None

    @property
    def verilog(self) -> str:
        """The module `top`."""
        ports = [f"input [{bits - 1}:0] x{i}" for i, bits in enumerate(self.inputs)]
        ports.append(f"output [{self.width - 1}:0] y")
        return f"module top({', '.join(ports)});\n{self.body}\nendmodule\n"


def _decode(name: str, operand: Operand, source: str) -> str:
    """Wires NAME_s (sign), NAME_m (significand, signed where an integer) and NAME_e (exponent)."""
    if not operand.is_float:
        return f"wire signed [{operand.bits - 1}:0] {name}_m = {source};"
    m, e = operand.mantissa, operand.exponent
    low = f", {source}[{m - 1}:0]" if m else ""
    return f"""wire {name}_s = {source}[{operand.bits - 1}];
wire [{e - 1}:0] {name}_f = {source}[{m + e - 1}:{m}];
wire {name}_n = |{name}_f;
wire [{m}:0] {name}_m = {{{name}_n{low}}};
wire [{e - 1}:0] {name}_e = {name}_n ? {name}_f - 1'b1 : {e}'d0;"""


def multiply(first: str, second: str) -> Design:
    """The product of two operands: exact in fixed point, or binary32 where one is wide."""
    if OPERANDS[first].is_wide or OPERANDS[second].is_wide:
        return _multiply_to_float(first, second)
    a, b = OPERANDS[first], OPERANDS[second]
    width = a.fixed_bits + b.fixed_bits
    lines = [_decode("a", a, "x0"), _decode("b", b, "x1")]
    # Unsigned significands get a sign bit where the other operand is signed.
    signed = not (a.is_float and b.is_float)
    bits = a.significand + b.significand + (signed and (a.is_float or b.is_float))
    sides = [
        f"$signed({{1'b0, {x}_m}})" if signed and o.is_float else f"{x}_m"
        for x, o in (("a", a), ("b", b))
    ]
    if not a.is_float and not b.is_float:
        lines.append("assign y = a_m * b_m;")
    else:
        sign = " ^ ".join(f"{x}_s" for x, o in (("a", a), ("b", b)) if o.is_float)
        shift = " + ".join(f"{x}_e" for x, o in (("a", a), ("b", b)) if o.is_float)
        shifts = max(a.exponent, b.exponent) + 1
        kind = "signed " if signed else ""
        lines += [
            f"wire {kind}[{bits - 1}:0] p = {sides[0]} * {sides[1]};",
            f"wire n = {sign};",
            f"wire signed [{bits}:0] q = "
            + (f"{{p[{bits - 1}], p}}" if signed else "{1'b0, p}")
            + f" ^ {{{bits + 1}{{n}}}};",
            f"wire signed [{bits}:0] r = q + $signed({{1'b0, n}});",
            f"wire [{shifts - 1}:0] e = {shift};",
            f"wire signed [{width - 1}:0] wide = r;",
            "assign y = wide <<< e;",
        ]
    scales = [_unit(a), _unit(b)]

    def expected(codes: Inputs) -> np.ndarray:
        left = (a.values() / scales[0])[codes[0]]
        right = (b.values() / scales[1])[codes[1]]
        if width <= 52:
            return (left * right).astype(np.int64) & (2**width - 1)
        exact = [int(x) * int(y) % 2**width for x, y in zip(left, right, strict=True)]
        return np.array(exact, dtype=object)

    def valid(codes: Inputs) -> np.ndarray:
        return a.is_number()[codes[0]] & b.is_number()[codes[1]]

    return Design(
        "multiply", first, second, width, (a.bits, b.bits), "\n".join(lines), expected, valid
    )


def _unit(operand: Operand) -> float:
    """Smallest magnitude above zero, or one unit of its last place."""
    if not operand.is_float:
        return 1.0
    return float(2.0 ** (1 - operand.bias - operand.mantissa))


def _zeros(name: str, source: str, bits: int) -> str:
    """Shifts SOURCE left until its highest bit is set: wires NAME (bits) and NAME_z (the shift)."""
    steps = (bits - 1).bit_length()
    lines, current = [], source
    for i in reversed(range(steps)):
        step = 2**i
        if step >= bits:
            continue
        lines += [
            f"wire {name}_t{i} = ~|{current}[{bits - 1}:{bits - step}];",
            f"wire [{bits - 1}:0] {name}_{i} = {name}_t{i} ? "
            f"{{{current}[{bits - 1 - step}:0], {step}'d0}} : {current};",
        ]
        current = f"{name}_{i}"
    lines.append(f"wire [{bits - 1}:0] {name} = {current};")
    count = ", ".join(f"{name}_t{i}" for i in reversed(range(steps)) if 2**i < bits)
    lines.append(f"wire [{steps - 1}:0] {name}_z = {{{count}}};")
    return "\n".join(lines)


def _multiply_to_float(first: str, second: str) -> Design:
    """The product as binary32: exact, normalised, subnormal results zero, larger ones infinite."""
    a, b = OPERANDS[first], OPERANDS[second]
    lines = [_decode("a", a, "x0"), _decode("b", b, "x1")]
    for x, o in (("a", a), ("b", b)):
        if o.is_float:
            lines.append(f"wire [{o.significand - 1}:0] {x}_u = {x}_m;")
        else:
            lines += [
                f"wire {x}_s = x{'ab'.index(x)}[{o.bits - 1}];",
                f"wire [{o.bits - 1}:0] {x}_u = {x}_s ? -{x}_m : {x}_m;",
                f"wire [0:0] {x}_e = 1'b0;",
            ]
    bits = a.significand + b.significand
    # Weight of the product's highest bit, as an exponent field of binary32, where both have e = 0.
    top = 127 + bits - 1
    for o in (a, b):
        top += 1 - o.bias - o.mantissa if o.is_float else 0
    lines += [
        f"wire [{bits - 1}:0] p = a_u * b_u;",
        _zeros("f", "p", bits),
        f"wire signed [10:0] e = $signed({{1'b0, a_e}}) + $signed({{1'b0, b_e}}) + "
        f"$signed(11'd{top % 2048}) - $signed({{1'b0, f_z}});",
        f"wire none = ~f[{bits - 1}] | e <= 0;",
        "wire most = e >= 255;",
        f"wire [22:0] g = {_fraction('f', bits)};",
        "assign y = none ? 32'd0 : {a_s ^ b_s, most ? 8'd255 : e[7:0], most ? 23'd0 : g};",
    ]

    def expected(codes: Inputs) -> np.ndarray:
        product = a.values()[codes[0]] * b.values()[codes[1]]
        return _binary32(product)

    def valid(codes: Inputs) -> np.ndarray:
        return a.is_number()[codes[0]] & b.is_number()[codes[1]]

    return Design(
        "multiply", first, second, 32, (a.bits, b.bits), "\n".join(lines), expected, valid
    )


def _fraction(name: str, bits: int) -> str:
    """The 23 bits below the hidden one of a normalised number of at most 24 bits."""
    if bits > 24:
        raise ValueError(f"a product of {bits} bits does not fit into binary32")
    return f"{{{name}[{bits - 2}:0], {{{24 - bits}{{1'b0}}}}}}" if bits < 24 else f"{name}[22:0]"


def _binary32(values: np.ndarray) -> np.ndarray:
    """Codes of binary32; subnormal numbers and negative zero are zero."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    tiny = np.abs(values) < float(np.finfo(np.float32).tiny)
    return np.where(tiny, 0, rounded.view(np.uint32)).astype(np.int64)


def add(bits: int) -> Design:
    """The sum of two integers, as wide as they."""
    return Design(
        "add", f"int{bits}", "", bits, (bits, bits), "assign y = x0 + x1;",
        lambda x: _wrapped([int(p) + int(q) for p, q in zip(x[0], x[1], strict=True)], bits),
    )  # fmt: skip


def negate(bits: int) -> Design:
    """An integer, or its negative where the second input is set."""
    return Design(
        "negate", f"int{bits}", "", bits, (bits, 1), f"assign y = (x0 ^ {{{bits}{{x1}}}}) + x1;",
        lambda x: _wrapped([int(p) * (1 - 2 * int(q)) for p, q in zip(*x, strict=True)], bits),
    )  # fmt: skip


def _wrapped(values: list[int], bits: int) -> np.ndarray:
    return np.array([value % 2**bits for value in values], dtype=object)


def select(entries: int) -> Design:
    """One bit of several, by a binary number."""
    index = (entries - 1).bit_length()
    return Design(
        "select", str(entries), "", 1, (entries, index), "assign y = x0[x1];",
        lambda x: np.array([int(d) >> int(s) & 1 for d, s in zip(x[0], x[1], strict=True)]),
        lambda x: x[1] < entries,
    )  # fmt: skip


_ADDERS = {"fp16": (5, 10, np.float16, np.uint16), "fp32": (8, 23, np.float32, np.uint32)}


def add_float(name: str) -> Design:
    """The sum of two IEEE numbers, to nearest even; subnormal numbers are zero."""
    e, m, real, code = _ADDERS[name]
    bits, w = 1 + e + m, m + 4
    body = f"""wire swap = x0[{bits - 2}:0] < x1[{bits - 2}:0];
wire [{bits - 1}:0] a = swap ? x1 : x0;
wire [{bits - 1}:0] b = swap ? x0 : x1;
wire [{e - 1}:0] ae = a[{bits - 2}:{m}];
wire [{e - 1}:0] be = b[{bits - 2}:{m}];
wire [{w - 1}:0] am = |ae ? {{1'b1, a[{m - 1}:0], 3'd0}} : {w}'d0;
wire [{w - 1}:0] bm = |be ? {{1'b1, b[{m - 1}:0], 3'd0}} : {w}'d0;
wire [{e - 1}:0] d = ae - be;
wire [{2 * w - 1}:0] both = {{bm, {w}'d0}} >> d;
wire [{w - 1}:0] bs = d >= {w} ? {{{w - 1}'d0, |bm}} : \
{{both[{2 * w - 1}:{w + 1}], both[{w}] | (|both[{w - 1}:0])}};
wire sub = a[{bits - 1}] ^ b[{bits - 1}];
wire [{w}:0] s = {{1'b0, am}} + ({{1'b0, bs}} ^ {{{w + 1}{{sub}}}}) + sub;
{_zeros("f", "s", w + 1)}
wire signed [{e + 1}:0] x = $signed({{2'b0, ae}}) + 1 - $signed({{1'b0, f_z}});
wire up = f[3] & (f[4] | (|f[2:0]));
wire [{m + 1}:0] r = {{1'b0, f[{w}:4]}} + up;
wire signed [{e + 1}:0] z = x + r[{m + 1}];
wire [{m - 1}:0] g = r[{m + 1}] ? r[{m}:1] : r[{m - 1}:0];
wire none = ~f[{w}] | z <= 0;
wire most = z >= {2**e - 1};
assign y = none ? {bits}'d0 : \
{{a[{bits - 1}], most ? {{{e}{{1'b1}}}} : z[{e - 1}:0], most ? {m}'d0 : g}};"""

    def flushed(codes: np.ndarray) -> np.ndarray:
        values = codes.astype(code).view(real).astype(np.float64)
        return np.where(np.abs(values) < np.finfo(real).tiny, 0.0, values).astype(real)

    def expected(x: Inputs) -> np.ndarray:
        with np.errstate(over="ignore"):
            total = flushed(x[0]) + flushed(x[1])
        tiny = np.abs(total) < np.finfo(real).tiny
        return np.where(tiny, 0, total.view(code)).astype(np.int64)

    def valid(x: Inputs) -> np.ndarray:
        fields = [codes >> m & (2**e - 1) for codes in x]
        return (fields[0] < 2**e - 1) & (fields[1] < 2**e - 1)

    return Design("add", name, "", bits, (bits, bits), body, expected, valid)
