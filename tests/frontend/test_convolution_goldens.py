"""Passes on convolutions, before and after, and that the numbers are the same: one of each but `test_goldens`' own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.goldens import Case, graph_of
from toolchain.frontend.model import Clip
from toolchain.frontend.passes import (
    anchor,
    biases,
    collapse,
    differences,
    final_clip,
    pads,
    parallel,
    sizes,
    transposed,
)

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

CASES = {
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
    "a crop of a transposed convolution": Case(
        sizes.apply,
        """
        a = ConvTranspose <strides = [2, 2], pads = [0, 0, 0, 0], kernel_shape = [3, 3]> (input, w)
        output = Slice (a, from, to, axes)
        """,
        "output = ConvTranspose(input, weights[4, 4, 3, 3], kernel_shape=[3, 3], pads=[1, 0, 0, 1], strides=[2, 2])",
        {"w": W, "from": np.array([1, 0]), "to": np.array([99, -1]), "axes": np.array([2, 3])},
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
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str) -> None:
    CASES[name].check()


def test_what_passes_find_out() -> None:
    case = CASES["the final clip"]
    facts = final_clip.apply(graph_of(case.before, **case.constants))
    assert facts.clip == Clip(0.0, 1.0, "Min+Relu")
    assert facts.changes == ("removed the final clip to 0..1 (Min+Relu before the pixel shuffle)",)
    case = CASES["linear branches"]
    (merge,) = collapse.apply(graph_of(case.before, **case.constants)).merges
    assert (merge.result, merge.nodes, merge.kernel) == ("u", 4, (3, 3))
