"""Colour profiles: which are kept with their pixels, and the conversion to sRGB of all that is neither RGB nor grey.

RGB and grey pixels stay in the space that their profile names, which the result carries too: enlarging them moves no
colour, and nothing that is outside of sRGB is lost. CMYK and Lab become sRGB.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import pyvips
from PIL import Image, ImageCms

from toolchain.images.photo import Pixels

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_MOST = 16 << 20  # bytes; those of printers have 2 MB
_INTENT: dict[str, Any] = {"intent": "relative", "black_point_compensation": True}


def usable_profile(profile: object, mode: str) -> bytes | None:
    """``profile`` if it describes pixels of ``mode`` ("RGB", "L" or "CMYK") and can be computed with, else None."""
    if not isinstance(profile, bytes) or not 132 <= len(profile) <= _MOST or _MODES.get(profile[16:20]) != mode:
        return None
    try:
        ImageCms.buildTransform(io.BytesIO(profile), _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return profile


def cmyk_to_srgb(image: Any, profile: bytes | None) -> Any:
    """CMYK, a pyvips image, as sRGB with as many bits a sample; by libvips' CMYK profile where none is given."""
    bare = image.copy()
    if profile is not None:
        bare.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    elif bare.get_typeof("icc-profile-data"):
        bare.remove("icc-profile-data")
    depth = 16 if image.format == "ushort" else 8
    return bare.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth, **_INTENT)


def lab_to_srgb(image: Any) -> Any:
    """Return a pyvips image of CIELAB (float, D50 as TIFF and profiles have it) as one of sRGB, 8 bits."""
    return image.icc_export(output_profile="srgb", pcs="lab", depth=8, **_INTENT)


def pixels_to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """U8 (h, w, 1 or 3) of ``profile``, as ``usable_profile`` gives it, as sRGB u8 of the same shape."""
    grey = pixels.shape[2] == 1
    image = Image.fromarray(pixels[:, :, 0] if grey else pixels)
    found = np.asarray(ImageCms.applyTransform(image, _to_srgb(profile, image.mode)))
    return found[:, :, :1] if grey else found


@functools.lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return the profile of what has been converted to sRGB."""
    image = pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb").icc_transform("srgb", input_profile="srgb")
    return bytes(image.get("icc-profile-data"))


@functools.lru_cache(maxsize=4)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(
        io.BytesIO(profile), _srgb(), mode, "RGB", intent, ImageCms.Flags.BLACKPOINTCOMPENSATION
    )


@functools.lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
