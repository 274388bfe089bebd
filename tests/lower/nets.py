"""Quantized networks written node by node: canonical QDQ with random int8 weights, without calibration."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.unit import named

PIXEL = float(np.float32(1 / 255))
FINE = float(np.float32(1 / 65535))
"""The scale of 16 bits that span what 8 bits of scale PIXEL do."""


class Tensor(NamedTuple):
    """The float side of a quantized tensor, or (scale 0) a float tensor. ``wide``: its codes have 16 bits."""

    name: str
    channels: int
    scale: float = PIXEL
    zero: int = 0
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Act:
    """An activation: "Relu", "PRelu" (random slopes), "LeakyRelu" or "Clip"."""

    kind: str
    low: float = 0.0
    high: float = 0.3


class Net:
    """Nodes in order; every method returns the tensor it makes. All weights come from one generator."""

    def __init__(self, channels: int = 3, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.channels = channels
        self.input = self.quantized("input", channels, PIXEL, 0)

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def quantized(self, value: str, channels: int, scale: float = PIXEL, zero: int = 0) -> Tensor:
        """QuantizeLinear and DequantizeLinear behind float ``value``; in 16 bits where the scale is so fine."""
        wide = scale < PIXEL / 64
        parameters = self.const(scale), self.const(zero, np.uint16 if wide else np.uint8)
        codes = self.node("QuantizeLinear", value, *parameters)
        return Tensor(self.node("DequantizeLinear", codes, *parameters), channels, scale, zero, wide)

    def activated(self, value: str, channels: int, act: Act | None) -> str:
        if act is None:
            return value
        if act.kind == "PRelu":
            return self.node("PRelu", value, self.const(self.rng.uniform(-0.3, 0.6, (channels, 1, 1))))
        if act.kind == "LeakyRelu":
            return self.node("LeakyRelu", value, alpha=0.2)
        if act.kind == "Clip":
            return self.node("Clip", value, self.const(act.low), self.const(act.high))
        return self.node(act.kind, value)

    def convolved(
        self,
        x: Tensor,
        channels: int,
        k: int = 3,
        *,
        groups: int = 1,
        dilation: int = 1,
        pads: list[int] | None = None,
        stride: int = 1,
        weight_zero: int = 0,
    ) -> str:
        """A convolution without its quantization: the float value."""
        inputs = x.channels // groups
        weight = self.rng.integers(-127, 128, (channels, inputs, k, k))
        # Outputs that spread over about half of the codes, whatever the number of taps.
        step = x.scale * (257 if x.wide else 1)
        scale = self.rng.uniform(0.7, 1.3, channels) * 60 / (70 * 90 * np.sqrt(inputs * k * k)) * PIXEL / step
        scale = scale.astype(np.float32)
        bias = np.rint(self.rng.uniform(-30, 60, channels) * PIXEL / (scale * x.scale))
        kernel = self.node(
            "DequantizeLinear",
            self.const(weight, np.int8),
            self.const(scale),
            self.const(np.full(channels, weight_zero), np.int8),
            axis=0,
        )
        steps = (np.float64(x.scale) * scale.astype(np.float64)).astype(np.float32)
        offset = self.node("DequantizeLinear", self.const(bias, np.int32), self.const(steps), axis=0)
        reach = (k - 1) * dilation
        pads = [reach // 2] * 2 + [reach - reach // 2] * 2 if pads is None else pads
        return self.node(
            "Conv",
            x.name,
            kernel,
            offset,
            kernel_shape=[k, k],
            group=groups,
            dilations=[dilation] * 2,
            strides=[stride] * 2,
            pads=pads,
        )

    def conv(
        self,
        x: Tensor,
        channels: int,
        k: int = 3,
        *,
        act: Act | None = None,
        residual: Tensor | None = None,
        swapped: bool = False,
        after: Act | None = None,
        scale: float = PIXEL,
        zero: int = 0,
        **options: Any,
    ) -> Tensor:
        value = self.activated(self.convolved(x, channels, k, **options), channels, act)
        if residual is not None:
            terms = (residual.name, value) if swapped else (value, residual.name)
            value = self.activated(self.node("Add", *terms), channels, after)
        return self.quantized(value, channels, scale, zero)

    def add(self, a: Tensor, b: Tensor, *, after: Act | None = None, scale: float = PIXEL, zero: int = 0) -> Tensor:
        return self.pair("Add", a, b, after=after, scale=scale, zero=zero)

    def pair(
        self, op: str, a: Tensor, b: Tensor, *, after: Act | None = None, scale: float = PIXEL, zero: int = 0
    ) -> Tensor:
        """Add, Mul, Min or Max of two tensors."""
        channels = max(a.channels, b.channels)
        return self.quantized(self.activated(self.node(op, a.name, b.name), channels, after), channels, scale, zero)

    def pooled(
        self, x: Tensor, op: str = "GlobalAveragePool", *, act: Act | None = None, scale: float = PIXEL, zero: int = 0
    ) -> Tensor:
        """The whole picture as a single pixel."""
        return self.quantized(self.activated(self.node(op, x.name), x.channels, act), x.channels, scale, zero)

    def pooled_channels(
        self, x: Tensor, op: str = "ReduceMax", *, act: Act | None = None, scale: float = PIXEL, zero: int = 0
    ) -> Tensor:
        """The largest of every pixel's numbers."""
        return self.quantized(self.activated(self.node(op, x.name, axes=[1]), 1, act), 1, scale, zero)

    def normalized(self, x: Tensor, *, epsilon: float = 1e-6, scale: float = PIXEL, zero: int = 0) -> Tensor:
        """Normalization over the channels of each pixel, with random gains and offsets."""
        across = self.node("Transpose", x.name, perm=[0, 2, 3, 1])
        gains, offsets = self.rng.uniform(0.1, 0.3, x.channels), self.rng.normal(0.3, 0.1, x.channels)
        factors = self.const(gains), self.const(offsets)
        value = self.node("LayerNormalization", across, *factors, axis=-1, epsilon=epsilon)
        return self.quantized(self.node("Transpose", value, perm=[0, 3, 1, 2]), x.channels, scale, zero)

    def concat(self, *parts: Tensor, scale: float = PIXEL, zero: int = 0, axis: int = 1) -> Tensor:
        value = self.node("Concat", *(part.name for part in parts), axis=axis)
        return self.quantized(value, sum(part.channels for part in parts), scale, zero)

    def mixed(
        self, x: Tensor, fine: int = 4, coarse: int = 8, k: int = 3, *, act: Act | None = None, zero: int = 9
    ) -> Tensor:
        """A convolution the first channels of which have 16 bits, the others 8: steps of 256 of theirs."""
        parts = (
            self.conv(x, fine, k, act=act, scale=PIXEL / 256, zero=257 * zero),
            self.conv(x, coarse, k, act=act, scale=PIXEL, zero=zero),
        )
        return self.concat(*parts, scale=PIXEL / 256, zero=257 * zero)

    def shuffled(self, x: Tensor, scale: int, mode: str) -> Tensor:
        """Depth-to-space, with the quantization that ``x`` has."""
        value = self.node("DepthToSpace", x.name, blocksize=scale, mode=mode)
        return self.quantized(value, x.channels // scale**2, x.scale, x.zero)

    def squares(self, x: Tensor, size: int) -> Tensor:
        """Space-to-depth, with the quantization that ``x`` has."""
        value = self.node("SpaceToDepth", x.name, blocksize=size)
        return self.quantized(value, x.channels * size**2, x.scale, x.zero)

    def largest(self, x: Tensor, k: int, stride: int, pads: list[int] | None = None, **options: Any) -> Tensor:
        """The largest of windows, with the quantization that ``x`` has."""
        value = self.node("MaxPool", x.name, kernel_shape=[k, k], strides=[stride] * 2, pads=pads or [0] * 4, **options)
        return self.quantized(value, x.channels, x.scale, x.zero)

    def selected(self, x: Tensor, *channels: int) -> Tensor:
        """Some channels, with the quantization that ``x`` has."""
        value = self.node("Gather", x.name, self.const(channels, np.int64), axis=1)
        return self.quantized(value, len(channels), x.scale, x.zero)

    def resized(
        self,
        x: Tensor,
        rows: float,
        columns: float | None = None,
        *,
        residual: Tensor | None = None,
        act: Act | None = None,
        scale: float = PIXEL,
        zero: int = 0,
        **how: Any,
    ) -> Tensor:
        """A Resize by factors with these attributes, linear by default, perhaps added to something."""
        factors = self.const([1, 1, rows, columns or rows])
        value = self.node("Resize", x.name, "", factors, **{"mode": "linear", **how})
        if residual is not None:
            value = self.node("Add", value, residual.name)
        return self.quantized(self.activated(value, x.channels, act), x.channels, scale, zero)

    def to_picture(self, x: Tensor, *, residual: Tensor | None = None, scale: float = PIXEL, zero: int = 0) -> Tensor:
        """Interpolated to the size of the network's input, perhaps added to something."""
        sides = self.node("Shape", self.input.name, start=2, end=4)
        sizes = self.node("Concat", self.const([1, x.channels], np.int64), sides, axis=0)
        value = self.node("Resize", x.name, "", "", sizes, mode="linear")
        if residual is not None:
            value = self.node("Add", value, residual.name)
        return self.quantized(value, x.channels, scale, zero)

    def windowed(
        self, x: Tensor, top: int, left: int, bottom: int, right: int, mode: str = "constant", value: float = 0.0
    ) -> Tensor:
        """Pixels added at the borders, or cut where all numbers are negative, with the quantization that ``x`` has."""
        if min(top, left, bottom, right) < 0:
            ends = [end or np.iinfo(np.int64).max for end in (bottom, right)]
            numbers = (self.const(values, np.int64) for values in ([-top, -left], ends, [2, 3]))
            node = self.node("Slice", x.name, *numbers)
        else:
            pads = self.const([0, 0, top, left, 0, 0, bottom, right], np.int64)
            node = self.node("Pad", x.name, pads, self.const(value), mode=mode)
        return self.quantized(node, x.channels, x.scale, x.zero)

    def model(self, x: Tensor, scale: int = 1, mode: str = "CRD", *, unit: int = 1) -> onnx.ModelProto:
        """End the network in ``x``, shuffled; the picture's sides are multiples of ``unit``."""
        self.node("DepthToSpace", x.name, out="output", blocksize=scale, mode=mode)
        ends = [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, [1, channels, named(f"{name}_h", size), named(f"{name}_w", size)]
            )
            for name, channels, size in (("input", self.channels, unit), ("output", x.channels // scale**2, 1))
        ]
        wide = any(constant.data_type == TensorProto.UINT16 for constant in self.constants)
        for node in self.nodes if wide else ():
            if node.op_type.startswith("Reduce"):  # as opset 18 has it
                node.input.append(self.const(node.attribute.pop().ints, np.int64))
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21 if wide else 17)])
        model.ir_version = 10 if wide else 8
        onnx.checker.check_model(model, full_check=True)
        return model
