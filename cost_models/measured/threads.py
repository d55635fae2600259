"""One thread for the matrix products, so that results do not depend on how many there are."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any, cast


@cache
def _controller() -> Any:
    import numpy  # noqa: F401  its library has to be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """A context in which NumPy's products use one thread."""
    return cast(AbstractContextManager[Any], _controller().limit(limits=1, user_api="blas"))
