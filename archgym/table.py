"""Tables: every design of a space with its outcome, as a parquet file and as a cost model.

A table holds the outcomes (metrics, breakdown, broken rules) of designs that are told by their
mixed-radix number, see `DesignSpace.enumerate`. On disk it has one of two layouts, which hold the
same:

- plain: one row per design, in the order of the numbers, with a column per parameter;
- compact: one row per distinct outcome, with the list of the designs that lead to it.

The schema's metadata (key `archgym.table`) is JSON: task, space, metrics, versions, command.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.cost_model import Costs, FloatFeatures
from archgym.metric import FloatArray, Metric
from archgym.space import BoolArray, DesignSpace, IntArray, Parameter, Value

FORMAT = 1
_KEY = b"archgym.table"
_NUMBER, _DESIGNS, _VIOLATIONS = "number", "designs", "violations"
_FIELDS = ("format", "env", "options", "space", "fingerprint", "metrics", "breakdown", "violations")


@dataclass(frozen=True)
class Table:
    """Designs and their outcomes.

    Attributes:
        meta: what was tabulated, as plain data; see `archgym.tabulate.table_meta`.
        numbers: int64 `(n,)`, the designs' mixed-radix numbers in ascending order.
        outcome: int64 `(n,)`, which outcome each design has, in `0..k-1`.
        costs: the outcomes, arrays `(k,)`.
    """

    meta: Mapping[str, Any]
    numbers: IntArray
    outcome: IntArray
    costs: Costs

    def __len__(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def space(self) -> DesignSpace:
        """The parameters, without constraints."""
        return DesignSpace([Parameter.parse(each) for each in self.meta["space"]["parameters"]])

    @functools.cached_property
    def rows(self) -> IntArray:
        """The designs as index rows `(n, d)`."""
        rest = self.numbers.copy()
        rows = np.empty((len(rest), len(self.space)), np.int64)
        for j in range(len(self.space) - 1, -1, -1):
            rest, rows[:, j] = np.divmod(rest, self.space.cardinalities[j])
        return rows

    @functools.cached_property
    def strides(self) -> IntArray:
        """What one step of each parameter adds to a design's number `(d,)`."""
        return np.append(np.cumprod(self.space.cardinalities[:0:-1])[::-1], 1).astype(np.int64)

    def position(self, numbers: IntArray) -> IntArray:
        """Returns where designs stand in the table `(m,)`, -1 for those it does not hold."""
        if len(self) == 0:
            return np.full(len(numbers), -1, np.int64)
        place = np.minimum(np.searchsorted(self.numbers, numbers), len(self) - 1)
        return np.where(self.numbers[place] == numbers, place, -1)

    def compacted(self) -> Table:
        """Returns the same table with each distinct outcome once, in order of appearance."""
        columns = [*self.costs.metrics.values(), *self.costs.breakdown.values()]
        bits = [np.asarray(c, np.float64).view(np.int64) for c in columns]
        bits += [mask.astype(np.int64) for mask in self.costs.violations.values()]
        first, which = _distinct(np.stack(bits, axis=1)[self.outcome])
        return Table(self.meta, self.numbers, which, take(self.costs, self.outcome[first]))


def _distinct(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Returns the first position of each distinct row, in order, and which one each row is."""
    keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    _, first, which = np.unique(keys.ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[which]


def take(costs: Costs, index: npt.NDArray[Any]) -> Costs:
    """Returns the costs of some of the designs, by position or mask."""
    return Costs(
        {name: values[index] for name, values in costs.metrics.items()},
        {name: values[index] for name, values in costs.violations.items()},
        {name: values[index] for name, values in costs.breakdown.items()},
    )


def digest(path: str | Path) -> str:
    """Returns a hash of a file's content."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def file_digests(options: Mapping[str, Any]) -> dict[str, str]:
    """Returns hashes of the files that options name as `file:PATH`."""
    return {
        name: digest(value.removeprefix("file:"))
        for name, value in options.items()
        if isinstance(value, str) and value.startswith("file:")
    }


def write_table(table: Table, path: Path, *, compact: bool) -> None:
    """Writes a table under a temporary name and renames it; the same table gives the same bytes.

    Args:
        table: what to write.
        path: of the parquet file.
        compact: one row per distinct outcome instead of one per design.
    """
    import pyarrow
    import pyarrow.parquet

    if compact:
        table = table.compacted()
    columns = _compact_columns(table) if compact else _plain_columns(table)
    arrow = pyarrow.table(columns).replace_schema_metadata(
        {_KEY: json.dumps(table.meta, sort_keys=True).encode()}
    )
    listed = f"{_DESIGNS}.list.element"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    pyarrow.parquet.write_table(
        arrow,
        temporary,
        compression="zstd",
        compression_level=19,
        # Dictionaries suit outcomes, which repeat column by column; ascending numbers do not.
        use_dictionary=[name for name in columns if name not in (_DESIGNS, _NUMBER)],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in (listed if compact else _NUMBER,)},
        write_statistics=False,
        row_group_size=max(1, len(arrow)),
    )
    os.replace(temporary, path)


