"""What makes pictures smaller: found in the Relax module, and emitted as kernels on tensors in phases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import tirx

from toolchain.kernels import down
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK
from toolchain.kernels.network import Tensor
from toolchain.kernels.phases import Pool, SpaceToDepth, above, reach
from toolchain.kernels.view import View
from toolchain.lower.bindings import Bindings, is_picture
from toolchain.lower.calls import Calls, Extent, Invocation
from toolchain.lower.depth_to_space import carried_out, evaluate, trace
from toolchain.lower.packed import Packed, filled
from toolchain.reference.down import space_to_depth
from toolchain.reference.steps import Codes, ConvStep, PoolStep, SpaceToDepthStep

_TRIED = range(12, 36)
"""Sizes at which a tensor's rows and columns are looked at, in units: what divides all of these divides all. Of tensors
that have gone down before, neighbouring sizes have as many rows: two would be too few.
"""


@dataclass(frozen=True)
class Steps:
    """Windows that go over a tensor: heights before widths, pads top, left, bottom, right; ``ceil``: the last window
    may reach beyond the padding.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    ceil: bool = False

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns between a window's first place and its last."""
        rows, columns = ((size - 1) * apart for size, apart in zip(self.kernel, self.dilations, strict=True))
        return rows, columns

    @property
    def growth(self) -> tuple[int, int]:
        """Rows and columns that the result has more than the tensor has steps of the stride."""
        found = []
        for axis in (0, 1):
            stride, before = self.strides[axis], self.pads[axis]
            rest = before + self.pads[axis + 2] - self.reach[axis] - 1
            if self.ceil:
                more = -(-rest // stride) + 1
                found.append(more - ((more - 1) * stride >= before))
            else:
                found.append(rest // stride + 1)
        return found[0], found[1]

    @property
    def margin(self) -> int:
        """Rows or columns that windows reach beyond the picture at most, in steps of the stride."""
        before = above(self.pads[:2], self.strides)
        far = reach(self.kernel, self.dilations, self.pads[:2], self.strides)
        return max(*before, *(end - start for end, start in zip(far, before, strict=True)))


def squares(matcher: Bindings, value: Any, out: Codes, source: Codes | None) -> SpaceToDepthStep | None:
    """Return the SpaceToDepth of ``source`` that the reshapes and transposes before ``value`` are."""
    if source is None or source.quantization != out.quantization:
        return None
    size = square(matcher, value)
    return None if size is None else SpaceToDepthStep(out, source, size)


def square(matcher: Bindings, value: Any) -> int | None:
    """Return the size of the squares of the SpaceToDepth that the reshapes and transposes before ``value`` are."""
    source, moves = trace(matcher.definitions, value)
    if not moves or not is_picture(source):
        return None
    sizes = {matcher.height: 3, matcher.width: 5}
    shape = [evaluate(extent, sizes) for extent in source.ty.shape]
    index = np.arange(int(np.prod(shape))).reshape(shape)
    moved = carried_out(moves, index, sizes)
    if moved is None or moved.ndim != 4 or moved.shape[2] >= shape[2]:
        return None
    size = shape[2] // moved.shape[2]
    if any(side % size for side in shape[2:]) or not np.array_equal(moved[0], space_to_depth(index[0], size)):
        return None
    return int(size)


def window_steps(attrs: Any) -> Steps:
    """Return the windows of a pooling of Relax."""
    kernel, strides, dilations, pads = (
        tuple(int(number) for number in numbers)
        for numbers in (attrs.pool_size, attrs.strides, attrs.dilation, attrs.padding)
    )
    return Steps(kernel, strides, pads, dilations, bool(attrs.ceil_mode))  # type: ignore[arg-type]


def pool(matcher: Bindings, value: Any, out: Codes, source: Codes | None) -> PoolStep | None:
    """Return the pooling of ``source`` that ``value`` is, if kernels cover it."""
    if source is None or source.quantization != out.quantization:
        return None
    given = window_steps(matcher.definitions[value].attrs)
    step = PoolStep(out, source, given.kernel, given.strides, given.pads, given.dilations, given.ceil)
    return step if covers(matcher, source.tensor, given.strides, given.pads, step.reach) else None


def covers(matcher: Bindings, var: Any, strides: Any, pads: Any, reach: tuple[int, int]) -> bool:
    """Whether kernels step by ``strides`` through ``var``: alike in both directions."""
    down_, across = strides
    if (down_, across) == (1, 1):
        return True
    fits = all(pad <= far for pad, far in zip(pads, reach, strict=False))
    return down_ == across and fits and var.ty.shape is not None


def divides(matcher: Bindings, var: Any, stride: int) -> bool:
    """Whether the sides of ``var`` are multiples of ``stride``, whatever the picture."""
    tried = [{matcher.height: count, matcher.width: count} for count in _TRIED]
    return not any(evaluate(side, sizes) % stride for sizes in tried for side in var.ty.shape.values[2:])


def steps_through(extent: Extent, stride: int, grown: tuple[int, int]) -> Extent:
    """Return how many rows and columns a kernel computes that steps through all of ``extent``, and ``grown`` more."""
    rows, columns = (
        tirx.floordiv(side + (stride - 1), stride) + max(more, 0) for side, more in zip(extent, grown, strict=True)
    )
    return rows, columns


def growth(step: ConvStep | PoolStep) -> tuple[int, int]:
    """Return how many rows and columns the result of a step has more than its input has steps of its stride."""
    if isinstance(step, ConvStep):
        given = step.convolution
        return Steps(given.weight.shape[2:], given.strides, given.pads, given.dilations).growth
    return Steps(step.kernel, step.strides, step.pads, step.dilations, step.ceil).growth


def in_phases(calls: Calls, source: Packed, size: int, extent: Extent) -> Packed:
    """Return a packed tensor in phases, with channel c of the first phase in its slot; ``extent``: of the result."""
    count = source.view.count * size**2
    view = View.whole(count, wide=source.view.wide)
    tensor = Tensor(view.total, source.tensor.zero_point, wide=view.wide)
    operation = SpaceToDepth(source.view, size, view, tensor.zero_point)
    kernel = down.space_to_depth(operation, calls.geometry)
    read = replace(source.source(below=size - 1), stride=size)
    var = calls.launch(Invocation("space_to_depth", kernel, (read,), operation), view, tensor, extent)
    return Packed(var, view, tuple(slot_in_phases(slot, 0, size) for slot in source.slots), tensor)


def slot_in_phases(slot: int, phase: int, size: int) -> int:
    """Return where a slot of a tensor lies in the same in phases."""
    return (slot // PACK * size**2 + phase) * PACK + slot % PACK


def all_phases(source: Packed, phased: Packed, size: int) -> Packed:
    """Return ``source`` in phases as a SpaceToDepth: phase by phase, channel by channel."""
    slots = [slot_in_phases(slot, phase, size) for phase in range(size**2) for slot in source.slots]
    return replace(phased, slots=tuple(slots))


def pool_kernel(step: PoolStep, source: Packed, view: View, calls: Calls, lanes: int) -> Invocation:
    """Return the kernel of ``step``, of its source in phases, into ``view``."""
    zero = step.out.quantization.zero_point
    operation = Pool(source.view, step.kernel, step.pads[:2], step.dilations, step.strides, view, zero)
    kernel = down.pool(operation, calls.geometry, lanes)
    before = operation.above[0]
    return Invocation("pool", kernel, (source.source(before, operation.reach[0] - before),), operation)


def with_least(calls: Calls, dot: Dot, step: PoolStep, source: Packed, extent: Extent) -> Packed:
    """Return a pool's source surrounded by the smallest code, where windows reach beyond it."""
    zero = source.tensor.zero_point
    return source if zero == 0 or not reaches_out(step) else filled(calls, dot, source, 0, extent)


def reaches_out(step: PoolStep) -> bool:
    """Whether windows reach beyond the picture."""
    last = [
        more * stride + far - stride for more, stride, far in zip(growth(step), step.strides, step.reach, strict=True)
    ]
    beyond = [end + 1 - before > 0 for end, before in zip(last, step.pads, strict=False)]
    return any(step.pads[:2]) or any(beyond)


def margin(step: PoolStep) -> int:
    """Return rows or columns that windows reach beyond the picture at most, in steps of the stride."""
    return Steps(step.kernel, step.strides, step.pads, step.dilations).margin
