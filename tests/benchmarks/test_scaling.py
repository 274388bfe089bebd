"""The panels show what was measured, and lines stay inside of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lines import Panel, draw, paint
from scaling import DEPTHS, FEATURES, SIZES, Memory, Point, Scaling, panels, plain_network, table, title
from toolchain.frontend import normalize
from toolchain.pages.charts import Canvas

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


@settings(max_examples=10)
@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=9))
def test_lines_stay_inside_and_keep_their_order(values: list[float]):
    axes = Figure().add_subplot()
    paint(Panel("t", "x", "time (ms)", ("<",) * len(values), {"a&b": tuple(values)}))(Canvas(axes, False, {}))
    (line,) = axes.lines
    assert list(line.get_ydata()) == values
    low, high = axes.get_ylim()
    assert low == 0 < max(values) <= high
    assert [label.get_text() for label in axes.get_xticklabels()] == ["<"] * len(values)


def test_panels_are_one_picture(tmp_path: Path):
    draw(tmp_path / "a.svg", panels(FOUND), title(FOUND))
    texts = {"".join(one.itertext()) for one in ElementTree.parse(tmp_path / "a.svg").getroot().iter(f"{SVG}text")}
    assert {"a.onnx for x86-avx2, A CPU", "Memory", "memory (MB)", "share (%)", "channels", "1 thread"} <= texts


def test_the_plain_networks_are_networks():
    found = normalize(plain_network(12, 3), value_range="0..1")
    assert (found.scale, found.channels) == (2, 3)
    assert [node.op_type for node in found.model.graph.node].count("Conv") == 5
