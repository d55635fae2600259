"""Trial stores: one run's trials and its manifest on disk, append-only, safe against kills.

A store is a folder:

- `run.json`: the manifest (what ran, with which versions, where, and how it ended);
- `trials.jsonl`: one line per trial while the run goes on, only ever appended to;
- `times.jsonl`: one line per evaluated batch with the seconds spent, apart from the trials, so that
  the same configuration and seed give byte-identical trials;
- `screened.jsonl`: one line per design at a cheaper fidelity, if there are any, see
  `archgym.screening`;
- `trials.parquet`, `times.parquet`, `screened.parquet`: the same at the end of the run; the lines
  are then removed.

A run killed at any byte leaves at most one incomplete last line, which is cut off on opening.
Resuming replays the recorded trials to a fresh agent with the same seed, then goes on.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archgym.cost_model import Costs
from archgym.digest import manifest_digest
from archgym.space import IntArray
from archgym.task import Evaluation, Task

if TYPE_CHECKING:
    import polars

FORMAT = 1
_IDENTITY = (
    *("format", "task", "agent", "hyperparameters", "seed", "budget", "max_repeats"),
    *("max_proposals", "stop_at_optimum", "warm_start", "proxy", "space", "reference"),
)
"""Manifest fields that must agree for a run to be resumed.

`reference`, the default design's metrics, changes with the cost model and with a workload's file.
"""
_LINES = ("trials.jsonl", "times.jsonl", "screened.jsonl")
_TRIAL_FIELDS = ("sample", "design", "score", "feasible", "violations")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name and renames it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(temporary, path)


def _cut_incomplete_line(path: Path) -> None:
    """Removes what a killed writer left behind the last line end."""
    if path.exists():
        data = path.read_bytes()
        complete = data.rfind(b"\n") + 1
        if complete < len(data):
            with path.open("r+b") as file:
                file.truncate(complete)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads the complete JSON lines of a file that may still be written to."""
    if not path.exists():
        return []
    data = path.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise ValueError(
            f"{path}: a line is not valid JSON ({error}); the file was changed"
        ) from None


def _to_json(value: float) -> float | str | None:
    """Returns a number as strict JSON can hold it: NaN as null, infinities as texts."""
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)


def _from_json(value: float | str | None) -> float:
    """The inverse of `_to_json`."""
    return np.nan if value is None else float(value)


