"""DRAM devices: organisation, timings and supply, as presets or read from a YAML file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.supply import DramCurrents, DramEnergies, DramRail, check_supply
from archgym.cost_models.dram.termination import DramTermination, check_termination
from archgym.cost_models.dram.timings import DramCommands, DramTiming, impossible, timing_vector

_FOLDER = Path(__file__).parent / "devices"


@dataclass(frozen=True)
class DramOrganisation:
    """How a device's storage is laid out; every number is at least 1.

    Attributes:
        channels: Independent channels.
        ranks: Ranks per channel.
        bank_groups: Bank groups per rank (1 where the standard has none).
        banks_per_group: Banks per bank group.
        rows: Rows per bank.
        columns: Columns per row, each as wide as the channel.
        device_width_bits: Data pins of one device.
        devices_per_rank: Devices that make up a rank; their widths add up to the channel.
        burst_length: Beats per access.
        data_rate: Beats per memory clock (2: double data rate).
        banks_per_refresh: Banks that one per-bank refresh takes (LPDDR5: 2, those half of the banks
            apart).
        data_buses: Data buses of a channel: 1, which its ranks share, or one per rank. HBM has the
            second kind: its pseudo-channels are ranks with data pins of their own.
    """

    channels: int
    ranks: int
    bank_groups: int
    banks_per_group: int
    rows: int
    columns: int
    device_width_bits: int
    devices_per_rank: int
    burst_length: int
    data_rate: int
    banks_per_refresh: int = 1
    data_buses: int = 1


@dataclass(frozen=True)
class DramDevice:
    """A DRAM device as the controller sees it.

    Attributes:
        name: Name of the preset, or of the user's own device.
        standard: JEDEC family, e.g. `DDR4`.
        source: Where the figures come from.
        organisation: Storage layout.
        tCK_ps: Memory-clock period in picoseconds.
        timing: Constraints in memory-clock cycles.
        mapping: Default address mapping, see `AddressMapping.parse`.
        current_ma: Currents of one device from VDD in mA; None where `energy` stands.
        vdd_v: VDD in volts; None where `energy` stands.
        rails: Supplies beside VDD, by name.
        energy: Energies of one device in the place of its currents.
        termination: Drivers and terminations of its data lines, for the power of input and output.
        commands: Lengths of commands, and command buses.
        movable_refreshes: Most refreshes that may be postponed, and most that may be pulled in (8:
            JESD79-3F, JESD79-4, JESD209-4; 4: DDR5 in normal refresh mode, JESD79-5). The
            controllers `dramsys` and `ramulator` do as the simulators that they follow.
        sources: Where single figures come from: text by section (`organisation`, `timing`,
            `commands`, `current_ma`, `rails`, `energy`, `termination`, `tCK_ps`, `vdd_v`,
            `mapping`, `movable_refreshes`) or by field, as `timing.tRFC`.

    Raises:
        ValueError: If a figure is impossible; the message names the field and the rule.
    """

    name: str
    standard: str
    source: str
    organisation: DramOrganisation
    tCK_ps: int
    timing: DramTiming
    mapping: str
    current_ma: DramCurrents | None = None
    vdd_v: float | None = None
    rails: Mapping[str, DramRail] = field(default_factory=dict)
    energy: DramEnergies | None = None
    termination: DramTermination | None = None
    commands: DramCommands = field(default_factory=DramCommands)
    movable_refreshes: int = 8
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for section in (self.organisation, self.timing, self.commands):
            for each in fields(section):
                value = getattr(section, each.name)
                if value is not None or each.default is not None:
                    self._require_integer(f"{_SECTION[type(section)]}.{each.name}", value)
        self._require_integer("movable_refreshes", self.movable_refreshes)
        if not self.tCK_ps > 0:
            raise ValueError(f"device {self.name!r}: tCK_ps is {self.tCK_ps}, must be positive")
        self._check_organisation()
        self._check_timing()
        self._check_partial_refresh()
        check_supply(self.name, self.current_ma, self.vdd_v, self.rails, self.energy)
        if self.termination is not None:
            check_termination(self.name, self.termination)
        self._check_sources()

    def _check_sources(self) -> None:
        known = figure_names()
        for name, text in self.sources.items():
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"device {self.name!r}: sources names no figure {name!r}{hint}")
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"device {self.name!r}: sources.{name} is {text!r}, must be text")

    def source_of(self, figure: str) -> str:
        """Where a figure comes from: its own source, else its section's, else the device's.

        Args:
            figure: A name of `figure_names()`.

        Raises:
            ValueError: If there is no such figure.
        """
        if figure not in figure_names():
            raise ValueError(f"device {self.name!r} has no figure {figure!r}")
        section = figure.partition(".")[0]
        return self.sources.get(figure) or self.sources.get(section) or self.source

    def _require_integer(self, path: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(
                f"device {self.name!r}: {path} is {value!r}, must be an integer of at least 1"
            )

    def _check_organisation(self) -> None:
        for name in _POWERS_OF_TWO:
            value = getattr(self.organisation, name)
            if value & (value - 1):
                raise ValueError(
                    f"device {self.name!r}: organisation.{name} is {value}, must be a power of two"
                )
        o = self.organisation
        for name, value, most in (
            ("ranks", o.ranks, c.MOST_RANKS),
            ("ranks x bank groups", o.ranks * o.bank_groups, c.MOST_GROUPS),
            ("banks of a channel", self.banks_per_channel, c.MOST_BANKS),
        ):
            if value > most:
                raise ValueError(
                    f"device {self.name!r}: organisation has {value} {name}, must be at most {most}"
                )
        if self.organisation.burst_length % self.organisation.data_rate:
            raise ValueError(
                f"device {self.name!r}: organisation.burst_length is "
                f"{self.organisation.burst_length}, must be a multiple of data_rate "
                f"{self.organisation.data_rate}"
            )
        if o.data_buses not in (1, o.ranks):
            raise ValueError(
                f"device {self.name!r}: organisation.data_buses is {o.data_buses}, must be 1 or "
                f"ranks = {o.ranks}"
            )
        if self.organisation.columns < self.organisation.burst_length:
            raise ValueError(
                f"device {self.name!r}: organisation.columns is {self.organisation.columns}, must "
                f"hold a burst of {self.organisation.burst_length}"
            )

    def _check_timing(self) -> None:
        problem = impossible(self.timing, self.commands, self.burst_cycles)
        if problem is not None:
            raise ValueError(f"device {self.name!r}: {problem}")

    def _check_partial_refresh(self) -> None:
        """Refreshes of some banks take no longer than of all, and fit into tREFI one by one."""
        o, t = self.organisation, self.timing
        banks = o.bank_groups * o.banks_per_group
        if o.banks_per_refresh > banks:
            raise ValueError(
                f"device {self.name!r}: organisation.banks_per_refresh is {o.banks_per_refresh}, "
                f"must be at most the {banks} banks of a rank"
            )
        cycles = {"tRFCpb": t.tRFCpb, "tRFCsb": t.tRFCsb}
        given = {name: value for name, value in cycles.items() if value is not None}
        for name, value in (("tRREFD", t.tRREFD), ("tPBR2PBR", t.tPBR2PBR)):
            if value is not None and not given:
                raise ValueError(
                    f"device {self.name!r}: timing.{name} is {value}, needs tRFCpb or tRFCsb"
                )
        if given and t.tRREFD is None:
            raise ValueError(f"device {self.name!r}: timing.tRREFD is missing, {given} needs it")
        if t.tRREFD is not None and t.tRREFD < t.tRRD_S:
            raise ValueError(
                f"device {self.name!r}: timing.tRREFD is {t.tRREFD}, must be at least tRRD_S = "
                f"{t.tRRD_S}"
            )
        gap = max(t.tRREFD or 0, t.tPBR2PBR or 0)
        for name, value in given.items():
            interval = t.tREFI // self.refresh_sets("SameBank" if name == "tRFCsb" else "PerBank")
            for short, what, most in (
                (name, "tRFC", t.tRFC),
                ("tRREFD", name, value),
                ("tPBR2PBR", name, value),
                ("max(tRREFD, tPBR2PBR)", "the interval of its refreshes - 2", interval - 2),
            ):
                found = gap if short.startswith("max") else getattr(t, short)
                if found is not None and found > most:
                    raise ValueError(
                        f"device {self.name!r}: timing.{short} is {found}, must be at most {what} "
                        f"= {most}"
                    )

    def refresh_sets(self, mode: str) -> int:
        """Refresh commands that take every bank of a rank once, so many per tREFI.

        Bank b (counted through the bank groups) belongs to the set b modulo this number.

        Args:
            mode: `AllBank`, `PerBank` or `SameBank`.
        """
        o = self.organisation
        if mode == "PerBank":
            return o.bank_groups * o.banks_per_group // o.banks_per_refresh
        return o.banks_per_group if mode == "SameBank" else 1

    @property
    def burst_cycles(self) -> int:
        """Memory-clock cycles of one burst on the data bus."""
        return self.organisation.burst_length // self.organisation.data_rate

    @property
    def channel_bytes(self) -> int:
        """Bytes that the channel moves per beat."""
        return self.organisation.device_width_bits * self.organisation.devices_per_rank // 8

    @property
    def request_bytes(self) -> int:
        """Bytes that one access moves."""
        return self.channel_bytes * self.organisation.burst_length

    @property
    def capacity_bytes(self) -> int:
        """Bytes of all channels together."""
        o = self.organisation
        banks = o.channels * o.ranks * o.bank_groups * o.banks_per_group
        return banks * o.rows * o.columns * self.channel_bytes

    @property
    def banks_per_channel(self) -> int:
        """Banks of all ranks of a channel."""
        o = self.organisation
        return o.ranks * o.bank_groups * o.banks_per_group

    @property
    def peak_bandwidth_gb_per_s(self) -> float:
        """Bandwidth of all channels' data buses, in 10^9 bytes per second."""
        beats_per_ns = self.organisation.data_rate * 1000.0 / self.tCK_ps
        buses = self.organisation.channels * self.organisation.data_buses
        return buses * self.channel_bytes * beats_per_ns

    def timing_vector(self) -> NDArray[np.int64]:
        """The kernels' timing vector, in the order of `cells`."""
        own_data_bus = self.organisation.data_buses > 1
        return timing_vector(self.timing, self.commands, self.burst_cycles, own_data_bus)

    def geometry_vector(self, parts: int = 1) -> NDArray[np.int64]:
        """The kernels' geometry vector, in the order of `cells`.

        Args:
            parts: Requests that one line of the trace takes.
        """
        o = self.organisation
        banks = [o.bank_groups, o.banks_per_group]
        return np.array([o.ranks, *banks, parts, o.banks_per_refresh], np.int64)


