"""Outputs that appear whole or not at all: written under a temporary name beside the target, then renamed.

A temporary file or folder is locked as long as its process lives. The next writer to the same place can lock what a
killed process left, and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from toolchain.support.errors import OutputError
from toolchain.support.exchange import put_in_place
from toolchain.support.locks import lock_now
from toolchain.support.signals import undisturbed

_PREFIX, _SUFFIX = ".clipfree-", ".partial"
_BLOCK = bytes(64 * 1024)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes ``path`` when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: the folder cannot be written, the disk is full, or ``path`` is a folder or a device.
    """
    check_writable(path)
    with _claimed(path, folder=False) as (temporary, handle):
        try:
            with os.fdopen(handle, "wb", closefd=False) as file:
                yield file
                file.flush()
                os.fsync(handle)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except OSError as error:
            if _is_elsewhere(error, temporary, path):
                raise
            raise _unwritable(path, error) from error


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``path`` when the block ends well, and vanishes when it does not.

    At every moment ``path`` is the old folder or the new one; of several writers the last one stays. A link to a folder
    stays a link.

    Raises:
        OutputError: the parent cannot be written, the disk is full, or ``path`` is a file.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    check_writable(path, folder=True)
    with _claimed(path, folder=True) as (temporary, _):
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            put_in_place(temporary, path)
        except OSError as error:
            if _is_elsewhere(error, temporary, path):
                raise
            raise _unwritable(path, error) from error


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder that is removed when the block ends, whatever ends it."""
    folder = Path(tempfile.mkdtemp(prefix="clipfree-"))
    try:
        yield folder
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Return whether a file or folder is one that a writer here made, and has not renamed yet or was killed over."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def check_replaceable(path: Path, names: Collection[str]) -> None:
    """See whether ``path`` is free for a folder that holds ``names``: absent, empty, or holding nothing else.

    Raises:
        OutputError: there is something else, which replacing the folder would delete.
    """
    if not path.exists() and not path.is_symlink():
        return
    plain = path.is_dir() and not path.is_symlink()
    others = sorted({entry.name for entry in path.iterdir()} - {*names}) if plain else [path.name]
    if others:
        raise OutputError(
            f"{path} exists and holds other things ({others[0]})", hint="name a folder of its own with -o"
        )


def check_writable(path: Path, *, folder: bool = False) -> None:
    """See, before work is done for it, whether a file or ``folder`` can be written to ``path``; leaves nothing behind.

    Raises:
        OutputError: it is of another kind (a folder, a device), its name is impossible, or the nearest folder that
            exists cannot be written or has no space.
    """
    try:
        _check_kind(path, folder=folder)
        place, names = path.parent, [path.name]
        while not os.path.lexists(place):
            place, names = place.parent, [*names, place.name]
        if not place.is_dir():
            raise OutputError(f"cannot write {path}: {place} is not a folder", hint=_ELSEWHERE)
        if max(len(os.fsencode(name)) for name in names) > os.pathconf(place, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(_BLOCK)
    except ValueError as error:  # NUL
        raise OutputError(f"cannot write {str(path)!r}: no file can be called that", hint=_ELSEWHERE) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_kind(path: Path, *, folder: bool) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except NotADirectoryError:  # the caller names the file that stands where a folder must
        return
    if folder and not stat.S_ISDIR(mode):
        raise OutputError(f"cannot write {path}: it is a file, and a folder is to be made", hint=_ELSEWHERE)
    if not folder and stat.S_ISDIR(mode):
        raise OutputError(f"cannot write {path}: it is a folder", hint=_ELSEWHERE)
    if not folder and not stat.S_ISREG(mode):
        raise OutputError(f"cannot write {path}: it is no plain file, and would be replaced by one", hint=_ELSEWHERE)


@contextlib.contextmanager
def _claimed(path: Path, *, folder: bool) -> Iterator[tuple[Path, int]]:
    """Yield a new temporary file or folder beside ``path``, locked, and its open handle; it is gone after the block,
    unless it was renamed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        temporary, handle = _claim(path.parent, folder=folder)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield temporary, handle
    finally:
        with undisturbed():
            _remove(temporary)
            os.close(handle)


def _claim(parent: Path, *, folder: bool) -> tuple[Path, int]:
    while True:
        if folder:
            name = tempfile.mkdtemp(dir=parent, prefix=_PREFIX, suffix=_SUFFIX)
            try:
                handle = os.open(name, os.O_RDONLY)
            except FileNotFoundError:  # another writer took it for a left one
                continue
        else:
            handle, name = tempfile.mkstemp(dir=parent, prefix=_PREFIX, suffix=_SUFFIX)
        if lock_now(handle) is not False and os.path.exists(name):
            return Path(name), handle
        os.close(handle)  # as above


def _sweep(parent: Path) -> None:
    """Remove what killed processes left: their locks ended with them."""
    with os.scandir(parent) as entries:
        left = [entry.path for entry in entries if is_temporary(Path(entry.path))]
    for name in left:
        with contextlib.suppress(OSError):  # another writer's, which renames or removes it just now
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if lock_now(handle):
                    _remove(Path(name))
            finally:
                os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_ELSEWHERE = "choose another place with -o"


def _is_elsewhere(error: OSError, temporary: Path, path: Path) -> bool:
    """Whether an error was met on a file that is not the output, by what the block does besides."""
    name = error.filename
    return isinstance(name, str) and Path(name) != path and not Path(name).is_relative_to(temporary)


def _unwritable(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    hint = "free some space, or " + _ELSEWHERE if error.errno in (errno.ENOSPC, errno.EDQUOT) else _ELSEWHERE
    return OutputError(f"cannot write {path}: {reason}", hint=hint)
