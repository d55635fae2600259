"""Power of data lines: output drivers and on-die termination, inside the DRAM devices.

Micron's technical notes (TN-41-01 for DDR3, TN-40-07 for DDR4) add to the core power of a device
pdqRD for each line that it drives, pdqWR for each that it receives, and pdqRDoth and pdqWRoth for
lines that it terminates while another rank is read or written, over the time of the bursts. The
powers of one line follow here from its circuit at direct current: a driver of resistance R_on pulls
the line from the voltage V_T of the terminations, whose conductances add up to 1/R_t, by

    I = S / (R_on + R_t),   driver I^2 R_on,   termination of resistance R: (I R_t)^2 / R

with the swing S. POD (JESD8-24; DDR4, DDR5, GDDR6): V_T = VDDQ, so S = VDDQ at a low level and no
current flows at a high one. SSTL (JESD79-3; DDR3): V_T = VDDQ / 2 and S = VDDQ / 2 at both; a
termination is two resistors of 2 R to VDDQ and ground, which take VDDQ^2 / (4 R) besides. Levels
are high half of the time. What lies in the controller is not counted, nor are capacitances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

_KINDS = ("POD", "SSTL")


@dataclass(frozen=True)
class DramTermination:
    """Drivers and terminations of the data lines of one device.

    Attributes:
        kind: `POD` (terminated to VDDQ) or `SSTL` (to half of it).
        vddq_v: Supply of the lines in volts.
        driver_ohm: Output driver of the DRAM.
        controller_driver_ohm: Output driver of the controller.
        read_ohm: Termination in the controller during reads.
        write_ohm: Termination in the DRAM that is written.
        read_signals: Lines that a device drives: data and strobes.
        write_signals: Lines that it receives: data, strobes and masks.
        other_ranks_ohm: Termination in each other rank during reads and writes; None: none.
    """

    kind: str
    vddq_v: float
    driver_ohm: float
    controller_driver_ohm: float
    read_ohm: float
    write_ohm: float
    read_signals: int
    write_signals: int
    other_ranks_ohm: float | None = None


@dataclass(frozen=True)
class LinePowers:
    """Mean power of one line in mW, inside the DRAM devices, while a burst lasts."""

    read: float
    write: float
    read_other: float
    write_other: float


def check_termination(device: str, termination: DramTermination) -> None:
    """Raise ValueError, naming device, field and rule, for a figure that cannot be."""
    if termination.kind not in _KINDS:
        raise ValueError(
            f"device {device!r}: termination.kind is {termination.kind!r}, allowed are "
            f"{', '.join(_KINDS)}"
        )
    for each in fields(termination):
        value = getattr(termination, each.name)
        if each.name == "kind" or (value is None and each.default is None):
            continue
        kinds = int if each.name.endswith("signals") else (int, float)
        number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
        if not (number and value > 0):
            raise ValueError(
                f"device {device!r}: termination.{each.name} is {value!r}, must be a positive "
                f"{'integer' if each.name.endswith('signals') else 'number'}"
            )


def line_powers(termination: DramTermination, ranks: int) -> LinePowers:
    """Powers of one line on a bus of `ranks` ranks: in the rank addressed, and in one other."""
    t = termination
    other = 0.0 if t.other_ranks_ohm is None else 1.0 / t.other_ranks_ohm
    others = (ranks - 1) * other
    read, write = (
        (driver, 1.0 / (1.0 / own + others))
        for driver, own in ((t.driver_ohm, t.read_ohm), (t.controller_driver_ohm, t.write_ohm))
    )
    return LinePowers(
        read=_mean_mw(t, *read, driver=True),
        write=_mean_mw(t, *write, conductance=1.0 / t.write_ohm),
        read_other=_mean_mw(t, *read, conductance=other),
        write_other=_mean_mw(t, *write, conductance=other),
    )


def _mean_mw(
    t: DramTermination,
    driver_ohm: float,
    total_ohm: float,
    *,
    driver: bool = False,
    conductance: float = 0.0,
) -> float:
    """Power in the driver, or in a termination of that conductance, in mW."""
    half = t.kind == "SSTL"
    swing = t.vddq_v / 2 if half else t.vddq_v
    current = swing / (driver_ohm + total_ohm)
    power = current**2 * driver_ohm if driver else (current * total_ohm) ** 2 * conductance
    low_share = 1.0 if half else 0.5
    split = t.vddq_v**2 / 4 * conductance if half else 0.0
    return 1000.0 * (low_share * power + split)


def burst_energies_pj(
    termination: DramTermination, ranks: int, burst_ns: float
) -> tuple[float, float]:
    """Energy in pJ of the lines of one device for one burst read, and one written.

    Args:
        termination: Of the device.
        ranks: Ranks on the bus; each terminates in as many devices as the one addressed.
        burst_ns: Length of a burst.
    """
    p = line_powers(termination, ranks)
    read = termination.read_signals * (p.read + (ranks - 1) * p.read_other)
    write = termination.write_signals * (p.write + (ranks - 1) * p.write_other)
    return read * burst_ns, write * burst_ns
