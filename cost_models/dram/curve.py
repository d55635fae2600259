"""Bandwidth-latency curves: what a read waits as the load on the memory grows.

`random` traffic touches lines drawn uniformly from the whole memory, at random times (a Poisson
process). `sequential` traffic arrives at even gaps and walks along several streams at once, reads
along some and writes along as many others. Latency is that of *random reads*: in sequential traffic
one read in fifty goes to a random line and only those are measured, as a core would feel it whose
pointer chase shares the memory with streaming cores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram.devices import DramDevice, load_device
from archgym.cost_models.dram.mapping import AddressMapping
from archgym.cost_models.dram.policy import controller_fields, policy_row
from archgym.cost_models.dram.simulator import DramSimulator
from archgym.cost_models.dram.trace import LINE_BYTES, Trace

PATTERNS = ("random", "sequential")
"""Kinds of traffic."""

LOADS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98)
"""Offered loads of a curve, as shares of the peak that was measured before."""

KNEE_FACTOR = 2.0
"""The knee is the bandwidth at which the latency is this many times the unloaded one."""

_PROBE_SHARE = 0.02
# A walk goes on elsewhere after so many requests, so that a curve averages over many placements.
_WALK_REQUESTS = 512
_IDLE_ROW_CYCLES = 50
_CLOCK_PS = 1


@dataclass(frozen=True)
class CurvePoint:
    """One load.

    Attributes:
        offered_gb_per_s: Rate of arrival, 10^9 bytes per second; `inf` where all arrive at once.
        bandwidth_gb_per_s: What the memory moved.
        latency_ns: Mean latency of random reads from arrival to last data; NaN without reads, and
            where all requests arrive at once.
        latency_p99_ns: 99th percentile of the same.
    """

    offered_gb_per_s: float
    bandwidth_gb_per_s: float
    latency_ns: float
    latency_p99_ns: float


@dataclass(frozen=True)
class Curve:
    """A bandwidth-latency curve.

    Attributes:
        pattern: One of `PATTERNS`.
        read_fraction: Reads per request.
        bus_gb_per_s: What the data buses of all channels could move.
        unloaded_latency_ns: Mean latency of single random reads, 50 tRC apart on average.
        knee_gb_per_s: Bandwidth at which the latency reaches twice the unloaded one, between two
            points by linear interpolation; the peak if it does not; NaN without reads.
        peak_gb_per_s: Bandwidth when all requests wait from the start.
        points: By rising load; the last is the peak.
    """

    pattern: str
    read_fraction: float
    bus_gb_per_s: float
    unloaded_latency_ns: float
    knee_gb_per_s: float
    peak_gb_per_s: float
    points: tuple[CurvePoint, ...]

    @property
    def peak_share(self) -> float:
        """Peak over what the data buses could move."""
        return self.peak_gb_per_s / self.bus_gb_per_s


def with_channels(device: DramDevice, channels: int) -> DramDevice:
    """The device with another number of channels, interleaved line by line.

    Raises:
        ValueError: If the number is not a power of two, or the device has several channels already.
    """
    if channels < 1 or channels & (channels - 1):
        raise ValueError(f"channels must be a power of two, got {channels}")
    if device.organisation.channels == channels:
        return device
    if device.organisation.channels != 1:
        raise ValueError(
            f"channels: device {device.name!r} has {device.organisation.channels} of its own"
        )
    low = (_line_bytes(device) // device.channel_bytes - 1).bit_length()
    parts = [part for part in AddressMapping.parse(device.mapping).parts if part[0] != "channel"]
    texts: list[str] = []
    for index, (name, bits) in enumerate(parts):
        last = name == "column" and "column" not in [other for other, _ in parts[index + 1 :]]
        if last and bits >= low:
            texts += [f"column:{bits - low}", f"channel:{channels.bit_length() - 1}"]
            texts.append(f"column:{low}")
        else:
            texts.append(f"{name}:{bits}")
    if not any(text.startswith("channel") for text in texts):
        raise ValueError(f"channels: the mapping of device {device.name!r} splits a request")
    organisation = replace(device.organisation, channels=channels)
    return replace(device, organisation=organisation, mapping=" ".join(texts))


def _line_bytes(device: DramDevice) -> int:
    """Bytes that a request moves: a line, in several accesses where one moves less."""
    return max(LINE_BYTES, device.request_bytes)


def bandwidth_latency(
    device: DramDevice,
    *,
    read_fractions: Sequence[float] = (0.5, 1.0),
    patterns: Sequence[str] = PATTERNS,
    controller: str = "dramsys",
    policy: Mapping[str, str | int] | None = None,
    streams: int = 8,
    requests: int = 20_000,
    seed: int = 0,
    listener: Callable[[int, int], None] | None = None,
) -> list[Curve]:
    """Measure a curve per pattern and read fraction.

    Args:
        device: The device, with all its channels.
        read_fractions: Reads per request, 0 to 1.
        patterns: Some of `PATTERNS`.
        controller: Controller of the simulator.
        policy: Values for `policy_row`; the rest are its defaults.
        streams: Streams per channel and direction of sequential traffic.
        requests: Requests per channel and point.
        seed: Seed of addresses, times and directions.
        listener: Called with points done and points in all.

    Returns:
        Curves, patterns outermost; equal arguments give equal curves.

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check(read_fractions, patterns, streams, requests)
    row = policy_row(controller, **dict(policy or {}))
    total = len(patterns) * len(read_fractions) * (len(LOADS) + 2)
    curves: list[Curve] = []
    for pattern in patterns:
        for share in read_fractions:
            bench = _Bench(device, controller, row, pattern, share, streams, requests, seed)

            def tell(done: int, before: int = len(curves)) -> None:
                if listener is not None:
                    listener(before * (len(LOADS) + 2) + done, total)

            curves.append(bench.curve(tell))
    return curves


