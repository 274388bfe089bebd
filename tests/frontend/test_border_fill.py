"""Borders that are assigned by index, as training code of re-parameterized networks does it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.expanded import filled, mask, valid
from tests.frontend.spellings import agree, operators
from tests.frontend.test_normalize import check_canonical
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.support.errors import ModelError

SIZE = (9, 11)


def net(b: Builder, y: str) -> onnx.ModelProto:
    b.depth_to_space(b.conv(b.node("Relu", y), 4, 12, identity=3, repeat=4), 2, out="output")
    return b.model(3, 2, size=SIZE)


def bias_of(b: Builder, y: str) -> np.ndarray:
    name = next(n for n in b.nodes if n.output[0] == y).input[2]
    return onnx.numpy_helper.to_array(next(t for t in b.initializers if t.name == name))


@pytest.mark.parametrize("then", ["3x3", "mask"])
def test_a_border_of_biases_is_part_of_the_merged_convolution(then: str) -> None:
    b = Builder(1)
    y = valid(b, "input", 3, 4, 1)
    y = filled(b, y, 4, SIZE, bias_of(b, y))
    y = valid(b, y, 4, 4, 3) if then == "3x3" else mask(b, y, 4, "sobel x")
    y = b.node("Add", y, valid(b, "input", 3, 4, 3, pads=1))
    model = net(b, y)
    sr = normalize(model, value_range="0..1")
    check_canonical(sr)
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    assert "recognized 1 borders that are filled with one number a channel" in sr.changes
    agree(model, sr, tolerance=1e-5)


def test_other_numbers_become_a_zero_padding_between_two_convolutions() -> None:
    b = Builder(1)
    y = filled(b, valid(b, "input", 3, 4, 1), 4, SIZE, np.array([0.5, -0.5, 0.0, 2.0]))
    model = net(b, valid(b, y, 4, 4, 3))
    sr = normalize(model, value_range="0..1")
    check_canonical(sr)
    assert operators(sr) == ["Conv", "Conv", "Relu", "Conv", "DepthToSpace"]
    assert any("did not merge" in change for change in sr.changes)
    agree(model, sr, tolerance=1e-5)


def test_numbers_that_change_along_the_border_are_left_alone() -> None:
    b = Builder(1)
    y = filled(b, valid(b, "input", 3, 4, 1), 4, SIZE, b.rng.normal(0, 1, (4, 13)))
    with pytest.raises(ModelError, match=r"not of|cannot be executed"):  # indices hold for one size alone
        normalize(net(b, valid(b, y, 4, 4, 3)), value_range="0..1")
