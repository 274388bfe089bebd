"""Random super-resolution networks, in the manner of NNSmith (Liu et al., ASPLOS 2023): valid by construction.

A network is a number of random steps with enlargements at random depths, then a gain and an offset that bring what it
makes of a photograph into the value range, an anchor or not, a clip or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx

from tests.campaigns.attention import Attention
from tests.campaigns.layers import Value
from tests.conftest import photograph

_WAYS_UP = {1: [[]], 2: [[2]], 3: [[3]], 4: [[4], [2, 2]]}
_DEVIATION = 0.22
"""Of the output's values on a photograph, as a part of the range: about that of photographs."""


@dataclass(frozen=True)
class RandomGraph:
    """A network and what is known of it.

    Attributes:
        model: float ONNX, input (1, channels, h, w), output (1, channels, h*scale, w*scale).
        channels: 1 or 3.
        scale: 1 to 4.
        peak: what white is, 1 or 255.
        mood: of its weights, see `layers.MOODS`.
        tags: of its parts, for people.
    """

    model: onnx.ModelProto
    channels: int
    scale: int
    peak: float
    mood: str
    tags: tuple[str, ...]

    @property
    def value_range(self) -> str:
        return f"0..{self.peak:g}"

    def picture(self) -> np.ndarray:
        """A picture that is no crop of a calibration photograph, u8 (h, w, channels), of odd sides where it may be."""
        height, width = (72, 88) if "halved" in self.tags else (73, 89)
        return np.ascontiguousarray(photograph(height, width, 7)[:, :, : self.channels])


def random_graph(seed: int) -> RandomGraph:
    """The network of ``seed``."""
    return _Network(seed).build()


