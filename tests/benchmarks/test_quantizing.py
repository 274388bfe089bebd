"""How quantizing grows: measured on small sets, and drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import quantizing


def test_points_are_measured_and_drawn(
    photo_folder: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "found.json"
    words = ["quantizing.py", "--calib", str(photo_folder), "--photographs", "1", "2", "--layers", "1", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(quantizing, "NETWORK", str(model_file))
    monkeypatch.setattr(quantizing, "FEATURES", 4)
    monkeypatch.setattr(quantizing, "apart", quantizing.measure)
    quantizing.main()
    found = json.loads(out.read_text())
    assert [point["photographs"] for point in found["photographs"]] == [1, 2]
    assert [point["layers"] for point in found["layers"]] == [1]
    assert all(point["seconds"] > 0 and point["peak_mb"] > 10 for point in found["photographs"])
    drawn = ElementTree.fromstring(out.with_suffix(".svg").read_text())
    titles = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Time by photographs", "time (s)", "Memory by layers", "memory (MB)", "photographs", "layers"} <= titles
