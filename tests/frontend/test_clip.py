from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.spellings import CLIPS, add_clip, agree, operators
from tests.sr_models import Builder, abpn, espcn, xlsr
from toolchain.frontend import normalize
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError


def clipped_net(spelling: str, high: float, *, before: bool = False, opset: int = 17) -> object:
    b = Builder(3, opset)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3, bias=0.01 * high))
    x = b.conv(x, 8, 12, identity=3, repeat=4, noise=1.5, order="CRD" if opset >= 11 else "DCR")
    mode = "CRD" if opset >= 11 else "DCR"
    if before:
        add_clip(b, x, spelling, high, "limited")
        b.depth_to_space("limited", 2, mode, out="output")
    else:
        add_clip(b, b.depth_to_space(x, 2, mode), spelling, high, "output")
    return b.model(3, 2)


@pytest.mark.parametrize("before", [False, True], ids=["after shuffle", "before shuffle"])
@pytest.mark.parametrize("high", [1.0, 255.0])
@pytest.mark.parametrize("spelling", CLIPS)
def test_every_spelling_is_found_and_taken_off(spelling: str, high: float, before: bool) -> None:
    model = clipped_net(spelling, high, before=before)
    sr = normalize(model)
    assert operators(sr) == ["Conv", "Relu", "Conv", "DepthToSpace"]
    assert sr.clip is not None
    assert (sr.clip.low, sr.clip.high) == (0.0, high)
    assert sr.value_range == (0.0, high)
    assert any("final clip" in line for line in sr.changes)
    x = np.random.default_rng(0).uniform(0, high, (1, 3, 12, 10)).astype(np.float32)
    free = run(sr.model, x)
    assert free.min() < 0 or free.max() > high, "the test net must need its clip"
    agree(model, sr)


@pytest.mark.parametrize(("spelling", "recorded"), [("Clip", "Clip"), ("Relu+Min", "Relu+Min"), ("Max+Min", "Max+Min")])
def test_the_spelling_is_recorded(spelling: str, recorded: str) -> None:
    clip = normalize(clipped_net(spelling, 1.0)).clip
    assert clip is not None
    assert clip.spelling == recorded


def test_bounds_as_attributes() -> None:
    model = clipped_net("Clip", 1.0, opset=9)
    sr = normalize(model)
    assert sr.clip is not None
    assert "Clip" not in operators(sr)
    agree(model, sr)


def test_a_network_without_clip_has_none() -> None:
    assert normalize(espcn()).clip is None
    assert normalize(abpn(clipped=False)).clip is None


def test_inner_limits_stay() -> None:
    b = Builder(1)
    x = b.clip(b.conv("input", 3, 8, identity=3), 0.0, 1.0)
    x = b.node("Min", b.node("Relu", b.conv(x, 8, 8, identity=3)), b.const(6.0))
    b.depth_to_space(b.conv(x, 8, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model)
    assert sr.clip is None
    assert operators(sr) == ["Conv", "Clip", "Conv", "Clip", "Conv", "DepthToSpace"]
    agree(model, sr)


def test_a_final_relu_without_upper_bound_stays_and_stands_before_the_shuffle() -> None:
    b = Builder(1)
    x = b.conv(b.conv("input", 3, 8, identity=3), 8, 12, identity=3, repeat=4)
    b.node("Relu", b.depth_to_space(x, 2), out="output")
    model = b.model(3, 2)
    sr = normalize(model)
    assert sr.clip is None
    assert operators(sr) == ["Conv", "Conv", "Relu", "DepthToSpace"]
    agree(model, sr)


def test_clip_in_channels_last_tail() -> None:
    b = Builder(1)
    x = b.depth_to_space(b.conv("input", 3, 12, identity=3, repeat=4), 2)
    y = b.node("Transpose", x, perm=[0, 2, 3, 1])
    add_clip(b, y, "Min+Max", 1.0, "limited")
    b.node("Transpose", "limited", perm=[0, 3, 1, 2], out="output")
    model = b.model(3, 2)
    sr = normalize(model)
    assert operators(sr) == ["Conv", "DepthToSpace"]
    assert sr.clip is not None
    agree(model, sr)


def test_a_range_that_contradicts_the_clip_is_refused() -> None:
    with pytest.raises(ModelError, match=r"contradicts the model's final clip to 0\.\.1"):
        normalize(xlsr(), value_range="0..255")


def test_an_unknown_range_is_refused() -> None:
    for word in ("-2..2", "0..1:", "0..1:0..1:0..1"):
        with pytest.raises(ModelError, match="is not a value range") as caught:
            normalize(xlsr(), value_range=word)
        assert "--range -1..1" in caught.value.hint