def float_output(model: onnx.ModelProto, pixels: np.ndarray, peak: float, *, optimized: bool = False) -> np.ndarray:
    """What onnxruntime makes of a picture u8 (h, w, C): float32 (C, H, W), in the network's own range."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    x = pixels.transpose(2, 0, 1)[None]
    x = x.astype(np.float32) * np.float32(peak / 255) if source.type == "tensor(float)" else x
    return np.asarray(session.run(None, {source.name: x})[0][0])


class _Network(Attention):
    def __init__(self, seed: int) -> None:
        super().__init__(seed, opset=int(np.random.default_rng(seed).integers(11, 22)))
        self.channels = 1 if self.chance(0.35) else 3
        self.scale = self.weighted({1: 0.1, 2: 0.4, 3: 0.25, 4: 0.25})
        self.peak = 255.0 if self.chance(0.25) else 1.0
        self.seen: list[Value] = []
        self.steps: dict[Callable[[Value], Value], float] = {
            self.convolved: 0.24,
            self.grouped: 0.06,
            self.depthwise: 0.07,
            self.dilated: 0.05,
            self.residual: 0.12,
            self.concatenated: 0.1,
            self.sliced: 0.04,
            self.gathered: 0.04,
            self.split_and_joined: 0.05,
            self.halved: 0.05,
            self.affine: 0.04,
            self.normed: 0.04,
            self.summed: 0.03,
            self.gated: 0.04,
            self.attended: 0.03,
            self.layer_normed: 0.02,
            self.multiplied: 0.03,
            self.shared: 0.02,
            self.scaled: 0.01,
            self.pooled: 0.02,
            self.divided: 0.02,
            self.written: 0.03,
        }

    def build(self) -> RandomGraph:
        root, back = self._input()
        value = self._body(Value(root, self.channels, 1))
        x = self._output(self._into_range(value, root), back)
        for node in self.nodes:
            node.output[:] = ["output" if name == x else name for name in node.output]
            node.input[:] = ["output" if name == x else name for name in node.input]
        return RandomGraph(
            self.model(self.channels, self.scale, name="random"),
            self.channels,
            self.scale,
            self.peak,
            self.mood,
            tuple(self.tags),
        )

    # --- the ends

    def _input(self) -> tuple[str, str]:
        """The first tensor, and how its scaling is undone: "", "scale" or "centre"."""
        if self.peak == 255 and self.chance(0.5):
            way = self.pick("mul", "div", "centre")
            self.tags.append(f"scaled by {way}")
            if way == "centre":
                shifted = self.node("Sub", "input", self.const(np.full((1, self.channels, 1, 1), 127.0)))
                return self.node("Div", shifted, self.const(255.0)), "centre"
            operands = ("Mul", 1 / 255) if way == "mul" else ("Div", 255.0)
            return self.node(operands[0], "input", self.const(operands[1])), "scale"
        self.unit = self.peak
        if self.chance(0.1):
            return self.node("Identity", "input"), ""
        return "input", ""

    def _body(self, value: Value) -> Value:
        ups = list(self.pick(*_WAYS_UP[self.scale]))
        depth = int(self.rng.integers(1, 7))
        places = sorted(int(self.rng.integers(0, depth)) for _ in ups if self.chance(0.3))
        for index in range(depth):
            while places and places[0] == index:
                places.pop(0)
                value = self._enlarged(value, self.width(16), ups.pop(0))
            value = self.weighted(self.steps)(value)
            self.seen.append(value)
        if len(ups) > 1 and self.chance(0.4):
            ups = [prod(ups)]
        for index, scale in enumerate(ups):
            value = self._enlarged(value, self.channels if index == len(ups) - 1 else self.width(16), scale)
            if index < len(ups) - 1 and self.chance(0.5):
                value = Value(self.activation(value.name, value.channels), value.channels, value.factor)
        if value.channels != self.channels or value.factor == 1 or self.chance(0.15):
            last_conv = self.random_conv(value.name, value.channels, self.channels, plain=True)
            value = Value(last_conv, self.channels, value.factor)
        return value

    def _enlarged(self, value: Value, channels: int, scale: int) -> Value:
        return Value(self.enlarge(value.name, value.channels, channels, scale), channels, value.factor * scale)

    def _into_range(self, value: Value, root: str) -> str:
        """A gain and an offset, by what the body makes of a photograph, and perhaps the enlarged input on top."""
        made = self.model_of(value.name)
        got = float_output(made, photograph(48, 56, 3)[:, :, : self.channels], self.peak).astype(np.float64)
        got = got[np.isfinite(got)]
        deviation, mean = (float(got.std()), float(got.mean())) if got.size else (1.0, 0.0)
        anchored = self.chance(0.45)
        gain = _DEVIATION / deviation * (0.3 if anchored else 1.0) if deviation > 1e-12 else 1.0
        middle = 0.0 if anchored or "scaled by centre" in self.tags else 0.5
        x = self.node("Mul", value.name, self.const(gain * self.unit))
        x = self.node("Add", x, self.const((middle - mean * gain) * self.unit))
        if anchored:
            self.tags.append("anchor")
            base = self.resize(root, self.scale) if self.scale > 1 else root
            x = self.node("Add", *self.pick((x, base), (base, x)))
        return x

    def model_of(self, name: str) -> onnx.ModelProto:
        """The network as it is so far, with ``name`` for its output, which may have any shape."""
        kept = list(self.nodes)
        self.node("Identity", name, out="output")
        made = self.model(self.channels, self.scale)
        self.nodes = kept
        return made

    def _output(self, x: str, back: str) -> str:
        if back:
            x = self.node("Mul", x, self.const(255.0))
        if back == "centre":
            x = self.node("Add", x, self.const(127.0))
        if self.chance(0.6):
            way = self.pick("clip", "clip", "min and max", "relu and min")
            self.tags.append(way)
            if way == "clip":
                x = self.clip(x, 0.0, self.peak)
            elif way == "min and max":
                x = self.node("Max", self.node("Min", x, self.const(self.peak)), self.const(0.0))
            else:
                x = self.node("Min", self.node("Relu", x), self.const(self.peak))
        return self.node("Identity", x) if self.chance(0.3) else x

    # --- steps

    def _activated(self, x: str, channels: int, factor: int) -> Value:
        return Value(self.activation(x, channels), channels, factor)

    def convolved(self, v: Value) -> Value:
        width = self.width()
        return self._activated(self.random_conv(v.name, v.channels, width), width, v.factor)

    def grouped(self, v: Value) -> Value:
        groups = self.pick(2, 3, 4)
        x, cin = v.name, v.channels + -v.channels % groups
        if cin != v.channels:
            x = self.random_conv(x, v.channels, cin)
        width = groups * int(self.rng.integers(1, 6))
        return self._activated(self.random_conv(x, cin, width, groups=groups), width, v.factor)

    def depthwise(self, v: Value) -> Value:
        width = v.channels * (2 if self.chance(0.15) and v.channels <= 32 else 1)
        y = self._activated(self.random_conv(v.name, v.channels, width, groups=v.channels), width, v.factor)
        if self.chance(0.5):
            return y
        pointwise = self.width()
        return self._activated(self.random_conv(y.name, width, pointwise, kernel=(1, 1)), pointwise, v.factor)

    def dilated(self, v: Value) -> Value:
        width, dilation = self.width(), self.pick((2, 2), (3, 3), (1, 2), (2, 1), (4, 4))
        x = self.random_conv(v.name, v.channels, width, kernel=self.pick((3, 3), (1, 3), (3, 1)), dilation=dilation)
        return self._activated(x, width, v.factor)

    def residual(self, v: Value) -> Value:
        alike = [other for other in self.seen if (other.channels, other.factor) == (v.channels, v.factor)]
        y = self.activation(self.random_conv(v.name, v.channels, v.channels), v.channels)
        if alike and self.chance(0.6):
            other = self.pick(*alike).name
        else:
            other, y = v.name, self.random_conv(y, v.channels, v.channels)
        y = self.node(self.pick("Add", "Add", "Add", "Sub"), *self.pick((y, other), (other, y)))
        return self._activated(y, v.channels, v.factor) if self.chance(0.5) else Value(y, v.channels, v.factor)

    def concatenated(self, v: Value) -> Value:
        near = [other for other in self.seen if other.factor == v.factor][-3:]
        if near and self.chance(0.7):
            other = self.pick(*near)
        else:
            width = self.width(16)
            other = self._activated(self.random_conv(v.name, v.channels, width), width, v.factor)
        parts = [v, other, *([v] if self.chance(0.15) else [])]
        y = self.node("Concat", *(part.name for part in parts), axis=self.pick(1, 1, 1, -3))
        joined = Value(y, sum(part.channels for part in parts), v.factor)
        return self.convolved(joined) if joined.channels > 64 or self.chance(0.6) else joined

    def sliced(self, v: Value) -> Value:
        if v.channels < 3:
            return self.convolved(v)
        start = int(self.rng.integers(0, v.channels - 1))
        end = int(self.rng.integers(start + 1, v.channels + 1))
        written = end - v.channels if end < v.channels and self.chance(0.3) else end
        return self.convolved(Value(self.slice(v.name, start, written), end - start, v.factor))

    def gathered(self, v: Value) -> Value:
        if self.chance(0.4):
            index = self.rng.permutation(v.channels)
        else:
            index = self.rng.integers(0, v.channels, int(self.rng.integers(1, min(2 * v.channels + 1, 40))))
        y = Value(self.node("Gather", v.name, self.const(index, np.int64), axis=1), len(index), v.factor)
        return self.convolved(y) if self.chance(0.6) else y

    def split_and_joined(self, v: Value) -> Value:
        if v.channels < 2:
            return self.convolved(v)
        first = int(self.rng.integers(1, v.channels))
        one, other = self.split(v.name, [first, v.channels - first])
        one = self.activation(self.random_conv(one, first, first), first)
        return self.convolved(
            Value(self.node("Concat", *self.pick((one, other), (other, one)), axis=1), v.channels, v.factor)
        )

    def written(self, v: Value) -> Value:
        """Some channels anew and all as they were, all of them several times, or the mean of two."""
        if v.channels < 2 or self.chance(0.2):
            return Value(self.node("Tile", v.name, self.const([1, 2, 1, 1], np.int64)), 2 * v.channels, v.factor)
        if self.chance(0.25):
            return Value(self.node("Mean", v.name, self.random_conv(v.name, *[v.channels] * 2)), v.channels, v.factor)
        count = int(self.rng.integers(1, v.channels))
        places = self.rng.permutation(v.channels)[:count]
        part = self.node("Gather", v.name, self.const(places, np.int64), axis=1)
        new = self.activation(self.random_conv(part, count, count), count)
        turned = [self.node("Transpose", x, perm=[1, 0, 2, 3]) for x in (v.name, new)]
        y = self.node("ScatterND", turned[0], self.const(places[:, None], np.int64), turned[1])
        return self.convolved(Value(self.node("Transpose", y, perm=[1, 0, 2, 3]), v.channels, v.factor))

    def halved(self, v: Value) -> Value:
        """Half the size and back, by strides, pools, Resize or pixels that move into channels: no odd picture fits."""
        self.tags.append("halved")
        ways = ["squares", "slices", "stride", "stride", "MaxPool", "AveragePool"]
        way = self.pick(*ways, *(["antialias"] if self.opset >= 18 else []))
        if way in ("squares", "slices"):
            y = self.node("SpaceToDepth", v.name, blocksize=2) if way == "squares" else self.squares(v.name)
            y = self.activation(self.random_conv(y, 4 * v.channels, 4 * v.channels, kernel=(1, 1)), 4 * v.channels)
            return Value(self.depth_to_space(y, 2, "DCR"), v.channels, v.factor)
        width = self.width(24)
        y, strides = self.shrink(v.name, v.channels, width, way)
        up = self.rng.normal(0, np.sqrt(1 / (4 * width)), (width, v.channels, *(stride + 2 for stride in strides)))
        y = self.node("ConvTranspose", self.activation(y, width), self.const(up), strides=strides, pads=[1, 1, 1, 1])
        return Value(y, v.channels, v.factor)

    def affine(self, v: Value) -> Value:
        y = self.node(
            "Mul",
            self.random_conv(v.name, v.channels, v.channels),
            self.const(self.rng.uniform(0.5, 1.5, (v.channels, 1, 1))),
        )
        offsets = self.rng.normal(0, 0.1 * self.unit, (1, v.channels, 1, 1))
        return self._activated(self.node("Add", y, self.const(offsets)), v.channels, v.factor)

    def normed(self, v: Value) -> Value:
        width = self.width()
        gains, deviations = self.rng.uniform(0.5, 1.5, width), self.rng.uniform(0.3, 1.5, width)
        offsets, means = self.rng.normal(0, 0.1 * self.unit, (2, width))
        y = self.node(
            "BatchNormalization",
            self.random_conv(v.name, v.channels, width),
            *(self.const(values) for values in (gains, offsets, means, deviations)),
        )
        return self._activated(y, width, v.factor)

    def summed(self, v: Value) -> Value:
        parts = [self.random_conv(v.name, v.channels, v.channels) for _ in range(2)]
        if self.chance(0.5):
            parts = [self.activation(part, v.channels) for part in parts]
        return Value(self.node("Sum", v.name, *parts), v.channels, v.factor)

    def multiplied(self, v: Value) -> Value:
        """The product of two tensors, or the smaller or larger."""
        alike = [other for other in self.seen if other.factor == v.factor and other.channels in (1, v.channels)]
        other = self.random_conv(v.name, v.channels, v.channels) if self.chance(0.5) or not alike else ""
        other = other or self.pick(*alike).name
        if other == v.name:
            return self.convolved(v)
        y = self.node(self.pick("Mul", "Min", "Max"), *self.pick((v.name, other), (other, v.name)))
        return self._activated(y, v.channels, v.factor)

    def shared(self, v: Value) -> Value:
        """One convolution's weights twice, as recursive networks have them."""
        y = self.activation(self.random_conv(v.name, v.channels, v.channels, kernel=(3, 3)), v.channels)
        conv = next(node for node in reversed(self.nodes) if node.op_type == "Conv")
        again = self.node("Conv", y, *list(conv.input)[1:], pads=[1, 1, 1, 1])
        return self._activated(again, v.channels, v.factor)

    def scaled(self, v: Value) -> Value:
        return Value(self.node("Mul", v.name, self.const(0.2)), v.channels, v.factor)

    def pooled(self, v: Value) -> Value:
        attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        if self.chance(0.5):
            return Value(self.node("MaxPool", v.name, **attributes), v.channels, v.factor)
        counted = int(self.chance(0.5))
        self.tags.append("average of all" if counted else "average of pixels")
        return Value(self.node("AveragePool", v.name, count_include_pad=counted, **attributes), v.channels, v.factor)
