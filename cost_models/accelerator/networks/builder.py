"""Putting a network together: operators get names, sizes and edges as they are added."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.operators import Conv2d, Gemm, Operator, Shape
from archgym.cost_models.accelerator.vector_operators import (
    Elementwise,
    Layout,
    Normalisation,
    Pool,
)


class Builder:
    """A network in the making. Tensors are called by the operator that makes them.

    Args:
        name: Of the network.
        source: Where its dimensions are published.
    """

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source
        self._operators: list[Operator] = []
        self._edges: dict[str, tuple[str, ...]] = {}
        self._inputs: dict[str, Shape] = {}
        self._shapes: dict[str, Shape] = {}
        self._count = 1
        self._prefix = ""

    @contextmanager
    def block(self, prefix: str, count: int = 1) -> Iterator[None]:
        """Names of operators added inside begin with `prefix.`, and they run `count` times."""
        before = self._prefix, self._count
        self._prefix, self._count = f"{self._prefix}{prefix}.", self._count * count
        yield
        self._prefix, self._count = before

    def input(self, name: str, *shape: int) -> str:
        """A tensor from outside."""
        self._inputs[name] = self._shapes[name] = shape
        return name

    def name(self, name: str) -> str:
        """The full name of an operator that is added here."""
        return self._prefix + name

    def add(self, operator: Operator, *producers: str) -> str:
        """Add an operator that reads these tensors; its name and count are those of the block."""
        operator = dataclasses.replace(
            operator, name=self.name(operator.name), count=operator.count * self._count
        )
        self._operators.append(operator)
        self._edges[operator.name] = producers
        self._shapes[operator.name] = operator.output_shape
        return operator.name

    def shape(self, tensor: str) -> Shape:
        """Shape of a tensor."""
        return self._shapes[tensor]

    def conv(
        self,
        name: str,
        tensors: str | tuple[str, ...],
        k: int,
        size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        norm: str = "batch",
        act: str = "",
    ) -> str:
        """A square convolution, then a normalisation and an activation unless they are empty.

        Args:
            name: Of the convolution; the others are called after it.
            tensors: Read, joined along channels.
            k: Output channels.
            size: Of the filter.
            stride: In both directions.
            padding: On every side; None for half of the filter.
            groups: Of channels.
            bias: Of the convolution.
            norm: A form of `Normalisation`.
            act: A function of `Elementwise`.
        """
        tensors = (tensors,) if isinstance(tensors, str) else tensors
        n, _, h, w = self.shape(tensors[0])
        pad = size // 2 if padding is None else padding
        x = self.add(
            Conv2d(
                name=name,
                n=n,
                c=sum(self.shape(each)[1] for each in tensors),
                h=h,
                w=w,
                k=k,
                r=size,
                s=size,
                stride=(stride, stride),
                padding=(pad,) * 4,
                groups=groups,
                bias=bias,
            ),
            *tensors,
        )
        if norm:
            x = self.norm(f"{name}.norm", x, norm, k)
        return self.elementwise(f"{name}.{act}", act, x) if act else x

    def norm(self, name: str, x: str, form: str, features: int) -> str:
        """A normalisation."""
        shape = self.shape(x)
        return self.add(Normalisation(name=name, shape=shape, form=form, features=features), x)

    def elementwise(self, name: str, function: str, *tensors: str) -> str:
        """A function of tensors of one shape."""
        shape = self.shape(tensors[0])
        return self.add(
            Elementwise(name=name, shape=shape, function=function, operands=len(tensors)), *tensors
        )

    def scale(self, name: str, x: str, scales: str) -> str:
        """Products of a tensor with a smaller one."""
        shape, few = self.shape(x), prod(self.shape(scales))
        operator = Elementwise(name=name, shape=shape, function="multiply", broadcast=few)
        return self.add(operator, x, scales)

    def linear(
        self,
        name: str,
        x: str | tuple[str, ...],
        n: int,
        *,
        bias: bool = True,
        shared: bool = False,
    ) -> str:
        """A fully connected layer on the last dimension; of an image, on all but the first."""
        tensors = (x,) if isinstance(x, str) else x
        shape = self.shape(tensors[0])
        size = sum(prod(self.shape(each)) for each in tensors)
        m = shape[0] if len(shape) == 4 else size // shape[-1]
        gemm = Gemm(name=name, m=m, n=n, k=size // m, bias=bias, shared=shared)
        return self.add(gemm, *tensors)

    def pool(self, name: str, x: str, window: int, stride: int, padding: int = 0) -> str:
        """Pooling of square windows."""
        shape = self.shape(x)
        to = tuple((edge + 2 * padding - window) // stride + 1 for edge in shape[2:])
        return self.add(Pool(name=name, shape=shape, to=(to[0], to[1]), window=window**2), x)

    def global_pool(self, name: str, x: str) -> str:
        """The mean of every channel."""
        shape = self.shape(x)
        return self.add(Pool(name=name, shape=shape, to=(1, 1), window=shape[2] * shape[3]), x)

    def layout(self, name: str, x: str | tuple[str, ...], *gives: int) -> str:
        """A part of a tensor, or its elements repeated or in another order."""
        tensors = (x,) if isinstance(x, str) else x
        elements = sum(prod(self.shape(each)) for each in tensors)
        takes = self.shape(tensors[0]) if len(tensors) == 1 else (elements,)
        return self.add(Layout(name=name, takes=takes, gives=gives), *tensors)

    def build(self, *outputs: str) -> Network:
        """The network, checked."""
        return Network(
            self._name, tuple(self._operators), self._edges, self._inputs, outputs, self._source
        )
