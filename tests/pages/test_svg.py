"""Matplotlib's drawings made smaller: nothing that is seen gets lost."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from tests.browser import browser, needs_browser
from toolchain.pages import svg

WRITTEN = ["a 0.123456 b", "<b> & 1.0000", "\\1 \\g<0>", "x\u0394y"]


@pytest.fixture(scope="module")
def drawn() -> str:
    """A chart with lines, dots, bars, letters and numbers in them."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "a", "text.parse_math": False}):
        figure = Figure(figsize=(6, 4), dpi=72)
        axes = figure.add_subplot()
        axes.plot([0, 1, 2], [3, 1.23456, 2], marker="o", label="line")
        axes.barh([1, 2], [0.5, 1.25], alpha=0.25)
        axes.vlines([0.5], 1, 2)
        for index, text in enumerate(WRITTEN):
            axes.text(0.5, 1 + index / 3, text, rotation=30)
        axes.legend()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def texts(drawing: str) -> list[str]:
    return ["".join(one.itertext()) for one in ElementTree.fromstring(drawing).iter() if one.tag.endswith("}text")]


def test_what_is_written_stays(drawn: str) -> None:
    small = svg.alone(svg.compact(drawn), WRITTEN[2])
    assert texts(small) == texts(drawn)
    assert set(WRITTEN) <= set(texts(small))
    assert ElementTree.fromstring(small).attrib["aria-label"] == WRITTEN[2]


def test_it_is_less_than_half(drawn: str) -> None:
    small = svg.compact(drawn)
    assert len(small) < 0.5 * len(drawn)
    assert "line2d_" not in small
    assert "DejaVu" not in small


def test_a_part_of_a_page_has_names_of_its_own(drawn: str) -> None:
    found = str(svg.within(svg.compact(drawn), "wide", WRITTEN[2], {"#1f77b4": "a"}))
    assert found.startswith('<svg class="wide" viewBox="0 0 432 288" role="img" aria-label="')
    assert "#1f77b4" not in found
    assert "var(--a)" in found
    names = {name.split('"')[0] for name in found.split('id="')[1:]}
    assert names
    assert all(name.startswith("wide-") for name in names)
    used = {name.split('"')[0] for name in found.split('href="#')[1:]}
    assert used <= names


@needs_browser
def test_a_browser_shows_the_same(drawn: str, tmp_path: Path) -> None:
    files = tmp_path / "before.svg", tmp_path / "after.svg"
    before = drawn.replace("font-family: 'DejaVu Sans'", "font-family: sans-serif")
    for path, text in zip(files, (before, svg.alone(svg.compact(drawn), "")), strict=True):
        path.write_text(text, encoding="utf-8")
    code = (
        "JSON.stringify([...document.querySelectorAll('path,use,text')].map(one => one.getBoundingClientRect())"
        ".map(one => [one.left, one.top, one.width, one.height]))"
    )
    with browser() as shown:
        boxes = []
        for path in files:
            shown.show(path, 800)
            shown.value("document.documentElement.setAttribute('width', 432)")
            shown.value("document.documentElement.setAttribute('height', 288)")
            shown.value("document.querySelectorAll('text').forEach(one => one.style.fontFamily = 'sans-serif')")
            boxes.append(json.loads(shown.value(code)))
        assert not shown.complaints
    assert len(boxes[0]) == len(boxes[1]) > 20
    for one, other in zip(*boxes, strict=True):
        assert one == pytest.approx(other, abs=0.25)
