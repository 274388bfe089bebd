"""Frontend passes, before and after: what they make of a graph, and that it computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontend.goldens import SHAPE, Pass, agrees, expect
from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.interface import Interface
from toolchain.frontend.passes import affine, channels, windows

FIXED = Facts(Interface(4, False, SHAPE, SHAPE[2:]))
RNG = np.random.default_rng(0)
W = RNG.normal(0, 0.3, (4, 4, 3, 3)).astype("f4")
W2 = RNG.normal(0, 0.3, (4, 2, 3, 3)).astype("f4")
B = RNG.normal(0, 0.3, 4).astype("f4")
CONV = "Conv <pads = [1, 1, 1, 1], kernel_shape = [3, 3]>"
MEAN = np.reshape([0.1, 0.2, 0.3, 0.4], (1, 4, 1, 1)).astype("f4")


def fixed_windows(graph: Graph, _facts: Facts) -> Facts:
    return windows.apply(graph, FIXED)


CASES: dict[str, tuple[Pass, str, str, dict[str, Any]]] = {
    "a split is choices of channels": (
        channels.apply,
        """
        a, b = Split <axis = 1> (input, sizes)
        r = Relu (b)
        output = Concat <axis = 1> (r, a)
        """,
        """
        v0 = Gather(input, [3], axis=1)
        v1 = Relu(v0)
        v2 = Gather(input, [0 1 2], axis=1)
        output = Concat(v1, v2, axis=1)
        """,
        {"sizes": np.array([3, 1])},
    ),
    "a slice with a negative step is an order": (
        channels.apply,
        """
        s = Slice (input, a, b, axes, step)
        output = Relu (s)
        """,
        """
        v0 = Gather(input, [3 2 1 0], axis=1)
        output = Relu(v0)
        """,
        {"a": np.array([-1]), "b": np.array([-5]), "axes": np.array([1]), "step": np.array([-1])},
    ),
    "a slice of channels and rows is both": (
        channels.apply,
        """
        s = Slice (input, a, b, axes)
        output = Relu (s)
        """,
        """
        v0 = Slice(input, [2], [9], [2], [1])
        v1 = Gather(v0, [1 2], axis=1)
        output = Relu(v1)
        """,
        {"a": np.array([1, 2]), "b": np.array([3, 9]), "axes": np.array([1, 2])},
    ),
    "choices one after the other are one": (
        channels.apply,
        """
        a = Gather <axis = 1> (input, first)
        b = Gather <axis = 1> (a, second)
        output = Relu (b)
        """,
        """
        v0 = Gather(input, [3 2], axis=1)
        output = Relu(v0)
        """,
        {"first": np.array([0, 2, -1]), "second": np.array([2, 1])},
    ),
    "parts put back together in order are nothing": (
        channels.apply,
        """
        a, b = Split <axis = 1> (input, sizes)
        c = Concat <axis = 1> (a, b)
        output = Relu (c)
        """,
        """
        output = Relu(input)
        """,
        {"sizes": np.array([1, 3])},
    ),
    "an order that a convolution reads is in its weights": (
        channels.apply,
        f"""
        a = Gather <axis = 1> (input, order)
        m = Sub (a, mean)
        output = {CONV} (m, w, b)
        """,
        """
        v0 = Sub(input, [0.2 0.4 0.1 0.3])
        output = Conv(v0, weights[4, 4, 3, 3], {b}, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        """.replace("{b}", "[" + " ".join(f"{v:g}" for v in B) + "]"),
        {"order": np.array([2, 0, 3, 1]), "mean": MEAN, "w": W, "b": B},
    ),
    "a choice behind a convolution is in its weights": (
        channels.apply,
        f"""
        a = {CONV} (input, w)
        r = Relu (a)
        output = Gather <axis = 1> (r, order)
        """,
        """
        v0 = Conv(input, weights[2, 4, 3, 3], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        output = Relu(v0)
        """,
        {"order": np.array([3, 1]), "w": W},
    ),
    "a choice behind a pixel shuffle too": (
        channels.apply,
        f"""
        a = {CONV} (input, w)
        d = DepthToSpace <blocksize = 2, mode = "DCR"> (a)
        output = Gather <axis = 1> (d, order)
        """,
        """
        v0 = Conv(input, weights[8, 4, 3, 3], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        output = DepthToSpace(v0, blocksize=2, mode=DCR)
        """,
        {"order": np.array([1, 0]), "w": np.concatenate([W, 2 * W])},
    ),
    "a part that a convolution reads stays": (
        channels.apply,
        f"""
        a = Gather <axis = 1> (input, part)
        output = {CONV} (a, w)
        """,
        """
        v0 = Gather(input, [1 2], axis=1)
        output = Conv(v0, weights[4, 2, 3, 3], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        """,
        {"part": np.array([1, 2]), "w": W2},
    ),
    "negative padding is a crop": (
        fixed_windows,
        """
        p = Pad (input, pads)
        output = Relu (p)
        """,
        """
        v0 = Slice(input, [1 2], [-3 end], [2 3])
        output = Relu(v0)
        """,
        {"pads": np.array([0, 0, -1, -2, 0, 0, -3, 0])},
    ),
    "padding of both signs cuts first": (
        fixed_windows,
        """
        p = Pad <mode = "reflect"> (input, pads)
        output = Relu (p)
        """,
        """
        v0 = Slice(input, [1 0], [end end], [2 3])
        v1 = Pad(v0, [0 0 0 2 0 0 0 0], mode=reflect)
        output = Relu(v1)
        """,
        {"pads": np.array([0, 0, -1, 2, 0, 0, 0, 0])},
    ),
    "a crop says what it cuts": (
        fixed_windows,
        """
        s = Slice (input, a, b, axes)
        output = Relu (s)
        """,
        """
        v0 = Slice(input, [1 0], [-2 end], [2 3])
        output = Relu(v0)
        """,
        {"a": np.array([1]), "b": np.array([10]), "axes": np.array([2])},
    ),
    "an offset before padding is what is padded": (
        affine.apply,
        f"""
        m = Sub (input, half)
        output = {CONV} (m, w, b)
        """,
        """
        v0 = Pad(input, [0 0 1 1 0 0 1 1], [0.5])
        output = Conv(v0, weights[4, 4, 3, 3], {b}, kernel_shape=[3, 3], pads=[0, 0, 0, 0])
        """.replace("{b}", "[" + " ".join(f"{v:g}" for v in B - 0.5 * W.sum((1, 2, 3))) + "]"),
        {"half": np.float32(0.5), "w": W, "b": B},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str):
    apply, before, after, constants = CASES[name]
    graph = expect(apply, before, after, **constants)
    agrees(graph, before, **constants)
