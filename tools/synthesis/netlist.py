"""Netlists of simple gates: areas in two-input NANDs, depth, and what they compute."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Widths of the Nangate 45 nm Open Cell Library's smallest cells, in sites of 0.19 um at a height of
# 1.4 um (its LEF: NAND2_X1 0.57 x 1.4, AND2_X1 0.76 x 1.4, XOR2_X1 1.14 x 1.4 um, ...), over those
# of a two-input NAND.
_SITES = {
    "BUF": 3, "NOT": 2, "NAND": 3, "NOR": 3, "AND": 4, "OR": 4, "XOR": 6, "XNOR": 6,
    "MUX": 7, "AOI3": 4, "OAI3": 4, "AOI4": 5, "OAI4": 5,
}  # fmt: skip
AREAS = {gate: sites / 3 for gate, sites in _SITES.items()}
# In delays of an inverter that drives four: two-stage and complex gates count as two.
LEVELS = {gate: 2 if gate in ("XOR", "XNOR", "MUX") else 1 for gate in AREAS}
_PINS = {gate: "AB" for gate in ("NAND", "NOR", "AND", "OR", "XOR", "XNOR")} | {
    "BUF": "A", "NOT": "A", "MUX": "ABS",
    "AOI3": "ABC", "OAI3": "ABC", "AOI4": "ABCD", "OAI4": "ABCD",
}  # fmt: skip
_FUNCTIONS = {
    "BUF": lambda a: a,
    "NOT": lambda a: ~a,
    "NAND": lambda a, b: ~(a & b),
    "NOR": lambda a, b: ~(a | b),
    "AND": lambda a, b: a & b,
    "OR": lambda a, b: a | b,
    "XOR": lambda a, b: a ^ b,
    "XNOR": lambda a, b: ~(a ^ b),
    "MUX": lambda a, b, s: (a & ~s) | (b & s),
    "AOI3": lambda a, b, c: ~((a & b) | c),
    "OAI3": lambda a, b, c: ~((a | b) & c),
    "AOI4": lambda a, b, c, d: ~((a & b) | (c & d)),
    "OAI4": lambda a, b, c, d: ~((a | b) & (c | d)),
}
_MAP = ",".join(gate for gate in AREAS if gate not in ("BUF", "NOT"))


@dataclass(frozen=True)
class Netlist:
    """Gates in an order in which they can be evaluated.

    Attributes:
        gates: Name, nets read, net driven.
        inputs: Nets of each input, lowest bit first.
        output: Nets of the output; the texts 0, 1 and x are constants.
    """

    gates: tuple[tuple[str, tuple[int | str, ...], int], ...]
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int | str, ...]

    @property
    def nand2_equivalents(self) -> float:
        """Area over that of a two-input NAND."""
        return sum(AREAS[gate] for gate, _, _ in self.gates)

    @property
    def levels(self) -> int:
        """Delay of the longest path, see `LEVELS`."""
        depth: dict[int | str, int] = {}
        for gate, read, driven in self.gates:
            depth[driven] = LEVELS[gate] + max(depth.get(net, 0) for net in read)
        return max((depth.get(net, 0) for net in self.output), default=0)

    def evaluate(self, codes: list[np.ndarray]) -> list[np.ndarray]:
        """Bits of the output, packed eight to a byte, for codes (n,) of the inputs."""
        n = len(codes[0])
        nets: dict[int | str, np.ndarray] = {
            "0": np.zeros(-(-n // 8), np.uint8),
            "1": np.full(-(-n // 8), 255, np.uint8),
        }
        nets["x"] = nets["0"]
        for values, bits in zip(codes, self.inputs, strict=True):
            for i, net in enumerate(bits):
                nets[net] = packed_bit(values, i)
        for gate, read, driven in self.gates:
            nets[driven] = _FUNCTIONS[gate](*(nets[net] for net in read))
        return [nets[net] for net in self.output]


def packed_bit(codes: np.ndarray, bit: int) -> np.ndarray:
    """One bit of codes (n,), packed eight to a byte."""
    return np.packbits(((codes >> bit) & 1).astype(np.uint8), bitorder="little")


def synthesise(verilog: str) -> Netlist:
    """Gates of a module `top`, by yosys with ABC.

    Raises:
        ValueError: If yosys is not installed or refuses the module.
    """
    if not shutil.which("yosys"):
        raise ValueError("yosys is not installed (Debian package yosys)")
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "top.v"), Path(folder, "top.json")
        source.write_text(verilog)
        script = (
            f"read_verilog {source}; synth -flatten -top top; abc -g {_MAP}; opt_clean -purge; "
            f"write_json {result}"
        )
        run = subprocess.run(["yosys", "-q", "-p", script], capture_output=True, text=True)
        if run.returncode:
            raise ValueError(f"yosys: {run.stderr.strip().splitlines()[-1]}")
        return _read(json.loads(result.read_text())["modules"]["top"])


def _read(module: dict) -> Netlist:
    ports = module["ports"]
    inputs = sorted((name for name in ports if name.startswith("x")), key=lambda n: int(n[1:]))
    waiting = []
    for cell in module["cells"].values():
        gate = cell["type"].strip("$_")
        nets = cell["connections"]
        waiting.append((gate, tuple(nets[pin][0] for pin in _PINS[gate]), nets["Y"][0]))
    known: set[int | str] = {"0", "1", "x"}
    known.update(net for name in inputs for net in ports[name]["bits"])
    return Netlist(
        _ordered(waiting, known),
        tuple(tuple(ports[name]["bits"]) for name in inputs),
        tuple(ports["y"]["bits"]),
    )


def _ordered(
    gates: list[tuple[str, tuple[int | str, ...], int]], known: set[int | str]
) -> tuple[tuple[str, tuple[int | str, ...], int], ...]:
    """The gates so that each reads what is known before it."""
    ordered, waiting = [], gates
    while waiting:
        ready = [gate for gate in waiting if all(net in known for net in gate[1])]
        if not ready:
            raise ValueError("the netlist has a loop")
        ordered += ready
        known.update(driven for _, _, driven in ready)
        waiting = [gate for gate in waiting if gate[2] not in known]
    return tuple(ordered)


def version() -> str:
    """What yosys calls itself."""
    found = subprocess.run(["yosys", "-V"], capture_output=True, text=True)
    return found.stdout.strip()
