"""Networks from ONNX files; needs the extra `onnx`.

Only shapes are read. Values that depend on constants alone (weights, shape arithmetic) become no
operators; every other node becomes one, called by the tensor that it makes.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.onnx_folding import folded
from archgym.cost_models.accelerator.onnx_graph import Graph
from archgym.cost_models.accelerator.onnx_operators import convert_node, supported
from archgym.cost_models.accelerator.operators import Operator


def load_onnx(path: Path | str, shapes: Mapping[str, Sequence[int]] | None = None) -> Network:
    """Read a network from an ONNX file.

    Args:
        path: Of the file; weights in files beside it are not read.
        shapes: Sizes of inputs, by name, in the place of the file's.

    Raises:
        ValueError: If the extra is not installed, the file is no ONNX model, an operator is not
            supported (all of them are named), or a size is zero, negative or unknown.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ValueError(f"{path}: needs the extra 'onnx': pip install 'archgym[onnx]'")
    onnx = importlib.import_module("onnx")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # protobuf's own class, which moves between versions
        raise ValueError(f"{path}: no ONNX model ({' '.join(str(error).split())})") from None
    return convert_model(model, Path(path).stem, shapes or {})


def convert_model(model: Any, name: str, shapes: Mapping[str, Sequence[int]]) -> Network:
    """Turn an ONNX model into a network; arguments and errors as of `load_onnx`."""
    model = _with_shapes(model, name, shapes)
    graph = Graph(model, name)
    _refuse_unknown(graph)
    inputs = {
        each.name: graph.shape(each.name)
        for each in graph.graph.input
        if each.name not in graph.weights
    }
    try:
        model, known = folded(model)
    except Exception as error:  # the checker's own class
        raise ValueError(f"{name}: shapes disagree ({' '.join(str(error).split())})") from None
    graph = Graph(model, name, known)
    operators: list[Operator] = []
    edges: dict[str, tuple[str, ...]] = {}
    for node, running in graph.running():
        read = tuple(tensor for tensor in node.input if tensor)
        for operator in convert_node(graph, node, read, running):
            operators.append(operator)
            edges[operator.name] = running
    outputs = tuple(each.name for each in graph.graph.output if each.name not in graph.constant)
    return Network(name, tuple(operators), edges, inputs, outputs, "ONNX")


def _with_shapes(model: Any, name: str, shapes: Mapping[str, Sequence[int]]) -> Any:
    weights = {each.name for each in model.graph.initializer}
    inputs = {each.name: each for each in model.graph.input if each.name not in weights}
    copy = type(model)()
    copy.CopyFrom(model)
    for tensor, sizes in shapes.items():
        if tensor not in inputs:
            raise ValueError(
                f"{name}: --shape names no input {tensor!r}, the inputs are "
                f"{', '.join(sorted(inputs)) or 'none'}"
            )
        if any(size < 1 for size in sizes):
            raise ValueError(f"{name}: shape of {tensor!r} is {tuple(sizes)}, must be at least 1")
    for value in copy.graph.input:
        if value.name in shapes:
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            for size in shapes[value.name]:
                shape.dim.add().dim_value = size
    if shapes:
        # What was told of other tensors may be of other sizes.
        del copy.graph.value_info[:]
        for value in copy.graph.output:
            value.type.tensor_type.ClearField("shape")
    return copy


def _refuse_unknown(graph: Graph) -> None:
    unknown = sorted({node.op_type for node, _ in graph.running()} - set(supported()))
    if unknown:
        raise ValueError(
            f"{graph.source}: operators {', '.join(unknown)} are not supported; supported are "
            f"{', '.join(supported())}"
        )
