"""Kernels, tasks and records for the tests of tuning; none of them needs a compiler."""

from __future__ import annotations

from toolchain.kernels.layout import blocks_of
from toolchain.kernels.spec import Conv, DepthToSpace, Operand, Requantize, View
from toolchain.kernels.tile import Tile
from toolchain.lower import Kernel
from toolchain.schedules.records import Best, LogHeader, Trial
from toolchain.schedules.task import Task, normal

HEADER = LogHeader("x86-sse4", "x86_64-linux-gnu", "x86-64-v2", (), "sse4", "0.27.0.post1")
CPU = "A processor"
TILE = Tile(1, 4)


def conv(
    inputs: int = 8,
    outputs: int = 16,
    kernel: int = 3,
    groups: int = 1,
    *,
    residual: bool = False,
    slopes: bool = False,
    inner: tuple[float, float] | None = None,
    pixels: DepthToSpace | None = None,
    zero_point: int = 3,
    start: int = 0,
) -> Conv:
    count, made = blocks_of(inputs), blocks_of(outputs)
    operand = Operand(View(made + start, start, made), 1, made * 4, 9, 0.37) if residual else None
    requantize = Requantize(-zero_point, 255 - zero_point, zero_point, slopes, inner, operand)
    return Conv(
        View(count + start, start, count),
        made * 4,
        groups,
        (kernel, kernel),
        (kernel // 2,) * 2,
        (1, 1),
        requantize,
        View(made, 0, made),
        pixels,
    )


def task(height: int = 20, width: int = 30, threads: int = 1, **spec: int) -> Task:
    return Task(normal(conv(**spec)), height, width, threads)


def kernel(spec: Conv, macs: int = 100, enlarged: int = 1) -> Kernel:
    return Kernel("conv", spec, macs, enlarged)


def best(of: Task, tile: Tile = TILE, relative: float = 0.5, trials: int = 3) -> Best:
    return Best(of, tile, CPU, 0.002, relative, trials)


def trial(of: Task, tile: Tile = TILE, relative: float = 0.9) -> Trial:
    return Trial(of, tile, CPU, "ok", 0.003, relative)
