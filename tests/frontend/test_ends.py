"""Ends of models as people export them: uint8, channels last, batches, large fixed sizes, float64, no shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.frontend.spellings import agree
from tests.sr_models import Builder, espcn, fsrcnn, xlsr
from toolchain.frontend import interface, load_model, normalize
from toolchain.frontend.session import FloatSession
from toolchain.quantize.plan import make_plan
from toolchain.support.errors import ModelError


def reloaded(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Through a file, as a user's."""
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return load_model(folder / "m.onnx")


def pixel_network(*, rounded: bool = True, swapped: bool = True) -> onnx.ModelProto:
    """RGB x2 that takes and gives uint8 NHWC, channels swapped at both ends if asked."""
    b = Builder()
    x = b.node("Transpose", b.node("Cast", "input", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    order = b.const([2, 1, 0], np.int64)
    if swapped:
        x = b.node("Gather", x, order, axis=1)
    x = b.conv(b.node("Div", x, b.const(255.0)), 3, 12, identity=3, repeat=4)
    x = b.node("Mul", b.depth_to_space(x, 2), b.const(255.0))
    if swapped:
        x = b.node("Gather", x, order, axis=1)
    x = b.clip(b.node("Transpose", x, perm=[0, 2, 3, 1]), 0.0, 255.0)
    b.node("Cast", b.node("Round", x) if rounded else x, out="output", to=TensorProto.UINT8)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "pixels",
        [info("input", TensorProto.UINT8, [1, "h", "w", 3])],
        [info("output", TensorProto.UINT8, [1, "H", "W", 3])],
        b.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("swapped", [True, False])
def test_pixels_in_and_out(rounded: bool, swapped: bool, tmp_path: Path):
    model = reloaded(pixel_network(rounded=rounded, swapped=swapped), tmp_path)
    sr = normalize(model)
    assert (sr.channels, sr.scale, sr.value_range) == (3, 2, (0.0, 255.0))
    assert "took uint8 pixels at its ends for the numbers 0..255" in sr.changes
    pixels = np.random.default_rng(0).integers(0, 256, (1, 13, 17, 3), dtype=np.uint8)
    (want,) = FloatSession(model).run(None, pixels)
    (got,) = FloatSession(sr.model).run(None, pixels.transpose(0, 3, 1, 2).astype(np.float32))
    found = np.rint(np.clip(got, 0, 255)).transpose(0, 2, 3, 1)
    assert np.abs(found - want).max() <= 1  # where a value lies halfway
    assert (found != want).mean() < 1e-3


def flipped(b: Builder, x: str, axis: int) -> str:
    """Channels in reverse order, as ``x[..., ::-1]`` is exported."""
    return b.node("Slice", x, *(b.const([value], np.int64) for value in (-1, -4, axis, -1)))


def through_whole_numbers(b: Builder, x: str) -> str:
    """Rounded, clipped as numbers of 32 bits, and only then pixels."""
    whole = b.node("Cast", b.node("Round", x), to=TensorProto.INT32)
    clipped = b.node("Clip", whole, b.const(0, np.int32), b.const(255, np.int32))
    return b.node("Cast", clipped, to=TensorProto.UINT8)


def in_parts(b: Builder, x: str) -> str:
    """Cut off, and channels in reverse order by parts: the fraction that is cut off is the same for all."""
    parts = [b.fresh("part") for _ in range(3)]
    b.nodes.append(helper.make_node("Split", [b.clip(x, 0.0, 255.0)], parts, axis=1))
    return b.node("Concat", *(b.node("Cast", part, to=TensorProto.UINT8) for part in parts[::-1]), axis=1)


def rounded_in_parts(b: Builder, x: str) -> str:
    parts = [b.fresh("part") for _ in range(3)]
    b.nodes.append(helper.make_node("Split", [b.node("Round", b.clip(x, 0.0, 255.0))], parts, axis=1))
    return b.node("Concat", *(b.node("Cast", part, to=TensorProto.UINT8) for part in parts[::-1]), axis=1)


def half_up(b: Builder, x: str) -> str:
    return b.node("Cast", b.node("Floor", b.clip(b.node("Add", x, b.const(0.5)), 0.0, 255.0)), to=TensorProto.UINT8)


@pytest.mark.parametrize("way", [through_whole_numbers, in_parts, rounded_in_parts, half_up])
def test_pixels_in_other_words(way: Callable[[Builder, str], str], tmp_path: Path):
    b = Builder()
    x = b.node("Cast", flipped(b, "input", 3), to=TensorProto.FLOAT)  # while they are pixels, channels last
    x = b.node("Div", b.node("Transpose", x, perm=[0, 3, 1, 2]), b.const(255.0))
    x = b.node("Relu", b.conv(x, 3, 12, identity=3, repeat=4))
    x = flipped(b, b.node("Mul", b.depth_to_space(x, 2), b.const(255.0)), 1)
    b.node("Identity", way(b, x), out="output")
    info = helper.make_tensor_value_info
    ends = [info("input", TensorProto.UINT8, [1, "h", "w", 3])], [info("output", TensorProto.UINT8, [1, 3, "H", "W"])]
    graph = helper.make_graph(b.nodes, "pixels", *ends, b.initializers)
    model = reloaded(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path)
    sr = normalize(model, value_range="0..255")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 13, 17, 3), dtype=np.uint8)
    (want,) = FloatSession(model).run(None, pixels)
    (got,) = FloatSession(sr.model).run(None, pixels.transpose(0, 3, 1, 2).astype(np.float32))
    found = np.rint(np.clip(got, 0, 255))
    assert np.abs(found - want).max() <= 1  # where a value lies halfway
    assert (found != want).mean() < 1e-3
    assert not {"Slice", "Cast", "Round", "Floor", "Transpose"} & {node.op_type for node in sr.model.graph.node}


