"""Store what pixels of a network become: depth-to-space from words into the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import cast, extract, word
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import DepthToSpace

_GROUP = 4
"""Neighbouring pixels that are stored together."""

_LARGEST = 16
"""Bytes of a vector register that every processor has."""

Read = Callable[[int, Any, int], Any]
"""Gives the words of a block of codes for pixels from one on: a word for one pixel, a vector for `_GROUP`."""


def draw(y: Any, pixels: DepthToSpace, read: Read, row: Any, column: Any, count: Any, lanes: int) -> None:
    """Write what ``count`` pixels at ``row``, from ``column`` on, become into the picture ``y``, uint8 (h * scale,
    w * scale, channels); ``read`` gives the words of those pixels, the first of which it calls 0, from vectors of
    ``lanes``.

    Where channels lie in the order of pixels, as lowering lays them if it can, bytes are stored as many at a time as
    there are.
    """
    if pixels.table != tuple(range(len(pixels.table))):
        with T.serial(0, count) as v:
            for dy, dx, channel, slot in pixels.places():
                code = cast("uint8", extract(read(slot // PACK, v, 1), slot % PACK))
                T.buffer_store(y, code, [row * pixels.scale + dy, (column + v) * pixels.scale + dx, channel])
        return
    start: Any = 0
    if lanes % _GROUP == 0:
        groups = tirx.floordiv(count, _GROUP)
        with T.serial(0, groups) as v:
            _draw_group(y, pixels, read, row, column, v * _GROUP)
        start = groups * _GROUP
    with T.serial(start, count) as v:
        _draw_one(y, pixels, read, row, column, v)


def _draw_group(y: Any, pixels: DepthToSpace, read: Read, row: Any, column: Any, v: Any) -> None:
    """Pixels from v on: each 16 bytes of a row of the picture are put together from vectors of words."""
    run = pixels.scale * pixels.channels
    blocks = -(-len(pixels.table) // PACK)
    words = [T.bind(tirx.reinterpret(f"uint8x{_LARGEST}", read(block, v, _GROUP))) for block in range(blocks)]
    for dy in range(pixels.scale):
        for place, count in _cut(run * _GROUP):
            found = []
            for byte in range(place, place + count):
                pixel, offset = divmod(byte, run)
                block, position = divmod(dy * run + offset, PACK)
                found.append((block, pixel * PACK + position))
            # A run of bytes goes on through neighbouring pixels.
            value = _gathered(words, found)
            T.buffer_store(y, value, [row * pixels.scale + dy, (column + v) * pixels.scale, _ramp(place, count)])


def _gathered(words: Sequence[Any], places: Sequence[tuple[int, int]]) -> Any:
    """Bytes out of several vectors: pairs of a vector's number and the place in it; two vectors at a time."""
    first, *others = dict.fromkeys(number for number, _ in places)
    value, known = words[first], [place if number == first else None for number, place in places]
    for other in others:
        merged = [
            _LARGEST + place if number == other else mine for mine, (number, place) in zip(known, places, strict=True)
        ]
        value = _shuffled([value, words[other]], [*merged, *[None] * (_LARGEST - len(places))])
        known = [None if mine is None else index for index, mine in enumerate(merged)]
    if known == list(range(_LARGEST)):
        return value
    return _shuffled([value], known)


def _shuffled(vectors: Sequence[Any], places: Sequence[int | None]) -> Any:
    """Bytes of vectors in the order of their places; any where there is none."""
    return T.bind(tirx.Shuffle(list(vectors), [tirx.const(place or 0, "int32") for place in places]))


def _draw_one(y: Any, pixels: DepthToSpace, read: Read, row: Any, column: Any, v: Any) -> None:
    """Pixel v alone."""
    scale, run = pixels.scale, pixels.scale * pixels.channels
    words = [T.bind(read(block, v, 1)) for block in range(-(-len(pixels.table) // PACK))]
    for dy in range(scale):
        for place, count in _cut(run, PACK):
            block, byte = divmod(dy * run + place, PACK)
            value = words[block] >> word(8 * byte) if byte else words[block]
            if byte + count > PACK:
                value = value | words[block + 1] << word(32 - 8 * byte)
            T.buffer_store(y, _bytes(value, count), [row * scale + dy, (column + v) * scale, _ramp(place, count)])


def _cut(run: int, largest: int = _LARGEST) -> Iterator[tuple[int, int]]:
    """Places and sizes of the pieces in which ``run`` bytes are stored."""
    place, count = 0, largest
    while place < run:
        while count > run - place:
            count //= 2
        yield place, count
        place += count


def _bytes(value: Any, count: int) -> Any:
    if count == PACK:
        return tirx.reinterpret("uint8x4", value)
    return cast("uint8", value) if count == 1 else tirx.reinterpret("uint8x2", cast("uint16", value))


def _ramp(place: int, count: int) -> Any:
    return tirx.Ramp(place, 1, count) if count > 1 else place
