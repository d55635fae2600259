"""Number formats, and energy and area of multiply-accumulates in them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from math import log

from archgym.cost_models.accelerator.constants import Key, constants


@dataclass(frozen=True)
class NumberFormat:
    """How a number is stored.

    Attributes:
        name: Of the format.
        bits: Of storage.
        significand: Bits of the significand with its hidden one; 0 for an integer.
    """

    name: str
    bits: int
    significand: int = 0

    @property
    def is_float(self) -> bool:
        """Whether it has an exponent."""
        return self.significand > 0

    @property
    def bytes(self) -> float:
        """Storage of one number."""
        return self.bits / 8


FORMATS = {
    each.name: each
    for each in (
        NumberFormat("int2", 2),
        NumberFormat("int4", 4),
        NumberFormat("int8", 8),
        NumberFormat("int16", 16),
        NumberFormat("int32", 32),
        NumberFormat("fp8-e4m3", 8, 4),
        NumberFormat("fp8-e5m2", 8, 3),
        NumberFormat("bf16", 16, 8),
        NumberFormat("fp16", 16, 11),
        NumberFormat("fp32", 32, 24),
    )
}


def number_format(name: str) -> NumberFormat:
    """A format by name.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"format: unknown name {name!r}{hint} Allowed: {', '.join(FORMATS)}.")
    return FORMATS[name]


def mac_energy_pj(weight: str, activation: str, accumulator: str = "", node_nm: int = 45) -> float:
    """Energy of one multiply-accumulate in pJ: of the product, and of the sum in the accumulator.

    Integers: the product as (bits x bits)^0.99, the power law through Horowitz' 8 and 32 bits.
    Floats: as (significand x significand)^0.78, through his 16 and 32 bits. An integer that meets a
    float counts as one of the float's format, its conversion free. Scaled to a node by
    `technology_energy`.

    Args:
        weight: Name of a format.
        activation: Name of a format.
        accumulator: Name of a format; empty for `int32` or `fp32`.
        node_nm: A node of the table `technology_energy`.

    Raises:
        ValueError: For an unknown format or node, or floats summed in integers.
    """
    return (
        _mac(weight, activation, accumulator, "energy") * constants()["technology_energy"][node_nm]
    )


def mac_area_um2(weight: str, activation: str, accumulator: str = "", node_nm: int = 45) -> float:
    """Area of a multiply-accumulate unit in square micrometres, as `mac_energy_pj` is made.

    Scaled to a node by the square of its name, which is optimistic below 22 nm.
    """
    constants()["technology_energy"][node_nm]  # the nodes that are known
    return _mac(weight, activation, accumulator, "area") * (node_nm / 45) ** 2


def _mac(weight: str, activation: str, accumulator: str, quantity: str) -> float:
    first, second = number_format(weight), number_format(activation)
    any_float = first.is_float or second.is_float
    total = number_format(accumulator or ("fp32" if any_float else "int32"))
    if any_float and not total.is_float:
        raise ValueError(
            f"accumulator is {accumulator!r}, must be a float for {weight} and {activation}"
        )
    if any_float:
        of_float = first if first.is_float else second
        a = first.significand or of_float.significand
        b = second.significand or of_float.significand
    else:
        a, b = first.bits, second.bits
    kind = "float" if any_float else "int"
    product = power_law(constants()[f"{kind}_multiply_{quantity}"].values, (a * b) ** 0.5)
    kind = "float" if total.is_float else "int"
    return product + power_law(constants()[f"{kind}_add_{quantity}"].values, total.bits)


def power_law(values: Mapping[Key, float], at: float) -> float:
    """The power law through the neighbouring points, or beyond them the last two.

    Args:
        values: At least two figures by number.
        at: Where to read.
    """
    keys = sorted(int(key) for key in values)
    right = next((i for i, key in enumerate(keys) if key >= at and i), len(keys) - 1)
    low, high = keys[right - 1], keys[right]
    if at in (low, high):
        return values[int(at)]
    exponent = log(values[high] / values[low]) / log(high / low)
    return float(values[low] * (at / low) ** exponent)
