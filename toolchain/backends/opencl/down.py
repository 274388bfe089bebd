"""Kernels for OpenCL that make pictures smaller: pixels laid into phases, and the largest of every window."""

from __future__ import annotations

import itertools

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.pixelwise import Form, Item, PixelwiseConfig, pixelwise
from toolchain.backends.opencl.primitives import call, code_of, load, number, private, store, store_codes
from toolchain.kernels.arguments import phase, tap
from toolchain.kernels.layout import PACK, SIDE
from toolchain.kernels.spec import Pool, SpaceToDepth


def space_to_depth(operation: SpaceToDepth, dtype: str, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Lay squares of pixels of a packed tensor of ``dtype`` into blocks: arguments x, y. What surrounds the picture is
    left as it was filled.
    """
    source, target, size = operation.source, operation.target, operation.size
    margin = config.geometry.margin

    def body(at: Item) -> None:
        for (read, _), (written, _) in zip(source.planes(0), target.planes(operation.zero_point), strict=True):
            with T.serial(0, source.count) as block:
                IRBuilder.name("block", block)
                for phase_, p in itertools.product(range(size**2), range(config.pixels)):
                    (down, across), column = divmod(phase_, size), at.column + p
                    with T.If(column < at.size.width), T.Then():
                        place = [at.row * size + (margin + down), read + block, column * size + (SIDE + across)]
                        word = load("word", at.inputs[0], place, 1)
                        store(at.y, [at.inner, written + block * size**2 + phase_, column + SIDE], word)

    return pixelwise([Form(source.total, scale=size, dtype=dtype)], Form(target.total, dtype=dtype), config, body)


def pool(operation: Pool, config: PixelwiseConfig) -> tirx.PrimFunc:
    """Keep the largest code of every window: arguments x, y."""
    source, target = operation.source, operation.target
    phases = operation.stride[0] * operation.stride[1]

    def body(at: Item) -> None:
        found = private("found", PACK * config.pixels, "uint32")
        places = [(place, p) for place in range(PACK) for p in range(config.pixels)]
        with T.serial(0, target.count) as block:
            IRBuilder.name("block", block)
            for place, p in places:
                T.buffer_store(found, tirx.const(0, "uint32"), [place * config.pixels + p])
            with T.grid(*operation.kernel) as (i, j):
                row, column = tap(operation, at.inner - operation.above[0], at.column, i, j)
                first = block * phases + phase(operation, i, j)
                planes = [
                    load("word", at.inputs[0], [row, start + first, column], config.pixels)
                    for start, _ in source.planes(0)
                ]
                words = list(zip(*planes, strict=True))
                for place, p in places:
                    index = place * config.pixels + p
                    larger = call("uint32", "max", found[index], code_of(words[p], number(place)))
                    T.buffer_store(found, larger, [index])
            codes = [[found[place * config.pixels + p] for p in range(config.pixels)] for place in range(PACK)]
            store_codes(at.y, codes, target, operation.zero_point, (at.inner, block, at.column), at.size)

    return pixelwise([Form(source.total)], Form(target.total), config, body)
