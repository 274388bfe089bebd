"""Codes at the ends of other tools' models, channels last, and weights that are stored in few bits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.quantize.helpers import picture
from toolchain.frontend import is_quantized, normalize
from toolchain.frontend.session import FloatSession
from toolchain.quantize import IntegerReference, canonicalize

RNG = np.random.default_rng(0)
W = RNG.normal(0, 0.05, (12, 3, 3, 3)).astype(np.float32)
W[np.arange(12), np.arange(12) // 4, 1, 1] += 1
SCALES = (np.abs(W).reshape(12, -1).max(1) / 127).astype(np.float32)
CODES = np.rint(W / SCALES[:, None, None, None]).astype(np.int8)
KINDS = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8, np.float32: TensorProto.FLOAT}
PIXELS = picture(20, 24, 3, 8)


def model(nodes: list[Any], constants: dict[str, Any], kind: int, *, last: bool) -> onnx.ModelProto:
    shapes = [[1, "h", "w", 3], [1, "H", "W", 3]] if last else [[1, 3, "h", "w"], [1, 3, "H", "W"]]
    ends = [helper.make_tensor_value_info(*end) for end in zip(("input", "output"), (kind, kind), shapes, strict=True)]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "n", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    made.ir_version = 10
    onnx.checker.check_model(made)
    return made


def by_codes(dtype: Any, scale: float, zero: int, made: float, black: int) -> onnx.ModelProto:
    """An integer network whose ends are codes, channels last; its quantizers stand behind a Transpose."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["input"], ["t"], perm=[0, 3, 1, 2]),
        node("DequantizeLinear", ["t", "xs", "xz"], ["x"]),
        node("DequantizeLinear", ["w", "s"], ["wf"], axis=0),
        node("Conv", ["x", "wf"], ["y"], pads=[1] * 4),
        node("DepthToSpace", ["y"], ["d"], blocksize=2, mode="CRD"),
        node("QuantizeLinear", ["d", "ys", "yz"], ["o"]),
        node("Transpose", ["o"], ["output"], perm=[0, 2, 3, 1]),
    ]
    constants = {"xs": np.float32(scale), "xz": dtype(zero), "ys": np.float32(made), "yz": dtype(black)}
    return model(nodes, {"w": CODES, "s": SCALES, **constants}, KINDS[dtype], last=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize(
    ("scale", "zero", "made"), [(1 / 255, 0, 1 / 255), (1, 0, 1), (0.97, 0, 1), (2 / 255, 127, 2 / 255)]
)
def test_codes_at_the_ends_are_pixels(dtype: Any, scale: float, zero: int, made: float) -> None:
    shift = -128 if dtype is np.int8 else 0
    given = by_codes(dtype, scale, zero + shift, made, zero + shift)
    codes = (PIXELS.astype(int) + shift).astype(dtype)[None]
    session = FloatSession(given, entries={"session.disable_quant_qdq": "1"})
    wanted = session.run(None, codes)[0][0].astype(int) - shift
    found = canonicalize(given)
    assert found.value_range in ((0.0, 1.0), (0.0, 255.0))
    difference = np.abs(IntegerReference(found.model).run(PIXELS).astype(int) - wanted)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.002, "ties are rare"
    assert not any("rounded again" in change for change in found.recipe.changes)


def four_bits(block: int) -> tuple[list[Any], dict[str, Any], np.ndarray]:
    flat = W.reshape(12, 27)
    scale = np.abs(flat.reshape(12, -1, block)).max(2) / 7
    codes = np.rint(flat.reshape(12, -1, block) / scale[..., None])
    real = (codes * scale[..., None].astype(np.float32)).reshape(W.shape).astype(np.float32)
    node = helper.make_node("DequantizeLinear", ["w", "s"], ["wr"], axis=1, block_size=block)
    shape = helper.make_node("Reshape", ["wr", "shape"], ["wf"])
    constants = {"w": codes.reshape(12, 27).astype(ml_dtypes.int4), "s": scale.astype(np.float32)}
    return [node, shape], {**constants, "shape": np.array(W.shape)}, real


def whole() -> tuple[list[Any], dict[str, Any], np.ndarray]:
    node = helper.make_node("DequantizeLinear", ["w", "s"], ["wf"], axis=0)
    return [node], {"w": CODES, "s": SCALES}, CODES * SCALES[:, None, None, None]


def rounded() -> tuple[list[Any], dict[str, Any], np.ndarray]:
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["wf"], axis=0),
    ]
    return nodes, {"w": W, "s": SCALES, "z": np.zeros(12, np.int8)}, CODES * SCALES[:, None, None, None]


@pytest.mark.parametrize("stored", [whole, rounded, lambda: four_bits(27), lambda: four_bits(9)])
def test_networks_with_stored_weights_are_float(stored: Any) -> None:
    nodes, constants, real = stored()
    nodes += [
        helper.make_node("Conv", ["input", "wf"], ["y"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["y"], ["output"], blocksize=2, mode="CRD"),
    ]
    given = model(nodes, constants, TensorProto.FLOAT, last=False)
    assert not is_quantized(given)
    sr = normalize(given, value_range="0..1")
    assert "read 1 constants that were stored as codes" in sr.changes
    (weight,) = [numpy_helper.to_array(t) for t in sr.model.graph.initializer if len(t.dims) == 4]
    np.testing.assert_allclose(weight, real, atol=1e-6)
