"""Pages: whatever names hold, a page shows it and does nothing of it; and it fits any window."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import ChoiceLoader, DictLoader

from tests.browser import browser, needs_browser
from toolchain.pages import Cell, Column, Table, bar, charts, distribution, figure, page, render, word

HOSTILE = '</script><script>document.title="taken"</script><img src=x onerror=alert(1)>"\'$x^2$ %s {{ 1 }}'
TEMPLATE = """{% extends "base.html" %}
{% import "parts.html" as parts %}
{% block lead %}<p class="lead">{{ title }}</p>{% endblock %}
{% block main %}
{{ parts.tiles([(title, "1 dB"), ("size", "2 kB", title)]) }}
<section><h2>Table</h2>{{ parts.table(table) }}</section>
<section><h2>Chart</h2>{{ parts.chart(chart, title) }}</section>
<section><h2>Facts</h2>{{ parts.facts([("name", title), ("lines", [title, "b"]), ("absent", "")]) }}
{{ parts.items([title]) }}</section>
{% endblock %}"""


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> str:
    loader = page._environment().loader
    monkeypatch.setattr(page._environment(), "loader", ChoiceLoader([loader, DictLoader({"trial.html": TEMPLATE})]))
    names = [f"{HOSTILE} {index}" for index in range(3)]
    rows = [
        [word(name, HOSTILE), bar(index - 1.0, 2.0, f"{index}"), figure(None, "none")]
        for index, name in enumerate(names)
    ]
    columns = [Column(HOSTILE, text=True, name=True), Column("time (ms)"), Column("noise (dB)")]
    drawn = charts.chart(charts.bars(names, {HOSTILE: [3, 2, 1], "b": [1, 2, 3]}, HOSTILE), HOSTILE)
    return render("trial.html", title=HOSTILE, table=Table(columns, rows, HOSTILE), chart=drawn)


def test_names_are_text(trial: str) -> None:
    assert trial.count("<script>") == 1
    assert "<img" not in trial
    assert "&lt;/script&gt;" in trial


def test_a_page_loads_nothing(trial: str) -> None:
    assert "http://" not in trial.replace("http://www.w3.org/", "")
    assert "https://" not in trial
    assert "default-src 'none'" in trial


@settings(max_examples=5)
@given(name=st.text(max_size=60), value=st.floats(-1e6, 1e6))
def test_any_name_makes_a_chart(name: str, value: float) -> None:
    drawn = charts.chart(charts.bars([name], {name: [value]}, name), name)
    for part in str(drawn).split("</svg>")[:-1]:
        ElementTree.fromstring(f"{part.replace('xlink:', '')}</svg>")


def test_a_long_name_keeps_both_ends() -> None:
    assert charts.shorten("/body/block7/conv/Conv_output_0", 16) == "/body/bl…utput_0"
    assert charts.shorten("conv\x00\n", 16) == "conv??"


def test_many_points_are_a_line() -> None:
    few, many = (
        charts.chart(charts.lines({"a": [(x, x) for x in range(count)]}, ("x", "y"), names=["n"] * count), "points")
        for count in (10, 100)
    )
    assert few.count("<title>n, a") == 2 * 10
    assert "<title>" not in many


@pytest.mark.parametrize(("name", "begins"), [("a.svg", b"<svg"), ("a.png", b"\x89PNG")])
def test_charts_are_files_too(name: str, begins: bytes, tmp_path: Path) -> None:
    paint = charts.lines({"a": [(1.0, 2.0), (2.0, 1.0)], "b": [(1.0, 1.0)]}, ("trials", "time (ms)"), logarithmic=True)
    for path in (tmp_path / name, tmp_path / f"again{name}"):
        charts.save_chart(path, paint, "A title")
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again{name}").read_bytes()


def test_a_cell_is_sorted_by_its_value() -> None:
    assert bar(5.0, 2.0, "5") == Cell("5", 5.0, share=1.0)
    assert figure(None, "equal").value == "Infinity"


@needs_browser
def test_in_a_browser(trial: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(trial, encoding="utf-8")
    with browser() as shown:
        for width in (1280, 390):
            shown.show(path, width)
            assert shown.value("document.documentElement.scrollWidth") == width
            assert shown.value("document.title") == HOSTILE
            assert shown.value("getComputedStyle(document.querySelector('svg.narrow')).display != 'none'") == (
                width == 390
            )
            first = "document.querySelector('td:nth-child(2)').dataset.value"
            assert shown.value(first) == "-1.0"
            shown.value("document.querySelector('th:nth-child(2) button').click()")
            assert shown.value(first) == "1.0"
            light = shown.value("getComputedStyle(document.body).backgroundColor")
            shown.show(path, width, dark=True)
            assert shown.value("getComputedStyle(document.body).backgroundColor") != light
        assert shown.printed().startswith(b"%PDF")
        assert not shown.complaints


def test_a_distribution_is_an_outline() -> None:
    drawn = distribution([0.0, 0.5, 0.125, 0.125, 0.0])
    assert 'd="M0 26H25.6V0H51.2V13H102.4V26H128V26"' in drawn
    assert 'd="M0 26H128V26"' in distribution([0.0, 0.0])
