from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder, abpn, espcn, fsrcnn, sesr, xlsr
from toolchain.frontend import SRModel, load, normalize
from toolchain.frontend.pipeline import REWRITE
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError

NETS = {"xlsr": xlsr, "abpn": abpn, "espcn": espcn, "fsrcnn": fsrcnn, "sesr": sesr}
PADDED = {"Conv", "ConvTranspose"}


def check_canonical(sr: SRModel) -> None:
    """What SRModel and its canonical operators promise."""
    checker.check_model(sr.model, full_check=True)
    assert sr.model.opset_import[0].version == 17
    assert len(sr.model.opset_import) == 1
    assert sr.model.ir_version <= 10
    graph = sr.model.graph
    for value, name in ((graph.input, "input"), (graph.output, "output")):
        assert [v.name for v in value] == [name]
        assert value[0].type.tensor_type.elem_type == TensorProto.FLOAT
        dims = value[0].type.tensor_type.shape.dim
        assert [d.dim_value for d in dims[:2]] == [1, sr.channels]
        assert all(d.dim_param for d in dims[2:])
    weights = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = [o for n in graph.node for o in n.output]
    assert len(set(made) | set(weights) | {"input"}) == len(made) + len(weights) + 1
    assert all(made)
    assert len({n.name for n in graph.node}) == len(graph.node)
    for node in graph.node:
        attributes = {a.name for a in node.attribute}
        if node.op_type in PADDED:
            assert {"pads", "strides", "dilations", "kernel_shape", "group"} <= attributes
            assert "auto_pad" not in attributes
            assert len(node.input) == 3
            assert weights[node.input[1]].dtype == weights[node.input[2]].dtype == np.float32
        if node.op_type == "PRelu":
            assert weights[node.input[1]].shape[1:] == (1, 1)
        if node.op_type == "Clip":
            assert [weights[i].shape for i in node.input[1:]] == [(), ()]


@pytest.mark.parametrize("opset", [7, 8, 9, 11, 13, 17, 18, 21, 23])
@pytest.mark.parametrize("name", sorted(NETS))
def test_opsets(name: str, opset: int) -> None:
    model = NETS[name](opset=opset)
    sr = normalize(model)
    check_canonical(sr)
    agree(model, sr)
    assert sr.changes == () or not any("fixed" in c for c in sr.changes)


@pytest.mark.parametrize("name", sorted(NETS))
def test_fixed_sizes_are_freed(name: str) -> None:
    sr = normalize(NETS[name](size=(12, 15)))
    check_canonical(sr)
    agree(NETS[name](), sr, size=(8, 9))
    assert "freed the picture's size, which was fixed to 12x15" in sr.changes


def test_the_source_is_not_changed() -> None:
    model = xlsr(opset=11)
    before = model.SerializeToString()
    normalize(model)
    assert model.SerializeToString() == before


def test_normalizing_twice_changes_nothing() -> None:
    once = normalize(xlsr())
    again = normalize(once.model, value_range="0..1")
    assert operators(again) == operators(once)
    assert again.model.graph.initializer == once.model.graph.initializer


