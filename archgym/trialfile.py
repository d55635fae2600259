"""Reading a run's trial file without trusting it: size and types first, then content."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archgym.screening import load_screened
from archgym.store import load_trials

if TYPE_CHECKING:
    import polars

_T = TypeVar("_T")
MAX_VALUES = 2**28
"""Most values in one trial file, 2 GiB as 64-bit numbers."""


class TrialFileError(ValueError):
    """What makes a trial file unreadable.

    Attributes:
        field: the column, or `file`.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def trial_file(manifest: Mapping[str, Any]) -> str:
    """Returns the name of the file that a run's trials are in."""
    return "trials.parquet" if manifest["status"] == "complete" else "trials.jsonl"


def check_parquet(path: Path) -> None:
    """Refuses a parquet file that is damaged, or that would fill the memory when it is read.

    Raises:
        TrialFileError: naming why.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        meta = pyarrow.parquet.read_metadata(path)
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        values = sum(g.column(j).num_values for g in groups for j in range(g.num_columns))
    except FileNotFoundError:
        raise TrialFileError("file", "is missing") from None
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise TrialFileError("file", f"is truncated or no parquet file ({_line(error)})") from None
    if values > MAX_VALUES or meta.num_rows * max(meta.num_columns, 1) > MAX_VALUES:
        raise TrialFileError("file", f"holds {values:,} values, at most {MAX_VALUES:,} are read")
    # Polars ends the process at some damaged pages that pyarrow refuses.
    try:
        pyarrow.parquet.ParquetFile(path).read()
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise TrialFileError("file", f"is damaged ({_line(error)})") from None


def read_trials(folder: Path, manifest: Mapping[str, Any]) -> polars.DataFrame:
    """Reads the trials of a run as far as they can be trusted to be a table of trials.

    Raises:
        TrialFileError: for a file that is missing, cut off, too large, or has other columns or
            types than trials have, naming the column.
    """
    import polars

    if manifest["status"] == "complete":
        check_parquet(folder / "trials.parquet")
    elif not (folder / "trials.jsonl").exists():
        return polars.DataFrame()
    return _read(load_trials, folder)


def read_screened(folder: Path, manifest: Mapping[str, Any]) -> polars.DataFrame | None:
    """Reads what a run has screened at cheaper fidelities, None for nothing; not trusted either.

    Raises:
        TrialFileError: for a file that cannot be read, or whose columns for the budget have other
            types, naming the column.
    """
    import polars

    file = folder / "screened.parquet"
    if manifest["status"] == "complete" and file.exists():
        check_parquet(file)
    screened = _read(load_screened, folder)
    if screened is None:
        return None
    types = {
        "fidelity": polars.String,
        "fidelity_cost": polars.Float64,
        "trials_before": polars.Int64,
    }
    for name, expected in types.items():
        if name not in screened.columns or screened[name].dtype != expected:
            raise TrialFileError(name, f"is no column of type {expected}")
        if screened[name].null_count():
            raise TrialFileError(name, "holds empty values")
    if "design" not in screened.columns:
        raise TrialFileError("design", "the column is missing")
    return screened


def _read(load: Callable[[Path], _T], folder: Path) -> _T:
    """Returns what a function reads; whatever it raises becomes a `TrialFileError`."""
    import polars

    try:
        return load(folder)
    except KeyError as error:
        raise TrialFileError(str(error.args[0]), "is missing in a line") from None
    except (polars.exceptions.PanicException, polars.exceptions.PolarsError) as error:
        raise TrialFileError("file", f"cannot be read ({_line(error)})") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise TrialFileError("file", f"cannot be read ({_line(error)})") from None


def check_columns(
    trials: polars.DataFrame, width: int, metrics: Sequence[str], breakdown: Sequence[str]
) -> None:
    """Compares names, types and completeness of the columns with those of a task's trials.

    Args:
        trials: as read.
        width: number of parameters of a design.
        metrics: names of the task's metrics.
        breakdown: names of the parts of its breakdown.

    Raises:
        TrialFileError: naming the first column that does not fit.
    """
    import polars

    types: dict[str, Any] = {
        "sample": polars.Int64,
        "design": polars.Array(polars.Int64, width),
        "score": polars.Float64,
        "feasible": polars.Boolean,
        "violations": polars.List(polars.String),
        **{name: polars.Float64 for name in (*metrics, *breakdown)},
    }
    for name in trials.columns:
        if name not in types:
            raise TrialFileError(name, "is no column of this task's trials")
    for name, expected in types.items():
        if name not in trials.columns:
            raise TrialFileError(name, "the column is missing")
        column = trials[name]
        if column.dtype != expected:
            raise TrialFileError(name, f"has type {column.dtype}, expected {expected}")
        inner = column.explode() if name == "design" and len(column) else column
        if column.null_count() or inner.null_count():
            raise TrialFileError(name, "holds empty values")
        if name == "violations" and column.explode().null_count() > (column.list.len() == 0).sum():
            raise TrialFileError(name, "holds empty values")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def plain_json(value: Any) -> Any:
    """Returns a value as it comes back from a JSON file."""
    return json.loads(json.dumps(value))
