"""Attention, and operators of a vector unit: elementwise, softmax, normalisation, pooling."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from archgym.cost_models.accelerator.operators import (
    ELEMENTWISE_OPERATIONS,
    Gemm,
    Operator,
    Product,
    Shape,
)

# Per element: maximum, difference, exponential, sum, quotient.
SOFTMAX_OPERATIONS = 5
# Per element. Layer, group and instance: two for the mean and its difference, two for the variance,
# quotient, scale, shift. RMS: square, sum, quotient, scale. Batch statistics are constants.
NORMALISATION_OPERATIONS = {"batch": 2, "layer": 7, "group": 7, "rms": 4}


@dataclass(frozen=True, kw_only=True)
class Attention(Operator):
    """Scaled dot-product attention, fused: the scores and their softmax are never written out.

    Multiply-accumulates count every query with every key, also those that a causal mask removes.

    Attributes:
        batch: Sequences.
        heads: Query heads.
        kv_heads: Heads of keys and values, a divisor of `heads` (grouped-query attention).
        queries: Tokens that ask.
        keys: Tokens that are asked, cached ones included.
        head_dim: Features per head of queries and keys.
        value_dim: Features per head of values; 0 for `head_dim`.
        cached: Of the keys, those kept from earlier runs.
    """

    kind = "attention"
    _may_be_zero = frozenset({"cached", "value_dim"})

    batch: int = 1
    heads: int
    kv_heads: int
    queries: int
    keys: int
    head_dim: int
    value_dim: int = 0
    cached: int = 0

    def _check(self) -> None:
        if self.heads % self.kv_heads:
            raise self._refusal("kv_heads", f"a divisor of heads = {self.heads}")
        if self.cached > self.keys:
            raise self._refusal("cached", f"at most keys = {self.keys}")

    @property
    def _values(self) -> int:
        return self.value_dim or self.head_dim

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Queries, and keys and values that are not cached."""
        new = self.keys - self.cached
        queries = (self.batch, self.queries, self.heads * self.head_dim)
        if not new:
            return (queries,)
        keys = (self.batch, new, self.kv_heads * self.head_dim)
        return queries, keys, (self.batch, new, self.kv_heads * self._values)

    @property
    def output_shape(self) -> Shape:
        """(batch, queries, heads x value features)."""
        return self.batch, self.queries, self.heads * self._values

    @property
    def products(self) -> tuple[Product, ...]:
        """Scores, then weighted values; queries of a group of heads share its keys and values."""
        groups = self.batch * self.kv_heads
        rows = self.queries * (self.heads // self.kv_heads)
        return (
            Product(groups, 1, self.keys, self.head_dim, rows, 1, weights=False),
            Product(groups, 1, self._values, self.keys, rows, 1, weights=False),
        )

    @property
    def cache_elements(self) -> int:
        """Keys and values kept from earlier runs."""
        return self.batch * self.cached * self.kv_heads * (self.head_dim + self._values)

    @property
    def score_elements(self) -> int:
        """Elements of the score matrices, which an unfused attention writes and reads again."""
        return self.batch * self.heads * self.queries * self.keys

    @property
    def operations(self) -> int:
        """Those of the softmax."""
        return SOFTMAX_OPERATIONS * self.score_elements

    @property
    def unfused(self) -> tuple[Gemm, Softmax, Gemm]:
        """The same as matrix product, softmax, matrix product."""
        scores, context = (product.gemm for product in self.products)
        return (
            Gemm(
                name=f"{self.name}.scores",
                count=self.count,
                batch=scores[0],
                m=scores[1],
                n=scores[2],
                k=scores[3],
                weights=False,
            ),
            Softmax(
                name=f"{self.name}.softmax",
                count=self.count,
                rows=self.score_elements // self.keys,
                columns=self.keys,
            ),
            Gemm(
                name=f"{self.name}.context",
                count=self.count,
                batch=context[0],
                m=context[1],
                n=context[2],
                k=context[3],
                weights=False,
            ),
        )

    @property
    def size(self) -> str:
        """Its dimensions in words, for a table."""
        heads = f"{self.heads}" + (f"/{self.kv_heads}" if self.kv_heads < self.heads else "")
        return (
            f"{self.batch} x {heads} heads, {self.queries} queries, {self.keys} keys, "
            f"{self.head_dim} features"
        )


@dataclass(frozen=True, kw_only=True)
class Elementwise(Operator):
    """One function of every element of one or more tensors of one shape.

    Attributes:
        shape: Of the output and of every operand.
        function: A name of `ELEMENTWISE_OPERATIONS`.
        operands: Tensors read.
        broadcast: Elements of further operands that are smaller than the shape.
        learned: Parameters that are an operand besides.
    """

    kind = "elementwise"
    _may_be_zero = frozenset({"operands", "broadcast", "learned"})

    shape: Shape
    function: str = "add"
    operands: int = 1
    broadcast: int = 0
    learned: int = 0

    def _check(self) -> None:
        if not self.operands and not self.broadcast:
            raise self._refusal("operands", "at least 1 where nothing is broadcast")
        if self.function not in ELEMENTWISE_OPERATIONS:
            raise self._refusal("function", f"one of {', '.join(sorted(ELEMENTWISE_OPERATIONS))}")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The operands, the smaller one last."""
        return (self.shape,) * self.operands + (((self.broadcast,),) if self.broadcast else ())

    @property
    def output_shape(self) -> Shape:
        """The shape."""
        return self.shape

    @property
    def weight_elements(self) -> int:
        """What is learned."""
        return self.learned

    @property
    def operations(self) -> int:
        """Those of the function, for every element."""
        return ELEMENTWISE_OPERATIONS[self.function] * prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Softmax(Operator):
    """Softmax over the columns of every row."""

    kind = "softmax"

    rows: int
    columns: int

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """(rows, columns)."""
        return ((self.rows, self.columns),)

    @property
    def output_shape(self) -> Shape:
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def operations(self) -> int:
        """Five per element."""
        return SOFTMAX_OPERATIONS * self.rows * self.columns


@dataclass(frozen=True, kw_only=True)
class Normalisation(Operator):
    """Normalisation of a tensor with learned scale and, but for RMS, shift.

    Attributes:
        shape: Of the tensor.
        features: Learned scales.
        form: `batch` (constants at inference, so a convolution before it takes them in), `layer`,
            `group` or `rms`.
        shift: Whether there are as many learned shifts; never with `rms`.
    """

    kind = "normalisation"

    shape: Shape
    features: int
    form: str = "layer"
    shift: bool = True

    def _check(self) -> None:
        if self.form not in NORMALISATION_OPERATIONS:
            raise self._refusal("form", f"one of {', '.join(sorted(NORMALISATION_OPERATIONS))}")
        if prod(self.shape) % self.features:
            raise self._refusal("features", f"a divisor of the {prod(self.shape)} elements")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shape."""
        return (self.shape,)

    @property
    def output_shape(self) -> Shape:
        """The shape."""
        return self.shape

    @property
    def weight_elements(self) -> int:
        """Scales and shifts."""
        return self.features * (2 if self.shift and self.form != "rms" else 1)

    @property
    def operations(self) -> int:
        """Those of the form, for every element."""
        return NORMALISATION_OPERATIONS[self.form] * prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Pool(Operator):
    """Maximum or mean of windows.

    Attributes:
        shape: Of the input, (images, channels, rows, columns).
        to: Rows and columns of the output.
        window: Elements per output element.
    """

    kind = "pool"

    shape: Shape
    to: tuple[int, int]
    window: int

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shape."""
        return (self.shape,)

    @property
    def output_shape(self) -> Shape:
        """Images, channels, and the new rows and columns."""
        return (*self.shape[:2], *self.to)

    @property
    def operations(self) -> int:
        """One per element of a window."""
        return self.window * self.output_elements


@dataclass(frozen=True, kw_only=True)
class Embedding(Operator):
    """Rows of a table, one per token.

    Attributes:
        rows: Looked up.
        entries: Rows of the table.
        width: Features per row.
        shared: Whether the table is another operator's.
    """

    kind = "embedding"

    rows: int
    entries: int
    width: int
    shared: bool = False

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """(rows,), numbers of rows."""
        return ((self.rows,),)

    @property
    def output_shape(self) -> Shape:
        """(rows, width)."""
        return self.rows, self.width

    @property
    def weight_elements(self) -> int:
        """Elements of the rows that are looked up."""
        return min(self.rows, self.entries) * self.width

    @property
    def parameters(self) -> int:
        """The table."""
        return 0 if self.shared else self.entries * self.width


@dataclass(frozen=True, kw_only=True)
class Scan(Operator):
    """The recurrence of a selective state space: state = a * state + b * x, y = c . state + d * x.

    Per token, channel and state seven operations: exponential and product for `a`, product for the
    input, product and sum for the state, product and sum for the output. Per token and channel
    three: the step times the input, and the direct path. The form is that of Gu and Dao, Mamba,
    2023.

    Attributes:
        batch: Sequences.
        tokens: Steps of each.
        channels: Each with a state of its own.
        state: Elements of a channel's state.
    """

    kind = "scan"

    batch: int = 1
    tokens: int
    channels: int
    state: int

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Channels, their time steps, and the input and output vectors shared by all channels."""
        wide = (self.batch, self.tokens, self.channels)
        return wide, wide, (self.batch, self.tokens, 2 * self.state)

    @property
    def output_shape(self) -> Shape:
        """(batch, tokens, channels)."""
        return self.batch, self.tokens, self.channels

    @property
    def weight_elements(self) -> int:
        """Decay of every state, and the direct path of every channel."""
        return self.channels * (self.state + 1)

    @property
    def cache_elements(self) -> int:
        """The state."""
        return self.batch * self.channels * self.state

    @property
    def operations(self) -> int:
        """Seven per token, channel and state, three per token and channel."""
        return self.batch * self.tokens * self.channels * (7 * self.state + 3)


@dataclass(frozen=True, kw_only=True)
class Layout(Operator):
    """What only selects, repeats or reorders elements, such as a slice or a nearest upsampling.

    Attributes:
        takes: Shape of the input.
        gives: Shape of the output.
    """

    kind = "layout"

    takes: Shape
    gives: Shape

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """What it takes."""
        return (self.takes,)

    @property
    def output_shape(self) -> Shape:
        """What it gives."""
        return self.gives
