"""Boards for the tests: servers on this machine that end with the test, and bundles whose libraries misbehave."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bundle.fakes import write
from toolchain.board.pack import SERVER
from toolchain.board.place import Address
from toolchain.bundle import Bundle, open_bundle
from toolchain.targets import find_target
from toolchain.targets.linker import find_linker


@dataclass(frozen=True)
class Running:
    """A process that listens."""

    process: subprocess.Popen[bytes]
    address: Address
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        """As if its power were cut."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in text.split()]


@contextlib.contextmanager
def listening(
    command: Sequence[str], log: Path, says: str = r"listening on (\S+):(\d+)", **more: object
) -> Iterator[Running]:
    """Run ``command`` until it ``says`` where it listens, and end it after the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, **more)  # type: ignore[call-overload]
    try:
        until(lambda: re.search(says, log.read_text()) or process.poll() is not None, 60)
        found = re.search(says, log.read_text())
        assert found, log.read_text()
        yield Running(process, Address(found[1], int(found[2])), log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def board(
    pack: Path, folder: Path, *words: str, port: int = 0, emulator: Sequence[str] = (), **more: object
) -> contextlib.AbstractContextManager[Running]:
    """A server on loopback that keeps uploads in ``folder``."""
    folder.mkdir(exist_ok=True)
    command = [*emulator, str(pack / SERVER), "--port", str(port), "--folder", str(folder), *words]
    return listening(command, folder.with_suffix(".log"), **more)


def tracker(folder: Path) -> contextlib.AbstractContextManager[Running]:
    """A tracker on loopback."""
    command = [sys.executable, "-m", "toolchain.cli", "board", "tracker", "--port", "0"]
    return listening(command, folder / "tracker.log")


def until(condition: Callable[[], object], limit: float = 20) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def bad_bundle(path: Path, code: str) -> Bundle:
    """A bundle for this machine whose library runs C ``code`` as soon as it is loaded."""
    library = bad_library(path.with_suffix(".so"), code)
    return open_bundle(write(path, library.read_bytes(), target=find_target("host")))


def bad_library(path: Path, code: str) -> Path:
    """A library for this machine that runs C ``code`` as soon as it is loaded."""
    source = path.with_suffix(".c")
    # What TVM reads of a library: its size, and a tree of modules with nothing in it but the library itself.
    carried = "const unsigned long long __tvm_ffi__library_bin[7] = {44, 2, 0, 0, 0, 4, 0x62696c5f};"
    source.write_text(f"#include <unistd.h>\n{carried}\n__attribute__((constructor)) void run(void) {{ {code} }}\n")
    find_linker(find_target("host").triple)(str(path), [str(source)])
    return path


have_compiler = shutil.which("cc") is not None and shutil.which("c++") is not None
