"""Pictures of one design, such as its roofline: what environments offer, and files of them.

An environment names what it can draw in `Environment.plots`; nothing here knows what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.errors import unknown
from archgym.space import IntArray, Value

if TYPE_CHECKING:
    from archgym.task import Task

_SUFFIXES = (".svg", ".html", ".txt")


@dataclass(frozen=True)
class Picture:
    """A picture of a design.

    Attributes:
        title: in one line.
        svg: a whole figure, text in it escaped.
        text: the same in plain text.
    """

    title: str
    svg: str
    text: str


@dataclass(frozen=True)
class Plot:
    """Something that an environment can draw of a design.

    Attributes:
        doc: one line of meaning.
        draw: takes the task, an index row `(d,)` of a feasible design, and the part of the workload
            that is asked for (such as an operator), None for all of it.
    """

    doc: str
    draw: Callable[[Task, IntArray, str | None], Picture]


@dataclass(frozen=True)
class Chosen:
    """A design of a task.

    Attributes:
        task: it.
        row: indices `(d,)`.
        source: where the design is from, in words.
    """

    task: Task
    row: IntArray
    source: str


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table, its first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    lines = []
    for first, *rest in (headers, *rows):
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def choose(env: str, options: Mapping[str, Any], text: str) -> Chosen:
    """Finds the design that a text names.

    Args:
        env: environment id.
        options: of the environment.
        text: `default`; `optimum`, where it is known; `best:FOLDER`, the best design of an
            experiment's results, whose task counts then; or the path of a YAML or JSON file with
            a value per parameter.

    Raises:
        ValueError: for a text, file or folder that names none, a design that breaks a rule, or
            results of several tasks of which the options choose none or several.
    """
    from archgym.task import make_task

    if text.startswith("best:"):
        return _best_of(env, options, Path(text.removeprefix("best:")))
    task = make_task(env, **options)
    if text == "default":
        return Chosen(task, task.default, "the default design")
    if text == "optimum":
        if task.optimum is None:
            raise ValueError(f"design: no optimum of {task.name} is known")
        first = {each.name: each.values[0] for each in task.space.parameters}
        row = task.space.encode({**first, **task.optimum.design})
        return _checked(task, row, f"the optimum ({task.optimum.kind})")
    return _checked(task, task.space.encode(_design_file(Path(text))), text)


def _design_file(path: Path) -> Mapping[str, Value]:
    """A design by values."""
    from archgym import yamlfile

    if not path.is_file():
        raise ValueError(
            f"design: {str(path)!r} is neither default, optimum, best:FOLDER nor a file"
        )
    found = yamlfile.read(path)
    if not isinstance(found, Mapping):
        raise ValueError(f"{path}: does not hold a value per parameter")
    return dict(found)


def _best_of(env: str, options: Mapping[str, Any], folder: Path) -> Chosen:
    from archgym.environment import find_environment
    from archgym.results import load_results
    from archgym.task import make_task

    id_ = find_environment(env).id
    found = []
    for each in load_results(folder).tasks:
        spec = each.manifest.get("task", {})
        if spec.get("env") == id_ and all(spec.get(k) == v for k, v in options.items()):
            found.append(each)
    if len(found) != 1:
        names = ", ".join(repr(each.name) for each in found)
        what = f"of several tasks ({names}), choose with options" if found else "of no such task"
        raise ValueError(f"{folder}: holds results {what}: {env} {dict(options) or ''}".rstrip())
    best = found[0].best
    assert best is not None
    spec = {name: value for name, value in best.manifest["task"].items() if name != "env"}
    task = make_task(id_, **spec)
    source = f"the best design of {folder} ({best.spec.label}, seed {best.spec.seed})"
    design = {k: v for k, v in found[0].design(best.design).items() if v is not None}
    return _checked(task, task.space.encode(design), source)


def _checked(task: Task, row: IntArray, source: str) -> Chosen:
    evaluation = task.evaluate(row[None])
    if not evaluation.feasible[0]:
        raise ValueError(f"design: {source} breaks {evaluation.violated(0)[0]!r}")
    return Chosen(task, row, source)


def draw(kind: str, chosen: Chosen, part: str | None) -> Picture:
    """Draws a design.

    Args:
        kind: a name of the environment's plots.
        chosen: the design.
        part: of the workload, None for all.

    Raises:
        ValueError: for a kind that the environment does not have, or a part that is not there.
    """
    plots = chosen.task.environment.plots
    if kind not in plots:
        raise unknown(f"{chosen.task.environment.id}: plot", kind, plots)
    return plots[kind].draw(chosen.task, chosen.row, part)


def write(picture: Picture, chosen: Chosen, path: Path) -> None:
    """Writes a picture as `.svg`, `.html` (with design and metrics) or `.txt`.

    Raises:
        ValueError: for another ending, or a folder that is not there.
    """
    from archgym.store import write_atomically

    if path.suffix not in _SUFFIXES:
        raise ValueError(f"{path}: must end with one of {', '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: is not a folder")
    made = {".svg": picture.svg, ".txt": picture.text + "\n"}
    content = made[path.suffix] if path.suffix in made else _page(picture, chosen)
    write_atomically(path, content)


def _page(picture: Picture, chosen: Chosen) -> str:
    import jinja2

    task, values = chosen.task, chosen.task.space.decode(chosen.row)
    active = task.space.active(chosen.row[None])[0]
    metrics = task.evaluate(chosen.row[None]).metrics
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("archgym"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("plot.html").render(
        picture=picture,
        task=task.name,
        source=chosen.source,
        design=[
            (name, value) for (name, value), on in zip(values.items(), active, strict=True) if on
        ],
        metrics=[
            (metric.name, metric.unit, f"{metrics[metric.name][0]:,.6g}") for metric in task.metrics
        ],
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
