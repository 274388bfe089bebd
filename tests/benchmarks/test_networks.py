"""The forms of a network that contestants start from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from networks import Network, read_networks, with_pixel_ends
from tests.conftest import photograph


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> dict[bool, Network]:
    return read_networks(model_file, photo_folder, tmp_path_factory.mktemp("networks"))


def test_the_clip_is_there_or_not(networks: dict[bool, Network]) -> None:
    pixels = photograph(20, 30, 1)
    pixels[:4] = 255  # bright enough to go beyond white
    results = {}
    for clip, network in networks.items():
        model = onnx.load(network.fp32)
        assert (model.graph.node[-1].op_type == "Clip") is clip
        session = onnxruntime.InferenceSession(network.fp32)
        (results[clip],) = session.run(None, {"input": network.planes(pixels)})
    assert results[False].max() > 1.0
    np.testing.assert_array_equal(results[True], np.clip(results[False], 0.0, 1.0))


@pytest.mark.parametrize("form", ["fp32", "qdq"])
def test_pixel_ends_round_and_saturate(networks: dict[bool, Network], form: str) -> None:
    network = networks[False]
    pixels = photograph(20, 30, 2)
    pixels[:4] = 255
    path = getattr(network, form)
    # Without onnxruntime's optimizations, which change the arithmetic of a quantized graph.
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (planes,) = onnxruntime.InferenceSession(path, plain).run(None, {"input": network.planes(pixels)})
    session = onnxruntime.InferenceSession(with_pixel_ends(path, pixels.shape, 2, network.pixel_scale), plain)
    (found,) = session.run(None, {"pixels": pixels[None]})
    assert found.shape == (1, 40, 60, 3)
    # Both round to even, of quotients that may differ in their last bit.
    difference = found[0].astype(int) - network.pixels(planes[0]).astype(int)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.01


def test_pixels_and_planes_are_inverse(networks: dict[bool, Network]) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for scale in (1 / 255, 1.0):
        network = replace(networks[True], pixel_scale=scale)
        np.testing.assert_array_equal(network.pixels(network.planes(codes)[0]), codes)


def test_a_conversion_is_made_once_and_wholly(networks: dict[bool, Network]) -> None:
    network, made = networks[True], []

    def half(path: Path) -> None:
        path.write_text("half")
        raise ValueError("interrupted")

    def whole(path: Path) -> None:
        made.append(path)
        path.write_text("whole")

    with pytest.raises(ValueError, match="interrupted"):
        network.once("file", half)
    assert network.once("file", whole).read_text() == "whole"
    assert network.once("file", whole).read_text() == "whole"
    assert len(made) == 1
