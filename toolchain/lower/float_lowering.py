"""The lowering of a float network: import, find what float kernels cover, write the new ``main``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tvm import relax

from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.vectors import Vectors
from toolchain.lower.depth_to_space import trace
from toolchain.lower.emitter import Imported
from toolchain.lower.float_chain import FloatConvChain, FloatMatcher
from toolchain.lower.float_down import FloatPoolChain
from toolchain.lower.float_emitter import FloatEmitter
from toolchain.lower.frame import framed, take_float_frame
from toolchain.lower.lowered import Lowered
from toolchain.lower.lowering import import_qdq
from toolchain.lower.main import ending, geometry, write_main
from toolchain.lower.stream import stream
from toolchain.targets import CACHE

if TYPE_CHECKING:
    from toolchain.frontend import SRModel


def lower_float_model(model: SRModel, vectors: Vectors, cache: int = CACHE) -> Lowered[FloatConv]:
    """Return `lower_float_whole` of a normalized float model, streamed where that can be, with ``cache`` bytes of line
    buffers a thread; a border and what is cut off are around it, see `toolchain.lower.frame`.

    Raises:
        ModelError: as `lower_float_whole` does.
    """
    inner, frame = take_float_frame(model.model, model.value_range[1])
    return framed(stream(lower_float_whole(replace(model, model=inner), vectors), cache), frame)


def lower_float_whole(model: SRModel, vectors: Vectors) -> Lowered[FloatConv]:
    """Return a normalized float model as float kernels on packed tensors, which are whole.

    The new ``main`` takes uint8 ``(height, width, channels)`` and returns uint8 ``(height*scale, width*scale,
    channels)``: the network's output saturated to black and white, and rounded half to even. Operators without a kernel
    stay Relax operators on plain float32 tensors.

    Raises:
        ModelError: TVM cannot import an operator, or a structure is not covered.
    """
    module = import_qdq(model.model)
    matcher = FloatMatcher(module["main"])
    final, moves = trace(matcher.definitions, matcher.result)
    pixels = ending(matcher, final, moves, "ends the network")
    chains = {var: matcher.chain(var) for var in matcher.definitions}
    imported = Imported(module, matcher, chains)
    stepping = [chain for chain in chains.values() if isinstance(chain, FloatConvChain | FloatPoolChain)]
    margins = [chain.steps.margin for chain in stepping]
    shared, white = geometry(margins, vectors.columns), model.value_range[1]

    def emitter(builder: relax.BlockBuilder, given: Any) -> FloatEmitter:
        return FloatEmitter(imported, builder, given, shared, vectors, white)

    return write_main(matcher, emitter, final, pixels)
