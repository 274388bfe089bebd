"""What has been computed, kept on disk by what it was computed from, so that a run goes on where it was killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolchain.support.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "onnx", "onnxruntime", "pillow")


class ResultCache:
    """Files named by the digest of everything that decides what is in them.

    ``made`` counts what was computed, ``kept`` what was there already.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = self.kept = 0

    def data(self, key: Mapping[str, Any], make: Callable[[], bytes]) -> bytes:
        """What ``make`` gave for ``key``, now or in an earlier run; written whole or not at all."""
        path = self.folder / digest(json.dumps(key, sort_keys=True).encode())
        if path.exists():
            self.kept += 1
            return path.read_bytes()
        found = make()
        with atomic_write(path) as file:
            file.write(found)
        self.made += 1
        return found

    def document(self, key: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The same for a JSON document."""
        found: dict[str, Any] = json.loads(self.data(key, lambda: json.dumps(make()).encode()))
        return found


def digest(*parts: bytes) -> str:
    """Of all parts and their order, in hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()


def of_files(files: Iterable[Path]) -> str:
    """Of the files' contents, in this order."""
    return digest(*(path.read_bytes() for path in files))


def of_source(*places: str) -> str:
    """Of this project's Python and C files in ``places``, folders or files relative to its root."""
    found: set[Path] = set()
    for place in places:
        path = ROOT / place
        inside = [file for end in ("py", "c", "h") for file in path.rglob(f"*.{end}")]
        found.update(inside if path.is_dir() else [path])
    return of_files(sorted(found))


def versions() -> dict[str, str]:
    """Of the packages that results depend on, and of this one."""
    return {name: version(name) for name in ("clipfree", *PACKAGES)}
