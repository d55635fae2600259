"""Working out what an ONNX model knows before it runs, so that shapes can be told."""

from __future__ import annotations

import importlib
from typing import Any

# Shape arithmetic is on few numbers; weights are left alone.
_MOST_ELEMENTS = 4096


def folded(model: Any) -> tuple[Any, frozenset[str]]:
    """A copy with inferred shapes in which values that follow from shapes are stored.

    ONNX's shape inference stops where a shape depends on values, such as those of a `Reshape`.
    Nodes whose inputs are few known numbers are evaluated here, and shapes inferred again, until
    nothing is found any more.

    Args:
        model: With shapes of its inputs.

    Returns:
        The copy, and the names of the values that were worked out.

    Raises:
        Exception: Of ONNX's own class, if shapes disagree.
    """
    infer = importlib.import_module("onnx.shape_inference").infer_shapes
    found: set[str] = set()
    while True:
        model = infer(model, check_type=True, strict_mode=True, data_prop=True)
        news = _evaluated(model)
        if not news:
            return model, frozenset(found)
        found.update(news)


def _evaluated(model: Any) -> set[str]:
    """Replace nodes whose results are known by these results; names of what is new."""
    onnx = importlib.import_module("onnx")
    graph = model.graph
    values = _known(graph)
    shapes = _shapes(graph)
    # Of shapes and indices; weights, and what is made of them alone, stay what they are.
    counts = {name for name, value in values.items() if value.dtype.kind in "iub"}
    kept, news = [], {}
    for node in graph.node:
        weights = [n for n in node.input if n in values and n not in counts and values[n].size > 1]
        results = None
        if node.op_type == "Shape" or (not weights and any(n in counts for n in node.input)):
            results = _results(node, values, shapes, model.opset_import)
        if results is None:
            kept.append(node)
        else:
            news.update(results)
            values.update(results)
            counts.update(results)
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in news.items())
    return set(news)


def _known(graph: Any) -> dict[str, Any]:
    onnx = importlib.import_module("onnx")
    values = {}
    for tensor in graph.initializer:
        inside = tensor.data_location != onnx.TensorProto.EXTERNAL
        if inside and _elements(tensor.dims) <= _MOST_ELEMENTS:
            values[tensor.name] = onnx.numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = node.attribute[0].t
            if _elements(tensor.dims) <= _MOST_ELEMENTS:
                values[node.output[0]] = onnx.numpy_helper.to_array(tensor)
    return values


def _elements(dims: Any) -> int:
    count = 1
    for edge in dims:
        count *= edge
    return count


def _shapes(graph: Any) -> dict[str, list[int]]:
    """Shapes of which every size is known."""
    shapes = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            shapes[value.name] = [d.dim_value for d in dims]
    shapes.update((tensor.name, list(tensor.dims)) for tensor in graph.initializer)
    return shapes


def _results(
    node: Any, values: dict[str, Any], shapes: dict[str, list[int]], opsets: Any
) -> dict[str, Any] | None:
    """What a node makes; None if it is not known, or kept as it is."""
    if node.op_type == "Constant" or any(each.HasField("g") for each in node.attribute):
        return None
    read = [name for name in node.input if name]
    if node.op_type == "Shape":
        if not read or read[0] not in shapes:
            return None
        values = {**values, read[0]: _any(shapes[read[0]])}
    elif not read or any(name not in values for name in read):
        return None
    reference = importlib.import_module("onnx.reference").ReferenceEvaluator
    versions = {each.domain: each.version for each in opsets}
    made = reference(node, opsets=versions).run(None, {name: values[name] for name in read})
    if any(each is None or each.size > _MOST_ELEMENTS for each in made):
        return None
    return {name: each for name, each in zip(node.output, made, strict=False) if name}


def _any(shape: list[int]) -> Any:
    """An array of a shape that takes no memory."""
    import numpy as np

    return np.broadcast_to(np.float32(0), shape)
