"""Schedule a convolution by its tile: loops, vectors and registers."""

from __future__ import annotations

from typing import Any

from tvm.s_tir import Schedule

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.intrinsics.matrix import MatrixDot
from toolchain.kernels.layout import PACK
from toolchain.kernels.matrix import schedule_matrix_sums
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile


def schedule_conv(sch: Schedule, conv: Conv, tile: Tile, dot: Dot, *, function: str = "main") -> None:
    """Apply ``tile`` to the function that `toolchain.kernels.conv.build` made of ``conv``.

    The tile must fit (`Tile.fits`).
    """
    sch.work_on(function)
    acc = sch.get_sblock("acc")
    if conv.pixels is None:
        out = sch.get_sblock("out")
        block, row, column = sch.get_loops(out)
    else:
        out, pixels = sch.get_sblock("row"), sch.get_sblock("pixels")
        (picture_row,) = sch.get_loops(pixels)[:1]
        sch.compute_at(out, picture_row, preserve_unit_loops=True)
        row, block, column = sch.get_loops(out)[-4:-1]
    outer, vector = sch.split(column, [None, tile.vectors])
    block_outer, block_inner = sch.split(block, [None, tile.channels // PACK])
    loops = (outer, block_outer) if tile.outer == "columns" else (block_outer, outer)
    sch.reorder(row, *loops, block_inner, vector)
    # preserve_unit_loops: the loops named below must be there whatever the tile's sizes are
    sch.compute_at(acc, loops[-1], preserve_unit_loops=True)
    if conv.source.wide:
        high = sch.get_sblock("high")
        sch.compute_at(high, loops[-1], preserve_unit_loops=True)
        _schedule_sums(sch, high, conv, tile, dot)
        # Read by the initialization only; a dot product does not know it.
        sch.unsafe_hide_buffer_access(acc, "read", [len(sch.get(acc).reads) - 1])
    _schedule_sums(sch, acc, conv, tile, dot)
    sch.unroll(vector)
    sch.unroll(block_inner)


def _schedule_sums(sch: Schedule, acc: Any, conv: Conv, tile: Tile, dot: Dot) -> None:
    """Schedule the block ``acc``, which has been moved to where its sums are used."""
    if isinstance(dot, MatrixDot):
        schedule_matrix_sums(sch, acc, tile)
    else:
        _schedule_word_sums(sch, acc, conv, tile, dot)


def _schedule_word_sums(sch: Schedule, acc: Any, conv: Conv, tile: Tile, dot: Dot) -> None:
    """Do the same, a word at a time."""
    channel, pixel, k, i, j, q = sch.get_loops(acc)[-6:]
    acc_vector, acc_lanes = sch.split(pixel, [None, dot.lanes])
    sums = (i, j, k) if tile.reduce == "taps" else (k, i, j)
    intrinsic = dot.symmetric if conv.symmetric and dot.symmetric else dot.intrinsic
    if intrinsic is not None:
        channel, together = sch.split(channel, [None, dot.together])
        sch.reorder(*sums, channel, acc_vector, together, acc_lanes, q)
    else:
        sch.reorder(*sums, channel, acc_vector, q, acc_lanes)
        sch.vectorize(acc_lanes)
        sch.unroll(q)
    sch.unroll(channel)
    sch.unroll(acc_vector)
    if tile.unroll:
        sch.unroll(sums[-1])
    init = sch.decompose_reduction(acc, sums[0])
    *rest, init_lanes = sch.get_loops(init)
    if intrinsic is not None:
        sch.tensorize(acc_lanes if dot.together == 1 else together, intrinsic)
        sch.vectorize(init_lanes)
    for loop in rest[-3:]:
        sch.unroll(loop)
