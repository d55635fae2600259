"""Submissions: the results of an experiment with a description of what made them, in one file.

`submission.yaml`  who, with what code, tuned how, on which hardware (see `Description`)
`files.json`       the format's version, and SHA-256 and size of every other file
the rest           the results folder: experiment.yaml, runs.json, and per run its manifest, trials
                   and times
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from archgym import yamlfile
from archgym.archive import Limits, unpacked, write_archive
from archgym.errors import unknown
from archgym.experiment import parse_experiment
from archgym.plan import RunSpec
from archgym.store import write_atomically
from archgym.trialfile import TrialFileError, check_parquet
from archgym.verify import Verification, checked_plan, verify

_T = TypeVar("_T")
FORMAT = 1
RUN_FILES = ("run.json", "times.parquet", "trials.parquet")
SCREENED = "screened.parquet"
"""File of the runs that have used cheaper fidelities."""
_TOP_FILES = ("experiment.yaml", "runs.json", "submission.yaml")
_INDEX = "files.json"
_MAX_YAML = 2**18
_LOCAL = re.compile(r"(file|table|proxy):")

TEMPLATE = """\
# Describes a submission; see docs/submitting.md. Every key but `notes` must be filled in.
version: 1
title: ""            # of the submission, one line
authors: []          # ["Ada Lovelace (Analytical Engines)", ...]
code: ""             # where the code of the agents is, such as https://example.org/agent
description: ""      # what the agents are, in a few sentences
tuning: ""           # how hyperparameters were chosen: tasks, seeds, samples; or "defaults"
hardware: ""         # what the runs were made on, such as "8 cores of an AMD EPYC 7763"
notes: ""            # anything else; may stay empty
"""

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
_Line = Annotated[_Text, StringConstraints(max_length=200, pattern=r"^[^\r\n]*$")]


class Description(BaseModel):
    """What a submission says of itself."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: Literal[1] = Field(description="version of this format")
    title: _Line = Field(description="one line")
    authors: list[_Line] = Field(min_length=1, max_length=100, description="a name each")
    code: Annotated[_Line, StringConstraints(pattern=r"^https?://[^\s<>\"']+$")] = Field(
        description="where the code of the agents is, http or https"
    )
    description: _Text = Field(description="what the agents are")
    tuning: _Text = Field(description="how hyperparameters were chosen")
    hardware: _Text = Field(description="what the runs were made on")
    notes: Annotated[str, StringConstraints(max_length=10_000)] = Field(
        default="", description="anything else"
    )


@dataclass(frozen=True)
class Submission:
    """A submission that was read.

    Attributes:
        file: the archive.
        folder: the results folder with its content.
        description: what it says of itself.
        specs: its runs.
    """

    file: Path
    folder: Path
    description: Description
    specs: tuple[RunSpec, ...]


_REASONS = {
    "string_too_short": "is empty, fill it in",
    "too_short": "is empty, fill it in",
    "string_too_long": "is too long",
    "too_long": "has too many entries",
    "string_type": "is not a text",
    "list_type": "is not a list",
    "literal_error": "is not 1",
    "missing": "is missing",
}


