"""Running the checks of a cost model against reference figures, by name."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import os
import pkgutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from archgym.errors import unknown

VARIABLE = "ARCHGYM_REFERENCE"
_COST_MODELS = "archgym.cost_models"
_ENVIRONMENTS = "archgym.envs"
_SUFFIX = "_validation"


def _validations() -> dict[str, str]:
    """Returns the validation modules: `validation` of cost models, `_NAME_validation` of envs.

    Environments have their own where what is checked takes more than one cost model.
    """
    package = importlib.import_module(_COST_MODELS)
    modules = {
        info.name: f"{_COST_MODELS}.{info.name}.validation"
        for info in pkgutil.iter_modules(package.__path__)
        if info.ispkg
    }
    found = {name: path for name, path in modules.items() if importlib.util.find_spec(path)}
    environments = importlib.import_module(_ENVIRONMENTS)
    for info in pkgutil.iter_modules(environments.__path__):
        if info.name.endswith(_SUFFIX):
            found[info.name[1:].removesuffix(_SUFFIX)] = f"{_ENVIRONMENTS}.{info.name}"
    return found


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


def _given(reference: Path | None) -> bool:
    """Whether there is a folder with reference figures that anybody spoke of, or the usual one."""
    return reference is not None or VARIABLE in os.environ or Path("reference").is_dir()


def _plain(value: Any) -> Any:
    """Turns NumPy scalars into Python's, and what JSON has no number for into None."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_checks(
    name: str, reference: Path | None = None, quick: bool = False
) -> list[dict[str, Any]]:
    """Compares a cost model with reference figures.

    Args:
        name: of the cost model's family, such as `dram`.
        reference: folder with the figures; see `reference_folder`. Where a validation module says
            `REFERENCE_NEEDED = False`, there may be none.
        quick: whether to do what takes long on less data.

    Returns:
        One mapping per check: check, subject, metric, n, exact, median_error, p95_error, max_error,
        spearman, target, passed. Some validations have rows of other kinds, each with its own keys,
        of which `passed`, where it is there, means the same.

    Raises:
        ValueError: for an unknown name, a folder without figures, or `quick` where all is.
    """
    modules = _validations()
    if name not in modules:
        raise unknown("validate", name, modules)
    module = importlib.import_module(modules[name])
    validate: Callable[..., Iterable[Any]] = module.validate
    options: dict[str, Any] = {}
    if quick:
        if "quick" not in inspect.signature(validate).parameters:
            raise ValueError(f"--quick: there is no quicker way to validate {name}")
        options["quick"] = True
    needed = getattr(module, "REFERENCE_NEEDED", True)
    folder = reference_folder(reference) if needed or _given(reference) else None
    return [
        {key: _plain(value) for key, value in check.to_dict().items()}
        for check in validate(folder, **options)
    ]
