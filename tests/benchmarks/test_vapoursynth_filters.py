"""Filters of VapourSynth on one clip: every one makes its frames."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vapoursynth_filters

PYTHON = os.environ.get("VAPOURSYNTH_PYTHON", sys.executable)


def test_a_report(model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    if subprocess.run([PYTHON, "-c", "import vapoursynth, onnxruntime"], capture_output=True, check=False).returncode:
        pytest.skip("there is no VapourSynth with onnxruntime here")
    out = tmp_path / "filters.json"
    words = ["--calib", str(photo_folder), "--python", PYTHON, "--size", "16", "24", "--frames", "3", "--rounds", "2"]
    vapoursynth_filters.main([str(model_file), *words, "-o", str(out)])
    found = json.loads(out.read_text())["frames_per_s"]
    assert list(found) == ["clipfree", "onnxruntime INT8", "onnxruntime FP32"]
    assert all(isinstance(value, float) and value > 0 for values in found.values() for value in values)
    assert len(capsys.readouterr().out.splitlines()) == 3