def half(model: onnx.ModelProto, *, ends: bool) -> onnx.ModelProto:
    """The model with float16 weights, computing in float16 (``ends``) or casting its weights up."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    casts = []
    for tensor in out.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
            if not ends:
                casts.append(helper.make_node("Cast", [tensor.name], [f"{tensor.name}_up"], to=TensorProto.FLOAT))
    if ends:
        for value in (out.graph.input[0], out.graph.output[0]):
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    else:
        up = {c.input[0]: c.output[0] for c in casts}
        for node in out.graph.node:
            for i, name in enumerate(node.input):
                node.input[i] = up.get(name, name)
        nodes = [*casts, *out.graph.node]
        del out.graph.node[:]
        out.graph.node.extend(nodes)
    checker.check_model(out, full_check=True)
    return out


@pytest.mark.parametrize("ends", [True, False], ids=["float16 inside", "float16 weights"])
@pytest.mark.parametrize("name", sorted(NETS))
def test_float16(name: str, ends: bool) -> None:
    model = half(NETS[name](), ends=ends)
    sr = normalize(model)
    check_canonical(sr)
    assert "Cast" not in operators(sr)
    assert "converted float16 to float32" in sr.changes
    agree(model, sr, tolerance=2e-2 if ends else 1e-4)


def test_float16_ends_with_float32_inside() -> None:
    b = Builder()
    x = b.conv(b.node("Cast", "input", to=TensorProto.FLOAT), 3, 12, identity=3, repeat=4)
    b.node("Cast", b.depth_to_space(x, 2), to=TensorProto.FLOAT16, out="output")
    graph = helper.make_graph(
        b.nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT16, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT16, [1, 3, "H", "W"])],
        b.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    sr = normalize(model)
    assert operators(sr) == ["Conv", "DepthToSpace"]
    agree(model, sr, tolerance=2e-2)


def test_xlsr_s_parallel_convolutions_are_one() -> None:
    sr = normalize(xlsr())
    want = normalize(xlsr(merged=True))
    assert operators(sr) == operators(want)
    assert Counter(operators(sr))["Conv"] == 11
    assert "merged parallel convolutions: 4 into one" in sr.changes


@pytest.mark.parametrize("activation", ["none", "Relu", "PRelu", "LeakyRelu", "Clip"])
def test_parallel_convolutions(activation: str) -> None:
    b = Builder(7)
    parts = []
    for i in range(3):
        x = b.conv("input", 3, 4 + i, identity=3)
        if activation == "PRelu":
            x = b.prelu(x, 4 + i)
        elif activation == "Clip":
            x = b.clip(x, 0.0, 0.7)
        elif activation != "none":
            x = b.node(activation, x)
        parts.append(x)
    other = b.conv("input", 3, 3, 5)
    joined = b.node("Concat", *parts, other, axis=1)
    b.depth_to_space(b.conv(joined, 18, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    check_canonical(sr)
    assert Counter(operators(sr))["Conv"] == 3, "three of a kind become one, the 5x5 stays"
    agree(model, sr)


def test_different_branches_stay_apart() -> None:
    b = Builder(7)
    x = b.node("Relu", b.conv("input", 3, 4, identity=3))
    y = b.conv("input", 3, 4, identity=3)
    z = b.conv("input", 3, 4, 1, identity=3)
    b.depth_to_space(b.conv(b.node("Concat", x, y, z, axis=1), 12, 12, identity=3, repeat=4), 2, out="output")
    sr = normalize(b.model(3, 2), value_range="0..1")
    assert Counter(operators(sr))["Conv"] == 4


def test_the_anchor_and_the_broadcast_addition_survive() -> None:
    anchor = normalize(abpn())
    concat = next(n for n in anchor.model.graph.node if n.op_type == "Concat")
    assert list(concat.input) == ["input"] * 9
    broadcast = normalize(sesr())
    adds = [n for n in broadcast.model.graph.node if n.op_type == "Add"]
    assert "input" in adds[-1].input


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_auto_pad(mode: str, kernel: int) -> None:
    b = Builder()
    x = b.conv("input", 1, 4, kernel, identity=1)
    node = b.nodes[-1]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("auto_pad", mode))
    b.depth_to_space(x, 2, out="output")
    model = b.model(1, 2)
    sr = normalize(model, value_range="0..1")
    check_canonical(sr)
    agree(model, sr)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("kernel", "stride"), [(9, 3), (4, 2), (5, 2)])
def test_auto_pad_of_transposed_convolutions(mode: str, kernel: int, stride: int) -> None:
    b = Builder()
    w = b.const(b.rng.normal(0, 0.1, (3, 3, kernel, kernel)))
    b.node("ConvTranspose", "input", w, auto_pad=mode, strides=[stride] * 2, out="output")
    model = b.model(3, stride)
    sr = normalize(model, value_range="0..1")
    check_canonical(sr)
    agree(model, sr)


def test_padding_before_convolutions_is_merged() -> None:
    b = Builder()
    padded = b.node("Pad", "input", b.const([0, 0, 2, 1, 0, 0, 2, 1], np.int64))
    w = b.const(b.rng.normal(0, 0.1, (12, 3, 5, 3)))
    b.depth_to_space(b.node("Conv", padded, w, auto_pad="VALID"), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    check_canonical(sr)
    assert operators(sr) == ["Conv", "DepthToSpace"]
    agree(model, sr)


def test_reflecting_pad_stays() -> None:
    b = Builder()
    padded = b.node("Pad", "input", b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect")
    x = b.conv(padded, 3, 12, 3, identity=3, repeat=4)
    next(a for a in b.nodes[-1].attribute if a.name == "pads").ints[:] = [0] * 4
    b.depth_to_space(x, 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model)
    assert operators(sr) == ["Pad", "Conv", "DepthToSpace"]
    assert sr.halo == 1
    agree(model, sr)


def test_refusals() -> None:
    two = Builder()
    two.node("Add", "input", "other", out="output")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        two.nodes, "g", [info(n, 1, [1, 3, 8, 8]) for n in ("input", "other")], [info("output", 1, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="2 inputs and 1 outputs"):
        normalize(model)

    def ends(shape: list[object], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
        nodes = [helper.make_node("Identity", ["input"], ["output"])]
        made = helper.make_graph(nodes, "g", [info("input", kind, shape)], [info("output", kind, shape)])
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    with pytest.raises(ModelError, match="has rank 2, not 4"):
        normalize(ends([1, 784]))
    with pytest.raises(ModelError, match="has 5 channels"):
        normalize(ends([1, 5, "h", "w"]))
    with pytest.raises(ModelError, match="is int32, neither float nor uint8"):
        normalize(ends([1, 3, "h", "w"], TensorProto.INT32))
    same = helper.make_graph(
        [helper.make_node("Relu", ["input"], ["y"])],
        "g",
        [info("input", 1, [1, 3, "h", "w"])],
        [info("input", 1, [1, 3, "h", "w"])],
    )
    with pytest.raises(ModelError, match="output 'input' is made by no operator"):
        normalize(helper.make_model(same, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_a_classifier_is_refused() -> None:
    b = Builder()
    x = b.node("GlobalAveragePool", b.conv("input", 3, 10))
    b.node("Flatten", x, out="output")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes, "g", [info("input", 1, [1, 3, 32, 32])], [info("output", 1, [1, 10])], b.initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match=r"makes \(1, 10\) of an input"):
        normalize(model)


def test_vendor_operators_and_control_flow_are_refused() -> None:
    model = espcn()
    model.opset_import.add(domain="com.microsoft", version=1)
    model.graph.node[1].domain = "com.microsoft"
    model.graph.node[1].op_type = "QuickGelu"
    with pytest.raises(ModelError, match=r"QuickGelu of domain 'com\.microsoft'"):
        normalize(model)
    model = espcn()
    empty = helper.make_graph([], "g", [], [])
    model.graph.node.insert(0, helper.make_node("If", ["c"], [], then_branch=empty, else_branch=empty))
    with pytest.raises(ModelError, match=r"control flow: If"):
        normalize(model)


def test_local_functions_are_inlined() -> None:
    model = espcn()
    relu = helper.make_function(
        "local", "Act", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    model.functions.append(relu)
    model.opset_import.add(domain="local", version=1)
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = "Act", "local"
    checker.check_model(model)
    sr = normalize(model)
    check_canonical(sr)
    assert operators(sr) == operators(normalize(espcn()))


def test_a_wrong_rewrite_is_never_shipped(new_pass: Callable[[str, str], None]) -> None:
    code = """
        name = next(n for n in graph.constants if n.startswith("weight"))
        graph.constants[name] = graph.constants[name] * 1.01
        return facts
    """
    new_pass("wrong", code)
    with pytest.raises(ModelError, match="differs from its source"):
        normalize(espcn(), passes=(*REWRITE, "wrong"))


def test_growing_constants_are_not_computed() -> None:
    """A few bytes that ask for terabytes are left alone by folding."""
    from toolchain.frontend.graph import Graph
    from toolchain.frontend.passes import constants

    b = Builder()
    big = b.node("ConstantOfShape", b.const([1 << 20, 1 << 20], np.int64))
    b.node("Add", "input", b.node("ReduceSum", big), out="output")
    graph = Graph(b.model(3, 1), (1, 3, 8, 8))
    constants.apply(graph)
    assert "ConstantOfShape" in [n.op_type for n in graph.nodes]


def test_is_loadable_after_saving(tmp_path: object) -> None:
    path = tmp_path / "n.onnx"
    sr = normalize(abpn())
    path.write_bytes(sr.model.SerializeToString())
    x = np.random.default_rng(0).uniform(0, 255, (1, 3, 9, 7)).astype(np.float32)
    np.testing.assert_array_equal(run(load.load_model(path), x), run(sr.model, x))
