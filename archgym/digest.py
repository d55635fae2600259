"""Digests of what a run has written, independent of how the files encode it.

A finished run's manifest holds, under `digest`, one of the trials and one per field of the manifest
itself. They show that a file was changed after the run, not who changed it: whoever rewrites the
trials can rewrite their digest. That trials are true is shown by replay, see `archgym.verify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars

_FIELD_DIGITS = 16


def _content(column: polars.Series) -> bytes:
    """Returns a column's values as bytes that every platform agrees on."""
    import polars

    if isinstance(column.dtype, polars.List | polars.String):
        return json.dumps(column.to_list()).encode()
    values = column.to_numpy()
    if values.dtype == np.bool_:
        return values.astype("u1").tobytes()
    if np.issubdtype(values.dtype, np.integer):
        return values.astype("<i8").tobytes()
    numbers = values.astype("<f8")
    return np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes()


def trials_digest(trials: polars.DataFrame) -> str:
    """Returns the SHA-256 of a table of trials in the form of `archgym.store.trials_frame`.

    Per column in order: its name, and its values as little-endian 64-bit numbers row by row (one
    byte per truth value, JSON for lists of texts), each preceded by its length in bytes.
    """
    total = hashlib.sha256()
    for column in trials.iter_columns():
        for part in (column.name.encode(), _content(column)):
            total.update(len(part).to_bytes(8, "little"))
            total.update(part)
    return total.hexdigest()


def field_digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Returns a short SHA-256 per field of a manifest, `digest` itself apart."""
    return {
        name: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_FIELD_DIGITS]
        for name, value in manifest.items()
        if name != "digest"
    }


def manifest_digest(
    manifest: Mapping[str, Any], trials: polars.DataFrame, screened: polars.DataFrame | None
) -> dict[str, Any]:
    """Returns the field `digest` of a finished run's manifest, of all that it has written."""
    digest = {"trials": trials_digest(trials), "fields": field_digests(manifest)}
    return digest | ({} if screened is None else {"screened": trials_digest(screened)})
