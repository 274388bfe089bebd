"""The C interface gives the pixels that TVM's virtual machine gives of the same file, whatever the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.interface.library import InterfaceError, opened, picture, random_picture
from tests.sr_models import attention, denoiser, esa, espcn, fsrcnn, span, xlsr
from tests.test_attention import deployed
from toolchain.backends.open import load as load_bundle
from toolchain.bundle import Bundle, open_bundle

SIZES = ((1, 1), (3, 2), (5, 70), (33, 7), (77, 64))


def same(bundle: Bundle, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    runner, channels, path = load_bundle(bundle), bundle.manifest.channels, bundle.path / "model.so"
    for threads in (1, 2, 3):
        with opened(path, threads=threads) as network:
            for seed, size in enumerate(sizes):
                pixels = random_picture((*size, channels), seed)
                np.testing.assert_array_equal(network.upscale(pixels), runner.upscale(pixels), err_msg=f"{size}")


@pytest.mark.parametrize("make", [espcn, xlsr, fsrcnn, denoiser])
def test_networks_that_stream(make: object, photo_folder: Path, tmp_path: Path):
    same(open_bundle(deployed(make(), photo_folder, tmp_path)))  # type: ignore[operator]


@pytest.mark.parametrize("make", [attention, span])
def test_networks_that_run_layer_by_layer(make: object, photo_folder: Path, tmp_path: Path):
    same(open_bundle(deployed(make(), photo_folder, tmp_path)))  # type: ignore[operator]


def test_a_network_with_a_smallest_picture(photo_folder: Path, tmp_path: Path):
    bundle = open_bundle(deployed(esa(), photo_folder, tmp_path))
    same(bundle, ((15, 15), (16, 40), (40, 31)))
    with opened(bundle.path / "model.so") as network:
        assert (network.info.smallest_height, network.info.smallest_width) == (15, 15)
        source, result = random_picture((14, 20, 3)), random_picture((28, 40, 3))
        with pytest.raises(InterfaceError, match=r"WRONG_SIZE.* nothing is left .* 15 x 15 at least"):
            network.call(picture(source), picture(result))
