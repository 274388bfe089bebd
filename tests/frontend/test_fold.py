from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder
from toolchain.frontend import SRModel, normalize
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError


def batch_norm(b: Builder, x: str, channels: int) -> str:
    def vector(low: float, high: float) -> str:
        return b.const(b.rng.uniform(low, high, channels))

    return b.node(
        "BatchNormalization", x, vector(0.5, 2), vector(-0.2, 0.2), vector(-0.2, 0.2), vector(0.3, 2), epsilon=1e-3
    )


def tail(b: Builder, x: str, cin: int = 8, out: str = "output") -> str:
    return b.depth_to_space(b.conv(x, cin, 12, identity=3, repeat=4), 2, out=out)


def test_batch_norm_behind_convolutions() -> None:
    b = Builder(1)
    x = b.node("Relu", batch_norm(b, b.conv("input", 3, 8, identity=3), 8))
    x = batch_norm(b, b.conv(x, 8, 8, groups=4, bias=0), 8)
    tail(b, x)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Relu", "Conv", "Conv", "DepthToSpace"]
    assert "folded 2 batch normalizations" in sr.changes
    agree(model, sr)


def test_batch_norm_behind_transposed_convolution_in_groups() -> None:
    b = Builder(1)
    w = b.const(b.rng.normal(0, 0.3, (6, 2, 2, 2)))
    x = b.node("ConvTranspose", b.conv("input", 3, 6, identity=3), w, strides=[2, 2], group=3)
    b.node("Relu", batch_norm(b, x, 6))
    b.conv(b.nodes[-1].output[0], 6, 3, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Conv", "Relu", "DepthToSpace", "Conv"]
    agree(model, sr)


def test_batch_norm_alone_is_a_convolution() -> None:
    b = Builder(1)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    x = batch_norm(b, b.node("Add", x, b.conv(x, 8, 8)), 8)
    tail(b, x)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert "BatchNormalization" not in operators(sr)
    agree(model, sr)


@pytest.mark.parametrize("op", ["Mul", "Div", "Add", "Sub", "Sub from"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 8, 1, 1), (8, 1, 1)])
def test_numbers_behind_a_convolution(op: str, shape: tuple[int, ...]) -> None:
    b = Builder(2)
    x = b.conv("input", 3, 8, identity=3)
    c = b.const(b.rng.uniform(0.5, 2, shape))
    x = b.node("Sub", c, x) if op == "Sub from" else b.node(op, x, c)
    tail(b, b.node("Relu", x))
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    agree(model, sr)


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
def test_mean_per_channel_behind_the_shuffle(mode: str) -> None:
    b = Builder(2)
    x = b.depth_to_space(b.conv("input", 3, 12, identity=3, repeat=4, order=mode), 2, mode)
    x = b.node("Mul", x, b.const([[[0.9]], [[1.1]], [[1.0]]]))
    b.node("Add", x, b.const(np.reshape([0.1, 0.2, 0.3], (1, 3, 1, 1))), out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "DepthToSpace"]
    agree(model, sr)


def test_scalings_before_a_padded_convolution_are_folded_and_one_offset_is_what_is_padded() -> None:
    b = Builder(2)
    scaled = b.node("Mul", "input", b.const(np.reshape([0.5, 2.0, 3.0], (1, 3, 1, 1))))
    tail(b, scaled, 3)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "DepthToSpace"]
    agree(model, sr)

    b = Builder(2)
    tail(b, b.node("Sub", "input", b.const(0.5)), 3)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Pad", "Conv", "DepthToSpace"], "a padded zero is not offset"
    agree(model, sr)

    b = Builder(2)
    tail(b, b.node("Sub", "input", b.const(np.reshape([0.5, 0.4, 0.3], (1, 3, 1, 1)))), 3)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Conv", "DepthToSpace"], "a Pad knows one number"
    agree(model, sr)

    b = Builder(2)
    deviation = np.reshape([0.229, 0.224, 0.225], (1, 3, 1, 1))
    x = b.node("Div", "input", b.const(deviation))
    tail(b, b.node("Sub", x, b.const(np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1)) / deviation)), 3)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Conv", "DepthToSpace"]
    agree(model, sr)

    b = Builder(2)
    x = b.node("Sub", "input", b.const(np.reshape([0.5, 0.4, 0.3], (1, 3, 1, 1))))
    up = b.node("Resize", x, "", b.const([1, 1, 2, 2]), mode="linear")
    b.node("Add", b.depth_to_space(b.conv(x, 3, 12), 2), up, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr).count("Sub") == 1, "what others read is not rounded for it"
    agree(model, sr)


