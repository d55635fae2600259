"""YAML as experiments use it: plain data only, YAML 1.2 scalars, repeated keys refused.

PyYAML reads YAML 1.1, in which `no` is a boolean, `1e-3` a text, `1:30` ninety and `2024-01-01` a
date. The loader here knows the scalars of the YAML 1.2 core schema instead, so that a value means
what it looks like.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$"
    r"|^\.(nan|NaN|NAN)$"
)
_SCALARS = (
    ("bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", re.compile(r"^[-+]?[0-9]+$|^0x[0-9a-fA-F]+$"), "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"^<<$"), "<"),
)
_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    yaml_constructors = {  # noqa: RUF012
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if str(tag).removeprefix("tag:yaml.org,2002:")
        not in ("timestamp", "set", "omap", "pairs", "binary")
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == f"{_TAG}merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not a text, put it in quotes", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    # PyYAML would read 010 as octal.
    text = str(loader.construct_scalar(node))
    return int(text, 16) if text.startswith("0x") else int(text)


_Loader.yaml_constructors[f"{_TAG}int"] = _whole_number


class _Dumper(yaml.SafeDumper):
    """Quotes every text that either YAML 1.1 or the loader here would read as something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: list(resolvers)
        for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", _pattern, list(_first))
    _Dumper.add_implicit_resolver(f"{_TAG}{_name}", _pattern, list(_first))


def parse(text: str, source: str, *, trusted: bool = True) -> Any:
    """Reads one YAML document of plain data.

    Args:
        text: the document.
        source: where it came from, for messages.
        trusted: whether it may use a part again by an alias, and nest to any depth, both of which
            make a short text take for ever.

    Raises:
        ValueError: for text that is not valid, with source, line and column in one line.
    """
    try:
        if not trusted:
            _refuse_growth(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        problem = error.problem or error.context or "not valid YAML"
        raise ValueError(f"{where}: {_hint(problem)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{source}: not valid YAML ({' '.join(str(error).split())})") from None


def _refuse_growth(text: str) -> None:
    """Raises ValueError for aliases and deep nesting."""
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("aliases are not allowed")
        name = type(token).__name__
        depth += name.endswith(("SequenceStartToken", "MappingStartToken"))
        depth -= name.endswith(("SequenceEndToken", "MappingEndToken", "BlockEndToken"))
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")


def _hint(problem: str) -> str:
    if "'\\t'" in problem:
        return "a tab character, YAML is indented with spaces"
    if "could not determine a constructor" in problem:
        return f"{problem.split('constructor for ')[-1]} is not allowed, only plain data is"
    return problem.replace("\n", " ")


def read(path: Path) -> Any:
    """Reads a YAML file; raises ValueError for one that cannot be read or is not valid."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a UTF-8 text file ({error.reason})") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None


def dump(data: Any) -> str:
    """Writes plain data so that `parse` reads the same again."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
