"""Models that onnxruntime runs as they came give the pictures that the normalized ones give."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.conftest import photograph
from tests.quantize.helpers import quantized
from tests.sr_models import Builder, xlsr
from toolchain.frontend import normalize
from toolchain.frontend.as_is import AsIs
from toolchain.quantize import IntegerReference
from toolchain.support.errors import ModelError
from toolchain.workflows.evaluate import float_upscale

PICTURE = photograph(14, 18, 0)


def assembled(b: Builder, given: list[object], made: list[object], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """What `Builder.model` makes, with other ends."""
    ends = [helper.make_tensor_value_info("input", kind, given)], [helper.make_tensor_value_info("output", kind, made)]
    graph = helper.make_graph(b.nodes, "net", *ends, b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", b.opset)])
    model.ir_version = 8
    return model


def channels_last() -> onnx.ModelProto:
    b = Builder(1)
    x = b.node("Transpose", "input", perm=[0, 3, 1, 2])
    x = b.depth_to_space(b.conv(x, 3, 12, identity=3, repeat=4), 2)
    b.node("Transpose", x, perm=[0, 2, 3, 1], out="output")
    return assembled(b, [1, "h", "w", 3], [1, "a", "b", 3])


def around_zero() -> onnx.ModelProto:
    b = Builder(2)
    b.node("Tanh", b.depth_to_space(b.conv("input", 3, 12, identity=3, repeat=4), 2), out="output")
    return b.model(3, 2)


def of_bytes() -> onnx.ModelProto:
    b = Builder(3)
    x = b.node("Cast", "input", to=TensorProto.FLOAT)
    x = b.depth_to_space(b.conv(x, 3, 12, identity=3, repeat=4), 2)
    x = b.node("Round", b.clip(x, 0.0, 255.0))
    b.node("Cast", x, to=TensorProto.UINT8, out="output")
    return assembled(b, [1, 3, "h", "w"], [1, 3, "a", "b"], TensorProto.UINT8)


@pytest.mark.parametrize(
    ("make", "value_range"),
    [(lambda: xlsr(2, width=2, blocks=1), None), (channels_last, None), (around_zero, "-1..1"), (of_bytes, None)],
    ids=["clipped", "channels last", "around zero", "bytes"],
)
def test_float_models(make, value_range: str | None):
    model = make()
    found = AsIs(model, value_range=value_range, threads=1)
    sr = normalize(model, value_range=value_range)
    assert (found.channels, found.scale) == (3, 2)
    wanted = float_upscale(sr.model, sr.value_range)(PICTURE)
    difference = np.abs(found.run(PICTURE).astype(int) - wanted)
    assert difference.max() <= 1  # a value right between two codes may fall to either side
    assert (difference > 0).mean() < 0.02


@pytest.mark.parametrize("name", ["xlsr", "espcn"])
def test_quantized_models(name: str):
    model = quantized(name)
    found = AsIs(model.model, threads=1)
    pixels = PICTURE[:, :, : model.channels]
    difference = np.abs(found.run(pixels).astype(int) - IntegerReference(model.model).run(pixels))
    assert difference.max() <= 8  # onnxruntime rounds in between, and on processors without VNNI it saturates
    assert difference.mean() < 0.5


def test_pictures_of_one_size_only():
    with pytest.raises(ModelError, match="the model takes pictures of 24x32 only") as raised:
        AsIs(xlsr(2, width=2, blocks=1, size=(24, 32)))
    assert raised.value.hint == "export it with free height and width"


def test_what_is_no_picture():
    b = Builder()
    b.conv("input", 3, 5, out="output")
    with pytest.raises(ModelError, match=r"the model makes \(1, 5, 24, 24\) of an input of \(1, 3, 24, 24\)"):
        AsIs(assembled(b, [1, 3, "h", "w"], [1, 5, "h", "w"]))
