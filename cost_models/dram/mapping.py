"""Address mapping: which bits of a byte address select rank, bank group, bank, row and column."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.devices import DramDevice

_FIELDS = ("channel", "rank", "bankgroup", "bank", "row", "column", "offset")


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
    """Bit fields of an address, from the most significant.

    Attributes:
        parts: Pairs of field name (channel, rank, bankgroup, bank, row, column, offset) and number
            of bits. A field may be split over several pairs: the first holds its upper bits.
            Fields that need no bits may be left out.
    """

    parts: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> AddressMapping:
        """Read a mapping like `"row:14 bank:3 column:10 offset:3"`, upper bits first.

        Raises:
            ValueError: If a part is not `field:bits` or a field is unknown.
        """
        parts = []
        for part in text.split():
            name, colon, bits = part.partition(":")
            if name not in _FIELDS:
                close = difflib.get_close_matches(name, _FIELDS, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(
                    f"mapping {text!r}: field {name!r} is unknown, allowed are "
                    f"{', '.join(_FIELDS)}{hint}"
                )
            if not colon or not bits.isascii() or not bits.isdigit():
                raise ValueError(f"mapping {text!r}: part {part!r} must be field:bits")
            parts.append((name, int(bits)))
        return cls(tuple(parts))

    def check(self, device: DramDevice) -> None:
        """Raise ValueError, naming the field, unless the mapping fits the device exactly."""
        o = device.organisation
        counts = {
            "channel": o.channels,
            "rank": o.ranks,
            "bankgroup": o.bank_groups,
            "bank": o.banks_per_group,
            "row": o.rows,
            "column": o.columns,
            "offset": device.channel_bytes,
        }
        for name, count in counts.items():
            bits = sum(width for part, width in self.parts if part == name)
            if 1 << bits != count:
                raise ValueError(
                    f"mapping of device {device.name!r}: field {name} has {bits} bits, must have "
                    f"{max(count - 1, 0).bit_length()} for {count}"
                )

    def decode(self, address: NDArray[np.int64]) -> DecodedAddresses:
        """Split byte addresses `(n,)` into their fields; bits above the mapping are ignored."""
        values = {name: np.zeros(address.shape, np.int64) for name in _FIELDS}
        low = sum(width for _, width in self.parts)
        for name, width in self.parts:
            low -= width
            part = (address >> low) & ((1 << width) - 1)
            values[name] = (values[name] << width) | part
        del values["offset"]
        return DecodedAddresses(**values)


def require_capacity(address: NDArray[np.int64], device: DramDevice, name: str) -> None:
    """Raise ValueError for the first address of trace `name` that the device does not have."""
    beyond = np.flatnonzero((address < 0) | (address >= device.capacity_bytes))
    if beyond.size:
        index = int(beyond[0])
        raise ValueError(
            f"trace {name!r}: address {int(address[index]):#x} of request {index} is beyond the "
            f"capacity of device {device.name!r}, {device.capacity_bytes} bytes"
        )
