"""The ways in which kernel functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Compile with Numba: no object mode, no GIL, strict floating point, cached on disk."""
    return cast(_Function, numba.njit(cache=True, nogil=True)(function))


def inlined(function: _Function) -> _Function:
    """Compile into every caller, so that a step of a kernel costs no call."""
    return cast(_Function, numba.njit(nogil=True, forceinline=True)(function))


def apart(function: _Function) -> _Function:
    """Compile on its own: for what a kernel seldom does, so that its common steps stay compact."""
    return cast(_Function, numba.njit(nogil=True)(function))
