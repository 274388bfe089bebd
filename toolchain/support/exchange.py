"""Putting a new folder in the place of an old one, so that at every moment one of them is there."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolchain.support.locks import locked
from toolchain.support.signals import undisturbed

_AT_FDCWD = -100  # of Linux's renameat2(2): paths are relative to the working directory
_EXCHANGE = 2  # its RENAME_EXCHANGE, and RENAME_SWAP of macOS's renamex_np(2)
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)
"""What systems answer where the file system does not exchange."""

Exchange = Callable[[Path, Path], int]
"""Exchanges two names; returns an error's number, or 0."""


def put_in_place(new: Path, path: Path) -> None:
    """Let the folder ``new`` be called ``path``. What was there before lies at ``new`` afterwards.

    Where the system can, both names are exchanged at once. Elsewhere they are renamed one after the other, with a lock
    among writers, signals held back, and the old folder put back if the new one cannot come.

    Raises:
        OSError: it cannot be done; all is as it was.
    """
    exchange = system_exchange()
    if exchange is None or not _exchanged(exchange, new, path):
        with locked(path.parent), undisturbed():
            _rename_both(new, path)


def system_exchange() -> Exchange | None:
    """Return the system's call for it; None if there is none."""
    try:
        library: Any = ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):  # on Windows
        return None
    if hasattr(library, "renameat2"):

        def call(a: bytes, b: bytes) -> int:
            return int(library.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, _EXCHANGE))
    elif hasattr(library, "renamex_np"):

        def call(a: bytes, b: bytes) -> int:
            return int(library.renamex_np(a, b, _EXCHANGE))
    else:
        return None
    return lambda a, b: ctypes.get_errno() if call(os.fsencode(a), os.fsencode(b)) else 0


def _exchanged(exchange: Exchange, new: Path, path: Path) -> bool:
    """Whether it was done: False where the file system does not exchange."""
    while number := exchange(new, path):
        if number in _CANNOT:
            return False
        if number != errno.ENOENT:
            raise OSError(number, os.strerror(number), str(path))
        # Nothing is there yet. Should another writer be faster now, its folder is exchanged in the next round.
        if _renamed(new, path):
            break
    return True


def _rename_both(new: Path, path: Path) -> None:
    if _renamed(new, path):
        return
    retired = new.with_name(f"{new.name}.old")
    path.rename(retired)
    try:
        new.rename(path)
    except BaseException:
        retired.rename(path)
        raise
    retired.rename(new)


def _renamed(new: Path, path: Path) -> bool:
    """Rename; False where ``path`` is a folder that holds something."""
    try:
        new.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
