"""Networks: operators in order, with the tensors between them checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from archgym.cost_models.accelerator.operators import Operator, Product, Shape


@dataclass(frozen=True)
class Network:
    """Operators in an order in which they can run.

    Operators that run several times with the same sizes stand once, with their `count`.

    Attributes:
        name: Of the network.
        operators: Each after those whose output it reads.
        edges: What each operator reads, by its name: names of operators or of inputs. Several
            are joined in this order, and an operator that reads several tensors may find them in
            one (such as queries, keys and values).
        inputs: Shapes of what comes from outside, by name.
        outputs: Operators whose output leaves the network.
        source: Where its dimensions are published.

    Raises:
        ValueError: If a name is used twice, or a tensor is unknown, has not the size that its
            reader needs, or is read by nobody; the message names it.
    """

    name: str
    operators: tuple[Operator, ...]
    edges: Mapping[str, tuple[str, ...]]
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        if not self.operators:
            raise ValueError(f"network {self.name!r}: has no operators")
        made = {name: tuple(shape) for name, shape in self.inputs.items()}
        read: set[str] = set()
        for operator in self.operators:
            if operator.name in made:
                raise ValueError(f"network {self.name!r}: name {operator.name!r} is used twice")
            producers = self.edges.get(operator.name, ())
            self._check_operands(operator, producers, made)
            read.update(producers)
            made[operator.name] = operator.output_shape
        self._check_ends(made, read)

    def _check_operands(
        self, operator: Operator, producers: tuple[str, ...], made: Mapping[str, Shape]
    ) -> None:
        who = f"network {self.name!r}: operator {operator.name!r}"
        if not producers:
            raise ValueError(f"{who} is not connected, it reads no tensor")
        for name in producers:
            if name not in made:
                raise ValueError(f"{who} reads {name!r}, which nothing before it makes")
        shapes = [made[name] for name in producers]
        needed = operator.input_shapes
        if len(needed) == 1 and all(len(shape) == 4 for shape in (*shapes, *needed)):
            joined = (shapes[0][0], sum(shape[1] for shape in shapes), *shapes[0][2:])
            fits = joined == needed[0] and len({(s[0], *s[2:]) for s in shapes}) == 1
        else:
            fits = sum(map(prod, shapes)) == sum(map(prod, needed))
        if not fits:
            raise ValueError(
                f"{who} needs {_shapes(needed)}, but "
                f"{' + '.join(repr(name) for name in producers)} gives {_shapes(shapes)}"
            )

    def _check_ends(self, made: Mapping[str, Shape], read: set[str]) -> None:
        for name in self.outputs:
            if name not in made:
                raise ValueError(f"network {self.name!r}: output {name!r} is not an operator")
        for name in made:
            if name not in read and name not in self.outputs:
                raise ValueError(
                    f"network {self.name!r}: tensor {name!r} is not connected, nothing reads it "
                    f"and it is no output"
                )
        for name in self.edges:
            if name not in made or name in self.inputs:
                raise ValueError(f"network {self.name!r}: edges name no operator {name!r}")

    def __iter__(self) -> Iterator[Operator]:
        return iter(self.operators)

    def __len__(self) -> int:
        return len(self.operators)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all runs of all operators."""
        return sum(operator.count * operator.macs for operator in self.operators)

    @property
    def parameters(self) -> int:
        """Parameters held, shared ones once."""
        return sum(operator.count * operator.parameters for operator in self.operators)

    @property
    def operations(self) -> int:
        """Operations beside multiply-accumulates of all runs of all operators."""
        return sum(operator.count * operator.operations for operator in self.operators)

    @property
    def products(self) -> tuple[tuple[Operator, Product], ...]:
        """Every dense product with its operator, in order."""
        return tuple((each, product) for each in self.operators for product in each.products)


def _shapes(shapes: tuple[Shape, ...] | list[Shape]) -> str:
    return " + ".join("(" + ", ".join(map(str, shape)) + ")" for shape in shapes)
