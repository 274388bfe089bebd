"""The lowering as a whole: import, find the chains, write the new ``main``."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import onnx
from tvm import relax

from toolchain.frontend.unfit import CONVOLUTIONS, attention
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile, default_tile
from toolchain.lower.chain import Matcher, Step
from toolchain.lower.depth_to_space import trace
from toolchain.lower.down import margin
from toolchain.lower.emitter import Imported
from toolchain.lower.frame import framed, take_frame
from toolchain.lower.importer import ImportRefusedError, import_onnx
from toolchain.lower.integer_emitter import IntegerEmitter
from toolchain.lower.lowered import Choose, Kernel, Lowered
from toolchain.lower.main import ending, write_main
from toolchain.lower.main import geometry as geometry_of
from toolchain.lower.reading import read
from toolchain.lower.stream import stream
from toolchain.reference.steps import ConvStep, PoolStep
from toolchain.support.errors import ModelError
from toolchain.targets import CACHE


def import_qdq(model: onnx.ModelProto) -> Any:
    """Return Relax module of a QDQ model with symbolic height and width.

    Raises:
        ModelError: TVM cannot import an operator of the model.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the importer prints which operator it fails on
            return import_onnx(model)
    except ImportRefusedError as error:
        what = f"operator {error.operator} as it is used in this model" if error.operator else "model"
        attending = attention(model.graph)
        if attending:
            raise ModelError(
                f"the network is a transformer: {attending} multiplies two tensors that are computed; of such networks "
                f"the compiler cannot import the {what}",
                hint=CONVOLUTIONS,
            ) from error
        raise ModelError(f"the compiler cannot import the {what}", hint="replace it in the float model") from error


def geometry_for(module: Any, dot: Dot) -> Geometry:
    """Return the geometry that serves all integer convolutions of an imported module.

    Raises:
        ModelError: a convolution's padding is wider than rows are apart in memory.
    """
    chains = _chains(Matcher(module["main"]))
    margins = [read(chain, chains).margin for chain in chains.values() if isinstance(chain, ConvStep)]
    margins += [margin(chain) for chain in chains.values() if isinstance(chain, PoolStep)]
    return geometry_of(margins, dot.columns, dot.offset)


def lower_model(model: onnx.ModelProto, dot: Dot, choose: Choose | None = None, cache: int = CACHE) -> Lowered[Conv]:
    """`lower_layers`, streamed where that can be, with ``cache`` bytes of line buffers a thread."""
    inner, frame = take_frame(model)
    return framed(stream(_lower_layers(inner, dot, choose), cache), frame)


def lower_layers(model: onnx.ModelProto, dot: Dot, choose: Choose | None = None) -> Lowered[Conv]:
    """`lower` of a canonical QDQ model, with the geometry that it needs: kernels run on whole tensors.

    Raises:
        ModelError: as `import_qdq`, `geometry_for` and `lower` do.
    """
    inner, frame = take_frame(model)
    return framed(_lower_layers(inner, dot, choose), frame)


def lower_whole(model: onnx.ModelProto, dot: Dot) -> Lowered[Conv]:
    """`lower_layers` where nothing is around the network: a border and what is cut off are kernels like others.

    Raises:
        ModelError: as `lower_layers` does.
    """
    return _lower_layers(model, dot, None)


def _lower_layers(model: onnx.ModelProto, dot: Dot, choose: Choose | None) -> Lowered[Conv]:
    module = import_qdq(model)
    return lower(module, geometry_for(module, dot), dot, choose)


def lower(module: Any, geometry: Geometry, dot: Dot, choose: Choose | None = None) -> Lowered[Conv]:
    """Turn an imported QDQ module into integer kernels on packed tensors.

    The new ``main`` takes uint8 ``(height, width, channels)`` and returns uint8 ``(height*scale, width*scale,
    channels)``. Operators without an integer kernel stay float Relax operators between an unpacking and a
    quantizing kernel. ``choose`` names the tiles of its convolutions, by default the default ones.

    Raises:
        ModelError: the end of the network is not a quantized picture, or a structure is not covered.
    """
    matcher = Matcher(module["main"])
    final, moves = trace(matcher.definitions, matcher.result)
    if not matcher.is_call(final, "relax.dequantize"):
        raise ModelError(
            "the network does not end in a quantized picture",
            hint="quantize the output tensor, before or after the pixel shuffle",
        )
    codes = matcher.definitions[final].args[0]
    if str(codes.ty.dtype) != "uint8":
        raise ModelError(
            "the network's output is quantized to 16 bits, pixels have 8", hint="quantize the output tensor as uint8"
        )
    pixels = ending(matcher, codes, moves, "follows the last quantization")
    imported = Imported(module, matcher, _chains(matcher))

    def default(kernel: Kernel[Conv], columns: int) -> Tile:
        return default_tile(kernel.conv, columns, dot)

    def emitter(builder: relax.BlockBuilder, given: Any) -> IntegerEmitter:
        return IntegerEmitter(imported, builder, given, geometry, dot, choose or default)

    return write_main(matcher, emitter, codes, pixels)


def _chains(matcher: Matcher) -> dict[Any, Step | None]:
    """Return the chain of every quantized activation, in program order."""
    chains: dict[Any, Step | None] = {}
    for var, call in matcher.definitions.items():
        if isinstance(call, relax.Call) and getattr(call.op, "name", "") == "relax.quantize":
            chains[var] = matcher.chain(var)
    return chains
