"""TensorFlow Lite files: every operator against NumPy's answer in the file's own layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tflite_files import RELU6, SAME, VALID, File, conv, enlarger, integer_enlarger
from toolchain.frontend import is_quantized, load_model, normalize
from toolchain.frontend.session import FloatSession
from toolchain.frontend.tflite.convert import to_onnx
from toolchain.quantize import canonicalize

Array = np.ndarray
RNG = np.random.default_rng(11)
X = RNG.normal(0, 1, (1, 8, 12, 6)).astype(np.float32)


def convolved(x: Array, w: Array, *, pads: tuple[int, int, int, int], stride: int = 1, dilation: int = 1) -> Array:
    """(1, h, w, I) by (O, kh, kw, I)."""
    top, bottom, left, right = pads
    padded = np.pad(x[0], ((top, bottom), (left, right), (0, 0)))
    kh, kw = w.shape[1:3]
    rows = (padded.shape[0] - (kh - 1) * dilation - 1) // stride + 1
    columns = (padded.shape[1] - (kw - 1) * dilation - 1) // stride + 1
    out = np.zeros((rows, columns, w.shape[0]))
    for y in range(rows):
        for z in range(columns):
            part = padded[y * stride :, z * stride :][: (kh - 1) * dilation + 1 : dilation]
            out[y, z] = np.einsum("abc,oabc->o", part[:, : (kw - 1) * dilation + 1 : dilation], w)
    return out[None]


def scattered(x: Array, w: Array, stride: int) -> Array:
    """A transposed convolution without padding: (1, h, w, I) by (O, kh, kw, I)."""
    _, height, width, _ = x.shape
    kh, kw = w.shape[1:3]
    out = np.zeros((height * stride + kh - stride, width * stride + kw - stride, w.shape[0]))
    for y in range(height):
        for z in range(width):
            out[y * stride : y * stride + kh, z * stride : z * stride + kw] += np.einsum("c,oabc->abo", x[0, y, z], w)
    return out[None]


def blocks(x: Array, block: int) -> Array:
    _, height, width, channels = x.shape
    split = x.reshape(height, width, block, block, channels // block**2).transpose(0, 2, 1, 3, 4)
    return split.reshape(1, height * block, width * block, -1)


W = RNG.normal(0, 1, (4, 3, 3, 6)).astype(np.float32)
D = RNG.normal(0, 1, (1, 3, 3, 6)).astype(np.float32)
T = RNG.normal(0, 1, (4, 4, 4, 6)).astype(np.float32)
SLOPES = RNG.uniform(0, 1, (1, 1, 6)).astype(np.float32)


def case(kind: str, *constants: Any, table: str = "", before: bool = False, **options: Any) -> Any:
    """Return what writes an operator on the picture and constants, which come ``before`` it or after."""

    def write(file: File, x: int, out: int) -> None:
        given = [file.constant(value, np.asarray(value).dtype) for value in constants]
        file.operator(kind, [*given, x] if before else [x, *given], out, table, **options)

    return write


def by_batches(file: File, x: int, out: int, weight: Array) -> None:
    """A convolution with a dilation of 2, as a plain one of every second pixel; rows and columns are even as they are,
    and two more are added and cut off.
    """
    height, width = X.shape[1] + 6, X.shape[2] + 6
    block = file.constant([2, 2], np.int32)
    spread = file.tensor((4, height // 2, width // 2, X.shape[3]))
    made = file.tensor((4, height // 2 - 2, width // 2 - 2, len(weight)))
    file.operator("SPACE_TO_BATCH_ND", [x, block, file.constant([[2, 4], [2, 4]], np.int32)], spread)
    conv(file, [spread, file.constant(weight)], made, padding=VALID)
    file.operator("BATCH_TO_SPACE_ND", [made, block, file.constant([[0, 2], [0, 2]], np.int32)], out)


def ints(*values: Any) -> Array:
    return np.asarray(values, np.int32)


CASES: dict[str, tuple[Any, Callable[[], Array]]] = {
    "same": (
        lambda f, x, out: conv(f, [x, f.constant(W)], out, act=RELU6),
        lambda: np.clip(convolved(X, W, pads=(1, 1, 1, 1)), 0, 6),
    ),
    "valid": (
        lambda f, x, out: conv(f, [x, f.constant(W)], out, padding=VALID),
        lambda: convolved(X, W, pads=(0, 0, 0, 0)),
    ),
    "strided": (
        lambda f, x, out: conv(f, [x, f.constant(W)], out, StrideH=2, StrideW=2),
        lambda: convolved(X, W, pads=(0, 1, 0, 1), stride=2),  # one row is left over: it goes below
    ),
    "dilated": (
        lambda f, x, out: conv(f, [x, f.constant(W)], out, DilationHFactor=2, DilationWFactor=2),
        lambda: convolved(X, W, pads=(2, 2, 2, 2), dilation=2),
    ),
    "dilated by batches": (
        lambda f, x, out: by_batches(f, x, out, W),
        lambda: convolved(X, W, pads=(2, 2, 2, 2), dilation=2),
    ),
    "transposed, cropped": (
        case("TRANSPOSE_CONV", ints(1, 15, 23, 4), T, table="TransposeConvOptions", before=True, StrideH=2, StrideW=2),
        lambda: scattered(X, T, 2)[:, 1:-2, 1:-2],
    ),
    "grouped": (
        lambda f, x, out: conv(f, [x, f.constant(W[..., :3])], out),
        lambda: np.concatenate(
            [convolved(X[..., i * 3 : i * 3 + 3], W[i * 2 : i * 2 + 2, ..., :3], pads=(1,) * 4) for i in (0, 1)], -1
        ),
    ),
    "depthwise": (
        case("DEPTHWISE_CONV_2D", D, table="DepthwiseConv2DOptions", StrideH=1, StrideW=1, DepthMultiplier=1),
        lambda: np.concatenate(
            [convolved(X[..., i : i + 1], D[..., i : i + 1], pads=(1, 1, 1, 1)) for i in range(6)], -1
        ),
    ),
    "transposed": (
        case("TRANSPOSE_CONV", ints(1, 16, 24, 4), T, table="TransposeConvOptions", before=True, StrideH=2, StrideW=2),
        lambda: scattered(X, T, 2)[:, 1:-1, 1:-1],
    ),
    "transposed, whole": (
        case(
            "TRANSPOSE_CONV",
            ints(1, 18, 26, 4),
            T,
            table="TransposeConvOptions",
            before=True,
            Padding=VALID,
            StrideH=2,
            StrideW=2,
        ),
        lambda: scattered(X, T, 2),
    ),
    "fully connected": (
        case("FULLY_CONNECTED", W[:, 1, 1], table="FullyConnectedOptions", KeepNumDims=True),
        lambda: X @ W[:, 1, 1].T,
    ),
    "prelu": (case("PRELU", SLOPES), lambda: np.where(X < 0, X * SLOPES, X)),
    "leaky": (case("LEAKY_RELU", table="LeakyReluOptions", Alpha=0.25), lambda: np.where(X < 0, X * 0.25, X)),
    "relu -1..1": (case("RELU_N1_TO_1"), lambda: np.clip(X, -1, 1)),
    "relu 6": (case("RELU6"), lambda: np.clip(X, 0, 6)),
    "hard swish": (case("HARD_SWISH"), lambda: X * np.clip(X + 3, 0, 6) / 6),
    "logistic": (case("LOGISTIC"), lambda: 1 / (1 + np.exp(-X))),
    "tanh": (case("TANH"), lambda: np.tanh(X)),
    "add": (case("ADD", SLOPES[0, 0], table="AddOptions"), lambda: X + SLOPES),
    "sub": (case("SUB", SLOPES[0, 0], table="SubOptions", before=True), lambda: SLOPES - X),
    "mul": (case("MUL", SLOPES, table="MulOptions", FusedActivationFunction=1), lambda: np.maximum(X * SLOPES, 0)),
    "div": (case("DIV", SLOPES + 1, table="DivOptions"), lambda: X / (SLOPES + 1)),
    "minimum": (case("MINIMUM", np.float32(0.3)), lambda: np.minimum(X, 0.3)),
    "maximum": (case("MAXIMUM", np.float32(0.3)), lambda: np.maximum(X, 0.3)),
    "square": (case("SQUARE"), lambda: X * X),
    "rsqrt": (case("RSQRT"), lambda: 1 / np.sqrt(np.abs(X))),
    "pad": (
        case("PAD", ints((0, 0), (1, 2), (3, 0), (0, 1))),
        lambda: np.pad(X, ((0, 0), (1, 2), (3, 0), (0, 1))),
    ),
    "mirror": (
        case("MIRROR_PAD", ints((0, 0), (1, 2), (3, 0), (0, 0)), table="MirrorPadOptions"),
        lambda: np.pad(X, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="reflect"),
    ),
    "shrinking blocks": (
        case("SPACE_TO_DEPTH", table="SpaceToDepthOptions", BlockSize=2),
        lambda: np.concatenate([X[:, y::2, x::2] for y in (0, 1) for x in (0, 1)], -1),
    ),
    "nearest": (
        case("RESIZE_NEAREST_NEIGHBOR", ints(16, 24), table="ResizeNearestNeighborOptions", HalfPixelCenters=True),
        lambda: X.repeat(2, 1).repeat(2, 2),
    ),
    "bilinear": (
        case("RESIZE_BILINEAR", ints(16, 24), table="ResizeBilinearOptions"),
        lambda: bilinear(X),
    ),
    "slice": (case("SLICE", ints(0, 1, 2, 0), ints(1, -1, 8, 3)), lambda: X[:, 1:, 2:10, :3]),
    "strided slice": (
        case(
            "STRIDED_SLICE",
            ints(0, 0, 0, 5),
            ints(0, 7, 0, 0),
            ints(1, 1, 2, -1),
            table="StridedSliceOptions",
            BeginMask=0b0101,
            EndMask=0b1101,
        ),
        lambda: X[:, :7, ::2, 5::-1],
    ),
    "gather": (case("GATHER", ints(4, 0, 2), table="GatherOptions", Axis=3), lambda: X[..., [4, 0, 2]]),
    "reverse": (case("REVERSE_V2", ints(3)), lambda: X[..., ::-1]),
    "tile": (case("TILE", ints(1, 1, 2, 3)), lambda: np.tile(X, (1, 1, 2, 3))),
    "transpose": (case("TRANSPOSE", ints(0, 2, 1, 3)), lambda: X.transpose(0, 2, 1, 3)),
    "reshape": (case("RESHAPE", ints(1, 16, 12, 3)), lambda: X.reshape(1, 16, 12, 3)),
    "mean": (case("MEAN", ints(1, 2), table="ReducerOptions", KeepDims=True), lambda: X.mean((1, 2), keepdims=True)),
    "average": (
        case("AVERAGE_POOL_2D", table="Pool2DOptions", StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2),
        lambda: X.reshape(1, 4, 2, 6, 2, 6).mean((2, 4)),
    ),
    "largest": (
        case("MAX_POOL_2D", table="Pool2DOptions", Padding=SAME, StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2),
        lambda: X.reshape(1, 4, 2, 6, 2, 6).max((2, 4)),
    ),
}


def bilinear(x: Array) -> Array:
    """Twice the size, without half pixels: what lies between is a mean, the last is repeated."""
    for axis in (1, 2):
        after = np.concatenate([np.take(x, range(1, x.shape[axis]), axis), np.take(x, [-1], axis)], axis)
        x = np.stack([x, (x + after) / 2], axis + 1).reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return x


@pytest.mark.parametrize("name", CASES)
def test_every_operator_does_what_numpy_says(name: str) -> None:
    write, wanted = CASES[name]
    x = np.abs(X) if name == "rsqrt" else X
    expected = wanted()
    file = File()
    source = file.tensor(X.shape)
    out = file.tensor(expected.shape)
    write(file, source, out)
    model = to_onnx(Path("a.tflite"), file.save([source], [out]))
    found = FloatSession(model).run(None, x.transpose(0, 3, 1, 2))[0]
    np.testing.assert_allclose(np.transpose(found, (0, 2, 3, 1)), expected, rtol=1e-4, atol=1e-4)


def test_parts_of_channels_are_joined_again() -> None:
    f = File()
    x, y = f.tensor(X.shape), f.tensor(X.shape)
    parts = [f.tensor((*X.shape[:3], 2)) for _ in range(3)]
    f.operator("SPLIT", [f.constant(3, np.int32), x], parts, "SplitOptions", NumSplits=3)
    f.operator("CONCATENATION", parts[::-1], y, "ConcatenationOptions", Axis=-1)
    model = to_onnx(Path("a.tflite"), f.save([x], [y]))
    found = FloatSession(model).run(None, X.transpose(0, 3, 1, 2))[0]
    np.testing.assert_array_equal(found.transpose(0, 2, 3, 1), X[..., [4, 5, 2, 3, 0, 1]])


def test_sizes_that_are_computed_stay_so() -> None:
    """SHAPE, STRIDED_SLICE and PACK, as dynamic networks ask how large their picture is."""
    f = File()
    x, y = f.tensor((1, 1, 1, 3), signature=(1, -1, -1, 3)), f.tensor((1, 1, 1, 3), signature=(1, -1, -1, 3))
    shape, size = f.tensor((4,), np.int32), f.tensor((2,), np.int32)
    f.operator("SHAPE", [x], shape)
    doubled = []
    for axis in (1, 2):
        one, two = f.tensor((), np.int32), f.tensor((), np.int32)
        begin, end, step = (f.constant([v], np.int32) for v in (axis, axis + 1, 1))
        f.operator("STRIDED_SLICE", [shape, begin, end, step], one, "StridedSliceOptions", ShrinkAxisMask=1)
        f.operator("MUL", [one, f.constant(2, np.int32)], two, "MulOptions")
        doubled.append(two)
    f.operator("PACK", doubled, size, "PackOptions", Axis=0, ValuesCount=2)
    f.operator("RESIZE_NEAREST_NEIGHBOR", [x, size], y, "ResizeNearestNeighborOptions")
    model = to_onnx(Path("a.tflite"), f.save([x], [y]))
    picture = RNG.random((1, 3, 5, 7), np.float32)
    found = FloatSession(model).run(None, picture)[0]
    np.testing.assert_array_equal(found, picture.repeat(2, 2).repeat(2, 3))


def test_a_pixel_shuffle_that_is_spelled_out_takes_any_size(tmp_path: Path) -> None:
    f = File()
    x, a = f.tensor((1, 10, 14, 3)), f.tensor((1, 10, 14, 12))
    conv(f, [x, f.constant(RNG.normal(0, 0.2, (12, 3, 3, 3)))], a)
    shapes = [(1, 10, 14, 2, 2, 3), (1, 10, 2, 14, 2, 3), (1, 20, 28, 3)]
    b, c, d = (f.tensor(shape) for shape in shapes)
    f.operator("RESHAPE", [a, f.constant(shapes[0], np.int32)], b)
    f.operator("TRANSPOSE", [b, f.constant([0, 1, 3, 2, 4, 5], np.int32)], c)
    f.operator("RESHAPE", [c, f.constant(shapes[2], np.int32)], d)
    path = tmp_path / "a.tflite"
    path.write_bytes(f.save([x], [d]))
    model = load_model(path)
    assert model.graph.input[0].type.tensor_type.shape.dim[2].dim_param, "the size is free"
    sr = normalize(model, value_range="0..1")
    assert sr.scale == 2
    assert any(node.op_type == "DepthToSpace" for node in sr.model.graph.node)


def test_a_shape_that_does_not_follow_the_picture_fixes_its_size(tmp_path: Path) -> None:
    f = File()
    x, a, b = f.tensor((1, 10, 12, 3)), f.tensor((1, 12, 10, 3)), f.tensor((1, 10, 12, 3))
    f.operator("RESHAPE", [x, f.constant((1, 12, 10, 3), np.int32)], a)  # rows run on into others
    f.operator("RESHAPE", [a, f.constant((1, 10, 12, 3), np.int32)], b)
    model = to_onnx(Path("a.tflite"), f.save([x], [b]))
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 10, 12]
    picture = RNG.random((1, 3, 10, 12), np.float32)
    np.testing.assert_array_equal(FloatSession(model).run(None, picture)[0], picture)


def test_a_float_network_is_normalized_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    data, weights = enlarger()
    path.write_bytes(data)
    model = load_model(path)
    assert not is_quantized(model)
    sr = normalize(model)
    assert (sr.scale, sr.channels, sr.value_range) == (2, 3, (0.0, 1.0))
    assert sr.clip is not None
    assert sr.clip.spelling == "Min+Relu"
    x = RNG.random((1, 9, 11, 3)).astype(np.float32)
    inner = np.maximum(convolved(x, weights["w1"], pads=(1,) * 4) + weights["b1"], 0)
    outer = convolved(inner, weights["w2"], pads=(1,) * 4) + weights["b2"] + np.tile(x, 4)
    found = FloatSession(sr.model).run(None, x.transpose(0, 3, 1, 2))[0].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, blocks(outer, 2), atol=1e-4)


@pytest.mark.parametrize("stored", [np.float16, np.int8])
def test_weights_that_are_stored_in_less_are_float_weights(stored: Any, tmp_path: Path) -> None:
    """Half precision behind a DEQUANTIZE, and hybrid networks: integer weights that floats are multiplied by."""
    f = File()
    x, y = f.tensor((1, 8, 12, 3)), f.tensor((1, 8, 12, 3))
    w = RNG.normal(0, 0.2, (3, 3, 3, 3)).astype(np.float32)
    if stored is np.int8:
        scale = np.abs(w).max(axis=(1, 2, 3)) / 127
        codes = np.rint(w / scale[:, None, None, None])
        weight, real = f.constant(codes, np.int8, scale=scale), codes * scale[:, None, None, None]
    else:
        weight, real = f.tensor(w.shape), w.astype(np.float16)
        f.operator("DEQUANTIZE", [f.constant(w, np.float16)], weight)
    conv(f, [x, weight], y)
    path = tmp_path / "a.tflite"
    path.write_bytes(f.save([x], [y]))
    model = load_model(path)
    assert not is_quantized(model)
    picture = RNG.random((1, 8, 12, 3), np.float32)
    found = FloatSession(model).run(None, picture.transpose(0, 3, 1, 2))[0]
    np.testing.assert_allclose(
        found.transpose(0, 2, 3, 1), convolved(picture, real.astype(np.float32), pads=(1,) * 4), atol=1e-4
    )


def test_activations_of_16_bits_keep_them(tmp_path: Path) -> None:
    f = File()
    scales = (1 / 32767, 2 / 32767)
    x, y = (f.tensor((1, 8, 12, 3), np.int16, scale=scale) for scale in scales)
    w = RNG.integers(-127, 128, (3, 3, 3, 3))
    bias = f.constant([100000, -(2**33), 5], np.int64, scale=[scales[0] / 500] * 3)
    conv(f, [x, f.constant(w, np.int8, scale=[1 / 500] * 3), bias], y)
    path = tmp_path / "a.tflite"
    path.write_bytes(f.save([x], [y]))
    found = canonicalize(load_model(path))
    assert found.value_range == (0.0, 1.0)
    assert any("pixels" in change for change in found.recipe.changes)


def test_integer_networks_are_qdq_models(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(integer_enlarger())
    assert is_quantized(load_model(path))
