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
    words = ["--calib", str(photo_folder), "--python", PYTHON, "--size", "16", "24", "--frames", "3", "--rounds", "1"]
    vapoursynth_filters.main([str(model_file), *words, "-o", str(out)])
    found = json.loads(out.read_text())["frames_per_s"]
    kinds = ["ort INT8", "ov INT8", "onnxruntime INT8", "ort FP32", "ov FP32", "ncnn FP32", "onnxruntime FP32"]
    assert list(found) == ["clipfree", *kinds]
    lacking = [f"No attribute with the name {kind} exists" for kind in vapoursynth_filters.VS_MLRT]
    for name, values in found.items():
        for value in values:
            assert (isinstance(value, float) and value > 0) or any(word in value for word in lacking), (name, value)
    assert isinstance(found["clipfree"][0], float)
    assert isinstance(found["onnxruntime INT8"][0], float)
    assert len(capsys.readouterr().out.splitlines()) == len(found)
