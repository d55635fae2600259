"""Text output: tables and progress, rich on a terminal, plain and never cut off elsewhere."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import rich.progress

    from archgym.plan import RunSpec


def number(value: float | None, digits: int = 4) -> str:
    """Formats a number for a table; `-` where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "-inf" if value < 0 else "inf"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def score(value: float | None) -> str:
    """Formats a score for a table."""
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{value:.3f}"


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """Returns an aligned table without any lines or colours.

    Args:
        headers: one per column.
        rows: cells as text.
        right: numbers of the columns that are aligned to the right.
    """
    widths = [max(len(row[j]) for row in (headers, *rows)) for j in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if j in right else cell.ljust(width)
            for j, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    rule = ["-" * width for width in widths]
    return "\n".join(line(row) for row in (headers, rule, *rows))


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Prints a table to standard output.

    Args:
        headers: one per column.
        rows: cells, turned into text.
        title: a line above the table.
        right: headers of the columns that are aligned to the right.
        optional: headers of columns that may be left out, in this order, on a narrow terminal; a
            line below the table names them.
    """
    cells = [[_one_line(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(headers, cells, title, right, optional)
        return
    if title:
        print(title)
    print(plain_table(headers, cells, {j for j, h in enumerate(headers) if h in right}))


def fitting_columns(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[str],
    optional: Sequence[str],
    width: int,
) -> list[int]:
    """Returns the columns that are shown on a terminal of some width.

    Numbers need their whole width, texts that of their longest word.
    """

    def needed(j: int) -> int:
        column = [headers[j], *(row[j] for row in rows)]
        whole = headers[j] in right
        words = column if whole else [word for cell in column for word in cell.split() or [""]]
        return 2 + max(len(word) for word in words)

    shown = list(range(len(headers)))
    for header in optional:
        if sum(needed(j) for j in shown) <= width:
            break
        shown.remove(headers.index(header))
    return shown


def _print_rich(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str,
    right: Sequence[str],
    optional: Sequence[str],
) -> None:
    """Prints a table on a terminal."""
    import rich.box
    import rich.console
    import rich.markup
    import rich.table

    console = rich.console.Console()
    shown = fitting_columns(headers, rows, right, optional, console.width)
    table = rich.table.Table(
        title=rich.markup.escape(title) or None, title_justify="left", box=rich.box.SIMPLE_HEAD
    )
    for j in shown:
        table.add_column(
            rich.markup.escape(headers[j]),
            justify="right" if headers[j] in right else "left",
            no_wrap=headers[j] in right,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(rich.markup.escape(row[j]) for j in shown))
    console.print(table)
    left_out = [header for j, header in enumerate(headers) if j not in shown]
    if left_out:
        console.print(f"left out on this narrow terminal: {', '.join(left_out)}", markup=False)


def _one_line(text: str) -> str:
    """Keeps control characters of a name from moving the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class PlainProgress:
    """Reports the progress of an experiment in lines, about twenty however many runs there are."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total = self._ended = self._failed = 0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.flush()

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def note(self, text: str) -> None:
        """Prints what is being prepared."""
        self._print(text)

    def start(self, total: int, complete: int) -> None:
        """Prints how many runs there are."""
        self._total, self._ended = total, complete
        before = f", {complete} of them complete" if complete else ""
        self._print(f"{total} runs{before}")

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """Prints a failure, or how far things are."""
        before = self._ended * 20 // self._total
        self._ended += 1
        if failure is not None:
            self._failed += 1
            self._print(f"failed: {spec.folder}: {failure}")
        if self._ended * 20 // self._total > before:
            failed = f", {self._failed} failed" if self._failed else ""
            self._print(f"{self._ended} of {self._total} runs{failed}")


class BarProgress:
    """Shows the progress of an experiment as a bar on a terminal."""

    def __init__(self) -> None:
        import rich.console
        import rich.progress

        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=rich.console.Console(stderr=True),
        )
        self._task: rich.progress.TaskID | None = None

    def __enter__(self) -> BarProgress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Shows what is being prepared."""
        if self._task is None:
            self._task = self._bar.add_task(text, total=None)
        self._bar.update(self._task, description=text)

    def start(self, total: int, complete: int) -> None:
        """Starts counting runs."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("runs", total=total, completed=complete)

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        """Counts a run, and shows why it failed."""
        assert self._task is not None
        if failure is not None:
            self._bar.console.print(f"failed: {spec.folder}: {failure}", markup=False)
        self._bar.advance(self._task)


def progress() -> PlainProgress | BarProgress:
    """Returns the progress display that suits standard error."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()
