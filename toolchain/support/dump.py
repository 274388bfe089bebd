"""A folder with what every step of a deployment made: ONNX files for viewers of graphs, text for eyes.

Files are numbered by the place of their step, so that the same step has the same number in every dump; steps that
changed nothing have no file, and are named in the index.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from toolchain.support.errors import OutputError
from toolchain.support.files import atomic_write, check_writable, is_temporary

Dump = Callable[[str, str, Callable[[], bytes]], None]
"""Is told each step's name, the suffix of its file, and how its content is made."""

INDEX = "00-index.txt"
_OWN = re.compile(r"\d\d-[a-z0-9-]+\.(onnx|py|txt)")


def no_dump(step: str, suffix: str, content: Callable[[], bytes]) -> None:
    """Write nothing."""


class DumpFolder:
    """A `Dump` into a folder.

    Each file appears whole, at once, so that what came before a failure can be looked at. What an earlier dump left
    in the folder is removed.
    """

    def __init__(self, folder: Path) -> None:
        """Make ``folder``, or take it if it is empty or holds a dump.

        Raises:
            OutputError: it holds other things, or cannot be written.
        """
        check_writable(folder, folder=True)
        old = sorted(path for path in folder.iterdir() if not is_temporary(path)) if folder.is_dir() else []
        others = [path.name for path in old if not (_OWN.fullmatch(path.name) and path.is_file())]
        if others:
            raise OutputError(
                f"{folder} holds other things than a dump ({others[0]})",
                hint="name a folder of its own with --dump",
            )
        try:
            for path in old:
                path.unlink()
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot write {folder}: {error.strerror or error}", hint="name another folder with --dump"
            ) from error
        self._folder = folder
        self._digests: dict[str, bytes] = {}
        self._suffixes: dict[str, str] = {}
        self._written: dict[str, bool] = {}

    def __call__(self, step: str, suffix: str, content: Callable[[], bytes]) -> None:
        """Write ``content()`` if it differs from that of the step before of the same suffix.

        A step that is told again is done again: from there on its file is the new one.

        Raises:
            OutputError: the file cannot be written.
        """
        data = content()
        digest = hashlib.sha256(data).digest()
        before = next((self._digests[name] for name in self._before(step) if self._suffixes[name] == suffix), b"")
        self._digests[step], self._suffixes[step] = digest, suffix
        self._written.setdefault(step, False)
        path = self._path(step)
        if digest == before:
            path.unlink(missing_ok=True)
        else:
            with atomic_write(path) as file:
                file.write(data)
        self._written[step] = digest != before
        self._write_index()

    def _before(self, step: str) -> list[str]:
        """Return the steps before ``step``, the last first."""
        steps = list(self._suffixes)
        return steps[: steps.index(step)][::-1] if step in steps else steps[::-1]

    def _path(self, step: str) -> Path:
        number = list(self._suffixes).index(step) + 1
        return self._folder / f"{number:02d}-{step}{self._suffixes[step]}"

    def _write_index(self) -> None:
        lines = [
            self._path(step).name if done else f"{self._path(step).stem}: no change"
            for step, done in self._written.items()
        ]
        with atomic_write(self._folder / INDEX) as file:
            file.write(("\n".join(lines) + "\n").encode())
