"""Every runtime that takes part. A new one is a file in this folder and a line in ``CONTESTANTS``."""

from __future__ import annotations

from contestants import clipfree, litert, mnn, ncnn, onnxruntime, openvino
from contestants.base import Contestant, Ready, UnsupportedError

CONTESTANTS: tuple[Contestant, ...] = (
    clipfree.INT8,  # the first: all others are measured in multiples of it
    clipfree.FP32,
    onnxruntime.INT8,
    onnxruntime.FP32,
    openvino.INT8,
    openvino.BF16,
    openvino.FP32,
    litert.INT8,
    litert.GIVEN,
    ncnn.INT8,
    ncnn.FP32,
    mnn.INT8,
    mnn.FP32,
)

__all__ = ["CONTESTANTS", "Contestant", "Ready", "UnsupportedError"]
