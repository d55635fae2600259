"""Energy, area, leakage and access time of on-chip memories, between the points of CACTI."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.accelerator.constants import SRAM_COLUMNS, constants

_COSTS = SRAM_COLUMNS[3:]


@dataclass(frozen=True)
class SramCosts:
    """Costs of memories `(n,)`.

    Attributes:
        read_pj: Of a word.
        write_pj: Of a word.
        leakage_mw: Of all banks.
        area_mm2: Of all banks.
        access_ns: From address to data, of one bank.
    """

    read_pj: NDArray[np.float64]
    write_pj: NDArray[np.float64]
    leakage_mw: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    access_ns: NDArray[np.float64]


@functools.cache
def _points() -> dict[int, dict[int, NDArray[np.float64]]]:
    """Logarithms of sizes and costs (points, 1 + costs), by node and word width."""
    found: dict[int, dict[int, list[tuple[float, ...]]]] = {}
    for node, word, *rest in constants().sram.rows:
        found.setdefault(int(node), {}).setdefault(int(word), []).append(tuple(rest))
    return {
        node: {word: np.log(np.array(sorted(rows))) for word, rows in words.items()}
        for node, words in found.items()
    }


def sram_nodes() -> tuple[int, ...]:
    """Nodes in nm for which there are points."""
    return tuple(sorted(_points()))


def sram_range(node_nm: int, word_bytes: float) -> tuple[int, int]:
    """Smallest and largest size of a bank in bytes.

    Raises:
        ValueError: If there are no points for the node or the word.
    """
    tables = _around(node_nm, word_bytes)
    lows = [np.exp(points[0, 0]) for _, points in tables]
    highs = [np.exp(points[-1, 0]) for _, points in tables]
    return round(max(lows)), round(min(highs))


def _around(node_nm: int, word_bytes: float) -> list[tuple[int, NDArray[np.float64]]]:
    if node_nm not in _points():
        allowed = ", ".join(map(str, sram_nodes()))
        raise ValueError(f"node_nm is {node_nm}, SRAM is known at {allowed} nm")
    words = _points()[node_nm]
    below = [word for word in words if word <= word_bytes]
    above = [word for word in words if word >= word_bytes]
    if not below or not above:
        raise ValueError(
            f"word_bytes is {word_bytes:g}, must be from {min(words)} to {max(words)} at "
            f"{node_nm} nm; a narrower access costs a whole word, a wider one several"
        )
    return [(word, words[word]) for word in sorted({max(below), min(above)})]


def sram_costs(
    size_bytes: ArrayLike, word_bytes: float = 8, node_nm: int = 45, banks: ArrayLike = 1
) -> SramCosts:
    """Costs of memories, interpolated linearly between the points' logarithms.

    Between word widths likewise. Nothing is extrapolated: a memory that is larger than the largest
    point is made of banks. An access costs that of one bank; wires between banks are not counted.

    Args:
        size_bytes: Of all banks together `(n,)`.
        word_bytes: Width of an access.
        node_nm: One of `sram_nodes()`.
        banks: Equal parts with ports of their own `(n,)`.

    Raises:
        ValueError: If there are no points for the node or the word, or a bank is smaller or larger
            than all points.
    """
    count = np.asarray(banks, np.float64)
    sizes, count = np.broadcast_arrays(np.atleast_1d(np.asarray(size_bytes, np.float64)), count)
    if np.any(count < 1):
        raise ValueError(f"banks is {count.min():g}, must be at least 1")
    low, high = sram_range(node_nm, word_bytes)
    bank = sizes / count
    wrong = (bank < low) | (bank > high) | np.isnan(bank)
    if np.any(wrong):
        raise ValueError(
            f"size of an SRAM bank is {bank[wrong][0]:g} bytes, must be from {low} to {high} at "
            f"{node_nm} nm and words of {word_bytes:g} bytes; banks divide a larger memory"
        )
    tables = _around(node_nm, word_bytes)
    logs = np.stack([_at(points, np.log(bank)) for _, points in tables])
    if len(tables) == 2:
        first, last = (np.log(word) for word, _ in tables)
        share = (np.log(word_bytes) - first) / (last - first)
        logs = logs[:1] * (1 - share) + logs[1:] * share
    costs = dict(zip(_COSTS, np.exp(logs[0]), strict=True))
    costs["leakage_mw"] *= count
    costs["area_mm2"] *= count
    return SramCosts(**costs)


def _at(points: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the costs (costs, n) at logarithms of sizes."""
    return np.stack([np.interp(size, points[:, 0], column) for column in points[:, 1:].T])