def parse_description(data: Any) -> Description:
    """Checks the description of a submission.

    Raises:
        ValueError: naming the first field that does not fit.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"is not a mapping with the keys {', '.join(Description.model_fields)}")
    try:
        return Description.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
    field = "".join(f"[{p}]" if isinstance(p, int) else str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        raise unknown("key", field, Description.model_fields)
    reason = _REASONS.get(first["type"], "does not fit")
    if first["type"] == "string_pattern_mismatch":
        reason = "is not an http or https address" if field == "code" else "is not one line"
    shown = "" if reason.startswith("is missing") else f"value {str(first['input'])[:80]!r} "
    raise ValueError(f"{field}: {shown}{reason}")


def read_description(file: Path) -> Description:
    """Reads the description of a submission; raises ValueError naming file and field."""
    data = yamlfile.read(file)
    try:
        return parse_description(data)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def write_template(file: Path) -> None:
    """Writes an empty description; raises ValueError if the file is there."""
    if file.exists():
        raise ValueError(f"{file}: is there already, choose another name")
    write_atomically(file, TEMPLATE)


def _check_portable(specs: Sequence[RunSpec]) -> None:
    """Refuses tasks that are made of files which others do not have."""
    for i, spec in enumerate(specs):
        for name, value in spec.task.items():
            if isinstance(value, str) and _LOCAL.match(value):
                raise ValueError(
                    f"runs.json: [{i}].task.{name}: {value[:80]!r} is a file that is not part of a "
                    f"submission; only tasks that everybody can build can be verified"
                )


def submit(
    folder: str | Path, output: str | Path, description: str | Path, *, seed: int = 0
) -> Verification:
    """Verifies the results of an experiment and packs them.

    The same results and description give the same archive, byte for byte.

    Args:
        folder: the results folder.
        output: the archive to write.
        description: the filled-in template.
        seed: of the trials that are replayed, see `verify`.

    Returns:
        The verification; the archive is written only if it is `ok`.

    Raises:
        ValueError: for results that are not complete, a description that is not, or tasks that
            others cannot build.
    """
    root, file = Path(folder), Path(output)
    told = read_description(Path(description))
    if not (root / "runs.json").is_file():
        raise ValueError(f"{root}: holds no results (there is no runs.json)")
    if file.exists() and file.is_dir():
        raise ValueError(f"{file}: is a folder, name the archive to write")
    verification = verify(root, seed=seed)
    if not verification.ok:
        return verification
    if not verification.complete:
        raise ValueError(f"{root}: {verification.notes[0]}; only complete results are submitted")
    specs = checked_plan(root)
    _check_portable(specs)
    sources: dict[str, Path | bytes] = {
        "experiment.yaml": root / "experiment.yaml",
        "runs.json": root / "runs.json",
        "submission.yaml": yamlfile.dump(told.model_dump()).encode(),
    }
    for spec in specs:
        names = [*RUN_FILES, *([SCREENED] if (root / spec.folder / SCREENED).exists() else [])]
        sources |= {f"{spec.folder}/{name}": root / spec.folder / name for name in names}
    sources[_INDEX] = _index(sources)
    write_archive(file, sources)
    return verification


def _sum(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _index(sources: Mapping[str, Path | bytes]) -> bytes:
    files = {
        name: _sum(source if isinstance(source, bytes) else source.read_bytes())
        for name, source in sorted(sources.items())
    }
    return (json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n").encode()


def read_submission(
    file: str | Path, folder: str | Path, limits: Limits | None = None
) -> Submission:
    """Unpacks a submission that is not trusted into a new folder.

    Nothing is executed or unpickled, nothing is written outside the folder, and the folder is
    there only if the whole archive is accepted. What the trials say is not verified: call
    `archgym.verify.verify` on the folder and rank only what is `ok` and `complete`.

    Args:
        file: the archive.
        folder: to make; it may be there if it is empty.
        limits: how much is read.

    Raises:
        ValueError: for an archive that is refused, with the reason in one line.
    """
    path, target = Path(file), Path(folder)
    with unpacked(path, target, limits or Limits()) as scratch:
        specs, description = _checked(scratch)
    return Submission(path, target, description, tuple(specs))


def _checked(root: Path) -> tuple[list[RunSpec], Description]:
    """Checks that a folder holds exactly a submission.

    Raises:
        ValueError: naming the file, relative to the folder, and what is wrong with it.
    """
    there = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    for name in (*_TOP_FILES, _INDEX):
        if name not in there:
            raise ValueError(f"{name}: is missing")
    specs = _relative(root, "runs.json", lambda: checked_plan(root))
    expected = {f"{spec.folder}/{name}" for spec in specs for name in RUN_FILES}
    expected |= {*_TOP_FILES, _INDEX}
    expected |= there & {f"{spec.folder}/{SCREENED}" for spec in specs}
    if there != expected:
        odd = min(there ^ expected)
        raise ValueError(f"{odd}: {'is missing' if odd in expected else 'is no part of the runs'}")
    _check_index(root, there - {_INDEX})
    _check_portable(specs)
    _relative(root, "experiment.yaml", lambda: parse_experiment(_yaml(root / "experiment.yaml")))
    description = _relative(
        root, "submission.yaml", lambda: parse_description(_yaml(root / "submission.yaml"))
    )
    for name in sorted(there):
        if name.endswith(".parquet"):
            try:
                check_parquet(root / name)
            except TrialFileError as error:
                raise ValueError(f"{name}: {error}") from None
    return specs, description


def _yaml(file: Path) -> Any:
    """Reads YAML that is not trusted, which may neither be long nor grow."""
    if file.stat().st_size > _MAX_YAML:
        raise ValueError(f"has {file.stat().st_size:,} bytes, at most {_MAX_YAML:,} are read")
    return yamlfile.parse(file.read_text(encoding="utf-8"), file.name, trusted=False)


def _relative(root: Path, name: str, read: Callable[[], _T]) -> _T:
    """Returns what a function reads; its errors name the file without the folder."""
    try:
        return read()
    except ValueError as error:
        text = str(error).splitlines()[0].removeprefix(f"{root / name}").removeprefix(": ")
        raise ValueError(text if text.startswith(name) else f"{name}: {text}") from None


def _check_index(root: Path, names: set[str]) -> None:
    try:
        index = json.loads((root / _INDEX).read_text(encoding="utf-8"))
        written, files = index["format"], dict(index["files"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{_INDEX}: is not an index of files ({error})") from None
    if written != FORMAT:
        raise ValueError(f"{_INDEX}: format {written!r} is not supported, only {FORMAT} is")
    for name in sorted(names | set(files)):
        if name not in files or name not in names:
            raise ValueError(f"{_INDEX}: {name!r} is listed or there, but not both")
        if files[name] != _sum((root / name).read_bytes()):
            raise ValueError(f"{name}: is not the file that {_INDEX} lists (its SHA-256 differs)")
