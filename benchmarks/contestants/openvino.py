"""OpenVINO's CPU plugin, set for latency: float32, the bfloat16 it prefers where the CPU has it, and INT8."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from contestants.base import Contestant, Ready, UnsupportedError
from networks import Network, Pixels, with_pixel_ends
from runtimes import silence_openvino

# An input quantization of exactly 1, as networks on 0..255 have, is folded away, and the first convolution is then
# left in floating point. A scale this little above is kept; it moves no pixel by more than 0.004.
_MORE_THAN_ONE = 1 + 2**-16


def fp32(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model in float32."""
    return _ready(network.fp32, network, pixels, threads, {"INFERENCE_PRECISION_HINT": "f32"})[0]


def bf16(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The float model in what OpenVINO takes by itself, if that is not float32."""
    if "ONEDNN_MAX_CPU_ISA" in os.environ:  # it would take bfloat16 all the same, and then find no kernels
        raise UnsupportedError("held to instructions that know no bfloat16")
    ready, compiled = _ready(network.fp32, network, pixels, threads, {})
    if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != "bf16":
        raise UnsupportedError("on this CPU OpenVINO computes float models in float32 by itself")
    return ready


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """onnxruntime's QDQ model, in which OpenVINO finds the integer convolutions."""
    ready, compiled = _ready(network.qdq, network, pixels, threads, {})
    kinds = [operator.get_rt_info() for operator in compiled.get_runtime_model().get_ordered_ops()]
    layers = [kind["runtimePrecision"].astype(str) for kind in kinds if "Conv" in kind["layerType"].astype(str)]
    integer = sum(precision in ("i8", "u8") for precision in layers)
    return Ready(ready.call, ready.pixels, f"{integer} of {len(layers)} convolutions in 8 bits")


def _ready(path: Path, network: Network, pixels: Pixels, threads: int, options: dict[str, object]) -> tuple[Ready, Any]:
    silence_openvino()
    import openvino

    core = openvino.Core()
    model = with_pixel_ends(path, pixels.shape, network.scale, network.pixel_scale * _MORE_THAN_ONE)
    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, **options}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(pixels[None]))
    return Ready(request.infer, lambda result: request.get_output_tensor().data[0]), compiled


_ENDS = "latency hint, one stream, static shape; u8 pixels in, u8 pixels out, converted by operators in the graph"
FP32 = Contestant("OpenVINO FP32", "openvino", f"float32 demanded; {_ENDS}", fp32, held=True)
BF16 = Contestant("OpenVINO BF16", "openvino", f"a float model as OpenVINO runs it by itself; {_ENDS}", bf16, held=True)
INT8 = Contestant("OpenVINO INT8", "openvino", f"onnxruntime's QDQ model; {_ENDS}", int8, integer=True, held=True)
