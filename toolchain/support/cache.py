"""What need not be made twice: bytes by the digest of all that they are made of, in the user's cache folder.

Nothing here is ever needed: what cannot be read is as good as absent, what cannot be written is left out, and the
folder may be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.errors import OutputError
from toolchain.support.files import atomic_write, is_temporary

_MAGIC = b"clipfree1\n"
_SUM = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Return the folder in which this user's programs keep such things: ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "clipfree"


@dataclass(frozen=True)
class Cache:
    """Entries of a folder, each a file with a checksum; several processes may use it at once.

    Attributes:
        folder: made when something is written.
        most: bytes of all entries together; those that were not asked for the longest time are removed.
    """

    folder: Path
    most: int

    def read(self, key: str) -> bytes | None:
        """Return what was written under ``key``; None if nothing was, or it is damaged, and then it is removed."""
        path = self.folder / key
        try:
            found = path.read_bytes()
        except OSError:
            return None
        start, data = found[: len(_MAGIC) + _SUM], found[len(_MAGIC) + _SUM :]
        if start != _MAGIC + hashlib.sha256(data).digest():
            self.remove(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data

    def write(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, if that is possible, and no more than there is room for."""
        if len(data) > self.most // 2:
            return
        with contextlib.suppress(OSError, OutputError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic_write(self.folder / key) as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
            self._make_room()

    def remove(self, key: str) -> None:
        """Remove what is kept under ``key``, if it is there."""
        with contextlib.suppress(OSError):
            (self.folder / key).unlink()

    def _make_room(self) -> None:
        entries = sorted(self._entries(), reverse=True)
        total = 0
        for _, size, path in entries:
            total += size
            if total > self.most:
                self.remove(path.name)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each was last asked for, its size, and its file."""
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):  # another process has removed it
                status = path.stat()
                if path.is_file() and not is_temporary(path):
                    yield status.st_mtime, status.st_size, path
