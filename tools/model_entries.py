"""The catalogue of `archgym.cost_models.measured`, as the training scripts write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_entry(folder: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Put what a script found about a network into `models.yaml`, which others keep theirs in."""
    path = folder / "models.yaml"
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries = {**(entries or {}), name: dict(entry)}
    ordered = dict(sorted(entries.items(), key=lambda item: ("kjv" not in item[0], item[0])))
    path.write_text(yaml.safe_dump(ordered, sort_keys=False, width=100), encoding="utf-8")
