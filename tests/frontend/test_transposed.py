"""Transposed convolutions become convolutions with a pixel shuffle, exactly, borders included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder, fsrcnn
from toolchain.frontend import normalize
from toolchain.frontend.graph import Graph, attributes
from toolchain.frontend.passes import biases, pads, transposed
from toolchain.frontend.probe import run


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, object]:
    """Every way of making ``stride`` times the size, also where the padding exceeds the kernel on one side."""
    stride = draw(st.integers(2, 4))
    kernel = [draw(st.integers(2, 9)) for _ in range(2)]
    dilation = draw(st.sampled_from([1, 1, 2]))
    begin, end, growth = [], [], []
    for size in kernel:
        excess = (size - 1) * dilation + 1 - stride
        extra = draw(st.integers(max(0, -excess), stride - 1)) if excess < 0 else draw(st.integers(0, stride - 1))
        first = draw(st.integers(0, excess + extra))
        begin, end, growth = [*begin, first], [*end, excess + extra - first], [*growth, extra]
    return {
        "kernel_shape": kernel,
        "strides": [stride] * 2,
        "dilations": [dilation] * 2,
        "pads": begin + end,
        "output_padding": growth,
    }


@settings(max_examples=60, deadline=None)
@given(
    geometries(),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([1, 1, 2]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_any_geometry_is_equal_to_the_border(
    geometry: dict, inputs: int, outputs: int, group: int, height: int, width: int, seed: int
) -> None:
    b = Builder(seed)
    weight = b.const(b.rng.normal(0, 1, (inputs * group, outputs, *geometry["kernel_shape"])))
    bias = b.const(b.rng.normal(0, 1, outputs * group))
    x = b.node("Conv", "input", b.const(b.rng.normal(0, 1, (inputs * group, 3, 1, 1))))
    x = b.node("ConvTranspose", x, weight, bias, group=group, **geometry)
    b.conv(x, outputs * group, 3, 1, noise=1.0, out="output")
    model = b.model(3, geometry["strides"][0])
    graph = Graph(model, (1, 3, height, width))
    biases.apply(graph)
    pads.apply(graph)
    assert "stride" in transposed.apply(graph).changes[0]
    assert [n.op_type for n in graph.nodes] == ["Conv", "Conv", "DepthToSpace", "Conv"]
    picture = b.rng.normal(0, 1, graph.probe).astype(np.float32)
    want = run(model, picture)
    got = run(graph.to_model(input_shape=graph.probe, output_shape=want.shape), picture)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_no_kernel_grows_needlessly(scale: int) -> None:
    """The convolution has the taps that a phase needs and no more: 9x9 by 3 is 3x3."""
    sr = normalize(fsrcnn(scale, kernel=9))
    assert operators(sr)[-2:] == ["Conv", "DepthToSpace"]
    assert attributes(sr.model.graph.node[-2])["kernel_shape"] == {2: [5, 5], 3: [3, 3], 4: [3, 3]}[scale]


def test_activations_join_the_convolution() -> None:
    b = Builder(2)
    x = b.conv("input", 3, 6, identity=3)
    x = b.node("ConvTranspose", x, b.const(b.rng.normal(0, 0.3, (6, 4, 4, 4))), strides=[2, 2], pads=[1] * 4)
    x = b.prelu(x, 4)
    b.conv(x, 4, 3, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Conv", "PRelu", "DepthToSpace", "Conv"]
    agree(model, sr)


def test_two_that_are_added_become_one_sum() -> None:
    b = Builder(2)
    parts = []
    for _ in range(2):
        x = b.conv("input", 3, 6, identity=3)
        parts.append(
            b.node("ConvTranspose", x, b.const(b.rng.normal(0, 0.3, (6, 3, 6, 6))), strides=[3, 3], pads=[2, 2, 1, 1])
        )
    b.node("LeakyRelu", b.node("Add", *parts), out="output", alpha=0.2)
    model = b.model(3, 3)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == ["Conv", "Conv", "Conv", "Conv", "Add", "LeakyRelu", "DepthToSpace"]
    agree(model, sr)


@pytest.mark.parametrize("attrs", [{"strides": [2, 1]}, {"strides": [1, 2], "pads": [0] * 4}])
def test_what_does_not_fit_stays(attrs: dict) -> None:
    b = Builder(1)
    b.node("ConvTranspose", "input", b.const(b.rng.normal(0, 1, (3, 3, 3, 3))), out="output", **attrs)
    graph = Graph(b.model(3, 2), (1, 3, 5, 6))
    biases.apply(graph)
    pads.apply(graph)
    assert transposed.apply(graph).changes == ()
    assert [n.op_type for n in graph.nodes] == ["ConvTranspose"]
