from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.frontend.goldens import NOTHING, graph_of, written
from tests.frontend.spellings import SHUFFLES, add_shuffle, agree, operators
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import shuffle
from toolchain.frontend.passes.shuffle import depth_to_space
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError


def shuffled_net(spelling: str, channels: int, scale: int, *, fixed: bool, size: tuple[int, int]) -> onnx.ModelProto:
    b = Builder(2)
    order = "DCR" if spelling.startswith("tf") or spelling in ("node DCR", "channels last") else "CRD"
    x = b.node("Relu", b.conv("input", channels, 6, identity=channels))
    x = b.conv(x, 6, channels * scale**2, identity=channels, repeat=scale**2, order=order)
    add_shuffle(b, x, spelling, channels, scale, size, out="output")
    return b.model(channels, scale, size=size if fixed else None)


@pytest.mark.parametrize(("channels", "scale"), [(1, 3), (3, 2), (3, 3), (3, 4)])
@pytest.mark.parametrize("spelling", SHUFFLES)
def test_every_spelling_becomes_depth_to_space_of_any_size(spelling: str, channels: int, scale: int) -> None:
    size = (10, 10)  # square: height and width cannot be told apart by their sizes
    model = shuffled_net(spelling, channels, scale, fixed=True, size=size)
    sr = normalize(model)
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    assert (sr.scale, sr.channels, sr.value_range) == (scale, channels, (0.0, 1.0))
    assert [d.dim_param for d in sr.model.graph.input[0].type.tensor_type.shape.dim][2:] == ["height", "width"]
    agree(model, sr)
    # At another size, it does what the same network does when it is exported for that size.
    agree(shuffled_net(spelling, channels, scale, fixed=True, size=(7, 13)), sr)


def test_windows_of_a_picture_are_no_shuffle() -> None:
    text = """
        windows = Reshape (input, two)
        a = Relu (windows)
        output = Reshape (a, one)
    """
    graph = graph_of(text, two=np.int64([2, 4, 6, 10]), one=np.int64([1, 4, 12, 10]))
    before = written(graph)
    shuffle.apply(graph, NOTHING)
    assert written(graph) == before


@pytest.mark.parametrize("spelling", ["torch dynamic", "tf dynamic"])
def test_dynamic_sizes(spelling: str) -> None:
    model = shuffled_net(spelling, 3, 3, fixed=False, size=(0, 0))
    sr = normalize(model)
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    agree(model, sr, size=(5, 11))


def test_two_shuffles_in_a_row_stay_two() -> None:
    b = Builder(4)
    x = b.conv("input", 1, 16, identity=1, repeat=16)
    x = add_shuffle(b, x, "torch baked", 4, 2, (9, 8))
    add_shuffle(b, x, "torch baked", 1, 2, (18, 16), out="output")
    model = b.model(1, 4, size=(9, 8))
    sr = normalize(model)
    assert operators(sr) == ["Conv", "DepthToSpace", "DepthToSpace"]
    assert (sr.scale, sr.halo) == (4, 1)
    agree(model, sr)


def test_what_only_looks_like_a_shuffle_is_left_alone() -> None:
    b = Builder(4)
    x = b.conv("input", 3, 12, identity=3, repeat=4)
    y = b.node("Reshape", x, b.const((1, 3, 2, 2, 9, 9), np.int64))
    y = b.node("Transpose", y, perm=[0, 1, 5, 2, 4, 3])  # height and width are exchanged
    b.node("Reshape", y, b.const((1, 3, 18, 18), np.int64), out="output")
    model = b.model(3, 2, size=(9, 9))
    with pytest.raises(ModelError, match=r"operator Reshape '.*' has a picture's size written into it"):
        normalize(model)


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
def test_the_numpy_definition_is_onnx_s(mode: str) -> None:
    b = Builder()
    b.depth_to_space("input", 3, mode, out="output")
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(b.nodes, "g", [info("input", 1, [1, 18, 2, 5])], [info("output", 1, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    x = np.arange(180, dtype=np.float32).reshape(1, 18, 2, 5)
    np.testing.assert_array_equal(depth_to_space(x, 3, mode), run(model, x))
