"""Steps that make pictures smaller and leave codes as they are: SpaceToDepth and pooling by the largest."""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.reference.graph import attributes
from toolchain.reference.quantization import CodeArray
from toolchain.reference.steps import Codes, PoolStep, SpaceToDepthStep
from toolchain.support.errors import TooSmallError


def read_down(node: onnx.NodeProto, out: Codes, source: Codes) -> SpaceToDepthStep | PoolStep | None:
    """Return what a node of ONNX makes of ``source``; None if it is another."""
    if node.op_type == "SpaceToDepth":
        return SpaceToDepthStep(out, source, int(attributes(node)["blocksize"]))
    if node.op_type != "MaxPool" or not pools(node):
        return None
    found = attributes(node)
    kernel, strides, dilations = (
        (int(found.get(name, (1, 1))[0]), int(found.get(name, (1, 1))[1]))
        for name in ("kernel_shape", "strides", "dilations")
    )
    top, left, bottom, right = (int(pad) for pad in found.get("pads", (0, 0, 0, 0)))
    ceil = bool(found.get("ceil_mode", 0))
    return PoolStep(out, source, kernel, strides, (top, left, bottom, right), dilations, ceil)


def pools(node: onnx.NodeProto) -> bool:
    """Whether a MaxPool is of pictures, pads by explicit numbers, and tells nothing but the largest."""
    found = attributes(node)
    return len(found["kernel_shape"]) == 2 and found.get("auto_pad", "NOTSET") == "NOTSET" and len(node.output) == 1


def space_to_depth(codes: CodeArray, size: int) -> CodeArray:
    """ONNX's SpaceToDepth of (C, h, w), whose sides are multiples of ``size``, for one image."""
    channels, height, width = codes.shape
    split = codes.reshape(channels, height // size, size, width // size, size).transpose(2, 4, 0, 1, 3)
    return np.ascontiguousarray(split).reshape(-1, height // size, width // size)


def pooled(codes: CodeArray, step: PoolStep) -> CodeArray:
    """Return the largest code of every window of (C, h, w); what lies outside of the picture does not count."""
    height, width = (step.output_side(side, axis) for axis, side in enumerate(codes.shape[1:]))
    if min(height, width) < 1:
        size, kernel = f"{codes.shape[2]} x {codes.shape[1]}", f"{step.kernel[1]} x {step.kernel[0]}"
        raise TooSmallError(f"{size} pixels leave nothing of pooling by {kernel}", hint="use a larger image")
    top, left = step.pads[:2]
    result: CodeArray = np.zeros((codes.shape[0], height, width), codes.dtype)
    for i in range(step.kernel[0]):
        for j in range(step.kernel[1]):
            rows = np.arange(height) * step.strides[0] + i * step.dilations[0] - top
            columns = np.arange(width) * step.strides[1] + j * step.dilations[1] - left
            inside_y = (rows >= 0) & (rows < codes.shape[1])
            inside_x = (columns >= 0) & (columns < codes.shape[2])
            part = codes[:, rows[inside_y]][:, :, columns[inside_x]]
            places = np.ix_(np.arange(codes.shape[0]), np.flatnonzero(inside_y), np.flatnonzero(inside_x))
            result[places] = np.maximum(result[places], part)
    return result
