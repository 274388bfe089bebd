"""Networks that other runtimes refuse or misread in their plain spelling load there, and mean the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtimes import picture_of
from tests.quantize.helpers import picture
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.quantize import IntegerReference, QuantizedModel, Settings, canonicalize, quantize
from toolchain.quantize.spelling import for_runtimes

MOST = {"onnxruntime": 2, "openvino, exact": 2, "openvino": 4}
"""Codes, see ``tests.test_runtimes``. What OpenVINO computes in floats, the means here, it computes in bfloat16 by
itself where a processor can: its steps near white are two codes."""


def joined(alpha: float) -> onnx.ModelProto:
    """Two feature maps side by side, shuffled into pixels; the last convolution's sums are the output."""
    b = Builder(3)
    first = b.node("LeakyRelu", b.conv("input", 3, 8, identity=3, repeat=2, order="DCR"), alpha=alpha)
    second = b.node("LeakyRelu", b.conv(first, 8, 8), alpha=alpha)
    enlarged = b.node("DepthToSpace", b.node("Concat", first, second, axis=1), blocksize=2, mode="CRD")
    b.conv(enlarged, 4, 3, out="output")
    return b.model(3, 2)


def repeated(alpha: float) -> onnx.ModelProto:
    """Features enlarged by their nearest neighbours."""
    b = Builder(4)
    features = b.node("LeakyRelu", b.conv("input", 3, 6, identity=3), alpha=alpha)
    factors = b.const([1, 1, 2, 2])
    enlarged = b.node(
        "Resize", features, "", factors, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    b.conv(enlarged, 6, 3, identity=3, out="output")
    return b.model(3, 2)


def scaled(alpha: float) -> onnx.ModelProto:
    """Two tensors side by side, times a number, which a convolution and a sum read."""
    b = Builder(6)
    features = b.node("LeakyRelu", b.conv("input", 3, 8, identity=3), alpha=alpha)
    other = b.node("LeakyRelu", b.conv(features, 8, 4, identity=4), alpha=alpha)
    x = b.node("Mul", b.node("Concat", features, other, axis=1), b.const(0.5))
    x = b.node("Add", x, b.conv(b.node("LeakyRelu", b.conv(x, 12, 12, identity=12), alpha=alpha), 12, 12, identity=12))
    b.node("DepthToSpace", b.conv(x, 12, 12, identity=3, repeat=4), out="output", blocksize=2, mode="CRD")
    return b.model(3, 2)


NETS: dict[str, Callable[[float], onnx.ModelProto]] = {"joined": joined, "repeated": repeated, "scaled": scaled}
PIXELS = picture(40, 44, 3, 9)


@cache
def deployed(name: str, alpha: float = 0.4) -> QuantizedModel:
    photos = [picture(60, 70, 3, seed) for seed in range(3)]
    settings = Settings(crop=40, crops_per_image=1, tame=False, augment=False)
    return quantize(normalize(NETS[name](alpha), value_range="0..1"), photos, settings)


@pytest.mark.parametrize("runtime", MOST)
@pytest.mark.parametrize("name", NETS)
def test_signed_features_load_and_mean_the_same_elsewhere(name: str, runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(runtime.partition(",")[0])
    path = tmp_path / "model.qdq.onnx"
    onnx.save(for_runtimes(deployed(name).model), path)
    wanted = IntegerReference(deployed(name).model).run(PIXELS)
    assert np.abs(picture_of(runtime, path, PIXELS, 1 / 255).astype(int) - wanted).max() <= MOST[runtime]


@pytest.mark.parametrize("name", NETS)
def test_the_file_has_the_same_codes_and_can_be_taken_in_again(name: str) -> None:
    model = deployed(name).model
    written = for_runtimes(model)
    onnx.checker.check_model(written, full_check=True)
    assert written != model
    wanted = IntegerReference(model).run(PIXELS)
    np.testing.assert_array_equal(IntegerReference(written).run(PIXELS), wanted)
    np.testing.assert_array_equal(IntegerReference(canonicalize(written).model).run(PIXELS), wanted)


@pytest.mark.parametrize("name", NETS)
def test_what_has_no_zero_point_is_written_as_it_is(name: str) -> None:
    model = deployed(name, 0.0).model
    assert for_runtimes(model) == model
