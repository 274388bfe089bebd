"""The C interface gives the pixels that TVM's virtual machine gives of the same file, whatever the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.interface.library import InterfaceError, opened, picture, random_picture
from tests.sr_models import Builder, attention, denoiser, esa, espcn, fsrcnn, span, xlsr
from tests.test_attention import deployed
from tests.test_fractions import half_again
from toolchain.backends.open import load_in_tvm
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main

SIZES = ((1, 1), (3, 2), (5, 70), (33, 7), (77, 64))


def same(bundle: Bundle, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    runner, channels, path = load_in_tvm(bundle), bundle.manifest.channels, bundle.path / "model.so"
    for threads in (1, 2, 3):
        with opened(path, threads=threads) as network:
            for seed, size in enumerate(sizes):
                pixels = random_picture((*size, channels), seed)
                np.testing.assert_array_equal(network.upscale(pixels), runner.upscale(pixels), err_msg=f"{size}")


@pytest.mark.parametrize("make", [espcn, xlsr, fsrcnn, denoiser])
def test_networks_that_stream(make: Callable[[], onnx.ModelProto], photo_folder: Path, tmp_path: Path):
    same(open_bundle(deployed(make(), photo_folder, tmp_path)))


@pytest.mark.parametrize("make", [attention, span])
def test_networks_that_run_layer_by_layer(make: Callable[[], onnx.ModelProto], photo_folder: Path, tmp_path: Path):
    same(open_bundle(deployed(make(), photo_folder, tmp_path)))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("make", [espcn, attention])
def test_float_networks(make: Callable[[], onnx.ModelProto], precision: str, tmp_path: Path):
    path = tmp_path / "net.onnx"
    onnx.save(make(), path)
    if main(["deploy", str(path), "-o", str(tmp_path), "--precision", precision]) == 5:
        pytest.skip(f"there are no kernels of {precision} for this machine")
    (bundle,) = tmp_path.glob("*.clipfree")
    same(open_bundle(bundle))


@pytest.mark.parametrize("attention", [False, True])
def test_a_network_in_units(attention: bool, photo_folder: Path, tmp_path: Path):
    """Its sides are multiples of 2: others are extended, and the result is cut."""
    b = Builder(3)
    x = b.node("SpaceToDepth", "input", blocksize=2)
    x = b.node("Relu", b.conv(x, 12, 16))
    if attention:
        x = b.node("Mul", x, b.node("GlobalAveragePool", x))
    b.node("DepthToSpace", b.conv(x, 16, 48), out="output", blocksize=4, mode="CRD")
    path = tmp_path / "net.onnx"
    onnx.save(b.model(3, 2), path)
    assert main(["deploy", str(path), "--calib", str(photo_folder), "-o", str(tmp_path), "--range", "0..1"]) == 0
    bundle = open_bundle(path.with_suffix(".clipfree"))
    assert bundle.manifest.unit == 2
    same(bundle)


def test_a_network_that_scales_by_a_fraction(photo_folder: Path, tmp_path: Path):
    bundle = open_bundle(deployed(half_again(), photo_folder, tmp_path))
    same(bundle)
    with opened(bundle.path / "model.so") as network:
        assert (network.info.scale_num, network.info.scale_den, network.info.unit) == (3, 2, 2)


def test_a_network_with_a_smallest_picture(photo_folder: Path, tmp_path: Path):
    bundle = open_bundle(deployed(esa(), photo_folder, tmp_path))
    same(bundle, ((15, 15), (16, 40), (40, 31)))
    with opened(bundle.path / "model.so") as network:
        assert (network.info.smallest_height, network.info.smallest_width) == (15, 15)
        source, result = random_picture((14, 20, 3)), random_picture((28, 40, 3))
        with pytest.raises(InterfaceError, match=r"WRONG_SIZE.* nothing is left .* 15 x 15 at least"):
            network.call(picture(source), picture(result))
