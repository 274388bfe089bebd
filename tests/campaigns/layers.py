"""Random layers of super-resolution networks: sound ONNX, in any of the spellings that exporters use.

Everything is drawn from the generator of the seed, so that a seed is a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tests.sr_models import Builder

T = TypeVar("T")

MOODS = {"sane": 0.56, "outlier": 0.11, "dead": 0.11, "zero": 0.08, "bias": 0.08, "tiny": 0.06}
"""What weights are like: as trained; with outliers; dead channels; zero layers; large biases; denormal numbers."""

_KERNELS = {
    (3, 3): 0.42,
    (1, 1): 0.14,
    (5, 5): 0.1,
    (1, 3): 0.08,
    (3, 1): 0.08,
    (1, 5): 0.04,
    (5, 3): 0.04,
    (2, 2): 0.04,
    (7, 7): 0.03,
    (4, 3): 0.03,
}
_WIDTHS = {
    1: 1,
    2: 2,
    3: 3,
    4: 4,
    5: 4,
    7: 4,
    8: 8,
    9: 3,
    12: 6,
    13: 4,
    16: 8,
    17: 4,
    24: 4,
    31: 3,
    32: 5,
    33: 3,
    48: 2,
    63: 2,
    64: 2,
}
_ACTIVATIONS = {
    "": 0.12,
    "Relu": 0.18,
    "PRelu": 0.14,
    "LeakyRelu": 0.12,
    "Relu6": 0.08,
    "Clip": 0.12,
    "ClipTo": 0.07,
    "half clip": 0.05,
    "Sigmoid": 0.02,
    "Tanh": 0.02,
    "HardSigmoid": 0.02,
    "HardSwish": 0.02,
    "Elu": 0.02,
    "Swish": 0.01,
    "Abs": 0.01,
    "curve": 0.06,
}
_CURVES = (
    "Softplus",
    "Softsign",
    "Selu",
    "ThresholdedRelu",
    "gelu",
    "gelu by tanh",
    "mish",
    "gamma",
    "root",
    "log",
    "exp",
)
"""Functions that networks spell in one operator or in several."""
_RESIZES = {"nearest": 0.6, "linear": 0.3, "cubic": 0.1}


@dataclass(frozen=True)
class Value:
    """A tensor on the way: its name, its channels, how much larger than the input it is."""

    name: str
    channels: int
    factor: int


class Layers(Builder):
    """Draws layers; ``tags`` says which.

    Args:
        seed: of everything.
        opset: of the operators' spelling, 11 or later.
    """

    def __init__(self, seed: int, opset: int) -> None:
        super().__init__(seed, opset)
        self.tags: list[str] = []
        self.mood = self.weighted(MOODS)
        self.unit = 1.0
        """What white is inside the network."""

    # --- drawing

    def pick(self, *options: T) -> T:
        return options[int(self.rng.integers(len(options)))]

    def weighted(self, table: dict[T, float]) -> T:
        weights = np.array(list(table.values()), float)
        return list(table)[int(self.rng.choice(len(table), p=weights / weights.sum()))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def width(self, most: int = 64) -> int:
        return min(self.weighted({width: float(often) for width, often in _WIDTHS.items()}), most)

    def outputs(self, op: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """A node with several outputs."""
        first = self.node(op, *inputs, **attributes)
        names = [first, *(self.fresh(op.lower()) for _ in range(count - 1))]
        self.nodes[-1].output[:] = names
        return names

    # --- convolutions

    def random_conv(
        self,
        x: str,
        cin: int,
        cout: int,
        *,
        kernel: tuple[int, int] | None = None,
        groups: int = 1,
        dilation: tuple[int, int] = (1, 1),
        plain: bool = False,
    ) -> str:
        """A convolution that keeps the size, whose middle taps let the picture through."""
        kernel = kernel or self.weighted(_KERNELS)
        part = cin // groups
        weight = self.rng.normal(0, np.sqrt(1 / (part * kernel[0] * kernel[1])), (cout, part, *kernel))
        for channel in range(cout):
            weight[channel, channel % part, (kernel[0] - 1) // 2, (kernel[1] - 1) // 2] += 0.6
        bias = self.rng.normal(0, 0.05, cout)
        if not plain:
            self._spoil(weight, bias)
        x, attributes = self._padding(x, kernel, dilation)
        if dilation != (1, 1):
            attributes["dilations"] = list(dilation)
        if groups != 1:
            attributes["group"] = groups
        if self.chance(0.5):
            attributes["kernel_shape"] = list(kernel)
        names = [x, self.const(weight, stem="weight")]
        if self.chance(0.85):
            names.append(self.const(bias, stem="bias"))
        return self.node("Conv", *names, **attributes)

    def _padding(self, x: str, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[str, dict[str, Any]]:
        """What keeps the size: attributes, auto_pad, or a Pad in front of the convolution."""
        total = [(kernel[0] - 1) * dilation[0], (kernel[1] - 1) * dilation[1]]
        before = [amount // 2 for amount in total]
        after = [amount - less for amount, less in zip(total, before, strict=True)]
        way = self.weighted({"pads": 0.66, "auto": 0.14, "operator": 0.12, "skew": 0.08})
        if way == "auto" and dilation == (1, 1):
            return x, {"auto_pad": self.pick("SAME_UPPER", "SAME_LOWER")}
        if way == "operator" and sum(total):
            mode = self.pick("constant", "constant", "reflect", "edge", *(["wrap"] if self.opset >= 19 else []))
            self.tags.append(f"pad {mode}")
            amounts = self.const([0, 0, *before, 0, 0, *after], np.int64)
            return self.node("Pad", x, amounts, mode=mode), {"auto_pad": "VALID"} if self.chance(0.3) else {}
        if way == "skew":
            return x, {"pads": [total[0], before[1], 0, after[1]]}
        return x, {"pads": [*before, *after]}

    def _spoil(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Make weights as bad as the graph's mood is."""
        if self.mood == "outlier" and self.chance(0.5):
            places = self.rng.integers(0, weight.size, int(self.rng.integers(1, 4)))
            weight.reshape(-1)[places] *= 10 ** self.rng.uniform(1, 2.5)
        elif self.mood == "dead" and self.chance(0.6):
            dead = self.rng.random(len(weight)) < 0.4
            weight[dead] = 0
            bias[dead] = self.pick(0, 0, -1)
        elif self.mood == "zero" and self.chance(0.4):
            weight[:] = 0
            bias[:] *= self.pick(0, 1)
        elif self.mood == "bias" and self.chance(0.3):
            bias[:] += self.rng.normal(0, 3)
        elif self.mood == "tiny" and self.chance(0.5):
            weight[self.rng.random(weight.shape) < 0.5] *= 1e-30

    # --- activations

    def activation(self, x: str, channels: int) -> str:
        kind = self.weighted(_ACTIVATIONS)
        self.tags.append(kind or "linear")
        if kind == "PRelu":
            return self.node("PRelu", x, self.const(self._slopes(channels)))
        if kind == "LeakyRelu":
            return self.node("LeakyRelu", x, alpha=float(self.pick(0.01, 0.1, 0.2, 0.5, 0.0, 1.0, 1.3, -0.2)))
        if kind in ("Relu6", "Clip", "ClipTo"):
            low, high = {"Relu6": (0.0, 6.0), "Clip": (0.0, 1.0), "ClipTo": (-0.5, 0.7)}[kind]
            return self.clip(x, low * self.unit, high * self.unit)
        if kind == "half clip":
            if self.chance(0.5):
                return self.node("Clip", x, self.const(-0.1 * self.unit))
            return self.node("Clip", x, "", self.const(0.9 * self.unit))
        if kind == "Swish" or (kind == "HardSwish" and self.opset < 14):
            return self.node("Mul", x, self.node("Sigmoid", x))
        if kind == "curve":
            return self._curve(x, channels)
        return self.node(kind, x) if kind else x

    def _curve(self, x: str, channels: int) -> str:
        """Draw a function of numbers about as large as 1, of all channels or of each."""
        kind = self.pick(*_CURVES)
        self.tags.append(kind)
        if self.unit != 1.0 or self.chance(0.3):
            factors = self.rng.uniform(0.5, 1.5, self.pick((channels, 1, 1), (1, channels, 1, 1), ())) / self.unit
            x = self.node("Mul", x, self.const(factors))
        if kind in ("gelu", "gelu by tanh"):
            if kind == "gelu":
                gate = self.node("Erf", self.node("Div", x, self.const(2**0.5)))
            else:
                cubic = self.node("Mul", self.node("Pow", x, self.const(3.0)), self.const(0.044715))
                gate = self.node("Tanh", self.node("Mul", self.node("Add", x, cubic), self.const(0.7978846)))
            y = self.node("Mul", self.node("Mul", x, self.node("Add", gate, self.const(1.0))), self.const(0.5))
        elif kind == "mish":
            y = self.node("Mul", x, self.node("Tanh", self.node("Softplus", x)))
        elif kind == "gamma":
            y = self.node("Pow", self.node("Abs", x), self.const(self.pick(0.5, 1 / 2.2, 2.2)))
        elif kind == "root":
            y = self.node("Sqrt", self.node("Relu", x))
        elif kind == "log":
            y = self.node("Log", self.node("Add", self.node("Abs", x), self.const(0.5)))
        elif kind == "exp":
            y = self.node("Exp", self.node("Min", x, self.const(1.0)))
        else:
            y = self.node(kind, x)
        return self.node("Mul", y, self.const(self.unit)) if self.unit != 1.0 else y

    def _slopes(self, channels: int) -> np.ndarray:
        shape = self.pick((channels, 1, 1), (channels, 1, 1), (1, channels, 1, 1), (1,))
        return self.rng.uniform(*self.pick((0.0, 0.6), (0.0, 0.6), (-0.5, 0.5), (0.5, 1.5)), shape)

    # --- parts of the channels

    def split(self, x: str, sizes: Sequence[int]) -> list[str]:
        if self.opset < 13:
            return self.outputs("Split", x, count=len(sizes), axis=1, split=list(sizes))
        return self.outputs("Split", x, self.const(sizes, np.int64), count=len(sizes), axis=1)

    def slice(self, x: str, start: int, end: int) -> str:
        return self.node("Slice", x, *(self.const([value], np.int64) for value in (start, end, 1, 1)))

    # --- enlargements

    def shuffle(self, x: str, scale: int) -> str:
        mode = self.pick("DCR", "CRD", "CRD")
        self.tags.append(f"shuffle {mode}")
        return self.depth_to_space(x, scale, mode)

    def enlarge(self, x: str, cin: int, cout: int, scale: int) -> str:
        """(cin, h, w) to (cout, h*scale, w*scale), in one of the ways that networks do it."""
        ways = {"shuffle": 0.47, "transposed": 0.17, "resize": 0.26, "bare shuffle": 0.1}
        way = self.weighted(ways)
        if way == "bare shuffle" and cin % scale**2:
            way = "shuffle"
        self.tags.append(way)
        if way == "bare shuffle":
            return self.random_conv(self.shuffle(x, scale), cin // scale**2, cout)
        if way == "shuffle":
            return self.shuffle(self.random_conv(x, cin, cout * scale**2), scale)
        if way == "transposed":
            return self._transposed(x, cin, cout, scale)
        return self.random_conv(self.resize(x, scale), cin, cout)

    def shrink(self, x: str, cin: int, cout: int, way: str) -> tuple[str, list[int]]:
        """Halve rows, columns or both by ``way``: "stride", "antialias" or a pool's operator; the strides too."""
        if way == "stride":
            strides = self.pick([2, 2], [2, 2], [1, 2], [2, 1])
            self.tags.append(f"strides {strides[0]} and {strides[1]}")
            weight = self.rng.normal(0, np.sqrt(1 / (9 * cin)), (cout, cin, 3, 3))
            return self.node("Conv", x, self.const(weight), strides=strides, pads=[1, 1, 1, 1]), strides
        if way == "antialias":
            self.tags.append(way)
            factors = self.const([1.0, 1.0, 0.5, 0.5])
            y = self.node("Resize", x, "", factors, mode=self.pick("linear", "cubic"), antialias=1)
        else:
            y = self.node(way, x, kernel_shape=[2, 2], strides=[2, 2])
        return self.random_conv(y, cin, cout), [2, 2]

    def squares(self, x: str) -> str:
        """Squares of 2x2 pixels into channels, by slices."""
        ends, axes, steps = ([1 << 40] * 2, [2, 3], [2, 2])
        places = [[row, column] for column in (0, 1) for row in (0, 1)]
        numbers = [[self.const(values, np.int64) for values in (place, ends, axes, steps)] for place in places]
        return self.node("Concat", *(self.node("Slice", x, *given) for given in numbers), axis=1)

    def resize(self, x: str, scale: int) -> str:
        mode = self.weighted(_RESIZES)
        self.tags.append(f"resize {mode}")
        attributes = {"mode": mode}
        if mode == "nearest":
            place, rounding = self.pick(("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"))
            attributes |= {"coordinate_transformation_mode": place, "nearest_mode": rounding}
        else:
            places = {"half_pixel": 0.7, "pytorch_half_pixel": 0.14, "asymmetric": 0.08, "align_corners": 0.08}
            attributes["coordinate_transformation_mode"] = self.weighted(places)
        roi = self.const([]) if self.opset < 13 or self.chance(0.3) else ""
        return self.node("Resize", x, roi, self.const([1, 1, scale, scale]), **attributes)

    def _transposed(self, x: str, cin: int, cout: int, scale: int) -> str:
        groups = cin if cin == cout and self.chance(0.2) else 1
        k = max(scale, self.pick(scale, scale + 1, scale + 2, 2 * scale, 2 * scale + 1, 5, 9, 3))
        weight = self.rng.normal(0, np.sqrt(scale**2 / (cin // groups * k * k)), (cin, cout // groups, k, k))
        weight[:, :, k // 2, k // 2] += 0.3
        names = [x, self.const(weight, stem="weight")]
        if self.chance(0.8):
            names.append(self.const(self.rng.normal(0, 0.05, cout), stem="bias"))
        excess = k - scale
        attributes: dict[str, Any] = {"strides": [scale, scale], **({"group": groups} if groups > 1 else {})}
        way = self.pick("even", "output_padding", "skew", "auto")
        if way == "auto":
            attributes["auto_pad"] = self.pick("SAME_UPPER", "SAME_LOWER")
        elif way == "output_padding" and scale > 1:
            extra = int(self.rng.integers(1, scale))
            less = (excess + extra) // 2
            attributes |= {
                "pads": [less, less, excess + extra - less, excess + extra - less],
                "output_padding": [extra, extra],
            }
        elif way == "skew":
            attributes["pads"] = [0, excess, excess, 0]
        else:
            attributes["pads"] = [excess // 2, excess // 2, excess - excess // 2, excess - excess // 2]
        return self.node("ConvTranspose", *names, **attributes)
