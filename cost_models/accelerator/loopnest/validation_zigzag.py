"""Side by side with ZigZag 3.9.1: its example accelerators with fixed and searched mappings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from archgym.cost_models.accelerator.loopnest.zigzag import (
    DIRECTIONS,
    OPERANDS,
    Accelerator,
    Cost,
    Layer,
    Loop,
    Memory,
    evaluate,
)
from archgym.cost_models.validation import Check, Target, compare, read_rows

# What ports of a memory serve: for inputs and weights writes from outside and reads to inside; for
# outputs these and the ways back. The letters share a port where they are equal.
_READ_ONLY = ("wr_high", "rd_low")
_BOTH_WAYS = ("wr_high", "rd_low", "wr_low", "rd_high")
_EQUAL = Target(exact=1.0)
_ARROWS = {"rd_high": "rd ↑", "wr_high": "wr ↓", "rd_low": "rd ↓", "wr_low": "wr ↑"}
_Spec = tuple[int, float, float, int, int, str, dict[str, str]]
_DRAM: _Spec = (10**10, 700.0, 750.0, 64, 64, "*", {"W": "aa", "I": "aa", "O": "aaaa"})
_SHARED = {"I": "ab", "O": "abab"}

# Hardware of ZigZag's examples (`zigzag/inputs/hardware` of its repository): energy of a MAC, then
# per memory bits, pJ to read and write a word, its bits, least bits of an access, dimensions of the
# array below an instance, and ports. Which transfers of `eyeriss_like` share a port is taken from
# its stalls: the example's file has changed since.
_HARDWARE: dict[str, tuple[float, dict[str, _Spec]]] = {
    "eyeriss_like": (
        0.5,
        {
            "rf_A": (512, 1.0, 1.5, 8, 8, "", {"I": "ab"}),
            "rf_W": (512, 1.0, 1.5, 8, 8, "", {"W": "ab"}),
            "rf_O": (128, 1.5, 2.0, 24, 24, "", {"O": "abab"}),
            "sram_8KB": (65536, 10.0, 15.0, 128, 128, "*", {"O": "aaaa"}),
            "sram_64KB": (524288, 20.0, 25.0, 128, 128, "*", {"W": "ab"}),
            "sram_1M": (8388608, 100.0, 130.0, 384, 384, "*", _SHARED),
            "dram": (10**10, 1000.0, 1000.0, 64, 64, "*", {"I": "aa", "W": "aa", "O": "aaaa"}),
        },
    ),
    "tpu_like": (
        0.04,
        {
            "rf_128B": (1024, 0.095, 0.095, 8, 8, "", {"W": "ab"}),
            "rf_2B": (16, 0.021, 0.021, 16, 16, "", {"O": "abcd"}),
            "sram_2MB": (16777216, 416.16, 378.4, 2048, 64, "*", _SHARED),
            "dram": _DRAM,
        },
    ),
    "edge_tpu_like": (
        0.04,
        {
            "rf_1B": (8, 0.01, 0.01, 8, 8, "D3 D4", {"W": "ab"}),
            "rf_2B": (16, 0.02, 0.02, 16, 16, "D2", {"O": "abcd"}),
            "sram_32KB": (262144, 22.9, 52.01, 512, 64, "*", {"W": "ab"}),
            "sram_2MB": (16777216, 416.16, 378.4, 2048, 64, "*", _SHARED),
            "dram": _DRAM,
        },
    ),
    "meta_prototype": (
        0.04,
        {
            "rf_1B": (8, 0.01, 0.01, 8, 8, "D3 D4", {"W": "ab"}),
            "rf_2B": (16, 0.02, 0.02, 16, 16, "D2", {"O": "abcd"}),
            "sram_64KB": (524288, 26.56, 30.8, 512, 64, "*", {"W": "ab"}),
            "sram_32KB": (262144, 13.28, 15.4, 256, 64, "*", {"I": "ab"}),
            "sram_1MB_A": (8388608, 208.08, 189.2, 1024, 64, "*", _SHARED),
            "sram_1MB_W": (8388608, 208.08, 189.2, 1024, 64, "*", {"W": "ab"}),
            "dram": _DRAM,
        },
    ),
    "tesla_npu_like": (
        0.04,
        {
            "rf_1B": (8, 0.01, 0.01, 8, 8, "D2 D3", {"W": "ab"}),
            "rf_4B": (32, 0.022, 0.022, 16, 16, "", {"O": "abcd"}),
            "sram_1KB_I": (8192, 4.78, 5.59, 256, 64, "*", {"I": "ab"}),
            "sram_1KB_W": (8192, 4.78, 5.59, 256, 64, "*", {"W": "ab"}),
            "sram_1MB_A": (8388608, 208.08, 189.2, 1024, 64, "*", _SHARED),
            "sram_1MB_W": (8388608, 208.08, 189.2, 1024, 64, "*", {"W": "ab"}),
            "dram": _DRAM,
        },
    ),
    "ascend_like": (
        0.04,
        {
            "rf_1B": (8, 0.01, 0.01, 8, 8, "D3 D4", {"W": "ab"}),
            "rf_2B": (16, 0.02, 0.02, 16, 16, "D2", {"O": "abcd"}),
            "rf_64KB_I": (65536, 26.56, 30.72, 512, 64, "*", {"I": "ab"}),
            "rf_64KB_W": (65536, 50.16, 108.0, 2048, 64, "*", {"W": "ab"}),
            "sram_256KB_O": (2097152, 123.2, 212.8, 2048, 64, "*", {"O": "abab"}),
            "sram_1MB_A": (8388608, 465.6, 825.6, 4096, 64, "*", _SHARED),
            "sram_1MB_W": (8388608, 465.6, 825.6, 4096, 64, "*", {"W": "ab"}),
            "dram": _DRAM,
        },
    ),
}


class Point(NamedTuple):
    """A layer on an accelerator with its mapping, as `zigzag.evaluate` takes it.

    Parts side by side are those that were asked for; ZigZag may have used fewer.
    """

    accelerator: Accelerator
    layer: Layer
    temporal: dict[str, list[list[Loop]]]


def zigzag(path: Path) -> Iterator[Check]:
    """Every accelerator's energy and latency, all energies per operand and memory, all accesses."""
    rows = _rows(path)
    costs = [evaluate(*_point(row)) for row in rows]
    for arch in (*_HARDWARE, "all"):
        part = [i for i, row in enumerate(rows) if arch in (row["arch"], "all")]
        energy = [float(rows[i]["energy_total"]) for i in part]
        latency = [float(rows[i]["latency2_total"]) for i in part]
        ours = [costs[i] for i in part]
        yield compare("ZigZag", arch, "energy", [c.energy_pj for c in ours], energy, _EQUAL)
        yield compare("ZigZag", arch, "latency", [c.latency for c in ours], latency, _EQUAL)
    yield compare(
        "ZigZag",
        "all",
        "iterations",
        [c.steps for c in costs],
        [float(row["ideal_temporal_cycle"]) for row in rows],
        _EQUAL,
    )
    yield from _accesses(rows, costs)


