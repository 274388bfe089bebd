"""onnxruntime's CPU provider, on float ONNX and on its own static quantization."""

from __future__ import annotations

from pathlib import Path

from contestants.base import Contestant, Ready
from networks import Network, Pixels, with_pixel_ends


def fp32(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model."""
    return _ready(network.fp32, network, pixels, threads)


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The QDQ model."""
    return _ready(network.qdq, network, pixels, threads)


def _ready(path: Path, network: Network, pixels: Pixels, threads: int) -> Ready:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = with_pixel_ends(path, pixels.shape, network.scale, network.pixel_scale)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"pixels": pixels[None]}
    return Ready(lambda: session.run(None, feed), lambda result: result[0][0])


_ENDS = "u8 pixels in, u8 pixels out, converted by operators in the graph"
FP32 = Contestant("onnxruntime FP32", "onnxruntime", f"CPU provider, all optimizations; {_ENDS}", fp32)
INT8 = Contestant(
    "onnxruntime INT8",
    "onnxruntime",
    f"quantize_static: QDQ, u8 activations, s8 weights per channel, min/max; CPU provider, all optimizations; {_ENDS}",
    int8,
    integer=True,
)
