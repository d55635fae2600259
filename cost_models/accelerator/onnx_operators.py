"""ONNX nodes as operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from archgym.cost_models.accelerator.onnx_graph import SHAPE_ONLY, Graph
from archgym.cost_models.accelerator.operators import (
    Conv2d,
    ConvTranspose2d,
    Gemm,
    Operator,
    Shape,
)
from archgym.cost_models.accelerator.vector_operators import (
    Elementwise,
    Embedding,
    Layout,
    Normalisation,
    Pool,
    Softmax,
)

# Names of ONNX with the function of `Elementwise` that has as many primitive operations.
_ELEMENTWISE = {
    "Add": "add",
    "Sub": "add",
    "Mul": "multiply",
    "Div": "multiply",
    "Pow": "multiply",
    "Max": "relu",
    "Min": "relu",
    "Relu": "relu",
    "LeakyRelu": "relu6",
    "PRelu": "relu6",
    "Clip": "relu6",
    "Abs": "relu",
    "Neg": "add",
    "Exp": "exp",
    "Log": "exp",
    "Sqrt": "exp",
    "Reciprocal": "exp",
    "Erf": "exp",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hardswish",
    "HardSwish": "hardswish",
    "Tanh": "tanh",
    "Gelu": "gelu",
    "Softplus": "softplus",
    "Where": "relu",
}
_LAYOUT = (
    "Identity", "Dropout", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
    "Slice", "Concat", "Expand", "Tile", "Pad", "Resize", "Upsample", "DepthToSpace",
    "SpaceToDepth",
)  # fmt: skip
_NORMALISATION = {
    "BatchNormalization": "batch",
    "InstanceNormalization": "group",
    "GroupNormalization": "group",
    "LayerNormalization": "layer",
    "RMSNormalization": "rms",
    "SimplifiedLayerNormalization": "rms",
}


def convert_node(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    """Operators that do what a node does.

    Args:
        graph: With the shapes of all tensors.
        node: Of a supported kind.
        read: Tensors that it reads.
        running: Of them, those that are not known before the model runs.

    Raises:
        ValueError: If the node uses what is not supported.
    """
    kind = node.op_type
    if kind in _CONVERTERS:
        return _CONVERTERS[kind](graph, node, read, running)
    if kind in _ELEMENTWISE:
        return [_elementwise(graph, node, read, running)]
    if kind in _NORMALISATION:
        return [_normalisation(graph, node, read)]
    takes = tuple(graph.shape(each) for each in running)
    joined = takes[0] if len(takes) == 1 else (sum(map(prod, takes)),)
    name = node.output[0]
    return [Layout(name=name, takes=joined, gives=graph.shape(name))]


def _elementwise(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> Elementwise:
    name = node.output[0]
    shape = graph.shape(name)
    sizes = [prod(graph.shape(each)) for each in running]
    whole = sizes.count(prod(shape))
    scalars = ("Clip", "Pow") if node.op_type in ("Clip", "Pow") else ()
    learned = sum(
        prod(graph.weights[each])
        for each in read
        if each in graph.weights and not scalars and prod(graph.weights[each]) > 1
    )
    return Elementwise(
        name=name,
        shape=shape,
        function=_ELEMENTWISE[node.op_type],
        operands=whole,
        broadcast=sum(sizes) - whole * prod(shape),
        learned=learned,
    )


def _normalisation(graph: Graph, node: Any, read: tuple[str, ...]) -> Normalisation:
    learned = [prod(graph.weights[each]) for each in read[1:3] if each in graph.weights]
    if not learned:
        raise ValueError(f"{graph.source}: {node.op_type} {node.output[0]!r} has no stored scales")
    return Normalisation(
        name=node.output[0],
        shape=graph.shape(read[0]),
        features=learned[0],
        form=_NORMALISATION[node.op_type],
        shift=len(learned) > 1,
    )


def _window(
    graph: Graph, node: Any, image: Shape, kernel: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Strides, dilations and padding (top, bottom, left, right) of rows and columns."""
    found = graph.attributes(node)
    pairs = len(kernel)
    if pairs not in (1, 2):
        raise ValueError(
            f"{graph.source}: {node.op_type} {node.output[0]!r} has {pairs} dimensions, must be "
            f"1 or 2"
        )
    strides = tuple(found.get("strides", (1,) * pairs))
    dilations = tuple(found.get("dilations", (1,) * pairs))
    pads = list(found.get("pads", (0,) * (2 * pairs)))
    auto = found.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for i in range(pairs):
            size = image[2 + i]
            needed = (-(-size // strides[i]) - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1
            whole = max(needed - size, 0)
            less = whole // 2
            first = less if auto == "SAME_UPPER" else whole - less
            pads[i], pads[pairs + i] = first, whole - first
    if pairs == 1:
        return (strides[0], 1), (dilations[0], 1), (pads[0], pads[1], 0, 0)
    return (
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (pads[0], pads[2], pads[1], pads[3]),
    )


def _plane(shape: Shape) -> tuple[int, int, int, int]:
    """An image with one column where the tensor is a sequence."""
    n, c, h, *w = shape
    return n, c, h, w[0] if w else 1


def _weights(graph: Graph, node: Any, tensor: str) -> Shape:
    if tensor not in graph.weights:
        raise ValueError(
            f"{graph.source}: {node.op_type} {node.output[0]!r} has weights that are not stored"
        )
    return graph.weights[tensor]


def _conv(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    image = graph.shape(read[0])
    weights = _weights(graph, node, read[1])
    stride, dilation, padding = _window(graph, node, image, weights[2:])
    n, c, h, w = _plane(image)
    conv = Conv2d(
        name=node.output[0],
        n=n,
        c=c,
        h=h,
        w=w,
        k=weights[0],
        r=weights[2],
        s=weights[3] if len(weights) > 3 else 1,
        stride=stride,
        dilation=dilation,
        padding=padding,
        groups=int(graph.attributes(node).get("group", 1)),
        bias=len(read) > 2,
    )
    return [conv]


def _conv_transpose(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    image = graph.shape(read[0])
    weights = _weights(graph, node, read[1])
    found = graph.attributes(node)
    stride, dilation, crop = _window(graph, node, image, weights[2:])
    if dilation != (1, 1) or any(found.get("output_padding", ())) or "output_shape" in found:
        raise ValueError(
            f"{graph.source}: ConvTranspose {node.output[0]!r} has dilations, output_padding or "
            f"output_shape, which are not supported"
        )
    n, c, h, w = _plane(image)
    groups = int(found.get("group", 1))
    operator = ConvTranspose2d(
        name=node.output[0],
        n=n,
        c=c,
        h=h,
        w=w,
        k=weights[1] * groups,
        r=weights[2],
        s=weights[3] if len(weights) > 3 else 1,
        stride=stride,
        crop=crop,
        groups=groups,
        bias=len(read) > 2,
    )
    return [operator]


def _matmul(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    """Gemm and MatMul; a stored operand is the weights, on either side."""
    found = graph.attributes(node)
    out = graph.shape(node.output[0])
    first = graph.shape(read[0])
    depth = first[-2] if found.get("transA") else first[-1]
    stored = [each in graph.weights for each in read[:2]]
    second = len(graph.shape(read[1]))
    rows = out[-2] if len(out) > 1 and len(first) > 1 else 1
    columns = out[-1] if second > 1 else 1
    batch = prod(out) // (rows * columns)
    name = node.output[0]
    if stored[1] and second <= 2:
        bias = len(read) > 2 and read[2] in graph.weights
        return [Gemm(name=name, m=batch * rows, n=columns, k=depth, bias=bias)]
    if stored[0] and len(first) <= 2:
        return [Gemm(name=name, m=batch * columns, n=rows, k=depth)]
    return [Gemm(name=name, batch=batch, m=rows, n=columns, k=depth, weights=any(stored))]


def _softmax(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    shape = graph.shape(read[0])
    columns = shape[int(graph.attributes(node).get("axis", -1))]
    return [Softmax(name=node.output[0], rows=prod(shape) // columns, columns=columns)]


def _pool(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    n, c, h, w = _plane(graph.shape(read[0]))
    _, _, p, q = _plane(graph.shape(node.output[0]))
    whole = node.op_type.startswith("Global")
    window = h * w if whole else prod(graph.attributes(node)["kernel_shape"])
    return [Pool(name=node.output[0], shape=(n, c, h, w), to=(p, q), window=window)]


def _reduce(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    shape = graph.shape(read[0])
    out = prod(graph.shape(node.output[0]))
    window = prod(shape) // out
    return [Pool(name=node.output[0], shape=(1, out, 1, window), to=(1, 1), window=window)]


def _gather(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    shape = graph.shape(node.output[0])
    table = graph.weights.get(read[0])
    if table is not None and len(table) == 2 and read[1] in running:
        rows = prod(graph.shape(read[1]))
        return [Embedding(name=node.output[0], rows=rows, entries=table[0], width=table[1])]
    takes = sum(prod(graph.shape(each)) for each in running)
    return [Layout(name=node.output[0], takes=(takes,), gives=shape)]


def _split(
    graph: Graph, node: Any, read: tuple[str, ...], running: tuple[str, ...]
) -> list[Operator]:
    takes = graph.shape(read[0])
    return [Layout(name=each, takes=takes, gives=graph.shape(each)) for each in node.output]


_Converter = Callable[[Graph, Any, tuple[str, ...], tuple[str, ...]], list[Operator]]
_CONVERTERS: dict[str, _Converter] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _matmul,
    "MatMul": _matmul,
    "Softmax": _softmax,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "ReduceMax": _reduce,
    "Gather": _gather,
    "Split": _split,
}


def supported() -> tuple[str, ...]:
    """Names of the ONNX operators that can be read."""
    known = {*_CONVERTERS, *_ELEMENTWISE, *_LAYOUT, *_NORMALISATION, *SHAPE_ONLY}
    return tuple(sorted(known))
