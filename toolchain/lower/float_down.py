"""What makes pictures smaller or larger in a Relax module of floats: found, and emitted as kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolchain.frontend.fixed_point import resizing_of
from toolchain.frontend.window import Window
from toolchain.kernels import float_down, float_enlarge
from toolchain.kernels.float_spec import FloatEnlarge, FloatGlobalPool, FloatPhase
from toolchain.kernels.network import Tensor
from toolchain.kernels.phases import Pool, SpaceToDepth
from toolchain.kernels.spec import View
from toolchain.lower.bindings import Bindings, channels_of
from toolchain.lower.calls import Extent, Invocation
from toolchain.lower.depth_to_space import trace
from toolchain.lower.down import Steps, covers, divides, square, steps_through, window_steps
from toolchain.lower.packed import Packed, moved
from toolchain.lower.resizing import OPERATOR, sampling_of

if TYPE_CHECKING:
    from toolchain.lower.float_emitter import FloatEmitter


@dataclass(frozen=True, eq=False)
class FloatPhasesChain:
    """Space-to-depth of a variable, in whatever spelling."""

    source: Any
    size: int


@dataclass(frozen=True, eq=False)
class FloatPoolChain:
    """The largest numbers of windows of a variable."""

    source: Any
    steps: Steps


@dataclass(frozen=True, eq=False)
class FloatGlobalPoolChain:
    """The mean, or the largest number, of each channel of a variable."""

    source: Any
    average: bool


@dataclass(frozen=True, eq=False)
class FloatResizeChain:
    """Enlargement of a variable, every number of which becomes the same ``phases``."""

    source: Any
    phases: tuple[FloatPhase, ...]


SizedChain = FloatPhasesChain | FloatPoolChain | FloatGlobalPoolChain | FloatResizeChain


def match_sized(matcher: Bindings, var: Any) -> SizedChain | None:
    """Return what ``var`` is, of another size than what it reads; None if no kernel computes it."""
    if matcher.is_call(var, "relax.nn.max_pool2d"):
        steps, source = window_steps(matcher.definitions[var].attrs), matcher.definitions[var].args[0]
        return FloatPoolChain(source, steps) if fits(matcher, source, steps) else None
    for name in ("relax.mean", "relax.max"):
        if matcher.is_call(var, name):
            call = matcher.definitions[var]
            whole = sorted(int(axis) for axis in call.attrs.axis or ()) == [2, 3] and call.attrs.keepdims
            return FloatGlobalPoolChain(call.args[0], name == "relax.mean") if whole else None
    if matcher.is_call(var, OPERATOR):
        call = matcher.definitions[var]
        resizing = resizing_of(*sampling_of(call))
        phases = () if resizing is None else float_enlarge.float_phases(resizing)
        return FloatResizeChain(call.args[0], phases) if phases else None
    source, _ = trace(matcher.definitions, var)
    size = square(matcher, var)
    return None if size is None else FloatPhasesChain(source, size)


def fits(matcher: Bindings, source: Any, steps: Steps) -> bool:
    """Whether kernels step through ``source``."""
    return source.ty.shape is not None and covers(matcher, source, steps.strides, steps.pads, steps.reach)


def keeps(matcher: Bindings, source: Any, steps: Steps) -> bool:
    """Whether the result has one row for each step through ``source``, of which it is a whole number."""
    return steps.growth == (0, 0) and _is_even(matcher, source, steps)


def _is_even(matcher: Bindings, source: Any, steps: Steps) -> bool:
    return steps.strides == (1, 1) or divides(matcher, source, steps.strides[0])


def stepped(emitter: FloatEmitter, var: Any, given: Any, source: Packed, steps: Steps, fill: float) -> Packed:
    """Return ``source``, the packed ``given``, as windows go over it: continued by ``fill`` to whole steps, in phases.

    ``var``: what the windows make.
    """
    stride, wide = steps.strides[0], computed(emitter, var, given, steps)
    if max(steps.growth) > 0 or not _is_even(emitter.matcher, given, steps):
        extents = emitter.extent(given), (wide[0] * stride, wide[1] * stride)
        origin = emitter.matcher.origin(var)
        source = moved(emitter.calls, source, Window((0, 0, 1, 1), value=fill), 0, extents, origin=origin)
    return source if steps.strides == (1, 1) else emitter.phased(source, stride, wide)


def computed(emitter: FloatEmitter, var: Any, given: Any, steps: Steps) -> Extent:
    """Return rows and columns that a kernel computes which steps through ``given`` to make ``var``, a part of them."""
    if keeps(emitter.matcher, given, steps):
        return emitter.extent(var)
    return steps_through(emitter.extent(given), steps.strides[0], steps.growth)


def written(emitter: FloatEmitter, var: Any, given: Any, steps: Steps, invocation: Invocation) -> Packed:
    """Emit a kernel that steps through ``given``; what is no part of ``var`` is cut off."""
    if keeps(emitter.matcher, given, steps):
        return emitter.write(var, invocation)
    tensor, wide = emitter.tensor(var), computed(emitter, var, given, steps)
    made = emitter.calls.launch(invocation, tensor.view, tensor, wide)
    packed = Packed(made, tensor.view, tuple(range(channels_of(var))), tensor)
    extents, origin = (wide, emitter.extent(var)), emitter.matcher.origin(var)
    return moved(emitter.calls, packed, Window((0, 0, -1, -1)), 0, extents, origin=origin)


def phased(emitter: FloatEmitter, source: Packed, size: int, extent: Extent) -> Packed:
    """Return a packed tensor in phases, with channel c of the first phase in its slot; ``extent``: of the result."""
    count = source.view.count * size**2
    tensor = Tensor(count, 0, emitter.vectors.dtype)
    operation = SpaceToDepth(source.view, size, tensor.view, 0)
    kernel = float_down.space_to_depth(operation, emitter.geometry, emitter.vectors)
    read = replace(source.source(below=size - 1), stride=size)
    given = Invocation("space_to_depth", kernel, (read,), operation)
    var = emitter.calls.launch(given, tensor.view, tensor, extent)
    return Packed(var, tensor.view, tuple(slot * size**2 for slot in source.slots), tensor)


def emit_sized(emitter: FloatEmitter, var: Any, chain: SizedChain) -> Packed:
    """Emit what computes ``var``."""
    source, view = emitter.packed(chain.source), emitter.target(var)
    match chain:
        case FloatPhasesChain(size=size):
            laid = emitter.phased(source, size, emitter.extent(var))
            return replace(laid, slots=tuple(slot + phase for phase in range(size**2) for slot in laid.slots))
        case FloatGlobalPoolChain():
            return _whole(emitter, var, source, chain)
    if source.slots != tuple(range(channels_of(chain.source))):
        source = emitter.in_order(chain.source)
    if isinstance(chain, FloatResizeChain):
        enlarge = FloatEnlarge(source.view, chain.phases, view)
        kernel = float_enlarge.build(enlarge, emitter.geometry, emitter.vectors)
        sources = (source.source(*enlarge.surroundings),)
        given = Invocation("enlarge", kernel, sources, enlarge, scale=len(chain.phases), placed=True)
        return emitter.write(var, given, emitter.extent(chain.source))
    steps = chain.steps
    source = stepped(emitter, var, chain.source, source, steps, -math.inf)
    pool = Pool(source.view, steps.kernel, steps.pads[:2], steps.dilations, steps.strides, view, 0)
    kernel = float_down.pool(pool, emitter.geometry, emitter.vectors)
    sources = (source.source(pool.above[0], pool.reach[0] - pool.above[0]),)
    return written(emitter, var, chain.source, steps, Invocation("pool", kernel, sources, pool, placed=True))


def _whole(emitter: FloatEmitter, var: Any, source: Packed, chain: FloatGlobalPoolChain) -> Packed:
    """Emit the pooling of a whole picture; channels keep their places."""
    tensor = Tensor(source.view.count, 0, emitter.vectors.dtype, single=True)
    operation = FloatGlobalPool(source.view, chain.average, View.whole(source.view.count))
    functions = (
        float_down.pool_rows(operation, emitter.geometry, emitter.vectors),
        float_down.pool_all(operation, emitter.geometry, emitter.vectors),
    )
    row, origin = (source.view.count, "float32"), emitter.matcher.origin(var)
    made = emitter.calls.pool(source.source(), operation, functions, row, tensor, emitter.extent(chain.source), origin)
    return Packed(made, tensor.view, source.slots, tensor)
