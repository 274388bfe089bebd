"""The chart's bars are as long as they should be, nobody is missing from it, and the committed ones are up to date."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from chart import draw, paint
from redraw import redraw
from result import ClipCost, Result, Standing, table
from timing import Figures
from toolchain.pages.charts import Canvas

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"

RESULT = Result(
    model="a<b>.onnx",
    size=(360, 640),
    gmac=4.0,
    cpu="A CPU",
    cores=2,
    load=(0.1, 0.2),
    rounds=20,
    pause=0.1,
    reference="own",
    standings=(
        Standing("own", "own", "1", "", "timed", integer=True, psnr=50.0),
        Standing("rival", "rival", "2", "", "timed", psnr=float("inf")),
        Standing("rival, no clip", "rival", "2", "", "timed", psnr=40.0),
        Standing("absent", "absent", None, "", "not installed"),
        Standing("long", "long", "3", "", "failed", reason="x" * 500),
    ),
    figures=(
        Figures("own", 1, 38.0, 40.0, 41.0, 1.0, (1.0, 1.0)),
        Figures("rival", 1, 79.0, 80.0, 90.0, 2.0, (1.9, 2.1)),
        Figures("rival, no clip", 1, 70.0, 72.0, 75.0, 1.8, (1.7, 1.9)),
        Figures("own", 2, 20.0, 20.0, 21.0, 1.0, (1.0, 1.0)),
    ),
    clip_costs=(ClipCost("rival", 1, 1.11, (1.1, 1.12)),),
    ceiling=200.0,
)


def painted(result: Result) -> Any:
    """The axes that the bars are painted on."""
    axes = Figure().add_subplot()
    paint(result)(Canvas(axes, False, {}))
    return axes


def texts(path: Path) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.parse(path).getroot().iter(f"{SVG}text")]


def test_bars_are_medians() -> None:
    axes = painted(RESULT)
    assert [bar.get_width() for bar in axes.patches] == [40.0, 80.0, 72.0, 20.0]
    assert len({bar.get_facecolor() for bar in axes.patches}) == 3  # own, with the clip, without
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["1 thread", "own", "rival", "rival, no clip", "2 threads", "own"]
    places = dict(zip(names[:4], axes.get_yticks(), strict=False))
    assert [bar.get_y() + bar.get_height() / 2 for bar in axes.patches][1] == places["rival"]


def test_everybody_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "a.svg", RESULT)
    found = texts(tmp_path / "a.svg")
    assert "a<b>.onnx, 640 x 360 pixels" in found
    assert "A CPU." in found
    assert "80.0 ms, 2.00 x" in found
    assert "absent: not installed" in found
    assert any(text.startswith("long: failed (xxx") and text.endswith("...") for text in found)
    assert "Dashed: the dot products alone, 20.0 ms on 1, 10.0 ms on 2 threads." in found  # 4 GMAC at 200 GMAC/s a core
    assert "time for a picture (ms)" in found


def test_everything_lies_within(tmp_path: Path) -> None:
    draw(tmp_path / "a.svg", RESULT)
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    for element in root.iter(f"{SVG}text"):
        assert 0 < float(element.get("x", 1)) < width
        assert 0 < float(element.get("y", 1)) < height


def test_without_a_ceiling(tmp_path: Path) -> None:
    draw(tmp_path / "a.svg", replace(RESULT, ceiling=None))
    assert not any("dot products" in text for text in texts(tmp_path / "a.svg"))


def test_a_result_is_read_as_it_was_written() -> None:
    assert Result.from_json(json.loads(json.dumps(RESULT.to_json()))) == RESULT
    with pytest.raises(ValueError, match="model"):
        Result.from_json({**RESULT.to_json(), "model": 1})


COMMITTED = [path for path in sorted((BENCHMARKS / "results").rglob("*.json")) if path.with_suffix(".svg").exists()]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_committed_pictures_are_those_of_their_results(path: Path, tmp_path: Path) -> None:
    assert redraw(path, tmp_path / "again.svg")
    assert texts(tmp_path / "again.svg") == texts(path.with_suffix(".svg"))


def test_only_results_that_are_drawn_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"a": 1}')
    assert not redraw(tmp_path / "other.json", tmp_path / "other.svg")
    assert not redraw(BENCHMARKS / "results" / "formats.json", tmp_path / "other.svg")
    assert not (tmp_path / "other.svg").exists()


def test_shares_of_the_ceiling() -> None:
    # 4 GMAC in 38 ms are 105 GMAC/s, of 200; on two threads 200 of 400. Floats have no share.
    assert [RESULT.share(figures) for figures in RESULT.figures] == [
        pytest.approx(0.526, abs=1e-3),
        None,
        None,
        pytest.approx(0.5),
    ]
    assert "53% of the ceiling" in table(RESULT)
    assert "the clip costs rival +11.0% (+10.0% to +12.0%) on 1 thread" in table(RESULT)
