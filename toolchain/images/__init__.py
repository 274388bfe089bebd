"""Pictures: read from every usual kind of file, and written into some of them with what their files said of them."""

from toolchain.images.formats import Format, PictureHeader, format_named, format_of, header_for
from toolchain.images.limits import MAX_PIXELS
from toolchain.images.opening import PictureFile, open_picture
from toolchain.images.photo import Metadata, Photo, Pixels, stacked, to_channels
from toolchain.images.sets import ImageSet, Skipped, picture_files, read_calibration, read_images, read_photo
from toolchain.images.writing import write_frames, write_photo

__all__ = [
    "MAX_PIXELS",
    "Format",
    "ImageSet",
    "Metadata",
    "Photo",
    "PictureFile",
    "PictureHeader",
    "Pixels",
    "Skipped",
    "format_named",
    "format_of",
    "header_for",
    "open_picture",
    "picture_files",
    "read_calibration",
    "read_images",
    "read_photo",
    "stacked",
    "to_channels",
    "write_frames",
    "write_photo",
]
