"""Libraries for Windows on Arm, run by a program for Linux that puts them into memory. No Windows has seen them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.interface.foreign import run
from tests.interface.library import random_picture
from tests.interface.pe import image
from tests.interface.test_programs import library, runs_layer_by_layer, streams
from toolchain.quantize import IntegerReference
from toolchain.targets import find_target
from toolchain.targets.elf import check_library, read_library

# zig compiles a C library for Windows first, for minutes.
pytestmark = [
    pytest.mark.emulator,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs zig: pip install ziglang"),
]


@pytest.mark.parametrize("make", [streams, runs_layer_by_layer])
@pytest.mark.parametrize("name", ["windows-arm64", "windows-arm64-i8mm"])
def test_a_picture(make: object, name: str, tmp_path: Path):
    model: onnx.ModelProto = make()  # type: ignore[operator]
    target, pixels = find_target(name), random_picture((45, 38, 3))
    expected = IntegerReference(model).run(pixels)
    path = library(model, tmp_path, target)
    check_library(path, target.triple)
    assert "IsProcessorFeaturePresent" in read_library(path).needs
    np.testing.assert_array_equal(run(path, image, target, pixels, expected.shape[0] // 45), expected)
