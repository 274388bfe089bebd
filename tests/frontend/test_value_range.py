from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.sr_models import Builder, abpn, espcn, fsrcnn, sesr, xlsr
from toolchain.frontend import SRModel, normalize
from toolchain.frontend.session import FloatSession
from toolchain.support.errors import ModelError


@pytest.mark.parametrize("seed", range(4))
def test_without_a_clip_behaviour_decides(seed: int) -> None:
    for net in (xlsr, espcn, fsrcnn, sesr):
        assert normalize(net(clipped=False, seed=seed)).value_range == (0.0, 1.0)
    assert normalize(abpn(clipped=False, seed=seed)).value_range == (0.0, 255.0)


def arbitrary() -> object:
    b = Builder(1)
    return b.depth_to_space(b.conv("input", 3, 12, noise=2.0, bias=1.0), 2, out="output") and b.model(3, 2)


def test_a_network_that_does_not_upscale_must_be_told() -> None:
    with pytest.raises(ModelError, match=r"cannot tell whether .* 0\.\.1, 0\.\.255 or -1\.\.1") as caught:
        normalize(arbitrary())
    assert "--range" in caught.value.hint


@pytest.mark.parametrize(("given", "want"), [("0..1", (0.0, 1.0)), ("0..255", (0.0, 255.0))])
def test_being_told(given: str, want: tuple[float, float]) -> None:
    assert normalize(arbitrary(), value_range=given).value_range == want


def signed(end: str, *, taken: str = "-1..1") -> onnx.ModelProto:
    """RGB x2 that gives -1..1, limited by ``end``, and takes the same or 0..1."""
    b = Builder(3)
    x = "input" if taken == "-1..1" else b.node("Sub", b.node("Mul", "input", b.const(2.0)), b.const(1.0))
    x = b.conv(b.node("Relu", b.conv(x, 3, 8, identity=3, bias=0.5)), 8, 12, identity=3, repeat=4, bias=0.5)
    x = b.depth_to_space(x, 2, out="" if end else "output")
    if end == "Clip":
        b.clip(x, -1.0, 1.0, out="output")
    elif end == "Tanh":
        b.node("Tanh", x, out="output")
    return b.model(3, 2)


def assert_same(model: onnx.ModelProto, sr: SRModel, taken: tuple[float, float]) -> None:
    """Both give the same picture, of numbers that mean what they mean to each."""
    low, high = taken
    x = np.random.default_rng(1).random((1, 3, 14, 17), np.float32)
    (want,), (got,) = (FloatSession(m).run(None, v) for m, v in ((model, x * (high - low) + low), (sr.model, x)))
    np.testing.assert_allclose(got if sr.clip is None else np.clip(got, 0, 1), (want + 1) / 2, atol=1e-5)


@pytest.mark.parametrize("end", ["Clip", "Tanh", ""])
@pytest.mark.parametrize(("taken", "low"), [("-1..1", -1.0), ("0..1", 0.0)])
def test_negative_black(end: str, taken: str, low: float) -> None:
    model = signed(end, taken=taken)
    sr = normalize(model, value_range=f"{taken}:-1..1")
    assert sr.value_range == (0.0, 1.0)
    assert f"made both ends 0..1, which were {taken}:-1..1" in sr.changes
    assert bool(sr.clip) == (end == "Clip")
    assert_same(model, sr, (low, 1.0))


def test_a_clip_says_it_and_behaviour_says_the_input() -> None:
    b = Builder(3)
    x = b.node("Sub", b.node("Mul", "input", b.const(2.0)), b.const(1.0))
    b.clip(b.depth_to_space(b.conv(x, 3, 12, identity=3, repeat=4), 2), -1.0, 1.0, out="output")
    sr = normalize(b.model(3, 2))
    assert "made both ends 0..1, which were 0..1:-1..1" in sr.changes
    assert [n.op_type for n in sr.model.graph.node] == ["Pad", "Conv", "DepthToSpace"]


def test_the_hint_names_it() -> None:
    b = Builder(3)
    x = b.conv(b.node("Relu", b.conv("input", 3, 8, identity=3)), 8, 12, identity=3, repeat=4)
    x = b.node("Mul", b.node("Sub", b.depth_to_space(x, 2), b.const(0.5)), b.const(2.0))
    b.node("Tanh", x, out="output")
    model = b.model(3, 2)
    with pytest.raises(ModelError) as caught:
        normalize(model)
    assert caught.value.hint == "say --range -1..1"
    assert "made both ends 0..1, which were 0..1:-1..1" in normalize(model, value_range="-1..1").changes
