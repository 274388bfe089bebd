"""Enlargement by whole factors in integers for OpenCL, as `toolchain.kernels.enlarge`: a work-item computes what some
neighbouring pixels become.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise, slopes
from toolchain.backends.opencl.primitives import bind, call, code_of, follow, number, real, within
from toolchain.frontend.fixed_point import phases
from toolchain.kernels.enlarge import Sum, surroundings
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.spec import Interpolate, Operand, Requantize, View


def enlarge(operation: Interpolate, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Return the kernel of ``operation``: arguments x, r, slopes, y. What surrounds the picture is left as it was
    filled.
    """
    given = phases(operation.resizing)
    factor, source, target, margin = len(given), operation.source, operation.target, config.geometry.margin
    requantize, residual = operation.requantize, operation.requantize.residual
    down, across = Sum.of(given, operation.dropped), Sum.of(given, 0)
    multiplier = operation.multiplier * 2.0 ** (down.doubled + across.doubled)
    above, below = surroundings(given)
    zero = sum(down.phases[0].weights) * operation.zero_point
    half = (1 << (down.shift - 1)) if down.shift else 0

    def body(at: Item) -> None:
        size, x = at.size, at.inputs[0]
        rows = {dy: bind("line", within(at.row + dy, size.height) + margin) for dy in range(-above, below + 1)}
        columns = range(-above, config.pixels + below)
        places = {dx: bind("place", within(at.column + dx, size.width) + SIDE) for dx in columns}
        with T.serial(0, target.count) as block:
            IRBuilder.name("block", block)
            words = {
                (dy, dx): [bind("word", x[rows[dy], first + block, places[dx]]) for first, _ in source.planes(0)]
                for dy in rows
                for dx in places
            }
            for p, line in enumerate(down.phases):
                sums = {
                    (position, dx): bind("sum", _rounded(line, words, dx, position, half - zero, down.shift))
                    for position in range(PACK)
                    for dx in columns
                }
                for pixel in range(config.pixels):
                    with T.If(at.column + pixel < size.width), T.Then():
                        for q, phase in enumerate(across.phases):
                            row = at.row * factor + (margin + p)
                            column = (at.column + pixel) * factor + (SIDE + q)
                            totals = []
                            for position in range(PACK):
                                total: Any = None
                                for tap, weight in enumerate(phase.weights):
                                    part = sums[position, pixel + phase.first + tap] * number(weight)
                                    total = part if total is None else total + part
                                totals.append(tirx.Cast("float32", total) * real(multiplier))
                            finished(at, requantize, target, totals, (row, block, column))

    reads = [Form(source.total), *([] if residual is None else [Form(residual.view.total, scale=factor)])]
    bends = slopes(requantize.stages, target.count * PACK)
    return pixelwise(reads, Form(target.total, scale=factor), config, body, bends)


def finished(
    at: Item, requantize: Requantize, target: View, totals: Sequence[Any], place: tuple[Any, Any, Any]
) -> None:
    """Store what becomes of a block's four channels.

    Args:
        at: the work-item.
        requantize: the epilogue.
        target: where it is written to.
        totals: float32 of every channel, in steps of the output.
        place: row of the buffer, block of the target, column of the buffer.
    """
    row, block, column = place
    residual, codes = requantize.residual, []
    bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]
    for position, total in enumerate(totals):
        values, channel = [total], block * PACK + position
        for stage in requantize.stages:
            slope = None if at.array is None else at.array[channel]
            others = [] if residual is None else [_other(at, residual, row, column, channel)]
            values = follow(values, stage, slope, others)
        codes.append(bind("code", call("uint32", "requantize", values[0], *bounds)))
    _store(at.y, codes, target, place)


def _rounded(line: Any, words: Any, dx: int, position: int, constant: int, shift: int) -> Any:
    """Return the sum of a column, as much of it as is kept."""
    total: Any = number(constant)
    for tap, weight in enumerate(line.weights):
        code = code_of(words[line.first + tap, dx], number(position))
        total = total + tirx.Cast("int32", code) * number(weight)
    return total >> number(shift) if shift else total


def _other(at: Item, residual: Operand, row: Any, column: Any, channel: int) -> Any:
    """Return float32 of what is added."""
    slot = tirx.floormod(tirx.floordiv(channel, residual.divide), residual.modulo)
    block, position = tirx.floordiv(slot, PACK), tirx.floormod(slot, PACK)
    code = code_of([at.inputs[1][row, first + block, column] for first, _ in residual.view.planes(0)], position)
    return call("float32", "dequantize", code, number(residual.zero_point), real(residual.multiplier))


def _store(y: Any, codes: list[Any], target: View, place: tuple[Any, Any, Any]) -> None:
    row, block, column = place
    for index, (first, _) in enumerate(target.planes(0)):
        parts = codes
        if target.wide:
            parts = [code & tirx.const(255, "uint32") if index else code >> tirx.const(8, "uint32") for code in codes]
        T.buffer_store(y, call("uint32", "pack4", *parts), [row, first + block, column])
