"""Record the memory requests of a real program: valgrind's lackey through a two-level cache model.

For developers, on Linux with valgrind. One command per shipped trace, and one for any program:

    python tools/record_trace.py list
    python tools/record_trace.py sort -o sort.csv.gz
    python tools/record_trace.py run -o my.csv.gz --skip 50000 --keep 20000 -- ./program args

A request's time is the number of instructions before it times a time scale; see docs/traces.md.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from trace_recipes import RECIPES, Recipe

from archgym.cost_models.dram.cache_filter import L1_DATA, L2, CacheLevel
from archgym.cost_models.dram.lackey import valgrind_version
from archgym.cost_models.dram.recorder import Options, record
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.trace_formats import save_trace

KEEP = 10_000
"""Requests in a shipped trace."""


def describe(
    trace: Trace, command: Sequence[str], version: str, options: Options
) -> dict[str, Any]:
    """Everything that tells how a trace came about, and its counts, for `traces.yaml`."""
    return {
        "command": shlex.join(command),
        "version": version,
        "recorder": f"{valgrind_version()} lackey",
        "cache": f"L1D {_level(L1_DATA)}, L2 {_level(L2)}, 64 B lines, LRU, write-back",
        "pages": f"4 KiB in random order within {options.memory_bytes >> 20} MiB",
        "seed": options.seed,
        "skipped": options.skip,
        "ns_per_instruction": options.ns_per_instruction,
        "clock_ps": trace.clock_ps,
        "n": trace.n_requests,
        "reads": trace.n_reads,
        "requests_per_us": round(trace.requests_per_us(), 1),
        "footprint_bytes": trace.footprint_bytes,
    }


def _level(level: CacheLevel) -> str:
    return f"{level.size_bytes >> 10} KiB {level.ways}-way"


def record_recipe(name: str, recipe: Recipe, options: Options) -> tuple[Trace, dict[str, Any]]:
    """Record a shipped trace; returns it and its entry of `traces.yaml`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recipe.prepare(folder)
        trace = record(recipe.command, folder, options, name)
        run = subprocess.run(recipe.version, capture_output=True, text=True, cwd=folder)
    version = (run.stdout or run.stderr).splitlines()[0].strip()
    # The path of an interpreter or compiler says nothing on another machine.
    command = (Path(recipe.command[0]).name, *recipe.command[1:])
    entry = {"description": recipe.description, **describe(trace, command, version, options)}
    return trace, entry


def _write_entry(catalogue: Path, name: str, entry: dict[str, Any]) -> None:
    """Put an entry into a catalogue file, in the order of the recipes."""
    entries = yaml.safe_load(catalogue.read_text(encoding="utf-8")) if catalogue.exists() else {}
    entries = {**(entries or {}), name: entry}
    ordered = {key: entries[key] for key in [*RECIPES, *entries] if key in entries}
    catalogue.write_text(yaml.safe_dump(ordered, sort_keys=False, width=100), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="name", required=True, metavar="list|run|TRACE")
    commands.add_parser("list", help="list the shipped traces that can be recorded again")
    for name, recipe in RECIPES.items():
        each = commands.add_parser(name, help=recipe.description)
        _add_options(each, recipe.skip, recipe.ns_per_instruction)
        each.add_argument("--catalogue", type=Path, help="YAML file to write the description into")
    own = commands.add_parser("run", help="record a program of your own")
    _add_options(own, 0, 0.25)
    own.add_argument("command", nargs="+", metavar="-- PROGRAM [ARGUMENT ...]")
    return parser


def _add_options(parser: argparse.ArgumentParser, skip: int, ns_per_instruction: float) -> None:
    def option(flag: str, kind: Callable[[str], Any], default: Any, text: str) -> None:
        parser.add_argument(flag, type=kind, default=default, help=f"{text} (default {default})")

    parser.add_argument("-o", "--output", type=Path, required=True, help="FILE.csv or FILE.csv.gz")
    option("--skip", int, skip, "memory requests to leave out at the start")
    option("--keep", int, KEEP, "memory requests to keep")
    option("--ns-per-instruction", float, ns_per_instruction, "time scale")
    option("--memory-mib", int, 1024, "physical memory that pages are placed in")
    option("--seed", int, 0, "seed of the placement of pages")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 for a user's error, told in one line)."""
    given = _parser().parse_args(arguments)
    if given.name == "list":
        for name, recipe in RECIPES.items():
            print(f"{name:8} {recipe.description}")
        return 0
    try:
        options = Options(
            given.skip, given.keep, given.ns_per_instruction, given.memory_mib << 20, given.seed
        )
        valgrind_version()
        if given.name == "run":
            trace = record(given.command, Path.cwd(), options, given.output.name)
        else:
            trace, entry = record_recipe(given.name, RECIPES[given.name], options)
            if given.catalogue:
                _write_entry(given.catalogue, given.name, entry)
        save_trace(trace, given.output)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{given.output}: {trace.n_requests} requests, {trace.read_fraction:.0%} reads, "
        f"{trace.requests_per_us():.1f} requests/us, {trace.footprint_bytes >> 10} KiB touched"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
