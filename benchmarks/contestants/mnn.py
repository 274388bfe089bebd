"""MNN on the CPU, in float and through its own post-training quantization.

The conversion tools are called through the wheel's ``_tools`` module: the package ``MNN.tools`` around it installs a
further package when it is imported, and sends usage figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from PIL import Image

from contestants.base import Contestant, Ready
from networks import Network, Pixels


def fp32(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model."""
    return _ready(network.once("float.mnn", lambda path: _convert(network.fp32, path)), network, pixels, threads)


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model, quantized by MNN on the calibration pictures."""
    return _ready(network.once("int8.mnn", lambda path: _quantize(network, path)), network, pixels, threads)


def _convert(source: Path, path: Path) -> None:
    import _tools

    _tools.mnnconvert(
        ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(path), "--bizCode", "benchmark"]
    )


def _quantize(network: Network, path: Path) -> None:
    import _tools

    folder, settings = path.with_name("photos"), path.with_name("mnnquant.json")
    folder.mkdir(exist_ok=True)
    for index, image in enumerate(network.images):
        Image.fromarray(image.squeeze()).save(folder / f"{index:03}.png")
    # The tool wants a fixed size, to which it brings the pictures; what it writes runs at any size.
    height, width = network.images[0].shape[:2]
    fixed, source = path.with_name("fixed.onnx"), path.with_name("fixed.mnn")
    small, large = (
        [1, network.channels, height, width],
        [1, network.channels, height * network.scale, width * network.scale],
    )
    onnx.save(update_inputs_outputs_dims(onnx.load(network.fp32), {"input": small}, {"output": large}), fixed)
    _convert(fixed, source)
    settings.write_text(
        json.dumps(
            {
                "input_type": "image",
                "path": f"{folder}/",
                "used_image_num": len(network.images),
                "format": "RGB" if network.channels == 3 else "GRAY",
                "mean": [0.0] * 3,
                "normal": [network.pixel_scale] * 3,
                "height": height,
                "width": width,
                "feature_quantize_method": "EMA",
                "weight_quantize_method": "MAX_ABS",
            }
        ),
        encoding="utf-8",
    )
    _tools.mnnquant(["mnnquant", str(source), str(path), str(settings)])


def _ready(path: Path, network: Network, pixels: Pixels, threads: int) -> Ready:
    from MNN import expr, nn

    runtime = nn.create_runtime_manager(({"backend": "CPU", "numThread": threads, "precision": "normal"},))
    module = nn.load_module_from_file(str(path), ["input"], ["output"], runtime_manager=runtime)
    black, white, step, steps = (
        expr.const([value], [1], expr.NHWC) for value in (0.0, 255.0, network.pixel_scale, 1 / network.pixel_scale)
    )

    def call() -> Any:
        source = expr.const(pixels[None], [1, *pixels.shape], expr.NHWC, expr.uint8)
        planes = expr.convert(expr.multiply(expr.cast(source, expr.float), step), expr.NCHW)
        codes = expr.round(expr.multiply(expr.convert(module.forward(planes), expr.NHWC), steps))
        bounded = expr.minimum(expr.maximum(codes, black), white)
        return expr.cast(bounded, expr.uint8).read()  # results are computed when they are read

    return Ready(call, lambda result: result[0])


_ENDS = "precision normal; u8 pixels in, u8 pixels out, converted by its own operators"
# The wheel has no code for AVX-512.
FP32 = Contestant("MNN FP32", "MNN", f"converted by its own tool; {_ENDS}", fp32, held=True)
INT8 = Contestant(
    "MNN INT8",
    "MNN",
    f"quantized by its own tool (activations EMA, weights MAX_ABS); {_ENDS}",
    int8,
    integer=True,
    held=True,
)
