"""The kinds of file that pictures are written into, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from toolchain.images.metadata import described
from toolchain.images.opening import PictureFile
from toolchain.images.photo import Metadata, Photo
from toolchain.images.scale import enlarged
from toolchain.support.errors import InputError


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: as Pillow names it.
        suffixes: of its files, the usual one first.
        longest: the most pixels a side that it can hold.
        alpha: whether it holds transparency.
        deep: whether it holds 16 bits a sample.
        frames: whether it holds several.
        streams: whether rows are written as they come, and need not be there all at once.
        profile: whether it names the colours' space; pixels become sRGB where it does not.
        quality: whether it has one.
    """

    name: str
    suffixes: tuple[str, ...]
    longest: int
    alpha: bool = True
    deep: bool = False
    frames: bool = False
    streams: bool = False
    profile: bool = True
    quality: bool = False

    def check_rows(self, photo: Photo, name: str) -> None:
        """See whether these rows of the picture ``name`` can be held.

        Raises:
            InputError: they are transparent, which no such file can be.
        """
        if not self.alpha and photo.alpha is not None and photo.alpha.min() < 255:
            raise InputError(f"{name} is transparent, which {self.suffixes[0]} cannot hold", hint="write a .png")


FORMATS = (
    Format("PNG", (".png", ".apng"), 2**31 - 1, deep=True, frames=True, streams=True),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), 65500, alpha=False, streams=True, quality=True),
    Format("WEBP", (".webp",), 16383, frames=True, quality=True),
    Format("TIFF", (".tiff", ".tif"), 2**31 - 1, deep=True, frames=True, streams=True),
    Format("GIF", (".gif",), 65535, frames=True, profile=False),
    Format("BMP", (".bmp",), 2**31 - 1, alpha=False, profile=False),
    Format("PPM", (".ppm", ".pgm", ".pnm"), 2**31 - 1, alpha=False, profile=False),
)

NAMES = ("png", "jpg", "webp", "tiff")
"""What ``--format`` chooses among."""


@dataclass(frozen=True)
class PictureHeader:
    """What is written, before its rows: sizes are of the written picture.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 1 for grey, 3 for RGB.
        alpha: whether there is an alpha channel.
        deep: 16 bits a sample.
        durations: of each frame in milliseconds; one 0 for a single picture.
        plays: how often an animation is played, 0 without end.
        metadata: of the written picture.
    """

    height: int
    width: int
    channels: int
    alpha: bool = False
    deep: bool = False
    durations: tuple[float, ...] = (0.0,)
    plays: int = 1
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def samples(self) -> int:
        """Samples a pixel."""
        return self.channels + self.alpha

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of samples."""
        return self.width * self.samples * (2 if self.deep else 1)

    def fit(self, photo: Photo) -> Photo:
        """Return rows of the picture without what is not written of them: alpha, and what 8 bits leave over."""
        if not self.alpha:
            photo = photo.opaque()
        return photo if self.deep else replace(photo, remainder=None)


def format_of(path: Path) -> Format:
    """Return the kind of file that a name stands for.

    Raises:
        InputError: none.
    """
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes:
            return known
    raise InputError(
        f"{path.name or path} does not end as a picture does that can be written",
        hint="write a .png, .jpg, .webp or .tiff",
    )


def format_named(name: str) -> Format:
    """Return the kind of file that ``--format`` names.

    Raises:
        InputError: none.
    """
    if name not in NAMES:
        raise InputError(f"there is no --format {name}", hint=f"choose among {', '.join(NAMES)}")
    return format_of(Path(f"x.{name}"))


def header_for(picture: PictureFile, scale: int | Fraction, kind: Format) -> tuple[PictureHeader, tuple[str, ...]]:
    """Return what becomes of a picture that is enlarged by ``scale`` in a file of a kind, and what the user should know
    of it.

    Raises:
        InputError: it is larger than such files can be.
    """
    height, width = enlarged(picture.height, scale), enlarged(picture.width, scale)
    if max(height, width) > kind.longest:
        raise InputError(
            f"{picture.name} becomes {width} x {height} pixels, {kind.suffixes[0]} holds {kind.longest} a side at most",
            hint="write a .png or a .tiff",
        )
    notes = list(picture.notes)
    if picture.deep and not kind.deep:
        notes.append(f"its 16 bits a sample become 8, {kind.suffixes[0]} holds no more")
    if picture.frames > 1 and not kind.frames:
        notes.append(f"the first of its {picture.frames} frames is taken, {kind.suffixes[0]} holds no more")
    if kind.name == "GIF":
        notes.append(".gif holds 256 colours only")
    metadata = described(picture.metadata, width=width, height=height, srgb=picture.converted)
    if picture.metadata.exif is not None and metadata.exif is None:
        notes.append("its EXIF data is damaged and left out")
    header = PictureHeader(
        height=height,
        width=width,
        channels=picture.channels,
        alpha=picture.alpha and kind.alpha,
        deep=picture.deep and kind.deep,
        durations=picture.durations if kind.frames else picture.durations[:1],
        plays=picture.plays,
        metadata=metadata if kind.profile else replace(metadata, xmp=None, exif=None),
    )
    return header, tuple(notes)
