"""The smallest picture, held against the integer reference, which runs every layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lower.nets import Net
from tests.sr_models import attention, esa, span, unpadded
from toolchain.frontend import normalize
from toolchain.frontend.smallest import smallest_picture, smallest_to_mirror
from toolchain.quantize import IntegerReference
from toolchain.quantize.stand_in import stand_in
from toolchain.support.errors import TooSmallError


def runs(model: onnx.ModelProto, height: int, width: int) -> bool:
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    try:
        return IntegerReference(model).run(np.zeros((height, width, channels), np.uint8)).size > 0
    except TooSmallError:
        return False


@pytest.mark.parametrize(("make", "smallest"), [(attention, 1), (span, 1), (unpadded, 3), (esa, 15)])
def test_networks(make: Callable[[], onnx.ModelProto], smallest: int) -> None:
    sr = normalize(make())
    integer = stand_in(sr)
    assert smallest_picture(sr.model) == smallest_picture(integer) == (smallest, smallest)
    assert runs(integer, smallest, smallest)
    assert smallest == 1 or not (runs(integer, smallest - 1, 40) or runs(integer, 40, smallest - 1))


@given(st.data())
def test_convolutions_and_pooling(data: st.DataObject) -> None:
    net = Net(seed=data.draw(st.integers(0, 9)))
    x = net.input
    for _ in range(data.draw(st.integers(1, 3))):
        kernel, stride = data.draw(st.integers(2, 7)), data.draw(st.integers(1, 3))
        pads = data.draw(st.lists(st.integers(0, kernel // 2), min_size=4, max_size=4))
        if data.draw(st.booleans()):
            x = net.conv(x, 4, kernel, stride=stride, pads=pads)
        else:
            x = net.largest(x, kernel, stride, pads, ceil_mode=data.draw(st.integers(0, 1)))
    model = net.model(net.conv(x, 3, 1))
    height, width = smallest_picture(model)
    assert runs(model, height, width)
    assert height == 1 or not runs(model, height - 1, width)
    assert width == 1 or not runs(model, height, width - 1)


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_mirrored_pictures_may_be_smaller_than_their_border_but_not_for_onnxruntime(mode: str) -> None:
    net = Net()
    wide = net.windowed(net.conv(net.input, 4, pads=[0, 0, 0, 0]), 3, 1, 0, 4, mode)  # rows 3 and 0, columns 1 and 4
    model = net.model(net.conv(wide, 3, 1))
    assert smallest_picture(model) == (3, 3)
    assert runs(model, 3, 3)
    assert smallest_to_mirror(model) == ((6, 7) if mode == "reflect" else (3, 3))
