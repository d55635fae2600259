"""The ten parameters of a controller design, as users write them and as the kernel reads them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.dram import cells as c

IntArray = NDArray[np.int64]

POLICY_FIELDS: Final[dict[str, tuple[str, ...] | None]] = {
    "PagePolicy": ("Open", "OpenAdaptive", "Closed", "ClosedAdaptive"),
    "Scheduler": ("Fifo", "FrFcfsGrp", "FrFcfs"),
    "SchedulerBuffer": ("Bankwise", "ReadWrite", "Shared"),
    "RequestBufferSize": None,
    "RespQueue": ("Fifo", "Reorder"),
    "RefreshPolicy": ("NoRefresh", "AllBank"),
    "RefreshMaxPostponed": None,
    "RefreshMaxPulledin": None,
    "Arbiter": ("Simple", "Fifo", "Reorder"),
    "MaxActiveTransactions": None,
}
"""Policy fields in the order of a policy row; names by code, or None where the value is a count."""

DEFAULT_POLICY: Final[dict[str, str | int]] = {
    "PagePolicy": "Open",
    "Scheduler": "FrFcfs",
    "SchedulerBuffer": "Shared",
    "RequestBufferSize": 32,
    "RespQueue": "Fifo",
    "RefreshPolicy": "AllBank",
    "RefreshMaxPostponed": 1,
    "RefreshMaxPulledin": 1,
    "Arbiter": "Simple",
    "MaxActiveTransactions": 128,
}
"""The design that `policy_row` starts from: open page, FR-FCFS, one buffer, refresh."""

_LEAST: Final = {
    "RequestBufferSize": 1,
    "RefreshMaxPostponed": 0,
    "RefreshMaxPulledin": 0,
    "MaxActiveTransactions": 1,
}
_MOST: Final = {
    "RequestBufferSize": 4096,
    "RefreshMaxPostponed": 8192,
    "RefreshMaxPulledin": 8192,
    "MaxActiveTransactions": 1 << 20,
}


def policy_row(**values: str | int) -> IntArray:
    """Encode one design: names or counts for the fields given, `DEFAULT_POLICY` for the rest.

    Returns:
        int64 array `(10,)`, a row for `DramSimulator.run`.

    Raises:
        ValueError: If a field or value is unknown.
    """
    row = np.zeros(c.POLICIES, np.int64)
    for name in values:
        if name not in POLICY_FIELDS:
            raise ValueError(f"policy field {name!r} is unknown{_closest(name, POLICY_FIELDS)}")
    for index, (name, names) in enumerate(POLICY_FIELDS.items()):
        value = values.get(name, DEFAULT_POLICY[name])
        if names is None:
            row[index] = int(value)
        elif value in names:
            row[index] = names.index(str(value))
        else:
            raise ValueError(
                f"policy field {name} is {value!r}, allowed are {', '.join(names)}"
                f"{_closest(str(value), names)}"
            )
    return check_policies(row[np.newaxis])[0]


def as_policies(policies: ArrayLike | Mapping[str, ArrayLike]) -> IntArray:
    """Bring a batch of designs to a checked int64 array `(n, 10)`.

    Args:
        policies: An integer array `(n, 10)` in the order of `POLICY_FIELDS`, or one integer array
            `(n,)` (or one integer) per field.

    Raises:
        ValueError: If a field is missing or unknown, a shape is wrong or a value is not allowed.
    """
    if isinstance(policies, Mapping):
        for name in policies:
            if name not in POLICY_FIELDS:
                raise ValueError(f"policy field {name!r} is unknown{_closest(name, POLICY_FIELDS)}")
        for name in POLICY_FIELDS:
            if name not in policies:
                raise ValueError(f"policy field {name} is missing")
        columns = np.broadcast_arrays(*(np.atleast_1d(policies[name]) for name in POLICY_FIELDS))
        return check_policies(np.stack(columns, axis=1))
    return check_policies(np.asarray(policies))


def check_policies(rows: NDArray[np.generic]) -> IntArray:
    """Return policy rows as int64 after checking their shape and every value."""
    if rows.ndim != 2 or rows.shape[1] != c.POLICIES:
        raise ValueError(f"policies have shape {rows.shape}, must be (n, {c.POLICIES})")
    if rows.dtype.kind not in "iu":
        raise ValueError(f"policies have type {rows.dtype}, must be integers")
    table = np.ascontiguousarray(rows, dtype=np.int64)
    for index, (name, names) in enumerate(POLICY_FIELDS.items()):
        least = 0 if names else _LEAST[name]
        most = len(names) - 1 if names else _MOST[name]
        bad = np.flatnonzero((table[:, index] < least) | (table[:, index] > most))
        if bad.size:
            raise ValueError(
                f"policy field {name} of design {int(bad[0])} is {int(table[bad[0], index])}, "
                f"must be between {least} and {most}"
            )
    return table


def _closest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
