from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sr_models import Builder, abpn, espcn, fsrcnn, sesr, xlsr
from toolchain.frontend import SRModel, normalize
from toolchain.frontend.probe import run
from toolchain.images.geometry import UNBOUNDED_HALO


def radius(sr: SRModel) -> int:
    """By experiment: which input pixels change the output's pixels that belong to the middle one?"""
    middle = 14
    x = np.random.default_rng(0).uniform(0.3, 0.7, (1, sr.channels, 29, 29)).astype(np.float32) * sr.value_range[1]
    own = slice(middle * sr.scale, (middle + 1) * sr.scale)
    base = run(sr.model, x)[..., own, own]
    found = 0
    for distance in range(1, middle + 1):
        changed = x.copy()
        ring = np.maximum(*np.abs(np.indices((29, 29)) - middle)) == distance
        changed[..., ring] += 0.3 * sr.value_range[1]
        if np.any(run(sr.model, changed)[..., own, own] != base):
            found = distance
    return found


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (xlsr(), 5),
        (abpn(), 7),
        (espcn(), 4),
        (sesr(), 7),
        (fsrcnn(), 5),
        (fsrcnn(2), 6),
        (fsrcnn(4), 5),
    ],
    ids=lambda v: v.graph.name if isinstance(v, onnx.ModelProto) else str(v),
)
def test_networks(model: onnx.ModelProto, expected: int) -> None:
    sr = normalize(model)
    assert sr.halo == expected
    assert radius(sr) == expected


def linear(b: Builder, x: str, cin: int, cout: int, kernel: int, pads: list[int], dilation: int = 1) -> str:
    """A convolution without zeros among its weights."""
    w = b.const(b.rng.uniform(0.1, 1.0, (cout, cin, kernel, kernel)) / (kernel * kernel * cin))
    return b.node("Conv", x, w, pads=pads, dilations=[dilation] * 2)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from(["shuffle", "deconv"]),
    st.integers(0, 6),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(0, 100),
)
def test_any_network(before: int, scale: int, kind: str, extra: int, after: int, dilation: int, seed: int) -> None:
    b = Builder(seed)
    x = "input"
    for _ in range(before):
        x = linear(b, x, 1, 1, 3, [dilation] * 4, dilation)
    if kind == "shuffle" and scale > 1:
        x = b.depth_to_space(linear(b, x, 1, scale**2, 2, [extra % 2, 0, 1 - extra % 2, 1]), scale)
    else:
        kernel = scale + extra
        begin = b.rng.integers(0, extra + 1)
        w = b.const(b.rng.uniform(0.1, 1.0, (1, 1, kernel, kernel)))
        x = b.node("ConvTranspose", x, w, strides=[scale] * 2, pads=[begin, begin, extra - begin, extra - begin])
    for _ in range(after):
        x = linear(b, x, 1, 1, 5, [2] * 4)
    b.node("Identity", x, out="output")
    sr = normalize(b.model(1, scale), value_range="0..1")
    # Phases of a transposed convolution that reach less far than others count as those: one pixel more at most.
    slack = int(kind == "deconv" and after > 0)
    assert radius(sr) <= sr.halo <= radius(sr) + slack


def test_what_sees_everything_cannot_be_tiled() -> None:
    b = Builder()
    x = b.conv("input", 3, 8, identity=3)
    gate = b.node("Sigmoid", b.conv(b.node("GlobalAveragePool", x), 8, 8, 1))
    b.depth_to_space(b.conv(b.node("Mul", x, gate), 8, 12, identity=3, repeat=4), 2, out="output")
    assert normalize(b.model(3, 2), value_range="0..1").halo == UNBOUNDED_HALO


def test_interpolation_is_bounded() -> None:
    b = Builder()
    x = b.depth_to_space(b.conv("input", 3, 12), 2)
    up = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode="cubic")
    b.node("Add", x, up, out="output")
    sr = normalize(b.model(3, 2), value_range="0..1")
    assert radius(sr) <= sr.halo <= radius(sr) + 1
