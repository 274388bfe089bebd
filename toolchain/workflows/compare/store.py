"""Rows on disk: each is written when it is whole, under a digest of all that it depends on, so that a run which was
ended goes on where it was, and one of other things does not mistake its rows for its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from toolchain.frontend import load_model
from toolchain.images.sets import picture_files
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ModelError
from toolchain.support.files import atomic_write
from toolchain.support.serialization import from_plain, parse_json, to_plain
from toolchain.workflows.compare.request import Case, Request, file_digest
from toolchain.workflows.compare.result import Row
from toolchain.workflows.deploy.network_cache import code_digest

_LARGEST = 2**20


@dataclass(frozen=True)
class RowStore:
    """Rows of a folder, a file each."""

    folder: Path

    def read(self, key: str) -> Row | None:
        """Return the row that was written under ``key``; None if there is none that can be read."""
        try:
            path = self.folder / f"{key}.json"
            if path.stat().st_size > _LARGEST:
                return None
            row = from_plain(Row, parse_json(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return row if row.key == key else None

    def write(self, row: Row) -> None:
        """Keep a row.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_write(self.folder / f"{row.key}.json") as file:
            file.write((json.dumps(to_plain(row), indent=1) + "\n").encode())


class Keys:
    """Digests of cases.

    Args:
        request: what is compared.
    """

    def __init__(self, request: Request) -> None:
        code = code_digest()
        asked = [request.size, request.threads, repr(request.plan), request.beside, request.value_range]
        pictures = [_pictures(request.hr), _pictures(request.lr), request.degradation]
        self._common = json.dumps([code, *asked, *pictures])
        self._models: dict[Path, str] = {}
        self._seen: dict[Path | tuple[Path, ...] | None, str] = {}

    def of(self, case: Case) -> str:
        """Return the digest of one."""
        calibration = case.model.calibration
        if calibration not in self._seen:
            self._seen[calibration] = _pictures(calibration)
        place = str(case.place) if case.place else this_cpu().name
        if case.model.path not in self._models:
            self._models[case.model.path] = _model(case.model.path)
        model = self._models[case.model.path]
        own = [model, self._seen[calibration], repr(case.target), case.precision, place]
        return hashlib.sha256(json.dumps([self._common, case.name, *own]).encode()).hexdigest()[:32]


def _model(path: Path) -> str:
    """Return a digest of a model, its weights included where an ONNX file has them outside of it."""
    if path.suffix.lower() == ".onnx":
        with contextlib.suppress(ModelError):  # what is wrong with it is said in its rows
            return hashlib.sha256(load_model(path).SerializeToString(deterministic=True)).hexdigest()
    return file_digest(path)


def _pictures(source: Path | tuple[Path, ...] | None) -> str:
    """Return a digest of the pictures of a folder, or of files."""
    if source is None:
        return ""
    files = picture_files(source) if isinstance(source, Path) else list(source)
    return hashlib.sha256(json.dumps([[path.name, _digest(path)] for path in files]).encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with contextlib.suppress(OSError), path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
