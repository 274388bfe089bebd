"""Networks that interpolate, and networks without padding, through the whole line: tiles, onnxruntime, the clip."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.conftest import photograph
from tests.sr_models import Builder
from tests.test_breadth import made
from toolchain.backends.open import load
from toolchain.bundle import open_bundle
from toolchain.frontend.session import FloatSession
from toolchain.quantize import IntegerReference
from toolchain.runtime.tiles import upscale_tiled

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


def srcnn(scale: int) -> Callable[[Builder], None]:
    """Dong et al., arXiv 1501.00092: cubic interpolation first, then three convolutions."""

    def build(b: Builder) -> None:
        x = b.node("Resize", "input", "", b.const([1, 1, scale, scale]), mode="cubic")
        x = b.node("Relu", b.conv(x, 3, 8, 9, identity=3))
        b.conv(b.node("Relu", b.conv(x, 8, 6, 1, identity=3)), 6, 3, 5, identity=3, out="output")

    return build


def vdsr(b: Builder) -> None:
    """Kim et al., arXiv 1511.04587: the picture is enlarged first, and what the network makes of it is added to it."""
    up = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode="cubic", cubic_coeff_a=-0.5)
    x = b.node("Relu", b.conv(b.node("Relu", b.conv(up, 3, 8)), 8, 8))
    b.clip(b.node("Add", b.conv(x, 8, 3, noise=0.05), up), 0.0, 1.0, out="output")


def bilinear_skip(b: Builder) -> None:
    x = b.prelu(b.conv("input", 3, 8, identity=3), 8)
    up = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode="linear")
    b.clip(b.node("Add", b.depth_to_space(b.conv(x, 8, 12, noise=0.05), 2), up), 0.0, 1.0, out="output")


def upconv(b: Builder) -> None:
    """As waifu2x: convolutions without padding, and a transposed one."""
    x = "input"
    for before, after in ((3, 4), (4, 6)):
        weights = b.rng.normal(0, 0.05, (after, before, 3, 3))
        weights[:3, :3, 1, 1] += np.eye(3)
        x = b.node("LeakyRelu", b.node("Conv", x, b.const(weights)), alpha=0.1)
    weights = b.rng.normal(0, 0.02, (6, 3, 4, 4))
    weights[range(3), range(3), 1:3, 1:3] += 1.0
    b.node("ConvTranspose", x, b.const(weights), strides=[2, 2], pads=[3] * 4, out="output")


FAMILIES: dict[str, tuple[Callable[[Builder], None], int]] = {
    "SRCNN x2": (srcnn(2), 2),
    "SRCNN x3": (srcnn(3), 3),
    "VDSR": (vdsr, 2),
    "bilinear skip": (bilinear_skip, 2),
    "upconv": (upconv, 2),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family(name: str, tmp_path: Path, photo_folder: Path):
    build, scale = FAMILIES[name]
    b = Builder(1)
    build(b)
    done = made(b.model(3, scale), tmp_path, photo_folder)
    assert (done.manifest.coverage.share, done.manifest.coverage.float_operators) == (1.0, ())
    assert [case.difference for case in done.verified] == [0] * 10
    assert done.manifest.line_buffers > 0, "rows stream through it"
    bundle = open_bundle(done.path)
    upscale, pixels = load(bundle).upscale, photograph(61, 83, 5)
    whole = upscale(pixels)
    tiled = upscale_tiled(upscale, pixels, scale=scale, halo=done.manifest.halo, tile=20)
    np.testing.assert_array_equal(tiled, whole)
    exported = onnx.load(done.path / "model.qdq.onnx")
    np.testing.assert_array_equal(IntegerReference(exported).run(pixels), whole)
    # Q and DQ nodes are to round, not to become integer kernels, which round otherwise.
    session = FloatSession(exported, entries={"session.disable_quant_qdq": "1"})
    (floats,) = session.run(None, np.float32(pixels.transpose(2, 0, 1)[None]) / np.float32(255))
    codes = np.clip(np.rint(floats[0].transpose(1, 2, 0) * 255), 0, 255)
    difference = np.abs(codes - whole)
    assert difference.max() <= 4, "a code in some layers"
    assert difference.mean() < 0.03