def test_a_fixed_batch_becomes_one(tmp_path: Path):
    b = Builder()
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    x = b.node("Reshape", b.conv(x, 8, 12, identity=3, repeat=4), b.const([4, 3, 2, 2, 20, 16], np.int64))
    b.node("Reshape", b.node("Transpose", x, perm=[0, 1, 4, 2, 5, 3]), b.const([4, 3, 40, 32], np.int64), out="output")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "four",
        [info("input", TensorProto.FLOAT, [4, 3, 20, 16])],
        [info("output", TensorProto.FLOAT, [4, 3, 40, 32])],
        b.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    sr = normalize(reloaded(model, tmp_path))
    assert sr.scale == 2
    assert "took the batch for one picture, which was fixed to 4" in sr.changes
    x = np.random.default_rng(0).random((4, 3, 20, 16), np.float32)
    (want,) = FloatSession(model).run(None, x)
    for one, expected in zip(x, want, strict=True):
        np.testing.assert_allclose(FloatSession(sr.model).run(None, one[None])[0][0], expected, atol=1e-5)


def test_a_fixed_size_that_is_too_large_to_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interface, "MAX_PIXELS", 1000)
    sr = normalize(reloaded(espcn(size=(50, 40)), tmp_path))
    assert "freed the picture's size, which was fixed to 50x40" in sr.changes
    agree(espcn(), sr)


def test_a_large_size_that_is_baked_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interface, "MAX_PIXELS", 1000)
    b = Builder()
    x = b.node("Reshape", b.conv("input", 3, 12), b.const([1, 3, 2, 2, 50, 40], np.int64))
    b.node("Reshape", b.node("Transpose", x, perm=[0, 1, 4, 2, 5, 3]), b.const([1, 3, 100, 80], np.int64), out="output")
    with pytest.raises(ModelError, match=r"fixed to 50x40, which is too large to be tried; of another size.* Reshape"):
        normalize(b.model(3, 2, size=(50, 40)))


@pytest.mark.parametrize("make", [espcn, fsrcnn, xlsr])
def test_float64(make: object, tmp_path: Path):
    model = make()  # type: ignore[operator]
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    sr = normalize(reloaded(model, tmp_path))
    assert "converted float64 to float32" in sr.changes
    agree(make(), sr)  # type: ignore[operator]


