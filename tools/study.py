"""Carries out studies, stores their results compactly, and draws the pages in docs/studies.

Usage: python tools/study.py run NAME [--workers N] [--agents NAME ...] [--by task]
       python tools/study.py pack RESULTS -o docs/studies/data/NAME.parquet
       python tools/study.py draw [--docs FOLDER]

`run` carries out the runs of an experiment that docs/studies/data/NAME.parquet does not hold, and
adds them to it every two minutes: it may be stopped and started again at any time, and only one
process adds to a file. `pack` adds the complete runs of a results folder of `archgym run`, which
are the same. `draw` rewrites the generated parts of the pages and their figures; what stands
outside the markers is written by hand.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from archgym.runner import usable_cpus
from studies import lottery, multi_agent
from studies.data import load, pack
from studies.page import fill, names
from studies.running import run_study

DOCS = Path(__file__).resolve().parent.parent / "docs" / "studies"


def drawn(docs: Path) -> dict[Path, str]:
    """Returns the content of every file that is drawn, from the stored results in a folder.

    Raises:
        ValueError: for results that cannot be read, or pages with other markers.
    """
    files: dict[Path, str] = {}
    for study in (multi_agent, lottery):
        data, page = docs / "data" / f"{study.PAGE}.parquet", docs / f"{study.PAGE}.md"
        text = page.read_text(encoding="utf-8")
        parts, images = dict.fromkeys(names(text), "No results are stored yet."), {}
        if data.exists():
            parts, images = study.draw(load(data))
        files[page] = fill(text, parts)
        files |= {docs / "images" / name: figure for name, figure in images.items()}
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="carry out what is missing of a study")
    running.add_argument("name", help="of a bundled experiment, or its file")
    running.add_argument("-o", "--output", type=Path, help="stored results, docs/studies/data/NAME")
    running.add_argument("--workers", type=int, default=usable_cpus(), help="processes")
    running.add_argument("--agents", nargs="+", default=[], help="only these, now")
    running.add_argument("--by", choices=["agent", "task"], default="agent", help="first complete")
    packing = commands.add_parser("pack", help="store the results of a study compactly")
    packing.add_argument("results", type=Path)
    packing.add_argument("-o", "--output", type=Path, required=True)
    drawing = commands.add_parser("draw", help="rewrite the pages and figures")
    drawing.add_argument("--docs", type=Path, default=DOCS)
    given = parser.parse_args(arguments)
    try:
        if given.command == "run":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is done is stored first
            file = given.output or DOCS / "data" / f"{Path(given.name).stem}.parquet"
            failures = run_study(
                given.name, file, given.workers, print, agents=given.agents, by=given.by
            )
            print(*failures, sep="\n", file=sys.stderr, end="\n" if failures else "")
            return 1 if failures else 0
        if given.command == "pack":
            study = pack(given.results, given.output)
            size = given.output.stat().st_size / 1e3
            print(f"{given.output}: {len(study.runs):,} of {study.planned:,} runs, {size:,.0f} kB")
        else:
            for path, content in drawn(given.docs).items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
                print(path)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
