"""Running the checks of a cost model against reference figures, by name."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archgym.errors import unknown

VARIABLE = "ARCHGYM_REFERENCE"
_PACKAGE = "archgym.cost_models"


def _validations() -> dict[str, str]:
    """Returns the validation modules by cost model name."""
    package = importlib.import_module(_PACKAGE)
    modules = {
        info.name: f"{_PACKAGE}.{info.name}.validation"
        for info in pkgutil.iter_modules(package.__path__)
        if info.ispkg
    }
    return {name: path for name, path in modules.items() if importlib.util.find_spec(path)}


def reference_folder(given: Path | None) -> Path:
    """Returns the folder with reference figures.

    Args:
        given: by the user; None takes `$ARCHGYM_REFERENCE`, else `reference` in this folder.

    Raises:
        ValueError: if there is no such folder.
    """
    if given is not None:
        folder, source = given, "--reference"
    elif os.environ.get(VARIABLE):
        folder, source = Path(os.environ[VARIABLE]), VARIABLE
    elif Path("reference").is_dir():
        return Path("reference")
    else:
        raise ValueError(
            f"reference: no folder with reference figures is given, use --reference DIR or set "
            f"{VARIABLE}"
        )
    if not folder.is_dir():
        raise ValueError(f"{source}: {folder} is not a folder")
    return folder


def _plain(value: Any) -> Any:
    """Turns NumPy scalars into Python's, and what JSON has no number for into None."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_checks(name: str, reference: Path | None = None) -> list[dict[str, Any]]:
    """Compares a cost model with reference figures.

    Args:
        name: of the cost model's family, such as `dram`.
        reference: folder with the figures; see `reference_folder`.

    Returns:
        One mapping per check: check, subject, metric, n, exact, median_error, p95_error, max_error,
        spearman, target, passed.

    Raises:
        ValueError: for an unknown name, or a folder without figures.
    """
    modules = _validations()
    if name not in modules:
        raise unknown("validate", name, modules)
    validate: Callable[[Path], list[Any]] = importlib.import_module(modules[name]).validate
    return [
        {key: _plain(value) for key, value in check.to_dict().items()}
        for check in validate(reference_folder(reference))
    ]
