"""The columns of a dataset: what stands in them, and how trials become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym.dataset_runs import Run, short_hash, slug
from archgym.space import DesignSpace, IntArray, Parameter

if TYPE_CHECKING:
    import polars

TRIAL_COLUMNS: Mapping[str, str] = {
    "run": "id of the run, a key into runs.parquet",
    "agent": "search method that proposed the design",
    "hyperparameters": "hash of the method with its hyperparameters, which runs.parquet spells out",
    "seed": "seed of the run's random generator",
    "version": "version of archgym that the run was made with",
    "complete": "whether the run had ended when it was exported",
    "sample": "number of the design in its run, from 1",
    "design": "per parameter the index of its value, 0 where the parameter has no effect",
    "feasible": "whether the design breaks no rule",
    "violations": "names of the rules that the design breaks",
    "score": "value of the objective: higher is better, 0 the default design, -inf if infeasible",
}
"""Columns of every trial besides parameters and metrics, with their meaning."""

RUN_COLUMNS: Mapping[str, str] = {
    "run": "id of the run",
    "task": "id of the task, as in the partitions of the trials",
    "fidelity": "which cost model answered, empty where the task has one only",
    "agent": "search method",
    "label": "the method's name in tables, with what was varied",
    "hyperparameters": "hash, as in the trials",
    "settings": "the hyperparameters as JSON",
    "seed": "seed of the run's random generator",
    "budget": "different designs that the run might evaluate",
    "trials": "different designs that it did evaluate",
    "status": "complete, or partial for a run that had not ended",
    "stop_reason": "why it ended",
    "source": "results folder that it was exported from",
    "version": "version of archgym",
    "versions": "versions of all packages as JSON",
    "commit": "commit of the source tree, empty for an installed package",
    "started": "time in UTC",
    "finished": "time in UTC",
}
"""Columns of `runs.parquet`."""


def column_names(parameters: Sequence[str], metrics: Sequence[str]) -> dict[str, list[str]]:
    """Returns the columns of parameters and metrics: their own names, with a prefix if taken."""
    taken = {*TRIAL_COLUMNS, "space", "task"}
    told: dict[str, list[str]] = {"parameter": [], "metric": []}
    for kind, names in (("parameter", parameters), ("metric", metrics)):
        for name in names:
            column = name
            while column in taken:
                column = f"{kind}:{column}"
            taken.add(column)
            told[kind].append(column)
    return told


def value_type(parameter: Parameter) -> type:
    """Returns the type of a parameter's column: bool, int, float, or str for anything else."""
    kinds = {type(value) for value in parameter.values}
    if len(kinds) == 1:
        return kinds.pop()
    return float if kinds == {int, float} else str


class SpaceColumns:
    """A design space with its metrics: what has the same columns."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self.env = str(manifest["task"]["env"])
        parameters = [Parameter.parse(each) for each in manifest["parameters"]]
        self.space = DesignSpace(parameters)
        self.metrics = list(manifest["metrics"])
        self.fingerprint = str(manifest["space"])
        names = column_names(self.space.names, [metric["name"] for metric in self.metrics])
        self.parameter_columns, self.metric_columns = names["parameter"], names["metric"]
        said = [self.env, self.fingerprint, manifest["parameters"], self.metrics]
        self.id = f"{slug(self.env)}-{short_hash(said)[:8]}"

    def describe(self) -> dict[str, Any]:
        """Returns it as plain data."""
        parameters = [
            {"column": column, **each.describe()}
            for column, each in zip(self.parameter_columns, self.space.parameters, strict=True)
        ]
        metrics = [
            {"column": column, **each}
            for column, each in zip(self.metric_columns, self.metrics, strict=True)
        ]
        return {
            "env": self.env,
            "fingerprint": self.fingerprint,
            "parameters": parameters,
            "metrics": metrics,
        }

    def frame(self, run: Run, trials: polars.DataFrame) -> polars.DataFrame:
        """Returns a run's trials with the columns of the dataset."""
        import polars

        rows: IntArray = trials["design"].to_numpy().astype(np.int64)
        width = polars.Array(polars.Int16, len(self.space))
        constants = {
            "run": run.id,
            "agent": run.manifest["agent"],
            "hyperparameters": run.settings,
            "seed": run.manifest["seed"],
            "version": run.version,
            "complete": run.complete,
        }
        columns = {
            "sample": trials["sample"].cast(polars.Int32),
            **self._values(rows),
            **{
                column: trials[metric["name"]]
                for column, metric in zip(self.metric_columns, self.metrics, strict=True)
            },
            **{name: trials[name] for name in ("feasible", "violations", "score")},
            "design": polars.Series(rows.astype(np.int16), dtype=width),
        }
        frame = polars.DataFrame({name: column for name, column in columns.items()})
        fixed = [polars.lit(value).alias(name) for name, value in constants.items()]
        return frame.select(*fixed, polars.all())

    def _values(self, rows: IntArray) -> dict[str, polars.Series]:
        """Returns the values of the parameters, null where one has no effect."""
        import polars

        active = self.space.active(rows)
        series = {}
        for j, parameter in enumerate(self.space.parameters):
            kind = value_type(parameter)
            values = polars.Series([kind(value) for value in parameter.values])
            index = polars.Series(np.where(active[:, j], rows[:, j], -1))
            series[self.parameter_columns[j]] = values.gather(index.set(index < 0, None))
        return series
