"""Networks of chroma and RGBA through the whole line: pictures of RGB go in and come out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import clipfree
from tests.conftest import photograph
from tests.frontend.test_planes import by_hand, of_planes
from toolchain.quantize import Settings
from toolchain.workflows.deploy import Request, deploy

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

QUICK = Settings(crop=32, crops_per_image=2, reconstruct=False)


def deployed(model: onnx.ModelProto, folder: Path, photos: Path) -> clipfree.Network:
    onnx.save(model, folder / "net.onnx")
    request = Request(folder / "net.onnx", folder, photos, target="host", value_range="0..1", settings=QUICK)
    return clipfree.load(deploy(request).path)


def test_where_chroma_stays_the_picture_stays(tmp_path: Path, photo_folder: Path) -> None:
    network = deployed(of_planes(3, 2, 1, still=True), tmp_path, photo_folder)
    picture = photograph(61, 83, 0)
    assert network.scale == 1
    assert np.abs(network.upscale(picture).astype(int) - picture).max() <= 1


def test_chroma_and_luma_are_as_by_hand(tmp_path: Path, photo_folder: Path) -> None:
    model = of_planes(3, 2, 1)
    network = deployed(model, tmp_path, photo_folder)
    picture = np.asarray(Image.open(min(photo_folder.iterdir())))[:61, :83]
    exact = by_hand(model, picture.transpose(2, 0, 1) / 255, 3, 2).transpose(1, 2, 0)
    difference = network.upscale(picture) - np.clip(exact, 0, 1) * 255
    assert np.sqrt(np.mean(difference**2)) < 2


def test_alpha_is_enlarged_beside_a_network_of_rgba(tmp_path: Path, photo_folder: Path) -> None:
    network = deployed(of_planes(4, 4, 2), tmp_path, photo_folder)
    picture = np.dstack([photograph(31, 43, 0), np.tile(np.arange(43, dtype=np.uint8), (31, 1))])
    large = network.upscale(picture)
    assert large.shape == (62, 86, 4)
    assert np.array_equal(large[:, :, :3], network.upscale(np.ascontiguousarray(picture[:, :, :3])))
    bicubic = Image.fromarray(picture[:, :, 3]).resize((86, 62), Image.Resampling.BICUBIC)
    assert np.array_equal(large[:, :, 3], np.asarray(bicubic))
