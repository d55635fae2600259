"""ONNX files made here, read back as networks."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from archgym.cli import main  # noqa: E402
from archgym.cost_models.accelerator.onnx_import import convert_model, load_onnx  # noqa: E402


def weights(name, *shape):
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def values(name, *numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def model(nodes, inputs, outputs, initializers):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def convolutional(batch=2):
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", "s", "s", "s", "s"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], group=8, auto_pad="SAME_UPPER"),
        helper.make_node("Add", ["c2", "r1"], ["a1"]),
        helper.make_node("MaxPool", ["a1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("ConvTranspose", ["p1", "w3"], ["u1"], strides=[2, 2]),
        helper.make_node("Concat", ["u1", "a1"], ["k1"], axis=1),
        helper.make_node("GlobalAveragePool", ["k1"], ["g1"]),
        helper.make_node("Flatten", ["g1"], ["f1"]),
        helper.make_node("Gemm", ["f1", "w4", "b4"], ["y"], transB=1),
    ]
    stored = [
        weights("w1", 8, 3, 3, 3), weights("b1", 8), weights("s", 8), weights("w2", 8, 1, 3, 3),
        weights("w3", 8, 4, 2, 2), weights("w4", 10, 12), weights("b4", 10),
    ]  # fmt: skip
    return model(nodes, {"x": [batch, 3, 16, 16]}, {"y": [batch, 10]}, stored)


def test_convolutions():
    network = convert_model(convolutional(), "net", {})
    by_name = {each.name: each for each in network}
    n, p = 2, 8 * 8
    assert by_name["c1"].macs == n * p * 8 * 27
    assert by_name["c2"].depthwise
    assert by_name["c2"].macs == n * p * 8 * 9
    assert by_name["u1"].macs == n * 16 * 8 * 4 * 4
    assert by_name["y"].macs == n * 120
    assert network.macs == sum(by_name[each].macs for each in ("c1", "c2", "u1", "y"))
    assert network.parameters == 8 * 27 + 8 + 16 + 72 + 8 * 4 * 4 + 130
    assert network.edges["k1"] == ("u1", "a1")


def test_attention_with_shape_arithmetic():
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),
        helper.make_node("Transpose", ["wt"], ["wqkv"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "wqkv"], ["qkv"]),
        helper.make_node("Add", ["qkv", "bias"], ["qkvb"]),
        helper.make_node("Split", ["qkvb", "parts"], ["q", "k", "v"], axis=-1),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["chances"], axis=-1),
        helper.make_node("MatMul", ["chances", "v"], ["context"]),
        helper.make_node("Shape", ["context"], ["size"]),
        helper.make_node("Reshape", ["context", "size"], ["again"]),
        helper.make_node("LayerNormalization", ["again", "g", "g"], ["y"]),
    ]
    stored = [
        weights("table", 100, 16), weights("wt", 48, 16), weights("bias", 48),
        values("parts", 16, 16, 16), weights("g", 16),
    ]  # fmt: skip
    made = model(nodes, {}, {"y": ["b", "t", 16]}, stored)
    made.graph.input.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "t"]))
    network = convert_model(made, "net", {"ids": (3, 5)})
    by_name = {each.name: each for each in network}
    assert by_name["qkv"].macs == 15 * 16 * 48
    assert by_name["scores"].macs == by_name["context"].macs == 3 * 5 * 5 * 16
    assert not by_name["scores"].weight_elements
    assert by_name["chances"].operations == 5 * 75
    assert by_name["qkvb"].parameters == 48
    assert network.parameters == 1600 + 768 + 48 + 32
    with pytest.raises(ValueError, match=r"tensor 'ids' has the shape \(b, t\), every size must"):
        convert_model(made, "net", {})


def test_values_that_follow_from_shapes_are_worked_out():
    nodes = [
        helper.make_node("Shape", ["x"], ["size"]),
        helper.make_node("Gather", ["size", "one"], ["width"], axis=0),
        helper.make_node("Mod", ["width", "seven"], ["rest"]),
        helper.make_node("Div", ["width", "four"], ["quarter"]),
        helper.make_node("Concat", ["rest", "quarter", "minus"], ["to"], axis=0),
        helper.make_node("Identity", ["stored"], ["scales"]),
        helper.make_node("LayerNormalization", ["x", "scales"], ["n"]),
        helper.make_node("Reshape", ["n", "to"], ["y"]),
        helper.make_node("MatMul", ["y", "w"], ["z"]),
    ]
    stored = [
        values("one", 1), values("seven", 7), values("four", 4), values("minus", -1),
        weights("stored", 16), weights("w", 6, 5),
    ]  # fmt: skip
    made = model(nodes, {"x": [3, 16]}, {"z": ["a", "b", "c"]}, stored)
    # 16 mod 7 = 2, and 16 / 4 = 4, so that 48 numbers are 2 x 4 x 6.
    network = convert_model(made, "net", {})
    assert [each.kind for each in network] == ["normalisation", "layout", "gemm"]
    assert network.operators[1].gives == (2, 4, 6)
    assert network.macs == 8 * 6 * 5
    assert network.parameters == 16 + 30


@pytest.mark.parametrize(
    ("change", "shapes", "message"),
    [
        (lambda m: None, {"z": (1,)}, "--shape names no input 'z', the inputs are x"),
        (lambda m: None, {"x": (0, 3, 16, 16)}, "must be at least 1"),
        (
            lambda m: m.graph.node.append(helper.make_node("Einsum", ["y"], ["z"])),
            {},
            "operators Einsum are not supported; supported are Abs, Add",
        ),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 0),
            {},
            "tensor 'x' has the shape (0, 3, 16, 16)",
        ),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", -2),
            {},
            "tensor 'x' has the shape (-2, 3, 16, 16)",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_line(change, shapes, message):
    made = convolutional()
    change(made)
    with pytest.raises(ValueError) as caught:
        convert_model(made, "net", shapes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_command(tmp_path, capsys):
    path = tmp_path / "tiny.onnx"
    onnx.save(convolutional("n"), path)
    with pytest.raises(SystemExit) as caught:
        main(["network", "show", str(path), "--shape", "x=4,3,16,16"])
    assert caught.value.code == 0
    assert f"{4 * 64 * 8 * 27:,}" in capsys.readouterr().out
    for arguments, message in (
        (["--shape", "x=4,3"], "shapes disagree"),
        (["--shape", "x=a"], "is not INPUT=SIZE,SIZE"),
        (["--batch", "2"], "--batch: is not for ONNX files"),
        ([], "tensor 'x' has the shape (n, 3, 16, 16)"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["network", "show", str(path), *arguments])
        printed = capsys.readouterr().err
        assert caught.value.code == 2
        assert message in printed
        assert printed.count("\n") == 1


def test_no_model(tmp_path):
    path = tmp_path / "no.onnx"
    path.write_bytes(b"\x08\xff\xff nothing")
    with pytest.raises(ValueError, match="no ONNX model"):
        load_onnx(path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_onnx(tmp_path / "none.onnx")