def _check(
    read_fractions: Sequence[float], patterns: Sequence[str], streams: int, requests: int
) -> None:
    for share in read_fractions:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"read_fractions must lie in 0..1, got {share}")
    for pattern in patterns:
        if pattern not in PATTERNS:
            raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, got {pattern!r}")
    if streams < 1:
        raise ValueError(f"streams must be at least 1, got {streams}")
    if requests < 100:
        raise ValueError(f"requests must be at least 100, got {requests}")


@dataclass(frozen=True)
class _Bench:
    """One traffic on one device and policy."""

    device: DramDevice
    controller: str
    row: NDArray[np.int64]
    pattern: str
    read_fraction: float
    streams: int
    requests: int
    seed: int

    def curve(self, tell: Callable[[int], None]) -> Curve:
        bus = self.device.peak_bandwidth_gb_per_s
        unloaded = self._unloaded()
        tell(1)
        saturated = self._point(math.inf)
        tell(2)
        points = []
        for done, load in enumerate(LOADS, 3):
            points.append(self._point(load * saturated.bandwidth_gb_per_s))
            tell(done)
        peak = max(point.bandwidth_gb_per_s for point in (*points, saturated))
        return Curve(
            pattern=self.pattern,
            read_fraction=self.read_fraction,
            bus_gb_per_s=bus,
            unloaded_latency_ns=unloaded,
            knee_gb_per_s=_knee(points, unloaded, peak),
            peak_gb_per_s=peak,
            points=(*points, saturated),
        )

    def _unloaded(self) -> float:
        """Mean latency of random reads that meet nobody."""
        gap_ns = self.device.timing.tRC * _IDLE_ROW_CYCLES * self.device.tCK_ps / 1000.0
        lone = replace(self, pattern="random", read_fraction=1.0)
        return lone._point(_line_bytes(self.device) / gap_ns).latency_ns

    def _point(self, offered_gb_per_s: float) -> CurvePoint:
        trace, measured = self._traffic(offered_gb_per_s)
        simulator = DramSimulator(self.device, trace, controller=self.controller, threads=1)
        bandwidth = float(simulator.run(self.row[np.newaxis]).bandwidth_gb_per_s[0])
        if math.isinf(offered_gb_per_s) or not measured.any():
            return CurvePoint(offered_gb_per_s, bandwidth, math.nan, math.nan)
        latency = simulator.latencies(self.row)[measured]
        p99 = float(np.quantile(latency, 0.99, method="inverted_cdf"))
        return CurvePoint(offered_gb_per_s, bandwidth, float(latency.mean()), p99)

    def _traffic(self, offered_gb_per_s: float) -> tuple[Trace, NDArray[np.bool_]]:
        """A trace and which of its requests are random reads."""
        device = self.device
        n = self.requests * device.organisation.channels
        rng = np.random.default_rng(self.seed)
        line_bytes = _line_bytes(device)
        lines = device.capacity_bytes // line_bytes
        is_write = rng.random(n) >= self.read_fraction
        line = rng.integers(lines, size=n)
        measured = ~is_write
        if self.pattern == "sequential":
            measured &= rng.random(n) < _PROBE_SHARE
            line = np.where(measured, line, self._walks(rng, is_write, lines))
        gaps = rng.exponential(1.0, n) if self.pattern == "random" else np.ones(n)
        if math.isinf(offered_gb_per_s):
            cycle = np.zeros(n, np.int64)
        else:
            gap_ps = line_bytes / offered_gb_per_s * 1000.0
            cycle = (np.cumsum(gaps) * gap_ps / _CLOCK_PS).astype(np.int64)
        name = f"{self.pattern} {self.read_fraction}"
        return Trace(cycle, is_write, line * line_bytes, _CLOCK_PS, name), measured

    def _walks(
        self, rng: np.random.Generator, is_write: NDArray[np.bool_], lines: int
    ) -> NDArray[np.int64]:
        """Lines of requests that take turns among streams, reads and writes along their own."""
        streams = self.streams * self.device.organisation.channels
        line = np.empty(is_write.size, np.int64)
        for direction in (False, True):
            mine = np.flatnonzero(is_write == direction)
            step, stream = np.divmod(np.arange(mine.size), streams)
            leg, step = np.divmod(step, _WALK_REQUESTS)
            start = rng.integers(lines, size=(leg.max(initial=0) + 1, streams))
            line[mine] = (start[leg, stream] + step) % lines
        return line


