"""Passes on graphs, before and after, and that the numbers are the same: one of each but those on convolutions."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.goldens import Case, graph_of, written
from toolchain.frontend.facts import Facts, PixelScale
from toolchain.frontend.interface import Interface
from toolchain.frontend.passes import (
    border_fill,
    channels_first,
    clips,
    constants,
    early,
    final_limits,
    global_pools,
    layout,
    names,
    nearest,
    noops,
    pixel_scale,
    pools,
    prelu,
    shuffle,
    sizes,
    subsample,
)
from toolchain.frontend.value_range import SIGNED, Ends

TOP = np.stack(np.meshgrid([0], np.arange(4), [0], np.arange(10), indexing="ij"), -1).astype(np.int64)
ONE_TAP = "dilations=[1, 1], group=1, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1]"
FILL = np.float32([1, 2, 3, 4]).reshape(1, 4, 1, 1)

CASES = {
    "what depends on constants is computed": Case(
        constants.apply,
        """
        two = Constant <value_float = 2.0> ()
        three = Add (two, one)
        output = Mul (input, three)
        """,
        "output = Mul(input, [3])",
        {"one": np.float32(1)},
    ),
    "operators without effect go": Case(
        noops.apply,
        """
        a = Identity (input)
        b = Add (zero, a)
        c = Sum (b, input, b)
        output = Transpose <perm = [0, 1, 2, 3]> (c)
        """,
        """
        v0 = Add(input, input)
        output = Add(v0, input)
        """,
        {"zero": np.float32(0)},
    ),
    "means over the picture": Case(
        global_pools.apply,
        """
        m = ReduceMean <axes = [2, 3]> (input)
        a = ReduceMax <axes = [3], keepdims = 0> (input)
        b = ReduceMax <axes = [2], keepdims = 0> (a)
        c = Unsqueeze (b, axes)
        s = Add (m, c)
        output = Mul (input, s)
        """,
        """
        v0 = GlobalAveragePool(input)
        v1 = GlobalMaxPool(input)
        v2 = Add(v0, v1)
        output = Mul(input, v2)
        """,
        {"axes": np.array([2, 3])},
    ),
    "channel attention by matrices": Case(
        global_pools.apply,
        """
        m = GlobalAveragePool (input)
        a = Flatten (m)
        b = Gemm <transB = 1> (a, down, few)
        c = Relu (b)
        d = MatMul (c, up)
        e = Add (d, all)
        f = Sigmoid (e)
        g = Reshape (f, square)
        output = Mul (input, g)
        """,
        """
        v0 = GlobalAveragePool(input)
        v1 = Conv(v0, [0 0.125 0.25 0.375 0.5 0.625 0.75 0.875], [0.1 -0.2], ONE_TAP)
        v2 = Relu(v1)
        v3 = Conv(v2, [0 0.5 0.125 0.625 0.25 0.75 0.375 0.875], [0 0 0 0], ONE_TAP)
        v4 = Add(v3, [1 2 3 4])
        v5 = Sigmoid(v4)
        output = Mul(input, v5)
        """.replace("ONE_TAP", ONE_TAP),
        {
            "down": np.arange(8, dtype=np.float32).reshape(2, 4) / 8,
            "few": np.float32([0.1, -0.2]),
            "up": np.arange(8, dtype=np.float32).reshape(2, 4) / 8,
            "all": np.float32([1, 2, 3, 4]),
            "square": np.array([1, 4, 1, 1]),
        },
    ),
    "SpaceToDepth, its channels in the order of pixel_unshuffle": Case(
        shuffle.apply,
        """
        a = Reshape (input, split)
        b = Transpose <perm = [0, 1, 3, 5, 2, 4]> (a)
        output = Reshape (b, joined)
        """,
        """
        v0 = SpaceToDepth(input, blocksize=2)
        output = Gather(v0, weights[16], axis=1)
        """,
        {"split": np.int64([1, 4, 6, 2, 5, 2]), "joined": np.int64([1, 16, 6, 5])},
    ),
    "every second pixel, four times, side by side": Case(
        subsample.apply,
        """
        even = Slice (input, zero, end, rows, two)
        a = Slice (even, zero, end, columns, two)
        b = Slice (even, one, end, columns, two)
        c = Slice (input, ones, ends, axes, twos)
        output = Concat <axis = 1> (a, b, c)
        """,
        """
        v0 = SpaceToDepth(input, blocksize=2)
        v1 = Gather(v0, [0 1 2 3], axis=1)
        v2 = Gather(v0, [4 5 6 7], axis=1)
        v3 = Gather(v0, [12 13 14 15], axis=1)
        output = Concat(v1, v2, v3, axis=1)
        """,
        {
            "zero": np.int64([0]),
            "one": np.int64([1]),
            "two": np.int64([2]),
            "end": np.int64([1 << 40]),
            "rows": np.int64([2]),
            "columns": np.int64([3]),
            "ones": np.int64([1, 1]),
            "twos": np.int64([2, 2]),
            "ends": np.int64([1 << 40, 1 << 40]),
            "axes": np.int64([2, 3]),
        },
    ),
    "an average of whole windows is a convolution": Case(
        pools.apply,
        "output = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (input)",
        "output = Conv(input, weights[4, 1, 2, 2], dilations=[1, 1], group=4, kernel_shape=[2, 2], pads=[0, 0, 0, 0], "
        "strides=[2, 2])",
    ),
    "an average that leaves padding out is none": Case(
        pools.apply,
        "output = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (input)",
        "output = AveragePool(input, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])",
    ),
    "the largest of windows": Case(
        pools.apply,
        "output = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (input)",
        "output = MaxPool(input, ceil_mode=1, dilations=[1, 1], kernel_shape=[2, 2], pads=[0, 0, 0, 0], "
        "strides=[2, 2])",
    ),
    "a border that is written by index": Case(
        border_fill.apply,
        """
        p = Pad (input, pads)
        f = ScatterND (p, places, numbers)
        output = Relu (f)
        """,
        """
        v0 = Sub(input, [1 2 3 4])
        v1 = Pad(v0, [0 0 1 0 0 0 0 0])
        v2 = Add(v1, [1 2 3 4])
        output = Relu(v2)
        """,
        {
            "pads": np.array([0, 0, 1, 0, 0, 0, 0, 0]),
            "places": TOP,
            "numbers": np.broadcast_to(FILL, (1, 4, 1, 10)).copy(),
        },
    ),
    "channels-last ends": Case(
        channels_first.apply,
        """
        r = Relu (input)
        output = Mul (r, two)
        """,
        """
        v0 = Transpose(input, perm=[0, 2, 3, 1])
        v1 = Relu(v0)
        v2 = Mul(v1, [2])
        output = Transpose(v2, perm=[0, 3, 1, 2])
        """,
        {"two": np.float32(2)},
        Facts(Interface(3, True, (1, 12, 10, 3))),
        (1, 12, 10, 3),
        to_result=lambda x: x.transpose(0, 3, 1, 2),
        from_result=lambda y: y.transpose(0, 2, 3, 1),
        twice=False,
    ),
    "transposes meet": Case(
        layout.apply,
        """
        a = Transpose <perm = [0, 2, 3, 1]> (input)
        b = Mul (a, scale)
        output = Transpose <perm = [0, 3, 1, 2]> (b)
        """,
        "output = Mul(input, [1 2 3 4])",
        {"scale": np.float32([1, 2, 3, 4])},
    ),
    "a pixel shuffle that is spelled out": Case(
        shuffle.apply,
        """
        a = Reshape (input, parted)
        b = Transpose <perm = [0, 1, 4, 2, 5, 3]> (a)
        output = Reshape (b, whole)
        """,
        "output = DepthToSpace(input, blocksize=2, mode=CRD)",
        {"parted": np.array([1, 1, 2, 2, 12, 10]), "whole": np.array([1, 1, 24, 20])},
    ),
    "a size that was baked in": Case(
        sizes.apply,
        """
        a = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric"> (input, , , size)
        output = Relu (a)
        """,
        """
        v0 = Resize(input, [1 1 2 2], coordinate_transformation_mode=asymmetric, mode=nearest)
        output = Relu(v0)
        """,
        {"size": np.array([1, 4, 24, 20])},
    ),
    "the clip at the end is noted": Case(
        final_limits.apply,
        """
        a = Min (input, one)
        output = Relu (a)
        """,
        """
        v0 = Min(input, [1])
        output = Relu(v0)
        """,
        {"one": np.float32(1)},
    ),
    "an input that is divided by 255": Case(
        pixel_scale.apply,
        """
        a = Div (input, peak)
        output = Relu (a)
        """,
        """
        v0 = Mul(input, [255])
        v1 = Div(v0, [255])
        output = Relu(v1)
        """,
        {"peak": np.float32(255)},
        to_source=lambda x: x * 255,
        twice=False,
    ),
    "ends from -1 to 1": Case(
        pixel_scale.apply,
        "output = Tanh (input)",
        """
        v0 = Mul(input, [2])
        v1 = Add(v0, [-1])
        v2 = Tanh(v1)
        v3 = Mul(v2, [0.5])
        output = Add(v3, [0.5])
        """,
        {},
        Facts(ends=Ends(SIGNED, SIGNED)),
        to_source=lambda x: x * 2 - 1,
        from_source=lambda y: (y + 1) / 2,
        twice=False,
    ),
    "a PReLU that is spelled out": Case(
        prelu.apply,
        """
        up = Relu (input)
        minus = Neg (input)
        down = Relu (minus)
        bent = Mul (down, slope)
        output = Sub (up, bent)
        """,
        "output = PRelu(input, [0.25 0.25 0.25 0.25])",
        {"slope": np.full((1, 4, 1, 1), 0.25, "f4")},
    ),
    "limits have one spelling, before the shuffle": Case(
        clips.apply,
        """
        d = DepthToSpace <blocksize = 2, mode = "CRD"> (input)
        a = Max (d, low)
        m = Min (a, high)
        output = Add (m, m)
        """,
        """
        v0 = Clip(input, [-0.5], [0.5])
        v1 = DepthToSpace(v0, blocksize=2, mode=CRD)
        output = Add(v1, v1)
        """,
        {"low": np.float32(-0.5), "high": np.float32(0.5)},
    ),
    "an activation behind a shuffle": Case(
        early.apply,
        """
        d = DepthToSpace <blocksize = 2, mode = "CRD"> (input)
        output = PRelu (d, slope)
        """,
        """
        v0 = PRelu(input, [0.25 0.25 0.25 0.25])
        output = DepthToSpace(v0, blocksize=2, mode=CRD)
        """,
        {"slope": np.full((1, 1, 1), 0.25, "f4")},
    ),
    "functions behind a shuffle": Case(
        early.apply,
        """
        d = DepthToSpace <blocksize = 2, mode = "CRD"> (input)
        a = Abs (d)
        output = Pow (a, power)
        """,
        """
        v0 = Abs(input)
        v1 = Pow(v0, [0.5])
        output = DepthToSpace(v1, blocksize=2, mode=CRD)
        """,
        {"power": np.float32(0.5)},
    ),
    "pixels that are repeated": Case(
        nearest.apply,
        """
        output = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">
                 (input, , two)
        """,
        """
        v0 = Concat(input, input, input, input, axis=1)
        output = DepthToSpace(v0, blocksize=2, mode=DCR)
        """,
        {"two": np.float32([1, 1, 2, 2])},
    ),
    "names": Case(names.apply, "output = Relu (input)", "output = Relu(input)"),
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str) -> None:
    CASES[name].check()


def test_what_passes_find_out() -> None:
    case = CASES["the clip at the end is noted"]
    assert final_limits.apply(graph_of(case.before, **case.constants)).limits == (0.0, 1.0)
    case = CASES["an input that is divided by 255"]
    assert pixel_scale.apply(graph_of(case.before, **case.constants)).pixels == PixelScale("0..1", 255.0)


def test_ends_and_operators_are_named() -> None:
    graph = graph_of(
        """
        input_inner = Relu (input)
        output = Tanh (input_inner)
        """
    )
    graph.rename("input", "picture")
    graph.rename("input_inner", "input")
    graph.rename("output", "large")
    for node in graph.nodes:
        node.name = "same"
    names.apply(graph)
    assert (graph.input, graph.output, [node.name for node in graph.nodes]) == ("input", "output", ["same", "same_1"])
    assert written(graph) == "v0 = Relu(input)\noutput = Tanh(v0)"
