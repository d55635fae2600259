"""Synthesises the arithmetic of processing elements, checks it, and writes the table that ships.

Usage: python tools/synthesize_pes.py [--output FILE] [--only TEXT] [--workers N]

Writes Verilog of multipliers, adders, negations and selections, lets Debian's yosys (ABC onto
simple gates) synthesise it, evaluates the gates on all inputs (of more than 20 bits: on 2^17 drawn
ones) against arithmetic in Python, and writes area in two-input NANDs and depth of each.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from synthesis.designs import Design, add, add_float, multiply, negate, select
from synthesis.netlist import Netlist, packed_bit, synthesise, version

from archgym.cost_models.processing_elements.operands import OPERANDS

EXHAUSTIVE_BITS = 20
DRAWN = 2**17
FIELDS = ("kind", "first", "second", "width", "gates", "nand2_equivalents", "levels", "check",
          "vectors")  # fmt: skip
WIDTHS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96)
ENTRIES = (2, 4, 8, 13, 16, 32, 40, 64, 121, 364, 1093)
OUTPUT = Path(__file__).parents[1] / "cost_models/processing_elements/synthesis.csv"


def designs() -> Iterator[Design]:
    """Everything that the table holds."""
    weights = [name for name in OPERANDS if name not in ("int16", "fp16", "bf16")]
    activations = [
        name for name in OPERANDS if name not in ("int16", "term", "int2", "e2m0", "e3m0")
    ]
    for weight in weights:
        for activation in activations:
            if weight != "bf16" or activation != "fp16":
                yield multiply(weight, activation)
    yield multiply("int2", "int2")
    yield multiply("int16", "int16")
    yield multiply("fp16", "fp16")
    yield multiply("bf16", "bf16")
    yield from map(add, WIDTHS)
    yield from map(add_float, ("fp16", "fp32"))
    yield from map(negate, WIDTHS)
    yield from map(select, ENTRIES)


def vectors(design: Design) -> tuple[list[np.ndarray], str]:
    """Codes of the inputs to check, and whether they are all of them."""
    total = sum(design.inputs)
    if total <= EXHAUSTIVE_BITS:
        codes, rest = [], np.arange(2**total)
        for bits in design.inputs:
            codes.append(rest & (2**bits - 1))
            rest = rest >> bits
        return codes, "exhaustive"
    rng = np.random.default_rng(0)
    n = DRAWN if max(design.inputs) <= 32 else 2**10
    codes = []
    for bits in design.inputs:
        words = [rng.integers(0, 2 ** min(bits - at, 32), n) for at in range(0, bits, 32)]
        if bits <= 62:
            codes.append(sum(word << (32 * i) for i, word in enumerate(words)))
        else:
            whole = [sum(int(w[j]) << (32 * i) for i, w in enumerate(words)) for j in range(n)]
            codes.append(np.array(whole, dtype=object))
    # Half of the pairs near each other in size, where floats cancel.
    if len(set(design.inputs)) == 1:
        near = codes[0][: n // 4] ^ (rng.integers(0, 2**6, n // 4) << (design.inputs[0] - 7))
        codes[1][: n // 4] = near & (2 ** design.inputs[0] - 1)
    return codes, "drawn"


def check(design: Design, netlist: Netlist) -> tuple[str, int]:
    """Compares the gates with Python.

    Raises:
        ValueError: Where they differ, with the first inputs.
    """
    codes, how = vectors(design)
    if design.valid is not None:
        keep = np.asarray(design.valid(codes), np.bool_)
        codes = [values[keep] for values in codes]
    expected = design.expected(codes)
    for bit, found in enumerate(netlist.evaluate(codes)):
        wrong = np.unpackbits(found ^ packed_bit(expected, bit), bitorder="little")
        wrong = wrong[: len(expected)]
        if wrong.any():
            i = int(wrong.argmax())
            inputs = ", ".join(hex(int(values[i])) for values in codes)
            raise ValueError(
                f"{design.kind} {design.first} {design.second}: bit {bit} is wrong for {inputs}, "
                f"expected {hex(int(expected[i]))}"
            )
    return how, len(expected)


def measured(design: Design) -> dict[str, object]:
    """A row of the table."""
    netlist = synthesise(design.verilog)
    how, n = check(design, netlist)
    area = f"{netlist.nand2_equivalents:.1f}"
    row = (design.kind, design.first, design.second, design.width, len(netlist.gates), area,
           netlist.levels, how, n)  # fmt: skip
    return dict(zip(FIELDS, row, strict=True))


def main() -> int:
    """Writes the table; returns 1 where a unit computes something else."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--only", default="", help="names that contain this text, nothing written")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    chosen = [d for d in designs() if given.only in f"{d.kind} {d.first} {d.second}"]
    rows = []
    with ThreadPoolExecutor(given.workers) as pool:
        for row in pool.map(measured, chosen):
            print(*row.values(), sep=",", flush=True)
            rows.append(row)
    if not given.only:
        with given.output.open("w", newline="") as file:
            today = datetime.date.today().isoformat()
            file.write(f"# {version()}; tools/synthesize_pes.py; {today}\n")
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
