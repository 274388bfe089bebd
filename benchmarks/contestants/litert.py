"""LiteRT with XNNPACK, on a TensorFlow Lite file that the user gives: ONNX models are not converted to it here."""

from __future__ import annotations

import numpy as np

from contestants.base import Contestant, Ready, UnsupportedError
from networks import Network, Pixels


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The given file, its input resized to the picture."""
    if network.tflite is None:
        raise UnsupportedError("no file was given with --tflite")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(network.tflite), num_threads=threads)
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] is not np.uint8 or result["dtype"] is not np.uint8:
        raise UnsupportedError(f"{network.tflite.name} does not take and give u8 pixels")
    interpreter.resize_tensor_input(source["index"], [1, *pixels.shape])
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], pixels[None])
    return Ready(
        interpreter.invoke,
        lambda _: interpreter.get_tensor(result["index"])[0],
        f"another network's weights: {network.tflite.name}",
    )


INT8 = Contestant(
    "LiteRT INT8",
    "ai-edge-litert",
    "XNNPACK, as the interpreter sets it up by itself; u8 pixels in, u8 pixels out",
    int8,
    integer=True,
    clips=(True,),
    foreign=True,
)