def _outcome_columns(table: Table, index: IntArray) -> dict[str, Any]:
    import pyarrow

    costs = take(table.costs, index)
    masks = list(costs.violations.items())
    broken = [[name for name, mask in masks if mask[i]] for i in range(len(index))]
    return {
        **costs.metrics,
        **costs.breakdown,
        _VIOLATIONS: pyarrow.array(broken, pyarrow.list_(pyarrow.string())),
    }


def _plain_columns(table: Table) -> dict[str, Any]:
    values = table.space.columns(table.rows)
    return {
        _NUMBER: table.numbers,
        **{name: column.tolist() for name, column in values.items()},
        **_outcome_columns(table, table.outcome),
    }


def _compact_columns(table: Table) -> dict[str, Any]:
    import pyarrow

    count = len(next(iter(table.costs.metrics.values())))
    order = np.argsort(table.outcome, kind="stable")
    ends = np.cumsum(np.bincount(table.outcome, minlength=count))
    offsets = pyarrow.array(np.concatenate(([0], ends)), pyarrow.int32())
    designs = pyarrow.ListArray.from_arrays(offsets, pyarrow.array(table.numbers[order]))
    return {_DESIGNS: designs, **_outcome_columns(table, np.arange(count))}


def read_table(path: str | Path) -> Table:
    """Reads a table in either layout; the last few are kept in memory.

    Raises:
        ValueError: for a file that is missing or is not such a table.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"table: there is no file {str(path)!r}")
    state = file.stat()
    return _read(file.resolve(), state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=8)
def _read(file: Path, changed: int, size: int) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        arrow = pyarrow.parquet.read_table(file, use_threads=False)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file}: cannot be read as a table ({reason})") from None
    meta = _meta(file, (arrow.schema.metadata or {}).get(_KEY))
    names = [*(m["name"] for m in meta["metrics"]), *meta["breakdown"]]
    index = _DESIGNS if _DESIGNS in arrow.column_names else _NUMBER
    for name in (index, _VIOLATIONS, *names):
        if name not in arrow.column_names:
            raise ValueError(f"{file}: column {name!r} is missing, the file was changed")
    columns = {name: arrow[name].to_numpy().astype(np.float64) for name in names}
    costs = Costs(
        {metric["name"]: columns[metric["name"]] for metric in meta["metrics"]},
        _masks(arrow[_VIOLATIONS].combine_chunks(), meta["violations"]),
        {name: columns[name] for name in meta["breakdown"]},
    )
    if index == _NUMBER:
        numbers = arrow[_NUMBER].to_numpy().astype(np.int64)
        return Table(meta, numbers, np.arange(len(numbers), dtype=np.int64), costs)
    lists = arrow[_DESIGNS].combine_chunks()
    numbers = lists.flatten().to_numpy().astype(np.int64)
    outcome = np.repeat(np.arange(len(lists), dtype=np.int64), lists.value_lengths().to_numpy())
    order = np.argsort(numbers, kind="stable")
    return Table(meta, numbers[order], outcome[order], costs)


def _meta(file: Path, text: bytes | None) -> dict[str, Any]:
    if text is None:
        raise ValueError(f"{file}: is not a table written by `archgym tabulate`")
    meta: dict[str, Any] = json.loads(text)
    if meta.get("format", 0) > FORMAT:
        raise ValueError(f"{file}: format {meta['format']} is newer than the supported {FORMAT}")
    missing = [name for name in _FIELDS if name not in meta]
    if missing:
        raise ValueError(f"{file}: metadata {missing[0]!r} is missing, the file was changed")
    return meta


def _masks(broken: Any, names: Sequence[str]) -> dict[str, BoolArray]:
    """Returns `{rule: (k,)}` from lists of the rules that each outcome breaks."""
    lengths = broken.value_lengths().to_numpy()
    owner = np.repeat(np.arange(len(lengths)), lengths)
    rules = np.array(broken.flatten().to_pylist(), dtype=object)
    masks = {}
    for name in names:
        masks[name] = np.zeros(len(lengths), np.bool_)
        masks[name][owner[rules == name]] = True
    return masks


class TableModel:
    """A cost model that looks its answers up: the same task as the tabulated one, bit for bit.

    Args:
        path: of the table.
        environment_id: of the task.
        space: the task's design space; it may have more constraints than the tabulated one.
        metrics: what the task reports.
        default: the design that scores 0, by values.
        options: those of the task that must agree with the tabulated ones.

    Raises:
        ValueError: naming the table and the first thing in which it does not fit the task.
    """

    def __init__(
        self,
        path: str | Path,
        environment_id: str,
        space: DesignSpace,
        metrics: tuple[Metric, ...],
        default: Mapping[str, Value],
        options: Mapping[str, Any],
    ) -> None:
        self.path = Path(path)
        self.table = read_table(path)
        self.space = space
        self.metrics = metrics
        self.default = default
        _check_same_task(self.path, self.table.meta, environment_id, options)
        _check_same_space(self.path, self.table.meta, space)
        here = [metric.describe() for metric in metrics]
        for field in ("name", "unit", "direction"):
            if [m[field] for m in here] != [m[field] for m in self.table.meta["metrics"]]:
                raise ValueError(f"{path}: its metrics are not those of this version; make it anew")
        self.features: FloatFeatures = np.array(self.table.meta["features"], np.float32)

    def evaluate(self, designs: IntArray) -> Costs:
        """Looks up canonical rows `(n, d)` that obey the constraints.

        Raises:
            ValueError: for a design that the table does not hold.
        """
        place = self.table.position(designs @ self.table.strides)
        if (place < 0).any():
            design = self.space.decode(designs[int(np.argmax(place < 0))])
            raise ValueError(f"{self.path}: the table does not hold design {design}")
        return take(self.table.costs, self.table.outcome[place])

    @functools.cached_property
    def allowed(self) -> BoolArray:
        """Which of the table's designs obey the constraints of the task `(n,)`."""
        broken = self.space.violations(self.table.rows).values()
        allowed = np.ones(len(self.table), np.bool_)
        for mask in broken:
            allowed &= ~mask
        return allowed

    @functools.cached_property
    def weights(self) -> FloatArray:
        """How many index rows stand for each design `(n,)`: choices of its inert parameters."""
        active = self.space.active(self.table.rows)
        choices = np.where(active, 1, self.space.cardinalities)
        return np.asarray(np.prod(choices.astype(np.float64), axis=1))


