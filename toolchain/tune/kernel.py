"""One kernel alone: scheduled by a tile, compiled, and linked into a library of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tvm
from tvm import tirx
from tvm.s_tir import Schedule

from toolchain.build import tvm_target
from toolchain.kernels import conv as template
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.schedule import schedule_conv
from toolchain.kernels.tile import Tile
from toolchain.link import find_linker
from toolchain.targets import Target
from toolchain.tune.task import Task

ENTRY = "kernel"
"""Name of the function in a kernel's library."""


def compile_kernel(task: Task, tile: Tile, target: Target, path: Path) -> None:
    """Write the library of ``task``'s kernel, scheduled by ``tile``, to ``path``; it takes any size, as in a network.

    Raises:
        TargetError: there are no kernels for the instruction set, or no linker for the target.
    """
    dot = dot_product(target.instruction_set)
    function = template.build(task.conv, task.geometry(dot), dot).with_attr("global_symbol", ENTRY)
    sch = Schedule(tvm.IRModule({ENTRY: function}))
    schedule_conv(sch, task.conv, tile, dot, function=ENTRY)
    executable: Any = tvm.compile(sch.mod, target=tvm_target(target))
    executable.export_library(str(path), fcompile=find_linker(target.triple))


def instance(task: Task, target: Target) -> Any:
    """The unscheduled kernel at the task's size, as a module whose function is called ``main``: every loop has a known
    extent, which the cost model's features need.
    """
    dot = dot_product(target.instruction_set)
    geometry = task.geometry(dot)
    function = template.build(task.conv, geometry, dot)
    sizes = {"height": task.height, "tiles": geometry.tiles(task.width), "width": task.width}
    fixed = {parameter: tirx.const(sizes[parameter.name], "int64") for parameter in function.params
             if parameter.name in sizes}  # fmt: skip
    return tvm.IRModule({"main": function.specialize(fixed).with_attr("global_symbol", "main")})