def zigzag_points(path: Path) -> list[Point]:
    """What `zigzag.evaluate` takes, of every row; see `Point`."""
    return [_point(row) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, str]]:
    columns = ("energy_total", "latency2_total", "word_access_per_operand_level")
    rows = read_rows(path, ("arch", "temporal_mapping_out", "mapping_kind", *columns))
    unknown = sorted({row["arch"] for row in rows} - set(_HARDWARE))
    if unknown:
        raise ValueError(f"{path}: accelerator {unknown[0]!r} is none of {', '.join(_HARDWARE)}")
    return rows


def _accesses(rows: list[dict[str, str]], costs: list[Cost]) -> Iterator[Check]:
    for operand in OPERANDS:
        for direction in DIRECTIONS:
            ours, theirs = [], []
            for row, cost in zip(rows, costs, strict=True):
                listed = json.loads(row["word_access_per_operand_level"])[operand]
                for text, found in zip(listed, cost.accesses[operand], strict=True):
                    number = re.search(_ARROWS[direction] + r": (\d+)", text)
                    if number is None:
                        raise ValueError(f"{_ARROWS[direction]} is missing in {text!r}")
                    theirs.append(float(number.group(1)))
                    ours.append(found[direction])
            if any(theirs):
                metric = f"accesses {operand} {direction}"
                yield compare("ZigZag", "all", metric, ours, theirs, _EQUAL)


def _point(row: dict[str, str]) -> Point:
    names = ("B", "K", "C", "OY", "OX", "FY", "FX")
    layer = Layer(
        {name: int(row[name]) for name in names},
        (int(row["stride"]), int(row["stride"])),
        {name: int(row[f"bits_{name}"]) for name in "WIO"},
        int(row["bits_Ofinal"]),
    )
    spatial = {
        array: tuple((str(d), int(f)) for d, f in loops)
        for array, loops in json.loads(row["spatial_mapping"]).items()
    }
    return Point(_accelerator(row["arch"], spatial), layer, _temporal(row))


def _temporal(row: dict[str, str]) -> dict[str, list[list[Loop]]]:
    """Loops per operand and memory, from text such as `{O: [[], [(OX, 112)]], W: ...}`."""
    text = re.sub(r"\((\w+), (\d+)\)", r'["\1", \2]', row["temporal_mapping_out"])
    parsed = json.loads(re.sub(r"(\w): \[", r'"\1": [', text))
    return {
        operand: [[(str(d), int(f)) for d, f in loops] for loops in levels]
        for operand, levels in parsed.items()
    }


def _accelerator(name: str, spatial: dict[str, tuple[Loop, ...]]) -> Accelerator:
    mac_pj, memories = _HARDWARE[name]
    return Accelerator(
        mac_pj, tuple(_memory(k, v, tuple(spatial)) for k, v in memories.items()), spatial
    )


def _memory(name: str, spec: _Spec, array: tuple[str, ...]) -> Memory:
    size, read_pj, write_pj, width, least, serves, letters = spec
    ports: dict[str, list[tuple[str, str]]] = {}
    for operand, shared in letters.items():
        ways = _BOTH_WAYS if operand == "O" else _READ_ONLY
        for letter, direction in zip(shared, ways, strict=True):
            ports.setdefault(letter, []).append((operand, direction))
    below = array if serves == "*" else tuple(serves.split())
    shared_ports = tuple(tuple(port) for port in ports.values())
    return Memory(name, size, read_pj, write_pj, width, least, below, shared_ports)
