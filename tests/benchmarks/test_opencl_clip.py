"""What the clip costs on a GPU: the three forms are one network, and only the pass launches more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import opencl_clip
from tests.opencl.devices import device
from toolchain.quantize import IntegerReference
from toolchain.tune.network import quantize_quickly


def test_the_forms_are_one_network(model_file: Path):
    model = quantize_quickly(model_file).model
    pixels = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    found = {
        name: IntegerReference(change(model)).run(pixels).astype(int) for name, change in opencl_clip.VARIANTS.items()
    }
    np.testing.assert_array_equal(found["fused"], found["folded"])
    assert 0 < np.abs(found["pass"] - found["folded"]).max() <= 2  # it rounds twice, and in wider steps


def test_a_report(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    device()
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    out = tmp_path / "clip.json"
    opencl_clip.main([str(model_file), "--size", "16", "24", "--rounds", "1", "-o", str(out)])
    (row,) = json.loads(out.read_text())["networks"]
    for found in (*row["estimated"].values(), row["opencl-cpu"]):
        assert found["fused"]["launches"] == found["folded"]["launches"]
        assert found["pass"]["launches"] == found["folded"]["launches"] + 2
        assert found["pass"]["read"] + found["pass"]["written"] > found["folded"]["read"] + found["folded"]["written"]
        assert found["pass"]["end_moved"] > found["folded"]["end_moved"] > 0
    assert all(times["ms"] > times["end_ms"] > 0 for times in row["opencl-cpu"].values())
    assert len(capsys.readouterr().out.splitlines()) == 9
