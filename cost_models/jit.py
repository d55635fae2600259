"""The ways in which kernel functions are compiled."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event

_Function = TypeVar("_Function", bound=Callable[..., object])

# A function compiled so borrows its arrays: it neither makes nor returns one. Numba would count
# references to every array passed, with atomic operations, more than half of a kernel's time.
_BORROWING: dict[str, Any] = {"nogil": True, "_nrt": False}
# A function that only compiled code calls needs no entry for Python or C, half the work in a small
# one.
_INTERNAL: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def forget_stale_kernels(folder: Path) -> None:
    """Remove cached kernels that are older than a source file of the folder, or than this file.

    Numba notices a change of the file of a function, but not of the files of those it calls; a
    working copy that is updated would go on with the old ones.
    """
    newest = max(path.stat().st_mtime for path in (*folder.glob("*.py"), Path(__file__)))
    for path in (folder / "__pycache__").glob("*.nb[ci]"):
        try:
            if path.stat().st_mtime < newest:
                path.unlink()
        except (FileNotFoundError, PermissionError):
            continue  # another process was first, or the installation is read-only


def compiled(function: _Function) -> _Function:
    """Compile with Numba: no object mode, no GIL, strict floating point, cached on disk."""
    return cast(_Function, numba.njit(cache=True, nogil=True)(function))


def vectorising(function: _Function) -> _Function:
    """As `compiled`, but a division by zero gives inf or nan as in NumPy, not an error.

    The test for it would keep a loop from vector instructions.
    """
    return cast(_Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def reducing(function: _Function) -> _Function:
    """As `inlined`, for a sum over an array: the compiler may add in an order that suits it.

    The order is that of the compiled code, the same in every call.
    """
    return cast(
        _Function,
        numba.njit(forceinline=True, fastmath={"reassoc", "nsz"}, **_BORROWING, **_INTERNAL)(
            function
        ),
    )


def allocating(function: _Function) -> _Function:
    """Compile into every caller: for what makes arrays, before the loop of a kernel."""
    return cast(_Function, numba.njit(nogil=True, forceinline=True, **_INTERNAL)(function))


def inlined(function: _Function) -> _Function:
    """Compile into every caller, so that a step of a kernel costs no call."""
    # Said outright: a function that says nothing inherits what its first caller allows.
    return cast(
        _Function, numba.njit(forceinline=True, fastmath=False, **_BORROWING, **_INTERNAL)(function)
    )


def apart(function: _Function) -> _Function:
    """Compile on its own: for what a kernel seldom does, so that its common steps stay compact."""
    return cast(_Function, numba.njit(**_BORROWING, **_INTERNAL)(function))


def woven(function: _Function) -> _Function:
    """Compile the statements of a function as those of its only caller."""
    return cast(_Function, numba.njit(inline="always")(function))


class _Notice(event.Listener):
    """Says, when a compilation starts, that there is one: it takes long, and comes once."""

    def __init__(self, name: str) -> None:
        self._text = f"compiling {name}, once per installation: this takes some 20 seconds"

    def on_start(self, event: object) -> None:
        if self._text:
            print(self._text, file=sys.stderr, flush=True)
        self._text = ""

    def on_end(self, event: object) -> None:
        pass


@cache
def kernel(function: Callable[..., Any], signature: object, name: str) -> Callable[..., Any]:
    """Compile a function that borrows its arrays, or load it from the cache; says if it compiles.

    What compiled code calls through the pointer made here is compiled once. All else that a
    function calls is compiled anew with it.
    """
    with event.install_listener("numba:run_pass", _Notice(name)):
        pointer = numba.cfunc(signature, cache=True, **_BORROWING)(function)
    return cast(Callable[..., Any], pointer)
