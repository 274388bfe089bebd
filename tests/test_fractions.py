"""Networks that scale by a fraction: halves and thirds, from the model to the picture."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.conftest import photograph
from tests.lower.compiled import picture
from tests.sr_models import Builder
from toolchain.cli import main
from toolchain.frontend import normalize
from toolchain.images import scale as scales
from toolchain.images.geometry import Geometry
from toolchain.runtime.photo import bicubic, bicubic_remainder
from toolchain.runtime.tiles import plan_tiles, upscale_tiled


def half_again(channels: int = 3) -> onnx.ModelProto:
    """Half the side, then three times that."""
    b = Builder(3)
    x = b.node("Relu", b.conv("input", channels, 8, identity=channels))
    x = b.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.conv(x, 8, 9 * channels, identity=channels, repeat=9)
    b.depth_to_space(x, 3, out="output")
    return b.model(channels, 1)


def third_more() -> onnx.ModelProto:
    """Four thirds, by interpolation."""
    b = Builder(4)
    x = b.node("Relu", b.conv("input", 3, 8, identity=3))
    x = b.node("Resize", x, "", b.const([1, 1, 4 / 3, 4 / 3]), mode="linear")
    b.conv(x, 8, 3, identity=3, out="output")
    return b.model(3, 1)


def test_the_scale_and_the_unit_are_found():
    for model, wanted, unit in ((half_again(), Fraction(3, 2), 2), (third_more(), Fraction(4, 3), 3)):
        sr = normalize(model, value_range="0..1")
        assert (sr.scale, sr.unit) == (wanted, unit)


def test_sides_are_rounded_down():
    scale = Fraction(3, 2)
    assert Geometry(3, scale, 2).enlarged((5, 4, 3)) == (7, 6, 3)
    assert [scales.shrunk(side, scale) for side in (6, 7, 8)] == [4, 4, 5]
    assert [scales.cropped(side, scale) for side in (6, 7, 8, 9)] == [6, 6, 6, 9]
    assert scales.plain(Fraction(4, 2)) == 2


@pytest.mark.parametrize("scale", [Fraction(3, 2), Fraction(5, 4), Fraction(2)])
def test_tiles_begin_where_pixels_do(scale: Fraction):
    def repeat(pixels: np.ndarray) -> np.ndarray:
        height, width = (scales.enlarged(side, scale) for side in pixels.shape[:2])
        rows, columns = (np.arange(side) * scale.denominator // scale.numerator for side in (height, width))
        return pixels[rows[:, None], columns]

    pixels = picture(67, 93, 3)
    tiled = upscale_tiled(repeat, pixels, scale=scales.plain(scale), halo=3, tile=17, aligned=20)
    np.testing.assert_array_equal(tiled, repeat(pixels))
    plan = plan_tiles(67, 93, 17, 3, aligned=20, step=scale.denominator)
    assert all(part.top % scale.denominator == part.left % scale.denominator == 0 for part in plan)


def test_what_is_no_network_s_is_enlarged_as_much():
    plane = photograph(41, 33, 1)[:, :, 0]
    assert bicubic(plane, Fraction(3, 2)).shape == (61, 49)
    even = bicubic(plane[:40, :32], Fraction(3, 2))
    np.testing.assert_array_equal(bicubic(plane, Fraction(3, 2))[:55, :40], even[:55, :40])
    rest = photograph(20, 10, 2).astype(np.int16) - 128
    np.testing.assert_array_equal(bicubic_remainder(np.full((5, 4, 1), 7, np.int16), Fraction(3, 2)), 7)
    assert bicubic_remainder(rest, Fraction(4, 3)).shape == (26, 13, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_from_the_model_to_the_picture(channels: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    onnx.save(half_again(channels), tmp_path / "net.onnx")
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(2):
        Image.fromarray(photograph(75, 82, index)).save(photos / f"{index}.png")
    bundle = tmp_path / "net.clipfree"
    common = ["--calib", str(photos), "--range", "0..1", "--no-cache"]
    assert main(["deploy", str(tmp_path / "net.onnx"), *common, "-o", str(bundle)]) == 0
    assert json.loads((bundle / "manifest.json").read_text())["scale"] == "3/2"
    assert "x3/2" in capsys.readouterr().out
    whole, tiles = tmp_path / "whole", tmp_path / "tiles"
    assert main(["run", str(bundle), str(photos), "-o", str(whole)]) == 0
    assert main(["run", str(bundle), str(photos), "-o", str(tiles), "--tile", "33"]) == 0
    for path in sorted(whole.iterdir()):
        assert path.stem.endswith("_x3-2")
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (112, 123, 3)
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(tiles / path.name)))
    capsys.readouterr()
    assert main(["evaluate", str(bundle), "--hr", str(photos), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scale"] == "3/2"
    assert main(["evaluate", str(bundle), "--hr", str(photos), "--degradation", "area"]) == 2
