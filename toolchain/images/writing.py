"""Writing a picture into a file of any of the formats, from rows that come one after another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from toolchain.images.formats import Format, PictureHeader, format_of
from toolchain.images.photo import Photo
from toolchain.images.png import png_parts
from toolchain.images.streamed import write_jpeg, write_tiff
from toolchain.images.whole import write_whole
from toolchain.support.files import atomic_write

Frames = Iterable[Iterable[Photo]]

QUALITY = 95
"""The quality of JPEG and WebP, of 100."""


def write_frames(
    file: IO[bytes], kind: Format, header: PictureHeader, frames: Frames, *, quality: int = QUALITY
) -> None:
    """Write a picture into a file that is open; formats that stream hold no more of it than the rows that come.

    Args:
        file: opened for writing and reading, on a disk.
        kind: its format.
        header: what is written.
        frames: for each frame its rows, top to bottom, as pictures of some rows.
        quality: 1 to 100, of JPEG and WebP.

    Raises:
        InputError: the format cannot hold this picture.
        OSError: ``file`` cannot be written.
    """
    if kind.name == "PNG":
        for part in png_parts(header, frames):
            file.write(part)
    elif kind.name == "JPEG":
        write_jpeg(file, header, frames, quality=quality)
    elif kind.name == "TIFF":
        write_tiff(file, header, frames)
    else:
        write_whole(file, header, frames, kind, quality=quality)


def write_photo(path: Path, photo: Photo) -> None:
    """Write a picture in the format of ``path``'s suffix, wholly or not at all.

    Raises:
        InputError: the suffix is no picture's, or its format cannot hold this one.
        OutputError: the file cannot be written.
    """
    kind = format_of(path)
    kind.check_rows(photo, path.name)
    height, width, channels = photo.pixels.shape
    header = PictureHeader(
        height,
        width,
        channels,
        photo.alpha is not None and kind.alpha,
        photo.remainder is not None and kind.deep,
        metadata=photo.metadata,
    )
    with atomic_write(path) as file:
        write_frames(file, kind, header, [[header.fit(photo)]])
