"""Keeps what a C library prints off the standard output."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator

_LOCK = threading.Lock()


@functools.cache
def _stream() -> tuple[ctypes.c_void_p, int] | None:
    """The C library's variable `stdout`, and a stream to nowhere; None where there is no such."""
    try:
        library = ctypes.CDLL(None)
        variable = ctypes.c_void_p.in_dll(library, "stdout")
    except (AttributeError, OSError, TypeError, ValueError):
        return None  # other C libraries than those of Linux have no variable of that name
    library.fopen.restype = ctypes.c_void_p
    nowhere = library.fopen(os.devnull.encode(), b"w")
    return (variable, nowhere) if nowhere else None


@contextlib.contextmanager
def quiet_c_output() -> Iterator[None]:
    """A context in which C code prints to nowhere; Python's output is written as ever.

    HiGHS has messages that no option turns off. Here C's `stdout` is another stream meanwhile, as
    the manual of the GNU C library allows ("Standard Streams"): the file descriptor stays, so that
    other threads lose nothing that Python writes, whoever else redirects or captures it. One thread
    at a time.
    """
    found = _stream()
    if found is None:
        yield
        return
    variable, nowhere = found
    with _LOCK:
        usual, variable.value = variable.value, nowhere
        try:
            yield
        finally:
            variable.value = usual
