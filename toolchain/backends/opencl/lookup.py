"""The kernel for OpenCL that looks codes up in a table."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from toolchain.backends.opencl.pixelwise import Array, Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import bind, call, code_of, load, number, store_codes
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.spec import Lookup

TABLE = "table"
"""The name of the argument."""


def lookup(operation: Lookup, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Look every code up: arguments x, table, y."""
    given, target, last = operation.source, operation.target, operation.entries - 1
    whole = operation.entries == given.view.qmax + 1

    def body(at: Item) -> None:
        (x,), words = at.inputs, dict[int, list[Any]]()

        def loaded(block: int) -> list[Any]:
            if block not in words:
                words[block] = load("word", x, [at.inner, block, at.column + SIDE], config.pixels)
            return words[block]

        for block in range(target.count):
            codes = []
            for channel in range(block * PACK, block * PACK + PACK):
                slot = channel // given.divide % given.modulo
                planes = [loaded(first + slot // PACK) for first, _ in given.view.planes(0)]
                row = channel if operation.rows > 1 else 0
                found = []
                for parts in zip(*planes, strict=True):
                    place = tirx.Cast("int32", code_of(parts, number(slot % PACK)))
                    if not whole:
                        place = call("int32", "clamp", place - number(operation.first), number(0), number(last))
                    found.append(tirx.Cast("uint32", at.array[row, bind("place", place)]))
                codes.append(found)
            store_codes(at.y, codes, target, operation.zero_point, (at.inner, block, at.column), at.size)

    table = Array(TABLE, (operation.rows, operation.entries), "uint16" if target.wide else "uint8")
    return pixelwise([Form(given.view.total)], Form(target.total), config, body, table)
