"""Enlargement by nearest neighbours becomes a pixel shuffle where it repeats pixels, and stays where it does not."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.frontend.spellings import agree, operators
from tests.sr_models import Builder
from tests.standin import QUICK
from toolchain.frontend import normalize
from toolchain.workflows.deploy import Request, deploy


def network(scale: int = 2, **sampling: str) -> onnx.ModelProto:
    """Enlarged in the middle, and the picture added to the end."""
    b = Builder(1)

    def resized(x: str) -> str:
        return b.node("Resize", x, "", b.const([1, 1, scale, scale]), mode="nearest", **sampling)

    x = resized(b.node("Relu", b.conv("input", 3, 8, identity=3)))
    b.clip(b.node("Add", resized("input"), b.conv(b.node("Relu", b.conv(x, 8, 8)), 8, 3)), 0.0, 1.0, out="output")
    return b.model(3, scale)


@pytest.mark.parametrize(
    ("scale", "where", "how"),
    [
        (2, "asymmetric", "floor"),
        (3, "half_pixel", "round_prefer_floor"),
        (4, "pytorch_half_pixel", "round_prefer_ceil"),
    ],
)
def test_what_repeats_pixels_is_a_shuffle(scale: int, where: str, how: str):
    model = network(scale, coordinate_transformation_mode=where, nearest_mode=how)
    sr = normalize(model)
    assert "Resize" not in operators(sr)
    assert operators(sr).count("DepthToSpace") == 2
    assert "spelled an enlargement by nearest neighbours as a pixel shuffle" in sr.changes
    agree(model, sr)


@pytest.mark.parametrize(("where", "how"), [("asymmetric", "ceil"), ("half_pixel", "floor")])
def test_what_takes_other_pixels_stays(where: str, how: str):
    model = network(coordinate_transformation_mode=where, nearest_mode=how)
    sr = normalize(model)
    assert operators(sr).count("Resize") == 2
    agree(model, sr)


@pytest.mark.parametrize("target", ["host", "mali-g78"])
def test_it_is_integer(target: str, tmp_path: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    onnx.save(network(coordinate_transformation_mode="asymmetric", nearest_mode="floor"), tmp_path / "net.onnx")
    done = deploy(Request(tmp_path / "net.onnx", tmp_path, photo_folder, target=target, settings=QUICK))
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert all(case.difference == 0 for case in done.verified)
