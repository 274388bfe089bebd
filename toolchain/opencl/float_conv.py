"""The float convolution template for OpenCL: float32 sums, tensors stored as float32 or float16.

As `toolchain.opencl.conv`, one launch a convolution, pictures read and written included. Packed tensors have one
channel a block and zeros around the picture. Float16 is only how tensors are stored (``vload_half``, which every OpenCL
has); no kernel computes with it, so none needs an extension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.float_spec import INFINITY, FloatActivation, FloatConv
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.opencl.conv import Item, picture_item, slots_of, spread
from toolchain.opencl.terms import Size, bind, call, item, load, number, private, real, threads

Array = npt.NDArray[Any]


def item_for(conv: FloatConv, pixels: int, sums: int) -> Item:
    """The work-item of ``conv`` with at most ``sums`` accumulators, if ``pixels`` pixels of a channel fit."""
    if conv.pixels is not None:
        return picture_item(conv.pixels, conv.residual, pixels, sums)
    per_group = conv.channels // conv.groups
    fitting = [c for c in range(1, per_group + 1) if per_group % c == 0 and c * pixels <= sums]
    return Item(pixels, max(fitting), tuple(range(conv.channels)))


def arrange(conv: FloatConv, item: Item, weights: Array, bias: Array, *slopes: Array) -> dict[str, Array]:
    """Constants as `build`'s kernel reads them: weights (z, channels in, kh, kw, channels of a work-item).

    Args:
        conv: the convolution.
        item: its work-item.
        weights: float32 (channels in / groups, kh, kw, channels).
        bias: float32 (channels,).
        slopes: float32 (channels,), before and after the residual, as far as there are any.
    """
    inputs, kh, kw, channels = weights.shape
    if _dense(conv):
        wide = np.zeros((conv.groups, inputs, kh, kw, conv.groups, channels // conv.groups), np.float32)
        for group, part in enumerate(np.split(weights, conv.groups, axis=-1)):
            wide[group, :, :, :, group] = part
        weights = wide.reshape(conv.groups * inputs, kh, kw, channels)
    order = list(item.order)
    laid = weights[..., order].reshape(*weights.shape[:3], item.depth, item.channels).transpose(3, 0, 1, 2, 4)
    arrays = {"weights": np.ascontiguousarray(laid), "bias": bias[order]}
    return arrays | {f"slopes{index}": values[order] for index, values in enumerate(slopes)}


def build(conv: FloatConv, geometry: Geometry, cut: Item, group: tuple[int, int, int], dtype: str, *,
          picture: int | None, anchor: int | None) -> tirx.PrimFunc:
    """The kernel of ``conv`` as a function with its threads bound.

    Args:
        conv: what it computes.
        geometry: of packed tensors.
        cut: what a work-item computes.
        group: work-items of a work-group along x, y, z.
        dtype: of packed tensors, "float32" or "float16".
        picture: channels of the picture that is its source; None: the source is a packed tensor.
        anchor: channels of the picture that is its residual; None: a packed tensor, or there is none.
    """
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            T.func_name("conv")
            T.func_attr({"tirx.noalias": True})
            _Kernel(conv, geometry, cut, dtype, picture, anchor).write(group)
        return builder.get()


class _Kernel:
    """Writes one kernel: its arguments first, then what a work-item does."""

    def __init__(self, conv: FloatConv, geometry: Geometry, cut: Item, dtype: str, picture: int | None,
                 anchor: int | None) -> None:
        self.conv, self.geometry, self.cut, self.picture, self.anchor = conv, geometry, cut, picture, anchor
        self.groups = 1 if _dense(conv) else conv.groups
        self.inputs = conv.source.count // self.groups
        self.step = 1.0 / conv.gain
        self.size = Size()
        self.x = self.size.operand("x", conv.source.total, geometry, picture, dtype=dtype)
        self.r = None
        if conv.residual is not None:
            self.r = self.size.operand("r", conv.residual.view.total, geometry, anchor, dtype=dtype)
        self.weights = T.arg("weights", T.Buffer((cut.depth, self.inputs, *conv.kernel, cut.channels), "float32"))
        self.bias = T.arg("bias", T.Buffer((cut.depth, cut.channels), "float32"))
        bent = [act for act in (conv.before, conv.after) if act is not None and act.slopes]
        self.slopes = [T.arg(f"slopes{i}", T.Buffer((cut.depth, cut.channels), "float32")) for i in range(len(bent))]
        self.size.declare()
        self.y = (self.size.operand("y", conv.target.total, geometry, None, dtype=dtype) if conv.pixels is None
                  else self.size.operand("y", 0, geometry, conv.pixels.channels, conv.pixels.scale))

    def write(self, group: tuple[int, int, int]) -> None:
        """The function's body."""
        cut, size = self.cut, self.size
        with threads(((size.width + cut.pixels - 1) // cut.pixels, size.height, cut.depth), group):
            self.column, self.row, self.part = item("column", 0, cut.pixels), item("row", 1, 1), item("part", 2, 1)
            inside = tirx.all(self.column < size.width, self.row < size.height, self.part < cut.depth)
            with T.If(inside), T.Then():
                sums, slopes = self.sums(), iter(self.slopes)
                values = [[sums[c * cut.pixels + p] for p in range(cut.pixels)] for c in range(cut.channels)]
                values = self.activated(values, self.conv.before, slopes)
                if self.conv.residual is not None:
                    values = [[a + b for a, b in zip(mine, other, strict=True)]
                              for mine, other in zip(values, self.residual(), strict=True)]
                values = self.activated(values, self.conv.after, slopes)
                if self.conv.pixels is None:
                    self.store_floats(values)
                else:
                    pixels = [[call("uint8", "convert_uchar_sat_rte", value * real(self.conv.gain)) for value in row]
                              for row in values]
                    spread(self.conv.pixels, cut, self.y, pixels, (self.part, self.row, self.column), size)

    def sums(self) -> Any:
        """The bias, and the products of all taps: an array (channels, pixels)."""
        conv, cut = self.conv, self.cut
        sums = private("sum", cut.channels * cut.pixels, "float32")
        for c, start in enumerate(load("start", self.bias, [self.part, 0], cut.channels)):
            for p in range(cut.pixels):
                T.buffer_store(sums, start, [c * cut.pixels + p])
        with T.serial(0, self.inputs) as k, T.serial(0, conv.kernel[0]) as i:
            IRBuilder.name("channel", k)
            IRBuilder.name("tap_row", i)
            row, column = self.row + i * conv.dilation[0] - conv.pads[0], self.column - conv.pads[1]
            count = cut.pixels + (conv.kernel[1] - 1) * conv.dilation[1]
            channel = k
            if self.groups > 1:
                channel = self.part // (conv.channels // self.groups // cut.channels) * self.inputs + k
            values = self.read(self.x, row, conv.source.start + channel, column, count, self.picture)
            for j in range(conv.kernel[1]):
                taps = load("tap", self.weights, [self.part, k, i, j, 0], cut.channels)
                for c, tap in enumerate(taps):
                    for p in range(cut.pixels):
                        place = c * cut.pixels + p
                        T.buffer_store(sums, sums[place] + values[p + j * conv.dilation[1]] * tap, [place])
        return sums

    def read(self, buffer: Any, row: Any, channel: Any, column: Any, count: int, picture: int | None) -> list[Any]:
        """``count`` neighbouring values of a channel, of a packed tensor or of a picture."""
        if picture is None:
            return load("value", buffer, [row + self.geometry.margin, channel, column + SIDE], count)
        size, values = self.size, []
        y = tirx.max(tirx.min(row, size.height - 1), number(0))
        for offset in range(count):
            x = tirx.max(tirx.min(column + offset, size.width - 1), number(0))
            known = tirx.all(row >= 0, row < size.height, column + offset >= 0, column + offset < size.width)
            code = call("float32", "pixel", buffer[y, x, channel], tirx.Cast("int32", known), real(self.step))
            values.append(bind("value", code))
        return values

    def activated(self, values: list[list[Any]], act: FloatActivation | None, slopes: Any) -> list[list[Any]]:
        """An activation of every channel and pixel."""
        if act is None:
            return values
        if act.slopes:
            bends = load("slope", next(slopes), [self.part, 0], self.cut.channels)
            return [[call("float32", "prelu", value, bend) for value in row]
                    for row, bend in zip(values, bends, strict=True)]
        if act.low > -INFINITY:
            values = [[call("float32", "fmax", value, real(act.low)) for value in row] for row in values]
        if act.high < INFINITY:
            values = [[call("float32", "fmin", value, real(act.high)) for value in row] for row in values]
        return values

    def residual(self) -> list[list[Any]]:
        """The residual's values, channel by channel and pixel by pixel."""
        residual, cut = self.conv.residual, self.cut
        assert residual is not None
        rows = []
        for c in range(cut.channels):
            if self.conv.pixels is not None or cut.depth == 1:
                slot = slots_of(cut.order, residual)[c]
            else:
                channel = tirx.floordiv(self.part * cut.channels + c, residual.divide)
                slot = tirx.floormod(channel, residual.modulo)
            rows.append(self.read(self.r, self.row, residual.view.start + slot, self.column, cut.pixels, self.anchor))
        return rows

    def store_floats(self, values: list[list[Any]]) -> None:
        """A packed tensor; right of the picture, zeros."""
        cut, kind = self.cut, str(self.y.dtype)
        for c, row in enumerate(values):
            kept = [bind("result", call("float32", "select", real(0.0), value,
                                        tirx.Cast("int32", self.column + p < self.size.width)))
                    for p, value in enumerate(row)]
            place = [self.row + self.geometry.margin, self.conv.target.start + self.part * cut.channels + c]
            vector = "vstore_half" if kind == "float16" else "vstore"
            for start in range(0, cut.pixels, PACK):
                part = kept[start:start + PACK]
                address = tirx.address_of(self.y[(*place, self.column + SIDE + start)])
                if len(part) == PACK:
                    together = call("float32x4", "(float4)", *part)
                    T.evaluate(tirx.call_extern("void", f"{vector}4", together, number(0), address))
                    continue
                for offset, value in enumerate(part):
                    address = tirx.address_of(self.y[(*place, self.column + SIDE + start + offset)])
                    if kind == "float16":
                        T.evaluate(tirx.call_extern("void", vector, value, number(0), address))
                    else:
                        T.buffer_store(self.y, value, [*place, self.column + SIDE + start + offset])


def _dense(conv: FloatConv) -> bool:
    """Whether groups are filled up with zero weights: bytes of a picture are not in the groups' order."""
    return conv.groups > 1 and conv.pixels is not None
