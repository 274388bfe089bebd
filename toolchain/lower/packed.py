"""Tensors in packed form, and what gives them other places or surroundings while codes stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from toolchain.frontend.window import Window
from toolchain.kernels import elementwise
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, blocks_of
from toolchain.kernels.network import Tensor
from toolchain.kernels.spec import DepthToSpace, Elementwise, Move, Operand, Requantize, View
from toolchain.kernels.window import move
from toolchain.lower.calls import Calls, Extent, Invocation, Source


@dataclass(frozen=True, eq=False)
class Packed:
    """A tensor in packed form: channel c lies in channel ``slots[c]`` of ``view`` of ``var``, which is ``tensor``."""

    var: Any
    view: View
    slots: tuple[int, ...]
    tensor: Tensor

    def source(self, above: int = 0, below: int = 0, stride: int = 1) -> Source:
        """As a kernel's operand, of which rows above and below are read too, and every ``stride``-th is a kernel's."""
        return Source(self.var, self.tensor, above, below, stride)

    def select(self, channels: tuple[int, ...], packing: int = PACK) -> Packed:
        """Return some of its channels, of no more blocks, of ``packing`` channels each, than they lie in."""
        slots = [self.slots[channel] for channel in channels]
        first, last = min(slots) // packing, max(slots) // packing
        view = replace(self.view, start=self.view.start + first, count=last - first + 1)
        return replace(self, view=view, slots=tuple(slot - first * packing for slot in slots))

    def table(self, pixels: DepthToSpace) -> DepthToSpace:
        """Return a depth-to-space of channels as one of slots."""
        return replace(pixels, table=tuple(self.slots[channel] for channel in pixels.table))


def reordered(calls: Calls, dot: Dot, source: Packed, extent: Extent) -> Packed:
    """Return a copy of a packed tensor with channel c in slot c."""
    count = len(source.slots)
    view = View.whole(blocks_of(count), wide=source.view.wide)
    operand = Operand(source.view, 1, 1, source.tensor.zero_point, 1.0, source.slots)
    return _copied(calls, dot, "reorder", source, operand, view, tuple(range(count)), extent)


def filled(calls: Calls, dot: Dot, source: Packed, code: int, extent: Extent) -> Packed:
    """Return a copy of a packed tensor that is surrounded by ``code``: as if that were its zero point."""
    view = View.whole(source.view.count, wide=source.view.wide)
    operand = Operand(source.view, 1, source.view.count * PACK, code, 1.0)
    return _copied(calls, dot, "surround", source, operand, view, source.slots, extent)


def _copied(
    calls: Calls,
    dot: Dot,
    name: str,
    source: Packed,
    operand: Operand,
    view: View,
    slots: tuple[int, ...],
    extent: Extent,
) -> Packed:
    """Return the codes that ``operand`` takes from ``source``, in a tensor of ``view`` alone with the operand's zero
    point.
    """
    zero = operand.zero_point
    operation = Elementwise((operand,), Requantize(-zero, view.qmax - zero, zero), view)
    given = Invocation(name, elementwise.build(operation, calls.geometry, dot), (source.source(),), operation)
    tensor = Tensor(view.total, zero, wide=view.wide, single=source.tensor.single)
    return Packed(calls.launch(given, view, tensor, extent), view, slots, tensor)


def moved(
    calls: Calls,
    source: Packed,
    window: Window,
    fill: int,
    extents: tuple[Extent, Extent],
    border: int = 0,
    origin: str = "",
) -> Packed:
    """Return a packed tensor cut or continued, from the first extent to the second; see `Move`.

    ``origin``: the operator of the ONNX model that wants it.
    """
    view = View.whole(source.view.count, wide=source.view.wide)
    tensor = Tensor(view.total, source.tensor.zero_point, source.tensor.dtype, wide=view.wide)
    operation = Move(source.view, view, window, fill, tensor.zero_point, border)
    name = "surround" if border else "pad" if window.grows else "crop"
    given = Invocation(name, move(operation, calls.geometry, tensor.dtype), (source.source(),), operation)
    return Packed(calls.layer(given, view, tensor, extents, origin), view, source.slots, tensor)
