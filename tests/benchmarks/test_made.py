"""Networks that benchmarks make themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import made
from toolchain.support.errors import InputError
from toolchain.zoo.embedded import model_folder


@pytest.mark.parametrize(
    "name",
    [
        "srvgg:8x2x2",
        "pointwise:8x2x3",
        "span:8x2x2",
        "rlfn:8x2x2",
        "rt4ksr:8x2x2",
        "bicubicpp:8x2x3",
        "upconv:4x4x2",
        "esa:8x1x2",
        "rcan:8x1x2",
        "cbam:8x1x2",
        "convnext:8x1x2",
        "unet:4x2x2",
        "plainusr:8x1x2",
        "srcnn:8x1x2",
        "vdsr:8x2x3",
        "esrgan:8x1x2",
        "dncnn:8x2x1",
    ],
)
def test_a_made_network_is_an_enlargement_with_a_little_noise(name: str, tmp_path: Path) -> None:
    scale = int(name[-1])
    path = made.model_file(name, tmp_path)
    coarse = np.random.default_rng(0).random((1, 3, 6, 8), np.float32)
    pixels = coarse.repeat(4, axis=2).repeat(4, axis=3)  # enlargements of any kind differ at edges only
    (found,) = onnxruntime.InferenceSession(path).run(None, {"input": pixels})
    nearest = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    if name.startswith("upconv"):  # no convolution is padded
        assert found.shape[2:] == (32, 48)
        nearest = nearest[:, :, 8:-8, 8:-8]
    assert found.shape == nearest.shape
    assert 0 < np.abs(found - nearest).mean() < 0.1


def test_layers_and_features_are_those_of_the_name() -> None:
    model = made.make("srvgg:64x16x2")
    assert model is not None
    shapes = [tuple(tensor.dims) for tensor in model.graph.initializer if len(tensor.dims) == 4]
    assert shapes == [(64, 3, 3, 3), *[(64, 64, 3, 3)] * 16, (12, 64, 3, 3)]


def test_other_names_are_files(tmp_path: Path) -> None:
    assert made.model_file("zoo:xlsr_x3", tmp_path) == model_folder() / "xlsr_x3.onnx"
    with pytest.raises(InputError, match="no file other:8x2x2"):
        made.model_file("other:8x2x2", tmp_path)
