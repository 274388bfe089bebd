"""Every spelling of ABPN's anchor becomes the one that is part of the convolution's kernel."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder, abpn
from toolchain.frontend import normalize
from toolchain.frontend.graph import attributes

SCALE = 3
REPEATS = SCALE * SCALE


def tiled(b: Builder) -> str:
    return b.node("Concat", *["input"] * REPEATS, axis=1)


def sliced(b: Builder) -> str:
    def channel(c: int) -> str:
        return b.node("Slice", "input", *(b.const([v], np.int64) for v in (c, c + 1, 1)))

    return b.node("Concat", *[channel(c) for c in range(3) for _ in range(REPEATS)], axis=1)


def gathered(b: Builder) -> str:
    return b.node("Gather", "input", b.const(np.repeat(np.arange(3), REPEATS), np.int64), axis=1)


def interleaved(b: Builder) -> str:
    """What PyTorch's ``repeat_interleave`` is exported as, about."""
    deep = b.node("Unsqueeze", "input", b.const([2], np.int64))
    wide = b.node("Tile", deep, b.const([1, 1, REPEATS, 1, 1], np.int64))
    shape = b.node("Shape", "input")
    size = b.node("Slice", shape, b.const([2], np.int64), b.const([4], np.int64))
    return b.node("Reshape", wide, b.node("Concat", b.const([1, 3 * REPEATS], np.int64), size, axis=0))


def resized(b: Builder) -> str:
    return b.node(
        "Resize",
        "input",
        "",
        b.const([1.0, 1.0, SCALE, SCALE]),
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )


def network(anchor: str, mode: str, *, behind: bool = False):
    b = Builder(3)
    x = b.node("Relu", b.conv("input", 3, 8))
    x = b.conv(x, 8, 3 * REPEATS, noise=0.5)
    other = globals()[anchor](b)
    if behind:
        x = b.node("Add", b.depth_to_space(x, SCALE, mode), other)
    else:
        x = b.depth_to_space(b.node("Add", other, x), SCALE, mode)
    b.clip(x, 0.0, 1.0, out="output")
    return b.model(3, SCALE)


@pytest.mark.parametrize(
    ("anchor", "mode", "behind"),
    [
        ("tiled", "DCR", False),
        ("sliced", "CRD", False),
        ("gathered", "CRD", False),
        ("interleaved", "CRD", False),
        ("resized", "CRD", True),
        ("resized", "DCR", True),
    ],
)
def test_spellings(anchor: str, mode: str, behind: bool) -> None:
    model = network(anchor, mode, behind=behind)
    sr = normalize(model, value_range="0..1")
    assert sorted(operators(sr)) == ["Add", "Concat", "Conv", "Conv", "DepthToSpace", "Relu"]
    nodes = {n.op_type: n for n in sr.model.graph.node}
    assert list(nodes["Concat"].input) == ["input"] * REPEATS
    assert attributes(nodes["DepthToSpace"])["mode"] == "DCR"
    assert sr.halo == 2
    agree(model, sr)


@pytest.mark.parametrize(("anchor", "mode"), [("tiled", "CRD"), ("sliced", "DCR")])
def test_what_only_looks_like_an_anchor_stays(anchor: str, mode: str) -> None:
    model = network(anchor, mode)
    sr = normalize(model, value_range="0..1")
    assert not any("nearest" in change for change in sr.changes)
    agree(model, sr)


def test_the_final_spelling_is_left_alone() -> None:
    sr = normalize(abpn())
    assert not any("nearest" in change for change in sr.changes)
