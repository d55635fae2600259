"""Reading datasets: trials as polars frames and NumPy arrays, chosen and split by design."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym.errors import unknown
from archgym.metric import FloatArray, Metric
from archgym.space import BoolArray, DesignSpace, IntArray, Parameter

if TYPE_CHECKING:
    import polars

FORMAT = 1
_INSIDE = re.compile(r"(?!.*\.\.)(runs|trials/space=[\w.-]+/task=[\w.-]+/part-\d+)\.parquet")
_FIELDS = ("format", "name", "spaces", "tasks", "files", "notes", "sources")


@dataclass(frozen=True)
class Dataset:
    """Trials of one or more tasks; choosing some of them gives another `Dataset`.

    Build it with `load_dataset`. Nothing is read before it is asked for. `frame` works for any
    selection; the arrays (`designs`, `metrics` ...) are of one design space, so a dataset of
    several is filtered first. Rows are in the same order everywhere.

    Attributes:
        path: the folder.
        meta: the content of `dataset.json`.
        tasks: ids of the tasks that are selected.
        agents: names of the agents that are selected, None for all.
        rows: which of the rows so selected, None for all; by space `{id: positions}`.
    """

    path: Path
    meta: Mapping[str, Any]
    tasks: tuple[str, ...]
    agents: tuple[str, ...] | None = None
    rows: Mapping[str, IntArray] | None = None

    def __len__(self) -> int:
        return sum(len(self._frame(space)) for space in self.spaces)

    def __repr__(self) -> str:
        return f"Dataset({self.meta['name']}: {len(self):,} trials of {len(self.tasks)} tasks)"

    @property
    def spaces(self) -> list[str]:
        """Ids of the design spaces of the selected tasks."""
        return list(dict.fromkeys(self.meta["tasks"][task]["space"] for task in self.tasks))

    @functools.cached_property
    def _frames(self) -> dict[str, polars.DataFrame]:
        return {}

    def _frame(self, space: str) -> polars.DataFrame:
        """Reads the selected trials of one space, once."""
        if space not in self._frames:
            self._frames[space] = self._read(space)
        return self._frames[space]

    def _read(self, space: str) -> polars.DataFrame:
        import polars

        prefixes = {
            f"trials/space={space}/task={task}/": task
            for task in self.tasks
            if self.meta["tasks"][task]["space"] == space
        }
        frames = []
        for prefix, task in prefixes.items():
            for name in (each for each in self.meta["files"] if each.startswith(prefix)):
                try:
                    frame = polars.read_parquet(self.path / name, hive_partitioning=False)
                except (OSError, polars.exceptions.PolarsError) as error:
                    raise ValueError(f"{self.path / name}: {_line(error)}") from None
                frames.append(frame.select(polars.lit(task).alias("task"), polars.all()))
        if not frames:
            raise ValueError(f"{self.path}: holds no trial of {', '.join(self.tasks)}")
        whole = polars.concat(frames)
        if self.agents is not None:
            whole = whole.filter(polars.col("agent").is_in(list(self.agents)))
        return whole if self.rows is None else whole[self.rows[space]]

    def frame(self) -> polars.DataFrame:
        """Returns the trials as a table; columns that a trial's space lacks are null."""
        import polars

        frames = [self._frame(space).drop("design") for space in self.spaces]
        if len(frames) == 1:
            return self._frame(self.spaces[0])
        return polars.concat(frames, how="diagonal_relaxed")

    def runs(self) -> polars.DataFrame:
        """Returns the runs of the selected tasks and agents, those without a trial too."""
        import polars

        frame = polars.read_parquet(self.path / "runs.parquet")
        frame = frame.filter(polars.col("task").is_in(list(self.tasks)))
        return (
            frame if self.agents is None else frame.filter(polars.col("agent").is_in(self.agents))
        )

    def filter(
        self, task: str | Sequence[str] | None = None, agent: str | Sequence[str] | None = None
    ) -> Dataset:
        """Returns the trials of some tasks and agents.

        Args:
            task: ids or names of tasks, or of problems, which are tasks under any objective.
            agent: names of agents.

        Raises:
            ValueError: for a name that the selection does not hold, naming the closest, or on a
                part of a split.
        """
        if self.rows is not None:
            raise ValueError("dataset: filter before the split, a part of one cannot be filtered")
        tasks, agents = self.tasks, self.agents
        if task is not None:
            tasks = self._tasks_named([task] if isinstance(task, str) else task)
        if agent is not None:
            agents = (agent,) if isinstance(agent, str) else tuple(agent)
            known = {a for each in tasks for a in self.meta["tasks"][each]["agents"]}
            known &= known if self.agents is None else set(self.agents)
            for name in agents:
                if name not in known:
                    raise unknown(f"{self.path}: agent", name, known)
        return Dataset(self.path, self.meta, tasks, agents)

    def _tasks_named(self, names: Sequence[str]) -> tuple[str, ...]:
        told = {key: self.meta["tasks"][key] for key in self.tasks}
        found: dict[str, None] = {}
        for name in names:
            same = [k for k, each in told.items() if name in (k, each["name"], each["problem"])]
            if not same:
                known = {each["name"] for each in told.values()}
                raise unknown(f"{self.path}: task", name, known)
            found |= dict.fromkeys(same)
        return tuple(found)

    @property
    def _only(self) -> str:
        """The id of the only space."""
        if len(self.spaces) > 1:
            names = ", ".join(sorted(self.meta["tasks"][each]["name"] for each in self.tasks))
            raise ValueError(
                f"{self.path}: holds {len(self.spaces)} design spaces; choose tasks of one with "
                f"filter(task=...), there are {names}"
            )
        return self.spaces[0]

    @functools.cached_property
    def space(self) -> DesignSpace:
        """The parameters, without constraints."""
        parameters = self.meta["spaces"][self._only]["parameters"]
        plain = [{k: v for k, v in each.items() if k != "column"} for each in parameters]
        return DesignSpace([Parameter.parse(each) for each in plain])

    @property
    def declared_metrics(self) -> tuple[Metric, ...]:
        """The metrics with their units."""
        metrics = self.meta["spaces"][self._only]["metrics"]
        return tuple(Metric(**{k: v for k, v in m.items() if k != "column"}) for m in metrics)

    @functools.cached_property
    def designs(self) -> IntArray:
        """Index rows `(n, d)`."""
        return self._designs(self._only)

    @functools.cached_property
    def metrics(self) -> dict[str, FloatArray]:
        """`{metric name: (n,)}` in the metrics' units, NaN where a design was not evaluated."""
        frame = self._frame(self._only)
        declared = self.meta["spaces"][self._only]["metrics"]
        return {m["name"]: frame[m["column"]].to_numpy().astype(np.float64) for m in declared}

    @functools.cached_property
    def feasible(self) -> BoolArray:
        """Whether each design is feasible `(n,)`."""
        return np.asarray(self._frame(self._only)["feasible"].to_numpy(), np.bool_)

    @functools.cached_property
    def score(self) -> FloatArray:
        """Score of each trial under its task's objective `(n,)`."""
        return np.asarray(self._frame(self._only)["score"].to_numpy(), np.float64)

    @functools.cached_property
    def digest(self) -> str:
        """Hash of the content of all parquet files, whatever is selected.

        Raises:
            ValueError: for a file that is not the one that was exported.
        """
        total = hashlib.sha256()
        for name, told in sorted(self.meta["files"].items()):
            here = hashlib.sha256((self.path / name).read_bytes()).hexdigest()
            if here != told["sha256"]:
                raise ValueError(f"{self.path / name}: was changed after the export")
            total.update(f"{name} {here}\n".encode())
        return total.hexdigest()[:16]

    def unique(self) -> Dataset:
        """Returns the first trial of each design of each space."""
        rows = {space: np.sort(_first(self._designs(space))[0]) for space in self.spaces}
        return self._part(rows)

    def sample(self, n: int, seed: int = 0) -> Dataset:
        """Returns the trials of `n` different designs drawn at random, the first trial of each.

        Raises:
            ValueError: if there are fewer, or designs of several spaces.
        """
        first, _ = _first(self._designs(self._only))
        if not 0 < n <= len(first):
            raise ValueError(f"n: {n} is outside 1..{len(first)}, the number of designs")
        chosen = np.random.default_rng(seed).choice(len(first), n, replace=False)
        return self._part({self._only: np.sort(first[chosen])})

    def split(self, test: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Splits by design: all trials of a design, of every run and task, are on one side.

        Which side depends on the design and the seed, not on the order of the trials.

        Args:
            test: share of the different designs that goes to the second side.
            seed: of the choice.

        Returns:
            The larger part to learn from, and the part to test with.

        Raises:
            ValueError: unless `test` is between 0 and 1.
        """
        if not 0 < test < 1:
            raise ValueError(f"test: {test} is not between 0 and 1")
        sides: tuple[dict[str, IntArray], dict[str, IntArray]] = ({}, {})
        for space in self.spaces:
            rows = self._designs(space)
            first, which = _first(rows)
            order = np.argsort([_drawn(seed, rows[i].tobytes()) for i in first])
            tested = np.zeros(len(first), np.bool_)
            tested[order[: round(test * len(first))]] = True
            for side, mask in zip(sides, (~tested, tested), strict=True):
                side[space] = np.flatnonzero(mask[which])
        return self._part(sides[0]), self._part(sides[1])

    def _designs(self, space: str) -> IntArray:
        column = self._frame(space)["design"]
        rows: IntArray = np.ascontiguousarray(column.to_numpy().astype(np.int64))
        return rows.reshape(len(column), len(self.meta["spaces"][space]["parameters"]))

    def _part(self, rows: Mapping[str, IntArray]) -> Dataset:
        if self.rows is not None:
            rows = {space: self.rows[space][index] for space, index in rows.items()}
        return dataclasses.replace(self, rows=rows)

    def to_minari(self, dataset_id: str, **settings: Any) -> Any:
        """Writes the trials as episodes of a Minari dataset; see `archgym.episodes`."""
        from archgym.episodes import to_minari

        return to_minari(self, dataset_id, **settings)


def _first(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Returns the first position of each distinct row, and which of them each row is."""
    _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first.astype(np.int64), which.reshape(-1).astype(np.int64)


def _drawn(seed: int, key: bytes) -> int:
    """Returns the number that decides the side of a design."""
    digest = hashlib.blake2b(f"{seed}:".encode() + key, digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def load_dataset(path: str | Path) -> Dataset:
    """Opens a dataset that `archgym dataset export` wrote.

    Args:
        path: the folder.

    Returns:
        All of it; choose with `filter`.

    Raises:
        ValueError: for a folder that is no dataset, or lacks a file.
    """
    root = Path(path)
    file = root / "dataset.json"
    if not file.is_file():
        raise ValueError(
            f"{path}: is no dataset (there is no dataset.json); `archgym dataset export` makes one"
        )
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        missing = [name for name in _FIELDS if name not in meta]
        written = int(meta["format"]) if not missing else 0
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{file}: is not the description of a dataset ({_line(error)})") from None
    if missing:
        raise ValueError(f"{file}: {missing[0]} is missing")
    if written > FORMAT:
        raise ValueError(f"{file}: format {written} is newer than the supported {FORMAT}")
    for name, told in meta["files"].items():
        if not _INSIDE.fullmatch(name):
            raise ValueError(f"{file}: files names {name!r}, which is no file of a dataset")
        if not (root / name).is_file() or (root / name).stat().st_size != told["bytes"]:
            raise ValueError(f"{root / name}: is missing or has another size than when exported")
    tasks = tuple(key for key, task in meta["tasks"].items() if task["trials"])
    return Dataset(root, meta, tasks)
