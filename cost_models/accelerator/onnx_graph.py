"""Shapes of the tensors of an ONNX model."""

from __future__ import annotations

import importlib
from typing import Any

from archgym.cost_models.accelerator.operators import Shape

# What makes a value of a shape alone.
SHAPE_ONLY = ("Shape", "Size", "Constant", "ConstantOfShape", "Range")


class Graph:
    """Shapes of all tensors of a model, and which of them are known before it runs.

    Args:
        model: With inferred shapes.
        source: What messages call it.
        known: Of its stored tensors, those that are no weights.
    """

    def __init__(self, model: Any, source: str, known: frozenset[str] = frozenset()) -> None:
        self._onnx = importlib.import_module("onnx")
        self.source = source
        self.graph = model.graph
        self._shapes: dict[str, list[int | str]] = {}
        for value in (*self.graph.input, *self.graph.value_info, *self.graph.output):
            if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
                self._shapes[value.name] = [_edge(d) for d in value.type.tensor_type.shape.dim]
        stored = {each.name: tuple(each.dims) for each in self.graph.initializer}
        self._shapes.update((each, list(stored[each])) for each in known)
        self.weights = {each: dims for each, dims in stored.items() if each not in known}
        self.constant = set(stored)

    def shape(self, tensor: str) -> Shape:
        """Shape of a tensor; a scalar counts as one element."""
        if tensor in self.weights:
            return self.weights[tensor]
        edges = self._shapes.get(tensor)
        if edges is None:
            raise ValueError(f"{self.source}: the shape of tensor {tensor!r} cannot be told")
        for edge in edges:
            if isinstance(edge, str) or edge < 1:
                raise ValueError(
                    f"{self.source}: tensor {tensor!r} has the shape "
                    f"({', '.join(map(str, edges))}), every size must be a number of at least 1; "
                    f"give the shape of an input with --shape NAME=SIZE,SIZE"
                )
        return tuple(int(edge) for edge in edges) or (1,)

    def running(self) -> list[tuple[Any, tuple[str, ...]]]:
        """Nodes that depend on what is read, each with the tensors for which it does.

        What the others make is known before the model runs: weights where it is made of weights
        alone, and shape arithmetic. A node with a graph of its own is taken to depend on anything.
        """
        found = []
        for node in self.graph.node:
            read = tuple(tensor for tensor in node.input if tensor)
            running = tuple(tensor for tensor in read if tensor not in self.constant)
            nested = any(each.HasField("g") for each in node.attribute)
            if nested or (running and node.op_type not in SHAPE_ONLY):
                found.append((node, running))
                continue
            self.constant.update(node.output)
            if node.op_type == "Constant" or (read and all(each in self.weights for each in read)):
                self._store(node)
        return found

    def _store(self, node: Any) -> None:
        for tensor in node.output:
            edges = self._shapes.get(tensor)
            if edges is not None and all(isinstance(edge, int) for edge in edges):
                self.weights[tensor] = tuple(int(edge) for edge in edges)

    def attributes(self, node: Any) -> dict[str, Any]:
        """Attributes of a node."""
        return {each.name: self._onnx.helper.get_attribute_value(each) for each in node.attribute}


def _edge(dimension: Any) -> int | str:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return dimension.dim_param or "?"
