"""The ways in which kernel functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., object])

# A function compiled so borrows its arrays: it neither makes nor returns one. Numba would count
# references to every array passed, with atomic operations, more than half of a kernel's time.
_BORROWING: dict[str, Any] = {"nogil": True, "_nrt": False}


def forget_stale_kernels(folder: Path) -> None:
    """Remove cached kernels that are older than a source file of the folder.

    Numba notices a change of the file of a function, but not of the files of those it calls; a
    working copy that is updated would go on with the old ones.
    """
    newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for path in (folder / "__pycache__").glob("*.nb[ci]"):
        try:
            if path.stat().st_mtime < newest:
                path.unlink()
        except (FileNotFoundError, PermissionError):
            continue  # another process was first, or the installation is read-only


def compiled(function: _Function) -> _Function:
    """Compile with Numba: no object mode, no GIL, strict floating point, cached on disk."""
    return cast(_Function, numba.njit(cache=True, nogil=True)(function))


def allocating(function: _Function) -> _Function:
    """Compile into every caller: for what makes arrays, before the loop of a kernel."""
    return cast(_Function, numba.njit(nogil=True, forceinline=True)(function))


def inlined(function: _Function) -> _Function:
    """Compile into every caller, so that a step of a kernel costs no call."""
    return cast(_Function, numba.njit(forceinline=True, **_BORROWING)(function))


def apart(function: _Function) -> _Function:
    """Compile on its own: for what a kernel seldom does, so that its common steps stay compact."""
    return cast(_Function, numba.njit(**_BORROWING)(function))
