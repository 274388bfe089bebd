"""The panels show what was measured, and lines stay inside of them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lines import Panel, draw
from scaling import DEPTHS, FEATURES, SIZES, Memory, Point, Scaling, panels, plain_network, table
from toolchain.frontend import normalize

SVG = "{http://www.w3.org/2000/svg}"

FOUND = Scaling(
    "a.onnx",
    "A CPU",
    "x86-avx2",
    2,
    3,
    200.0,
    {"compile": 3.0},
    tuple(Point("a", *size, threads, 10.0 / threads, 11.0, 0.5) for threads in (1, 2) for size in SIZES),
    tuple(Point(f"{f} channels", 360, 640, threads, 5.0, 6.0, f / 100) for threads in (1, 2) for f in FEATURES),
    tuple(Point(f"{n} layers", 360, 640, threads, float(n), 6.0, 0.5) for threads in (1, 2) for n in DEPTHS),
    tuple(Memory(*size, 2, 9.0, 8.0) for size in SIZES),
)


def test_panels():
    time, memory, layers, share = panels(FOUND)
    assert time.lines["1 thread"][0] == pytest.approx(10.0 * 1e6 / (180 * 320))
    assert time.lines["2 threads"][0] == pytest.approx(5.0 * 1e6 / (180 * 320))
    assert memory.lines == {"grown": (9.0,) * 6, "pictures": (8.0,) * 6}
    assert layers.lines["1 thread"] == pytest.approx([float(n) for n in DEPTHS])
    assert share.lines["2 threads"] == pytest.approx([float(f) for f in FEATURES])
    assert "8 channels" in table(FOUND)
    assert "compile 3.0" in table(FOUND)


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=9))
def test_lines_stay_inside_and_keep_their_order(values: list[float]):
    root = ElementTree.fromstring(draw([Panel("t", "x", "ms", ("<",) * len(values), {"a&b": tuple(values)})]))
    (line,) = root.iter(f"{SVG}polyline")
    points = [tuple(map(float, pair.split(","))) for pair in re.split(" ", line.attrib["points"])]
    assert len(points) == len(values)
    assert all(0 < x < 400 and 0 < y < 300 for x, y in points)
    highest, lowest = values.index(max(values)), values.index(min(values))
    assert points[highest][1] <= points[lowest][1]


def test_the_plain_networks_are_networks():
    found = normalize(plain_network(12, 3), value_range="0..1")
    assert (found.scale, found.channels) == (2, 3)
    assert [node.op_type for node in found.model.graph.node].count("Conv") == 5
