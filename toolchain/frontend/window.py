"""A picture cut or continued at its borders: what Pad and Slice of rows and columns do, said in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import onnx

from toolchain.frontend.graph import Array, attributes

Mode = Literal["constant", "edge", "reflect", "wrap"]
MODES = ("constant", "edge", "reflect", "wrap")
END = np.iinfo(np.int64).max
"""Where a Slice ends that cuts nothing at the end."""


@dataclass(frozen=True)
class Window:
    """Pixels added (or, if negative, cut) at the top, left, bottom and right.

    Attributes:
        pads: (top, left, bottom, right).
        mode: where added pixels are from: ``value``, the pixel at the border, the picture mirrored at that pixel, or
            its other end.
        value: of the added pixels where ``mode`` is "constant".
    """

    pads: tuple[int, int, int, int]
    mode: Mode = "constant"
    value: float = 0.0

    @property
    def grows(self) -> bool:
        """Whether nothing is cut."""
        return min(self.pads) >= 0


def read_window(node: onnx.NodeProto, constant: Callable[[str], Array | None]) -> Window | None:
    """Return what a Pad or a Slice does with rows and columns; None if it does anything else, or not by constants.

    Args:
        node: of opset 17, of a tensor (1, C, h, w).
        constant: the array of a name; None if it is computed.
    """
    operands = [constant(name) if name else None for name in node.input[1:]]
    if any(name and value is None for name, value in zip(node.input[1:], operands, strict=True)):
        return None
    if node.op_type == "Pad":
        return pad_window(operands, attributes(node).get("mode", "constant"))
    return slice_window(operands) if node.op_type == "Slice" else None


def pad_window(operands: Sequence[Array | None], mode: str) -> Window | None:
    """Return what a Pad with these operands behind the tensor does, as `read_window` says it."""
    pads, value = operands[0], operands[1] if len(operands) > 1 else None
    if pads is None or pads.size != 8 or mode not in MODES or len(operands) > 2:
        return None
    amounts = [int(p) for p in pads.ravel()]
    if any(amounts[i] for i in (0, 1, 4, 5)):
        return None
    number = 0.0 if value is None or not value.size else float(value.ravel()[0])
    return Window((amounts[2], amounts[3], amounts[6], amounts[7]), cast(Mode, mode), number)


def slice_window(operands: Sequence[Array | None]) -> Window | None:
    """Return what a Slice with these operands behind the tensor does, as `read_window` says it."""
    starts, ends, axes, steps = (operands[i] if i < len(operands) else None for i in range(4))
    if starts is None or ends is None or (steps is not None and (steps != 1).any()):
        return None
    places = range(starts.size) if axes is None else [int(a) % 4 for a in axes.ravel()]
    cuts = [0, 0, 0, 0]
    for axis, start, end in zip(places, starts.ravel(), ends.ravel(), strict=True):
        if axis not in (2, 3) or start < 0 or not (end < 0 or end >= 1 << 31):
            return None
        cuts[axis - 2], cuts[axis] = int(start), -int(end) if end < 0 else 0
    return Window((-cuts[0], -cuts[1], -cuts[2], -cuts[3]))
