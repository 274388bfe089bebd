"""Small super-resolution networks as ONNX models, for tests: random weights, but outputs that follow the input.

Every network carries an identity path (the input's channels pass through the middle taps), so that its output is
about a nearest-neighbour upscaling with some random texture: ranges, clips and fidelity are then those of a real one.
Inputs are float32 (1, channels, h, w), outputs (1, channels, h*scale, w*scale); dynamic h and w unless ``size``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and initializers; every method returns the name of the value it makes."""

    def __init__(self, seed: int = 0, opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.count = 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def const(self, value: Any, dtype: Any = np.float32, stem: str = "const") -> str:
        name = self.fresh(stem)
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, op: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        name = out or self.fresh(op.lower())
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"node_{name}", domain=domain, **attributes))
        return name

    def conv(
        self,
        x: str,
        cin: int,
        cout: int,
        k: int = 3,
        *,
        groups: int = 1,
        identity: int = 0,
        source: int = 0,
        repeat: int = 1,
        order: str = "CRD",
        noise: float = 0.2,
        bias: float = 0.005,
        out: str = "",
    ) -> str:
        """Convolution with random weights; channels source..source+identity pass to the first identity*repeat outputs.

        ``order`` says how the repeated channels lie: CRD c*repeat + r, DCR r*identity + c. ``bias``: standard deviation
        of the biases, 0 for none.
        """
        w = self.rng.normal(0, noise / np.sqrt(cin // groups * k * k), (cout, cin // groups, k, k))
        # Flat areas keep their level in the channels that carry the picture.
        w -= w.mean(axis=(1, 2, 3), keepdims=True)
        carrying = w[: identity * repeat]
        carrying -= carrying.mean(axis=(2, 3), keepdims=True) if k > 1 else 0.7 * carrying
        for c in range(identity):
            for r in range(repeat):
                w[c * repeat + r if order == "CRD" else r * identity + c, source + c, k // 2, k // 2] += 1.0
        names = [x, self.const(w, stem="weight")]
        if bias:
            names.append(self.const(self.rng.normal(0, bias, cout), stem="bias"))
        return self.node("Conv", *names, out=out, kernel_shape=[k, k], pads=[k // 2] * 4, group=groups)

    def prelu(self, x: str, channels: int) -> str:
        return self.node("PRelu", x, self.const(self.rng.uniform(0.05, 0.4, (channels, 1, 1)), stem="slope"))

    def clip(self, x: str, low: float, high: float, out: str = "") -> str:
        if self.opset < 11:
            return self.node("Clip", x, out=out, min=low, max=high)
        return self.node("Clip", x, self.const(low), self.const(high), out=out)

    def depth_to_space(self, x: str, scale: int, mode: str = "CRD", out: str = "") -> str:
        if self.opset < 11:
            if mode != "DCR":
                raise ValueError("DepthToSpace has no mode before opset 11")
            return self.node("DepthToSpace", x, out=out, blocksize=scale)
        return self.node("DepthToSpace", x, out=out, blocksize=scale, mode=mode)

    def model(
        self,
        channels: int,
        scale: int,
        *,
        size: tuple[int, int] | None = None,
        name: str = "net",
        source: str = "input",
        target: str = "output",
    ) -> onnx.ModelProto:
        ends: tuple[list[Any], list[Any]] = ([1, channels, "h", "w"], [1, channels, "out_h", "out_w"])
        if size:
            ends = ([1, channels, *size], [1, channels, size[0] * scale, size[1] * scale])
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(source, TensorProto.FLOAT, ends[0])],
            [helper.make_tensor_value_info(target, TensorProto.FLOAT, ends[1])],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 4 if self.opset < 11 else 8 if self.opset < 19 else 10
        onnx.checker.check_model(model, full_check=True)
        return model


def _mode(b: Builder) -> str:
    return "DCR" if b.opset < 11 else "CRD"


def xlsr(
    scale: int = 3,
    *,
    width: int = 8,
    blocks: int = 3,
    clipped: bool = True,
    merged: bool = False,
    seed: int = 0,
    opset: int = 17,
    size: tuple[int, int] | None = None,
) -> onnx.ModelProto:
    """XLSR on RGB 0..1: four parallel 3 -> width convolutions (or one, ``merged``), grouped blocks, concat, clip."""
    b = Builder(seed, opset)
    full = 4 * width
    if merged:
        x = b.node("Relu", b.conv("input", 3, full, noise=0.5))
    else:
        heads = [b.node("Relu", b.conv("input", 3, width, noise=0.5)) for _ in range(4)]
        x = b.node("Concat", *heads, axis=1)
    x = b.conv(x, full, full, 1, noise=0.7)
    for _ in range(blocks):
        x = b.node("Relu", b.conv(x, full, full, groups=4, noise=0.7))
        x = b.conv(x, full, full, 1, noise=0.7)
    joined = b.node("Concat", x, b.conv("input", 3, 2 * width, identity=3), axis=1)
    x = b.node("Relu", b.conv(joined, 6 * width, full, 1, identity=3, source=full))
    x = b.conv(x, full, 3 * scale * scale, identity=3, repeat=scale * scale, order=_mode(b))
    x = b.depth_to_space(x, scale, _mode(b), out="" if clipped else "output")
    if clipped:
        b.clip(x, 0.0, 1.0, out="output")
    return b.model(3, scale, size=size, name="xlsr")


def abpn(
    scale: int = 3,
    *,
    features: int = 28,
    blocks: int = 4,
    clipped: bool = True,
    seed: int = 0,
    opset: int = 17,
    size: tuple[int, int] | None = None,
) -> onnx.ModelProto:
    """ABPN on RGB 0..255: plain 3x3 convolutions, the input repeated and added (anchor), DCR shuffle, clip 0..255."""
    b = Builder(seed, opset)
    out = 3 * scale * scale
    x = b.node("Relu", b.conv("input", 3, features, noise=0.5, bias=2.0))
    for _ in range(blocks):
        x = b.node("Relu", b.conv(x, features, features, noise=1.2, bias=2.0))
    x = b.node("Relu", b.conv(x, features, out, noise=1.2, bias=2.0))
    x = b.conv(x, out, out, noise=1.0, bias=2.0)
    anchor = b.node("Concat", *["input"] * (scale * scale), axis=1)
    x = b.depth_to_space(b.node("Add", x, anchor), scale, "DCR", out="" if clipped else "output")
    if clipped:
        b.clip(x, 0.0, 255.0, out="output")
    return b.model(3, scale, size=size, name="abpn")


def espcn(
    scale: int = 3,
    channels: int = 1,
    *,
    width: int = 16,
    clipped: bool = False,
    seed: int = 0,
    opset: int = 17,
    size: tuple[int, int] | None = None,
) -> onnx.ModelProto:
    """ESPCN-like, 0..1: 5x5 and 3x3 convolutions with ReLU, shuffle; unclipped unless asked."""
    b = Builder(seed, opset)
    x = b.node("Relu", b.conv("input", channels, width, 5, identity=channels))
    x = b.node("Relu", b.conv(x, width, width // 2, identity=channels))
    x = b.conv(x, width // 2, channels * scale * scale, identity=channels, repeat=scale * scale, order=_mode(b))
    x = b.depth_to_space(x, scale, _mode(b), out="" if clipped else "output")
    if clipped:
        b.clip(x, 0.0, 1.0, out="output")
    return b.model(channels, scale, size=size, name="espcn")


def fsrcnn(
    scale: int = 3,
    channels: int = 1,
    *,
    features: int = 16,
    shrunk: int = 6,
    maps: int = 2,
    kernel: int = 9,
    clipped: bool = False,
    seed: int = 0,
    opset: int = 17,
    size: tuple[int, int] | None = None,
) -> onnx.ModelProto:
    """FSRCNN with PReLU and a real transposed convolution (9x9, stride ``scale``) at the end, 0..1."""
    b = Builder(seed, opset)
    x = b.prelu(b.conv("input", channels, features, 5, identity=channels), features)
    x = b.prelu(b.conv(x, features, shrunk, 1, identity=channels), shrunk)
    for _ in range(maps):
        x = b.prelu(b.conv(x, shrunk, shrunk, identity=channels), shrunk)
    x = b.prelu(b.conv(x, shrunk, features, 1, identity=channels), features)
    w = b.rng.normal(0, 0.006, (features, channels, kernel, kernel))
    w -= w.mean(axis=(2, 3), keepdims=True)
    # One input pixel spreads as a triangle of half-width `scale`: linear interpolation, whose weights add up to 1.
    triangle = np.maximum(0.0, 1.0 - np.abs(np.arange(kernel) - kernel // 2) / scale)
    for c in range(channels):
        w[c, c] += np.outer(triangle, triangle)
    # Output size is scale * input: (h - 1) * scale + kernel - pads + output_padding.
    excess = kernel - scale
    pad, extra = (excess + 1) // 2, (excess + 1) // 2 * 2 - excess
    x = b.node(
        "ConvTranspose",
        x,
        b.const(w, stem="weight"),
        b.const(b.rng.normal(0, 0.005, channels), stem="bias"),
        kernel_shape=[kernel] * 2,
        strides=[scale] * 2,
        pads=[pad] * 4,
        output_padding=[extra] * 2,
        out="" if clipped else "output",
    )
    if clipped:
        b.clip(x, 0.0, 1.0, out="output")
    return b.model(channels, scale, size=size, name="fsrcnn")


def sesr(
    scale: int = 2,
    channels: int = 1,
    *,
    features: int = 16,
    blocks: int = 3,
    prelu: bool = False,
    clipped: bool = True,
    seed: int = 0,
    opset: int = 17,
    size: tuple[int, int] | None = None,
) -> onnx.ModelProto:
    """SESR, collapsed, 0..1: 5x5, 3x3 blocks with a long skip, 5x5; the input added to every map (broadcast on Y)."""
    b = Builder(seed, opset)
    out = channels * scale * scale

    def act(x: str) -> str:
        return b.prelu(x, features) if prelu else b.node("Relu", x)

    first = act(b.conv("input", channels, features, 5))
    x = first
    for _ in range(blocks):
        x = act(b.conv(x, features, features, noise=1.0))
    x = b.conv(b.node("Add", x, first), features, out, 5, noise=0.3)
    mode = "DCR" if channels > 1 else _mode(b)  # with one channel both orders are the same
    skip = "input" if channels == 1 else b.node("Concat", *["input"] * (scale * scale), axis=1)
    x = b.depth_to_space(b.node("Add", x, skip), scale, mode, out="" if clipped else "output")
    if clipped:
        b.clip(x, 0.0, 1.0, out="output")
    return b.model(channels, scale, size=size, name="sesr")


def denoiser(*, channels: int = 3, clipped: bool = True) -> onnx.ModelProto:
    """A network that does not enlarge: part of what differs from the neighbourhood is taken away (x1, 0..1)."""
    b = Builder()
    blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
    detail = -blur
    detail[1, 1] += 1
    features = 4 * channels
    first, second = b.rng.normal(0, 0.02, (features, channels, 3, 3)), np.zeros((channels, features, 3, 3))
    for c in range(channels):
        first[2 * c, c], first[2 * c + 1, c] = detail, -detail
        second[c, 2 * c, 1, 1], second[c, 2 * c + 1, 1, 1] = -0.6, 0.6
    x = b.node("Relu", b.node("Conv", "input", b.const(first), pads=[1] * 4))
    x = b.node("Conv", x, b.const(second + b.rng.normal(0, 0.01, second.shape)), pads=[1] * 4)
    x = b.node("Add", "input", x, out="" if clipped else "output")
    if clipped:
        b.clip(x, 0.0, 1.0, out="output")
    return b.model(channels, 1)


def lossy() -> onnx.ModelProto:
    """Most of its work is in its body; what it loses, it loses in a tensor that few products read: a channel twenty
    times as wide as the picture's, which a clip keeps from being balanced.
    """
    b = Builder(4)
    body = b.node("Relu", b.conv("input", 3, 16, identity=3, bias=0))
    body = b.node("Relu", b.conv(body, 16, 16, identity=3, bias=0))
    first = np.zeros((4, 16, 1, 1), np.float32)
    first[[0, 1, 2, 3], [0, 1, 2, 1]] = np.array([1, 1, 1, 20], np.float32)[:, None, None]
    wide = b.clip(b.node("Conv", body, b.const(first, stem="weight"), kernel_shape=[1, 1]), 0.0, 20.0)
    last = np.zeros((12, 4, 1, 1), np.float32)
    last[np.arange(12), np.arange(12) // 4] = 1
    last[:, 3] = 1e-4
    b.depth_to_space(b.node("Conv", wide, b.const(last, stem="weight"), kernel_shape=[1, 1]), 2, out="output")
    return b.model(3, 2)


def attention(scale: int = 2, *, width: int = 12, blocks: int = 2, seed: int = 0) -> onnx.ModelProto:
    """RCAN-like (arXiv 1807.02758) on RGB 0..1: residual blocks with channel attention, the second by matrices."""
    b = Builder(seed)
    x = b.conv("input", 3, width, identity=3)
    for block in range(blocks):
        y = b.conv(b.node("Relu", b.conv(x, width, width, noise=0.7)), width, width, noise=0.7)
        few = width // 4
        if block % 2:
            pixel = b.node("ReduceMean", y, axes=[2, 3], keepdims=0)
            down, up = (b.const(b.rng.normal(0, 1.0, shape)) for shape in ((width, few), (few, width)))
            gate = b.node("MatMul", b.node("Relu", b.node("MatMul", pixel, down)), up)
            gate = b.node("Reshape", b.node("Sigmoid", gate), b.const([1, width, 1, 1], np.int64))
        else:
            pixel = b.node("GlobalAveragePool", y)
            gate = b.conv(b.node("Relu", b.conv(pixel, width, few, 1, noise=2.0)), few, width, 1, noise=2.0)
            gate = b.node("Sigmoid", gate)
        x = b.node("Add", x, b.node("Mul", y, gate))
    x = b.conv(x, width, 3 * scale * scale, identity=3, repeat=scale * scale)
    b.clip(b.depth_to_space(x, scale), 0.0, 1.0, out="output")
    return b.model(3, scale, name="attention")


def span(scale: int = 2, *, width: int = 12, blocks: int = 2, seed: int = 0) -> onnx.ModelProto:
    """SPAN-like (arXiv 2311.12770) on RGB 0..1: SiLU, and features that are multiplied by a function of themselves."""
    b = Builder(seed)

    def silu(x: str) -> str:
        return b.node("Mul", x, b.node("Sigmoid", x))

    first = x = b.conv("input", 3, width, identity=3)
    for _ in range(blocks):
        y = b.conv(silu(b.conv(silu(b.conv(x, width, width, noise=0.7)), width, width, noise=0.7)), width, width)
        x = b.node("Mul", b.node("Add", y, x), b.node("Sub", b.node("Sigmoid", y), b.const(0.5)))
    joined = b.node("Concat", first, b.conv(x, width, width), axis=1)
    x = b.conv(joined, 2 * width, 3 * scale * scale, identity=3, repeat=scale * scale)
    b.clip(b.depth_to_space(x, scale), 0.0, 1.0, out="output")
    return b.model(3, scale, name="span")


def esa(scale: int = 2, *, width: int = 8, seed: int = 0) -> onnx.ModelProto:
    """RLFN-like (arXiv 2205.07514) on RGB 0..1: attention that goes down without padding, and to the picture's size."""
    b = Builder(seed)
    x = b.node("Relu", b.conv("input", 3, width, identity=3))
    narrow = b.conv(x, width, 4, 1)
    weight = b.const(b.rng.normal(0, 0.5, (4, 4, 3, 3)))
    low = b.node("MaxPool", b.node("Conv", narrow, weight, strides=[2, 2]), kernel_shape=[7, 7], strides=[3, 3])
    sides = b.node("Slice", b.node("Shape", x), b.const([2], np.int64), b.const([4], np.int64), b.const([0], np.int64))
    sizes = b.node("Concat", b.const([1, 4], np.int64), sides, axis=0)
    wide = b.node(
        "Resize", b.conv(low, 4, 4), "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel"
    )
    x = b.node("Mul", x, b.node("Sigmoid", b.conv(b.node("Add", wide, narrow), 4, width, 1)))
    x = b.conv(x, width, 3 * scale * scale, identity=3, repeat=scale * scale)
    b.clip(b.depth_to_space(x, scale), 0.0, 1.0, out="output")
    return b.model(3, scale, name="esa")


def unpadded(*, width: int = 8, seed: int = 0) -> onnx.ModelProto:
    """Down by two without padding and up again by a transposed convolution: a picture of two rows leaves nothing."""
    b = Builder(seed)
    down, up = (b.const(b.rng.normal(0, 0.2, shape)) for shape in ((width, 3, 3, 3), (width, 3, 4, 4)))
    y = b.node("Relu", b.node("Conv", "input", down, strides=[2, 2]))
    x = b.node("Add", b.node("ConvTranspose", y, up, strides=[2, 2]), "input")
    b.clip(b.depth_to_space(b.conv(x, 3, 12, identity=3, repeat=4), 2), 0.0, 1.0, out="output")
    return b.model(3, 2, name="unpadded")
