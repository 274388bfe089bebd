"""What of a film is encoded already: parts of so many frames, kept beside the result until that is whole.

A command that is given again after it was killed goes on behind the last part. Parts hold packets as the encoder made
them, with their times; each is written under a temporary name and renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.errors import OutputError
from toolchain.support.files import atomic_write, check_writable, is_temporary
from toolchain.support.locks import lock_now

_MAGIC = b"clipfree film part 1\n"
_HEAD = struct.Struct("<qqqII")  # times, key frame, bytes
_COUNT = struct.Struct("<I")
_JOB, _END, _SUFFIX = "job.json", "end.json", ".part"
FRAMES = 250
"""Of a part; encoders put a whole picture as often by themselves."""


@dataclass(frozen=True)
class StoredPacket:
    """What an encoder makes: a piece of a stream.

    Attributes:
        shown: when it is shown, in units of the film.
        decoded: when it is decoded.
        duration: how long it is shown.
        key: whether decoding can begin with it.
        data: its bytes.
    """

    shown: int
    decoded: int
    duration: int
    key: bool
    data: bytes


class Parts:
    """The parts in a folder.

    Attributes:
        frames: how many are there.
        whole: whether the film ends with them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count, self.frames = folder, 0, 0
        while (found := self._frames_of(self._path(self._count))) is not None:
            self._count, self.frames = self._count + 1, self.frames + found
        self.whole = (folder / _END).exists()

    def add(self, packets: Iterable[StoredPacket], frames: Callable[[], int]) -> None:
        """Write the part that follows, packet by packet.

        Args:
            packets: of it.
            frames: tells how many they are of, when all have come.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_write(self._path(self._count)) as file:
            file.write(_MAGIC + _COUNT.pack(0))
            for packet in packets:
                file.write(_HEAD.pack(packet.shown, packet.decoded, packet.duration, packet.key, len(packet.data)))
                file.write(packet.data)
            file.seek(len(_MAGIC))
            file.write(_COUNT.pack(frames()))
        self._count, self.frames = self._count + 1, self.frames + frames()

    def end(self) -> None:
        """Say that the film ends here."""
        with atomic_write(self._folder / _END) as file:
            file.write(json.dumps({"frames": self.frames}).encode())
        self.whole = True

    def packets(self) -> Iterator[StoredPacket]:
        """Yield the packets of all parts.

        Raises:
            OutputError: a part is damaged.
        """
        for number in range(self._count):
            path = self._path(number)
            with path.open("rb") as file:
                file.seek(len(_MAGIC) + _COUNT.size)
                while head := file.read(_HEAD.size):
                    try:
                        shown, decoded, duration, key, size = _HEAD.unpack(head)
                    except struct.error:
                        raise OutputError(f"{path} is damaged", hint=f"remove {self._folder}") from None
                    data = file.read(size)
                    if len(data) != size:
                        raise OutputError(f"{path} is damaged", hint=f"remove {self._folder}")
                    yield StoredPacket(shown, decoded, duration, bool(key), data)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}{_SUFFIX}"

    def _frames_of(self, path: Path) -> int | None:
        with contextlib.suppress(OSError), path.open("rb") as file:
            head = file.read(len(_MAGIC) + _COUNT.size)
            if head.startswith(_MAGIC) and len(head) == len(_MAGIC) + _COUNT.size:
                return int(_COUNT.unpack(head[len(_MAGIC) :])[0])
        return None


def parts_folder(output: Path) -> Path:
    """Return where the parts of a film lie."""
    return output.with_name(output.name + ".parts")


@contextmanager
def open_parts(folder: Path, job: Mapping[str, object]) -> Iterator[Parts]:
    """Yield the parts in ``folder`` that are of the same job; those of another are removed. All are after the block, if
    it ends well.

    Raises:
        OutputError: it cannot be written, holds other things, or another process is at work there.
    """
    check_writable(folder, folder=True)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if lock_now(handle) is False:
            raise OutputError(
                f"another process writes into {folder}", hint="wait for it, or choose another name with -o"
            )
        text = json.dumps(job, sort_keys=True)
        if not (folder / _JOB).exists() or (folder / _JOB).read_text(encoding="utf-8") != text:
            _clear(folder)
            with atomic_write(folder / _JOB) as file:
                file.write(text.encode())
        yield Parts(folder)
        _clear(folder)
        folder.rmdir()
    finally:
        os.close(handle)


def _clear(folder: Path) -> None:
    """Remove what parts made.

    Raises:
        OutputError: there is something else.
    """
    for path in sorted(folder.iterdir(), key=lambda path: path.name != _JOB):  # the job first: what follows is nobody's
        if path.name not in (_JOB, _END) and path.suffix != _SUFFIX and not is_temporary(path):
            raise OutputError(f"{folder} holds other things ({path.name})", hint="choose another name with -o")
        path.unlink()
