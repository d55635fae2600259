"""Many runs read at once, since opening files one by one takes longer than what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym.plan import RunSpec
from archgym.results import load_run, run_columns
from archgym.screening import budget_spent, load_screened
from archgym.store import read_manifest

if TYPE_CHECKING:
    import polars

    from archgym.results import RunFiles

_AT_ONCE = 100
_TIMES = ("first", "count", "agent_seconds", "evaluation_seconds")


def load_runs(places: Sequence[tuple[Path, RunSpec]]) -> Iterator[RunFiles | None]:
    """Reads runs like `archgym.results.load_run`, in their order.

    Args:
        places: results folder and run.

    Raises:
        ValueError: for files that cannot be read.
    """
    for start in range(0, len(places), _AT_ONCE):
        part = places[start : start + _AT_ONCE]
        together = _together([root / spec.folder for root, spec in part])
        for i, (root, spec) in enumerate(part):
            yield together[i] if i in together else load_run(root, spec)


def _together(folders: Sequence[Path]) -> dict[int, RunFiles]:
    """Returns the finished runs that could be read at once, by position.

    Those that could not are left to `load_run`, which says what is wrong with them.
    """
    manifests = [read_manifest(folder) for folder in folders]
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, manifest in enumerate(manifests):
        if manifest is not None and manifest["status"] == "complete":
            key = (str(manifest["space"]), *run_columns(manifest))
            groups.setdefault(key, []).append(i)
    found: dict[int, RunFiles] = {}
    for (_, *columns), group in groups.items():
        chosen = [folders[i] for i in group]
        trials = _parts([folder / "trials.parquet" for folder in chosen], columns, 1)
        times = _parts([folder / "times.parquet" for folder in chosen], _TIMES, 0)
        if trials is not None and times is not None:
            for i, own, seconds in zip(group, trials, times, strict=True):
                manifest = manifests[i]
                assert manifest is not None
                has_screened = (folders[i] / "screened.parquet").exists()
                screened = load_screened(folders[i]) if has_screened else None
                spent = budget_spent(len(own), screened)
                found[i] = (manifest, own, seconds, spent)
    return found


def _parts(files: Sequence[Path], columns: Sequence[str], first: int) -> list[Any] | None:
    """Reads files of the same columns, the first of which begins with `first` in every file.

    Returns:
        One table per file, None where they cannot be told apart or read.
    """
    import polars

    try:
        table: polars.DataFrame = polars.read_parquet(
            list(files), columns=list(columns), glob=False, hive_partitioning=False
        ).rechunk()
    except (OSError, polars.exceptions.PolarsError):
        return None
    starts = np.flatnonzero(table[columns[0]].to_numpy() == first)
    if len(starts) != len(files) or len(starts) == 0 or starts[0] != 0:
        return None
    ends = [*starts[1:].tolist(), len(table)]
    return [table[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]
