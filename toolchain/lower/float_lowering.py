"""The lowering of a float network: import, find what float kernels cover, write the new ``main``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.vectors import Vectors
from toolchain.lower.float_chain import FloatConvChain, FloatMatcher
from toolchain.lower.float_emit import FloatEmitter
from toolchain.lower.lowered import Lowered
from toolchain.lower.lowering import import_qdq
from toolchain.lower.main import write_main
from toolchain.lower.movement import pixel_table, trace
from toolchain.lower.stream import stream
from toolchain.support.errors import ModelError
from toolchain.targets import CACHE

if TYPE_CHECKING:
    from toolchain.frontend import SRModel


def lower_float_model(model: SRModel, vectors: Vectors, cache: int = CACHE) -> Lowered[FloatConv]:
    """A normalized float model as float kernels on packed tensors, streamed where that can be.

    ``cache``: bytes of line buffers of a thread.

    The new ``main`` takes uint8 ``(height, width, channels)`` and returns uint8 ``(height*scale, width*scale,
    channels)``: the network's output saturated to black and white, and rounded half to even. Operators without a kernel
    stay Relax operators on plain float32 tensors.

    Raises:
        ModelError: TVM cannot import an operator, or a structure is not covered.
    """
    module = import_qdq(model.model)
    matcher = FloatMatcher(module["main"])
    shape = matcher.parameter.ty.shape
    final, moves = trace(matcher.definitions, matcher.result)
    if final.ty.shape is None:
        raise ModelError(
            "the compiler cannot tell the size of the network's output",
            hint="sizes must be whole multiples of the picture's",
        )
    table = pixel_table(moves, final.ty.shape, shape[2], shape[3])
    if table is None:
        raise ModelError(
            "what ends the network is not a pixel shuffle",
            hint="end the network in DepthToSpace, Reshape and Transpose",
        )
    geometry, white = geometry_for_floats(matcher, vectors), model.value_range[1]
    return stream(
        write_main(
            matcher,
            lambda builder, pixels: FloatEmitter(matcher, module, builder, pixels, geometry, vectors, white),
            lambda emitter: emitter.draw(final, table),
        ),
        cache,
    )


def geometry_for_floats(matcher: FloatMatcher, vectors: Vectors) -> Geometry:
    """Geometry that serves all convolutions of a network that kernels cover.

    Raises:
        ModelError: a convolution's padding is wider than rows are apart in memory.
    """
    chains: list[Any] = [matcher.chain(var) for var in matcher.definitions]
    margin = max([1, *(chain.margin for chain in chains if isinstance(chain, FloatConvChain))])
    if margin > SIDE:
        raise ModelError(
            f"a convolution pads by {margin} pixels; {SIDE} is the most the kernels can",
            hint="use smaller kernels or dilations",
        )
    return Geometry(margin, vectors.columns)
