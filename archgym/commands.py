"""Commands of `archgym` about whole design spaces: tabulate them, look at their landscape."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from archgym.submission import Submission
    from archgym.tabulate import Progress

Env = Annotated[str, typer.Argument(help="environment id, such as DramController-v0")]
Workload = Annotated[str | None, typer.Option(help="Workload, a name or file:PATH.")]
Space = Annotated[str | None, typer.Option(help="Design space of the environment.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Further option of the environment, such as device=NAME."
    ),
]


def environment_options(
    workload: str | None, space: str | None, settings: list[str] | None
) -> dict[str, Any]:
    """Returns keyword arguments of an environment; values of `--set` are read as YAML.

    Raises:
        ValueError: for a setting that is not KEY=VALUE, or an option given twice.
    """
    from archgym import yamlfile

    options: dict[str, Any] = {}
    if workload is not None:
        options["workload"] = workload
    if space is not None:
        options["space"] = space
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not key or not equals:
            raise ValueError(f"--set: {setting!r} is not KEY=VALUE")
        if key in options:
            raise ValueError(f"--set: option {key!r} is given twice")
        options[key] = yamlfile.parse(text, f"--set {key}")
    return options


class _Line:
    """Prints progress: one line written over on a terminal, about twenty lines elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._step = -1
        self._printed_at = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        step = progress.done * 20 // max(progress.total, 1)
        if self._terminal and (now - self._printed_at > 0.2 or progress.done == progress.total):
            print(f"\r\x1b[2K{progress}", end="", file=sys.stderr, flush=True)
            self._printed_at = now
        elif not self._terminal and step > self._step:
            print(progress, file=sys.stderr, flush=True)
        self._step = step

    def end(self) -> None:
        """Leaves the line."""
        if self._terminal:
            print(file=sys.stderr)


def tabulate(
    env: Env,
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    workload: Workload = None,
    space: Space = None,
    settings: Settings = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="One row per distinct outcome, not per design.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes.  [default: one per core]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what an earlier call left behind.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="Refuse spaces with more different designs than this.")
    ] = 1_000_000,
) -> None:
    """Evaluate every different design of a space once and write the table."""
    from archgym.tabulate import tabulate as make_table

    options = environment_options(workload, space, settings)
    line = _Line()
    try:
        table = make_table(
            env,
            options,
            output,
            compact=compact,
            workers=workers,
            resume=resume,
            limit=limit,
            listener=line,
        )
    except KeyboardInterrupt:
        print(
            "\ninterrupted: all finished chunks are kept; continue with the same command and "
            "--resume",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    line.end()
    size = output.stat().st_size / 1e6
    print(f"{output}: {len(table):,} designs, {size:.2f} MB")


def landscape(
    env: Env,
    workload: Workload = None,
    space: Space = None,
    settings: Settings = None,
    objective: Annotated[
        str | None, typer.Option(help="Named objective.  [default: the environment's first]")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="A table of your own.  [default: the shipped one]")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Evaluate so many random designs instead of a table.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random designs.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for a page with figures.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Describe a design space under an objective: optimum, what matters, plateaus, ruggedness."""
    from archgym.landscape import landscape_of
    from archgym.landscape_page import print_landscape, write_page

    told = landscape_of(
        env,
        environment_options(workload, space, settings),
        objective,
        table=table,
        samples=samples,
        seed=seed,
    )
    if json:
        import json as json_

        print(json_.dumps(told.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_landscape(told)
    if output is not None:
        print(f"page: {write_page(told, output)}", file=sys.stderr if json else sys.stdout)


def leaderboard(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")],
    folders: Annotated[
        list[Path] | None, typer.Argument(help="results folders of experiments")
    ] = None,
    submission: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A submission to verify and rank; may be repeated."),
    ] = None,
    hide_files: Annotated[
        bool,
        typer.Option("--hide-files", help="Name files that tasks are made of by digest only."),
    ] = False,
) -> None:
    """Rank agents over many experiments and write the report: a page, JSON and CSV."""
    import tempfile

    from archgym.leaderboard import load_leaderboard
    from archgym.leaderboard_page import write_leaderboard

    if not folders and not submission:
        raise ValueError("leaderboard: a results folder or --submission FILE is needed")
    with tempfile.TemporaryDirectory() as scratch:
        submissions = [
            _verified(file, Path(scratch) / str(i)) for i, file in enumerate(submission or [])
        ]
        board = load_leaderboard(folders or [], submissions, hide_files=hide_files)
    page = write_leaderboard(board, output)
    for warning in board.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"page: {page}")


def _verified(file: Path, folder: Path) -> Submission:
    """Unpacks a submission and replays it; one that does not hold is not ranked."""
    from archgym.submission import read_submission
    from archgym.verify import verify

    found = read_submission(file, folder)
    told = verify(folder)
    if not told.ok or not told.complete:
        first = told.all_findings[0] if told.all_findings else "a run is not complete"
        raise ValueError(f"{file}: does not hold and is not ranked ({first})")
    return found
