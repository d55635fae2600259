"""Keys and values of attention as they are kept between tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.numerics.groups import Group
from archgym.cost_models.numerics.registry import parse

F32 = NDArray[np.float32]
_FP16 = 16


@dataclass(frozen=True)
class KvCache:
    """Formats of a cache of keys and values, `(heads, tokens, d)` each.

    By `token` every head of a token has scales of its own. By `channel`, keys share a scale along
    tokens, since some of their channels are large in every token: Liu et al., KIVI,
    arXiv:2402.02750, section 3; values stay by token. The last tokens, `residual` of them and those
    that fill no group of keys, are kept in float16. In a sequence that is rounded at once, tokens
    see the rounded keys of their own group, where a cache that grows still has them in float16.

    Attributes:
        format: Name of a format, such as `int4-asym`.
        keys: `token` or `channel`.
        group: Values that share a scale: None for a whole head by token, 32 with keys by channel,
            and for the blocks of a format that has them.
        residual: Last tokens in float16.
    """

    format: str
    keys: str = "token"
    group: int | None = None
    residual: int = 0

    def __post_init__(self) -> None:
        fmt = parse(self.format)
        if self.keys not in ("token", "channel"):
            raise ValueError(f"keys: {self.keys!r} is none of token, channel.")
        if self.residual < 0:
            raise ValueError(f"residual: {self.residual!r} is negative.")
        if fmt.block is not None and self.group not in (None, fmt.block):
            raise ValueError(
                f"group: {self.group!r} with {self.format}, which has blocks of {fmt.block}."
            )

    @property
    def _length(self) -> int | None:
        """Group size along tokens or a head; None for a whole head."""
        block = parse(self.format).block
        return self.group or block or (32 if self.keys == "channel" else None)

    def rounded_tokens(self, tokens: int) -> int:
        """How many of the first tokens are in the format."""
        full = max(0, tokens - self.residual)
        return full - full % (self._length or 1) if self.keys == "channel" else full

    def quantize_keys(self, keys: ArrayLike) -> F32:
        """Keys after a round trip, `(heads, tokens, d)`.

        Raises:
            ValueError: If the shape is another, a value is not finite, or a group does not fit.
        """
        x = _heads(keys, "keys")
        if self.keys == "token":
            return self._by_token(x)
        first = self.rounded_tokens(x.shape[1])
        out = _half(x)
        if first:
            turned = np.ascontiguousarray(x[:, :first].transpose(0, 2, 1))
            rounded = self._rows(turned.reshape(-1, first)).reshape(turned.shape)
            out[:, :first] = rounded.transpose(0, 2, 1)
        return out

    def quantize_values(self, values: ArrayLike) -> F32:
        """Values after a round trip, `(heads, tokens, d)`; raises as `quantize_keys`."""
        return self._by_token(_heads(values, "values"))

    def bits(self, heads: int, tokens: int, d: int) -> int:
        """Bits of keys and values of so many tokens, scales and float16 tokens included."""
        fmt, first = parse(self.format), self.rounded_tokens(tokens)
        total = 2 * heads * (tokens - first) * d * _FP16
        if not first:
            return total
        group = self._group
        values = fmt.bits(heads * first, d, group)
        keys = fmt.bits(heads * d, first, group) if self.keys == "channel" else values
        return total + keys + values

    @property
    def _group(self) -> Group:
        return None if parse(self.format).block else (self._length or "token")

    def _rows(self, rows: F32) -> F32:
        return parse(self.format).quantize(rows, self._group)

    def _by_token(self, x: F32) -> F32:
        first = self.rounded_tokens(x.shape[1])
        out = _half(x)
        if first:
            part = np.ascontiguousarray(x[:, :first])
            out[:, :first] = self._rows(part.reshape(-1, x.shape[2])).reshape(part.shape)
        return out


def _heads(x: ArrayLike, name: str) -> F32:
    array = np.asarray(x, np.float32)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"{name}: shape {array.shape} is not (heads, tokens, d).")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a value is not a finite float32.")
    return array


def _half(x: F32) -> F32:
    return parse("fp16").quantize(x.reshape(-1, x.shape[2])).reshape(x.shape)