def _knee(points: Sequence[CurvePoint], unloaded: float, peak: float) -> float:
    limit = KNEE_FACTOR * unloaded
    if any(math.isnan(point.latency_ns) for point in points):
        return math.nan
    before = CurvePoint(0.0, 0.0, unloaded, unloaded)
    for point in points:
        if point.latency_ns >= limit:
            part = (limit - before.latency_ns) / (point.latency_ns - before.latency_ns)
            rise = point.bandwidth_gb_per_s - before.bandwidth_gb_per_s
            return before.bandwidth_gb_per_s + part * rise
        before = point
    return peak


def measure(
    device: str,
    folder: Path,
    *,
    channels: int | None = None,
    settings: Sequence[str] = (),
    controller: str = "dramsys",
    read_fractions: Sequence[float] = (0.5, 1.0),
    streams: int = 8,
    requests: int = 20_000,
    seed: int = 0,
    listener: Callable[[int, int], None] | None = None,
) -> tuple[list[Curve], list[Path]]:
    """Measure the curves of a device and write `curve.csv` and `curve.svg`.

    Args:
        device: Name of a preset, or path of a device file.
        folder: Where to write; it is made if it does not exist.
        channels: As in `with_channels`; None: as many as the device has.
        settings: `KEY=VALUE` texts, the policy.
        controller: As in `bandwidth_latency`.
        read_fractions: As in `bandwidth_latency`.
        streams: As in `bandwidth_latency`.
        requests: As in `bandwidth_latency`.
        seed: As in `bandwidth_latency`.
        listener: As in `bandwidth_latency`.

    Returns:
        The curves and the files written.

    Raises:
        ValueError: As `load_device`, `with_channels` and `bandwidth_latency`.
        OSError: If a file cannot be written.
    """
    from archgym.cost_models.dram.curve_figure import to_csv, to_svg

    chosen = load_device(device)
    if channels is not None:
        chosen = with_channels(chosen, channels)
    curves = bandwidth_latency(
        chosen,
        read_fractions=read_fractions,
        controller=controller,
        policy=parse_policy(settings, controller),
        streams=streams,
        requests=requests,
        seed=seed,
        listener=listener,
    )
    number = chosen.organisation.channels
    title = f"{chosen.name}, {number} channel{'s' if number > 1 else ''}, controller {controller}"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in (("curve.csv", to_csv(curves)), ("curve.svg", to_svg(curves, title))):
        temporary = folder / f".{name}.tmp"
        temporary.write_text(text, encoding="utf-8")
        written.append(temporary.replace(folder / name))
    return curves, written


def parse_policy(settings: Sequence[str], controller: str) -> dict[str, str | int]:
    """Read `KEY=VALUE` texts as values for `policy_row`.

    Raises:
        ValueError: If a text is not `KEY=VALUE`; unknown keys are left to `policy_row`.
    """
    counts = {field.name for field in controller_fields(controller) if field.names is None}
    values: dict[str, str | int] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key or not text:
            raise ValueError(f"policy {setting!r} is not KEY=VALUE")
        is_count = key in counts and text.isascii() and text.isdigit()
        values[key] = int(text) if is_count else text
    return values
