"""One kernel alone: scheduled by a tile, compiled, and linked into a library of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tvm
from tvm.s_tir import Schedule

from toolchain.kernels import algorithms
from toolchain.kernels.bands import Read, Step
from toolchain.kernels.driver import whole
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Call, Picture, Tensor
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.schedules.task import Task
from toolchain.targets import Target
from toolchain.targets.linker import find_linker
from toolchain.targets.llvm import tvm_target

ENTRY = "kernel"
"""Name of the function in a kernel's library."""


ROWS = "kernel_rows"


def standalone(conv: Conv, geometry: Geometry, dot: Dot, tile: Tile) -> Any:
    """Return a module with ``conv`` scheduled by ``tile``, and the function `ENTRY` that runs it on whole tensors of
    any size: ``(input, residual if any, constants..., height, tiles, width, output)``.
    """
    kernel = algorithms.build(conv, geometry, dot, tile).with_attr("global_symbol", ROWS)
    sch = Schedule(tvm.IRModule({ROWS: kernel}))
    algorithms.schedule(sch, conv, tile, dot, function=ROWS)
    residual, pixels = conv.requantize.residual, conv.pixels
    operands = [Tensor(conv.source.total, 0, wide=conv.source.wide)]
    reads = [Read(0, conv.above[0], conv.reach[0] - conv.above[0])]
    if residual is not None:
        operands.append(Tensor(residual.view.total, residual.zero_point, wide=residual.view.wide))
        reads.append(Read(1))
    target = conv.target
    result: Tensor | Picture = Tensor(target.total, conv.requantize.zero_point, wide=target.wide)
    if pixels is not None:
        result = Picture(pixels.channels, pixels.scale)
    call = Call(
        ROWS,
        Step(tuple(reads), None if pixels else 2),
        algorithms.shapes(conv, dot, tile),
        None if pixels else conv.target,
    )
    module = sch.mod
    module[ENTRY] = whole(call, operands, result, geometry).with_attr("global_symbol", ENTRY)
    return module


def compile_kernel(task: Task, tile: Tile, target: Target, path: Path) -> None:
    """Write the library of ``task``'s kernel, scheduled by ``tile``, to ``path``; it takes any size, as in a network.

    Raises:
        TargetError: there are no kernels for the instruction set, or no linker for the target.
    """
    dot = dot_product(target.instruction_set)
    module = standalone(task.conv, task.geometry(dot), dot, tile)
    executable: Any = tvm.compile(module, target=tvm_target(target))
    executable.export_library(str(path), fcompile=find_linker(target.triple))
