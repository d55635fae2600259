"""The workloads of the DRAM model by name: recorded traces of real programs, synthetic ones, mixes.

Recorded traces and their descriptions lie in the folder `traces`; mixes are several programs on one
memory, made of other workloads; `file:PATH` names a trace of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from archgym.cost_models.dram import generators
from archgym.cost_models.dram.merge import merge_traces
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import load_trace

FILE_PREFIX = "file:"
"""What a workload that is a path starts with."""

_FOLDER = Path(__file__).with_name("traces")


@dataclass(frozen=True)
class Workload:
    """A named workload.

    Attributes:
        name: What users call it.
        kind: `recorded` from a real program, `synthetic`, or a `mix` of programs with one source
            each.
        description: One line.
    """

    name: str
    kind: Literal["recorded", "synthetic", "mix"]
    description: str


# Intensities are chosen around what one channel carries (DDR3-1600: 200 requests/us at its peak,
# about 100 of them to random rows), so that some saturate it and some leave it idle at times.
_SYNTHETIC: dict[str, tuple[str, Callable[[], Trace]]] = {
    "stream": (
        "copy: two sequential walks, two reads per write, 9.6 GB/s",
        partial(generators.stream, intensity_per_us=150.0, read_fraction=0.667, seed=1),
    ),
    "random": (
        "uniformly random lines of 1 GiB, 90 % reads, 3.8 GB/s in Poisson arrivals",
        partial(generators.uniform_random, intensity_per_us=60.0, read_fraction=0.9, seed=2),
    ),
    "strided": (
        "walk down matrix columns in strides of 4,160 bytes, 75 % reads, 5.1 GB/s",
        partial(
            generators.strided,
            stride_bytes=4160,
            intensity_per_us=80.0,
            read_fraction=0.75,
            seed=3,
        ),
    ),
    "chase": (
        "pointer chase through 64 MiB, one read outstanding at a time",
        partial(generators.chase, seed=4),
    ),
    "mixed": (
        "four streams that stay in a row half the time, 70 % reads, 4.5 GB/s in Poisson arrivals",
        partial(generators.mixed, intensity_per_us=70.0, seed=5),
    ),
    "mixed-light": (
        "one stream that stays in a row 80 % of the time, 70 % reads, 0.6 GB/s: mostly idle",
        partial(generators.mixed, intensity_per_us=10.0, locality=0.8, n_streams=1, seed=6),
    ),
    "mixed-heavy": (
        "eight streams that stay in a row 70 % of the time, 60 % reads, 11.5 GB/s: saturating",
        partial(
            generators.mixed,
            intensity_per_us=180.0,
            read_fraction=0.6,
            locality=0.7,
            n_streams=8,
            seed=7,
        ),
    ),
}

# The parts of a mix run at a fraction of their recorded speed, so that one channel can serve all.
_MIXES: dict[str, tuple[str, Callable[[], tuple[Trace, ...]]]] = {
    "mix-sort-gcc": (
        "sort and gcc at half speed, 4.8 GB/s: a steady program beside bursts",
        lambda: (_slowed("sort", 2), _slowed("gcc", 2)),
    ),
    "mix-numpy-awk": (
        "numpy and awk at half speed, 6.5 GB/s: rows in order beside rows at random",
        lambda: (_slowed("numpy", 2), _slowed("awk", 2)),
    ),
    "mix-four": (
        "sort at a quarter, awk at a third, gcc and sqlite at half speed, 5.8 GB/s",
        lambda: (_slowed("sort", 4), _slowed("awk", 3), _slowed("gcc", 2), _slowed("sqlite", 2)),
    ),
    "mix-stream-random": (
        "stream of 6.4 GB/s, two reads per write, beside random lines, 90 % reads, 1.6 GB/s",
        lambda: (
            generators.stream(intensity_per_us=100.0, read_fraction=0.667, seed=8),
            generators.uniform_random(intensity_per_us=25.0, read_fraction=0.9, seed=9),
        ),
    ),
}
_MIX_REQUESTS = 10_000


@cache
def recorded_metadata() -> dict[str, dict[str, Any]]:
    """What `traces/traces.yaml` says of each recorded trace: program, command, cache, counts ..."""
    import yaml

    text = (_FOLDER / "traces.yaml").read_text(encoding="utf-8")
    metadata: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return metadata


def workloads() -> tuple[Workload, ...]:
    """All named workloads: the recorded ones, the synthetic ones, then the mixes."""
    recorded = (
        Workload(name, "recorded", str(entry["description"]))
        for name, entry in recorded_metadata().items()
    )
    synthetic = (Workload(name, "synthetic", text) for name, (text, _) in _SYNTHETIC.items())
    mixes = (Workload(name, "mix", text) for name, (text, _) in _MIXES.items())
    return (*recorded, *synthetic, *mixes)


def workload_names() -> tuple[str, ...]:
    """Names of all workloads, in the order of `workloads`."""
    return tuple(workload.name for workload in workloads())


@cache
def _named(name: str) -> Trace:
    if name in _SYNTHETIC:
        return replace(_SYNTHETIC[name][1](), name=name)
    if name in _MIXES:
        return merge_traces(_MIXES[name][1](), n_requests=_MIX_REQUESTS, name=name)
    return load_trace(_FOLDER / f"{name}.csv.gz")


def _slowed(name: str, factor: int) -> Trace:
    """A workload at a fraction of its speed."""
    trace = _named(name)
    return replace(trace, cycle=trace.cycle * factor)


def load_workload(name: str, *, clock_ps: int | None = None, format: str | None = None) -> Trace:
    """The trace of a workload.

    Args:
        name: One of `workload_names()`, or `file:PATH` for a trace file of one's own.
        clock_ps: For `file:PATH` only: period of the clock of its times, see `load_trace`.
        format: For `file:PATH` only: its format, see `load_trace`.

    Returns:
        The trace; the same object each time for a named workload.

    Raises:
        ValueError: If the name is unknown, the file is malformed, or a named workload is given a
            clock or a format.
    """
    if name.startswith(FILE_PREFIX):
        path = name.removeprefix(FILE_PREFIX)
        return load_trace(Path(path).expanduser(), clock_ps=clock_ps, format=format)
    names = workload_names()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"workload must be one of {', '.join(names)} or {FILE_PREFIX}PATH, got {name!r}{hint}"
        )
    for field, value in (("clock_ps", clock_ps), ("format", format)):
        if value is not None:
            raise ValueError(
                f"{field} is for {FILE_PREFIX}PATH workloads; {name!r} has its own, got {value!r}"
            )
    return _named(name)
