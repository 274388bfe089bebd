"""Opening a picture file: what it holds is looked up, checked and described before any of its pixels are decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image, UnidentifiedImageError

from toolchain.images import colour, loading
from toolchain.images.limits import MAX_FRAMES, check_file, check_size, sentences
from toolchain.images.loading import Frame
from toolchain.images.metadata import bare_exif, exif_of_tiff, orientation_of, values_of
from toolchain.images.photo import Metadata, Photo
from toolchain.images.samples import SampleRange, Samples, find_range, split_16_bit
from toolchain.support.errors import InputError

_FORMATS = (
    "PNG",
    "JPEG",
    "TIFF",
    "WEBP",
    "AVIF",
    "GIF",
    "BMP",
    "DIB",
    "PPM",
    "JPEG2000",
    "QOI",
    "TGA",
    "PCX",
    "PSD",
    "DDS",
    "SGI",
    "ICO",
    "ICNS",
    "XBM",
    "IM",
)
"""Pillow knows more, some of which run other programs."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUBFILE, _PHOTOMETRIC, _ORIENTATION, _SUBIFDS, _XMP, _DNG = 254, 262, 274, 330, 700, 50706
_LAB = (8, 9, 10)
_RANGE_ROWS = 256
_USUAL = "save it with 8 or 16 bits"


@dataclass(frozen=True)
class PictureFile:
    """A picture file that has been opened.

    Attributes:
        name: for messages.
        height: of the upright picture, in pixels.
        width: the same.
        channels: 1 for grey, 3 for RGB.
        alpha: whether there is an alpha channel.
        deep: whether it has 16 bits a sample, or more, which become 16.
        durations: how long each frame is shown, in milliseconds; one 0 for a single picture, zeros for pages.
        plays: how often an animation is played, 0 without end.
        metadata: of the file, as it is there; the profile only where it describes these pixels.
        converted: the pixels are converted to sRGB.
        notes: what the user should know of how it is read.
        streams: whether it is decoded row by row, and not wholly at once.
    """

    name: str
    height: int
    width: int
    channels: int
    alpha: bool
    deep: bool
    durations: tuple[float, ...]
    plays: int
    metadata: Metadata
    converted: bool
    notes: tuple[str, ...]
    streams: bool
    _frames: tuple[Frame, ...]
    _range: SampleRange | None

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self._frames)

    def rows(self, frame: int, count: int) -> Iterator[Photo]:
        """Yield the rows of a frame, top to bottom, at most ``count`` at a time.

        Raises:
            InputError: the file turns out to be damaged; what came before is good.
        """
        decoded = _decoded(self._frames[frame], count)
        left = self.height
        while True:
            with sentences(self.name):
                samples = next(decoded, None)
            left -= 0 if samples is None else len(samples)
            wrong = samples is not None and samples.shape[1:] != (self.width, self.channels + self.alpha)
            if wrong or left < 0 or (samples is None and left):
                raise InputError(f"{self.name} is damaged: its frames are not of one size")
            if samples is None:
                return
            yield _photo(samples, self._range, self.metadata)


def open_picture(source: Path | bytes, name: str | None = None) -> PictureFile:
    """Open a picture file, or the bytes of one.

    Args:
        source: a path, or bytes.
        name: for messages; None for the path.

    Raises:
        InputError: missing, no file, not a picture, damaged, too large, or of samples that are no picture's.
    """
    name = str(source) if name is None and isinstance(source, Path) else name or "the picture"
    if isinstance(source, Path):
        check_file(source, name)
    with sentences(name):
        start = source[:16] if isinstance(source, bytes) else _start(source)
        return _open_tiff(source, name, start) if start[:4] in _TIFF else _open_other(source, name)


def suffixes() -> frozenset[str]:
    """Return what names of files end with that may be pictures, in small letters."""
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in _FORMATS)


