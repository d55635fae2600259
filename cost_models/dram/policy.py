"""The parameters of a controller design, as users write them and as the kernels read them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.dram import cells as c

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class PolicyField:
    """One parameter of a controller.

    Attributes:
        name: Its name.
        names: Values by code, or None where the value is a count.
        default: Value of `policy_row` where none is given.
        least: Smallest count (0 for names).
        most: Largest count.
        meaning: What it does, in one line.
    """

    name: str
    names: tuple[str, ...] | None
    default: str | int
    least: int
    most: int
    meaning: str

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest code or count."""
        return (0, len(self.names) - 1) if self.names else (self.least, self.most)


def _named(name: str, names: tuple[str, ...], default: str, meaning: str) -> PolicyField:
    return PolicyField(name, names, default, 0, 0, meaning)


_PAGES: Final = ("Open", "OpenAdaptive", "Closed", "ClosedAdaptive")
_SCHEDULERS: Final = ("Fifo", "FrFcfsGrp", "FrFcfs")

_DRAMSYS: Final = (
    _named(
        "PagePolicy",
        _PAGES,
        "Open",
        "when an access closes its row",
    ),
    _named("Scheduler", _SCHEDULERS, "FrFcfs", "which request a bank takes"),
    _named(
        "SchedulerBuffer",
        ("Bankwise", "ReadWrite", "Shared"),
        "Shared",
        "what RequestBufferSize counts",
    ),
    PolicyField("RequestBufferSize", None, 32, 1, 4096, "requests that one buffer holds"),
    _named("RespQueue", ("Fifo", "Reorder"), "Fifo", "order of the controller's responses"),
    _named("RefreshPolicy", ("NoRefresh", "AllBank"), "AllBank", "how rows are refreshed"),
    PolicyField("RefreshMaxPostponed", None, 1, 0, 8192, "refreshes that may be owed"),
    PolicyField("RefreshMaxPulledin", None, 1, 0, 8192, "refreshes that may be ahead"),
    _named("Arbiter", ("Simple", "Fifo", "Reorder"), "Simple", "what stands before it"),
    PolicyField(
        "MaxActiveTransactions", None, 128, 1, 1 << 20, "requests in flight; not of Simple"
    ),
)

_REFRESHES: Final = ("NoRefresh", "AllBank", "PerBank", "SameBank")
_DRAINS: Final = ("Mixed", "Watermark")
_STATES: Final = ("NoPowerDown", "PowerDown", "SelfRefresh")

# The fields of `dramsys`, some with further values, then more fields.
_MODERN: Final = (
    replace(_DRAMSYS[0], names=(*_PAGES, "Timeout")),
    replace(_DRAMSYS[1], names=(*_SCHEDULERS, "BatchBySource")),
    *_DRAMSYS[2:5],
    replace(_DRAMSYS[5], names=_REFRESHES),
    replace(_DRAMSYS[6], most=8),  # as the standards allow
    replace(_DRAMSYS[7], most=8),
    *_DRAMSYS[8:],
    PolicyField("RowHitCap", None, 0, 0, 4096, "hits that may overtake an older request; 0: any"),
    _named("WriteDrain", _DRAINS, "Mixed", "whether reads go first, writes by watermark"),
    PolicyField("WriteLowWatermark", None, 20, 0, 99, "percent: drained down to"),
    PolicyField("WriteHighWatermark", None, 80, 1, 100, "percent: drained from"),
    PolicyField("RowTimeout", None, 64, 1, 1 << 20, "cycles; of PagePolicy Timeout"),
    _named("PowerDownPolicy", _STATES, "NoPowerDown", "how far an idle rank is switched off"),
    PolicyField("PowerDownIdle", None, 64, 1, 1 << 20, "cycles before an idle rank powers down"),
    PolicyField(
        "SelfRefreshIdle",
        None,
        65536,
        1,
        1 << 30,
        "cycles before it may refresh itself",
    ),
    PolicyField(
        "BatchCap", None, 5, 1, 4096, "requests per source and bank in a batch; of BatchBySource"
    ),
)

CONTROLLERS: Final[dict[str, tuple[PolicyField, ...]]] = {
    "dramsys": _DRAMSYS,
    "modern": _MODERN,
    "ramulator": (
        _named("Scheduler", ("FrFcfs", "FrFcfsRowHit"), "FrFcfs", "which ready command goes first"),
        PolicyField("ReadBufferSize", None, 32, 1, 4096, "reads that wait"),
        PolicyField("WriteBufferSize", None, 32, 1, 4096, "writes that wait"),
        PolicyField("WriteLowWatermark", None, 20, 1, 100, "percent: writes stop below"),
        PolicyField("WriteHighWatermark", None, 80, 0, 100, "percent: writes start above"),
        _named("RefreshPolicy", ("NoRefresh", "AllBank"), "AllBank", "how rows are refreshed"),
        PolicyField(
            "RowAccessCap", None, 0, 0, 4096, "accesses after which a row is closed; 0: any number"
        ),
    ),
}
"""Parameters of each controller, in the order of its policy rows."""


def controller_fields(controller: str) -> tuple[PolicyField, ...]:
    """Parameters of a controller; ValueError for an unknown name."""
    if controller not in CONTROLLERS:
        raise ValueError(
            f"controller {controller!r} is unknown, allowed are {', '.join(CONTROLLERS)}"
            f"{_closest(controller, CONTROLLERS)}"
        )
    return CONTROLLERS[controller]


