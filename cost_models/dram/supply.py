"""What a DRAM device draws from its supplies, stated as currents or as energies.

Where a data sheet gives IDD currents, a device states them (`DramCurrents`), for VDD and for each
further rail (`DramRail`: VPP of DDR4, VDD1 of LPDDR). Where there are only energies per command or
bit, or where currents cannot be used as they stand (IDD0 below IDD3N, as in DDR5, whose IDD3N is
measured with every bank open), it states those (`DramEnergies`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class DramCurrents:
    """Supply currents of one device in mA, named as in the data sheets (JEDEC IDD conditions)."""

    IDD0: float
    IDD2N: float
    IDD2P0: float
    IDD2P1: float
    IDD3N: float
    IDD3P0: float
    IDD3P1: float
    IDD4R: float
    IDD4W: float
    IDD5: float
    IDD6: float


@dataclass(frozen=True)
class DramRail:
    """A supply beside VDD.

    Attributes:
        voltage_v: Its voltage in volts.
        current_ma: What one device draws from it in mA, under the conditions of the IDD of the same
            name (IPP0 stands as `IDD0`).
    """

    voltage_v: float
    current_ma: DramCurrents


@dataclass(frozen=True)
class DramEnergies:
    """Energies and powers of one device, all supplies together.

    Attributes:
        activate_pj: An ACT and the PRE that ends it, beyond standby, in pJ.
        read_pj_per_bit: A bit read, beyond active standby, in pJ.
        write_pj_per_bit: A bit written, beyond active standby, in pJ.
        refresh_pj: A REF of all banks, beyond active standby, in pJ.
        active_standby_mw: Power with a bank open, in mW.
        precharge_standby_mw: Power with all banks closed.
        active_power_down_mw: Power in power-down with a bank open.
        precharge_power_down_mw: Power in power-down with all closed.
        self_refresh_mw: Power in self-refresh, with the refresh that it does.
    """

    activate_pj: float
    read_pj_per_bit: float
    write_pj_per_bit: float
    refresh_pj: float
    active_standby_mw: float
    precharge_standby_mw: float
    active_power_down_mw: float
    precharge_power_down_mw: float
    self_refresh_mw: float


# What a current, or a power, must at least be.
_CURRENT_RULES = (
    ("IDD0", "IDD3N"),
    ("IDD4R", "IDD3N"),
    ("IDD4W", "IDD3N"),
    ("IDD5", "IDD3N"),
    ("IDD3N", "IDD2N"),
)
_POWER_RULES = (("active_standby_mw", "precharge_standby_mw"),)


def check_supply(
    device: str,
    current_ma: DramCurrents | None,
    vdd_v: float | None,
    rails: Mapping[str, DramRail],
    energy: DramEnergies | None,
) -> None:
    """Refuse a device that states neither form or both, or a figure that cannot be.

    Args:
        device: Its name, for messages.
        current_ma: Currents from VDD.
        vdd_v: VDD in volts.
        rails: Further rails by name.
        energy: Energies in the place of currents.

    Raises:
        ValueError: Names the field and the rule.
    """
    if energy is not None:
        for name, given in (("current_ma", current_ma), ("vdd_v", vdd_v), ("rails", rails or None)):
            if given is not None:
                raise ValueError(f"device {device!r}: energy stands in the place of {name}")
        _check_figures(device, "energy", energy)
        _check_order(device, "energy", energy, _POWER_RULES)
        return
    if current_ma is None or vdd_v is None:
        missing = "current_ma" if current_ma is None else "vdd_v"
        raise ValueError(f"device {device!r}: {missing} is missing, without it energy must stand")
    supplies = {"": DramRail(vdd_v, current_ma)} | {f"rails.{k}.": v for k, v in rails.items()}
    for prefix, supply in supplies.items():
        voltage = f"{prefix}voltage_v" if prefix else "vdd_v"
        if not (_is_number(supply.voltage_v) and supply.voltage_v > 0):
            raise ValueError(
                f"device {device!r}: {voltage} is {supply.voltage_v!r}, must be a positive number"
            )
        _check_figures(device, f"{prefix}current_ma", supply.current_ma)
        _check_order(device, f"{prefix}current_ma", supply.current_ma, _CURRENT_RULES)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_figures(device: str, section: str, figures: DramCurrents | DramEnergies) -> None:
    for each in fields(figures):
        value = getattr(figures, each.name)
        if not (_is_number(value) and value >= 0):
            raise ValueError(
                f"device {device!r}: {section}.{each.name} is {value!r}, must be a number of at "
                f"least 0"
            )


def _check_order(
    device: str,
    section: str,
    figures: DramCurrents | DramEnergies,
    rules: tuple[tuple[str, str], ...],
) -> None:
    for name, base in rules:
        value, least = getattr(figures, name), getattr(figures, base)
        if value < least:
            raise ValueError(
                f"device {device!r}: {section}.{name} is {value}, must be at least {base} = {least}"
            )