_POWERS_OF_TWO = (
    "ranks",
    "bank_groups",
    "banks_per_group",
    "rows",
    "columns",
    "burst_length",
    "banks_per_refresh",
)

_SECTION: dict[type, str] = {
    DramOrganisation: "organisation",
    DramTiming: "timing",
    DramCommands: "commands",
    DramCurrents: "current_ma",
    DramEnergies: "energy",
    DramTermination: "termination",
}


def figure_names() -> tuple[str, ...]:
    """What `DramDevice.sources` may name: sections, and `section.field` for each field."""
    names = ["tCK_ps", "vdd_v", "mapping", "rails", "movable_refreshes"]
    for section, title in _SECTION.items():
        names += [title, *(f"{title}.{each.name}" for each in fields(section))]
    return tuple(names)


def device_names() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def load_device(name: str | os.PathLike[str]) -> DramDevice:
    """Load a preset by name, or a device from a YAML file of the presets' form by path.

    Args:
        name: A name of `device_names()`, or a path that ends in `.yaml` or `.yml`.

    Returns:
        The device.

    Raises:
        ValueError: If there is no such preset or file, a field is missing, unknown or impossible.
    """
    text = os.fspath(name)
    path = Path(text)
    if path.suffix not in (".yaml", ".yml"):
        if text not in device_names():
            close = difflib.get_close_matches(text, device_names(), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"device {text!r} is unknown, allowed are {', '.join(device_names())} and paths of "
                f".yaml files{hint}"
            )
        path = _FOLDER / f"{text}.yaml"
    if not path.is_file():
        raise ValueError(f"device file {text!r} does not exist")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"device file {text!r} is not YAML: {_one_line(error)}") from None
    return _build(data, text)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _build(data: Any, where: str) -> DramDevice:
    values = _fields(data, DramDevice, where, "")
    for section, key in _SECTION.items():
        if key in values:
            values[key] = section(**_fields(values[key], section, where, f"{key}."))
    values["rails"] = _rails(values.get("rails", {}), where)
    for key in ("name", "standard", "source", "mapping"):
        if not isinstance(values[key], str):
            raise ValueError(f"device file {where!r}: {key} is {values[key]!r}, must be text")
    period = values["tCK_ps"]
    if isinstance(period, bool) or not isinstance(period, int):
        raise ValueError(f"device file {where!r}: tCK_ps is {period!r}, must be a number")
    if not isinstance(values.get("sources", {}), dict):
        raise ValueError(
            f"device file {where!r}: sources is {values['sources']!r}, must be a mapping"
        )
    return DramDevice(**values)


