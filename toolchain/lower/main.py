"""Write the lowered ``main`` and say what came out: the frame around an emitter, whatever its numbers are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tvm import relax

from toolchain.kernels.layout import Geometry
from toolchain.lower.bindings import Bindings
from toolchain.lower.calls import Calls
from toolchain.lower.coverage import measure
from toolchain.lower.lowered import Kernel, Lowered, Network
from toolchain.lower.operators import Operators
from toolchain.support.errors import ModelError


class Emits(Protocol):
    """What an emitter has done when the network is drawn."""

    calls: Calls
    operators: Operators
    kernels: list[Kernel[Any]]
    covered: set[Any]
    geometry: Geometry


Emitter = TypeVar("Emitter", bound=Emits)


def write_main(
    matcher: Bindings, make: Callable[[relax.BlockBuilder, Any], Emitter], draw: Callable[[Emitter], Any]
) -> Lowered[Any]:
    """A module whose ``main`` takes pixels uint8 (height, width, channels) and returns the picture.

    Args:
        matcher: of the imported ``main``.
        make: an emitter, from a builder inside of the new function and its parameter.
        draw: the variable of the picture, from the emitter.

    Raises:
        ModelError: a structure is not covered.
    """
    shape = matcher.parameter.ty.shape
    pixels = relax.Var("pixels", relax.TensorType((shape[2], shape[3], shape[1]), "uint8"))
    builder = relax.BlockBuilder()
    refused: ModelError | None = None
    with builder.function("main", [pixels]):
        with builder.dataflow():
            emitter = make(builder, pixels)
            try:
                picture = draw(emitter)
            except ModelError as error:  # raised later: a builder that is left half way complains on stderr
                refused, picture = error, pixels
            result = builder.emit_output(picture)
        builder.emit_func_output(result)
    if refused is not None:
        raise refused
    coverage = measure(matcher, emitter.covered, tuple(emitter.operators.names))
    calls = emitter.calls
    network = Network(tuple(calls.launches), tuple(calls.tensors), tuple(calls.scales)) if calls.integer else None
    kernels, origins = tuple(emitter.kernels), tuple(calls.origins)
    return Lowered(builder.finalize(), kernels, emitter.geometry, coverage, network, origins)
