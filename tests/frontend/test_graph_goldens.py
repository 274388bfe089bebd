"""Passes on graphs, before and after, one of each but those in `test_goldens`; and that the numbers are the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.frontend.goldens import NOTHING, SHAPE, Change, agrees, expect, graph_of, same, written
from toolchain.frontend.facts import Facts, PixelScale
from toolchain.frontend.interface import Interface
from toolchain.frontend.model import Clip
from toolchain.frontend.passes import (
    anchor,
    biases,
    border_fill,
    channels_first,
    clips,
    collapse,
    constants,
    differences,
    early,
    final_clip,
    final_limits,
    layout,
    names,
    nearest,
    noops,
    pads,
    parallel,
    pixel_scale,
    prelu,
    shuffle,
    sizes,
    transposed,
)
from toolchain.frontend.passes.base import GraphPass
from toolchain.frontend.value_range import SIGNED, Ends

RNG = np.random.default_rng(0)
W = RNG.normal(0, 0.3, (4, 4, 3, 3)).astype("f4")
W16 = RNG.normal(0, 0.3, (16, 4, 3, 3)).astype("f4")
W1 = RNG.normal(0, 0.3, (4, 4, 1, 1)).astype("f4")
UP = RNG.normal(0, 0.3, (4, 2, 2, 2)).astype("f4")
B = np.float32([0.5, 0.25, 0, 1])
B16 = RNG.normal(0, 0.3, 16).astype("f4")
CONV = "Conv <pads = [1, 1, 1, 1], kernel_shape = [3, 3], strides = [1, 1], dilations = [1, 1], group = 1>"
FULL = "dilations=[1, 1], group=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]"
TAP = "dilations=[1, 1], group=4, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1]"
TOP = np.stack(np.meshgrid([0], np.arange(4), [0], np.arange(10), indexing="ij"), -1).astype(np.int64)
FILL = np.float32([1, 2, 3, 4]).reshape(1, 4, 1, 1)


@dataclass(frozen=True)
class Case:
    """A pass with a graph before and after it.

    ``to_source`` and the others make of noise what the graph before takes, and so on; ``twice``: it changes its own
    result no more.
    """

    apply: GraphPass
    before: str
    after: str
    constants: dict[str, Any] = field(default_factory=dict)
    facts: Facts = NOTHING
    shape: tuple[int, ...] = SHAPE
    to_source: Change = same
    from_source: Change = same
    to_result: Change = same
    from_result: Change = same
    twice: bool = True


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
    "padding before a convolution, and none said": Case(
        pads.apply,
        """
        p = Pad (input, pads)
        c = Conv (p, w)
        output = Conv <auto_pad = "SAME_UPPER"> (c, w)
        """,
        f"""
        v0 = Conv(input, weights[4, 4, 3, 3], {FULL})
        output = Conv(v0, weights[4, 4, 3, 3], {FULL})
        """,
        {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "w": W},
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
    "a crop of a transposed convolution": Case(
        sizes.apply,
        """
        a = ConvTranspose <strides = [2, 2], pads = [0, 0, 0, 0], kernel_shape = [3, 3]> (input, w)
        output = Slice (a, from, to, axes)
        """,
        "output = ConvTranspose(input, weights[4, 4, 3, 3], kernel_shape=[3, 3], pads=[1, 0, 0, 1], strides=[2, 2])",
        {"w": W, "from": np.array([1, 0]), "to": np.array([99, -1]), "axes": np.array([2, 3])},
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
    "a bias for every convolution, a slope for every channel": Case(
        biases.apply,
        f"""
        a = {CONV} (input, w)
        output = PRelu (a, slope)
        """,
        f"""
        v0 = Conv(input, weights[4, 4, 3, 3], [0 0 0 0], {FULL})
        output = PRelu(v0, [0.25 0.25 0.25 0.25])
        """,
        {"w": W, "slope": np.float32(0.25)},
    ),
    "the final clip": Case(
        final_clip.apply,
        f"""
        a = {CONV} (input, w)
        m = Min (one, a)
        d = DepthToSpace <blocksize = 2, mode = "CRD"> (m)
        output = Relu (d)
        """,
        f"""
        v0 = Conv(input, weights[4, 4, 3, 3], {FULL})
        output = DepthToSpace(v0, blocksize=2, mode=CRD)
        """,
        {"w": W, "one": np.float32(1)},
        from_result=lambda y: y.clip(0, 1),
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
    "a transposed convolution": Case(
        transposed.apply,
        """
        output = ConvTranspose <strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1,
                                kernel_shape = [2, 2]> (input, w, b)
        """,
        """
        v0 = Conv(input, weights[8, 4, 1, 1], [0.5 0.25 0.5 0.25 0.5 0.25 0.5 0.25], dilations=[1, 1], group=1, \
kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1])
        output = DepthToSpace(v0, blocksize=2, mode=DCR)
        """,
        {"w": UP, "b": B[:2]},
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
    "linear branches": Case(
        collapse.apply,
        f"""
        a = {CONV} (input, w, b)
        s = Conv <pads = [0, 0, 0, 0], kernel_shape = [1, 1], strides = [1, 1], dilations = [1, 1], group = 1>
            (input, w1, b)
        t = Add (a, s)
        u = Add (t, input)
        output = Relu (u)
        """,
        f"""
        v0 = Conv(input, weights[4, 4, 3, 3], [1 0.5 0 2], {FULL})
        output = Relu(v0)
        """,
        {"w": W, "w1": W1, "b": B},
    ),
    "a convolution that is subtracted": Case(
        differences.apply,
        f"""
        a = {CONV} (input, w, b)
        d = DepthToSpace <blocksize = 2, mode = "DCR"> (a)
        x = DepthToSpace <blocksize = 2, mode = "DCR"> (input)
        output = Sub (x, d)
        """,
        f"""
        v0 = DepthToSpace(input, blocksize=2, mode=DCR)
        v1 = Conv(input, weights[4, 4, 3, 3], [-0.5 -0.25 0 -1], {FULL})
        v2 = DepthToSpace(v1, blocksize=2, mode=DCR)
        output = Add(v0, v2)
        """,
        {"w": W, "b": B},
    ),
    "an activation that is subtracted": Case(
        differences.apply,
        f"""
        a = {CONV} (input, w, b)
        r = Relu (a)
        output = Sub (input, r)
        """,
        f"""
        v0 = Conv(input, weights[4, 4, 3, 3], [0.5 0.25 0 1], {FULL})
        v1 = Relu(v0)
        v2 = Conv(v1, [-1 -1 -1 -1], [0 0 0 0], {TAP})
        output = Add(input, v2)
        """,
        {"w": W, "b": B},
    ),
    "an anchor": Case(
        anchor.apply,
        f"""
        a = {CONV} (input, w, b)
        d = DepthToSpace <blocksize = 2, mode = "DCR"> (a)
        up = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">
             (input, , two)
        output = Add (d, up)
        """,
        f"""
        v0 = Conv(input, weights[16, 4, 3, 3], weights[16], {FULL})
        v1 = Concat(input, input, input, input, axis=1)
        v2 = Add(v0, v1)
        output = DepthToSpace(v2, blocksize=2, mode=DCR)
        """,
        {"w": W16, "b": B16, "two": np.float32([1, 1, 2, 2])},
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
    "parallel convolutions": Case(
        parallel.apply,
        f"""
        a = {CONV} (input, w, b)
        ra = Relu (a)
        c = {CONV} (input, w, b)
        rc = Relu (c)
        output = Concat <axis = 1> (ra, rc)
        """,
        f"""
        v0 = Conv(input, weights[8, 4, 3, 3], [0.5 0.25 0 1 0.5 0.25 0 1], {FULL})
        output = Relu(v0)
        """,
        {"w": W, "b": B},
    ),
    "names": Case(names.apply, "output = Relu (input)", "output = Relu(input)"),
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str) -> None:
    case = CASES[name]
    graph = expect(case.apply, case.before, case.after, case.shape, case.facts, twice=case.twice, **case.constants)
    changes = (case.to_source, case.from_source, case.to_result, case.from_result)
    agrees(graph, case.before, case.shape, *changes, **case.constants)


def test_what_passes_find_out() -> None:
    case = CASES["the final clip"]
    facts = final_clip.apply(graph_of(case.before, **case.constants))
    assert facts.clip == Clip(0.0, 1.0, "Min+Relu")
    assert facts.changes == ("took off the final clip to 0..1 (Min+Relu before the pixel shuffle)",)
    case = CASES["the clip at the end is noted"]
    assert final_limits.apply(graph_of(case.before, **case.constants)).limits == (0.0, 1.0)
    case = CASES["an input that is divided by 255"]
    assert pixel_scale.apply(graph_of(case.before, **case.constants)).pixels == PixelScale("0..1", 255.0)
    case = CASES["linear branches"]
    (merge,) = collapse.apply(graph_of(case.before, **case.constants)).merges
    assert (merge.result, merge.nodes, merge.kernel) == ("u", 4, (3, 3))


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
