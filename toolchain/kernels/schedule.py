"""How a convolution is laid out in time: register tiles, loop order, vectors and threads."""

from __future__ import annotations

from dataclasses import dataclass

from tvm.s_tir import Schedule

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Conv


@dataclass(frozen=True)
class Tile:
    """A register tile: ``vectors`` pixel vectors times ``channels`` output channels, all accumulated in registers."""

    vectors: int
    channels: int


def default_tile(conv: Conv, columns: int, dot: Dot) -> Tile:
    """The tile an untuned build takes: the instruction set's own, reduced until it divides columns and channels."""
    vectors = max(v for v in range(1, dot.vectors + 1) if columns % (v * dot.lanes) == 0)
    group = conv.channels // conv.groups
    channels = max(c for c in range(PACK, max(dot.channels, PACK) + 1, PACK) if group % c == 0)
    return Tile(vectors, channels)


def schedule_conv(sch: Schedule, conv: Conv, tile: Tile, dot: Dot, *, function: str = "main") -> None:
    """Apply ``tile`` to the function that `toolchain.kernels.conv.build` made of ``conv``.

    ``columns`` of the geometry must be a multiple of ``tile.vectors * dot.lanes``.
    """
    sch.work_on(function)
    acc = sch.get_sblock("acc")
    if conv.pixels is None:
        out = sch.get_sblock("out")
        block, row, column = sch.get_loops(out)
    else:
        out, pixels = sch.get_sblock("row"), sch.get_sblock("pixels")
        (picture_row,) = sch.get_loops(pixels)[:1]
        sch.parallel(picture_row)
        sch.compute_at(out, picture_row, preserve_unit_loops=True)
        row, block, column = sch.get_loops(out)[-3:]
    outer, inner = sch.split(column, [None, tile.vectors * dot.lanes])
    vector, lanes = sch.split(inner, [None, dot.lanes])
    block_outer, block_inner = sch.split(block, [None, tile.channels // PACK])
    sch.reorder(row, outer, block_outer, block_inner, vector, lanes)
    if conv.pixels is None:
        sch.parallel(row)
    # preserve_unit_loops: the number of loops must not depend on tile sizes, or a tuning trace could not be replayed
    sch.compute_at(acc, block_outer, preserve_unit_loops=True)
    channel, pixel, k, i, j, q = sch.get_loops(acc)[-6:]
    acc_vector, acc_lanes = sch.split(pixel, [None, dot.lanes])
    if dot.intrinsic is not None:
        sch.reorder(i, j, k, channel, acc_vector, acc_lanes, q)
    else:
        sch.reorder(i, j, k, channel, acc_vector, q, acc_lanes)
        sch.vectorize(acc_lanes)
        sch.unroll(q)
    sch.unroll(channel)
    sch.unroll(acc_vector)
    init = sch.decompose_reduction(acc, i)
    *rest, init_lanes = sch.get_loops(init)
    if dot.intrinsic is not None:
        sch.tensorize(acc_lanes, dot.intrinsic)
        sch.vectorize(init_lanes)
    for loop in rest[-2:]:
        sch.unroll(loop)
    sch.vectorize(lanes)
    sch.unroll(vector)
    sch.unroll(block_inner)
    if conv.pixels is None:
        _spread_fill(sch, dot)


def _spread_fill(sch: Schedule, dot: Dot) -> None:
    """Vectorize the rows of zero points above and below the picture."""
    *_, column = sch.get_loops(sch.get_sblock("rows"))
    _, lanes = sch.split(column, [None, dot.lanes])
    sch.vectorize(lanes)
