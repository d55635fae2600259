"""Operators of neural networks: their sizes, exact multiply-accumulates and parameters.

An operator knows nothing of number formats, of hardware or of other operators. What its arithmetic
looks like to a cost model is told by `products`: dense products as seven loops (`Product`), of
which a matrix product is the case with one row of filter taps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import ClassVar

Shape = tuple[int, ...]

# Primitive operations per element; an exponential, a root or a division counts as one.
ELEMENTWISE_OPERATIONS = {
    "add": 1,
    "multiply": 1,
    "bias": 1,
    "relu": 1,
    "relu6": 2,
    "exp": 1,
    "sigmoid": 4,
    "silu": 5,
    "tanh": 5,
    "gelu": 9,
    "softplus": 3,
    "hardswish": 5,
    "swiglu": 6,
}


@dataclass(frozen=True)
class Product:
    """Dense products of one kind: out[n,k,p,q] += in[n,c,p*stride+r,q*stride+s] * weight[k,c,r,s].

    A matrix product (M, K) x (K, N) has n=1, p=M, q=1, k=N, c=K, r=s=1.

    Attributes:
        batch: Independent products of this size, each with operands of its own: groups, heads,
            experts.
        n: Images, that is loops in which the weights are reused whole.
        k: Output channels.
        c: Input channels.
        p: Output rows.
        q: Output columns.
        r: Filter rows.
        s: Filter columns.
        stride: Between output points, rows and columns.
        dilation: Between filter taps, rows and columns.
        weights: Whether the second operand is parameters rather than activations.
    """

    batch: int
    n: int
    k: int
    c: int
    p: int
    q: int
    r: int = 1
    s: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    weights: bool = True

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all of them."""
        return self.batch * self.n * self.k * self.c * self.p * self.q * self.r * self.s

    @property
    def gemm(self) -> tuple[int, int, int, int]:
        """The products as matrix products (batch, M, N, K), input patches unrolled (im2col)."""
        return self.batch, self.n * self.p * self.q, self.k, self.c * self.r * self.s

    @property
    def input_extent(self) -> tuple[int, int]:
        """Rows and columns of the padded input that the outputs reach."""
        return (
            (self.p - 1) * self.stride[0] + (self.r - 1) * self.dilation[0] + 1,
            (self.q - 1) * self.stride[1] + (self.s - 1) * self.dilation[1] + 1,
        )


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What all operators have; every number of a subclass is an integer of at least 1.

    Attributes:
        name: Unique in a network.
        count: How often the network runs the operator, with operands of its own each time. All
            other figures are those of one run.
    """

    kind: ClassVar[str] = ""
    _may_be_zero: ClassVar[frozenset[str]] = frozenset()

    name: str
    count: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type in ("bool", "str"):
                continue
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            least = 0 if field.name in self._may_be_zero else 1
            for number in numbers:
                if isinstance(number, bool) or not isinstance(number, int) or number < least:
                    raise self._refusal(field.name, f"an integer of at least {least}")
        self._check()

    def _check(self) -> None:
        """What a subclass requires beyond sizes of at least 1."""

    def _refusal(self, field: str, must: str) -> ValueError:
        value = getattr(self, field)
        return ValueError(f"operator {self.name!r}: {field} is {value!r}, must be {must}")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the activations it reads from other operators."""
        raise NotImplementedError

    @property
    def output_shape(self) -> Shape:
        """Shape of what it makes."""
        raise NotImplementedError

    @property
    def products(self) -> tuple[Product, ...]:
        """Its dense products, in order; none for an operator of a vector unit."""
        return ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of its dense products."""
        return sum(product.macs for product in self.products)

    @property
    def weight_elements(self) -> int:
        """Parameters that one run reads."""
        return 0

    @property
    def parameters(self) -> int:
        """Parameters that it holds and no other operator of the network."""
        return self.weight_elements

    @property
    def cache_elements(self) -> int:
        """Elements that it reads of a state kept from earlier runs, such as keys and values."""
        return 0

    @property
    def operations(self) -> int:
        """Primitive operations beside the multiply-accumulates of the products."""
        return 0

    @property
    def input_elements(self) -> int:
        """Elements of all activations read from other operators."""
        return sum(map(prod, self.input_shapes))

    @property
    def read_elements(self) -> int:
        """Of them, those that it reads at all."""
        return self.input_elements

    @property
    def output_elements(self) -> int:
        """Elements of what it makes."""
        return prod(self.output_shape)

    @property
    def size(self) -> str:
        """Its dimensions in words, for a table."""
        return " x ".join(map(str, self.output_shape))


@dataclass(frozen=True, kw_only=True)
class Gemm(Operator):
    """`batch` matrix products (m, k) x (k, n); with weights a fully connected layer.

    Attributes:
        m: Rows of the input, such as tokens.
        n: Columns of the weights, the output features.
        k: Input features.
        batch: Products with weights of their own, such as the experts at work.
        weights: Whether the second operand is parameters rather than another activation.
        bias: Whether n parameters are added to every row.
        shared: Whether its weights are another operator's, as those of an embedding.
        idle: Sets of weights beside those `batch` that are held but not read, such as the experts
            that no token has chosen.
    """

    kind = "gemm"
    _may_be_zero = frozenset({"idle"})

    m: int
    n: int
    k: int
    batch: int = 1
    weights: bool = True
    bias: bool = False
    shared: bool = False
    idle: int = 0

    def _check(self) -> None:
        if not self.weights and (self.bias or self.shared or self.idle):
            raise ValueError(
                f"operator {self.name!r}: bias, shared and idle need weights, which it has not"
            )

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The rows; without weights the second operand besides."""
        rows = (self.batch, self.m, self.k)
        return (rows,) if self.weights else (rows, (self.batch, self.k, self.n))

    @property
    def output_shape(self) -> Shape:
        """(batch, m, n)."""
        return self.batch, self.m, self.n

    @property
    def products(self) -> tuple[Product, ...]:
        """One kind of product."""
        return (Product(self.batch, n=1, k=self.n, c=self.k, p=self.m, q=1, weights=self.weights),)

    @property
    def _set_of_weights(self) -> int:
        return self.n * (self.k + self.bias) if self.weights else 0

    @property
    def weight_elements(self) -> int:
        """Parameters of the products at work."""
        return self.batch * self._set_of_weights

    @property
    def parameters(self) -> int:
        """Parameters of all products, at work or idle; of shared weights the bias alone."""
        own = self.n * self.bias if self.shared else self._set_of_weights
        return (self.batch + self.idle) * own

    @property
    def operations(self) -> int:
        """Additions of the bias."""
        return self.output_elements if self.bias else 0

    @property
    def size(self) -> str:
        """Its dimensions in words, for a table."""
        batch = f"{self.batch} x " if self.batch > 1 else ""
        return f"{batch}({self.m}, {self.k}) x ({self.k}, {self.n})"


