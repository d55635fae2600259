"""Shapes of the tensors of an ONNX model."""

from __future__ import annotations

import importlib
from typing import Any

from archgym.cost_models.accelerator.operators import Shape

# What makes a value of a shape alone.
SHAPE_ONLY = ("Shape", "Size", "Constant", "ConstantOfShape", "Range")


class Graph:
    """Shapes of all tensors of a model, and which of them are known before it runs."""

    def __init__(self, model: Any, source: str) -> None:
        self._onnx = importlib.import_module("onnx")
        self.source = source
        self.graph = model.graph
        self._shapes: dict[str, list[int | str]] = {}
        for value in (*self.graph.input, *self.graph.value_info, *self.graph.output):
            if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
                self._shapes[value.name] = [_edge(d) for d in value.type.tensor_type.shape.dim]
        self.weights = {each.name: tuple(each.dims) for each in self.graph.initializer}
        self.constant = set(self.weights)

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

    def store(self, node: Any) -> None:
        """Take what a node makes as known before the model runs."""
        self.constant.update(node.output)
        if node.op_type == "Constant" or node.op_type not in SHAPE_ONLY:
            for tensor in node.output:
                if tensor in self._shapes:
                    self.weights[tensor] = tuple(int(edge) for edge in self._shapes[tensor])

    def attributes(self, node: Any) -> dict[str, Any]:
        """Attributes of a node."""
        return {each.name: self._onnx.helper.get_attribute_value(each) for each in node.attribute}


def _edge(dimension: Any) -> int | str:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return dimension.dim_param or "?"
