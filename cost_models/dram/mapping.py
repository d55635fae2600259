"""Address mapping: which bits of a byte address select rank, bank group, bank, row and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.devices import DramDevice
from archgym.cost_models.dram.trace import LINE_BYTES

_FIELDS = ("channel", "rank", "bankgroup", "bank", "row", "column", "offset")

# Fields from the most significant bit, then what the fields left of "^" are XORed with. The columns
# of a line (64 bytes, or a burst where that is more) and the offset come last in all of them;
# "column:2" are the two next bits.
_MOP = "row column bank bankgroup rank channel column:2"
_SCHEMES: Final[dict[str, tuple[str, str, str]]] = {
    "RoBaRaCoCh": (
        "row bank bankgroup rank column channel",
        "",
        "whole rows, spread over channels: then the next rank, bank group and bank",
    ),
    "RoBaRaCoBgCh": (
        "row bank rank column bankgroup channel",
        "",
        "whole rows, one in each bank group at a time: lines alternate between bank groups",
    ),
    "RoCoBaRaCh": (
        "row column bank bankgroup rank channel",
        "",
        "one line per bank: neighbours lie in different channels, ranks, bank groups, banks",
    ),
    "BaRoRaCoCh": (
        "bank bankgroup row rank column channel",
        "",
        "a contiguous part of the memory per bank, spread over ranks and channels",
    ),
    "ChRaBaRoCo": (
        "channel rank bankgroup bank row column",
        "",
        "a contiguous part of the memory per channel, rank and bank",
    ),
    "Permutation": (
        "row bank bankgroup rank column channel",
        "bankgroup^row bank^row",
        "RoBaRaCoCh with the bank XORed with the lowest row bits (Zhang, Zhu and Zhang, MICRO "
        "2000): rows that would share a bank spread over all",
    ),
    "MOP": (
        _MOP,
        "",
        "four lines per row, then the next channel, rank, bank group, bank (minimalist open "
        "page: Kaseridis, Stuecheli and John, MICRO 2011)",
    ),
    "MOPPermutation": (
        _MOP,
        "bankgroup^row bank^row",
        "MOP with the bank XORed as in Permutation",
    ),
    "MOP4CLXOR": (
        _MOP,
        "channel^column rank^column bankgroup^column bank^column row^column",
        "MOP with everything else XORed with bits of the column, as in Ramulator 2.1",
    ),
}

NAMED_MAPPINGS: Final[dict[str, str]] = {name: text for name, (_, _, text) in _SCHEMES.items()}
"""Names for `AddressMapping.named`, each with what neighbouring addresses have in common."""


@dataclass(frozen=True)
class DecodedAddresses:
    """Places of requests: one int64 array `(n,)` per field of the address."""

    channel: NDArray[np.int64]
    rank: NDArray[np.int64]
    bankgroup: NDArray[np.int64]
    bank: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


@dataclass(frozen=True)
class AddressMapping:
    """Bit fields of an address, from the most significant, some XORed with others.

    Attributes:
        parts: Pairs of field name (channel, rank, bankgroup, bank, row, column, offset) and number
            of bits. A field may be split over several pairs: the first holds its upper bits.
            Fields that need no bits may be left out.
        hashes: Triples of field, source (row or column) and bit: the field is XORed with the
            source's bits from that bit on. Every address still has a place of its own, since the
            column is what the address says, the row follows from it, and the others from both.

    Raises:
        ValueError: If a hash names another field.
    """

    parts: tuple[tuple[str, int], ...]
    hashes: tuple[tuple[str, str, int], ...] = ()

    def __post_init__(self) -> None:
        for field, source, _ in self.hashes:
            sources = ("column",) if field == "row" else ("row", "column")
            if field in ("column", "offset"):
                raise ValueError(f"mapping: {field} cannot be XORed")
            if source not in sources:
                raise ValueError(
                    f"mapping: {field} cannot be XORed with {source!r}, allowed are "
                    f"{', '.join(sources)}"
                )

    @classmethod
    def parse(cls, text: str) -> AddressMapping:
        """Read a mapping like `"row:14 bank:3 column:10 offset:3"`, upper bits first.

        `bank^row:2`, anywhere, XORs the bank with the bits of the row from bit 2 on.

        Raises:
            ValueError: If a part is not `field:bits` or a field is unknown.
        """
        parts, hashes = [], []
        for part in text.split():
            names, colon, bits = part.partition(":")
            name, hashed, source = names.partition("^")
            for each in (name, source) if hashed else (name,):
                if each not in _FIELDS:
                    raise ValueError(
                        f"mapping {text!r}: field {each!r} is unknown, allowed are "
                        f"{', '.join(_FIELDS)}{_closest(each, _FIELDS)}"
                    )
            if not colon or not bits.isascii() or not bits.isdigit():
                form = "field^source:bit" if hashed else "field:bits"
                raise ValueError(f"mapping {text!r}: part {part!r} must be {form}")
            if hashed:
                hashes.append((name, source, int(bits)))
            else:
                parts.append((name, int(bits)))
        return cls(tuple(parts), tuple(hashes))

    @classmethod
    def named(cls, name: str, device: DramDevice) -> AddressMapping:
        """A mapping of `NAMED_MAPPINGS` for a device of any size.

        Raises:
            ValueError: If there is none of this name, or the device has no such mapping: a count
                that is not a power of two, or rows that are too short.
        """
        if name not in _SCHEMES:
            raise ValueError(
                f"mapping {name!r} is unknown, allowed are {', '.join(_SCHEMES)}"
                f"{_closest(name, _SCHEMES)}"
            )
        order, hashed, _ = _SCHEMES[name]
        o = device.organisation
        bits = {field: (count - 1).bit_length() for field, count in _counts(device).items()}
        burst_bytes = max(device.request_bytes, LINE_BYTES)
        line = (burst_bytes // device.channel_bytes - 1).bit_length()
        bits["column"] -= line
        least = 2 if "column:2" in order else 0
        if bits["column"] < least:
            raise ValueError(
                f"mapping {name!r} needs rows of {burst_bytes << least} bytes, device "
                f"{device.name!r} has rows of {o.columns * device.channel_bytes}"
            )
        parts: list[tuple[str, int]] = []
        for part in reversed(order.split()):
            field, _, width = part.partition(":")
            taken = int(width) if width else bits[field]
            bits[field] -= taken
            parts.insert(0, (field, taken))
        parts += [("column", line), ("offset", bits["offset"])]
        mapping = cls(tuple(parts), _hashes(hashed, parts, line))
        mapping.check(device)
        return mapping

    def check(self, device: DramDevice) -> None:
        """Raise ValueError, naming the field, unless the mapping fits the device exactly."""
        for name, count in _counts(device).items():
            bits = sum(width for part, width in self.parts if part == name)
            if count & (count - 1):
                raise ValueError(
                    f"mapping of device {device.name!r}: field {name} has {count} values, must be "
                    f"a power of two"
                )
            if 1 << bits != count:
                raise ValueError(
                    f"mapping of device {device.name!r}: field {name} has {bits} bits, must have "
                    f"{(count - 1).bit_length()} for {count}"
                )

    def decode(self, address: NDArray[np.int64]) -> DecodedAddresses:
        """Split byte addresses `(n,)` into their fields; bits above the mapping are ignored."""
        values = {name: np.zeros(address.shape, np.int64) for name in _FIELDS}
        widths = dict.fromkeys(_FIELDS, 0)
        low = sum(width for _, width in self.parts)
        for name, width in self.parts:
            low -= width
            part = (address >> low) & ((1 << width) - 1)
            values[name] = (values[name] << width) | part
            widths[name] += width
        plain = dict(values)
        for name, source, bit in self.hashes:
            values[name] = values[name] ^ ((plain[source] >> bit) & ((1 << widths[name]) - 1))
        del values["offset"]
        return DecodedAddresses(**values)


def _counts(device: DramDevice) -> dict[str, int]:
    """How many values each field of an address has."""
    o = device.organisation
    return {
        "channel": o.channels,
        "rank": o.ranks,
        "bankgroup": o.bank_groups,
        "bank": o.banks_per_group,
        "row": o.rows,
        "column": o.columns,
        "offset": device.channel_bytes,
    }


def _hashes(
    text: str, parts: Iterable[tuple[str, int]], line: int
) -> tuple[tuple[str, str, int], ...]:
    """Hashes of a scheme: one field after another takes the source's next bits, the lowest first.

    Bits of the column within a line tell no line from another, so its first bit is above them.
    """
    widths = dict(parts)
    taken = {"row": 0, "column": line}
    hashes = []
    for part in text.split():
        field, _, source = part.partition("^")
        hashes.append((field, source, taken[source]))
        taken[source] += widths[field]
    return tuple(hashes)


def require_capacity(address: NDArray[np.int64], device: DramDevice, name: str) -> None:
    """Raise ValueError for the first address of trace `name` that the device does not have."""
    beyond = np.flatnonzero((address < 0) | (address >= device.capacity_bytes))
    if beyond.size:
        index = int(beyond[0])
        raise ValueError(
            f"trace {name!r}: address {int(address[index]):#x} of request {index} is beyond the "
            f"capacity of device {device.name!r}, {device.capacity_bytes} bytes"
        )


def _closest(name: str, names: Iterable[str]) -> str:
    by_lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""