@dataclass(frozen=True, kw_only=True)
class Conv2d(Operator):
    """A convolution; a depthwise one has as many groups as input channels.

    Attributes:
        n: Images.
        c: Input channels.
        h: Input rows.
        w: Input columns.
        k: Output channels.
        r: Filter rows.
        s: Filter columns.
        stride: Rows and columns.
        padding: Zeros around the input: top, bottom, left, right.
        dilation: Rows and columns.
        groups: Of channels, each with filters of its own.
        bias: Whether one parameter per output channel is added.
    """

    kind = "conv"
    _may_be_zero = frozenset({"padding"})

    n: int = 1
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: bool = False

    def _check(self) -> None:
        for field, length in (("stride", 2), ("padding", 4), ("dilation", 2)):
            value = getattr(self, field)
            if not isinstance(value, tuple) or len(value) != length:
                raise self._refusal(field, f"a tuple of {length} integers")
        if self.c % self.groups or self.k % self.groups:
            raise self._refusal("groups", f"a divisor of c = {self.c} and k = {self.k}")
        top, bottom, left, right = self.padding
        for axis, size, kernel, dilation in (
            ("rows", self.h + top + bottom, self.r, self.dilation[0]),
            ("columns", self.w + left + right, self.s, self.dilation[1]),
        ):
            if (kernel - 1) * dilation + 1 > size:
                raise ValueError(
                    f"operator {self.name!r}: the filter spans {(kernel - 1) * dilation + 1} "
                    f"{axis}, must be at most the {size} of the padded input"
                )

    @property
    def depthwise(self) -> bool:
        """Whether every input channel has filters of its own."""
        return self.groups == self.c and self.groups > 1

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """(n, c, h, w)."""
        return ((self.n, self.c, self.h, self.w),)

    @property
    def output_shape(self) -> Shape:
        """(n, k, p, q); where a stride does not divide, the rest of the input is left out."""
        top, bottom, left, right = self.padding
        p = (self.h + top + bottom - (self.r - 1) * self.dilation[0] - 1) // self.stride[0] + 1
        q = (self.w + left + right - (self.s - 1) * self.dilation[1] - 1) // self.stride[1] + 1
        return self.n, self.k, p, q

    @property
    def read_elements(self) -> int:
        """Inputs under a filter tap: fewer where strides skip some."""
        _, _, p, q = self.output_shape
        rows = _touched(p, self.r, self.stride[0], self.dilation[0], self.padding[0], self.h)
        columns = _touched(q, self.s, self.stride[1], self.dilation[1], self.padding[2], self.w)
        return self.n * self.c * rows * columns

    @property
    def products(self) -> tuple[Product, ...]:
        """One product per group."""
        _, _, p, q = self.output_shape
        return (
            Product(
                self.groups,
                self.n,
                self.k // self.groups,
                self.c // self.groups,
                p,
                q,
                self.r,
                self.s,
                self.stride,
                self.dilation,
            ),
        )

    @property
    def weight_elements(self) -> int:
        """Filters and bias."""
        return self.k * (self.c // self.groups * self.r * self.s + self.bias)

    @property
    def operations(self) -> int:
        """Additions of the bias."""
        return self.output_elements if self.bias else 0

    @property
    def size(self) -> str:
        """Its dimensions in words, for a table."""
        stride = f" stride {self.stride[0]}" if max(self.stride) > 1 else ""
        groups = f" groups {self.groups}" if self.groups > 1 else ""
        return f"{self.c}x{self.h}x{self.w} -> {self.k}, {self.r}x{self.s}{stride}{groups}"


def _touched(outputs: int, taps: int, stride: int, dilation: int, padding: int, size: int) -> int:
    """Rows of an input that lie under a tap of some output row."""
    under = {i * stride + t * dilation - padding for i in range(outputs) for t in range(taps)}
    return sum(0 <= row < size for row in under)


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2d(Operator):
    """A transposed convolution: every input point adds a filter's worth of outputs.

    It is the matrix product of input points with all filter taps, whose results are then added
    where they overlap.

    Attributes:
        n: Images.
        c: Input channels.
        h: Input rows.
        w: Input columns.
        k: Output channels.
        r: Filter rows.
        s: Filter columns.
        stride: Rows and columns.
        crop: Outputs left out: top, bottom, left, right ("padding" in frameworks).
        groups: Of channels, each with filters of its own.
        bias: Whether one parameter per output channel is added.
    """

    kind = "conv-transpose"
    _may_be_zero = frozenset({"crop"})

    n: int = 1
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    bias: bool = False

    def _check(self) -> None:
        if self.c % self.groups or self.k % self.groups:
            raise self._refusal("groups", f"a divisor of c = {self.c} and k = {self.k}")
        if min(self.output_shape) < 1:
            raise self._refusal("crop", "less than what the input makes")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """(n, c, h, w)."""
        return ((self.n, self.c, self.h, self.w),)

    @property
    def output_shape(self) -> Shape:
        """(n, k, p, q)."""
        top, bottom, left, right = self.crop
        p = (self.h - 1) * self.stride[0] + self.r - top - bottom
        q = (self.w - 1) * self.stride[1] + self.s - left - right
        return self.n, self.k, p, q

    @property
    def products(self) -> tuple[Product, ...]:
        """One product per group: input points by filter taps."""
        taps = self.k // self.groups * self.r * self.s
        rows = self.n * self.h * self.w
        return (Product(self.groups, 1, taps, self.c // self.groups, rows, 1),)

    @property
    def weight_elements(self) -> int:
        """Filters and bias."""
        return self.c * self.k // self.groups * self.r * self.s + self.k * self.bias

    @property
    def operations(self) -> int:
        """Additions of overlapping taps, at most, and of the bias."""
        made = self.n * self.k * self.h * self.w * self.r * self.s
        return max(made - self.output_elements, 0) + (self.output_elements if self.bias else 0)

    @property
    def size(self) -> str:
        """Its dimensions in words, for a table."""
        return f"{self.c}x{self.h}x{self.w} -> {self.k}, {self.r}x{self.s} stride {self.stride[0]}"
