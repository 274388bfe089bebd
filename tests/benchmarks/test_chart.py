"""The chart is well-formed, its bars are as long as they should be, and nobody is missing from it."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from chart import draw
from result import ClipCost, Result, Standing, table
from timing import Figures

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


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_medians() -> None:
    bars = list(ElementTree.fromstring(draw(RESULT)).iter(f"{SVG}rect"))[1:]  # the first is the ground
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert len(widths) == 4
    assert [width / widths[0] for width in widths] == pytest.approx([1.0, 2.0, 1.8, 0.5], rel=1e-2)
    assert len({bar.attrib["fill"] for bar in bars}) == 3  # own, with the clip, without


def test_everybody_is_named() -> None:
    found = texts(draw(RESULT))
    assert any("a<b>.onnx" in text for text in found)
    assert "80.0 ms, 2.00 x" in found
    assert "absent: not installed" in found
    assert any(text.startswith("long: failed (xxx") and text.endswith("...") for text in found)
    assert "20.0 ms: the dot products alone" in found  # 4 GMAC at 200 GMAC/s
    assert "10.0 ms: the dot products alone" in found  # on two cores


def test_everything_lies_within() -> None:
    root = ElementTree.fromstring(draw(RESULT))
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    for element in root.iter(f"{SVG}text"):
        assert 0 < float(element.attrib["x"]) < width
        assert 0 < float(element.attrib["y"]) < height


def test_without_a_ceiling() -> None:
    assert not any("dot products" in text for text in texts(draw(replace(RESULT, ceiling=None))))


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
