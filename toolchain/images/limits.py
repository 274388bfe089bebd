"""What no picture file may be: too large, or no file at all. What decoders raise becomes a sentence here."""

from __future__ import annotations

import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyvips
from PIL import Image, UnidentifiedImageError

from toolchain.support.errors import InputError

MAX_PIXELS = 150_000_000
"""Larger pictures are refused: they are rather an attack on memory than a photograph."""

MAX_BYTES = 2_000_000_000
"""Larger files are refused."""

MAX_FRAMES = 10_000
"""Animations of more are refused; and their frames have ten times ``MAX_PIXELS`` together at most."""

# What decoders raise on damaged files.
_DAMAGED = (
    pyvips.Error,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    OverflowError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
)


@contextmanager
def sentences(name: str) -> Iterator[None]:
    """Turn what decoders raise within the block into sentences about ``name``.

    Raises:
        InputError: the file is missing, damaged, or no picture.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of sizes that are checked here
        try:
            yield
        except FileNotFoundError:
            raise InputError(f"there is no file {name}") from None
        except PermissionError:
            raise InputError(f"{name} may not be read by this user") from None
        except UnidentifiedImageError:
            raise InputError(f"{name} is not a picture that can be read") from None
        except Image.DecompressionBombError:
            raise InputError(f"{name} has more than the {MAX_PIXELS // 10**6} million pixels that are read") from None
        except _DAMAGED as error:
            raise InputError(f"{name} is damaged or cut short") from error


def check_file(path: Path, name: str) -> None:
    """See that ``path`` is a file that may be read.

    Raises:
        InputError: it is not there, a folder or a device, or too large.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"there is no file {name}") from None
    except (OSError, ValueError) as error:  # a loop of links, a name of more bytes than names have
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'no such name'}") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a folder, not a picture")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} is no file but a pipe or a device", hint="give - to read a picture from a pipe")
    if status.st_size > MAX_BYTES:
        raise InputError(f"{name} has more than the {MAX_BYTES // 10**9} GB that are read")


def check_size(name: str, width: int, height: int, frames: int = 1) -> None:
    """See that a picture of this many pixels, and so many frames of them, is not too large.

    Raises:
        InputError: it is.
    """
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS // 10**6} million that are read",
            hint="crop or downscale it first",
        )
    if frames > MAX_FRAMES or frames * width * height > 10 * MAX_PIXELS:
        raise InputError(f"{name} has {frames} frames of {width} x {height} pixels, more than are read")