def policy_row(controller: str = "dramsys", /, **values: str | int) -> IntArray:
    """Encode one design: names or counts for the fields given, defaults for the rest.

    Returns:
        int64 array `(fields,)`, a row for `DramSimulator.run`.

    Raises:
        ValueError: If a field or value is unknown or out of range.
    """
    fields = controller_fields(controller)
    _require_known(values, fields)
    row = np.zeros(len(fields), np.int64)
    for index, field in enumerate(fields):
        value = values.get(field.name, field.default)
        if field.names is None:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ValueError(f"policy field {field.name} is {value!r}, must be an integer")
            row[index] = value
        elif value in field.names:
            row[index] = field.names.index(str(value))
        else:
            raise ValueError(
                f"policy field {field.name} is {value!r}, allowed are {', '.join(field.names)}"
                f"{_closest(str(value), field.names)}"
            )
    checked: IntArray = _checked(row[np.newaxis], controller)[0]
    return checked


def as_policies(
    policies: ArrayLike | Mapping[str, ArrayLike], controller: str = "dramsys"
) -> IntArray:
    """Bring a batch of designs to a checked int64 array `(n, fields)`.

    Args:
        policies: An integer array `(n, fields)` in the order of `CONTROLLERS[controller]`, or one
            integer array `(n,)` (or one integer) per field, codes where the field has names.
        controller: Name of the controller.

    Raises:
        ValueError: If a field is missing or unknown, a shape is wrong or a value is not allowed.
    """
    fields = controller_fields(controller)
    if isinstance(policies, Mapping):
        _require_known(policies, fields)
        for field in fields:
            if field.name not in policies:
                raise ValueError(f"policy field {field.name} is missing")
        columns = np.broadcast_arrays(*(np.atleast_1d(policies[f.name]) for f in fields))
        return _checked(np.stack(columns, axis=1), controller)
    return _checked(np.asarray(policies), controller)


def _checked(rows: NDArray[np.generic], controller: str) -> IntArray:
    """Return policy rows as int64 after checking their shape and every value."""
    fields = controller_fields(controller)
    if rows.ndim != 2 or rows.shape[1] != len(fields):
        raise ValueError(f"policies have shape {rows.shape}, must be (n, {len(fields)})")
    if rows.dtype.kind not in "iu":
        raise ValueError(f"policies have type {rows.dtype}, must be integers")
    table = np.ascontiguousarray(rows, dtype=np.int64)
    for index, field in enumerate(fields):
        least, most = field.limits
        bad = np.flatnonzero((table[:, index] < least) | (table[:, index] > most))
        if bad.size:
            raise ValueError(
                f"policy field {field.name} of design {int(bad[0])} is "
                f"{int(table[bad[0], index])}, must be between {least} and {most}"
            )
    if controller == "modern":
        _require_drain_fits(table)
        _require_sleep_fits(table)
    return table


def _require_drain_fits(rows: IntArray) -> None:
    """Refuse write drain without a buffer of writes, or between watermarks out of order."""
    drains = rows[:, c.P_WRITE_DRAIN] == c.DRAIN_WATERMARK
    bad = np.flatnonzero(drains & (rows[:, c.P_BUFFER] != c.BUFFER_READ_WRITE))
    if bad.size:
        raise ValueError(
            f"policy field WriteDrain of design {int(bad[0])} is Watermark, needs SchedulerBuffer "
            f"ReadWrite"
        )
    low, high = rows[:, c.P_WRITE_LOW], rows[:, c.P_WRITE_HIGH]
    bad = np.flatnonzero(drains & (low >= high))
    if bad.size:
        raise ValueError(
            f"policy field WriteLowWatermark of design {int(bad[0])} is {int(low[bad[0]])}, must "
            f"be below WriteHighWatermark = {int(high[bad[0]])}"
        )


def _require_sleep_fits(rows: IntArray) -> None:
    """Refuse self-refresh without refresh, or before power-down."""
    sleeps = rows[:, c.P_POWER_DOWN] == c.POWER_DOWN_SELF_REFRESH
    bad = np.flatnonzero(sleeps & (rows[:, c.P_REFRESH] == c.REFRESH_NONE))
    if bad.size:
        raise ValueError(
            f"policy field PowerDownPolicy of design {int(bad[0])} is SelfRefresh, needs a "
            f"RefreshPolicy other than NoRefresh"
        )
    first, second = rows[:, c.P_POWER_DOWN_IDLE], rows[:, c.P_SELF_REFRESH_IDLE]
    bad = np.flatnonzero(sleeps & (second <= first))
    if bad.size:
        raise ValueError(
            f"policy field SelfRefreshIdle of design {int(bad[0])} is {int(second[bad[0]])}, must "
            f"be above PowerDownIdle = {int(first[bad[0]])}"
        )


def _require_known(names: Iterable[str], fields: tuple[PolicyField, ...]) -> None:
    allowed = [field.name for field in fields]
    for name in names:
        if name not in allowed:
            raise ValueError(
                f"policy field {name!r} is unknown, allowed are {', '.join(allowed)}"
                f"{_closest(name, allowed)}"
            )


def _closest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