def _rails(data: Any, where: str) -> dict[str, DramRail]:
    if not isinstance(data, dict):
        raise ValueError(f"device file {where!r}: rails is {data!r}, must be a mapping by name")
    rails = {}
    for name, entry in data.items():
        path = f"rails.{name}."
        values = _fields(entry, DramRail, where, path)
        currents = _fields(values["current_ma"], DramCurrents, where, f"{path}current_ma.")
        rails[str(name)] = DramRail(values["voltage_v"], DramCurrents(**currents))
    return rails


def _fields(data: Any, section: type, where: str, prefix: str) -> dict[str, Any]:
    """Check that `data` is a mapping with the fields of `section`, all that have no default."""
    allowed = [each.name for each in fields(section)]
    needed = [
        each.name
        for each in fields(section)
        if each.default is MISSING and each.default_factory is MISSING
    ]
    if not isinstance(data, dict):
        raise ValueError(
            f"device file {where!r}: {prefix.rstrip('.') or 'the document'} must be a mapping with "
            f"{', '.join(allowed)}"
        )
    for key in data:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"device file {where!r}: unknown field {prefix}{key}{hint}")
    for key in needed:
        if key not in data:
            raise ValueError(f"device file {where!r}: field {prefix}{key} is missing")
    return dict(data)
