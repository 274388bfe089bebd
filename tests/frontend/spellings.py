"""The many ways in which exporters write a clip and a pixel shuffle, and comparison with the source model."""

from __future__ import annotations

import numpy as np
import onnx

from tests.sr_models import Builder
from toolchain.frontend import SRModel
from toolchain.frontend.probe import run

CLIPS = (
    "Clip",
    "Min+Max",
    "Max+Min",
    "Relu+Min",
    "Min+Relu",
    "Relu+Clip",
    "Clip+Clip",
    "swapped Min+Max",
    "tensor Min",
)
SHUFFLES = (
    "torch baked",
    "torch minus one",
    "torch dynamic",
    "tf baked",
    "tf dynamic",
    "squeezed",
    "node CRD",
    "node DCR",
    "channels last",
)


def add_clip(b: Builder, x: str, spelling: str, high: float, out: str) -> None:
    low, top = b.const(0.0), b.const(high)
    match spelling:
        case "Clip":
            b.clip(x, 0.0, high, out=out)
        case "Min+Max":
            b.node("Max", b.node("Min", x, top), low, out=out)
        case "Max+Min":
            b.node("Min", b.node("Max", x, low), top, out=out)
        case "swapped Min+Max":
            b.node("Max", low, b.node("Min", top, x), out=out)
        case "tensor Min":
            b.node("Relu", b.node("Min", x, b.const(np.full((1, 1, 1, 1), high))), out=out)
        case "Relu+Min":
            b.node("Min", b.node("Relu", x), top, out=out)
        case "Min+Relu":
            b.node("Relu", b.node("Min", x, top), out=out)
        case "Relu+Clip":
            b.node("Clip", b.node("Relu", x), "", top, out=out)
        case "Clip+Clip":
            b.node("Clip", b.node("Clip", x, "", top), low, out=out)
        case _:
            raise ValueError(spelling)


def _size_of(b: Builder, x: str, axis: int, factor: int = 1) -> str:
    size = b.node("Gather", b.node("Shape", x), b.const(axis, np.int64), axis=0)
    if factor > 1:
        size = b.node("Mul", size, b.const(factor, np.int64))
    return b.node("Unsqueeze", size, b.const([0], np.int64))


def add_shuffle(b: Builder, x: str, spelling: str, channels: int, s: int, size: tuple[int, int], out: str = "") -> str:
    """From (1, channels*s*s, h, w) to (1, channels, h*s, w*s); ``size`` is (h, w), for spellings that bake it in."""
    h, w = size

    def ints(*values: int) -> str:
        return b.const(values, np.int64)

    match spelling:
        case "torch baked":
            y = b.node("Reshape", x, ints(-1, channels, s, s, h, w))
            y = b.node("Transpose", y, perm=[0, 1, 4, 2, 5, 3])
            return b.node("Reshape", y, ints(-1, channels, h * s, w * s), out=out)
        case "torch minus one":
            y = b.node("Reshape", x, ints(1, channels, s, s, -1, w))
            y = b.node("Transpose", y, perm=[0, 1, 4, 2, 5, 3])
            return b.node("Reshape", y, ints(1, channels, -1, w * s), out=out)
        case "torch dynamic" | "tf dynamic":
            torch = spelling.startswith("torch")
            split = [ints(channels), ints(s), ints(s)] if torch else [ints(s), ints(s), ints(channels)]
            target = b.node("Concat", ints(1), *split, _size_of(b, x, 2), _size_of(b, x, 3), axis=0)
            perm = [0, 1, 4, 2, 5, 3] if torch else [0, 3, 4, 1, 5, 2]
            y = b.node("Transpose", b.node("Reshape", x, target), perm=perm)
            final = b.node("Concat", ints(1, channels), _size_of(b, x, 2, s), _size_of(b, x, 3, s), axis=0)
            return b.node("Reshape", y, final, out=out)
        case "tf baked":
            y = b.node("Reshape", x, ints(1, s, s, channels, h, w))
            y = b.node("Transpose", y, perm=[0, 3, 4, 1, 5, 2])
            return b.node("Reshape", y, ints(1, channels, h * s, w * s), out=out)
        case "squeezed":
            y = b.node("Squeeze", x, ints(0))
            y = b.node("Transpose", b.node("Reshape", y, ints(channels, s, s, h, w)), perm=[0, 3, 1, 4, 2])
            return b.node("Unsqueeze", b.node("Reshape", y, ints(channels, h * s, w * s)), ints(0), out=out)
        case "channels last":
            y = b.node("Transpose", x, perm=[0, 2, 3, 1])
            y = b.node("Transpose", b.node("Reshape", y, ints(1, h, w, s, s, channels)), perm=[0, 1, 3, 2, 4, 5])
            y = b.node("Reshape", y, ints(1, h * s, w * s, channels))
            return b.node("Transpose", y, perm=[0, 3, 1, 2], out=out)
        case "node CRD" | "node DCR":
            return b.depth_to_space(x, s, spelling[-3:], out=out)
        case _:
            raise ValueError(spelling)


def operators(sr: SRModel) -> list[str]:
    return [n.op_type for n in sr.model.graph.node]


def agree(
    source: onnx.ModelProto, sr: SRModel, *, tolerance: float = 1e-4, size: tuple[int, int] | None = None
) -> None:
    """The normalized model, clipped where a clip was recorded, equals the source on noise that leaves the range."""
    dims = [d.dim_value for d in source.graph.input[0].type.tensor_type.shape.dim]
    last = dims[3] in (1, 3) and dims[1] not in (1, 3)
    fixed = dims[1:3] if last else dims[2:]
    h, w = size or (fixed if all(fixed) else (14, 21))
    peak = sr.value_range[1]
    x = (np.random.default_rng(5).uniform(-0.3, 1.3, (1, sr.channels, h, w)) * peak).astype(np.float32)
    want = run(source, x.transpose(0, 2, 3, 1) if last else x).astype(np.float32)
    got = run(sr.model, x)
    assert got.shape == (1, sr.channels, h * sr.scale, w * sr.scale)
    if want.shape != got.shape:
        want = want.transpose(0, 3, 1, 2)
    if sr.clip is not None:
        got = np.clip(got, sr.clip.low, sr.clip.high)
    assert np.abs(got - want).max() <= tolerance * peak
