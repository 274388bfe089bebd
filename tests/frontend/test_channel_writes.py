"""Channels that are written, repeated or padded by index: before and after, and that they stay integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.frontend.goldens import Case
from tests.frontend.spellings import agree
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.passes import channel_writes, noops
from toolchain.quantize.plan import make_plan

CASES = {
    "channels that are written": Case(
        channel_writes.apply,
        """
        y = Relu (input)
        front = Transpose <perm = [1, 0, 2, 3]> (input)
        new = Gather <axis = 1> (y, first)
        turned = Transpose <perm = [1, 0, 2, 3]> (new)
        written = ScatterND (front, places, turned)
        output = Transpose <perm = [1, 0, 2, 3]> (written)
        """,
        """
        v0 = Relu(input)
        v1 = Gather(v0, [0 1], axis=1)
        v2 = Gather(v1, [1], axis=1)
        v3 = Gather(input, [1 2], axis=1)
        v4 = Gather(v1, [0], axis=1)
        output = Concat(v2, v3, v4, axis=1)
        """,
        {"first": np.int64([0, 1]), "places": np.int64([[3], [0]])},
    ),
    "a tensor several times": Case(
        channel_writes.apply,
        "output = Tile (input, times)",
        "output = Concat(input, input, input, axis=1)",
        {"times": np.int64([1, 3, 1, 1])},
    ),
    "channels of zeros": Case(
        channel_writes.apply,
        "output = Pad (input, pads)",
        "output = Conv(input, weights[6, 4, 1, 1], [0 0 0 0 0 0], "
        "dilations=[1, 1], group=1, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1])",
        {"pads": np.int64([0, 0, 0, 0, 0, 2, 0, 0])},
    ),
    "a border is no channel": Case(
        channel_writes.apply,
        "output = Pad (input, pads)",
        "output = Pad(input, [0 0 1 1 0 0 1 1])",
        {"pads": np.int64([0, 0, 1, 1, 0, 0, 1, 1])},
    ),
    "a mean of tensors": Case(
        noops.apply,
        """
        a = Relu (input)
        output = Mean (a, input, a)
        """,
        """
        v0 = Relu(input)
        v1 = Add(v0, input)
        v2 = Add(v1, v0)
        output = Mul(v2, [0.333333])
        """,
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str) -> None:
    CASES[name].check()


def written(b: Builder, x: str, places: Any, perm: Any = (1, 0, 2, 3), back: Any = (1, 0, 2, 3)) -> str:
    """``x[:, places] = relu(conv(x[:, :len(places)]))`` as exporters spell it."""
    part = b.node("Gather", x, b.const(np.arange(len(places)), np.int64), axis=1)
    new = b.node("Relu", b.conv(part, len(places), len(places), identity=3))
    turned = [b.node("Transpose", v, perm=list(perm)) for v in (x, new)]
    return b.node(
        "Transpose", b.node("ScatterND", turned[0], b.const(np.c_[places], np.int64), turned[1]), perm=list(back)
    )


def expanded(b: Builder, x: str) -> str:
    one = b.conv(x, 12, 1, k=1)
    return b.node("Add", x, b.node("Expand", one, b.const([1, 12, 1, 1], np.int64)))


NETWORKS: dict[str, Callable[[Builder, str], str]] = {
    "the first channels": lambda b, x: written(b, x, [0, 1, 2, 3]),
    "any channels, one twice": lambda b, x: written(b, x, [3, 9, 3, -1]),
    "another order of axes": lambda b, x: written(b, x, [4, 5, 6], (1, 2, 3, 0), (3, 0, 1, 2)),
    "a tensor several times": lambda b, x: b.node("Add", x, b.node("Tile", "input", b.const([1, 4, 1, 1], np.int64))),
    "one channel for all": expanded,
    "channels of zeros": lambda b, x: b.node(
        "Add", x, b.node("Pad", "input", b.const([0, 4, 0, 0, 0, 5, 0, 0], np.int64))
    ),
    "a channel of ones": lambda b, x: b.node(
        "Add", x, b.node("Pad", "input", b.const([0, 0, 0, 0, 0, 9, 0, 0], np.int64), b.const(1.0))
    ),
    "a mean of tensors": lambda b, x: b.node("Mean", b.node("Relu", b.conv(x, 12, 12)), x),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_stay_integer(name: str) -> None:
    b = Builder(opset=18)
    x = b.node("Relu", b.conv("input", 3, 12, identity=3, noise=0.5))
    b.depth_to_space(b.conv(NETWORKS[name](b, x), 12, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    agree(model, sr)
    assert not {"ScatterND", "Tile", "Expand", "Mean", "Transpose", "Pad"} & {n.op_type for n in sr.model.graph.node}
    assert make_plan(sr).float_operators == ()


def test_writes_that_add_stay(tmp_path: Any) -> None:
    b = Builder(opset=18)
    x = b.node("Relu", b.conv("input", 3, 12, identity=3))
    turned = b.node("Transpose", x, perm=[1, 0, 2, 3])
    b.nodes.append(
        helper.make_node(
            "ScatterND",
            [turned, b.const([[1]], np.int64), b.node("Gather", turned, b.const([0], np.int64))],
            ["added"],
            reduction="add",
        )
    )
    y = b.node("Transpose", "added", perm=[1, 0, 2, 3])
    b.depth_to_space(b.conv(y, 12, 12, identity=3, repeat=4), 2, out="output")
    model = b.model(3, 2)
    sr = normalize(model, value_range="0..1")
    agree(model, sr)
    assert "ScatterND" in {n.op_type for n in sr.model.graph.node}
