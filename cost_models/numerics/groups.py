"""Which values share a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.kernels import largest_magnitudes

F32 = NDArray[np.float32]
Group = str | int | None
GROUP_NAMES = ("tensor", "channel", "token")
_INFINITY_BITS = 0x7F800000


def as_matrix(x: ArrayLike, name: str = "x") -> F32:
    """`x` as contiguous float32 `(rows, n)`; wider floats are rounded to it.

    Raises:
        ValueError: If it has other dimensions, no values, or values that are not finite.
    """
    given = np.asarray(x)
    if given.ndim != 2 or 0 in given.shape:
        raise ValueError(
            f"{name}: shape {given.shape} is not (rows, n) with at least one value each."
        )
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(given, np.float32)
    if largest_magnitudes(matrix.reshape(1, -1).view(np.int32))[0] >= _INFINITY_BITS:
        row, column = (int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        value = given[row, column]
        raise ValueError(f"{name}: {value} in row {row}, column {column} is not a finite float32.")
    return matrix


def group_length(rows: int, n: int, group: Group, block: int | None, name: str) -> int:
    """How many values share a scale, `rows * n` for a whole tensor.

    Args:
        rows: Rows of the tensor.
        n: Values of a row.
        group: `tensor`, `channel` or `token` (a row), a number of values along a row; None for the
            blocks of a format that has them, else `channel`.
        block: The blocks that a format has, which may end beyond the row; None without.
        name: Of the format, for messages.

    Raises:
        ValueError: If the group is unknown or does not divide the row, or is not the format's.
    """
    if block is not None:
        if group is not None and group != block:
            raise ValueError(
                f"group: {group!r} with {name}, which has blocks of {block}; leave it out."
            )
        return block
    if group is None or group in ("channel", "token"):
        return n
    if group == "tensor":
        return rows * n
    if isinstance(group, bool) or not isinstance(group, int | np.integer) or group < 1:
        raise ValueError(
            f"group: {group!r} is none of {', '.join(GROUP_NAMES)} and no number of values."
        )
    if n % group:
        raise ValueError(f"group: {group} does not divide the {n} values of a row.")
    return int(group)


def split(matrix: F32, length: int, pad: bool) -> F32:
    """The matrix as `(groups, length)`; with `pad` each row ends in zeros to fill its blocks."""
    if pad and matrix.shape[1] % length:
        matrix = np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % length)))
    return matrix.reshape(-1, length)


def join(groups: F32, rows: int, n: int) -> F32:
    """Inverse of `split`: `(rows, n)` without the padding."""
    return np.ascontiguousarray(groups.reshape(rows, -1)[:, :n])


def group_count(rows: int, n: int, length: int, pad: bool) -> int:
    """Number of groups; with `pad` the last of each row counts as a whole one."""
    return rows * -(-n // length) if pad else rows * n // length
