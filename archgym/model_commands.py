"""Commands of `archgym` about what a cost model is fed with and what it can do: traces, curves."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ClockPs = Annotated[
    int | None,
    typer.Option(min=1, help="Clock period in ps that the file's times count, if it does not say."),
]

trace = typer.Typer(
    name="trace",
    help="Describe, convert and record memory traces.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _module(name: str) -> Any:
    """The trace tools; cost models are reached by name, as the framework stands without them."""
    return importlib.import_module(f"archgym.cost_models.dram.{name}")


class _Progress:
    """Says on standard error how far long work is: from the second second on, now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._start = self._printed = time.monotonic()
        self._shown = False

    def __call__(self, done: int, total: int, requests: int | None = None) -> None:
        now = time.monotonic()
        if now - self._start < 2.0 or now - self._printed < (0.5 if self._terminal else 10.0):
            return
        self._printed = now
        share = min(done / max(total, 1), 1.0)
        left = (now - self._start) * (1.0 - share) / share if share else 0.0
        count = "" if requests is None else f", {requests:,} requests"
        text = f"{self._what}: {share:.0%}{count}, about {left:.0f} s left"
        print(
            f"\r\x1b[2K{text}" if self._terminal else text,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )
        self._shown = True

    def end(self) -> None:
        """Clears the line on a terminal."""
        if self._terminal and self._shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


@trace.command("info")
def trace_info(
    file: Annotated[Path, typer.Argument(help="trace file, gzip-compressed or not")],
    format: Annotated[
        str | None, typer.Option(help="csv, dramsys, ramulator or dramsim3.  [default: told]")
    ] = None,
    clock_ps: ClockPs = None,
    json: Json = False,
) -> None:
    """Describe a trace file of any length: requests, rate, footprint, locality."""
    progress = _Progress(f"reading {file}")
    told = _module("trace_stream").trace_info(
        file, clock_ps=clock_ps, format=format, listener=progress
    )
    progress.end()
    if json:
        import json as json_

        print(json_.dumps(told, indent=2, ensure_ascii=False))
    else:
        for name, text in _told(told):
            print(f"{name:16} {text}")


