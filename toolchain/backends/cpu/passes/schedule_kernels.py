"""Every convolution kernel is scheduled by its tile.

Requires: the module is a lowered network, its kernels as templates made them. Ensures: their loops are tiled, and
products are the instructions of ``dot``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tvm
from tvm.s_tir import Schedule

from toolchain.kernels import algorithms
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.lower import Kernel


def schedule_kernels(kernels: Sequence[Kernel[Conv]], tiles: Mapping[str, Tile], dot: Dot) -> Any:
    """Return the pass for ``kernels``, with the tile of each by its name."""

    def apply(module: Any, _context: Any) -> Any:
        for kernel in kernels:
            symbol = module.get_global_var(kernel.name)
            schedule = Schedule(tvm.IRModule({"main": module[symbol]}))
            algorithms.schedule(schedule, kernel.conv, tiles[kernel.name], dot)
            module.update_func(symbol, schedule.mod["main"])
        return module

    return tvm.transform.module_pass(apply, opt_level=0, name="ScheduleKernels")
