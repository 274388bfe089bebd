"""Write the lowered ``main`` and say what came out: the frame around an emitter, whatever its numbers are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tvm import relax, tirx

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
    shape = var.ty.shape
    if shape is None:
        raise ModelError(
            "the compiler cannot tell the size of the network's output",
            hint="sizes must be whole multiples of the picture's",
        )
    table = pixel_table(moves, shape, matcher.height, matcher.width)
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
    shape, unit = matcher.parameter.ty.shape, matcher.unit
    sides = (shape[2], shape[3]) if unit == 1 else (tirx.Var("rows", "int64"), tirx.Var("columns", "int64"))
    given = relax.Var("pixels", relax.TensorType((*sides, shape[1]), "uint8"))
    builder = relax.BlockBuilder()
    refused: ModelError | None = None
    with builder.function("main", [given]):
        pixels_in = given if unit == 1 else _in_units(builder, given, matcher)
        with builder.dataflow():
            emitter = make(builder, pixels_in)
            try:
                picture = emitter.draw(var, pixels)
            except ModelError as error:  # raised later: a builder that is left half way complains on stderr
                refused, picture = error, pixels_in
            result = builder.emit_output(picture)
        builder.emit_func_output(result)
    if refused is not None:
        raise refused
    coverage = measure(matcher, emitter.covered, tuple(emitter.operators.names))
    calls = emitter.calls
    network = None
    if calls.integer:
        sides = matcher.height, matcher.width
        network = Network(tuple(calls.launches), tuple(calls.tensors), tuple(calls.extents), sides, unit)
    kernels, origins, whole = tuple(emitter.kernels), tuple(calls.origins), tuple(calls.whole)
    launches = tuple(calls.launches)
    return Lowered(builder.finalize(), kernels, emitter.geometry, coverage, launches, network, origins, whole)


def _in_units(builder: relax.BlockBuilder, given: Any, matcher: Bindings) -> Any:
    """Return ``given``, pixels of any size, as a multiple of the sizes that the module counts in: at run time these
    are what the sizes are divided by the unit.
    """
    rows, columns, channels = given.ty.shape
    unit = matcher.unit
    counted = builder.emit(relax.ShapeExpr([tirx.floordiv(rows, unit), tirx.floordiv(columns, unit)]))
    builder.match_cast(counted, relax.ShapeType([matcher.height, matcher.width]))
    return builder.match_cast(given, relax.TensorType((matcher.height * unit, matcher.width * unit, channels), "uint8"))
