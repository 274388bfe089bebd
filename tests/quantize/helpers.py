"""Small normalized networks and pictures for the quantization tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests import sr_models
from toolchain.frontend import SRModel, normalize
from toolchain.quantize import QuantizedModel, Settings, quantize

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
QUICK = Settings(crop=28, crops_per_image=2)
NETS: dict[str, Any] = {
    "xlsr": lambda: sr_models.xlsr(width=4, blocks=1),
    "abpn": lambda: sr_models.abpn(features=8, blocks=1),
    "espcn": lambda: sr_models.espcn(width=8),
    "fsrcnn": lambda: sr_models.fsrcnn(features=8, shrunk=4, maps=1, kernel=5),
    "sesr": lambda: sr_models.sesr(features=8, blocks=1),
    "sesr_prelu_rgb": lambda: sr_models.sesr(channels=3, features=8, blocks=1, prelu=True),
}


@cache
def network(name: str) -> SRModel:
    return normalize(NETS[name]())


@cache
def quantized(name: str) -> QuantizedModel:
    sr = network(name)
    return quantize(sr, pictures(sr.channels), QUICK)


def picture(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth colour with edges and some noise: what a photo is to a small network."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 9.0
    planes = []
    for channel in range(channels):
        wave = np.sin(y + rng.uniform(0, 6)) + np.cos(x * rng.uniform(0.5, 1.5) + channel)
        planes.append(127 + 60 * wave + 70 * np.sign(np.sin((x + y) / 3 + channel)) + rng.normal(0, 6, wave.shape))
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


def pictures(channels: int, count: int = 3, size: int = 130) -> list[NDArray[np.uint8]]:
    return [picture(size, size + 7, channels, seed) for seed in range(count)]


def shared(path: str) -> Path:
    """A file of the test data beside the project; the test is skipped where there is none."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"needs {path} of the shared test data")
    return found


def small_model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    *,
    channels: int = 3,
    scale: int = 1,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> SRModel:
    """An SRModel of these very nodes, from "input" to "output", without normalization."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, f"{name}_h", f"{name}_w"])
        for name in ("input", "output")
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return SRModel(model, "small", channels, scale, value_range, None, 2, ())


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((first.astype(float) - second.astype(float)) ** 2))))


def heavy() -> SRModel:
    """Weights that are nearly alike: rounded, they are all near 127, and 65535 * 127 * 576 does not fit into int32."""
    rng = np.random.default_rng(0)
    constants = {
        "first": rng.normal(0, 0.2, (64, 3, 1, 1)).astype(np.float32),
        "second": rng.uniform(0.009, 0.01, (3, 64, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input", "first"], ["made"]),
        helper.make_node("Conv", ["made", "second"], ["output"], pads=[1] * 4),
    ]
    return small_model(nodes, constants)
