"""LiteRT with XNNPACK: on the network, converted and quantized by onnx2tf, or on a TensorFlow Lite file as given."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx.tools.update_model_dims import update_inputs_outputs_dims

from contestants.base import Contestant, Ready, UnsupportedError
from networks import Network, Pixels

_PHOTOS = 3
"""That the converter calibrates with: it takes them whole, through slow kernels."""
_PROBE = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""What onnx2tf looks at to check its conversion: it would fetch it from the net if there were none."""


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model, converted and quantized by onnx2tf for the picture's size."""
    command = network.onnx2tf
    if command is None:
        raise UnsupportedError("no converter was given with --onnx2tf")
    height, width = pixels.shape[:2]
    path = network.once(f"int8-{height}x{width}.tflite", lambda path: _convert(command, network, pixels.shape, path))
    return _ready(path, pixels, threads)


def given(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The given file, its input resized to the picture."""
    if network.tflite is None:
        raise UnsupportedError("no file was given with --tflite")
    ready = _ready(network.tflite, pixels, threads)
    return Ready(ready.call, ready.pixels, f"another network's weights: {network.tflite.name}")


def _convert(command: str, network: Network, shape: Sequence[int], path: Path) -> None:
    height, width, channels = shape
    small, large = [1, channels, height, width], [1, channels, height * network.scale, width * network.scale]
    photos = [np.resize(photo, shape) for photo in network.images[:_PHOTOS]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fixed = update_inputs_outputs_dims(onnx.load(network.fp32), {"input": small}, {"output": large})
        onnx.save(fixed, folder / "net.onnx")
        codes = np.stack(photos).astype(np.float32) * np.float32(network.pixel_scale)
        np.save(folder / "photos.npy", codes)
        np.save(folder / _PROBE, np.resize(codes, (20, 128, 128, channels)))
        mean, deviation = (str([[[[value] * channels]]]) for value in (0, 1))
        ends = ["-iqd", "uint8", "-oqd", "uint8", "-qt", "per-channel"]
        photographs = ["-cind", "input", "photos.npy", mean, deviation]
        subprocess.run(
            [command, "-i", "net.onnx", "-o", "made", "-oiqt", *ends, *photographs, "-v", "error"],
            cwd=folder,
            check=True,
        )
        shutil.copy(folder / "made" / "net_full_integer_quant.tflite", path)


def _ready(path: Path, pixels: Pixels, threads: int) -> Ready:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] is not np.uint8 or result["dtype"] is not np.uint8:
        raise UnsupportedError(f"{path.name} does not take and give u8 pixels")
    interpreter.resize_tensor_input(source["index"], [1, *pixels.shape])
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], pixels[None])
    return Ready(interpreter.invoke, lambda _: interpreter.get_tensor(result["index"])[0])


_ENDS = "XNNPACK, as the interpreter sets it up by itself; u8 pixels in, u8 pixels out"
INT8 = Contestant(
    "LiteRT INT8",
    "ai-edge-litert",
    f"converted and quantized by onnx2tf (s8 weights per channel) for the picture's size; {_ENDS}",
    int8,
    integer=True,
    clips=(True,),
)
GIVEN = Contestant(
    "LiteRT INT8, a file",
    "ai-edge-litert",
    f"the file given with --tflite; {_ENDS}",
    given,
    integer=True,
    clips=(True,),
    foreign=True,
)
