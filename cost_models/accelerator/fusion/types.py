"""Attention to compute, arrays that compute it, where tensors are kept, and results."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

# An array of any library of the array API standard.
Array = Any

BINDINGS = ("unfused", "apart", "stalled", "interleaved")
PASSES = (1, 2, 3)


@dataclass(frozen=True)
class AttentionSizes:
    """Attentions, one entry each `(w,)`, all whole numbers.

    Attributes:
        batch: Sequences B.
        heads: Heads H, with keys of their own.
        queries: Per sequence, P.
        keys: Per sequence, M.
        key_size: Of a query and a key, E.
        value_size: Of a value, F.
    """

    batch: Array
    heads: Array
    queries: Array
    keys: Array
    key_size: Array
    value_size: Array


@dataclass(frozen=True)
class FusionDesigns:
    """Arrays, one entry per design `(d,)`.

    Attributes:
        array: Side D of the square array of multiply-accumulators.
        lanes: Of the vector array.
        buffer_bytes: Shared by both.
        dram_bytes_per_s: Bandwidth.
        clock_hz: Of both arrays.
        word_bytes: Of every tensor.
        exp_cycles: That a subtraction with its exponential takes a lane or processing element.
        passes: Over a row of scores that the softmax makes, of `PASSES`.
        binding: Number of a name of `BINDINGS`.
        score_tiles: D x D tiles that wait in the buffer, per block of queries, between both arrays.
    """

    array: Array
    lanes: Array
    buffer_bytes: Array
    dram_bytes_per_s: Array
    clock_hz: Array
    word_bytes: Array
    exp_cycles: Array
    passes: Array
    binding: Array
    score_tiles: Array


@dataclass(frozen=True)
class RowMapping:
    """How rows of scores are kept, for cascades of 2 and 3 passes; entries broadcast to `(d, w)`.

    Attributes:
        rows: Queries whose scores are on the chip at once.
        keep_queries: 1 if these queries are kept in the buffer, 0 if streamed past it.
        keep_keys: Likewise for all keys of a head.
        keep_scores: Likewise for the scores of `rows` queries; what does not fit is spilled.
        keep_values: Likewise for all values of a head.
        keep_outputs: Likewise for the outputs of `rows` queries.
        weights_stay: 1 if keys and values stay in the array, 0 if outputs do.
    """

    rows: Array
    keep_queries: Array
    keep_keys: Array
    keep_scores: Array
    keep_values: Array
    keep_outputs: Array
    weights_stay: Array


@dataclass(frozen=True)
class Fusion:
    """Costs of designs and attentions `(d, w)`.

    Attributes:
        latency_s: Of all sequences and heads.
        memory_s: Of it, what DRAM needs.
        array_s: That the array of multiply-accumulators is at work.
        lanes_s: That the vector array is at work.
        dram_bytes: Moved.
        array_use: Share of the array at work over the latency.
        lanes_use: Share of the vector array.
        kv_passes: Times that keys and values are read; for cascades of one pass, else 1.
        spilled: Share of scores that do not fit; of cascades of one pass 0.
        overflow_bytes: By which the least that must be in the buffer exceeds it; 0 if it fits.
    """

    latency_s: Array
    memory_s: Array
    array_s: Array
    lanes_s: Array
    dram_bytes: Array
    array_use: Array
    lanes_use: Array
    kv_passes: Array
    spilled: Array
    overflow_bytes: Array


def binding_number(name: str) -> int:
    """Number of a binding.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in BINDINGS:
        near = difflib.get_close_matches(name, BINDINGS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"binding: unknown name {name!r}{hint} Allowed: {', '.join(BINDINGS)}.")
    return BINDINGS.index(name)


def designs_of(**values: float | Array) -> FusionDesigns:
    """Designs from numbers and NumPy arrays, those of one entry repeated.

    Raises:
        ValueError: If a field is missing, unknown, or has a value that is not allowed.
    """
    names = [field.name for field in fields(FusionDesigns)]
    for name in [*values, *names]:
        if name not in names or name not in values:
            what = "is missing" if name in names else f"is unknown. Allowed: {', '.join(names)}."
            raise ValueError(f"designs: field {name!r} {what}")
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.float64(values[name])) for name in names))
    found = dict(zip(names, arrays, strict=True))
    for name in names:
        if name == "binding":
            _one_of(name, found[name], range(len(BINDINGS)))
        elif name == "passes":
            _one_of(name, found[name], PASSES)
        elif name == "score_tiles":
            _at_least(name, found[name], 0.0)
        else:
            _at_least(name, found[name], np.nextafter(0.0, 1.0))
    whole = ("array", "lanes", "score_tiles")
    for name in whole:
        _whole(name, found[name])
    if np.any((found["binding"] == 0) & (found["passes"] != 3)):
        raise ValueError("passes: of binding 'unfused' must be 3, scores pass DRAM whole")
    return FusionDesigns(**found)


def sizes_of(**values: float | Array) -> AttentionSizes:
    """Attentions from numbers and NumPy arrays, those of one entry repeated.

    Raises:
        ValueError: If a field is missing or unknown, or a size is not a whole number of at least 1.
    """
    names = [field.name for field in fields(AttentionSizes)]
    for name in [*values, *names]:
        if name not in names or name not in values:
            what = "is missing" if name in names else f"is unknown. Allowed: {', '.join(names)}."
            raise ValueError(f"attention: field {name!r} {what}")
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.float64(values[name])) for name in names))
    for name, array in zip(names, arrays, strict=True):
        _at_least(name, array, 1.0)
        _whole(name, array)
    return AttentionSizes(*arrays)


def _at_least(name: str, array: Array, least: float) -> None:
    wrong = ~(np.isfinite(array) & (array >= least))
    if wrong.any():
        said = "must be above 0" if 0 < least < 1 else f"must be at least {least:g}"
        raise ValueError(f"{name}: {array[wrong][0]:g} is not allowed, {said} and finite")


def _whole(name: str, array: Array) -> None:
    wrong = array != np.floor(array)
    if wrong.any():
        raise ValueError(f"{name}: {array[wrong][0]:g} is not a whole number")


def _one_of(name: str, array: Array, allowed: range | tuple[int, ...]) -> None:
    wrong = ~np.isin(array, list(allowed))
    if wrong.any():
        among = ", ".join(str(each) for each in allowed)
        raise ValueError(f"{name}: {array[wrong][0]:g} is not allowed. Allowed: {among}.")
