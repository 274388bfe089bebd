"""PyAV, which is FFmpeg: loaded where it is needed, kept to what it may open, and its errors as sentences."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolchain.images.limits import check_file
from toolchain.support.errors import InputError

SUFFIXES = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
}
"""Of files that are written, and FFmpeg's names of their formats."""

READ = frozenset({*SUFFIXES, ".avi", ".mpg", ".mpeg", ".m2ts", ".mts", ".flv", ".wmv", ".ogv", ".3gp", ".vob"})
"""Suffixes of files that are taken for films."""

_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,nut,h264,hevc"
"""Formats that hold a film themselves: playlists name other files, and addresses."""

_HINT = "see whether a player plays it, or convert it: ffmpeg -i FILM film.mkv"


def load_av() -> Any:
    """Import PyAV, which then says nothing by itself.

    Raises:
        InputError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            "films want PyAV", hint="pip install 'clipfree[video]', or pipe YUV4MPEG2 through: docs/video.md"
        ) from error
    av.logging.set_level(None)
    os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 has a log of its own
    return av


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield the container of a film; nothing else is opened for it.

    Raises:
        InputError: there is none, or it is damaged; so do errors of FFmpeg's within the block.
    """
    av = load_av()
    check_file(path, str(path))
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    with (
        sentences(str(path)),
        path.open("rb") as file,
        av.open(file, options=options, metadata_errors="replace") as found,
    ):
        yield found


@contextmanager
def sentences(name: str) -> Iterator[None]:
    """Turn FFmpeg's errors within the block into sentences about ``name``.

    Raises:
        InputError: there was one.
    """
    av = load_av()
    try:
        yield
    except (av.error.FFmpegError, EOFError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # of what is written
            raise
        raise InputError(f"{name} is damaged, or no film that can be read", hint=_HINT) from error
