"""ncnn on the CPU, in float32 and with 8-bit convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from contestants.base import Contestant, Ready
from contestants.ncnn_model import write_ncnn
from networks import Network, Pixels


def fp32(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model."""
    folder = network.once("ncnn-float", lambda new: _write(network, new, int8=False))
    return _ready(folder, network, pixels, threads)


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """Convolutions in 8 bits, scales from the largest values in the calibration pictures."""
    folder = network.once("ncnn-int8", lambda new: _write(network, new, int8=True))
    return _ready(folder, network, pixels, threads)


def _write(network: Network, folder: Path, *, int8: bool) -> None:
    model = onnx.load(network.fp32)
    folder.mkdir(exist_ok=True)
    ranges = _ranges(network, model) if int8 else None
    write_ncnn(model, folder / "net.param", folder / "net.bin", ranges)


def _ranges(network: Network, model: onnx.ModelProto) -> dict[str, float]:
    """The largest absolute value at the input of every convolution, over the calibration pictures."""
    import onnxruntime

    names = sorted({node.input[0] for node in model.graph.node if node.op_type == "Conv"})
    watched = [name for name in names if name != "input"]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in watched)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(names, 0.0)
    for image in network.images:
        planes = network.planes(image)
        for name, values in zip(["input", *watched], [planes, *session.run(watched, {"input": planes})], strict=True):
            largest[name] = max(largest[name], float(np.abs(values).max()))
    return largest


def _ready(folder: Path, network: Network, pixels: Pixels, threads: int) -> Ready:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for status in (net.load_param(str(folder / "net.param")), net.load_model(str(folder / "net.bin"))):
        if status:
            raise RuntimeError(f"ncnn does not load the network (status {status})")
    height, width, channels = pixels.shape
    kind = ncnn.Mat.PixelType.PIXEL_RGB if channels == 3 else ncnn.Mat.PixelType.PIXEL_GRAY

    def call() -> Pixels:
        source = ncnn.Mat.from_pixels(pixels, kind, width, height)
        source.substract_mean_normalize([], [network.pixel_scale] * channels)
        extractor = net.create_extractor()
        extractor.input("input", source)
        status, result = extractor.extract("output")
        if status:
            raise RuntimeError(f"ncnn does not run the network (status {status})")
        return _as_pixels(np.asarray(result), network.pixel_scale)

    return Ready(call, lambda result: result)


def _as_pixels(planes: npt.NDArray[np.float32], pixel_scale: float) -> Pixels:
    """As `Network.pixels`, with as little memory as NumPy can do with."""
    codes = planes * np.float32(1 / pixel_scale)
    np.rint(codes, out=codes)
    np.clip(codes, 0, 255, out=codes)
    return np.ascontiguousarray(codes.astype(np.uint8).transpose(1, 2, 0))


_ENDS = "default options; u8 pixels in, by its own conversion, u8 pixels out, by NumPy, for its wheel has none"
FP32 = Contestant("ncnn FP32", "ncnn", _ENDS, fp32)
INT8 = Contestant(
    "ncnn INT8",
    "ncnn",
    f"8-bit convolutions, symmetric, weights per channel, largest values; {_ENDS}",
    int8,
    integer=True,
)
