"""The lowering as a whole: import, find the chains, write the new ``main``."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import onnx
import tvm
from tvm import relax

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile, default_tile
from toolchain.lower.chain import Matcher, Step
from toolchain.lower.emit import Emitter
from toolchain.lower.importer import ImportRefusedError, import_onnx
from toolchain.lower.lowered import Choose, Kernel, Lowered
from toolchain.lower.main import write_main
from toolchain.lower.movement import pixel_table, trace
from toolchain.lower.reading import read
from toolchain.lower.stream import stream
from toolchain.reference.steps import ConvStep
from toolchain.support.errors import ModelError
from toolchain.targets import CACHE


def import_qdq(model: onnx.ModelProto) -> Any:
    """Relax module of a QDQ model with symbolic height and width.

    Raises:
        ModelError: TVM cannot import an operator of the model.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the importer prints which operator it fails on
            return import_onnx(model)
    except ImportRefusedError as error:
        what = f"operator {error.operator} as it is used in this model" if error.operator else "model"
        raise ModelError(f"the compiler cannot import the {what}", hint="replace it in the float model") from error


def geometry_for(module: Any, dot: Dot) -> Geometry:
    """Geometry that serves all integer convolutions of an imported module.

    Raises:
        ModelError: a convolution's padding is wider than rows are apart in memory.
    """
    chains = _chains(Matcher(module["main"]))
    margin = max([1, *(read(chain, chains).margin for chain in chains.values() if isinstance(chain, ConvStep))])
    if margin > SIDE:
        raise ModelError(
            f"a convolution pads by {margin} pixels; {SIDE} is the most the kernels can",
            hint="use smaller kernels or dilations",
        )
    return Geometry(margin, dot.columns, dot.offset)


def lower_model(model: onnx.ModelProto, dot: Dot, choose: Choose | None = None, cache: int = CACHE) -> Lowered[Conv]:
    """`lower_layers`, streamed where that can be, with ``cache`` bytes of line buffers a thread."""
    return stream(lower_layers(model, dot, choose), cache)


def lower_layers(model: onnx.ModelProto, dot: Dot, choose: Choose | None = None) -> Lowered[Conv]:
    """`lower` of a canonical QDQ model, with the geometry that it needs: kernels run on whole tensors.

    Raises:
        ModelError: as `import_qdq`, `geometry_for` and `lower` do.
    """
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
    function = module["main"]
    matcher = Matcher(function)
    chains = _chains(matcher)
    shape = function.params[0].ty.shape
    final, moves = trace(matcher.definitions, matcher.result)
    last = matcher.definitions.get(final)
    if not isinstance(last, relax.Call) or getattr(last.op, "name", "") != "relax.dequantize":
        raise ModelError(
            "the network does not end in a quantized picture",
            hint="quantize the output tensor, before or after the pixel shuffle",
        )
    codes = last.args[0]
    if str(codes.ty.dtype) != "uint8":
        raise ModelError(
            "the network's output is quantized to 16 bits, pixels have 8", hint="quantize the output tensor as uint8"
        )
    if codes.ty.shape is None:
        raise ModelError(
            "the compiler cannot tell the size of the network's output",
            hint="sizes must be whole multiples of the picture's",
        )
    table = pixel_table(moves, codes.ty.shape, shape[2], shape[3])
    if table is None:
        raise ModelError(
            "what follows the last quantization is not a pixel shuffle",
            hint="end the network in DepthToSpace, Reshape and Transpose",
        )
    chain = chains[codes]

    def draw(emitter: Emitter) -> Any:
        if isinstance(chain, ConvStep) and not any(emitter.reading(chain).cut):
            return emitter.draw(chain, table)
        return emitter.store(emitter.packed(codes), table, codes)

    def default(kernel: Kernel[Conv], columns: int) -> Tile:
        return default_tile(kernel.conv, columns, dot)

    def emitter(builder: relax.BlockBuilder, pixels: Any) -> Emitter:
        return Emitter(matcher, chains, module, builder, pixels, geometry, dot, choose or default)

    return write_main(matcher, emitter, draw)


def _chains(matcher: Matcher) -> dict[Any, Step | None]:
    """The chain of every quantized activation, in program order."""
    chains: dict[Any, Step | None] = {}
    for var, call in matcher.definitions.items():
        if isinstance(call, relax.Call) and getattr(call.op, "name", "") == "relax.quantize":
            chains[var] = matcher.chain(var)
    return chains


@tvm.transform.module_pass(opt_level=0, name="LowerQuantized")
class LowerQuantized:
    """`lower` as a Relax pass."""

    def __init__(self, geometry: Geometry, dot: Dot) -> None:
        self.geometry, self.dot = geometry, dot

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The lowered module."""
        return lower(module, self.geometry, self.dot).module