class TrialStore:
    """The log of one run.

    Args:
        path: the run's folder, made if it is not there.
        manifest: what is run; see `archgym.manifest.run_manifest`.

    Raises:
        ValueError: if the folder holds a different run, or a newer format.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.manifest: dict[str, Any] = dict(manifest)
        self.path.mkdir(parents=True, exist_ok=True)
        existing = read_manifest(self.path)
        if existing is None:
            self._write_manifest()
        else:
            self._check_same(existing)
            self.manifest = existing
        for name in _LINES:
            _cut_incomplete_line(self.path / name)
        self._lines, self._batches, self._screened = (
            [] if self.complete else read_lines(self.path / name) for name in _LINES
        )

    @property
    def complete(self) -> bool:
        """Whether the run has ended and its parquet files are written."""
        return bool(self.manifest["status"] == "complete")

    def _check_same(self, existing: Mapping[str, Any]) -> None:
        for name in _IDENTITY:
            # As text, in which NaN equals NaN.
            there, here = (json.dumps(each.get(name)) for each in (existing, self.manifest))
            if there != here:
                raise ValueError(
                    f"{self.path}: holds a different run ({name} is {there}, now {here}); choose "
                    f"another output folder"
                )

    def _write_manifest(self) -> None:
        write_atomically(self.path / "run.json", json.dumps(self.manifest, indent=1) + "\n")

    def recorded(self, task: Task) -> list[dict[str, Any]]:
        """Returns the trials that are already on disk, in order."""
        if self.complete:
            raise ValueError(f"{self.path}: this run is complete, read it with `load_trials`")
        if self.manifest["space"] != task.space.fingerprint:
            raise ValueError(f"{self.path}: the trials belong to a different design space")
        return self._lines

    def recorded_at(self, fidelity: str) -> list[dict[str, Any]]:
        """Returns what is already on disk of a cheaper fidelity, in order."""
        return [line for line in self._screened if line["fidelity"] == fidelity]

    def replay(
        self,
        task: Task,
        rows: IntArray,
        trials: Sequence[Mapping[str, Any]],
        place: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """Returns recorded trials, or designs at a cheaper fidelity, as an evaluation.

        Args:
            task: at the fidelity they were evaluated at.
            rows: that are proposed now.
            trials: that are recorded.
            place: what was recorded with each, see `append`.

        Raises:
            ValueError: if the agent proposes other designs than those recorded, which means that
                code or versions have changed since.
        """
        for row, trial in zip(rows.tolist(), trials, strict=True):
            there = {"design": trial["design"], **{name: trial[name] for name in place or {}}}
            here = {"design": row, **(place or {})}
            for name, value in there.items():
                if value != here[name]:
                    raise ValueError(
                        f"{self.path}: trial {trial['sample']} recorded {name} {value}, the agent "
                        f"now proposes {here[name]}: the code has changed, choose another output "
                        f"folder"
                    )
        template = task.evaluate(np.zeros((0, len(task.space)), np.int64))
        metrics = {
            name: np.array([_from_json(trial["metrics"][name]) for trial in trials])
            for name in template.metrics
        }
        breakdown = {
            name: np.array([_from_json(trial["breakdown"][name]) for trial in trials])
            for name in template.breakdown
        }
        violations = {
            name: np.array([name in trial["violations"] for trial in trials], np.bool_)
            for name in template.violations
        }
        return task.judge(rows, Costs(metrics, violations, breakdown))

    def append(
        self,
        evaluation: Evaluation,
        first: int,
        agent_seconds: float,
        evaluation_seconds: float,
        place: Mapping[str, Any] | None = None,
    ) -> None:
        """Logs a batch: its trials, numbered from `first`, then its times.

        Args:
            evaluation: the new designs.
            first: number of designs before this batch, at the same fidelity.
            agent_seconds: time the search method took since its last batch.
            evaluation_seconds: time the cost model took.
            place: None for trials; for designs at a cheaper fidelity see
                `archgym.screening.PLACE`.
        """
        rows = [{**(place or {}), **record} for record in trial_records(evaluation, first)]
        with (self.path / ("screened.jsonl" if place else "trials.jsonl")).open("ab") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        times = {
            "first": place["trials_before"] if place else first,
            "count": 0 if place else len(evaluation),
            "agent_seconds": round(agent_seconds, 6),
            "evaluation_seconds": round(evaluation_seconds, 6),
        }
        self._batches.append(times)
        with (self.path / "times.jsonl").open("ab") as file:
            file.write((json.dumps(times) + "\n").encode())

    def finish(
        self,
        trials: Evaluation,
        stop_reason: str,
        summary: Mapping[str, Any],
        screened: polars.DataFrame | None = None,
    ) -> None:
        """Writes the parquet files, marks the manifest complete, and removes the lines.

        Args:
            trials: all of them.
            stop_reason: why the run has ended.
            summary: further fields of the manifest.
            screened: what was evaluated at cheaper fidelities, None for nothing; see
                `archgym.screening.screened_frame`.
        """
        import polars

        frame = trials_frame(trials)
        _write_parquet(frame, self.path / "trials.parquet")
        if screened is not None:
            _write_parquet(screened, self.path / "screened.parquet")
        schema = {
            "first": polars.Int64,
            "count": polars.Int64,
            "agent_seconds": polars.Float64,
            "evaluation_seconds": polars.Float64,
        }
        times = polars.DataFrame(self._batches, schema=schema)
        _write_parquet(times, self.path / "times.parquet")
        self.manifest |= {"status": "complete", "stop_reason": stop_reason, **summary}
        self.manifest["digest"] = manifest_digest(self.manifest, frame, screened)
        self._write_manifest()
        for name in _LINES:
            (self.path / name).unlink(missing_ok=True)


def _write_parquet(frame: polars.DataFrame, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    frame.write_parquet(temporary, compression="zstd")
    os.replace(temporary, path)


def trial_records(evaluation: Evaluation, first: int = 0) -> list[dict[str, Any]]:
    """Returns one JSON-ready record per design, numbered from `first + 1`."""
    count = len(evaluation)
    columns = (
        evaluation.designs.tolist(),
        _json_column(evaluation.score),
        evaluation.feasible.tolist(),
        _violated(evaluation),
        _json_rows(evaluation.metrics, count),
        _json_rows(evaluation.breakdown, count),
    )
    return [
        {
            "sample": first + i + 1,
            "design": design,
            "score": score,
            "feasible": feasible,
            "violations": violations,
            "metrics": metrics,
            "breakdown": breakdown,
        }
        for i, (design, score, feasible, violations, metrics, breakdown) in enumerate(
            zip(*columns, strict=True)
        )
    ]


def _json_column(values: npt.NDArray[Any]) -> list[Any]:
    """Returns numbers `(n,)` as strict JSON can hold them."""
    plain: list[Any] = values.tolist()
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        plain[i] = _to_json(plain[i])
    return plain


def _json_rows(named: Mapping[str, npt.NDArray[Any]], count: int) -> list[dict[str, Any]]:
    """Returns columns `(count,)` as one mapping per row."""
    if not named:
        return [{} for _ in range(count)]
    rows = zip(*(_json_column(values) for values in named.values()), strict=True)
    return [dict(zip(named, row, strict=True)) for row in rows]


def _violated(evaluation: Evaluation) -> list[list[str]]:
    """Returns the rules that each design breaks."""
    if not any(mask.any() for mask in evaluation.violations.values()):
        return [[] for _ in range(len(evaluation))]
    return [list(evaluation.violated(i)) for i in range(len(evaluation))]


def trials_frame(evaluation: Evaluation) -> polars.DataFrame:
    """Returns trials as a table.

    Columns: sample, design (index list), score, feasible, violations, one per metric, and one per
    component of the breakdown, named `quantity/component`.
    """
    import polars

    count = len(evaluation)
    width = evaluation.designs.shape[1]
    data: dict[str, Any] = {
        "sample": np.arange(1, count + 1, dtype=np.int64),
        "design": polars.Series(evaluation.designs, dtype=polars.Array(polars.Int64, width)),
        "score": evaluation.score,
        "feasible": evaluation.feasible,
        "violations": _violations_series(evaluation),
        **evaluation.metrics,
        **evaluation.breakdown,
    }
    return polars.DataFrame(data)


def _violations_series(evaluation: Evaluation) -> polars.Series:
    import polars

    kind = polars.List(polars.String)
    if any(mask.any() for mask in evaluation.violations.values()):
        return polars.Series(_violated(evaluation), dtype=kind)
    # Polars takes a list per row one by one.
    return polars.Series([[]], dtype=kind).new_from_index(0, len(evaluation))


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Returns the manifest of a run folder, None where there is none.

    Raises:
        ValueError: for a manifest that is not valid or was written by a newer version.
    """
    file = path / "run.json"
    if not file.exists():
        return None
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        written = int(manifest["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: is not a run manifest ({error})") from None
    if written > FORMAT:
        raise ValueError(f"{file}: format {written} is newer than the supported {FORMAT}")
    return dict(manifest)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> polars.DataFrame:
    """Reads one small file, whatever characters its folder's name has."""
    import polars

    chosen = None if columns is None else list(columns)
    return polars.read_parquet(path, columns=chosen, glob=False, hive_partitioning=False)


def load_trials(path: Path, columns: Sequence[str] | None = None) -> polars.DataFrame:
    """Returns the trials of a run folder, finished or not, in the form of `trials_frame`.

    Args:
        path: the run's folder.
        columns: that are read of a finished run, None for all.

    Raises:
        ValueError: if the folder holds no run.
    """
    manifest = read_manifest(path)
    if manifest is None:
        raise ValueError(f"{path}: holds no run (there is no run.json)")
    if manifest["status"] == "complete":
        return read_parquet(path / "trials.parquet", columns)
    return lines_frame(read_lines(path / "trials.jsonl"))


def lines_frame(
    lines: Sequence[Mapping[str, Any]],
    place: Sequence[str] = (),
    groups: Sequence[str] = ("metrics", "breakdown"),
) -> polars.DataFrame:
    """Returns logged lines as a table in the form of `trials_frame`, without columns for none.

    Args:
        lines: of a run that has not ended.
        place: names of further columns, which come first.
        groups: of columns that come last.
    """
    import polars

    if not lines:
        return polars.DataFrame()
    fields = (*place, *_TRIAL_FIELDS)
    data: dict[str, Any] = {name: [line[name] for line in lines] for name in fields}
    data["score"] = [_from_json(score) for score in data["score"]]
    for group in groups:
        for name in lines[0][group]:
            data[name] = [_from_json(line[group][name]) for line in lines]
    width = len(lines[0]["design"])
    types = {
        "design": polars.Array(polars.Int64, width),
        "violations": polars.List(polars.String),
    }
    return polars.DataFrame(data, schema_overrides=types)


def load_times(path: Path) -> polars.DataFrame:
    """Returns seconds per evaluated batch of a run folder, finished or not."""
    import polars

    finished = path / "times.parquet"
    if finished.exists():
        return read_parquet(finished)
    return polars.DataFrame(read_lines(path / "times.jsonl"))
