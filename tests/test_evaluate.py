"""Quality figures on pictures whose result is known, and the float network as onnxruntime runs it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from tests import sr_models
from tests.conftest import photograph
from toolchain.frontend import normalize
from toolchain.images import ImageSet
from toolchain.images.bicubic import enlarge, shrink
from toolchain.images.degradation import find_degradation
from toolchain.images.metrics import psnr
from toolchain.images.pairs import PairSet, degraded
from toolchain.support.errors import InputError, ModelError, TooSmallError
from toolchain.workflows.evaluate import evaluate, float_upscale

IMAGES = ImageSet(tuple(photograph(61, 50, seed) for seed in (1, 2)), ("a.png", "b.png"), ())


def halved(images: ImageSet = IMAGES) -> PairSet:
    return degraded(images, find_degradation("bicubic", 2), 2)


PICTURES = halved()


def bicubic(pixels: np.ndarray) -> np.ndarray:
    return enlarge(pixels, 2)


def test_a_network_that_is_bicubic_scores_like_bicubic():
    found = evaluate(bicubic, PICTURES, channels=3, scale=2, compared=bicubic)
    assert (found.shave, [row.name for row in found.rows]) == (2, ["a.png", "b.png"])
    assert (found.rows[0].height, found.rows[0].width) == (60, 50)
    for row in (*found.rows, found.mean):
        assert row.bundle == row.bicubic == row.compared
        assert row.against_compared is not None
        assert math.isinf(row.against_compared.psnr_rgb)
    assert found.mean.bundle.psnr_y == pytest.approx(np.mean([row.bundle.psnr_y for row in found.rows]))


def test_by_hand_with_another_border():
    found = evaluate(bicubic, PICTURES, channels=3, scale=2, shave=5)
    high = IMAGES.images[0][:60, :50]
    small = np.asarray(Image.fromarray(high).resize((25, 30), Image.Resampling.BICUBIC))
    big = np.asarray(Image.fromarray(small).resize((50, 60), Image.Resampling.BICUBIC))
    assert found.rows[0].bundle.psnr_rgb == pytest.approx(psnr(big[5:-5, 5:-5], high[5:-5, 5:-5]))


def test_grey_pictures_are_resized_as_one_channel_of_colours():
    colours = photograph(60, 50, 3)
    for resize in (shrink, enlarge):
        np.testing.assert_array_equal(resize(colours[:, :, 1:2], 2), resize(colours, 2)[:, :, 1:2])


def test_worse_is_worse():
    def noisy(pixels: np.ndarray) -> np.ndarray:
        return bicubic(pixels) ^ np.uint8(8)

    row = evaluate(noisy, PICTURES, channels=3, scale=2, compared=bicubic).mean
    assert row.bundle.psnr_rgb < row.bicubic.psnr_rgb
    assert row.bundle.ssim < row.bicubic.ssim
    assert row.against_compared is not None
    assert row.against_compared.psnr_rgb == pytest.approx(20 * math.log10(255 / 8))


def test_a_luma_network_is_measured_on_its_own_output():
    picture = np.zeros((60, 50, 3), np.uint8)
    picture[:, 25:] = (255, 0, 0)  # chroma, enlarged bicubically, leaves the range here: RGB is cut off

    def perfect(pixels: np.ndarray) -> np.ndarray:
        assert pixels.shape[2] == 1
        return np.asarray(Image.fromarray(picture).convert("L"))[:, :, None]

    row = evaluate(perfect, halved(ImageSet((picture,), ("edge.png",), ())), channels=1, scale=2).mean
    assert row.bundle.psnr_y > 50
    assert row.bundle.psnr_rgb < 40


def test_pictures_smaller_than_the_border():
    with pytest.raises(InputError, match="no picture is larger than the border of 40 pixels"):
        evaluate(bicubic, PICTURES, channels=3, scale=2, shave=40)


@pytest.mark.parametrize("channels", [1, 3])
def test_shrink_keeps_the_channels(channels: int):
    assert shrink(IMAGES.images[0][:, :, :channels], 3).shape == (20, 16, channels)


def test_numpy_stands_in_for_onnxruntime_where_that_does_not_mirror_and_nowhere_else():
    b = sr_models.Builder()
    frame = b.const([0, 0, 8, 8, 0, 0, 8, 8], np.int64)
    x = b.node("Pad", "input", frame, mode="reflect")
    b.depth_to_space(b.node("Conv", x, b.const(np.ones((12, 3, 17, 17)) / 867)), 2, out="output")
    mirrored = float_upscale(b.model(3, 2), (0, 1))
    assert mirrored(photograph(5, 5, 0)).shape == (10, 10, 3)
    b = sr_models.Builder()
    halved = b.node("Conv", "input", b.const(np.ones((12, 3, 8, 8))))
    b.depth_to_space(halved, 2, out="output")
    with pytest.raises(TooSmallError, match="takes 8 x 8 at least"):
        float_upscale(b.model(3, 2), (0, 1))(photograph(5, 5, 0))
    b = sr_models.Builder()
    sums = b.node("Add", "input", b.node("Pad", "input", b.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64)))
    b.depth_to_space(b.conv(sums, 3, 12), 2, out="output")
    with pytest.raises(ModelError, match="operator Add"):
        float_upscale(b.model(3, 2), (0, 1))(photograph(5, 5, 0))


@pytest.mark.parametrize("make", [lambda: sr_models.xlsr(2, width=2, blocks=1), lambda: sr_models.abpn(2, features=4)])
def test_the_float_network_is_the_models_own(make):
    import onnxruntime

    model = make()
    sr = normalize(model)
    pixels = photograph(14, 11, 0)
    scale = np.float32(255 / sr.value_range[1])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"input": pixels.transpose(2, 0, 1)[None].astype(np.float32) / scale})
    expected = np.clip(np.rint(expected[0] * scale), 0, 255).transpose(1, 2, 0)
    found = float_upscale(sr.model, sr.value_range, threads=1)(pixels)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1  # a value right between two codes may fall to either side
    assert np.mean(found != expected) < 0.01