def _told(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The description of a trace in words and units."""
    error = told["footprint_standard_error"]
    count = told["requests"]
    share = told["read_fraction"]
    rows = [
        ("file", f"{told['path']} ({told['file_bytes']:,} bytes)"),
        ("format", told["format"] + (", gzip" if told["compressed"] else "")),
        (
            "requests",
            f"{count:,}" + ("" if share is None else f" ({told['reads']:,} reads, {share:.1%})"),
        ),
        ("clock", f"{told['clock_ps']} ps" if told["clock_ps"] else "not told by the file"),
        ("cycles", f"{told['first_cycle']:,} to {told['last_cycle']:,}"),
    ]
    if told["span_us"] is not None:
        rows.append(("span", f"{told['span_us']:,.3f} us"))
    if told["requests_per_us"] is not None:
        rate = f"{told['requests_per_us']:.1f} requests/us, {told['offered_gb_per_s']:.2f} GB/s"
        rows.append(("intensity", rate))
    rows.append(("burstiness", f"{told['burstiness']:.2f}"))
    rows.append(
        (
            "footprint",
            f"{told['footprint_bytes']:,} bytes of 64-byte lines, "
            + (f"estimated, standard error {error:.2%}" if error else "exact"),
        )
    )
    if count:
        low, high = told["lowest_address"], told["highest_address"]
        rows.append(("addresses", f"{low:#x} to {high:#x}"))
    if told["unaligned_requests"]:
        rows.append(("unaligned", f"{told['unaligned_requests']:,} requests within a line"))
    rows += [
        ("sequential", f"{told['sequential_fraction']:.1%} to the line before or the next"),
        (
            "row locality",
            f"{told['row_locality']:.1%} to the 8 KiB of the request before, "
            f"{told['row_locality_window']:.1%} of one of the 16 before",
        ),
    ]
    if told["max_outstanding_reads"]:
        rows.append(("outstanding", f"at most {told['max_outstanding_reads']} reads"))
    if len(told["source_requests"]) > 1:
        shares = [f"{n / count:.1%} of {s}" for s, n in enumerate(told["source_requests"])]
        rows.append(("sources", f"{len(shares)}: {', '.join(shares)}"))
    return rows


@trace.command("convert")
def trace_convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="trace file to read")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="trace file to write")],
    format: Annotated[
        str | None,
        typer.Option(help="Format to write: csv, dramsys, ramulator, dramsim3.  [default: ending]"),
    ] = None,
    clock_ps: Annotated[
        int | None, typer.Option(min=1, help="Write times in cycles of this period in ps.")
    ] = None,
    from_format: Annotated[
        str | None, typer.Option(help="Format to read.  [default: told]")
    ] = None,
    from_clock_ps: ClockPs = None,
    drop_times: Annotated[
        bool, typer.Option("--drop-times", help="Allow a format that holds no times.")
    ] = False,
) -> None:
    """Write a trace file in another format, or with the times of another clock."""
    progress = _Progress(f"converting {source}")
    done = _module("trace_stream").convert_trace(
        source,
        target,
        format=format,
        clock_ps=clock_ps,
        source_format=from_format,
        source_clock_ps=from_clock_ps,
        drop_times=drop_times,
        listener=progress,
    )
    progress.end()
    print(f"{target}: {done.requests:,} requests, format {done.format}")
    if done.lost:
        print(f"note: format {done.format} does not hold {', '.join(done.lost)}", file=sys.stderr)


@trace.command("record")
def trace_record(
    program: Annotated[
        list[str], typer.Argument(metavar="-- PROGRAM [ARGUMENT]...", help="what to run")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.csv or FILE.csv.gz")],
    skip: Annotated[int, typer.Option(help="Memory requests to leave out at the start.")] = 0,
    keep: Annotated[int, typer.Option(help="Memory requests to keep.")] = 10_000,
    ns_per_instruction: Annotated[float, typer.Option(help="Time scale.")] = 0.25,
    memory_mib: Annotated[int, typer.Option(help="Memory that pages are placed in.")] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the placement of pages.")] = 0,
) -> None:
    """Record the memory requests of a program behind two levels of cache (needs valgrind)."""
    recorder = _module("recorder")
    options = recorder.Options(skip, keep, ns_per_instruction, memory_mib << 20, seed)
    formats = _module("trace_formats")
    formats.require_csv(output)
    progress = _Progress(f"recording {program[0]}")
    recorded = recorder.record(program, Path.cwd(), options, output.name, progress)
    progress.end()
    formats.save_trace(recorded, output)
    print(
        f"{output}: {recorded.n_requests:,} requests, {recorded.read_fraction:.0%} reads, "
        f"{recorded.requests_per_us():.1f} requests/us, "
        f"{recorded.footprint_bytes >> 10:,} KiB touched"
    )


def _curve_module(name: str) -> Any:
    """The module of a cost model family that measures its curves."""
    from archgym.errors import unknown

    package = importlib.import_module("archgym.cost_models")
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        path = f"{package.__name__}.{info.name}.curve"
        if info.ispkg and importlib.util.find_spec(path):
            found[info.name] = path
    if name not in found:
        raise unknown("curve", name, found)
    return importlib.import_module(found[name])


def curve(
    name: Annotated[str, typer.Argument(help="cost model: dram")],
    device: Annotated[str, typer.Option(help="Device preset, or a YAML file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for curve.csv and curve.svg.")
    ],
    read_fraction: Annotated[
        str, typer.Option(help="Reads per request, one or several with commas.")
    ] = "0.5,1.0",
    channels: Annotated[
        int | None, typer.Option(help="Number of channels.  [default: the device's]")
    ] = None,
    controller: Annotated[str, typer.Option(help="Controller of the simulator.")] = "dramsys",
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Parameter of the controller; may be repeated."),
    ] = None,
    streams: Annotated[
        int, typer.Option(help="Streams per channel and direction of sequential traffic.")
    ] = 8,
    requests: Annotated[int, typer.Option(help="Requests per channel and point.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the traffic.")] = 0,
) -> None:
    """Measure latency over bandwidth of a memory: unloaded latency, knee, peak; CSV and figure."""
    module = _curve_module(name)
    fractions = _numbers(read_fraction, "--read-fraction")
    progress = _Progress(f"measuring {device}")
    curves, written = module.measure(
        device,
        output,
        channels=channels,
        read_fractions=fractions,
        controller=controller,
        settings=policy or [],
        streams=streams,
        requests=requests,
        seed=seed,
        listener=progress,
    )
    progress.end()
    print("traffic      reads  unloaded ns  knee GB/s  peak GB/s  of the bus")
    for each in curves:
        print(
            f"{each.pattern:12} {each.read_fraction:5.0%}  {each.unloaded_latency_ns:11.1f}  "
            f"{each.knee_gb_per_s:9.2f}  {each.peak_gb_per_s:9.2f}  {each.peak_share:10.1%}"
        )
    for path in written:
        print(path)


def _numbers(text: str, option: str) -> list[float]:
    values = []
    for part in text.split(","):
        try:
            values.append(float(part))
        except ValueError:
            raise ValueError(f"{option}: {part!r} is not a number") from None
    return values
