"""Space-to-depth and pooling of codes against onnxruntime, on numbers that float32 holds exactly."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from toolchain.frontend.session import FloatSession
from toolchain.reference.down import pooled, space_to_depth
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import Codes, PoolStep


def by_onnxruntime(codes: np.ndarray, kind: str, **attributes: object) -> np.ndarray:
    node = helper.make_node(kind, ["x"], ["y"], **attributes)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None]) for name in "xy"]
    model = helper.make_model(
        helper.make_graph([node], "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    return FloatSession(model).run(None, codes[None].astype(np.float32))[0][0]


def codes_of(channels: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(channels * height + width).integers(0, 256, (channels, height, width), dtype=np.uint8)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(2, 4))
def test_space_to_depth(channels: int, height: int, width: int, size: int):
    codes = codes_of(channels, height * size, width * size)
    np.testing.assert_array_equal(space_to_depth(codes, size), by_onnxruntime(codes, "SpaceToDepth", blocksize=size))


@settings(deadline=None)
@given(
    st.tuples(st.integers(5, 12), st.integers(5, 12)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.integers(1, 2),
)
def test_pooling(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: int,
):
    pads = tuple(min(pad, kernel[index % 2] - 1) for index, pad in enumerate(pads))  # type: ignore[assignment]
    if any(side < (taps - 1) * dilation + 1 for side, taps in zip(size, kernel, strict=True)):
        return
    codes, of = codes_of(3, *size), Codes("x", Quantization(1.0, 0))
    step = PoolStep(of, of, kernel, strides, pads, (dilation, dilation))
    expected = by_onnxruntime(
        codes, "MaxPool", kernel_shape=kernel, strides=strides, pads=pads, dilations=[dilation] * 2
    )
    np.testing.assert_array_equal(pooled(codes, step), expected)
