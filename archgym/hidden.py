"""Leaderboards of tasks that are made of files which only their owner has.

Whatever names such a file is replaced by a label and the digest of its content, so that the report
can be published before the file is, and be checked once it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archgym.leaderboard import Leaderboard

_FILE = re.compile(r"(?:file|table|proxy):(.+)", re.DOTALL)
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class HiddenFile:
    """A file that a task is made of.

    Attributes:
        option: of the environment that names it.
        value: of the option, such as `file:traces/secret.stl`.
        label: that stands for it.
        digest: SHA-256 of its content.
    """

    option: str
    value: str
    label: str
    digest: str

    @property
    def public(self) -> str:
        """What is shown in place of its name."""
        return f"{self.label} (sha256 {self.digest[:_SHOWN_DIGITS]})"

    @property
    def names(self) -> set[str]:
        """Every text that gives the name away."""
        path = Path(_path(self.value))
        return {self.value, _path(self.value), str(path), str(path.resolve()), path.name}


def _path(value: str) -> str:
    found = _FILE.fullmatch(value)
    assert found is not None
    return found[1]


def hidden_files(tasks: Iterable[Mapping[str, Any]]) -> list[HiddenFile]:
    """Returns the files that tasks are made of, labelled in order of appearance.

    Args:
        tasks: keyword arguments of `archgym.task.make_task`.

    Raises:
        ValueError: for a file that cannot be read, as its digest is published.
    """
    found: dict[str, HiddenFile] = {}
    for task in tasks:
        for option, value in task.items():
            if isinstance(value, str) and _FILE.fullmatch(value) and value not in found:
                label = f"hidden-{len(found) + 1}"
                found[value] = HiddenFile(option, value, label, _digest(option, _path(value)))
    return list(found.values())


def _digest(option: str, path: str) -> str:
    """Returns the SHA-256 of a file, or of the files of a folder in order of their names."""
    place = Path(path)
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    total = hashlib.sha256()
    for file in files:
        try:
            total.update(file.read_bytes())
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(f"{option}: {str(file)!r} cannot be read ({reason})") from None
    return total.hexdigest()


def hide(board: Leaderboard, tasks: Iterable[Mapping[str, Any]]) -> Leaderboard:
    """Returns a leaderboard without the names of the files that its tasks are made of.

    Args:
        board: with names.
        tasks: of all its runs.

    Raises:
        ValueError: if no task names a file, or one cannot be read.
    """
    files = hidden_files(tasks)
    if not files:
        raise ValueError("hide files: no task of these results is made of a file")
    secrets = {name: file.public for file in files for name in file.names}
    # The longest first, as a path holds its own file's name.
    texts = "|".join(re.escape(text) for text in sorted(secrets, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.-])(?:{texts})(?![\w-])")

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda found: secrets[found[0]], value)
        if isinstance(value, Mapping):
            return {clean(key): clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(clean(each) for each in value)
        return value

    methods = {name: list(lines) for name, lines in board.methods}
    methods["Repeat it with"] = ["the hidden files, by whoever has them"]
    methods["Built with"] = [f"{line} --hide-files" for line in methods["Built with"]]
    told = [f"{file.label}: {file.option}, sha256 {file.digest}" for file in files]
    return dataclasses.replace(
        board,
        title=clean(board.title),
        description=clean(board.description),
        agents=tuple(
            dataclasses.replace(agent, hyperparameters=clean(agent.hyperparameters))
            for agent in board.agents
        ),
        tasks=tuple(
            dataclasses.replace(task, name=clean(task.name), data=clean(task.data))
            for task in board.tasks
        ),
        warnings=clean(board.warnings),
        methods=(("Hidden files", told), *clean(tuple(methods.items()))),
    )