@pytest.mark.parametrize("mode", ["", "constant"])
def test_a_deviation_of_each_channel_needs_no_more_than_one_mean(mode: str) -> None:
    b = Builder(2)
    parameters = ([0.9, 1.1, 1.0], [0.0] * 3, [0.4] * 3, [0.052, 0.05, 0.051])
    x = b.node("BatchNormalization", "input", *map(b.const, parameters))
    if mode:
        x = b.node("Pad", x, b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode=mode)
    x = b.node("Conv", x, b.const(b.rng.normal(0, 0.02, (12, 3, 3, 3))), pads=[0 if mode else 1] * 4)
    b.depth_to_space(x, 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Pad", "Conv", "DepthToSpace"]
    agree(model, sr)


def test_what_several_convolutions_read_is_padded_once_for_each_padding() -> None:
    b = Builder(2)
    x = b.node("Add", b.node("Tanh", b.conv("input", 3, 4)), b.const(0.3))
    joined = b.node("Concat", b.conv(x, 4, 4), b.conv(x, 4, 4), b.conv(x, 4, 4, 1), b.conv(x, 4, 4, 5), axis=1)
    tail(b, joined, 16)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr).count("Pad") == 2
    assert "Add" not in operators(sr)
    agree(model, sr)


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_means_are_folded_past_a_border_that_is_continued(mode: str) -> None:
    b = Builder(2)
    x = b.node("Sub", "input", b.const(np.reshape([0.5, 0.4, 0.3], (1, 3, 1, 1))))
    x = b.node("Pad", x, b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode=mode)
    x = b.node("Conv", x, b.const(b.rng.normal(0, 0.2, (12, 3, 3, 3))))
    b.depth_to_space(x, 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Pad", "Conv", "DepthToSpace"]
    agree(model, sr)


def test_offset_before_a_convolution_without_padding_is_folded() -> None:
    b = Builder(2)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    x = b.conv(b.node("Add", x, b.const(b.rng.normal(0, 1, (8, 1, 1)))), 8, 8, 1, groups=2)
    tail(b, x)
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Relu", "Conv", "Conv", "DepthToSpace"]
    agree(model, sr)


def test_what_other_nodes_use_is_not_folded() -> None:
    b = Builder(2)
    x = b.conv("input", 3, 8, identity=3)
    y = b.node("Mul", x, b.const(0.5))
    tail(b, b.node("Add", x, y))
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    agree(model, sr)


def pixel_net(*, divided: bool, multiplied: bool, clip: float | None, clip_first: bool = False) -> object:
    b = Builder(6)
    x = b.node("Div", "input", b.const(255.0)) if divided else "input"
    x = b.node("Relu", b.conv(x, 3, 8, identity=3))
    x = tail(b, x, out="" if multiplied or clip else "output")
    if clip and clip_first:
        x = b.clip(x, 0.0, 1.0)
    if multiplied:
        x = b.node("Mul", x, b.const(255.0), out="" if clip and not clip_first else "output")
    if clip and not clip_first:
        b.clip(x, 0.0, clip, out="output")
    return b.model(3, 2)


def level(sr: SRModel) -> float:
    """What the model makes of mid-grey, as a part of its range."""
    peak = sr.value_range[1]
    return float(run(sr.model, np.full((1, 3, 24, 24), 0.5 * peak, np.float32))[..., 12:36, 12:36].mean() / peak)


@pytest.mark.parametrize(
    ("divided", "multiplied", "clip", "clip_first", "high"),
    [
        (True, True, None, False, 255.0),
        (True, True, 255.0, False, 255.0),
        (True, True, 1.0, True, 255.0),
        (True, False, None, False, 1.0),
        (True, False, 1.0, False, 1.0),
        (False, True, None, False, 1.0),
        (False, True, 255.0, False, 1.0),
        (False, True, 1.0, True, 1.0),
    ],
)
def test_scalings_at_the_ends(
    divided: bool, multiplied: bool, clip: float | None, clip_first: bool, high: float
) -> None:
    sr = normalize(pixel_net(divided=divided, multiplied=multiplied, clip=clip, clip_first=clip_first))
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    assert sr.value_range == (0.0, high)
    assert (sr.clip is None) == (clip is None)
    if sr.clip is not None:
        assert sr.clip.high == high
    assert level(sr) == pytest.approx(0.5, abs=0.05)


def test_a_range_that_contradicts_the_scalings() -> None:
    with pytest.raises(ModelError, match="contradicts the scalings"):
        normalize(pixel_net(divided=True, multiplied=True, clip=None), value_range="0..1")
