"""Random networks in random spellings: whatever comes out of normalization computes the same."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.expanded import ecb, sesr_block
from tests.frontend.spellings import CLIPS, SHUFFLES, add_clip, add_shuffle, agree
from tests.frontend.test_activations import SPELLINGS, spelled
from tests.frontend.test_normalize import check_canonical
from tests.sr_models import Builder, abpn, espcn, xlsr
from toolchain.frontend import load_model, normalize
from toolchain.support.errors import ModelError


@st.composite
def network(draw: st.DrawFn) -> object:
    b = Builder(draw(st.integers(0, 1000)))
    channels, scale = draw(st.sampled_from([1, 3])), draw(st.sampled_from([2, 3]))
    x, width = "input", channels
    skips: dict[int, str] = {}
    for _ in range(draw(st.integers(1, 4))):
        wide = draw(st.sampled_from([4, 6]))
        match draw(
            st.sampled_from(["plain", "parallel", "grouped", "norm", "residual", "padded", "dropout", "branches"])
        ):
            case "parallel":
                parts = [b.node("Relu", b.conv(x, width, 2, identity=1)) for _ in range(draw(st.integers(2, 3)))]
                x, wide = b.node("Concat", *parts, axis=1), 2 * len(parts)
            case "grouped" if width % 2 == 0:
                x = b.conv(x, width, wide, groups=2)
            case "norm":
                ones, zeros = b.const(b.rng.uniform(0.5, 1.5, wide)), b.const(b.rng.normal(0, 0.1, wide))
                x = b.node("BatchNormalization", b.conv(x, width, wide, bias=0), ones, zeros, zeros, ones)
            case "residual" if width in skips:
                x, wide = b.node("Add", b.conv(x, width, width), skips[width]), width
            case "padded":
                y = b.node("Pad", x, b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
                x = b.node("Conv", y, b.const(b.rng.normal(0, 0.2, (wide, width, 3, 3))))
            case "branches":
                x = draw(st.sampled_from([ecb, sesr_block]))(b, x, width, wide)
            case "dropout":
                x = b.node("Identity", b.node("Dropout", b.conv(x, width, wide, identity=1)))
            case _:
                x = b.conv(x, width, wide, identity=1)
        width = wide
        kind = draw(st.sampled_from(["none", "Relu", "LeakyRelu", "scaled", *SPELLINGS]))
        if kind in SPELLINGS:
            x = spelled(b, x, kind, b.rng.uniform(0.05, 0.5, (1, width, 1, 1)))
        elif kind == "scaled":
            x = b.node("Add", b.node("Mul", x, b.const(b.rng.uniform(0.5, 2, (width, 1, 1)))), b.const(0.1))
        elif kind != "none":
            x = b.node(kind, x)
        skips[width] = x
    x = b.conv(x, width, channels * scale**2, noise=1.0)
    size, high = (9, 11), draw(st.sampled_from([1.0, 255.0]))
    shuffle, clip, before = draw(st.sampled_from(SHUFFLES)), draw(st.sampled_from(CLIPS)), draw(st.booleans())
    if before:
        add_clip(b, x, clip, high, "limited")
        add_shuffle(b, "limited", shuffle, channels, scale, size, out="output")
    else:
        add_clip(b, add_shuffle(b, x, shuffle, channels, scale, size), clip, high, "output")
    return b.model(channels, scale, size=size)


@settings(max_examples=60, deadline=None)
@given(network())
def test_random_networks(model: object) -> None:
    sr = normalize(model)
    check_canonical(sr)
    assert sr.clip is not None
    nodes = [n.op_type for n in sr.model.graph.node]
    assert set(nodes) <= {"Conv", "Relu", "PRelu", "LeakyRelu", "Add", "Concat", "DepthToSpace", "Mul", "Pad"}
    agree(model, sr)


_SOUND = [net.SerializeToString() for net in (xlsr(width=2, blocks=1), abpn(features=4, blocks=1), espcn(width=4))]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(_SOUND) - 1), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_damaged_files_are_answered_by_sentences(sound: int, damage: list[tuple[float, int]]) -> None:
    damaged = bytearray(_SOUND[sound])
    for place, value in damage:
        damaged[int(place * (len(damaged) - 1))] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(damaged)
        with contextlib.suppress(ModelError):  # anything else fails the test
            normalize(load_model(path))


@pytest.mark.parametrize("group", [0, 3, 5])
def test_convolutions_whose_numbers_do_not_fit_are_answered_by_a_sentence(group: int) -> None:
    model = xlsr(width=2, blocks=1)
    for attribute in (a for node in model.graph.node for a in node.attribute if a.name == "group"):
        attribute.i = group
    with pytest.raises(ModelError):
        normalize(model)
