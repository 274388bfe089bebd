"""Weights without a sign keep the file's codes, wherever their zero point lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.conftest import photograph
from tests.lower.compiled import assert_equal
from tests.sr_models import Builder
from toolchain.frontend.session import FloatSession
from toolchain.quantize import IntegerReference
from toolchain.quantize.foreign import canonicalize

PIXEL = float(np.float32(1 / 255))


class Written(Builder):
    """A network as another tool quantized it: uint8 throughout, one scale a tensor."""

    def rounded(self, x: str, scale: float = PIXEL, zero: int = 0, out: str = "") -> str:
        given = self.const(scale), self.const(zero, np.uint8)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *given), *given, out=out)

    def unsigned(self, x: str, shape: tuple[int, ...], zero: int, group: int = 1) -> str:
        codes = np.clip(self.rng.normal(zero, 30, shape), 0, 255).astype(np.uint8)
        codes.reshape(-1)[:2] = 0, 255
        step = 1.5 / (60 * np.sqrt(np.prod(shape[1:])))
        weight = self.node(
            "DequantizeLinear", self.const(codes, np.uint8), self.const(step), self.const(zero, np.uint8)
        )
        return self.node("Conv", x, weight, self.const(np.full(shape[0], 0.2)), pads=[shape[2] // 2] * 4, group=group)


def network(zero: int, group: int, act: str) -> onnx.ModelProto:
    b = Written(2)
    x = b.unsigned(b.rounded("input"), (8, 3, 3, 3), zero)
    x = b.rounded(b.node("Relu", x))
    y = b.unsigned(x, (8, 8 // group, 3, 3), zero, group)
    y = b.node(act, y)
    y = b.unsigned(b.rounded(y, 2 * PIXEL, 90), (12, 8, 1, 1), zero)
    b.depth_to_space(b.rounded(y), 2, out="output")
    ends: list[Any] = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, f"{name}_h", f"{name}_w"])
        for name in ("input", "output")
    ]
    graph = helper.make_graph(b.nodes, "net", ends[:1], ends[1:], b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize("act", ["Relu", "LeakyRelu"])
@pytest.mark.parametrize(("zero", "group"), [(90, 1), (180, 1), (90, 2)])
def test_codes_are_those_of_the_file(zero: int, group: int, act: str):
    model = network(zero, group, act)
    found = canonicalize(model, value_range="0..1")
    said = " ".join(found.recipe.changes)
    assert "3 of 3 convolutions have no sign" in said
    assert "rounded again" not in said
    assert not any("left in float" in text or "leaves" in text for text in found.recipe.warnings)
    pixels = photograph(40, 44, 3)
    (wanted,) = FloatSession(model).run(None, (pixels.transpose(2, 0, 1)[None] / 255).astype(np.float32))
    codes = np.rint(wanted[0].transpose(1, 2, 0) * 255)
    error = np.abs(IntegerReference(found.model).run(pixels) - codes)
    assert error.mean() < 1.5
    assert codes.std() > 10


def test_kernels_add_what_was_taken():
    assert_equal(canonicalize(network(90, 2, "Relu"), value_range="0..1").model, sizes=((5, 7), (9, 81)))


def test_weights_around_128_only_change_their_name():
    found = canonicalize(network(128, 1, "Relu"), value_range="0..1")
    assert "no sign" not in " ".join(found.recipe.changes)
    assert "rounded again" not in " ".join(found.recipe.changes)
