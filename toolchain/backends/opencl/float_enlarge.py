"""Enlargement of floats by whole factors for OpenCL, as `toolchain.kernels.float_enlarge`: a work-item computes what
some neighbouring pixels become.
"""

from __future__ import annotations

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import bind, load, real, store, within
from toolchain.kernels.float_expressions import weighted
from toolchain.kernels.float_spec import FloatEnlarge, FloatPhase
from toolchain.kernels.layout import SIDE


def enlarge(operation: FloatEnlarge, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Return the kernel of ``operation``: arguments x, y. What surrounds the picture is left as it was filled."""
    source, target, given, margin = operation.source, operation.target, operation.phases, config.geometry.margin
    (above, below), factor = operation.surroundings, len(given)

    def body(at: Item) -> None:
        size, x, columns = at.size, at.inputs[0], range(-above, config.pixels + below)
        rows = {dy: bind("line", within(at.row + dy, size.height) + margin) for dy in range(-above, below + 1)}
        places = {dx: bind("place", within(at.column + dx, size.width) + SIDE) for dx in columns}
        with T.serial(0, target.count) as channel:
            IRBuilder.name("channel", channel)
            values = {
                (dy, dx): load("value", x, [rows[dy], source.start + channel, places[dx]], 1)[0]
                for dy in rows
                for dx in columns
            }
            for down, line in enumerate(given):
                weights = [real(weight) for weight in line.weights]
                sums = {
                    dx: bind("sum", weighted([values[place, dx] for place in _places(line)], weights)) for dx in columns
                }
                for p in range(config.pixels):
                    with T.If(at.column + p < size.width), T.Then():
                        for right, phase in enumerate(given):
                            parts = [sums[p + place] for place in _places(phase)]
                            total = weighted(parts, [real(weight) for weight in phase.weights])
                            row, column = at.row * factor + (margin + down), (at.column + p) * factor + (SIDE + right)
                            store(at.y, [row, target.start + channel, column], [total])

    return pixelwise([Form(source.total, dtype=dtype)], Form(target.total, scale=factor, dtype=dtype), config, body)


def _places(phase: FloatPhase) -> range:
    """Return how far behind its own the inputs lie that a phase is made of."""
    return range(phase.first, phase.first + len(phase.weights))
