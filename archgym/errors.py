"""Error messages in one line: the field, the value, what is allowed, and the closest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BudgetExhausted(Exception):
    """Raised by an `Evaluator` that was asked for a new design after its budget was spent."""


def unknown(field: str, name: object, allowed: Iterable[str]) -> ValueError:
    """Builds the error for a name that is not among the allowed ones.

    Args:
        field: what the name stands for, as the user knows it ("agent", "workload").
        name: the value that was given.
        allowed: every valid name.

    Returns:
        A `ValueError` whose single line names the field, the value, the closest valid name if one
        is near, and all valid names.
    """
    options = sorted(allowed)
    near = difflib.get_close_matches(str(name), options, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    listed = ", ".join(options) if options else "none"
    return ValueError(f"{field}: unknown name {name!r}{hint} Allowed: {listed}.")
