"""What random networks have besides convolutions: attention, normalization over channels, quotients."""

from __future__ import annotations

import numpy as np

from tests.campaigns.layers import Layers, Value


class Attention(Layers):
    """Steps that take a tensor and make another."""

    def gated(self, v: Value) -> Value:
        """Attention of pixels, by a number or one a channel, or of channels; or as SPAN has it (arXiv 2311.12770)."""
        way = self.pick("pixels", "map", "channels", "channels", "itself")
        self.tags.append(f"gated by {way}")
        if way == "channels":
            pixel = self.node(self.pick("GlobalAveragePool", "GlobalAveragePool", "GlobalMaxPool"), v.name)
            few = self.width(8)
            squeezed = self.activation(self.random_conv(pixel, v.channels, few, kernel=(1, 1)), few)
            gate = self.node("Sigmoid", self.random_conv(squeezed, few, v.channels, kernel=(1, 1)))
        elif way == "itself":
            gate = self.node("Sub", self.node("Sigmoid", v.name), self.const(0.5))
        else:
            gates = 1 if way == "map" else v.channels
            gate = self.node("Sigmoid", self.random_conv(v.name, v.channels, gates, kernel=(1, 1)))
        return Value(self.node("Mul", *self.pick((v.name, gate), (gate, v.name))), v.channels, v.factor)

    def attended(self, v: Value) -> Value:
        """Attention of pixels by their channels' mean, largest and smallest (CBAM, arXiv 1807.06521)."""
        ways = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum")
        chosen = [way for way in ways if self.chance(0.5)] or ["ReduceMean"]
        self.tags.append(f"attended by {', '.join(chosen)}")
        parts = [self._reduced(v.name, way) for way in chosen]
        joined = self.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        gate = self.node("Sigmoid", self.random_conv(joined, len(parts), 1, kernel=self.pick((3, 3), (5, 5), (7, 7))))
        return Value(self.node("Mul", *self.pick((v.name, gate), (gate, v.name))), v.channels, v.factor)

    def _reduced(self, x: str, way: str) -> str:
        """One channel of all, whose axis is kept or put back."""
        number = self.opset >= (13 if way == "ReduceSum" else 18)
        axes = (self.const([1], np.int64),) if number else ()
        named = {} if number else {"axes": [1]}
        if self.chance(0.5):
            return self.node(way, x, *axes, keepdims=1, **named)
        flat = self.node(way, x, *axes, keepdims=0, **named)
        if self.opset >= 13:
            return self.node("Unsqueeze", flat, self.const([1], np.int64))
        return self.node("Unsqueeze", flat, axes=[1])

    def layer_normed(self, v: Value) -> Value:
        """Normalization over channels, and perhaps a product with a matrix, on channels that come last (ConvNeXt, arXiv
        2201.03545).
        """
        if self.chance(0.3):
            return self.rms_normed(v)
        if self.chance(0.3):
            return self.picture_normed(v)
        if self.opset < 17 or v.channels < 2:
            return self.gated(v)
        self.tags.append("layer norm")
        y = self.node("Transpose", v.name, perm=[0, 2, 3, 1])
        factors = self.rng.uniform(0.1, 0.3, v.channels), self.rng.normal(0, 0.1, v.channels)
        scaled = (self.const(values * self.unit) for values in factors)
        y, width = self.node("LayerNormalization", y, *scaled, axis=-1), v.channels
        if self.chance(0.6):
            width = self.width(24)
            matrix = self.rng.normal(0, np.sqrt(1 / v.channels), (v.channels, width))
            y = self.node("MatMul", y, self.const(matrix))
            y = self.node("Add", y, self.const(self.rng.normal(0, 0.1 * self.unit, width)))
        if self.chance(0.5):
            y = self.node("Relu", y)
        y = self.node("Transpose", y, perm=[0, 3, 1, 2])
        return Value(y, width, v.factor)

    def rms_normed(self, v: Value) -> Value:
        """Divided by the root of the mean square of channels."""
        self.tags.append("root mean square")
        mean = self._reduced(self.node("Mul", v.name, v.name), "ReduceMean")
        root = self.node("Sqrt", self.node("Add", mean, self.const((1e-3 * self.unit) ** 2)))
        y = self.node("Div", v.name, root)
        return Value(
            self.node("Mul", y, self.const(self.rng.uniform(0.1, 0.3, (v.channels, 1, 1)))), v.channels, v.factor
        )

    def picture_normed(self, v: Value) -> Value:
        """Normalization over the whole picture, of each channel or of groups of them."""
        groups = self.pick(*(count for count in (1, 2, 4, v.channels) if v.channels % count == 0))
        gains = self.rng.uniform(0.1, 0.3, v.channels) * self.unit
        if groups == v.channels:
            self.tags.append("instance norm")
            offsets = self.const(self.rng.normal(0, 0.1, v.channels) * self.unit)
            y = self.node("InstanceNormalization", v.name, self.const(gains), offsets, epsilon=1e-3 * self.unit**2)
            return Value(y, v.channels, v.factor)
        self.tags.append("group norm")
        rows = self.node("Reshape", v.name, self.const([0, groups, -1], np.int64))
        ones, zeros = self.const(np.ones(groups)), self.const(np.zeros(groups))
        rows = self.node("InstanceNormalization", rows, ones, zeros, epsilon=1e-3 * self.unit**2)
        y = self.node("Reshape", rows, self.node("Shape", v.name))
        return Value(self.node("Mul", y, self.const(gains.reshape(-1, 1, 1))), v.channels, v.factor)

    def divided(self, v: Value) -> Value:
        """By something between a half and three halves."""
        self.tags.append("divided")
        gate = self.node("Sigmoid", self.random_conv(v.name, v.channels, v.channels, kernel=(1, 1)))
        divisor = self.node("Add", gate, self.const(0.5))
        return Value(self.node("Div", v.name, divisor), v.channels, v.factor)
