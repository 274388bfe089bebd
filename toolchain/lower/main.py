"""Write the lowered ``main`` and say what came out: the frame around an emitter, whatever its numbers are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tvm import relax

from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import DepthToSpace
from toolchain.lower.bindings import Bindings
from toolchain.lower.coverage import measure
from toolchain.lower.depth_to_space import pixel_table
from toolchain.lower.emitter import Emitter
from toolchain.lower.lowered import Lowered, Network, Spec
from toolchain.support.errors import ModelError


def geometry(margins: Iterable[int], columns: int, offset: int = 0) -> Geometry:
    """Return the geometry that serves convolutions of these `margins`, the widest padding on any side.

    Raises:
        ModelError: a convolution's padding is wider than rows are apart in memory.
    """
    margin = max([1, *margins])
    if margin > SIDE:
        raise ModelError(
            f"a convolution pads by {margin} pixels; {SIDE} is the most the kernels can",
            hint="use smaller kernels or dilations",
        )
    return Geometry(margin, columns, offset)


def ending(matcher: Bindings, var: Any, moves: list[Any], what: str) -> DepthToSpace:
    """Return the depth-to-space that ``moves`` make of ``var``, where the network ends; ``what``: what they are in
    words.

    Raises:
        ModelError: they are something else.
    """
    shape, picture = var.ty.shape, matcher.parameter.ty.shape
    if shape is None:
        raise ModelError(
            "the compiler cannot tell the size of the network's output",
            hint="sizes must be whole multiples of the picture's",
        )
    table = pixel_table(moves, shape, picture[2], picture[3])
    if table is None:
        raise ModelError(
            f"what {what} is not a pixel shuffle", hint="end the network in DepthToSpace, Reshape and Transpose"
        )
    return table


def write_main(
    matcher: Bindings, make: Callable[[relax.BlockBuilder, Any], Emitter[Any, Spec]], var: Any, pixels: DepthToSpace
) -> Lowered[Spec]:
    """Return a module whose ``main`` takes pixels uint8 (height, width, channels) and returns the picture.

    Args:
        matcher: of the imported ``main``.
        make: an emitter, from a builder inside of the new function and its parameter.
        var: what the picture is made of.
        pixels: how.

    Raises:
        ModelError: a structure is not covered.
    """
    shape = matcher.parameter.ty.shape
    given = relax.Var("pixels", relax.TensorType((shape[2], shape[3], shape[1]), "uint8"))
    builder = relax.BlockBuilder()
    refused: ModelError | None = None
    with builder.function("main", [given]):
        with builder.dataflow():
            emitter = make(builder, given)
            try:
                picture = emitter.draw(var, pixels)
            except ModelError as error:  # raised later: a builder that is left half way complains on stderr
                refused, picture = error, given
            result = builder.emit_output(picture)
        builder.emit_func_output(result)
    if refused is not None:
        raise refused
    coverage = measure(matcher, emitter.covered, tuple(emitter.operators.names))
    calls = emitter.calls
    network = Network(tuple(calls.launches), tuple(calls.tensors), tuple(calls.scales)) if calls.integer else None
    kernels, origins, whole = tuple(emitter.kernels), tuple(calls.origins), tuple(calls.whole)
    return Lowered(builder.finalize(), kernels, emitter.geometry, coverage, network, origins, whole)