def _check_same_task(
    path: Path, meta: Mapping[str, Any], environment_id: str, options: Mapping[str, Any]
) -> None:
    if meta["env"] != environment_id:
        raise ValueError(f"{path}: is a table of {meta['env']}, not of {environment_id}")
    made = meta["options"]
    for name, value in options.items():
        of_file = isinstance(value, str) and value.startswith("file:")
        same = made.get(name) == value
        if of_file and name in meta.get("files", {}):
            same = meta["files"][name] == digest(value.removeprefix("file:"))
        if not same:
            content = " (or another content of that file)" if of_file else ""
            raise ValueError(
                f"{path}: was made with {name}={made.get(name)!r}, this task has {value!r}{content}"
            )


def _check_same_space(path: Path, meta: Mapping[str, Any], space: DesignSpace) -> None:
    def plain(parameters: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [[p[key] for key in ("name", "values", "ordered", "when")] for p in parameters]

    here = space.describe()
    if plain(here["parameters"]) != plain(json.loads(json.dumps(meta["space"]["parameters"]))):
        raise ValueError(
            f"{path}: its design space (fingerprint {meta['fingerprint']}) has other parameters "
            f"than this task's ({space.fingerprint})"
        )
    rules = {constraint["name"] for constraint in here["constraints"]}
    for constraint in meta["space"]["constraints"]:
        if constraint["name"] not in rules:
            raise ValueError(
                f"{path}: leaves out designs under the rule {constraint['name']!r}, which this "
                f"task allows"
            )
