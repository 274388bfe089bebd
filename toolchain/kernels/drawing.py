"""Store what pixels of a network become: depth-to-space from words into the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import cast, extract, word
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import DepthToSpace


def draw(y: Any, pixels: DepthToSpace, read: Callable[[int], Any], row: Any, column: Any) -> None:
    """Write what the pixel at ``row`` and ``column`` becomes into the picture ``y``, uint8 (h * scale, w * scale,
    channels); ``read`` gives the word of a block of its codes.

    Where channels lie in the order of pixels, as lowering lays them if it can, bytes are stored four at a time.
    """
    scale = pixels.scale
    if pixels.table != tuple(range(len(pixels.table))):
        for dy, dx, channel, slot in pixels.places():
            code = cast("uint8", extract(read(slot // PACK), slot % PACK))
            T.buffer_store(y, code, [row * scale + dy, column * scale + dx, channel])
        return
    run = scale * pixels.channels
    words = [T.bind(read(block)) for block in range(-(-len(pixels.table) // PACK))]
    for dy in range(scale):
        for place, count in _cut(run):
            block, byte = divmod(dy * run + place, PACK)
            value = words[block] >> word(8 * byte) if byte else words[block]
            if byte + count > PACK:
                value = value | words[block + 1] << word(32 - 8 * byte)
            # A run of bytes goes on through neighbouring pixels.
            T.buffer_store(y, _bytes(value, count), [row * scale + dy, column * scale, _ramp(place, count)])


def _cut(run: int) -> Iterator[tuple[int, int]]:
    """Places and sizes of the pieces in which ``run`` bytes are stored."""
    place = 0
    for count in (4, 2, 1):
        while run - place >= count:
            yield place, count
            place += count


def _bytes(value: Any, count: int) -> Any:
    if count == PACK:
        return tirx.reinterpret("uint8x4", value)
    return cast("uint8", value) if count == 1 else tirx.reinterpret("uint8x2", cast("uint16", value))


def _ramp(place: int, count: int) -> Any:
    return tirx.Ramp(place, 1, count) if count > 1 else place
