"""Quantized tensors in packed form, and what gives them other places or surroundings while codes stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from toolchain.frontend.window import Window
from toolchain.kernels import elementwise
from toolchain.kernels.driver import Tensor
from toolchain.kernels.layout import PACK, Geometry
from toolchain.kernels.spec import Elementwise, Operand, Pixels, Requantize, View
from toolchain.kernels.window import Move, move
from toolchain.lower.calls import Calls, Extent, Source
from toolchain.reference.quantization import Quantization


@dataclass(frozen=True, eq=False)
class Packed:
    """A quantized tensor in packed form: logical channel c lies in slot ``slots[c]`` of ``view`` of ``var``."""

    var: Any
    view: View
    slots: tuple[int, ...]
    quantization: Quantization

    def source(self, above: int = 0, below: int = 0) -> Source:
        """As a kernel's operand, of which rows above and below are read too."""
        return Source(self.var, tensor(self.view, self.quantization), above, below)

    def select(self, channels: tuple[int, ...]) -> Packed:
        """Some of its channels, of no more blocks than they lie in."""
        slots = [self.slots[channel] for channel in channels]
        first, last = min(slots) // PACK, max(slots) // PACK
        view = replace(self.view, start=self.view.start + first, count=last - first + 1)
        return replace(self, view=view, slots=tuple(slot - first * PACK for slot in slots))

    def table(self, pixels: Pixels) -> Pixels:
        """A depth-to-space of channels as one of slots."""
        return replace(pixels, table=tuple(self.slots[channel] for channel in pixels.table))


def tensor(view: View, quantization: Quantization) -> Tensor:
    """The buffer that ``view`` is a part of."""
    return Tensor(view.total, quantization.zero_point, wide=view.wide)


def filled(calls: Calls, geometry: Geometry, source: Packed, code: int, extent: Extent) -> Packed:
    """A copy of a packed tensor that is surrounded by ``code``: as if that were its zero point."""
    view, qmax = View.whole(source.view.count, wide=source.view.wide), source.quantization.qmax
    operand = Operand(source.view, 1, source.view.count * PACK, code, 1.0)
    operation = Elementwise((operand,), Requantize(-code, qmax - code, code), view)
    around = replace(source.quantization, zero_point=code)
    copy = calls.launch(
        "surround",
        elementwise.build(operation, geometry),
        [source.source()],
        [],
        view,
        tensor(view, around),
        extent,
        operation=operation,
    )
    return replace(source, var=copy, view=view)


def moved(
    calls: Calls,
    geometry: Geometry,
    source: Packed,
    window: Window,
    fill: int,
    extents: tuple[Extent, Extent],
    border: int = 0,
    origin: str = "",
) -> Packed:
    """A packed tensor cut or continued, from the first extent to the second; see `Move`.

    ``origin``: the operator of the ONNX model that wants it.
    """
    calls.beside(origin)
    quantization = source.quantization
    view = View.whole(source.view.count, wide=source.view.wide)
    operation = Move(source.view, view, window, fill, quantization.zero_point, border)
    kind = calls.packed(tensor(view, quantization), extents[1])
    name = "surround" if border else "pad" if window.grows else "crop"
    return replace(source, var=calls.call(name, move(operation, geometry), [source.var], kind, *extents), view=view)
