"""The packed layout of activations inside a compiled network.

A tensor of C channels is ``ceil(C / 4)`` blocks. One ``uint32`` word holds the codes of four channels of one pixel,
the first channel in the lowest byte; an array of words has the shape ``(rows + 2*margin, blocks, pitch)``. Pixels are
contiguous, so a vector register holds 16 (or 8, or 4) neighbouring pixels of four channels: exactly what the
dot-product instructions of AVX512-VNNI, NEON and OpenCL take, with no lane wasted on odd channel counts.

What lies outside the picture is stored as the tensor's zero point: ``margin`` rows above and below, `SIDE` words left
and right of which the inner ``margin`` are meaningful, and the columns from the true width up to a whole number of
column tiles. A convolution therefore reads its zero padding from memory and needs no special case at a border.

Of a tensor whose codes have 16 bits, the high bytes come first, laid out like any tensor's codes, then the low bytes in
as many blocks: each half is what instructions for bytes read, and has its own half of the zero point around it.

For instructions that multiply signed bytes only, codes are stored less 128 (`Geometry.offset`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SIDE = 16
"""Words before and after the pixels of a row: one 64-byte vector, so that rows start aligned."""

PACK = 4
"""Channels in a word."""


@dataclass(frozen=True)
class Geometry:
    """What all packed tensors of one network share.

    Attributes:
        margin: rows and columns of zero point around the picture; the largest padding in the network, at most `SIDE`.
        columns: pixels in a column tile; a multiple of the vector length. Widths are rounded up to it.
        offset: codes are stored less this number, 0 or 128: what the instruction set's dot product takes.
    """

    margin: int
    columns: int
    offset: int = 0

    def tiles(self, width: int) -> int:
        """Return the number of column tiles that cover ``width`` pixels."""
        return -(-width // self.columns)

    def shape(self, blocks: int, rows: Any, tiles: Any) -> tuple[Any, Any, Any]:
        """Return the shape of a packed tensor; ``rows`` and ``tiles`` may be numbers or TVM expressions."""
        return self.window(blocks, rows + 2 * self.margin, tiles)

    def window(self, blocks: int, rows: Any, tiles: Any) -> tuple[Any, Any, Any]:
        """Return the shape of ``rows`` rows of a packed tensor, whatever they are."""
        return rows, blocks, self.pitch(tiles)

    def pitch(self, tiles: Any) -> Any:
        """Return the words of a row of a packed tensor."""
        return tiles * self.columns + 2 * SIDE


def blocks_of(channels: int) -> int:
    """Return words that hold ``channels`` codes of one pixel."""
    return -(-channels // PACK)


def pack(codes: np.ndarray, geometry: Geometry, zero_point: int) -> np.ndarray:
    """Pack uint8 ``(C, h, w)`` into uint32 ``(h + 2*margin, blocks, pitch)``, uint16 into twice as many blocks; missing
    channels hold the zero point.
    """
    if codes.dtype == np.uint16:
        halves = (
            pack((codes >> 8).astype(np.uint8), geometry, zero_point >> 8),
            pack((codes & 255).astype(np.uint8), geometry, zero_point & 255),
        )
        return np.concatenate(halves, axis=1)
    channels, height, width = codes.shape
    tiles = geometry.tiles(width)
    rows, blocks, pitch = geometry.shape(blocks_of(channels), height, tiles)
    full = np.full((blocks * PACK, rows, pitch), zero_point, np.uint8)
    margin = geometry.margin
    full[:channels, margin : margin + height, SIDE : SIDE + width] = codes
    ordered = np.ascontiguousarray(full.reshape(blocks, PACK, rows, pitch).transpose(2, 0, 3, 1))
    return (ordered ^ np.uint8(geometry.offset)).view("<u4")[..., 0]


def unpack(
    words: np.ndarray, geometry: Geometry, channels: int, height: int, width: int, *, wide: bool = False
) -> np.ndarray:
    """Inverse of `pack`: uint8 ``(channels, height, width)``, uint16 if ``wide``."""
    if wide:
        high, low = (unpack(half, geometry, channels, height, width) for half in np.split(words, 2, axis=1))
        joined: np.ndarray = high.astype(np.uint16) << 8 | low
        return joined
    bytes_ = np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, PACK) ^ np.uint8(geometry.offset)
    margin = geometry.margin
    inner = bytes_[margin : margin + height, :, SIDE : SIDE + width]
    return np.ascontiguousarray(inner.transpose(1, 3, 0, 2)).reshape(-1, height, width)[:channels]