def _open_tiff(source: Path | bytes, name: str, start: bytes) -> PictureFile:
    tags = Image.Exif()
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        tags.load_from_fp(file)
        values = values_of(tags)
        exif = exif_of_tiff(values, tags)
    if _DNG in values or start[8:10] == b"CR" or (_SUBIFDS in values and _number(values.get(_SUBFILE)) & 1):
        raise InputError(f"{name} is a camera's raw file", hint="develop it to a TIFF first")
    frame = Frame(source, "TIFF", lab=values.get(_PHOTOMETRIC) in _LAB)
    try:
        with _opened(frame) as image:
            page = loading.decode(frame, image)
    except (pyvips.Error, UnidentifiedImageError) as error:
        raise InputError(f"{name} is damaged, or of a kind of TIFF that is not read", hint=_USUAL) from error
    xmp = values.get(_XMP)
    metadata = Metadata(
        _field(page, "icc-profile-data"), exif, xmp if isinstance(xmp, bytes) else None, _tiff_dpi(values)
    )
    count = min(int(_field(page, "n-pages") or 1), MAX_FRAMES + 1)
    pages = _pages_like_the_first(frame, page, count)
    notes = (
        () if len(pages) == count else (f"{count - len(pages)} of its {count} pages, unlike the first, are left out",)
    )
    described = _describe(
        name, page, metadata, _number(values.get(_ORIENTATION)) or 1, [replace(frame, number=n) for n in pages]
    )
    return replace(described, notes=(*described.notes, *notes))


def _open_other(source: Path | bytes, name: str) -> PictureFile:
    with _pillow(source) as image:
        check_size(name, image.width, image.height)
        count = getattr(image, "n_frames", 1)
        several = image.format == "MPO" and count > 1
        frame = Frame(
            source, "JPEG" if image.format == "MPO" else str(image.format), animated=count > 1 and not several
        )
        frames, plays = [frame], 1
        durations: tuple[float, ...] = (0.0,)
        if frame.animated:
            check_size(name, image.width, image.height, count)
            frames, durations, plays = _animation(frame, image, count)
        metadata = _metadata(image)
        page = loading.decode(frames[0], None if frame.by_libvips else image)
        described = _describe(name, page, metadata, orientation_of(metadata.exif), frames)
    notes = (f"the first of its {count} pictures is taken",) if several else ()
    return replace(described, durations=durations, plays=plays, notes=(*described.notes, *notes))


def _describe(name: str, page: Any, metadata: Metadata, orientation: int, frames: list[Frame]) -> PictureFile:
    """Return what the first frame as the file has it tells of all."""
    check_size(name, page.width, page.height, len(frames))
    cmyk, lab = page.interpretation == "cmyk", page.interpretation == "lab"
    bands, converted = page.bands - cmyk, cmyk or lab
    if page.format not in loading.KINDS or (cmyk and page.format not in ("uchar", "ushort")):
        raise InputError(f"{name} has samples of a kind that no picture here has", hint=_USUAL)
    if bands > 4:
        raise InputError(f"{name} has {page.bands} samples a pixel: neither grey, nor RGB, nor CMYK")
    channels = 1 if bands < 3 else 3
    profile = colour.usable_profile(metadata.icc_profile, "CMYK" if cmyk else "RGB" if channels == 3 else "L")
    notes = []
    if metadata.icc_profile is not None and profile is None and not lab:
        notes.append("its colour profile cannot be used and is left out")
    if converted:
        notes.append(
            f"{'CMYK' if cmyk else 'Lab'} became sRGB"
            + (", by a usual CMYK profile" if cmyk and profile is None else "")
        )
    frames = [replace(frame, orientation=orientation, profile=profile if cmyk else None) for frame in frames]
    found = None
    if page.format not in ("uchar", "ushort") and not lab:
        found = _range_of(frames, name)
        if found.guessed:
            notes.append(f"its samples are taken as {found.black:g} for black and {found.white:g} for white")
    turned = orientation in (5, 6, 7, 8)
    return PictureFile(
        name=name,
        height=page.width if turned else page.height,
        width=page.height if turned else page.width,
        channels=channels,
        alpha=bands in (2, 4),
        deep=page.format != "uchar" and not lab and not (found is not None and found.eight_bits),
        durations=(0.0,) * len(frames),
        plays=1,
        metadata=replace(metadata, icc_profile=colour.srgb_profile() if converted else profile),
        converted=converted,
        notes=tuple(notes),
        streams=frames[0].streams,
        _frames=tuple(frames),
        _range=found,
    )


