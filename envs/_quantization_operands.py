"""The operands that rows of a space choose for every product, and how many bits these take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archgym.cost_models import numerics
from archgym.cost_models.numerics import Group, KvCache
from archgym.envs._quantization_choices import Reader
from archgym.envs._quantization_products import Product
from archgym.envs._quantization_space import (
    ACTIVATIONS,
    ATTENTIONS,
    CACHES,
    WEIGHTS,
    ActivationFormat,
    group_of,
)
from archgym.metric import FloatArray
from archgym.space import IntArray, Value

STORED = tuple(dict.fromkeys((*WEIGHTS, *CACHES)))
"""Formats of weights, keys and values."""
INPUTS = tuple(
    dict.fromkeys(ActivationFormat.parse(name).format for name in (*ACTIVATIONS, *ATTENTIONS))
)
"""Formats of what meets them."""

_KEYS_BY = ("token", "channel")
_HALF_BITS = 16


class Operands:
    """Reads the operands of products from rows, as numbers of options.

    An option of what is stored is a format with a group, or of the cache with what shares a scale
    of keys; all options of all products stand one after another.

    Args:
        products: of a stage; those of other stages are about the same layers in the same order.
        reader: of the rows.

    Attributes:
        stored: number in `STORED` of the format of each option.
        inputs: number in `INPUTS` of the format of each option of the other operand.
    """

    def __init__(self, products: Sequence[Product], reader: Reader) -> None:
        self._reader = reader
        stored: list[int] = []
        inputs: list[int] = []
        columns = []
        for of in (product.of for product in products):
            formats, groups = self._formats(of), self._groups(of)
            given = self._given(of)
            columns.append(
                (
                    self._column(of, "Weight", "KvCache"),
                    self._column(of, "Group", "KeysBy"),
                    self._column(of, "Activation", "Attention"),
                    len(groups),
                    len(stored),
                    len(inputs),
                )
            )
            stored += [STORED.index(name) for name in formats for _ in groups]
            inputs += [INPUTS.index(ActivationFormat.parse(name).format) for name in given]
        self.stored, self.inputs = np.array(stored), np.array(inputs)
        self._columns = np.array(columns).T

    def read(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Numbers of both options of each product, `(n, l)` each, of rows `(n, d)`."""
        format_, group, given, groups, stored_from, inputs_from = self._columns
        # A last column of zeros stands for parameters that the space does not have.
        wide = np.zeros((len(rows), rows.shape[1] + 1), np.int64)
        wide[:, :-1] = rows
        stored = wide.take(format_, axis=1)
        stored *= groups
        stored += wide.take(group, axis=1)
        stored += stored_from
        inputs = wide.take(given, axis=1)
        inputs += inputs_from
        return stored, inputs

    def stored_bits(self, products: Sequence[Product]) -> FloatArray:
        """Bits of a stored value of each option, for the products of a stage."""
        bits: list[float] = []
        for product in products:
            rows, columns = int(product.rows), int(product.columns)
            for name in self._formats(product.of):
                for group in self._groups(product.of):
                    if product.of:
                        bits.append(_weight_bits(name, group, rows, columns))
                    else:
                        tokens = rows * columns // product.head
                        bits.append(_cache_bits(name, str(group), tokens, product.head))
        return np.array(bits)

    def input_bits(self, products: Sequence[Product]) -> FloatArray:
        """Bits of an input of each option, for the products of a stage."""
        return np.array([_input_bits(p, name) for p in products for name in self._given(p.of)])

    def _column(self, of: str, field: str, otherwise: str) -> int:
        """Column of a parameter of a layer, or of attention; the one after the last for none."""
        names = self._reader.space.names
        if of:
            at = self._reader.position(of, field)
            return len(names) if at is None else at
        return names.index(otherwise) if otherwise in names else len(names)

    def _values(self, of: str, field: str) -> tuple[Value, ...]:
        at = self._reader.position(of, field)
        return () if at is None else self._reader.space.parameters[at].values

    def _formats(self, of: str) -> tuple[str, ...]:
        return tuple(str(value) for value in self._values(of, "Weight")) if of else CACHES

    def _groups(self, of: str) -> Sequence[Group]:
        if not of:
            return _KEYS_BY
        return [group_of(str(value)) for value in self._values(of, "Group")] or [32]

    def _given(self, of: str) -> tuple[str, ...]:
        """Formats of the other operand."""
        if not of:
            return ATTENTIONS
        return tuple(str(value) for value in self._values(of, "Activation")) or ACTIVATIONS[:1]


def _weight_bits(name: str, group: Group, rows: int, columns: int) -> float:
    """Mean bits of a weight."""
    fmt = numerics.parse(name)
    fixed = fmt.block is not None or name == "fp16"
    return fmt.bits_per_value(rows, columns, None if fixed else group)


def _cache_bits(cache: str, keys_by: str, tokens: int, width: int) -> float:
    """Mean bits of a key or value of a head."""
    if cache == "fp16":
        return _HALF_BITS
    return KvCache(cache, keys_by).bits(1, tokens, width) / (2 * tokens * width)


def _input_bits(product: Product, name: str) -> float:
    """Mean bits of an input; a row of another model's may be padded."""
    tokens, columns = max(int(product.tokens), 1), int(product.columns)
    chosen = ActivationFormat.parse(name)
    size = chosen.group if isinstance(chosen.group, int) else 2
    wide = -(-columns // size) * size
    return numerics.parse(chosen.format).bits(tokens, wide, chosen.group) / (tokens * columns)
