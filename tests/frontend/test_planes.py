"""Networks of chroma, of luma with chroma, and of RGBA become networks of RGB pictures."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.frontend.spellings import operators
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError

TO_PLANES = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def of_planes(taken: int, given: int, scale: int, *, peak: float = 1.0, still: bool = False) -> onnx.ModelProto:
    """Planes pass through it, with random texture unless it is to be ``still``."""
    b, first = Builder(), int((taken, given) == (3, 2))
    noise, bias = (0.0, 0.0) if still else (0.3, 0.005)
    x = b.conv("input", taken, taken, identity=taken, noise=noise, bias=bias * peak)
    count = given * scale * scale
    x = b.conv(x, taken, count, identity=min(given, taken), source=first, repeat=scale * scale, noise=noise, bias=bias)
    b.depth_to_space(x, scale, out="output") if scale > 1 else b.node("Identity", x, out="output")
    ends = ("input", [1, taken, "h", "w"]), ("output", [1, given, "h_out", "w_out"])
    given_end, made_end = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    graph = helper.make_graph(b.nodes, "planes", [given_end], [made_end], b.initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def by_hand(model: onnx.ModelProto, rgb: np.ndarray, taken: int, given: int, peak: float = 1.0) -> np.ndarray:
    """What `model` makes of the planes of a picture (3, h, w), put together in the picture's size."""
    planes = np.tensordot(TO_PLANES, rgb, 1) + peak * np.array([0, 0.5, 0.5])[:, None, None]
    fed = {2: planes[1:], 3: planes, 1: planes[:1], 4: np.concatenate([rgb, np.full_like(rgb[:1], peak)])}[taken]
    made = run(model, fed[None].astype(np.float32))[0].astype(np.float64)
    if given >= 3:
        return made[:3]
    luma, chroma = (planes[:1], made) if given == 2 else (made, planes[1:])
    back = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
    return np.tensordot(back, np.concatenate([luma, chroma - 0.5 * peak]), 1)


@pytest.mark.parametrize(("taken", "given"), [(3, 2), (2, 2), (3, 1), (4, 4), (4, 3), (1, 3)])
@pytest.mark.parametrize(("said", "peak"), [("0..1", 1.0), ("0..255", 255.0)])
def test_it_does_to_planes_what_it_did(taken: int, given: int, said: str, peak: float) -> None:
    model = of_planes(taken, given, 1, peak=peak)
    sr = normalize(model, value_range=said)
    assert (sr.channels, sr.scale, sr.value_range[1]) == (3, 1, peak)
    rgb = np.random.default_rng(0).random((3, 19, 24)) * peak
    found = run(sr.model, rgb[None].astype(np.float32))[0]
    assert np.allclose(found, by_hand(model, rgb, taken, given, peak), atol=2e-5 * peak)


def test_what_it_does_not_give_is_enlarged_bicubically() -> None:
    sr = normalize(of_planes(3, 2, 2, still=True), value_range="0..1")
    assert sr.scale == 2
    assert "luma is the picture's, enlarged bicubically, chroma is the network's" in sr.changes[0]
    assert operators(sr).count("Resize") == 2
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 24, dtype=np.float32), (1, 3, 20, 24))
    found = run(sr.model, ramp)
    exact = (np.arange(48) - 0.5) / 2 * (0.6 / 23) + 0.2
    assert np.allclose(found[0, :, 10, 8:-8], exact[8:-8], atol=1e-5)


def test_the_range_is_found_where_it_is_not_said() -> None:
    assert normalize(of_planes(3, 2, 1)).value_range == (0.0, 1.0)


@pytest.mark.parametrize(("taken", "given"), [(2, 1), (3, 5), (4, 1)])
def test_other_channels_are_refused(taken: int, given: int) -> None:
    with pytest.raises(ModelError) as refused:
        normalize(of_planes(taken, given, 1), value_range="0..1")
    assert "of pictures (1 channel or 3), chroma" in refused.value.hint


def test_two_ranges_are_refused() -> None:
    with pytest.raises(ModelError, match="planes of Y, Cb and Cr or alpha"):
        normalize(of_planes(3, 2, 1), value_range="0..1:-1..1")