@pytest.mark.parametrize(("taken", "given"), [(1, 2), (3, 12)])
def test_other_channels_at_the_end(taken: int, given: int):
    b = Builder()
    b.depth_to_space(b.conv("input", taken, 4 * given), 2, out="output")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "g",
        [info("input", 1, [1, taken, "h", "w"])],
        [info("output", 1, [1, given, "H", "W"])],
        b.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match=f"takes pictures of {taken} channels? and gives {given}") as caught:
        normalize(model)
    assert "1 channel or 3" in caught.value.hint


@pytest.mark.parametrize("way", ["chroma", "luma", "opaque", "coloured"])
def test_planes_joined_by_their_owners_are_integer(way: str):
    b = Builder()
    if way in ("chroma", "luma"):
        given, index = (2, [0]) if way == "chroma" else (1, [1, 2])
        made = b.depth_to_space(b.conv("input", 3, 4 * given), 2)
        kept = b.node("Gather", "input", b.const(index, np.int64), axis=1)
        large = b.node("Resize", kept, "", b.const([1, 1, 2, 2]), mode="cubic")
        b.node("Concat", *((large, made) if way == "chroma" else (made, large)), axis=1, out="output")
    elif way == "opaque":
        x = b.node("Pad", "input", b.const([0, 0, 0, 0, 0, 1, 0, 0], np.int64), b.const(1.0))
        made = b.depth_to_space(b.conv(x, 4, 16), 2)
        b.node("Gather", made, b.const([0, 1, 2], np.int64), axis=1, out="output")
    else:
        b.depth_to_space(b.conv(b.node("ReduceMean", "input", axes=[1]), 1, 12), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    agree(model, sr)
    assert make_plan(sr).float_operators == ()


def test_outputs_without_a_shape_or_a_type(tmp_path: Path):
    for part in ("shape", "type"):
        model = espcn()
        if part == "shape":
            model.graph.output[0].type.tensor_type.ClearField("shape")
        else:
            model.graph.output[0].ClearField("type")
        agree(espcn(), normalize(reloaded(model, tmp_path)))


def test_nodes_in_any_order(tmp_path: Path):
    model = xlsr()
    nodes = list(model.graph.node)
    np.random.default_rng(3).shuffle(nodes)  # type: ignore[arg-type]
    shuffled = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(shuffled)
    sr = normalize(reloaded(model, tmp_path))
    agree(xlsr(), sr)


def test_nodes_in_order_stay_as_they_are(tmp_path: Path):
    assert reloaded(xlsr(), tmp_path).SerializeToString() == xlsr().SerializeToString()


def test_a_cycle_is_a_sentence(tmp_path: Path):
    model = espcn()
    model.graph.node[0].input[0] = model.graph.node[1].output[0]
    with pytest.raises(ModelError, match=r"not a valid ONNX model: operator .* reads a tensor that nothing makes"):
        reloaded(model, tmp_path)


@pytest.mark.parametrize("inputs", [True, False])
def test_the_third_file_format(inputs: bool, tmp_path: Path):
    """Which wants initializers among the inputs, as many files of it do not have them."""
    model = espcn(opset=9)
    model.ir_version = 3
    if inputs:
        model.graph.input.extend(
            helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer
        )
    agree(espcn(opset=9), normalize(reloaded(model, tmp_path)))


def test_weights_alone_stored_as_integers_are_float(tmp_path: Path):
    b = Builder()
    codes = np.random.default_rng(0).integers(-20, 21, (12, 3, 3, 3)).astype(np.int8)
    codes[:, :, 1, 1] += 100 * np.repeat(np.eye(3, dtype=np.int8), 4, axis=0)
    scale = np.full(12, 0.01, np.float32)
    weight = b.node("DequantizeLinear", b.const(codes, np.int8), b.const(scale), axis=0)
    b.depth_to_space(b.node("Conv", "input", weight, pads=[1] * 4), 2, out="output")
    sr = normalize(reloaded(b.model(3, 2), tmp_path), value_range="0..1")
    weights = [numpy_helper.to_array(t) for t in sr.model.graph.initializer if len(t.dims) == 4]
    np.testing.assert_allclose(weights[0], codes * np.float32(0.01), rtol=1e-6)


def test_functions_that_call_functions_are_counted_first(tmp_path: Path):
    model = espcn()
    call = helper.make_node("F0", ["x"], ["y"], domain="local")
    bodies = [[helper.make_node("Relu", ["x"], ["y"])]]
    for depth in range(30):
        bodies.append(
            [
                helper.make_node(f"F{depth}", ["x"], ["m"], domain="local"),
                helper.make_node(f"F{depth}", ["m"], ["y"], domain="local"),
            ]
        )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    for depth, body in enumerate(bodies):
        model.functions.append(helper.make_function("local", f"F{depth}", ["x"], ["y"], body, opsets))
    model.opset_import.add(domain="local", version=1)
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    node.op_type, node.domain = "F30", "local"
    with pytest.raises(ModelError, match="operators with its functions written out"):
        reloaded(model, tmp_path)
    del bodies, call
    body = model.functions[3].node[0]
    body.op_type = "F3"
    with pytest.raises(ModelError, match="'F3' calls itself"):
        reloaded(model, tmp_path)


def test_reductions_and_parts_of_a_newer_opset(tmp_path: Path):
    b = Builder(opset=20)
    x = b.conv("input", 3, 8, identity=3)
    mean = b.node("ReduceMean", x, b.const([1], np.int64), keepdims=1)
    first, second = f"{x}_0", f"{x}_1"
    b.nodes.append(
        helper.make_node("Split", [b.node("Mish", b.node("Sub", x, mean))], [first, second], axis=1, num_outputs=2)
    )
    y = b.node("Add", b.node("Gelu", first), b.node("ReduceMax", second, b.const([1], np.int64), keepdims=1))
    b.depth_to_space(b.conv(y, 4, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(reloaded(model, tmp_path), value_range="0..1")
    agree(model, sr)
    assert sr.halo == 2  # means over channels look no farther


def test_an_activation_of_a_newer_opset_without_its_attribute(tmp_path: Path):
    b = Builder(opset=24)
    b.depth_to_space(
        b.conv(b.node("Swish", b.conv("input", 3, 8, identity=3)), 8, 12, identity=3, repeat=4), 2, out="output"
    )
    model = b.model(3, 2)
    sr = normalize(reloaded(model, tmp_path), value_range="0..1")
    agree(model, sr)


@pytest.mark.parametrize("taken", ["Squeeze", "Gather"])
def test_pictures_of_three_axes(taken: str, tmp_path: Path):
    """A function on single pictures, (height, width, 3) of uint8."""
    b = Builder()
    front = b.const([0], np.int64)
    x = b.node("Transpose", b.node("Cast", "input", to=TensorProto.FLOAT), perm=[2, 0, 1])
    x = b.node("Unsqueeze", b.node("Div", x, b.const(255.0)), front)
    x = b.depth_to_space(b.conv(x, 3, 12, identity=3, repeat=4), 2)
    x = b.node("Squeeze", x, front) if taken == "Squeeze" else b.node("Gather", x, b.const(0, np.int64), axis=0)
    x = b.node("Transpose", b.clip(b.node("Mul", x, b.const(255.0)), 0.0, 255.0), perm=[1, 2, 0])
    b.node("Cast", b.node("Round", x), out="output", to=TensorProto.UINT8)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [f"{name}_h", f"{name}_w", 3])
        for name in ("input", "output")
    ]
    graph = helper.make_graph(b.nodes, "picture", ends[:1], ends[1:], b.initializers)
    model = reloaded(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path)
    sr = normalize(model)
    assert (sr.channels, sr.scale) == (3, 2)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    (want,) = FloatSession(model).run(None, pixels)
    (got,) = FloatSession(sr.model).run(None, pixels.transpose(2, 0, 1)[None].astype(np.float32))
    np.testing.assert_array_equal(np.rint(np.clip(got[0], 0, 255)).transpose(1, 2, 0), want)
