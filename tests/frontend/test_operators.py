"""Operators that changed between opsets, as they occur in super-resolution networks."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.support.errors import ModelError


def shuffled(b: Builder, x: str, out: str = "output") -> str:
    return b.depth_to_space(x, 2, "DCR", out=out)


def built(b: Builder, want: list[str], **options: object) -> int:
    """Normalizes, compares and returns the halo."""
    model = b.model(3, 2, **options)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == want
    agree(model, sr)
    return sr.halo


@pytest.mark.parametrize("opset", [9, 10, 13, 17, 18, 19, 21, 23])
def test_interpolated_skip(opset: int) -> None:
    b = Builder(1, opset)
    x = shuffled(b, b.conv("input", 3, 12), out="")
    scales = b.const([1, 1, 2, 2])
    if opset <= 10:
        up = b.node("Upsample" if opset == 9 else "Resize", "input", scales, mode="linear")
    else:
        up = b.node("Resize", "input", "", scales, mode="cubic")
    b.node("Add", x, up, out="output")
    built(b, ["Conv", "DepthToSpace", "Resize", "Add"])


@pytest.mark.parametrize("opset", [9, 10])
def test_nearest_skip_of_old_opsets(opset: int) -> None:
    b = Builder(1, opset)
    x = shuffled(b, b.conv("input", 3, 12), out="")
    up = b.node("Upsample" if opset == 9 else "Resize", "input", b.const([1, 1, 2, 2]), mode="nearest")
    b.node("Add", x, up, out="output")
    built(b, ["Conv", "Concat", "Add", "DepthToSpace"])


@pytest.mark.parametrize("opset", [18, 21])
def test_resize_along_axes(opset: int) -> None:
    b = Builder(1, opset)
    x = shuffled(b, b.conv("input", 3, 12), out="")
    up = b.node("Resize", "input", "", b.const([2, 2]), mode="linear", axes=[2, 3])
    b.node("Add", x, up, out="output")
    built(b, ["Conv", "DepthToSpace", "Resize", "Add"])


@pytest.mark.parametrize("opset", [13, 17, 18, 23])
def test_split(opset: int) -> None:
    b = Builder(1, opset)
    options = {"num_outputs": 2} if opset >= 18 else {}
    b.nodes.append(helper.make_node("Split", [b.conv("input", 3, 24)], ["p", "q"], axis=1, **options))
    shuffled(b, b.node("Add", "p", b.node("Relu", "q")))
    assert built(b, ["Conv", "Gather", "Gather", "Relu", "Add", "DepthToSpace"]) == 1


@pytest.mark.parametrize("opset", [13, 17, 18, 23])
def test_channel_attention(opset: int) -> None:
    b = Builder(1, opset)
    x = b.conv("input", 3, 12)
    if opset >= 18:
        mean = b.node("ReduceMean", x, b.const([2, 3], np.int64), keepdims=1)
    else:
        mean = b.node("ReduceMean", x, axes=[2, 3], keepdims=1)
    shuffled(b, b.node("Mul", x, b.node("Sigmoid", mean)))
    assert built(b, ["Conv", "GlobalAveragePool", "Sigmoid", "Mul", "DepthToSpace"]) == UNBOUNDED_HALO


@pytest.mark.parametrize("opset", [9, 10, 18, 21, 23])
def test_pad(opset: int) -> None:
    b = Builder(1, opset)
    if opset < 11:
        x = b.node("Pad", "input", pads=[0, 0, 1, 1, 0, 0, 1, 1])
    else:
        x = b.node("Pad", "input", b.const([1, 1, 1, 1], np.int64), "", b.const([2, 3], np.int64))
    shuffled(b, b.node("Conv", x, b.const(b.rng.normal(0, 0.1, (12, 3, 3, 3)))))
    built(b, ["Conv", "DepthToSpace"])


@pytest.mark.parametrize("opset", [9, 13, 14, 15])
def test_norm_dropout_and_squeezing(opset: int) -> None:
    b = Builder(1, opset)
    vectors = [b.const(b.rng.uniform(0.5, 1, 12)) for _ in range(4)]
    x = b.node("BatchNormalization", b.node("Dropout", b.conv("input", 3, 12)), *vectors)
    if opset < 13:
        x = b.node("Unsqueeze", b.node("Squeeze", x, axes=[0]), axes=[0])
    else:
        zero = b.const([0], np.int64)
        x = b.node("Unsqueeze", b.node("Squeeze", x, zero), zero)
    shuffled(b, x)
    built(b, ["Conv", "DepthToSpace"])


@pytest.mark.parametrize(
    ("op", "opset", "want"),
    [
        ("Mish", 18, ["Softplus", "Tanh", "Mul"]),
        ("Mish", 22, ["Softplus", "Tanh", "Mul"]),
        ("Gelu", 20, ["Div", "Erf", "Add", "Mul", "Mul"]),
    ],
)
def test_newer_activations_are_taken_apart(op: str, opset: int, want: list[str]) -> None:
    b = Builder(1, opset)
    shuffled(b, b.node(op, b.conv("input", 3, 12)))
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert sorted(operators(sr)[1:-1]) == sorted(want)
    assert sr.halo == 1
    agree(model, sr)


def test_what_opset_17_cannot_say_is_refused() -> None:
    b = Builder(1, 20)
    grid = b.node("AffineGrid", b.const(np.eye(2, 3)[None]), b.const([1, 3, 16, 16], np.int64))
    b.node("GridSample", "input", grid, out="output")
    with pytest.raises(ModelError, match="cannot be converted from opset 20 to 17"):
        normalize(b.model(3, 2, size=(8, 8)))


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (9, 3), (5, 2), (4, 3)])
def test_transposed_convolution_with_a_fixed_output(kernel: int, stride: int) -> None:
    b = Builder(1)
    w = b.const(b.rng.normal(0, 0.1, (3, 3, kernel, kernel)))
    b.node("ConvTranspose", "input", w, strides=[stride] * 2, output_shape=[10 * stride, 12 * stride], out="output")
    model = b.model(3, stride, size=(10, 12))
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "DepthToSpace"]
    agree(model, sr)