def _metadata(image: Image.Image) -> Metadata:
    exif, xmp = bare_exif(image.info.get("exif")), image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if exif is None and len(image.getexif()):  # old PNG files hide it in a text
        exif = bare_exif(image.getexif().tobytes())
    profile = image.info.get("icc_profile")
    return Metadata(
        profile if isinstance(profile, bytes) else None,
        exif,
        xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else None,
        _dpi(image.info.get("dpi")) or _tiff_dpi(dict(image.getexif())),
    )


def _animation(frame: Frame, image: Image.Image, count: int) -> tuple[list[Frame], tuple[float, ...], int]:
    """Frames, durations in milliseconds, and how often they are played."""
    first = 1 if getattr(image, "default_image", False) else 0  # of APNG: shown where animations are not known
    durations = []
    for number in range(first, count):
        image.seek(number)
        if image.format == "WEBP":  # whose times are known when a frame is decoded
            image.load()
        durations.append(float(image.info.get("duration") or 0))
    image.seek(0)
    loop = image.info.get("loop")
    plays = int(loop or 0)
    if image.format == "GIF":  # which counts repetitions
        plays = 1 if loop is None else plays and plays + 1
    return [replace(frame, number=number) for number in range(first, count)], tuple(durations), plays


def _pages_like_the_first(first: Frame, page: Any, count: int) -> list[int]:
    """Return the pages of a TIFF that have the first one's size and kind; others are reduced copies or
    something else.
    """

    def kind(image: Any) -> tuple[Any, ...]:
        return image.width, image.height, image.bands, image.format, image.interpretation

    others = [number for number in range(1, count) if kind(loading.decode(replace(first, number=number))) == kind(page)]
    return [0, *others]


def _range_of(frames: list[Frame], name: str) -> SampleRange:
    return find_range((samples for frame in frames for samples in _decoded(frame, _RANGE_ROWS)), name)


def _decoded(frame: Frame, count: int) -> Iterator[Samples]:
    with _opened(frame) as image:
        yield from loading.rows(loading.load(frame, image), count)


def _photo(samples: Samples, found: SampleRange | None, metadata: Metadata) -> Photo:
    if found is not None:
        samples = found.to_16_bit(samples)
    remainder = None
    if samples.dtype != np.uint8:
        samples, remainder = split_16_bit(samples)
    if found is not None and found.eight_bits:
        remainder = None
    colours = 1 if samples.shape[2] < 3 else 3
    alpha = np.ascontiguousarray(samples[:, :, -1]) if samples.shape[2] in (2, 4) else None
    return Photo(np.ascontiguousarray(samples[:, :, :colours]), alpha, remainder, metadata)


@contextmanager
def _opened(frame: Frame) -> Iterator[Image.Image | None]:
    """Yield the file opened by Pillow, where Pillow decodes it."""
    if frame.by_libvips:
        yield None
        return
    with _pillow(frame.source) as image:
        yield image


def _pillow(source: Path | bytes) -> Image.Image:
    Image.init()
    known = [kind for kind in _FORMATS if kind in Image.OPEN]
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=known)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _field(image: Any, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) else None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(number) for number in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if min(across, down) > 1 and max(across, down) < 1e5 else None


def _tiff_dpi(values: dict[int, Any]) -> tuple[float, float] | None:
    found = _dpi((values.get(282), values.get(283)))
    inches = {2: 1.0, 3: 2.54}.get(_number(values.get(296)) or 2)
    return None if found is None or inches is None else (found[0] * inches, found[1] * inches)
