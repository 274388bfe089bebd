from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.frontend.spellings import add_clip, agree, operators
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.support.errors import ModelError

LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def ends(b: Builder, source: list[object], target: list[object]) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "net",
        [info("input", TensorProto.FLOAT, source)],
        [info("output", TensorProto.FLOAT, target)],
        b.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("size", [("h", "w"), (12, 12)], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_at_both_ends(channels: int, size: tuple[object, object]) -> None:
    """As TensorFlow writes it: bias and clip in NHWC, convolutions in NCHW, the input repeated and added."""
    b = Builder(1)
    x = b.node("Relu", b.conv(b.node("Transpose", "input", perm=FIRST), channels, 8, identity=channels))
    x = b.node("Transpose", b.conv(x, 8, 4 * channels, bias=0, noise=1.0), perm=LAST)
    x = b.node("Add", x, b.const(b.rng.normal(0, 0.02, 4 * channels)))
    x = b.node("Add", x, b.node("Concat", *["input"] * 4, axis=3))
    x = b.depth_to_space(b.node("Transpose", x, perm=FIRST), 2, "DCR")
    add_clip(b, b.node("Transpose", x, perm=LAST), "Relu+Min", 1.0, "output")
    out = [2 * s if isinstance(s, int) else s * 2 for s in size]
    model = ends(b, [1, *size, channels], [1, *out, channels])
    sr = normalize(model)
    assert operators(sr).count("Transpose") == 0
    assert sr.clip is not None
    assert (sr.channels, sr.scale) == (channels, 2)
    agree(model, sr)


def test_channels_last_input_only() -> None:
    b = Builder(1)
    x = b.conv(b.node("Transpose", "input", perm=FIRST), 3, 12, identity=3, repeat=4)
    b.depth_to_space(x, 2, out="output")
    model = ends(b, [1, "h", "w", 3], [1, 3, "H", "W"])
    sr = normalize(model)
    assert operators(sr) == ["Conv", "DepthToSpace"]
    agree(model, sr)


def test_mean_subtracted_in_channels_last() -> None:
    b = Builder(1)
    x = b.node("Sub", "input", b.const([0.4, 0.5, 0.6]))
    x = b.conv(b.node("Transpose", x, perm=FIRST), 3, 12, identity=3, repeat=4)
    b.node("Add", b.node("Transpose", b.depth_to_space(x, 2), perm=LAST), b.const([0.4, 0.5, 0.6]), out="output")
    model = ends(b, [1, "h", "w", 3], [1, "H", "W", 3])
    sr = normalize(model)
    assert operators(sr) == ["Conv", "Conv", "DepthToSpace"]
    agree(model, sr)


@pytest.mark.parametrize("declared", ["sizes", "free"])
def test_resized_input_as_skip(declared: str) -> None:
    """An interpolated input is added to the result; its size was computed, or fixed."""
    b = Builder(1)
    x = b.depth_to_space(b.conv("input", 3, 12, noise=1.0), 2)
    if declared == "sizes":
        sizes = b.const([1, 3, 20, 24], np.int64)
    else:
        spatial = b.node("Slice", b.node("Shape", x), b.const([2], np.int64), b.const([4], np.int64))
        sizes = b.node("Concat", b.const([1, 3], np.int64), spatial, axis=0)
    up = b.node("Resize", "input", "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
    b.node("Add", x, up, out="output")
    model = b.model(3, 2, size=(10, 12) if declared == "sizes" else None)
    sr = normalize(model)
    assert operators(sr) == ["Conv", "DepthToSpace", "Resize", "Add"] or sorted(operators(sr)) == [
        "Add",
        "Conv",
        "DepthToSpace",
        "Resize",
    ]
    resize = next(n for n in sr.model.graph.node if n.op_type == "Resize")
    assert len(resize.input) == 3, "scales instead of sizes"
    agree(model, sr)


@pytest.mark.parametrize("fixed", [True, False])
def test_cropped_transposed_convolution(fixed: bool) -> None:
    """As tf2onnx writes conv2d_transpose with SAME: all of it, then the middle is cut out."""
    b = Builder(1)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    full = b.node("ConvTranspose", x, b.const(b.rng.normal(0, 0.1, (8, 3, 9, 9))), strides=[3, 3])
    begin = b.const([3, 3], np.int64)
    if fixed:
        end = b.const([33, 39], np.int64)
    else:
        size = b.node("Slice", b.node("Shape", x), b.const([2], np.int64), b.const([4], np.int64))
        end = b.node("Add", b.node("Mul", size, b.const([3, 3], np.int64)), begin)
    b.node("Slice", full, begin, end, b.const([2, 3], np.int64), out="output")
    model = b.model(3, 3, size=(10, 12) if fixed else None)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    agree(model, sr)


def test_a_size_that_cannot_be_freed_is_refused() -> None:
    b = Builder(1)
    x = b.conv("input", 3, 12, identity=3, repeat=4)
    x = b.node("Add", x, b.const(b.rng.normal(0, 1, (1, 12, 8, 8))))
    b.depth_to_space(x, 2, out="output")
    with pytest.raises(ModelError, match="pictures of any size"):
        normalize(b.model(3, 2, size=(8, 8)))
